/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The shape of every command from user space, checked on the kernel's own copy.
 * Pure: no state is consulted but what the caller passes; any context. Whether
 * the objects named exist is the caller's next question.
 */
#ifndef SLUICE_VALIDATE_H
#define SLUICE_VALIDATE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include "user.h"
#endif
#include <linux/sluice.h>

#define SLUICE_MAX_COMMIT_BLOCKS	1024U		/* 4 MiB: claims are in line */
#define SLUICE_MAX_ZERO_BLOCKS		(1U << 18)	/* 1 GiB: bounds one command */
#define SLUICE_MAX_POOL_BLOCKS		(1U << 16)	/* 256 MiB of kernel memory */
#define SLUICE_MIN_RING_EVENTS		16U
#define SLUICE_MAX_RING_EVENTS		(1U << 16)
#define SLUICE_MAX_DEADLINE_MS		(3600U * 1000)
#define SLUICE_MAX_WATCHDOG_MS		(3600U * 1000)

/* 0, -EINVAL malformed, or -EPROTO for a caller of another ABI version. */
int sluice_validate_open(const struct sluice_open *o);
int sluice_validate_close(const struct sluice_close *c);
int sluice_validate_attach(const struct sluice_attach *a);
int sluice_validate_index(const struct sluice_index *i);
int sluice_validate_set(const struct sluice_set *s);
int sluice_validate_generation(const struct sluice_generation *g);

/*
 * blocks: of the namespace; pool_blocks: of the attachment's pool. 0, -EINVAL
 * malformed, -ERANGE outside either, without overflow for any field values.
 */
int sluice_validate_commit(const struct sluice_commit *c, u64 blocks, u32 pool_blocks);

#endif /* SLUICE_VALIDATE_H */
