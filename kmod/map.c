// SPDX-License-Identifier: GPL-2.0-only
/*
 * Claims are records that live inside whoever holds them (a host write, a
 * fill), hashed by region, rather than a second bitmap: that would double the
 * 32 MiB a TiB costs, for a few hundred claims at most; and rather than nodes
 * of their own, which would have to be allocated in the I/O path.
 */
#ifdef __KERNEL__
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#endif
#include "map.h"

struct sluice_map_bucket *sluice_map_bucket(struct sluice_map *map, u64 region)
{
	/* Neighbours go to different buckets, strides of a stripe too. */
	return &map->buckets[(region ^ region >> 8 ^ region >> 16) % SLUICE_MAP_BUCKETS];
}

int sluice_map_init(struct sluice_map *map, u64 blocks)
{
	size_t dirty_bytes;
	unsigned int i;
	u64 tail;

	memset(map, 0, sizeof(*map));
	map->blocks = blocks;
	map->regions = DIV_ROUND_UP_ULL(blocks, SLUICE_REGION_BLOCKS);
	map->pages = DIV_ROUND_UP_ULL(blocks, SLUICE_PAGE_BLOCKS);
	map->words_bytes = PAGE_ALIGN(map->regions * sizeof(u64));
	dirty_bytes = BITS_TO_LONGS(map->pages) * sizeof(long);
	map->words = vmalloc_user(map->words_bytes);
	map->dirty = kvzalloc(dirty_bytes, GFP_KERNEL);
	map->syncing = kvzalloc(dirty_bytes, GFP_KERNEL);
	if (!map->words || !map->dirty || !map->syncing) {
		sluice_map_destroy(map);
		return -ENOMEM;
	}
	tail = blocks % SLUICE_REGION_BLOCKS;
	if (tail)
		map->words[map->regions - 1] = ~0ULL << tail;
	/* Also what only rounds the mapping up: nobody shall find it missing. */
	memset(map->words + map->regions, 0xff,
	       map->words_bytes - map->regions * sizeof(u64));
	spin_lock_init(&map->dirty_lock);
	for (i = 0; i < SLUICE_MAP_BUCKETS; i++) {
		spin_lock_init(&map->buckets[i].lock);
		INIT_LIST_HEAD(&map->buckets[i].claims);
		INIT_LIST_HEAD(&map->buckets[i].waiters);
	}
	return 0;
}

void sluice_map_destroy(struct sluice_map *map)
{
	vfree(map->words);
	kvfree(map->dirty);
	kvfree(map->syncing);
	map->words = NULL;
	map->dirty = NULL;
	map->syncing = NULL;
}

void sluice_map_load_page(struct sluice_map *map, u64 page, const u64 *words)
{
	u64 first = page * SLUICE_PAGE_WORDS, i;

	for (i = 0; i < SLUICE_PAGE_WORDS && first + i < map->regions; i++) {
		u64 new = words[i] & ~map->words[first + i];

		map->resident += hweight64(new);
		map->words[first + i] |= new;
	}
}

bool sluice_map_resident_across(const struct sluice_map *map, u64 block, u64 last)
{
	u64 region = sluice_region(block), end = sluice_region(last);
	u64 mask = ~0ULL << block % SLUICE_REGION_BLOCKS;

	for (; region < end; region++, mask = ~0ULL)
		/* Acquire: the data below a set bit was written before. */
		if (mask & ~smp_load_acquire(&map->words[region]))
			return false;
	mask &= ~0ULL >> (SLUICE_REGION_BLOCKS - 1 - last % SLUICE_REGION_BLOCKS);
	/* Acquire: as above. */
	return !(mask & ~smp_load_acquire(&map->words[region]));
}

