/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log of the kernel's dm-log-writes target, in memory. Source of the format:
 * struct log_write_super and log_write_entry in drivers/md/dm-log-writes.c.
 *
 * Writes are logged when a flush that was sent after their end is done, those with
 * FUA at their own end: what stands before a flush is durable with it.
 */
#ifndef CRASH_LOG_H
#define CRASH_LOG_H

#include <stddef.h>
#include <stdint.h>

#define LOG_FLUSH	1
#define LOG_FUA		2
#define LOG_DISCARD	4
#define LOG_MARK	8

struct log_entry {
	uint64_t sector, sectors;
	uint64_t flags;
	const uint8_t *data;		/* of a write, or a mark's text */
	char text[32];			/* of a mark */
};

struct log {
	struct log_entry *entries;
	size_t count;
	void *map;
	size_t map_bytes;
};

/* Opens the log at @offset of the file; -errno, -EINVAL for what is none. */
int log_open(struct log *log, const char *path, uint64_t offset);
void log_close(struct log *log);

#endif /* CRASH_LOG_H */
