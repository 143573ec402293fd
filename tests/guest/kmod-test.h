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
	disk_tests[], memory_tests[], stress_tests[], unload_tests[],
	races_tests[];	/* only where they are named */

/* The local disk, a slow dm-delay over it, another of its size. */
extern const char *disk, *slow, *copy;

/* Fills a disk's first bytes with STALE. */
void stale(const char *path, uint64_t bytes);
void raw_read(const char *path, uint64_t off, size_t len, void *buf);
void raw_write(const char *path, uint64_t off, size_t len, const void *buf);
uint64_t disk_bytes(const char *path);
/* Of requests that a disk was sent, a field of its stat file: Documentation/block/stat.rst. */
#define DISCARDS 11
#define FLUSHES 15
uint64_t disk_stat(const char *path, unsigned int field);
/* What a power cut now would leave of disk, on copy. */
void crash_copy(void);
int now_ms(void);
/* Says that the test is left out where the kernel cannot lose or deny memory: not KASAN's. */
bool left_out(void);

/* kmod-inject.c: faults below the module and in it. */

/* A device-mapper disk over DISK, of one target or with another in its middle. */
#define BAD "/dev/mapper/bad"

/*
 * Sectors [from, from + n) become target: linear, error, delay (writes take 20 ms),
 * slow-flush (a flush of the whole disk takes 1 s), held-flush (until the next swap), dust
 * (nothing bad yet), striped (in chunks of 32 KiB), or flakey, which fails all writes and
 * each flush of the whole disk.
 */
void dm_create(uint64_t from, uint64_t n, const char *target);
/* The same, live. What is under way meets the old table. */
void dm_swap(uint64_t from, uint64_t n, const char *target);
void dm_remove(void);
/* A disk that is all dust: a block that cannot be read until it is written. */
void dust_bad(uint64_t block);
void dust_good(uint64_t block);

/* Every request to a disk fails. */
void requests_fail(const char *what, bool fail);
/* The next one does, and none after it. */
void request_fails(const char *what);

/* A disk of 64 MiB in memory, with a cache and FUA, that can be pulled. */
#define GONE "/dev/gone"
void null_create(void);
void null_pull(void);
void null_remove(void);

/* Allocations that fail: those of the module, or by others on its behalf. */

/* Each, in every context, while on; says how many have. */
void memory_fail(void);
unsigned long memory_recover(void);
/* The nth of this thread from now on. */
void memory_fail_nth(unsigned int n);
/* Ends that; true when it came to it. */
bool memory_failed_nth(void);

#endif /* KMOD_TEST_H */
