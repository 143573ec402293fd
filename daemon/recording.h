/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot profiles of a deployment: the one that it is deployed with, and the recording
 * of a new one. Of the loop's thread.
 *
 * Only misses are seen, so while one is recorded nothing but what the host waits for
 * is fetched: every block's first use is a miss then.
 */
#ifndef SLUICED_RECORDING_H
#define SLUICED_RECORDING_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "fault.h"
#include "profile.h"

struct sluiced_deployment;
struct json_object;

struct sluiced_recording {
	struct sluice_profile profile;
	bool on;
	bool full;			/* more was asked for than a profile holds */
	const char *ended;		/* by what, once it was begun and ended */
	uint64_t since, until;		/* until: at the latest */
	uint64_t quiet_ms;		/* without a miss, after the first; 0: no matter */
	uint64_t last;			/* miss; 0: none yet */
	uint64_t local_bytes;		/* that were local before, and are not seen */
};

/* 30 minutes: one that nobody ends holds up the copy no longer. */
#define SLUICED_RECORDING_MAX_MS	1800000

/* False with a fault when nothing can be recorded. @limit_ms is at most the above. */
bool sluiced_recording_begin(struct sluiced_deployment *d, uint64_t quiet_ms, uint64_t limit_ms,
			     struct sluiced_fault *fault);

/* @why is for people, and static. Nothing when none is under way. */
void sluiced_recording_end(struct sluiced_deployment *d, const char *why);

void sluiced_recording_miss(struct sluiced_deployment *d, const struct sluice_wanted *what);
void sluiced_recording_tick(struct sluiced_deployment *d);

/* {profile, ended}; NULL with a fault when there is none or it is not ended. */
struct json_object *sluiced_recording_reply(struct sluiced_deployment *d,
					    struct sluiced_fault *fault);

/*
 * Makes *@profile, which is empty then, d->profile. Without a device it is only kept; with
 * one it is fitted, and what of it is missing is fetched first.
 */
void sluiced_recording_use(struct sluiced_deployment *d, struct sluice_profile *profile);

/* Keeps @profile for the deployment @name, durably. -errno. */
int sluiced_recording_save(const char *dir, const char *name,
			   const struct sluice_profile *profile);

/* What there was, if there was, is in the state directory. */
void sluiced_recording_load(struct sluiced_deployment *d);

/*
 * The image is known and the copier there: fits d->profile to it, warns when it is of
 * another one, and has it fetched.
 */
void sluiced_recording_hand_over(struct sluiced_deployment *d);

/* For the deployment object; NULL when there is none. */
struct json_object *sluiced_recording_report(const struct sluiced_deployment *d);
struct json_object *sluiced_recording_report_profile(const struct sluiced_deployment *d);

#endif /* SLUICED_RECORDING_H */
