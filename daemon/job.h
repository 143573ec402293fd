/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs: work that blocks (connecting, formatting, configfs, modprobe) in a
 * short-lived thread of its own, its result handled by the loop's thread.
 *
 * A job is embedded in its caller's object, which must live until done(). What
 * the work touches belongs to the job until then.
 */
#ifndef SLUICED_JOB_H
#define SLUICED_JOB_H

#include <stdbool.h>

struct sluiced_loop;

struct sluiced_job {
	void (*work)(struct sluiced_job *job);	/* in the job's thread */
	void (*done)(struct sluiced_job *job);	/* in the loop's thread */
	bool running;				/* of the loop's thread */
	struct sluiced_job *next;
};

/* Once, before the first job; the loop must outlive the process's jobs. */
int sluiced_jobs_init(struct sluiced_loop *loop);

/*
 * Starts work() in a thread; done() follows from the loop. When there can be no
 * more threads, done() follows without work(): results must start out as errors.
 */
void sluiced_job_start(struct sluiced_job *job);

/* Jobs whose done() has not run yet. */
unsigned int sluiced_jobs_running(void);

#endif /* SLUICED_JOB_H */
