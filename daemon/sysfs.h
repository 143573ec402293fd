/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of sysfs and configfs: small text files. Any thread. */
#ifndef SLUICED_SYSFS_H
#define SLUICED_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Formats a path. 0 or -ENAMETOOLONG. */
int sluiced_sysfs_path(char *path, size_t len, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The file's text without trailing blanks; cut to @len. 0 or -errno. */
int sluiced_sysfs_read(const char *path, char *buf, size_t len);
int sluiced_sysfs_read_at(const char *dir, const char *name, char *buf, size_t len);

/* Writes @text and a newline in one go. 0 or -errno. */
int sluiced_sysfs_write_at(const char *dir, const char *name, const char *text);

/*
 * What tells the disk at @dir, a directory under /sys/block or /sys/dev/block,
 * from others: its wwid, else its serial number, of a partition with its number.
 * Empty when the disk has neither.
 */
void sluiced_sysfs_disk_id(const char *dir, char *id, size_t len);

/* What a disk or partition has read since it is there. */
struct sluiced_disk_reads {
	bool known;
	uint64_t count, bytes, ms;	/* ms: of all requests together */
};

/* 0 or -errno. */
int sluiced_sysfs_reads(dev_t disk, struct sluiced_disk_reads *reads);

/*
 * The index of the device of a deployment in this kernel, by uuid (16 bytes) or,
 * where @uuid is NULL, by name. -ENOENT.
 */
int sluiced_sysfs_find_device(const uint8_t *uuid, const char *name);

#endif /* SLUICED_SYSFS_H */
