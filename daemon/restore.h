/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking up the deployments of an earlier daemon. */
#ifndef SLUICED_RESTORE_H
#define SLUICED_RESTORE_H

#include "daemon.h"

/*
 * Makes a deployment of every state file and sets it going. A device that is in
 * the kernel is attached right here; others are opened in jobs, again and again
 * until their disk and the module are there.
 */
void sluiced_restore(struct sluiced_daemon *daemon);

/*
 * A deployment whose device or one of whose exports is not up yet and may still come;
 * NULL when all that can be is there for hosts.
 */
const struct sluiced_deployment *sluiced_restore_pending(struct sluiced_daemon *daemon);

#endif /* SLUICED_RESTORE_H */
