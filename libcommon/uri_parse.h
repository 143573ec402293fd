/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parsers of the kinds of URIs share. Each returns 0, or -EINVAL with a
 * sentence in @why.
 */
#ifndef SLUICE_URI_PARSE_H
#define SLUICE_URI_PARSE_H

#include "uri.h"

/* Longest text from the URI repeated in a sentence. 100 is arbitrary. */
#define SLUICE_URI_QUOTE_MAX	100

struct sluice_uri_reason {
	char *buf;
	size_t len;
};

int sluice_uri_refuse(const struct sluice_uri_reason *why, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* For "%.*s": at most SLUICE_URI_QUOTE_MAX. */
int sluice_uri_quote_len(size_t len);

/* Decimal digits only: no sign, no blanks, no "0x". */
bool sluice_uri_number(const char *text, size_t len, uint64_t max, uint64_t *out);

struct sluice_uri_scheme {
	const char *name;
	uint16_t port;			/* the default */
	bool user;			/* whether one may stand before the address */
};

/* ADDR[:PORT], with USER@ where the scheme has one. */
int sluice_uri_authority(const char *text, size_t len, const struct sluice_uri_scheme *scheme,
			 struct sluice_uri *uri, const struct sluice_uri_reason *why);

/*
 * Decodes %XX of @text, called @what in sentences, into @out of @size bytes. What
 * comes out has no control character and, unless @spaces, only printable ASCII.
 */
int sluice_uri_decode(const char *text, size_t len, const char *what, bool spaces, char *out,
		      size_t size, const struct sluice_uri_reason *why);

struct sluice_uri_option {
	const char *name;
	const char *form;		/* how it is written, "nsid=N" */
	char *value;			/* of size bytes; what it is set to */
	size_t size;
	bool seen;
};

/* What follows the "?": each of @options at most once, none without a value. */
int sluice_uri_query(const char *text, struct sluice_uri_option *options, size_t count,
		     const struct sluice_uri_reason *why);

/* "crc32c" or "none" of the option @what. */
int sluice_uri_digest(const char *text, const char *what, bool *wanted,
		      const struct sluice_uri_reason *why);

/* The kinds; @text is what follows "KIND://". */
int sluice_uri_nvme_tcp(const char *text, struct sluice_uri *uri,
			const struct sluice_uri_reason *why);
int sluice_uri_iscsi(const char *text, struct sluice_uri *uri,
		     const struct sluice_uri_reason *why);
int sluice_uri_nbd(const char *text, struct sluice_uri *uri,
		   const struct sluice_uri_reason *why);
int sluice_uri_nbds(const char *text, struct sluice_uri *uri,
		    const struct sluice_uri_reason *why);
int sluice_uri_nbd_unix(const char *text, struct sluice_uri *uri,
			const struct sluice_uri_reason *why);

#endif /* SLUICE_URI_PARSE_H */
