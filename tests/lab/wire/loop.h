/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One thread that waits for file descriptors. */
#ifndef LAB_LOOP_H
#define LAB_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct watch {
	int fd;			/* -1: not watched */
	void (*ready)(struct watch *watch);
};

/* All of them end the process when the kernel refuses. */
void loop_init(void);
/* watch->fd and watch->ready are set; level triggered, readable or hung up. */
void loop_add(struct watch *watch);
/* Does nothing to one that is not watched. Does not close. */
void loop_remove(struct watch *watch);
/* Until SIGTERM or SIGINT. */
void loop_run(void);

/* A listening socket at path, which is replaced. */
int loop_listen(const char *path);
/* Empties an eventfd or a timer; false if there was nothing in it. */
bool loop_drain(int fd);
/* Milliseconds since the start of the process. */
uint64_t loop_now_ms(void);
/* printf to stderr, with the time before it and a newline behind it. */
__attribute__((format(printf, 1, 2))) void loop_say(const char *format, ...);

#endif
