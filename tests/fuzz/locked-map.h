/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One map, and the calls that need a region's lock, with the lock taken. For
 * tests of a single thread; others have to hold it for longer.
 */
#ifndef SLUICE_TEST_LOCKED_MAP_H
#define SLUICE_TEST_LOCKED_MAP_H

#include "map.h"

static struct sluice_map map;

static inline void claim(struct sluice_claim *c, u64 region, u64 mask)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(&map, region);

	spin_lock(&bucket->lock);
	sluice_map_claim(&map, c, region, mask);
	spin_unlock(&bucket->lock);
}

static inline void wait_for(struct sluice_waiter *w, u64 region, u64 mask)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(&map, region);

	spin_lock(&bucket->lock);
	sluice_map_wait(&map, w, region, mask);
	spin_unlock(&bucket->lock);
}

static inline u64 claimed(u64 region)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(&map, region);
	u64 mask;

	spin_lock(&bucket->lock);
	mask = sluice_map_claimed(&map, region);
	spin_unlock(&bucket->lock);
	return mask;
}

static inline u64 asked(u64 region)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(&map, region);
	u64 mask;

	spin_lock(&bucket->lock);
	mask = sluice_map_asked(&map, region);
	spin_unlock(&bucket->lock);
	return mask;
}

static inline unsigned int entries(const struct list_head *list)
{
	const struct list_head *at;
	unsigned int n = 0;

	for (at = list->next; at != list; at = at->next)
		n++;
	return n;
}

#endif /* SLUICE_TEST_LOCKED_MAP_H */
