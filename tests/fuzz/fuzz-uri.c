// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/uri.c */
/*
 * Sources as an operator may mistype them. What parses is in the form that uri.h
 * promises and parses to the same when written out again; what does not comes
 * with a sentence that a terminal can show.
 */
#include "uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define must(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_why(const char *why)
{
	size_t len = strnlen(why, SLUICE_URI_WHY_LEN);

	/* Every one fits, so that the last character is the full stop. */
	must(len && len < SLUICE_URI_WHY_LEN && why[len - 1] == '.');
	for (; *why; why++)
		must((unsigned char)*why >= ' ' && *why != 0x7f);
}

static void write_out(const struct sluice_uri *uri, char *out, size_t size)
{
	bool ipv6 = strchr(uri->host, ':');
	size_t n, i;

	if (uri->kind == SLUICE_URI_FILE) {
		snprintf(out, size, "file://%s", uri->path);
		return;
	}
	n = snprintf(out, size, "nvme-tcp://%s%s%s:%u/", ipv6 ? "[" : "", uri->host,
		     ipv6 ? "]" : "", uri->port);
	for (i = 0; uri->nqn[i]; i++)
		n += snprintf(out + n, size - n, "%%%02x", (unsigned char)uri->nqn[i]);
	if (uri->nsid)
		snprintf(out + n, size - n, "?nsid=%u", uri->nsid);
}

static void check_uri(const struct sluice_uri *uri)
{
	static char text[2 * PATH_MAX];
	static struct sluice_uri again;
	char why[SLUICE_URI_WHY_LEN];
	unsigned char addr[16];
	const char *p;

	if (uri->kind == SLUICE_URI_FILE) {
		must(!uri->host[0] && !uri->port && !uri->nqn[0] && !uri->nsid);
		must(strnlen(uri->path, sizeof(uri->path)) < sizeof(uri->path));
		must(uri->path[0] == '/' && uri->path[strspn(uri->path, "/")]);
	} else {
		must(uri->kind == SLUICE_URI_NVME_TCP);
		must(!uri->path[0] && uri->port && uri->host[0]);
		must(strnlen(uri->host, sizeof(uri->host)) < sizeof(uri->host));
		must(strnlen(uri->nqn, sizeof(uri->nqn)) < sizeof(uri->nqn));
		must(!strncmp(uri->nqn, "nqn.", 4) && uri->nqn[4]);
		for (p = uri->nqn; *p; p++)
			must(*p > ' ' && *p < 0x7f);
		must(!strchr(uri->host, ':') || inet_pton(AF_INET6, uri->host, addr) == 1);
		for (p = uri->host; *p; p++)
			must(*p > ' ' && *p < 0x7f && !strchr("[]/?#@%", *p));
		must(uri->nsid != UINT32_MAX);
	}
	write_out(uri, text, sizeof(text));
	must(!sluice_uri_parse(text, &again, why, sizeof(why)));
	must(!memcmp(uri, &again, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sluice_uri uri;
	char why[SLUICE_URI_WHY_LEN], small[9];
	char *text;
	int err;

	/* Of its own size, for the sanitizer to see the end. */
	text = malloc(size + 1);
	must(text);
	memcpy(text, data, size);
	text[size] = '\0';
	memset(why, 'x', sizeof(why));
	err = sluice_uri_parse(text, &uri, why, sizeof(why));
	must(!err || err == -EINVAL);
	if (!err) {
		check_uri(&uri);
	} else {
		check_why(why);
		must(sluice_uri_parse(text, &uri, small, sizeof(small)) == -EINVAL);
		must(!strncmp(small, why, sizeof(small) - 1) && !small[sizeof(small) - 1]);
	}
	must(sluice_uri_parse(text, &uri, NULL, 0) == err);
	free(text);
	return 0;
}
