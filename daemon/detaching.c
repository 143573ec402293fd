// SPDX-License-Identifier: GPL-2.0-or-later
#include "detaching.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exporting.h"
#include "log.h"

/* Others look at new devices for a moment, and targets let go a little late. */
#define PATIENCE_MS	2000
#define POLL_MS		50

/* Of one request; d->answer_ctx points to it. */
struct detaching {
	struct sluiced_deployment *d;
	sluiced_answer_t answer;
	void *ctx;
	struct sluiced_export exports[SLUICED_MAX_EXPORTS];
	size_t export_count;
	uint64_t give_up_at;
	struct sluiced_timer timer;
};

static void finish(struct detaching *detaching, const struct sluiced_fault *fault)
{
	sluiced_answer_t answer = detaching->answer;
	void *ctx = detaching->ctx;

	free(detaching);
	answer(ctx, fault);
}

/* Puts the record back as it was. */
static void keep_exports(struct detaching *detaching)
{
	struct sluiced_record *record = &detaching->d->record;

	memcpy(record->exports, detaching->exports, sizeof(record->exports));
	record->export_count = detaching->export_count;
	sluiced_deployment_save(detaching->d);
}

static void in_use(struct sluiced_deployment *d, struct sluiced_fault *fault)
{
	sluiced_fault(fault, SLUICED_IN_USE,
		      "The device /dev/sluice%u of %s is open: unmount it or stop what uses it.",
		      d->index, d->record.name);
}

/* Runs in a job. */
static bool close_work(struct sluiced_task *task)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000 };
	struct sluiced_deployment *d = container_of(task, struct sluiced_deployment, task);
	struct sluice_counters now = { 0 };
	unsigned int ms;
	int fd, err;

	fd = sluice_control_open();
	if (fd < 0) {
		task->err = fd;
		return sluiced_fault(&task->fault, SLUICED_MODULE,
				     "The kernel module does not answer: %s.", strerror(-fd));
	}
	sluice_control_stat(fd, task->of.index, &now);
	err = sluice_control_sync(fd, task->of.index);
	/* Where metadata failed for good there is nothing left to make durable. */
	if (err && err != -ENODEV && now.state != SLUICE_STATE_FAILED &&
	    d->stage != SLUICED_STAGE_FAILED) {
		task->err = err;
		close(fd);
		return sluiced_fault(&task->fault, SLUICED_FAILED,
				     "What the host wrote to %s cannot be made durable: %s.",
				     d->record.local, strerror(-err));
	}
	for (ms = 0; ms < PATIENCE_MS; ms += POLL_MS) {
		err = sluice_control_close_device(fd, task->of.index);
		if (err != -EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	close(fd);
	task->err = err == -ENODEV ? 0 : err;
	if (task->err == -EBUSY)
		in_use(d, &task->fault);
	else if (task->err)
		sluiced_fault(&task->fault, SLUICED_FAILED,
			      "The kernel does not remove /dev/sluice%u: %s.", task->of.index,
			      strerror(-task->err));
	return !task->err;
}

static void forget(struct detaching *detaching)
{
	struct sluiced_deployment *d = detaching->d;
	int err = sluiced_state_remove(d->daemon->state_dir, d->record.name);

	if (err)
		sluiced_log(LOG_ERR, d->record.name,
			    "The state file in %s cannot be removed: %s.", d->daemon->state_dir,
			    strerror(-err));
	sluiced_log(LOG_NOTICE, d->record.name, "Detached; %s keeps the deployment.",
		    d->record.local);
	sluiced_deployment_free(d);
	finish(detaching, NULL);
}

static void close_done(struct sluiced_deployment *d, struct sluiced_task *task)
{
	struct detaching *detaching = d->answer_ctx;
	struct sluiced_fault fault = task->fault;

	if (task->ok)
		return forget(detaching);
	keep_exports(detaching);
	sluiced_deployment_begin(d, d->index, NULL);
	finish(detaching, &fault);
}

static void quiet(struct sluiced_deployment *d)
{
	struct detaching *detaching = d->answer_ctx;

	d->busy = false;
	if (!d->known)
		return forget(detaching);
	d->task.of.index = d->index;
	sluiced_deployment_task(d, close_work, close_done);
}

/* Before anything stops: a device in use must not lose its copy for a moment. */
static void look(struct detaching *detaching)
{
	struct sluiced_deployment *d = detaching->d;
	struct sluice_counters now;
	struct sluiced_fault fault;

	if (d->then) {
		/* It is completing; that goes first. */
		sluiced_timer_start(&d->daemon->loop, &detaching->timer, POLL_MS);
		return;
	}
	if (sluiced_deployment_stat(d, &now) || !now.open_count)
		return sluiced_deployment_quiesce(d, quiet);
	if (sluiced_now_ms() < detaching->give_up_at) {
		sluiced_timer_start(&d->daemon->loop, &detaching->timer, POLL_MS);
		return;
	}
	d->busy = false;
	in_use(d, &fault);
	keep_exports(detaching);
	sluiced_exporting_restore(d, NULL);
	finish(detaching, &fault);
}

static void look_again(struct sluiced_timer *timer)
{
	look(container_of(timer, struct detaching, timer));
}

static void exports_down(void *ctx, const struct sluiced_fault *fault)
{
	struct detaching *detaching = ctx;

	if (fault)
		return finish(detaching, fault);
	detaching->d->busy = true;
	detaching->d->answer_ctx = detaching;
	detaching->give_up_at = sluiced_now_ms() + PATIENCE_MS;
	look(detaching);
}

void sluiced_detaching_start(struct sluiced_deployment *d, sluiced_answer_t answer, void *ctx)
{
	struct detaching *detaching = calloc(1, sizeof(*detaching));
	struct sluiced_fault fault;

	if (!detaching) {
		sluiced_fault(&fault, SLUICED_FAILED, "There is no memory to detach %s.",
			      d->record.name);
		return answer(ctx, &fault);
	}
	detaching->d = d;
	detaching->answer = answer;
	detaching->ctx = ctx;
	detaching->timer.fire = look_again;
	memcpy(detaching->exports, d->record.exports, sizeof(detaching->exports));
	detaching->export_count = d->record.export_count;
	sluiced_exporting_remove(d, NULL, exports_down, detaching);
}
