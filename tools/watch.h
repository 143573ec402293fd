/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What "watch" and "events" share. */
#ifndef SLUICE_TOOLS_WATCH_H
#define SLUICE_TOOLS_WATCH_H

#include <stdbool.h>

struct sluice_ctl;

/*
 * Prints events of deployment @name, or of all with NULL, as lines or as objects,
 * until the daemon or the reader goes. An exit status.
 */
int sluice_events_print(struct sluice_ctl *ctl, const char *name, bool json);

#endif /* SLUICE_TOOLS_WATCH_H */
