/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each sector may hold, for hosts that write the same ones at the same time:
 * the image, and every write that none which began after its end has replaced.
 * Knows when requests began and ended, and nothing of residency. Any thread.
 */
#ifndef KMOD_ORACLE_H
#define KMOD_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_ZERO 0xffffffffU		/* a version: zeroes */
#define ORACLE_HOSTS 8

/* All sectors hold the image, version 0. */
void oracle_init(uint64_t sectors);

/*
 * A write of version (of host_fill()) begins; returns its number, for its end.
 * maybe: a hint, whose sectors may also stay as they are.
 */
uint64_t oracle_begin(uint64_t sector, uint64_t n, uint32_t version, bool maybe);
/* A write that failed may have happened, or any part of it. */
void oracle_end(uint64_t write, uint64_t sector, uint64_t n, bool ok);

/* A read by this host begins. */
void oracle_read(unsigned int host);
/* It ended with buf; true when each sector is one it may be. Says which is not. */
bool oracle_is(unsigned int host, uint64_t sector, uint64_t n, const void *buf);
/* It failed. */
void oracle_forget(unsigned int host);

#endif /* KMOD_ORACLE_H */
