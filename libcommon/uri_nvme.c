// SPDX-License-Identifier: GPL-2.0-or-later
#include "uri_parse.h"

#include <ctype.h>
#include <string.h>

static const struct sluice_uri_scheme scheme = { "nvme-tcp", SLUICE_NVME_TCP_PORT, false };

static int parse_nqn(const char *text, size_t len, struct sluice_uri *uri,
		     const struct sluice_uri_reason *why)
{
	int err;

	if (!len)
		return sluice_uri_refuse(why, "There is no NQN after the address; write "
					 "nvme-tcp://ADDR/NQN.");
	err = sluice_uri_decode(text, len, "NQN", false, uri->nqn, sizeof(uri->nqn), why);
	if (err)
		return err;
	if (strncmp(uri->nqn, "nqn.", 4) || !uri->nqn[4])
		return sluice_uri_refuse(why, "The NQN does not start with \"nqn.\" and a name.");
	return 0;
}

/* 32 hexadecimal digits, with dashes where people put them. */
static int parse_id(const char *text, const char *what, char id[33],
		    const struct sluice_uri_reason *why)
{
	size_t n = 0, zeroes = 0;
	const char *p;

	for (p = text; *p && n < 33; p++) {
		if (*p == '-')
			continue;
		if (!isxdigit((unsigned char)*p))
			break;
		zeroes += *p == '0';
		if (n < 32)
			id[n] = tolower((unsigned char)*p);
		n++;
	}
	if (*p || n != 32 || zeroes == 32)
		return sluice_uri_refuse(why, "\"%.*s\" is no %s of 32 hexadecimal digits.",
					 sluice_uri_quote_len(strlen(text)), text, what);
	id[32] = '\0';
	return 0;
}

static int parse_nsid(const char *text, struct sluice_uri *uri,
		      const struct sluice_uri_reason *why)
{
	uint64_t number;

	if (!sluice_uri_number(text, strlen(text), 0xfffffffe, &number) || !number)
		return sluice_uri_refuse(why, "\"%s\" is not a namespace identifier from 1 to "
					 "4294967294.", text);
	uri->nsid = number;
	return 0;
}

static int parse_options(const char *text, struct sluice_uri *uri,
			 const struct sluice_uri_reason *why)
{
	char nsid[64], nguid[64], uuid[64], header[16] = "none", data[16] = "none", tls[16];
	struct sluice_uri_option options[] = {
		{ .name = "nsid", .form = "nsid=N", .value = nsid, .size = sizeof(nsid) },
		{ .name = "nguid", .form = "nguid=HEX", .value = nguid, .size = sizeof(nguid) },
		{ .name = "uuid", .form = "uuid=UUID", .value = uuid, .size = sizeof(uuid) },
		{ .name = "header-digest", .form = "header-digest=crc32c|none",
		  .value = header, .size = sizeof(header) },
		{ .name = "data-digest", .form = "data-digest=crc32c|none",
		  .value = data, .size = sizeof(data) },
		{ .name = "tls", .form = "tls=psk", .value = tls, .size = sizeof(tls) },
	};
	int err;

	err = sluice_uri_query(text, options, sizeof(options) / sizeof(options[0]), why);
	if (err)
		return err;
	if (options[0].seen + options[1].seen + options[2].seen > 1)
		return sluice_uri_refuse(why, "A namespace is named by one of nsid, nguid and "
					 "uuid, not by several.");
	if (options[0].seen)
		err = parse_nsid(nsid, uri, why);
	else if (options[1].seen)
		err = parse_id(nguid, "NGUID", uri->nguid, why);
	else if (options[2].seen)
		err = parse_id(uuid, "UUID", uri->uuid, why);
	if (!err)
		err = sluice_uri_digest(header, "header-digest", &uri->header_digest, why);
	if (!err)
		err = sluice_uri_digest(data, "data-digest", &uri->data_digest, why);
	if (err)
		return err;
	uri->tls = options[5].seen;
	if (uri->tls && strcmp(tls, "psk"))
		return sluice_uri_refuse(why, "\"%s\" is no way to use TLS; tls is psk.", tls);
	return 0;
}

int sluice_uri_nvme_tcp(const char *text, struct sluice_uri *uri,
			const struct sluice_uri_reason *why)
{
	size_t len = strcspn(text, "/?#");
	const char *nqn = text + len;
	int err;

	uri->kind = SLUICE_URI_NVME_TCP;
	err = sluice_uri_authority(text, len, &scheme, uri, why);
	if (err)
		return err;
	if (strchr(nqn, '#'))
		return sluice_uri_refuse(why, "A source has no \"#\" part; write %%23 for the "
					 "sign in an NQN.");
	if (*nqn == '/')
		nqn++;
	len = strcspn(nqn, "?");
	err = parse_nqn(nqn, len, uri, why);
	if (err || !nqn[len])
		return err;
	return parse_options(nqn + len + 1, uri, why);
}
