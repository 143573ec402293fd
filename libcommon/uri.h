/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where an image is:
 *
 *	nvme-tcp://ADDR[:PORT]/NQN[?nsid=N|nguid=HEX|uuid=UUID]
 *		and header-digest=crc32c|none, data-digest=crc32c|none, tls=psk
 *	iscsi://[USER@]ADDR[:PORT]/IQN/LUN[?header-digest=crc32c|none]
 *	nbd://ADDR[:PORT][/EXPORT]
 *	nbds://[USER@]ADDR[:PORT][/EXPORT]?tls-certificates=DIR|tls-psk-file=FILE
 *	nbd+unix:///[EXPORT]?socket=PATH
 *	file:PATH	or file:///PATH
 *
 * ADDR is an IPv4 address, an IPv6 address in brackets or a host name. %XX stands
 * for the byte XX, except in the PATH of a file: that is absolute, taken as it is,
 * "%" and "?" included, and names a regular file or a block device. No form holds
 * a secret: USER is a name, whose secret is somewhere else.
 */
#ifndef SLUICE_URI_H
#define SLUICE_URI_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLUICE_NVME_TCP_PORT	4420
#define SLUICE_ISCSI_PORT	3260
#define SLUICE_NBD_PORT		10809

enum sluice_uri_kind {
	SLUICE_URI_NVME_TCP,
	SLUICE_URI_FILE,
	SLUICE_URI_NBD,
	SLUICE_URI_ISCSI,
};

/* Decoded. Members of other kinds are empty. */
struct sluice_uri {
	enum sluice_uri_kind kind;
	char host[256];		/* without brackets; empty for a socket */
	uint16_t port;
	char user[64];		/* iSCSI, NBD with TLS; printable ASCII, no space */
	char nqn[224];		/* "nqn." and printable ASCII, no space */
	uint32_t nsid;		/* 0: the only one, or the one of */
	char nguid[33];		/* this NGUID, 32 lower-case hexadecimal digits, or */
	char uuid[33];		/* this UUID, likewise */
	char iqn[224];		/* "iqn.", "eui." or "naa.", printable ASCII, no space */
	uint32_t lun;
	bool header_digest;	/* iSCSI, NVMe */
	bool data_digest;	/* NVMe */
	char export[256];	/* of NBD, often empty; no control character */
	bool tls;		/* NBD, NVMe */
	char certificates[256];	/* of NBD with TLS, this directory or */
	char psk_file[256];	/* that file */
	char path[PATH_MAX];	/* of a file, or of NBD's socket; absolute */
};

/*
 * 0, or -EINVAL with a sentence for people in @why (SLUICE_URI_WHY_LEN bytes
 * hold every one) and @uri undefined. Looks nothing up.
 */
#define SLUICE_URI_WHY_LEN	512
int sluice_uri_parse(const char *text, struct sluice_uri *uri, char *why, size_t why_len);

#endif /* SLUICE_URI_H */
