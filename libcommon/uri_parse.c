// SPDX-License-Identifier: GPL-2.0-or-later
/* The parts that URIs of several kinds have. */
#include "uri_parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int sluice_uri_refuse(const struct sluice_uri_reason *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why->buf, why->len, fmt, args);
	va_end(args);
	return -EINVAL;
}

int sluice_uri_quote_len(size_t len)
{
	return len < SLUICE_URI_QUOTE_MAX ? (int)len : SLUICE_URI_QUOTE_MAX;
}

bool sluice_uri_number(const char *text, size_t len, uint64_t max, uint64_t *out)
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
		      const char **rest, const struct sluice_uri_reason *why)
{
	const char *end = memchr(text, ']', len);
	unsigned char addr[sizeof(struct in6_addr)];

	if (!end)
		return sluice_uri_refuse(why, "The IPv6 address has no closing \"]\".");
	len = end - (text + 1);
	if (!len)
		return sluice_uri_refuse(why, "There is no address between \"[\" and \"]\".");
	if (len < sizeof(uri->host)) {
		memcpy(uri->host, text + 1, len);
		uri->host[len] = '\0';
	}
	if (len >= sizeof(uri->host) || inet_pton(AF_INET6, uri->host, addr) != 1)
		return sluice_uri_refuse(why, "\"%.*s\" is not an IPv6 address.", sluice_uri_quote_len(len), text + 1);
	*rest = end + 1;
	return 0;
}

static int parse_name(const char *text, size_t len, struct sluice_uri *uri,
		      const char **rest, const struct sluice_uri_reason *why)
{
	const char *colon = memchr(text, ':', len);
	unsigned char addr[sizeof(struct in_addr)];

	if (colon && memchr(colon + 1, ':', len - (colon + 1 - text)))
		return sluice_uri_refuse(why, "The address has more than one \":\"; an IPv6 address goes "
			      "into brackets, as in \"[fd00::1]:4420\".");
	*rest = colon ? colon : text + len;
	len = *rest - text;
	if (!len)
		return sluice_uri_refuse(why, "The address before the port is empty.");
	if (len >= sizeof(uri->host))
		return sluice_uri_refuse(why, "The host name is longer than 253 characters.");
	memcpy(uri->host, text, len);
	uri->host[len] = '\0';

	/* What looks like an IPv4 address must be one: no resolver sees "10.0.0.300". */
	if (strspn(uri->host, "0123456789.") == len) {
		if (inet_pton(AF_INET, uri->host, addr) != 1)
			return sluice_uri_refuse(why, "\"%.*s\" is not an IPv4 address.", sluice_uri_quote_len(len),
				      text);
	} else if (!is_host_name(uri->host)) {
		return sluice_uri_refuse(why, "\"%.*s\" is not a valid host name.", sluice_uri_quote_len(len), text);
	}
	return 0;
}

static int parse_user(const char *text, size_t len, struct sluice_uri *uri,
		      const struct sluice_uri_reason *why)
{
	if (!len)
		return sluice_uri_refuse(why, "There is no user name before the \"@\".");
	if (memchr(text, ':', len))
		return sluice_uri_refuse(why, "A source takes no password; it goes into the "
					 "credentials file of sluiced.");
	return sluice_uri_decode(text, len, "user name", false, uri->user, sizeof(uri->user),
				 why);
}

int sluice_uri_authority(const char *text, size_t len, const struct sluice_uri_scheme *scheme,
			 struct sluice_uri *uri, const struct sluice_uri_reason *why)
{
	const char *rest = text, *at = memchr(text, '@', len);
	uint64_t port;
	int err;

	if (at && !scheme->user)
		return sluice_uri_refuse(why, "A source takes no user name or password before "
					 "its address.");
	if (at) {
		err = parse_user(text, at - text, uri, why);
		if (err)
			return err;
		len -= at + 1 - text;
		text = at + 1;
	}
	if (!len)
		return sluice_uri_refuse(why, "There is no address after \"%s://\".",
					 scheme->name);
	if (*text == '[')
		err = parse_ipv6(text, len, uri, &rest, why);
	else
		err = parse_name(text, len, uri, &rest, why);
	if (err)
		return err;

