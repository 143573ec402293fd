// SPDX-License-Identifier: GPL-2.0-or-later
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/*
 * A bitmap and first fit, not a buddy system: extents come in any length, and
 * the whole map of a 32 MiB pool is 1 KiB, walked faster than a read is started.
 */

int sluiced_pool_init(struct sluiced_pool *pool, uint32_t blocks)
{
	*pool = (struct sluiced_pool){ .blocks = blocks, .reserve = blocks / 4 };
	if (!blocks)
		return -EINVAL;
	pool->used = calloc((blocks + 63) / 64, sizeof(*pool->used));
	return pool->used ? 0 : -ENOMEM;
}

void sluiced_pool_exit(struct sluiced_pool *pool)
{
	free(pool->used);
	*pool = (struct sluiced_pool){ 0 };
}

static bool is_used(const struct sluiced_pool *pool, uint32_t block)
{
	return pool->used[block / 64] >> block % 64 & 1;
}

static void mark(struct sluiced_pool *pool, uint32_t first, uint32_t blocks)
{
	uint32_t block;

	for (block = first; block < first + blocks; block++)
		pool->used[block / 64] |= UINT64_C(1) << block % 64;
	pool->in_use += blocks;
}

/* The lowest run of @blocks below @end. */
static int64_t find_up(const struct sluiced_pool *pool, uint32_t blocks, uint32_t end)
{
	uint32_t block = 0, run = 0;

	while (block < end) {
		if (!(block % 64) && pool->used[block / 64] == UINT64_MAX) {
			run = 0;
			block += 64;
			continue;
		}
		run = is_used(pool, block) ? 0 : run + 1;
		block++;
		if (run == blocks)
			return block - blocks;
	}
	return -ENOBUFS;
}

/*
 * The highest run of @blocks. Demand of one block each fills the pool's end without a
 * gap: what is used there is passed over at once.
 */
static int64_t find_down(const struct sluiced_pool *pool, uint32_t blocks)
{
	uint32_t block = pool->blocks, run = 0, below, used;
	uint64_t vacant;

	while (block) {
		below = (block - 1) % 64 + 1;
		vacant = ~pool->used[(block - 1) / 64] << (64 - below);
		used = vacant ? __builtin_clzll(vacant) : below;
		if (used) {
			run = 0;
			block -= used;
			continue;
		}
		block--;
		if (++run == blocks)
			return block;
	}
	return -ENOBUFS;
}

int64_t sluiced_pool_alloc(struct sluiced_pool *pool, uint32_t blocks, bool demand)
{
	int64_t first;

	if (!blocks || blocks > pool->blocks - pool->in_use)
		return -ENOBUFS;
	first = demand ? find_down(pool, blocks) :
			 find_up(pool, blocks, pool->blocks - pool->reserve);
	if (first >= 0)
		mark(pool, first, blocks);
	return first;
}

void sluiced_pool_free(struct sluiced_pool *pool, uint32_t first, uint32_t blocks)
{
	uint32_t block;

	assert(first < pool->blocks && blocks <= pool->blocks - first);
	for (block = first; block < first + blocks; block++) {
		assert(is_used(pool, block));
		pool->used[block / 64] &= ~(UINT64_C(1) << block % 64);
	}
	pool->in_use -= blocks;
}
