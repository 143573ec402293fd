/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The secrets of sources, from a file that only its owner may read. A line is one
 * of these, its fields separated by blanks; "#" begins a comment, NAME may be "*":
 *
 *	iscsi NAME USER SECRET [TARGET-USER TARGET-SECRET]
 *	nvme NAME KEY [CONTROLLER-KEY]
 *
 * The file is read at every opening of a source: a changed secret needs no restart.
 */
#ifndef SLUICED_CREDENTIALS_H
#define SLUICED_CREDENTIALS_H

#include <stddef.h>

/* libiscsi takes 255 bytes; NVMe keys have at most 109. */
#define SLUICED_SECRET_LEN	256

#define SLUICED_CREDENTIALS_FILE	"/etc/sluice/credentials"

/* Fields that are not there are empty. */
struct sluiced_credentials {
	char user[SLUICED_SECRET_LEN];
	char secret[SLUICED_SECRET_LEN];
	char peer_user[SLUICED_SECRET_LEN];
	char peer_secret[SLUICED_SECRET_LEN];
};

/*
 * The first line of @kind for @name, and for @user where that is not empty, in
 * the file @path. -ENOENT when there is none (with no sentence), or another -errno
 * with a sentence in @why that holds no secret. sluiced_credentials_clear() after
 * use.
 */
int sluiced_credentials_find(struct sluiced_credentials *out, const char *path,
			     const char *kind, const char *name, const char *user, char *why,
			     size_t why_len);

void sluiced_credentials_clear(struct sluiced_credentials *credentials);

#endif /* SLUICED_CREDENTIALS_H */
