// SPDX-License-Identifier: GPL-2.0-or-later
#include "uri_parse.h"

#include <ctype.h>
#include <string.h>

static int parse_file(const char *text, struct sluice_uri *uri, const struct sluice_uri_reason *why)
{
	size_t len;

	uri->kind = SLUICE_URI_FILE;
	if (!*text)
		return sluice_uri_refuse(why, "There is no path after \"file:\".");
	if (!strncmp(text, "//", 2)) {
		text += 2;
		if (*text != '/')
			return sluice_uri_refuse(why, "A file has no host; write file:/PATH or file:///PATH.");
	}
	if (*text != '/')
		return sluice_uri_refuse(why, "The path \"%.*s\" is not absolute; it starts with \"/\".",
			      sluice_uri_quote_len(strlen(text)), text);
	len = strlen(text);
	if (len >= sizeof(uri->path))
		return sluice_uri_refuse(why, "The path is longer than %zu bytes.", sizeof(uri->path) - 1);
	if (strspn(text, "/") == len)
		return sluice_uri_refuse(why, "The path \"/\" is a directory; an image is a file or a block "
			      "device.");
	memcpy(uri->path, text, len + 1);
	return 0;
}

static const struct {
	const char *scheme;
	int (*parse)(const char *text, struct sluice_uri *uri,
		     const struct sluice_uri_reason *why);
} kinds[] = {
	{ "nvme-tcp", sluice_uri_nvme_tcp },
	{ "iscsi", sluice_uri_iscsi },
	{ "nbd", sluice_uri_nbd },
	{ "nbds", sluice_uri_nbds },
	{ "nbd+unix", sluice_uri_nbd_unix },
};

int sluice_uri_parse(const char *text, struct sluice_uri *uri, char *why_buf, size_t why_len)
{
	const struct sluice_uri_reason why = { why_buf, why_len };
	const char *p;
	size_t i, len;

	memset(uri, 0, sizeof(*uri));
	if (!*text)
		return sluice_uri_refuse(&why, "The source is empty.");
	/* Before anything of it is repeated on somebody's terminal. */
	for (p = text; *p; p++)
		if (iscntrl((unsigned char)*p))
			return sluice_uri_refuse(&why, "The source holds a control character.");

	if (!strncmp(text, "file:", 5))
		return parse_file(text + 5, uri, &why);
	p = strchr(text, ':');
	if (!p || p == text)
		return sluice_uri_refuse(&why, "\"%.*s\" is not a source; write "
					 "nvme-tcp://ADDR/NQN, iscsi://ADDR/IQN/LUN, "
					 "nbd://ADDR/EXPORT or file:PATH.",
					 sluice_uri_quote_len(strlen(text)), text);
	len = p - text;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].scheme) != len || memcmp(kinds[i].scheme, text, len))
			continue;
		if (strncmp(p, "://", 3))
			return sluice_uri_refuse(&why, "\"%s:\" is not followed by \"//\" and "
						 "an address.", kinds[i].scheme);
		return kinds[i].parse(p + 3, uri, &why);
	}
	return sluice_uri_refuse(&why, "The kind of source \"%.*s\" is unknown; there are "
				 "nvme-tcp, iscsi, nbd, nbds, nbd+unix and file.",
				 sluice_uri_quote_len(len), text);
}
