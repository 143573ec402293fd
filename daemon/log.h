/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon says: to the journal with the object as a field when stderr is
 * the journal's, else as lines "time level object: sentence" on stderr, UTC. Any thread.
 */
#ifndef SLUICED_LOG_H
#define SLUICED_LOG_H

#include <syslog.h>

/* "err", "warning", "notice", "info" or "debug"; -EINVAL for anything else. */
int sluiced_log_level(const char *name);

/* Call once, before there are threads. Drops what is less urgent than @level. */
void sluiced_log_init(int level);

/* @object is what the sentence is about: a deployment's name, "sluiced". */
void sluiced_log(int level, const char *object, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* SLUICED_LOG_H */
