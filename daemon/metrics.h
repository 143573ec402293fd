/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures for a monitoring system: a file for the textfile collector of node_exporter,
 * and answers to HTTP on the loopback. Of the loop's thread.
 */
#ifndef SLUICED_METRICS_H
#define SLUICED_METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon.h"

/*
 * All of it, malloc'ed, as text of Prometheus, which node_exporter reads, or of
 * OpenMetrics; NULL without memory. Asks the kernel, does not block.
 */
char *sluiced_metrics_text(struct sluiced_daemon *daemon, bool openmetrics, size_t *len);

/* Writes @path, atomically, now and every @interval_ms. Failures are logged, once each. */
void sluiced_metrics_write(struct sluiced_daemon *daemon, const char *path,
			   unsigned int interval_ms);

/*
 * Removes the file, once a write that is under way has ended: a collector would go on
 * telling what was true last. A job may still do it when this returns.
 */
void sluiced_metrics_stop(void);

/* Answers GET and HEAD of /metrics at 127.0.0.1:@port from the daemon's loop. -errno. */
int sluiced_metrics_listen(struct sluiced_daemon *daemon, unsigned short port);

#endif /* SLUICED_METRICS_H */
