// SPDX-License-Identifier: GPL-2.0-or-later
#include "uri.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Longest text from the URI repeated in a sentence. 100 is arbitrary. */
#define QUOTE_MAX	100

struct reason {
	char *buf;
	size_t len;
};

static int __attribute__((format(printf, 2, 3))) refuse(const struct reason *why,
							const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->buf, why->len, fmt, args);
	va_end(args);
	return -EINVAL;
}

static int quote_len(size_t len)
{
	return len < QUOTE_MAX ? (int)len : QUOTE_MAX;
}

/* Decimal digits only: no sign, no blanks, no "0x". */
static bool parse_number(const char *text, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;
	size_t i;

	/* No maximum used here has more than ten digits. */
	if (!len || len > 10)
		return false;
	for (i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*out = value;
	return value <= max;
}

static bool is_host_name(const char *host)
{
	const char *label = host;
	const char *p;

	if (strlen(host) > 253)
		return false;
	for (p = host;; p++) {
		if (*p == '.' || !*p) {
			if (p == label || p - label > 63 || *label == '-' || p[-1] == '-')
				return false;
			if (!*p)
				return true;
			label = p + 1;
		} else if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_') {
			return false;
		}
	}
}

static int parse_ipv6(const char *text, size_t len, struct sluice_uri *uri,
		      const char **rest, const struct reason *why)
{
	const char *end = memchr(text, ']', len);
	unsigned char addr[sizeof(struct in6_addr)];

	if (!end)
		return refuse(why, "The IPv6 address has no closing \"]\".");
	len = end - (text + 1);
	if (!len)
		return refuse(why, "There is no address between \"[\" and \"]\".");
	if (len < sizeof(uri->host)) {
		memcpy(uri->host, text + 1, len);
		uri->host[len] = '\0';
	}
	if (len >= sizeof(uri->host) || inet_pton(AF_INET6, uri->host, addr) != 1)
		return refuse(why, "\"%.*s\" is not an IPv6 address.", quote_len(len), text + 1);
	*rest = end + 1;
	return 0;
}

static int parse_name(const char *text, size_t len, struct sluice_uri *uri,
		      const char **rest, const struct reason *why)
{
	const char *colon = memchr(text, ':', len);
	unsigned char addr[sizeof(struct in_addr)];

	if (colon && memchr(colon + 1, ':', len - (colon + 1 - text)))
		return refuse(why, "The address has more than one \":\"; an IPv6 address goes "
			      "into brackets, as in \"[fd00::1]:4420\".");
	*rest = colon ? colon : text + len;
	len = *rest - text;
	if (!len)
		return refuse(why, "The address before the port is empty.");
	if (len >= sizeof(uri->host))
		return refuse(why, "The host name is longer than 253 characters.");
	memcpy(uri->host, text, len);
	uri->host[len] = '\0';

	/* What looks like an IPv4 address must be one: no resolver sees "10.0.0.300". */
	if (strspn(uri->host, "0123456789.") == len) {
		if (inet_pton(AF_INET, uri->host, addr) != 1)
			return refuse(why, "\"%.*s\" is not an IPv4 address.", quote_len(len),
				      text);
	} else if (!is_host_name(uri->host)) {
		return refuse(why, "\"%.*s\" is not a valid host name.", quote_len(len), text);
	}
	return 0;
}

static int parse_authority(const char *text, size_t len, struct sluice_uri *uri,
			   const struct reason *why)
{
	const char *rest = text;
	uint64_t port;
	int err;

	if (!len)
		return refuse(why, "There is no address after \"nvme-tcp://\".");
	if (memchr(text, '@', len))
		return refuse(why, "A source takes no user name or password before its address.");
	if (*text == '[')
		err = parse_ipv6(text, len, uri, &rest, why);
	else
		err = parse_name(text, len, uri, &rest, why);
	if (err)
		return err;

	uri->port = SLUICE_NVME_TCP_PORT;
	len -= rest - text;
	if (!len)
		return 0;
	if (*rest != ':')
		return refuse(why, "Only \":PORT\" may follow the \"]\" of an IPv6 address.");
	if (len == 1)
		return refuse(why, "The port after \":\" is empty; leave the \":\" out for %d.",
			      SLUICE_NVME_TCP_PORT);
	if (!parse_number(rest + 1, len - 1, UINT16_MAX, &port) || !port)
		return refuse(why, "\"%.*s\" is not a port from 1 to 65535.", quote_len(len - 1),
			      rest + 1);
	uri->port = port;
	return 0;
}

static int hex_digit(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	if (isxdigit((unsigned char)c))
		return tolower((unsigned char)c) - 'a' + 10;
	return -1;
}

