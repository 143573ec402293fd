/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's one event loop: an io_uring with 128-byte entries, and timers.
 * Everything here belongs to the thread that made the loop.
 *
 * An operation is embedded in its caller's object, which must live and stay
 * where it is until the operation is over: after done() without
 * IORING_CQE_F_MORE in @flags. done() is only ever called from
 * sluiced_loop_run(), never from the function that starts the operation; it may
 * start operations, also itself again.
 */
#ifndef SLUICED_LOOP_H
#define SLUICED_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <liburing.h>

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

struct sluiced_op {
	void (*done)(struct sluiced_op *op, int32_t res, uint32_t flags);
};

/* Runs once; fire() may start it again. Zeroed memory is an idle timer. */
struct sluiced_timer {
	void (*fire)(struct sluiced_timer *timer);
	uint64_t at_ms;
	bool armed;
	struct sluiced_timer *next, **prev;
};

struct sluiced_loop {
	struct io_uring ring;
	struct sluiced_timer *timers;
	bool stopping;
	/* After every round of completions and timers; may be NULL. */
	void (*after)(struct sluiced_loop *loop);
	struct io_uring_cqe *early;	/* reaped while starting an operation */
	size_t early_len, early_cap;
};

/* -ENOSYS, -EPERM or -EOPNOTSUPP: this kernel has or allows no io_uring. */
int sluiced_loop_init(struct sluiced_loop *loop);
void sluiced_loop_exit(struct sluiced_loop *loop);

/* Until sluiced_loop_stop(), or -errno when the ring itself fails. */
int sluiced_loop_run(struct sluiced_loop *loop);
void sluiced_loop_stop(struct sluiced_loop *loop);

/* CLOCK_MONOTONIC in milliseconds and microseconds. Any thread. */
uint64_t sluiced_now_ms(void);
uint64_t sluiced_now_us(void);

/* Fires after @ms; moves the timer when it runs already. */
void sluiced_timer_start(struct sluiced_loop *loop, struct sluiced_timer *timer, uint64_t ms);
void sluiced_timer_stop(struct sluiced_timer *timer);

void sluiced_loop_read(struct sluiced_loop *loop, struct sluiced_op *op, int fd, void *buf,
		       unsigned int len, uint64_t offset);

/* Multishot: reports @events until it is cancelled or ends by itself. */
void sluiced_loop_poll(struct sluiced_loop *loop, struct sluiced_op *op, int fd,
		       unsigned int events);

/* Reports once, also what is there already. */
void sluiced_loop_poll_once(struct sluiced_loop *loop, struct sluiced_op *op, int fd,
			    unsigned int events);

void sluiced_loop_accept(struct sluiced_loop *loop, struct sluiced_op *op, int fd);
void sluiced_loop_recv(struct sluiced_loop *loop, struct sluiced_op *op, int fd, void *buf,
		       size_t len);
void sluiced_loop_send(struct sluiced_loop *loop, struct sluiced_op *op, int fd,
		       const void *buf, size_t len);

/*
 * Starts IORING_OP_URING_CMD @cmd_op and returns its command area of
 * SLUICED_CMD_LEN zeroed bytes, to be filled before the next call on the loop.
 */
#define SLUICED_CMD_LEN	80
void *sluiced_loop_command(struct sluiced_loop *loop, struct sluiced_op *op, int fd,
			   uint32_t cmd_op);

/* Asks for @target to end: its done() comes with -ECANCELED or its result. */
void sluiced_loop_cancel(struct sluiced_loop *loop, struct sluiced_op *target);

#endif /* SLUICED_LOOP_H */
