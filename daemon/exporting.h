/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The exports of one deployment: requested, restored, taken down. */
#ifndef SLUICED_EXPORTING_H
#define SLUICED_EXPORTING_H

#include "deployment.h"

/*
 * Brings up what the record lists and is not there, then calls @then if it is not
 * NULL, also when that failed: it is then said and tried again by and by. The
 * deployment must not be busy.
 */
void sluiced_exporting_restore(struct sluiced_deployment *d,
			       void (*then)(struct sluiced_deployment *d));

/* One more export. The deployment must not be busy. */
void sluiced_exporting_add(struct sluiced_deployment *d, const struct sluiced_export *export,
			   sluiced_answer_t answer, void *ctx);

/*
 * Changes who may connect to what as @policy says, of which nothing else counts. Hosts that
 * are connected stay so. Must not be busy.
 */
void sluiced_exporting_admit(struct sluiced_deployment *d, const struct sluiced_export *policy,
			     sluiced_answer_t answer, void *ctx);

/*
 * Sets the deadline of waiting requests: the record's, or without one what the exports
 * want. A failure is logged.
 */
void sluiced_exporting_deadline(struct sluiced_deployment *d);

/* Takes down the exports of @kind, or all for NULL. Must not be busy. */
void sluiced_exporting_remove(struct sluiced_deployment *d, const char *kind,
			      sluiced_answer_t answer, void *ctx);

/* Whether all that the record lists is up; false while the deployment is busy. */
bool sluiced_exporting_is_up(struct sluiced_deployment *d);

const struct sluiced_export *sluiced_exporting_find(const struct sluiced_deployment *d,
						    const char *kind);

#endif /* SLUICED_EXPORTING_H */
