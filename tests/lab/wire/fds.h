/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes with file descriptors over a UNIX socket. */
#ifndef LAB_FDS_H
#define LAB_FDS_H

#include <stddef.h>
#include <sys/types.h>

#define FDS_MAX	16	/* more than any peer sends with reason */

/*
 * All of it without waiting, or -errno: a peer that does not empty its socket is
 * not worth more.
 */
int fds_send(int socket, const void *data, size_t bytes, const int *fds, unsigned int count);

/*
 * As read() without waiting. Descriptors that came along are appended to fds up
 * to FDS_MAX; what is more is closed, and the call fails with -EPROTO.
 */
ssize_t fds_receive(int socket, void *data, size_t bytes, int *fds, unsigned int *count);

void fds_close(int *fds, unsigned int *count);

#endif