u64 sluice_map_run(const struct sluice_map *map, u64 block, u64 blocks, bool *resident)
{
	u64 at = block, end = block + blocks;
	/* Acquire: as above. */
	u64 word = smp_load_acquire(&map->words[sluice_region(at)]);

	*resident = word >> (at % SLUICE_REGION_BLOCKS) & 1;
	while (at < end) {
		/* Differing blocks become ones; those below at are shifted out. */
		u64 differ = (*resident ? ~word : word) >> (at % SLUICE_REGION_BLOCKS);

		if (differ) {
			at += __ffs64(differ);
			break;
		}
		at = (sluice_region(at) + 1) * SLUICE_REGION_BLOCKS;
		if (at < end)
			/* Acquire: as above. */
			word = smp_load_acquire(&map->words[sluice_region(at)]);
	}
	return min_t(u64, at, end) - block;
}

u64 sluice_map_missing(const struct sluice_map *map, u64 region)
{
	/* Acquire: as above. */
	return ~smp_load_acquire(&map->words[region]);
}

u64 sluice_map_claimed(struct sluice_map *map, u64 region)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(map, region);
	struct sluice_claim *claim;
	u64 mask = 0;

	lockdep_assert_held(&bucket->lock);
	list_for_each_entry(claim, &bucket->claims, node)
		if (claim->region == region)
			mask |= claim->mask;
	return mask;
}

u64 sluice_map_asked(struct sluice_map *map, u64 region)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(map, region);
	struct sluice_waiter *waiter;
	u64 mask = 0;

	lockdep_assert_held(&bucket->lock);
	list_for_each_entry(waiter, &bucket->waiters, node)
		if (waiter->region == region)
			mask |= waiter->asked;
	return mask;
}

void sluice_map_claim(struct sluice_map *map, struct sluice_claim *claim, u64 region, u64 mask)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(map, region);

	lockdep_assert_held(&bucket->lock);
	WARN_ON_ONCE(!mask || (mask & ~sluice_map_missing(map, region)) ||
		     (mask & sluice_map_claimed(map, region)));
	claim->region = region;
	claim->mask = mask;
	claim->durable = false;
	list_add_tail(&claim->node, &bucket->claims);
}

void sluice_map_wait(struct sluice_map *map, struct sluice_waiter *waiter, u64 region, u64 mask)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(map, region);

	lockdep_assert_held(&bucket->lock);
	waiter->region = region;
	waiter->mask = mask;
	waiter->asked = 0;
	list_add_tail(&waiter->node, &bucket->waiters);
}

/*
 * Bits and their page's dirt change together: who has seen a bit and then asks
 * whether it is durable must not be told yes in between.
 */
static void set_bits(struct sluice_map *map, u64 region, u64 set, bool durable)
{
	u64 page = region / SLUICE_PAGE_WORDS, *word = &map->words[region];

	lockdep_assert_held(&sluice_map_bucket(map, region)->lock);
	WARN_ON_ONCE(*word & set);
	/* Interrupts are off: the bucket's lock is held. */
	spin_lock(&map->dirty_lock);
	if (!test_bit(page, map->dirty)) {
		__set_bit(page, map->dirty);
		map->ndirty++;
	}
	map->resident += hweight64(set);
	if (!durable)
		map->unflushed = true;
	/* The data is on the local disk; readers without the lock go there now. */
	smp_store_release(word, *word | set);
	spin_unlock(&map->dirty_lock);
}

void sluice_map_release(struct sluice_map *map, struct sluice_claim *claim, u64 set,
			struct list_head *woken)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(map, claim->region);
	struct sluice_waiter *waiter, *next;
	unsigned long flags;

	spin_lock_irqsave(&bucket->lock, flags);
	WARN_ON_ONCE(set & ~claim->mask);
	if (set)
		set_bits(map, claim->region, set, claim->durable);
	list_del_init(&claim->node);
	list_for_each_entry_safe(waiter, next, &bucket->waiters, node)
		if (waiter->region == claim->region && (waiter->mask & claim->mask))
			list_move_tail(&waiter->node, woken);
	spin_unlock_irqrestore(&bucket->lock, flags);
}

