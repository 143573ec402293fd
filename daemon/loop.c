// SPDX-License-Identifier: GPL-2.0-or-later
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"

/*
 * 256 operations started between two waits are more than the copy and a full
 * event ring's demand need at once; 4096 completions are more than all that can
 * be in flight, so that the kernel's overflow list stays out of it.
 */
#define SQ_ENTRIES	256
#define CQ_ENTRIES	4096

/* Bounds how late the ring is looked at when no timer runs. */
#define LONGEST_WAIT_MS	10000

/* Completions handled between two looks at the timers. */
#define BATCH		64

int sluiced_loop_init(struct sluiced_loop *loop)
{
	/*
	 * Most wanted first: SINGLE_ISSUER needs 6.0, DEFER_TASKRUN 6.1, and a
	 * sandbox may filter what it does not know.
	 */
	static const unsigned int wishes[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	size_t i;
	int err = -EINVAL;

	memset(loop, 0, sizeof(*loop));
	for (i = 0; err && i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		struct io_uring_params params = {
			.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQSIZE | wishes[i],
			.cq_entries = CQ_ENTRIES,
		};

		err = io_uring_queue_init_params(SQ_ENTRIES, &loop->ring, &params);
		if (!err && !(params.features & IORING_FEAT_EXT_ARG)) {
			io_uring_queue_exit(&loop->ring);
			return -EOPNOTSUPP;
		}
	}
	return err;
}

void sluiced_loop_exit(struct sluiced_loop *loop)
{
	io_uring_queue_exit(&loop->ring);
	free(loop->early);
}

uint64_t sluiced_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

uint64_t sluiced_now_ms(void)
{
	return sluiced_now_us() / 1000;
}

void sluiced_timer_stop(struct sluiced_timer *timer)
{
	if (!timer->armed)
		return;
	timer->armed = false;
	*timer->prev = timer->next;
	if (timer->next)
		timer->next->prev = timer->prev;
}

/*
 * A sorted list, not a heap: a deployment has a handful of timers and a machine
 * a handful of deployments. Not IORING_OP_TIMEOUT either: a timer that lives in
 * user space only is gone when it is stopped, without a completion to wait for.
 */
void sluiced_timer_start(struct sluiced_loop *loop, struct sluiced_timer *timer, uint64_t ms)
{
	struct sluiced_timer **at = &loop->timers;

	sluiced_timer_stop(timer);
	timer->at_ms = sluiced_now_ms() + ms;
	while (*at && (*at)->at_ms <= timer->at_ms)
		at = &(*at)->next;
	timer->next = *at;
	timer->prev = at;
	if (timer->next)
		timer->next->prev = &timer->next;
	*at = timer;
	timer->armed = true;
}

static void fire_timers(struct sluiced_loop *loop)
{
	uint64_t now = sluiced_now_ms();
	struct sluiced_timer *timer;

	while ((timer = loop->timers) && timer->at_ms <= now) {
		sluiced_timer_stop(timer);
		timer->fire(timer);
	}
}

static void keep_early(struct sluiced_loop *loop, const struct io_uring_cqe *cqe)
{
	size_t cap = loop->early_cap ? loop->early_cap * 2 : BATCH;
	struct io_uring_cqe *grown;

	if (loop->early_len == loop->early_cap) {
		grown = realloc(loop->early, cap * sizeof(*grown));
		if (!grown) {
			/* A completion that is lost leaves memory with the kernel for good. */
			sluiced_log(LOG_ERR, "sluiced", "There is no memory left to go on.");
			abort();
		}
		loop->early = grown;
		loop->early_cap = cap;
	}
	loop->early[loop->early_len++] = *cqe;
}

/* Takes completions out of the ring without handling them. */
static unsigned int reap(struct sluiced_loop *loop)
{
	struct io_uring_cqe *cqes[BATCH];
	unsigned int n, i;

	n = io_uring_peek_batch_cqe(&loop->ring, cqes, BATCH);
	for (i = 0; i < n; i++)
		keep_early(loop, cqes[i]);
	io_uring_cq_advance(&loop->ring, n);
	return n;
}

/*
 * Never fails: a full queue is submitted, and when the kernel wants completions
 * reaped first they are set aside, so that done() does not run underneath a
 * caller who is in the middle of starting something. The prep functions clear
 * user_data: it is set after them.
 */
static struct io_uring_sqe *entry(struct sluiced_loop *loop)
{
	struct io_uring_sqe *sqe;
	int ret;

	while (!(sqe = io_uring_get_sqe(&loop->ring))) {
		ret = io_uring_submit(&loop->ring);
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY) {
			sluiced_log(LOG_ERR, "sluiced", "The kernel refuses the ring: %s.",
				    strerror(-ret));
			abort();
		}
		if (ret <= 0)
			reap(loop);
	}
	memset(sqe, 0, 2 * sizeof(*sqe));
	return sqe;
}

