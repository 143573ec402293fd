// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/uri.c libcommon/uri_parse.c libcommon/uri_nvme.c libcommon/uri_iscsi.c libcommon/uri_nbd.c */
/*
 * Sources as an operator may mistype them. What parses is in the form that uri.h
 * promises and parses to the same when written out again; what does not comes
 * with a sentence that a terminal can show.
 */
#include "uri.h"
#include "must.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_why(const char *why)
{
	size_t len = strnlen(why, SLUICE_URI_WHY_LEN);

	/* Every one fits, so that the last character is the full stop. */
	must(len && len < SLUICE_URI_WHY_LEN && why[len - 1] == '.');
	for (; *why; why++)
		must((unsigned char)*why >= ' ' && *why != 0x7f);
}

static size_t escape(const char *text, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (; *text; text++)
		n += snprintf(out + n, size - n, "%%%02x", (unsigned char)*text);
	return n;
}

static size_t write_authority(const struct sluice_uri *uri, char *out, size_t size)
{
	bool ipv6 = strchr(uri->host, ':');
	size_t n = escape(uri->user, out, size);

	return n + snprintf(out + n, size - n, "%s%s%s%s:%u/", n ? "@" : "", ipv6 ? "[" : "",
			    uri->host, ipv6 ? "]" : "", uri->port);
}

static void write_nbd(const struct sluice_uri *uri, char *out, size_t size)
{
	size_t n;

	if (uri->path[0]) {
		n = snprintf(out, size, "nbd+unix:///");
		n += escape(uri->export, out + n, size - n);
		n += snprintf(out + n, size - n, "?socket=/");
		escape(uri->path + 1, out + n, size - n);
		return;
	}
	n = snprintf(out, size, "nbd%s://", uri->tls ? "s" : "");
	n += write_authority(uri, out + n, size - n);
	n += escape(uri->export, out + n, size - n);
	if (uri->certificates[0]) {
		n += snprintf(out + n, size - n, "?tls-certificates=");
		escape(uri->certificates, out + n, size - n);
	} else if (uri->psk_file[0]) {
		n += snprintf(out + n, size - n, "?tls-psk-file=");
		escape(uri->psk_file, out + n, size - n);
	}
}

static void write_out(const struct sluice_uri *uri, char *out, size_t size)
{
	size_t n;

	switch (uri->kind) {
	case SLUICE_URI_FILE:
		snprintf(out, size, "file://%s", uri->path);
		break;
	case SLUICE_URI_NBD:
		write_nbd(uri, out, size);
		break;
	case SLUICE_URI_ISCSI:
		n = snprintf(out, size, "iscsi://");
		n += write_authority(uri, out + n, size - n);
		n += escape(uri->iqn, out + n, size - n);
		snprintf(out + n, size - n, "/%u?header-digest=%s", uri->lun,
			 uri->header_digest ? "crc32c" : "none");
		break;
	case SLUICE_URI_NVME_TCP:
		n = snprintf(out, size, "nvme-tcp://");
		n += write_authority(uri, out + n, size - n);
		n += escape(uri->nqn, out + n, size - n);
		n += snprintf(out + n, size - n, "?header-digest=%s&data-digest=%s%s",
			      uri->header_digest ? "crc32c" : "none",
			      uri->data_digest ? "crc32c" : "none", uri->tls ? "&tls=psk" : "");
		if (uri->nsid)
			snprintf(out + n, size - n, "&nsid=%u", uri->nsid);
		else if (uri->nguid[0] || uri->uuid[0])
			snprintf(out + n, size - n, "&%s=%s%s", uri->uuid[0] ? "uuid" : "nguid",
				 uri->uuid, uri->nguid);
		break;
	}
}

static void check_name(const char *name, size_t size)
{
	must(strnlen(name, size) < size);
	for (; *name; name++)
		must(*name > ' ' && *name < 0x7f);
}

static void check_authority(const struct sluice_uri *uri)
{
	unsigned char addr[16];
	const char *p;

	must(uri->port && uri->host[0]);
	must(strnlen(uri->host, sizeof(uri->host)) < sizeof(uri->host));
	must(!strchr(uri->host, ':') || inet_pton(AF_INET6, uri->host, addr) == 1);
	for (p = uri->host; *p; p++)
		must(*p > ' ' && *p < 0x7f && !strchr("[]/?#@%", *p));
	check_name(uri->user, sizeof(uri->user));
}

static void check_uri(const struct sluice_uri *uri)
{
	static char text[4 * PATH_MAX];
	static struct sluice_uri again;
	char why[SLUICE_URI_WHY_LEN];

	must(strnlen(uri->path, sizeof(uri->path)) < sizeof(uri->path));
	must(!uri->path[0] || uri->path[0] == '/');
	if (uri->kind == SLUICE_URI_FILE) {
		must(!uri->host[0] && !uri->port && !uri->nqn[0] && !uri->nsid);
		must(uri->path[strspn(uri->path, "/")]);
	} else if (uri->kind == SLUICE_URI_NBD && uri->path[0]) {
		must(!uri->host[0] && !uri->port && !uri->tls && !uri->user[0]);
	} else {
		must(!uri->path[0]);
		check_authority(uri);
	}
	if (uri->kind == SLUICE_URI_NVME_TCP) {
		check_name(uri->nqn, sizeof(uri->nqn));
		must(!strncmp(uri->nqn, "nqn.", 4) && uri->nqn[4]);
		must(uri->nsid != UINT32_MAX && !uri->user[0]);
		must(!!uri->nsid + !!uri->nguid[0] + !!uri->uuid[0] <= 1);
	}
	if (uri->kind == SLUICE_URI_ISCSI)
		check_name(uri->iqn, sizeof(uri->iqn));
	must(!!uri->certificates[0] + !!uri->psk_file[0] ==
	     (uri->tls && uri->kind == SLUICE_URI_NBD));
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
