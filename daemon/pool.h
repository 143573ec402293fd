/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which blocks of an attachment's buffer pool are in use. Knows numbers, not
 * memory.
 *
 * Demand takes runs from the top of the pool, background from the bottom and
 * never from the last quarter: however far the copy is, what the host waits for
 * finds room.
 */
#ifndef SLUICED_POOL_H
#define SLUICED_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct sluiced_pool {
	uint64_t *used;			/* one bit a block */
	uint32_t blocks;
	uint32_t reserve;		/* blocks at the top for demand only */
	uint32_t in_use;
};

/* -ENOMEM, -EINVAL for an empty pool. */
int sluiced_pool_init(struct sluiced_pool *pool, uint32_t blocks);
void sluiced_pool_exit(struct sluiced_pool *pool);

/* The first of @blocks free blocks in a row, now taken; -ENOBUFS without such. */
int64_t sluiced_pool_alloc(struct sluiced_pool *pool, uint32_t blocks, bool demand);

/* Gives back exactly what an alloc took. */
void sluiced_pool_free(struct sluiced_pool *pool, uint32_t first, uint32_t blocks);

#endif /* SLUICED_POOL_H */