	uri->port = scheme->port;
	len -= rest - text;
	if (!len)
		return 0;
	if (*rest != ':')
		return sluice_uri_refuse(why, "Only \":PORT\" may follow the \"]\" of an IPv6 "
					 "address.");
	if (len == 1)
		return sluice_uri_refuse(why, "The port after \":\" is empty; leave the \":\" "
					 "out for %d.", scheme->port);
	if (!sluice_uri_number(rest + 1, len - 1, UINT16_MAX, &port) || !port)
		return sluice_uri_refuse(why, "\"%.*s\" is not a port from 1 to 65535.",
					 sluice_uri_quote_len(len - 1), rest + 1);
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

int sluice_uri_decode(const char *text, size_t len, const char *what, bool spaces, char *out,
		      size_t size, const struct sluice_uri_reason *why)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (c == '%') {
			int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

			if (low < 0)
				return sluice_uri_refuse(why, "In the %s, \"%%\" is not followed "
							 "by two hexadecimal digits; write %%25 "
							 "for the sign itself.", what);
			c = high << 4 | low;
			i += 2;
		}
		if (spaces && (c < ' ' || c == 0x7f))
			return sluice_uri_refuse(why, "The %s holds a control character.", what);
		if (!spaces && (c <= ' ' || c >= 0x7f))
			return sluice_uri_refuse(why, "The %s holds a space, a control character "
						 "or a byte outside ASCII.", what);
		if (n == size - 1)
			return sluice_uri_refuse(why, "The %s is longer than %zu bytes.", what,
						 size - 1);
		out[n++] = c;
	}
	out[n] = '\0';
	return 0;
}

static struct sluice_uri_option *find(struct sluice_uri_option *options, size_t count,
				      const char *key, size_t len)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strlen(options[i].name) == len && !memcmp(options[i].name, key, len))
			return &options[i];
	return NULL;
}

static int unknown(const char *key, size_t len, const struct sluice_uri_option *options,
		   size_t count, const struct sluice_uri_reason *why)
{
	char possible[SLUICE_URI_WHY_LEN / 2] = "none is possible";
	size_t n = 0, i;

	for (i = 0; i < count && n < sizeof(possible); i++)
		n += snprintf(possible + n, sizeof(possible) - n, "%s%s",
			      i ? " and " : "only ", options[i].form);
	if (n && n < sizeof(possible))
		snprintf(possible + n, sizeof(possible) - n, count > 1 ? " are possible" :
									  " is possible");
	return sluice_uri_refuse(why, "The option \"%.*s\" is unknown; %s.",
				 sluice_uri_quote_len(len), key, possible);
}

int sluice_uri_query(const char *text, struct sluice_uri_option *options, size_t count,
		     const struct sluice_uri_reason *why)
{
	struct sluice_uri_option *option;
	int err;

	if (!*text)
		return sluice_uri_refuse(why, "There is nothing after the \"?\".");
	for (;;) {
		size_t len = strcspn(text, "&");
		const char *equals = memchr(text, '=', len);
		size_t key_len = equals ? (size_t)(equals - text) : len;

		if (!key_len)
			return sluice_uri_refuse(why, "The query after \"?\" has an option "
						 "without a name.");
		option = find(options, count, text, key_len);
		if (!option)
			return unknown(text, key_len, options, count, why);
		if (option->seen)
			return sluice_uri_refuse(why, "The option %s is there twice.",
						 option->name);
		if (!equals || len == key_len + 1)
			return sluice_uri_refuse(why, "The option %s has no value; write %s.",
						 option->name, option->form);
		err = sluice_uri_decode(equals + 1, len - key_len - 1, option->name, true,
					option->value, option->size, why);
		if (err)
			return err;
		option->seen = true;
		text += len;
		if (!*text)
			return 0;
		text++;
	}
}

int sluice_uri_digest(const char *text, const char *what, bool *wanted,
		      const struct sluice_uri_reason *why)
{
	*wanted = !strcmp(text, "crc32c");
	if (*wanted || !strcmp(text, "none"))
		return 0;
	return sluice_uri_refuse(why, "\"%s\" is not a digest; %s is crc32c or none.", text,
				 what);
}