void sluiced_loop_read(struct sluiced_loop *loop, struct sluiced_op *op, int fd, void *buf,
		       unsigned int len, uint64_t offset)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_read(sqe, fd, buf, len, offset);
	io_uring_sqe_set_data(sqe, op);
}

void sluiced_loop_poll(struct sluiced_loop *loop, struct sluiced_op *op, int fd,
		       unsigned int events)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_poll_multishot(sqe, fd, events);
	io_uring_sqe_set_data(sqe, op);
}

void sluiced_loop_poll_once(struct sluiced_loop *loop, struct sluiced_op *op, int fd,
			    unsigned int events)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_poll_add(sqe, fd, events);
	io_uring_sqe_set_data(sqe, op);
}

void sluiced_loop_accept(struct sluiced_loop *loop, struct sluiced_op *op, int fd)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, op);
}

void sluiced_loop_recv(struct sluiced_loop *loop, struct sluiced_op *op, int fd, void *buf,
		       size_t len)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_recv(sqe, fd, buf, len, 0);
	io_uring_sqe_set_data(sqe, op);
}

void sluiced_loop_send(struct sluiced_loop *loop, struct sluiced_op *op, int fd,
		       const void *buf, size_t len)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_send(sqe, fd, buf, len, MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, op);
}

void *sluiced_loop_command(struct sluiced_loop *loop, struct sluiced_op *op, int fd,
			   uint32_t cmd_op)
{
	struct io_uring_sqe *sqe = entry(loop);

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = cmd_op;
	io_uring_sqe_set_data(sqe, op);
	return sqe->cmd;
}

void sluiced_loop_cancel(struct sluiced_loop *loop, struct sluiced_op *target)
{
	struct io_uring_sqe *sqe = entry(loop);

	io_uring_prep_cancel(sqe, target, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

static void dispatch(const struct io_uring_cqe *cqe)
{
	struct sluiced_op *op = io_uring_cqe_get_data(cqe);

	if (op)
		op->done(op, cqe->res, cqe->flags);
}

/* Only what is there now: done() may set more aside. */
static void dispatch_early(struct sluiced_loop *loop)
{
	struct io_uring_cqe *cqes = loop->early;
	size_t n = loop->early_len, cap = loop->early_cap, i;

	loop->early = NULL;
	loop->early_len = 0;
	loop->early_cap = 0;
	for (i = 0; i < n; i++)
		dispatch(&cqes[i]);
	if (loop->early) {
		free(cqes);
		return;
	}
	loop->early = cqes;
	loop->early_cap = cap;
}

static int wait_for_work(struct sluiced_loop *loop)
{
	uint64_t now = sluiced_now_ms();
	uint64_t wait = LONGEST_WAIT_MS;
	struct __kernel_timespec ts;
	struct io_uring_cqe *cqe;
	int ret;

	if (loop->timers)
		wait = loop->timers->at_ms > now ? loop->timers->at_ms - now : 0;
	if (wait > LONGEST_WAIT_MS)
		wait = LONGEST_WAIT_MS;
	if (loop->early_len)
		wait = 0;
	ts.tv_sec = wait / 1000;
	ts.tv_nsec = wait % 1000 * 1000000;
	ret = io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1, &ts, NULL);
	if (ret < 0 && ret != -ETIME && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return ret;
	return 0;
}

int sluiced_loop_run(struct sluiced_loop *loop)
{
	int err;

	loop->stopping = false;
	while (!loop->stopping) {
		err = wait_for_work(loop);
		if (err)
			return err;
		/* One copy a completion is nothing beside the I/O it stands for. */
		while (reap(loop) == BATCH)
			;
		dispatch_early(loop);
		fire_timers(loop);
		if (loop->after)
			loop->after(loop);
	}
	return 0;
}

void sluiced_loop_stop(struct sluiced_loop *loop)
{
	loop->stopping = true;
}
