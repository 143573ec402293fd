// SPDX-License-Identifier: GPL-2.0-or-later
#include "fds.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/uio.h>

/* SCM_MAX_FD of the kernel: so that none is ever cut off, and lost. */
#define KERNEL_MAX	253

int fds_send(int socket, const void *data, size_t bytes, const int *fds, unsigned int count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = bytes };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (count) {
		struct cmsghdr *c = &control.align;

		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	return (size_t)n == bytes ? 0 : -EAGAIN;
}

static int take(const struct cmsghdr *c, int *fds, unsigned int *count)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int ret = 0;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (*count < FDS_MAX) {
			fds[(*count)++] = fd;
		} else {
			close(fd);
			ret = -EPROTO;
		}
	}
	return ret;
}

ssize_t fds_receive(int socket, void *data, size_t bytes, int *fds, unsigned int *count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(KERNEL_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = bytes };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int ret = 0;

	n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			ret = take(c, fds, count) ?: ret;
	}
	return ret ?: n;
}

void fds_close(int *fds, unsigned int *count)
{
	while (*count)
		close(fds[--*count]);
}
