// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Any number will do, what is left is reported again. */
#define EVENTS	16

static int epoll = -1;
static bool ended;
static struct timespec start;

static void end(struct watch *watch)
{
	(void)watch;
	ended = true;
}

static struct watch signals = { .fd = -1, .ready = end };

uint64_t loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start.tv_sec) * 1000ll + (now.tv_nsec - start.tv_nsec) / 1000000;
}

void loop_say(const char *format, ...)
{
	const uint64_t now = loop_now_ms();
	va_list args;

	fprintf(stderr, "[%4llu.%03llu] ", (unsigned long long)now / 1000,
		(unsigned long long)now % 1000);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void loop_init(void)
{
	sigset_t set;

	clock_gettime(CLOCK_MONOTONIC, &start);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (epoll < 0 || signals.fd < 0)
		err(1, "no event loop");
	loop_add(&signals);
}

void loop_add(struct watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		err(1, "cannot watch file descriptor %d", watch->fd);
}

void loop_remove(struct watch *watch)
{
	if (watch->fd >= 0)
		epoll_ctl(epoll, EPOLL_CTL_DEL, watch->fd, NULL);
}

void loop_run(void)
{
	struct epoll_event events[EVENTS];

	while (!ended) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			err(1, "epoll");
		for (int i = 0; i < n; i++) {
			struct watch *watch = events[i].data.ptr;

			/*
			 * The one before may have closed it. Another one under
			 * the same number finds nothing to read, and returns.
			 */
			if (watch->fd >= 0)
				watch->ready(watch);
		}
	}
}

int loop_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		errx(1, "the path of a socket is at most %zu long: %s",
		     sizeof(address.sun_path) - 1, path);
	memcpy(address.sun_path, path, strlen(path));
	unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 4) < 0)
		err(1, "cannot listen on %s", path);
	return fd;
}

bool loop_drain(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}
