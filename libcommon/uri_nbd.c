// SPDX-License-Identifier: GPL-2.0-or-later
/* As in the NBD URI specification, less what would carry a secret. */
#include "uri_parse.h"

#include <string.h>

static const struct sluice_uri_scheme plain = { "nbd", SLUICE_NBD_PORT, false };
static const struct sluice_uri_scheme tls = { "nbds", SLUICE_NBD_PORT, true };

/* "/EXPORT" up to the query; all of it may be missing. */
static int parse_export(const char *text, struct sluice_uri *uri, const char **query,
			const struct sluice_uri_reason *why)
{
	size_t len;

	if (strchr(text, '#'))
		return sluice_uri_refuse(why, "A source has no \"#\" part; write %%23 for the "
					 "sign in the name of an export.");
	if (*text == '/')
		text++;
	len = strcspn(text, "?");
	*query = text[len] ? text + len + 1 : NULL;
	return sluice_uri_decode(text, len, "name of the export", true, uri->export,
				 sizeof(uri->export), why);
}

static int absolute(const char *path, const char *what, const struct sluice_uri_reason *why)
{
	if (*path && *path != '/')
		return sluice_uri_refuse(why, "The path \"%.*s\" of %s is not absolute.",
					 sluice_uri_quote_len(strlen(path)), path, what);
	return 0;
}

int sluice_uri_nbd(const char *text, struct sluice_uri *uri,
		   const struct sluice_uri_reason *why)
{
	size_t len = strcspn(text, "/?#");
	const char *query;
	int err;

	uri->kind = SLUICE_URI_NBD;
	err = sluice_uri_authority(text, len, &plain, uri, why);
	if (!err)
		err = parse_export(text + len, uri, &query, why);
	if (err || !query)
		return err;
	return sluice_uri_query(query, NULL, 0, why);
}

int sluice_uri_nbds(const char *text, struct sluice_uri *uri,
		    const struct sluice_uri_reason *why)
{
	struct sluice_uri_option options[] = {
		{ .name = "tls-certificates", .form = "tls-certificates=DIR",
		  .value = uri->certificates, .size = sizeof(uri->certificates) },
		{ .name = "tls-psk-file", .form = "tls-psk-file=FILE",
		  .value = uri->psk_file, .size = sizeof(uri->psk_file) },
	};
	size_t len = strcspn(text, "/?#");
	const char *query;
	int err;

	uri->kind = SLUICE_URI_NBD;
	uri->tls = true;
	err = sluice_uri_authority(text, len, &tls, uri, why);
	if (!err)
		err = parse_export(text + len, uri, &query, why);
	if (!err && query)
		err = sluice_uri_query(query, options, 2, why);
	/* Without, libnbd of 1.14 would take whatever certificate it is shown. */
	if (!err && !options[0].seen && !options[1].seen)
		err = sluice_uri_refuse(why, "TLS needs to know whom to trust: add "
					"?tls-certificates=DIR or ?tls-psk-file=FILE.");
	if (!err && options[0].seen && options[1].seen)
		err = sluice_uri_refuse(why, "TLS takes certificates or a pre-shared key, not "
					"both: leave one of the options out.");
	if (!err)
		err = absolute(uri->certificates, "tls-certificates", why);
	if (!err)
		err = absolute(uri->psk_file, "tls-psk-file", why);
	return err;
}

int sluice_uri_nbd_unix(const char *text, struct sluice_uri *uri,
			const struct sluice_uri_reason *why)
{
	struct sluice_uri_option options[] = {
		{ .name = "socket", .form = "socket=PATH", .value = uri->path,
		  .size = sizeof(uri->path) },
	};
	const char *query;
	int err;

	uri->kind = SLUICE_URI_NBD;
	if (*text != '/' && *text != '?')
		return sluice_uri_refuse(why, "A socket has no host; write "
					 "nbd+unix:///EXPORT?socket=PATH.");
	err = parse_export(text, uri, &query, why);
	if (err)
		return err;
	if (!query)
		return sluice_uri_refuse(why, "The socket is missing; write "
					 "nbd+unix:///EXPORT?socket=PATH.");
	err = sluice_uri_query(query, options, 1, why);
	return err ? err : absolute(uri->path, "socket", why);
}
