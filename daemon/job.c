// SPDX-License-Identifier: GPL-2.0-or-later
#include "job.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"
#include "loop.h"

/*
 * All memory of the daemon is locked, stacks included, so the usual 8 MiB would
 * cost 8 MiB. libblkid's and libnvme's deepest paths stay below a quarter of it.
 */
#define STACK_BYTES	(512 * 1024)

static struct {
	pthread_mutex_t lock;		/* of finished */
	struct sluiced_job *finished;
	struct sluiced_loop *loop;
	struct sluiced_op poll;
	int event;
	unsigned int running;
} jobs = { .lock = PTHREAD_MUTEX_INITIALIZER, .event = -1 };

static void finish(struct sluiced_job *job)
{
	uint64_t one = 1;

	pthread_mutex_lock(&jobs.lock);
	job->next = jobs.finished;
	jobs.finished = job;
	pthread_mutex_unlock(&jobs.lock);
	/* It cannot be full: one of 2^64 - 2 wake-ups would be enough anyway. */
	while (write(jobs.event, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *run(void *arg)
{
	struct sluiced_job *job = arg;

	job->work(job);
	finish(job);
	return NULL;
}

static void handle_finished(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	struct sluiced_job *job, *next;
	uint64_t count;

	if (res > 0 && read(jobs.event, &count, sizeof(count)) < 0 && errno != EAGAIN)
		sluiced_log(LOG_ERR, "sluiced", "The event counter of jobs fails: %s.",
			    strerror(errno));
	if (!(flags & IORING_CQE_F_MORE))
		sluiced_loop_poll(jobs.loop, op, jobs.event, POLLIN);
	pthread_mutex_lock(&jobs.lock);
	job = jobs.finished;
	jobs.finished = NULL;
	pthread_mutex_unlock(&jobs.lock);
	for (; job; job = next) {
		next = job->next;
		job->running = false;
		jobs.running--;
		job->done(job);
	}
}

int sluiced_jobs_init(struct sluiced_loop *loop)
{
	jobs.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (jobs.event < 0)
		return -errno;
	jobs.loop = loop;
	jobs.poll.done = handle_finished;
	sluiced_loop_poll(loop, &jobs.poll, jobs.event, POLLIN);
	return 0;
}

void sluiced_job_start(struct sluiced_job *job)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	job->running = true;
	jobs.running++;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, run, job);
	pthread_attr_destroy(&attr);
	if (err) {
		sluiced_log(LOG_ERR, "sluiced", "No thread can be started: %s.", strerror(err));
		finish(job);
	}
}

unsigned int sluiced_jobs_running(void)
{
	return jobs.running;
}
