/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The residency map: a bit for each block, claims on missing blocks, who waits
 * for a change of them, and which map pages hold bits that are not durable yet.
 * map.c knows bits and claims, never bios; it also builds in user space.
 *
 * A region is SLUICE_REGION_BLOCKS blocks, one word of the map. Masks have bit i
 * for block region * 64 + i. Bits only ever get set.
 *
 * A region's claims and waiters are guarded by the lock of its bucket; so is
 * every change of its word. Reading the word without the lock is allowed: a set
 * bit is final, and seen only after the data below it reached the local disk.
 *
 * Locks are taken in interrupt context too: irqsave.
 */
#ifndef SLUICE_MAP_H
#define SLUICE_MAP_H

#ifdef __KERNEL__
#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#else
#include "user.h"
#endif
#include "media.h"

/*
 * 256 is arbitrary: with a few hundred requests in flight a list stays one or
 * two entries long.
 */
#define SLUICE_MAP_BUCKETS 256

/* The exclusive right to make the missing blocks of mask resident. */
struct sluice_claim {
	struct list_head node;
	u64 region;
	u64 mask;
	bool durable;			/* the holder's: its data needs no flush */
};

/* Somebody who wants to know when one of mask changes; asked: events raised. */
struct sluice_waiter {
	struct list_head node;
	u64 region;
	u64 mask;
	u64 asked;
};

struct sluice_map_bucket {
	spinlock_t lock;
	struct list_head claims;
	struct list_head waiters;
};

struct sluice_map {
	u64 blocks;
	u64 regions;
	u64 pages;
	u64 *words;			/* page-aligned, may be mapped by the daemon */
	size_t words_bytes;
	spinlock_t dirty_lock;		/* inside a bucket's lock */
	unsigned long *dirty;		/* pages with bits no round has taken */
	unsigned long *syncing;		/* pages a round has taken */
	u64 ndirty;
	u64 nsyncing;
	u64 resident;			/* blocks; guarded by dirty_lock */
	bool unflushed;			/* since sluice_map_flushing(); guarded by dirty_lock */
	struct sluice_map_bucket buckets[SLUICE_MAP_BUCKETS];
};

/* -ENOMEM. Bits past the last block are set. May sleep. */
int sluice_map_init(struct sluice_map *map, u64 blocks);
void sluice_map_destroy(struct sluice_map *map);

/* Puts a page read from media in place. Before anything else uses the map. */
void sluice_map_load_page(struct sluice_map *map, u64 page, const u64 *words);

/*
 * Length of the run from block, at most blocks long, that is all resident
 * (*resident true) or all missing. Lock-free, any context; blocks > 0.
 */
u64 sluice_map_run(const struct sluice_map *map, u64 block, u64 blocks, bool *resident);

/* The region's missing blocks. With the lock held the answer stays. */
u64 sluice_map_missing(const struct sluice_map *map, u64 region);

/* Where the lock is that guards a region. */
struct sluice_map_bucket *sluice_map_bucket(struct sluice_map *map, u64 region);

/* The following four: the region's bucket is locked by the caller. */

/* Blocks of region that somebody holds a claim on. */
u64 sluice_map_claimed(struct sluice_map *map, u64 region);
/* Blocks of region that a waiter has already had events raised for. */
u64 sluice_map_asked(struct sluice_map *map, u64 region);
/* mask: missing, unclaimed, not empty. */
void sluice_map_claim(struct sluice_map *map, struct sluice_claim *claim, u64 region, u64 mask);
void sluice_map_wait(struct sluice_map *map, struct sluice_waiter *waiter, u64 region, u64 mask);

/*
 * Ends a claim: sets the bits of set, a part of its mask, whose data is on the
 * local disk, and moves every waiter for a block of the mask to woken. Takes
 * the lock; any context.
 */
void sluice_map_release(struct sluice_map *map, struct sluice_claim *claim, u64 set,
			struct list_head *woken);

/* Is a bit of the extent, all resident, not durable yet? Any context; blocks > 0. */
bool sluice_map_volatile(struct sluice_map *map, u64 block, u64 blocks);
/* Is any bit not durable yet? Any context. */
bool sluice_map_any_volatile(struct sluice_map *map);

/*
 * A round of making bits durable: takes up to max dirty pages at or after page
 * *from, stores their numbers and returns how many; they count as volatile
 * until put. The caller copies a page's words only after taking it: bits set
 * later make it dirty again. One round at a time.
 */
unsigned int sluice_map_take_dirty(struct sluice_map *map, u64 *from, u64 *pages,
				   unsigned int max);
/* The same where just one page is dirty; false otherwise. */
bool sluice_map_take_only_dirty(struct sluice_map *map, u64 *page);
void sluice_map_copy_page(const struct sluice_map *map, u64 page, u64 *words);
void sluice_map_put_dirty(struct sluice_map *map, const u64 *pages, unsigned int n);

/*
 * The local disk is about to be flushed, which makes the data below all bits durable that
 * are set now. For a round, which ends the device if that fails.
 */
void sluice_map_flushing(struct sluice_map *map);
/* Was a bit set since whose data was not written durably? Then no copy of bits may be. */
bool sluice_map_unflushed(struct sluice_map *map);
/* Is no bit volatile, nor its data? Without the lock, and so a guess. */
bool sluice_map_seems_durable(const struct sluice_map *map);

u64 sluice_map_resident_blocks(struct sluice_map *map);

static inline u64 sluice_region(u64 block)
{
	return block / SLUICE_REGION_BLOCKS;
}

/* Mask of the part of extent [block, block + blocks) that lies in region. */
static inline u64 sluice_region_mask(u64 region, u64 block, u64 blocks)
{
	u64 first = region * SLUICE_REGION_BLOCKS, last = first + SLUICE_REGION_BLOCKS - 1;
	u64 end = block + blocks - 1;

	if (!blocks || end < first || block > last)
		return 0;
	return GENMASK_ULL((end < last ? end : last) - first, (block > first ? block : first) - first);
}

/* Of sluice_map_resident(): blocks of more than one region, up to and with last. */
bool sluice_map_resident_across(const struct sluice_map *map, u64 block, u64 last);

/*
 * All blocks of the extent resident? Lock-free, any context; blocks > 0. Every host
 * request comes here, and most are of one region: inline, and not by
 * sluice_region_mask(), which tells an empty mask from a full one.
 */
static inline bool sluice_map_resident(const struct sluice_map *map, u64 block, u64 blocks)
{
	u64 last = block + blocks - 1, region = sluice_region(block), mask;

	if (region != sluice_region(last))
		return sluice_map_resident_across(map, block, last);
	mask = ~0ULL << block % SLUICE_REGION_BLOCKS &
	       ~0ULL >> (SLUICE_REGION_BLOCKS - 1 - last % SLUICE_REGION_BLOCKS);
	/* Acquire: the data below a set bit was written before. */
	return !(mask & ~smp_load_acquire(&map->words[region]));
}

#endif /* SLUICE_MAP_H */
