/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the groups of kmod-test share. */
#ifndef KMOD_TEST_H
#define KMOD_TEST_H

#include "puppet.h"

#define IMAGE (16 * MIB)
/* What a previous tenant left. */
#define STALE 0xaa

struct kmod_test {
	const char *name;
	void (*run)(void);
};

extern const struct kmod_test requests_tests[], durability_tests[], control_tests[], faults_tests[],
			      races_tests[];	/* only where they are named */

/* The local disk, a slow dm-delay over it, another of its size. */
extern const char *disk, *slow, *copy;

/* Fills a disk's first bytes with STALE. */
void stale(const char *path, uint64_t bytes);
void raw_read(const char *path, uint64_t off, size_t len, void *buf);
void raw_write(const char *path, uint64_t off, size_t len, const void *buf);
uint64_t disk_bytes(const char *path);
/* What a power cut now would leave of disk, on copy. */
void crash_copy(void);
/* Removes the device-mapper disk with errors that durability tests make. */
void dm_remove(void);
int now_ms(void);
/* A disk of 64 MiB that can be pulled, and what is left of it. */
#define GONE "/dev/gone"
void plug(void);
void pull(void);
void unplug(void);

#endif /* KMOD_TEST_H */
