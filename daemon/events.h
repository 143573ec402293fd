/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens to deployments, told to those who asked: a deployment came or went,
 * its state, its active source or its trouble changed. Of the loop's thread.
 */
#ifndef SLUICED_EVENTS_H
#define SLUICED_EVENTS_H

#include <stdbool.h>

#include "fault.h"
#include "paths.h"

struct sluiced_call;
struct sluiced_deployment;
struct sluiced_loop;

/* Of a deployment, as it was told last. */
struct sluiced_seen {
	const char *state;		/* NULL: not yet told of */
	char error[SLUICED_WHY_LEN];
	char source[SLUICED_URI_LEN];
};

/*
 * Makes a stream of the call, beginning with an event for every deployment, or for
 * @only. False: there are too many.
 */
bool sluiced_events_start(struct sluiced_call *call, struct sluiced_deployment *only);

/* After every round of the daemon's loop. */
void sluiced_events_look(struct sluiced_loop *loop);

/* @d is about to be freed. */
void sluiced_events_removed(struct sluiced_deployment *d);

#endif /* SLUICED_EVENTS_H */