bool sluice_map_volatile(struct sluice_map *map, u64 block, u64 blocks)
{
	u64 page = block / SLUICE_PAGE_BLOCKS, last = (block + blocks - 1) / SLUICE_PAGE_BLOCKS;
	unsigned long flags;
	bool found = false;

	spin_lock_irqsave(&map->dirty_lock, flags);
	for (; page <= last && !found; page++)
		found = test_bit(page, map->dirty) || test_bit(page, map->syncing);
	spin_unlock_irqrestore(&map->dirty_lock, flags);
	return found;
}

bool sluice_map_any_volatile(struct sluice_map *map)
{
	unsigned long flags;
	bool any;

	spin_lock_irqsave(&map->dirty_lock, flags);
	any = map->ndirty || map->nsyncing;
	spin_unlock_irqrestore(&map->dirty_lock, flags);
	return any;
}

static void take_dirty(struct sluice_map *map, u64 page)
{
	__clear_bit(page, map->dirty);
	__set_bit(page, map->syncing);
	map->ndirty--;
	map->nsyncing++;
}

unsigned int sluice_map_take_dirty(struct sluice_map *map, u64 *from, u64 *pages,
				   unsigned int max)
{
	unsigned long flags, page = *from;
	unsigned int n = 0;

	spin_lock_irqsave(&map->dirty_lock, flags);
	while (n < max && (page = find_next_bit(map->dirty, map->pages, page)) < map->pages) {
		take_dirty(map, page);
		pages[n++] = page++;
	}
	spin_unlock_irqrestore(&map->dirty_lock, flags);
	*from = page;
	return n;
}

bool sluice_map_take_only_dirty(struct sluice_map *map, u64 *page)
{
	unsigned long flags;
	bool only;

	spin_lock_irqsave(&map->dirty_lock, flags);
	only = map->ndirty == 1;
	if (only) {
		*page = find_next_bit(map->dirty, map->pages, 0);
		take_dirty(map, *page);
	}
	spin_unlock_irqrestore(&map->dirty_lock, flags);
	return only;
}

void sluice_map_copy_page(const struct sluice_map *map, u64 page, u64 *words)
{
	u64 first = page * SLUICE_PAGE_WORDS, i;
	u64 n = min_t(u64, map->regions - first, SLUICE_PAGE_WORDS);
	const u64 *from = map->words + first;

	/* A flush waits for it: nothing else is in the loop. */
	for (i = 0; i < n; i++)
		words[i] = READ_ONCE(from[i]);
	memset(words + n, 0, (SLUICE_PAGE_WORDS - n) * sizeof(*words));
}

void sluice_map_put_dirty(struct sluice_map *map, const u64 *pages, unsigned int n)
{
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&map->dirty_lock, flags);
	for (i = 0; i < n; i++) {
		__clear_bit(pages[i], map->syncing);
		map->nsyncing--;
	}
	spin_unlock_irqrestore(&map->dirty_lock, flags);
}

void sluice_map_flushing(struct sluice_map *map)
{
	unsigned long flags;

	spin_lock_irqsave(&map->dirty_lock, flags);
	map->unflushed = false;
	spin_unlock_irqrestore(&map->dirty_lock, flags);
}

bool sluice_map_unflushed(struct sluice_map *map)
{
	unsigned long flags;
	bool unflushed;

	/* With the lock: a bit that a copy has got was set together with this. */
	spin_lock_irqsave(&map->dirty_lock, flags);
	unflushed = map->unflushed;
	spin_unlock_irqrestore(&map->dirty_lock, flags);
	return unflushed;
}

bool sluice_map_seems_durable(const struct sluice_map *map)
{
	/* A guess. */
	return !data_race(map->ndirty) && !data_race(map->unflushed);
}

u64 sluice_map_resident_blocks(struct sluice_map *map)
{
	unsigned long flags;
	u64 n;

	spin_lock_irqsave(&map->dirty_lock, flags);
	n = map->resident;
	spin_unlock_irqrestore(&map->dirty_lock, flags);
	return n;
}
