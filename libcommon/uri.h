/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where an image is:
 *
 *	nvme-tcp://ADDR[:PORT]/NQN[?nsid=N]
 *	file:PATH	or file:///PATH
 *
 * ADDR is an IPv4 address, an IPv6 address in brackets or a host name. %XX in
 * the NQN stands for the byte XX. PATH is absolute and taken as it is, "%" and
 * "?" included; it names a regular file or a block device.
 */
#ifndef SLUICE_URI_H
#define SLUICE_URI_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define SLUICE_NVME_TCP_PORT	4420

enum sluice_uri_kind {
	SLUICE_URI_NVME_TCP,
	SLUICE_URI_FILE,
};

/* Members of the other kind are empty. */
struct sluice_uri {
	enum sluice_uri_kind kind;
	char host[256];		/* without brackets */
	uint16_t port;
	char nqn[224];		/* decoded: "nqn." and printable ASCII, no space */
	uint32_t nsid;		/* 0: the only one */
	char path[PATH_MAX];
};

/*
 * 0, or -EINVAL with a sentence for people in @why (SLUICE_URI_WHY_LEN bytes
 * hold every one) and @uri undefined. Looks nothing up.
 */
#define SLUICE_URI_WHY_LEN	512
int sluice_uri_parse(const char *text, struct sluice_uri *uri, char *why, size_t why_len);

#endif /* SLUICE_URI_H */