static int parse_nqn(const char *text, size_t len, struct sluice_uri *uri,
		     const struct reason *why)
{
	size_t i, n = 0;

	if (!len)
		return refuse(why, "There is no NQN after the address; write "
			      "nvme-tcp://ADDR/NQN.");
	for (i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (c == '%') {
			int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

			if (low < 0)
				return refuse(why, "In the NQN, \"%%\" is not followed by two "
					      "hexadecimal digits; write %%25 for the sign "
					      "itself.");
			c = high << 4 | low;
			i += 2;
		}
		if (c <= ' ' || c >= 0x7f)
			return refuse(why, "The NQN holds a space, a control character or a byte "
				      "outside ASCII.");
		if (n == sizeof(uri->nqn) - 1)
			return refuse(why, "The NQN is longer than %zu bytes.",
				      sizeof(uri->nqn) - 1);
		uri->nqn[n++] = c;
	}
	uri->nqn[n] = '\0';
	if (strncmp(uri->nqn, "nqn.", 4) || n == 4)
		return refuse(why, "The NQN does not start with \"nqn.\" and a name.");
	return 0;
}

static int parse_query(const char *text, struct sluice_uri *uri, const struct reason *why)
{
	bool seen_nsid = false;
	uint64_t nsid;

	if (!*text)
		return refuse(why, "There is nothing after the \"?\".");
	for (;;) {
		size_t len = strcspn(text, "&");
		const char *equals = memchr(text, '=', len);
		size_t key_len = equals ? (size_t)(equals - text) : len;

		if (!key_len)
			return refuse(why, "The query after \"?\" has an option without a name.");
		if (key_len != 4 || memcmp(text, "nsid", 4))
			return refuse(why, "The option \"%.*s\" is unknown; only nsid=N is "
				      "possible.", quote_len(key_len), text);
		if (seen_nsid)
			return refuse(why, "The option nsid is there twice.");
		if (!equals || len == key_len + 1)
			return refuse(why, "The option nsid has no value; write nsid=N.");
		len -= key_len + 1;
		if (!parse_number(equals + 1, len, 0xfffffffe, &nsid) || !nsid)
			return refuse(why, "\"%.*s\" is not a namespace identifier from 1 to "
				      "4294967294.", quote_len(len), equals + 1);
		uri->nsid = nsid;
		seen_nsid = true;
		text = equals + 1 + len;
		if (!*text)
			return 0;
		text++;
	}
}

static int parse_nvme_tcp(const char *text, struct sluice_uri *uri, const struct reason *why)
{
	size_t len = strcspn(text, "/?#");
	const char *nqn = text + len;
	int err;

	uri->kind = SLUICE_URI_NVME_TCP;
	err = parse_authority(text, len, uri, why);
	if (err)
		return err;
	if (strchr(nqn, '#'))
		return refuse(why, "A source has no \"#\" part; write %%23 for the sign in an "
			      "NQN.");
	if (*nqn == '/')
		nqn++;
	len = strcspn(nqn, "?");
	err = parse_nqn(nqn, len, uri, why);
	if (err || !nqn[len])
		return err;
	return parse_query(nqn + len + 1, uri, why);
}

static int parse_file(const char *text, struct sluice_uri *uri, const struct reason *why)
{
	size_t len;

	uri->kind = SLUICE_URI_FILE;
	if (!*text)
		return refuse(why, "There is no path after \"file:\".");
	if (!strncmp(text, "//", 2)) {
		text += 2;
		if (*text != '/')
			return refuse(why, "A file has no host; write file:/PATH or file:///PATH.");
	}
	if (*text != '/')
		return refuse(why, "The path \"%.*s\" is not absolute; it starts with \"/\".",
			      quote_len(strlen(text)), text);
	len = strlen(text);
	if (len >= sizeof(uri->path))
		return refuse(why, "The path is longer than %zu bytes.", sizeof(uri->path) - 1);
	if (strspn(text, "/") == len)
		return refuse(why, "The path \"/\" is a directory; an image is a file or a block "
			      "device.");
	memcpy(uri->path, text, len + 1);
	return 0;
}

int sluice_uri_parse(const char *text, struct sluice_uri *uri, char *why_buf, size_t why_len)
{
	const struct reason why = { why_buf, why_len };
	const char *p;

	memset(uri, 0, sizeof(*uri));
	if (!*text)
		return refuse(&why, "The source is empty.");
	/* Before anything of it is repeated on somebody's terminal. */
	for (p = text; *p; p++)
		if (iscntrl((unsigned char)*p))
			return refuse(&why, "The source holds a control character.");

	if (!strncmp(text, "nvme-tcp://", 11))
		return parse_nvme_tcp(text + 11, uri, &why);
	if (!strncmp(text, "nvme-tcp:", 9))
		return refuse(&why, "\"nvme-tcp:\" is not followed by \"//\" and an address.");
	if (!strncmp(text, "file:", 5))
		return parse_file(text + 5, uri, &why);

	p = strchr(text, ':');
	if (!p || p == text)
		return refuse(&why, "\"%.*s\" is not a source; write nvme-tcp://ADDR/NQN or "
			      "file:PATH.", quote_len(strlen(text)), text);
	return refuse(&why, "The kind of source \"%.*s\" is unknown; there are nvme-tcp and file.",
		      quote_len(p - text), text);
}
