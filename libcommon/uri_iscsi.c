// SPDX-License-Identifier: GPL-2.0-or-later
#include "uri_parse.h"

#include <string.h>

/* Single-level LUNs of the flat address method. */
#define LUN_MAX		16383

static const struct sluice_uri_scheme scheme = { "iscsi", SLUICE_ISCSI_PORT, true };

static int parse_iqn(const char *text, size_t len, struct sluice_uri *uri,
		     const struct sluice_uri_reason *why)
{
	int err;

	if (!len)
		return sluice_uri_refuse(why, "There is no target name after the address; write "
					 "iscsi://ADDR/IQN/LUN.");
	err = sluice_uri_decode(text, len, "target name", false, uri->iqn, sizeof(uri->iqn),
				why);
	if (err)
		return err;
	if ((strncmp(uri->iqn, "iqn.", 4) && strncmp(uri->iqn, "eui.", 4) &&
	     strncmp(uri->iqn, "naa.", 4)) || !uri->iqn[4])
		return sluice_uri_refuse(why, "The target name starts with none of \"iqn.\", "
					 "\"eui.\" and \"naa.\" and a name.");
	/* Separators of the library's own form of such a URI. */
	if (strpbrk(uri->iqn, "/,"))
		return sluice_uri_refuse(why, "The target name holds a \"/\" or a \",\".");
	return 0;
}

static int parse_options(const char *text, struct sluice_uri *uri,
			 const struct sluice_uri_reason *why)
{
	char digest[16] = "";
	struct sluice_uri_option options[] = {
		{ .name = "header-digest", .form = "header-digest=crc32c|none",
		  .value = digest, .size = sizeof(digest) },
	};
	int err = sluice_uri_query(text, options, 1, why);

	return err ? err : sluice_uri_digest(digest, "header-digest", &uri->header_digest, why);
}

int sluice_uri_iscsi(const char *text, struct sluice_uri *uri,
		     const struct sluice_uri_reason *why)
{
	size_t len = strcspn(text, "/?#");
	uint64_t lun;
	int err;

	uri->kind = SLUICE_URI_ISCSI;
	/* Where the target can: what it costs is nothing beside a changed address. */
	uri->header_digest = true;
	err = sluice_uri_authority(text, len, &scheme, uri, why);
	if (err)
		return err;
	text += len;
	if (strchr(text, '#'))
		return sluice_uri_refuse(why, "A source has no \"#\" part; write %%23 for the "
					 "sign in a target name.");
	if (*text == '/')
		text++;
	len = strcspn(text, "/?");
	err = parse_iqn(text, len, uri, why);
	if (err)
		return err;
	text += len;
	if (*text == '/')
		text++;
	len = strcspn(text, "?");
	if (!sluice_uri_number(text, len, LUN_MAX, &lun))
		return sluice_uri_refuse(why, "\"%.*s\" is not a LUN from 0 to %d; write "
					 "iscsi://ADDR/IQN/LUN.", sluice_uri_quote_len(len), text,
					 LUN_MAX);
	uri->lun = lun;
	return text[len] ? parse_options(text + len + 1, uri, why) : 0;
}
