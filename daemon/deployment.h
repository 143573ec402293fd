/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One deployment, from the moment its device is open in the kernel: attaches,
 * keeps the copy going, serves demand, verifies and completes. Of the loop's
 * thread.
 *
 *	OPENING --> ATTACHING --> RUNNING <--> COMPLETING --> COMPLETE
 *	                             any --> FAILED
 *
 * Whatever happens to the source or to us, the device goes on serving blocks that
 * are resident.
 */
#ifndef SLUICED_DEPLOYMENT_H
#define SLUICED_DEPLOYMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "copier.h"
#include "daemon.h"
#include "device.h"
#include "estimate.h"
#include "events.h"
#include "fault.h"
#include "job.h"
#include "recording.h"
#include "state.h"
#include "supply.h"
#include "sysfs.h"

enum sluiced_stage {
	SLUICED_OPENING,		/* a job gets the device open */
	SLUICED_ATTACHING,
	SLUICED_RUNNING,
	SLUICED_COMPLETING,
	SLUICED_COMPLETE,
	SLUICED_STAGE_FAILED,		/* nothing is committed any more */
};

/* The answer to a request; @fault is NULL when it was done. */
typedef void (*sluiced_answer_t)(void *ctx, const struct sluiced_fault *fault);

/* Blocking work of a deployment, one at a time: see sluiced_deployment_task(). */
struct sluiced_task {
	struct sluiced_job job;
	bool (*work)(struct sluiced_task *task);
	void (*done)(struct sluiced_deployment *d, struct sluiced_task *task);
	bool ok;
	struct sluiced_fault fault;	/* when it is not ok */
	int err;
	struct sluiced_exported of;
	struct sluiced_export exports[SLUICED_MAX_EXPORTS];
	size_t export_count;
	size_t shared_left;		/* exports of the shared subsystem that stay up */
	const struct sluice_attachment *att;
	char uri[SLUICED_URI_LEN];
	struct sluice_image image;
};

struct sluiced_deployment {
	struct sluiced_daemon *daemon;
	struct sluiced_deployment *next, **prev;
	struct sluiced_record record;
	enum sluiced_stage stage;
	bool known;			/* the device is open: index is valid */
	uint32_t index;
	dev_t local;			/* 0 while not known */
	uint64_t generation;		/* of the last attachment */

	bool attached;
	struct sluiced_device device;
	bool copying;			/* the copier is there */
	struct sluiced_copier copier;
	struct sluiced_supply supply;
	struct sluiced_source *initial;	/* opened by the request, not yet used */

	char error[SLUICED_WHY_LEN];	/* why it is stalled or failed, or empty */
	bool stalled;
	uint64_t stalled_at, insisted_at;
	uint64_t patient_until;		/* with a slow path */
	bool had_source;
	bool sealed;			/* its map cannot be written: nothing gets local any more */

	struct sluice_profile profile;	/* fetched first; fits the image once attached */
	bool profile_other;		/* it was made from another image */
	char profile_digest[SLUICE_PROFILE_DIGEST_LEN];	/* of all of it; empty without one */
	uint64_t profile_clipped;	/* bytes of it behind the image's end */
	struct sluiced_recording recording;

	struct sluiced_disk_reads reads;	/* at the last tick */
	struct sluiced_timer tick, retry;
	uint64_t attach_since;
	struct sluiced_estimate estimate;

	bool busy;			/* a task or a request is under way */
	struct sluiced_task task;
	bool exports_down;		/* some could not be made */
	struct sluiced_timer exports_timer;

	struct sluiced_timer quiet;
	void (*then)(struct sluiced_deployment *d);
	bool gone;			/* quiesced because the daemon ends */

	struct sluiced_seen seen;	/* by those who watch */

	/* The request that is under way. */
	sluiced_answer_t answer;
	void *answer_ctx;
	void (*restored)(struct sluiced_deployment *d);
	uint64_t give_up_at;
};

/* For good: it ended, or its map cannot be written. */
static inline bool sluiced_deployment_has_failed(const struct sluiced_deployment *d)
{
	return d->stage == SLUICED_STAGE_FAILED || d->sealed;
}

/* A new one in SLUICED_OPENING; NULL without memory or room. */
struct sluiced_deployment *sluiced_deployment_new(struct sluiced_daemon *daemon,
						  const struct sluiced_record *record);

/* Quiesced or never opened, with no task. */
void sluiced_deployment_free(struct sluiced_deployment *d);

struct sluiced_deployment *sluiced_deployment_find(struct sluiced_daemon *daemon,
						   const char *name);

/* Saves the record; a failure is logged. */
void sluiced_deployment_save(struct sluiced_deployment *d);

/*
 * The device is open as /dev/sluice@index: attaches, brings exports up, then uses
 * @source or opens its own. Goes on by itself from here.
 */
void sluiced_deployment_begin(struct sluiced_deployment *d, uint32_t index,
			      struct sluiced_source *source);

/* Ends it for good: nothing is fetched or committed. With @keep also next time. */
void sluiced_deployment_fail(struct sluiced_deployment *d, bool keep, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Not yet what it should be; tries on. A sentence for Status and the log. */
void sluiced_deployment_trouble(struct sluiced_deployment *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void sluiced_deployment_pause(struct sluiced_deployment *d, bool paused);
void sluiced_deployment_limit(struct sluiced_deployment *d, uint64_t min_rate,
			      uint64_t max_rate);

/* Counters of the kernel, now. -ENODEV when there is no device. */
int sluiced_deployment_stat(const struct sluiced_deployment *d, struct sluice_counters *out);

/*
 * Runs work() of d->task in a job, then @done in the loop. Only while not busy,
 * and busy until @done returns; task->fault explains what is not ok.
 */
void sluiced_deployment_task(struct sluiced_deployment *d,
			     bool (*work)(struct sluiced_task *task),
			     void (*done)(struct sluiced_deployment *d,
					  struct sluiced_task *task));

/*
 * Stops copying, closes the source and detaches, then calls @then from the loop.
 * What is under way ends first. One at a time: d->then is set meanwhile.
 */
void sluiced_deployment_quiesce(struct sluiced_deployment *d,
				void (*then)(struct sluiced_deployment *d));

#endif /* SLUICED_DEPLOYMENT_H */
