// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: kmod/map.c */
/*
 * The map, one property at a time. What comes of random operations, and of
 * threads, is in test-map-race.c.
 */
#include "map.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include <check.h>

#include "../fuzz/locked-map.h"
#include "../fuzz/must.h"
#include "../fuzz/random.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define REGION		SLUICE_REGION_BLOCKS

static void start(u64 blocks)
{
	ck_assert_int_eq(sluice_map_init(&map, blocks), 0);
}

static void release(struct sluice_claim *c, u64 set)
{
	LIST_HEAD(woken);

	sluice_map_release(&map, c, set, &woken);
	must(list_empty(&woken));
}

static void set_blocks(u64 block, u64 blocks)
{
	u64 region;

	for (region = sluice_region(block); region <= sluice_region(block + blocks - 1); region++) {
		u64 mask = sluice_region_mask(region, block, blocks);
		struct sluice_claim c;

		mask &= sluice_map_missing(&map, region);
		if (!mask)
			continue;
		claim(&c, region, mask);
		release(&c, mask);
	}
}

/* A region other than this one whose lock is the same. */
static u64 neighbour(u64 region)
{
	u64 other;

	for (other = 0; other < map.regions; other++)
		if (other != region &&
		    sluice_map_bucket(&map, other) == sluice_map_bucket(&map, region))
			return other;
	ck_abort_msg("no two regions share a bucket");
	return 0;
}

START_TEST(init_sizes)
{
	static const u64 sizes[] = {
		1, 2, REGION - 1, REGION, REGION + 1, 2 * REGION, 511 * REGION, 512 * REGION,
		512 * REGION + 1, SLUICE_PAGE_BLOCKS - 1, SLUICE_PAGE_BLOCKS,
		SLUICE_PAGE_BLOCKS + 1, 2 * SLUICE_PAGE_BLOCKS - REGION, 2 * SLUICE_PAGE_BLOCKS,
		2 * SLUICE_PAGE_BLOCKS + REGION, 7 * SLUICE_PAGE_BLOCKS + 12345,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 blocks = sizes[i], b;
		bool resident;

		start(blocks);
		ck_assert_uint_eq(map.blocks, blocks);
		ck_assert_uint_eq(map.regions, (blocks + 63) / 64);
		ck_assert_uint_eq(map.pages, 1 + (blocks - 1) / SLUICE_PAGE_BLOCKS);
		ck_assert_uint_eq(map.words_bytes % 4096, 0);
		ck_assert_uint_ge(map.words_bytes, map.regions * 8);
		ck_assert_uint_lt(map.words_bytes, map.regions * 8 + 4096);
		ck_assert_uint_eq(sluice_map_resident_blocks(&map), 0);
		ck_assert(!sluice_map_any_volatile(&map));
		ck_assert(!sluice_map_volatile(&map, 0, blocks));
		ck_assert_uint_eq(sluice_map_run(&map, 0, blocks, &resident), blocks);
		ck_assert(!resident);
		for (b = 0; b < map.regions * REGION; b++)
			must((map.words[b / 64] >> b % 64 & 1) == (b >= blocks));
		sluice_map_destroy(&map);
		ck_assert_ptr_null(map.words);
	}
}
END_TEST

START_TEST(region_masks)
{
	static const u64 bases[] = { 0, 1, 1000, 1ULL << 45 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		u64 region = bases[i], first = region * REGION;
		u64 from = first < 70 ? 0 : first - 70, block, blocks, b;

		ck_assert_uint_eq(sluice_region(first), region);
		ck_assert_uint_eq(sluice_region(first + REGION - 1), region);
		for (block = from; block < first + 70; block++)
			for (blocks = 0; blocks < 140; blocks++) {
				u64 mask = 0;

				for (b = 0; b < REGION; b++)
					if (first + b >= block && first + b < block + blocks)
						mask |= 1ULL << b;
				must(sluice_region_mask(region, block, blocks) == mask);
			}
	}
}
END_TEST

static void check_runs(void)
{
	u64 block, blocks, b;

	for (block = 0; block < map.blocks; block++) {
		for (blocks = 1; block + blocks <= map.blocks; blocks++) {
			bool first = map.words[block / 64] >> block % 64 & 1, resident;
			u64 run, n = 0;

			for (b = block; b < block + blocks; b++, n++)
				if ((map.words[b / 64] >> b % 64 & 1) != first)
					break;
			run = sluice_map_run(&map, block, blocks, &resident);
			must(run == n);
			must(resident == first);
			must(sluice_map_resident(&map, block, blocks) == (first && n == blocks));
		}
	}
}

START_TEST(runs)
{
	static const struct {
		u64 block, blocks;
	} patterns[] = {
		{ 0, 0 }, { 0, 1 }, { 0, 200 }, { 199, 1 }, { 192, 8 }, { 63, 1 }, { 64, 1 },
		{ 63, 2 }, { 0, 64 }, { 64, 64 }, { 1, 63 }, { 127, 66 }, { 62, 70 }, { 1, 198 },
	};
	unsigned int mixed;
	u64 region;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(patterns); i++) {
		start(200);
		if (patterns[i].blocks)
			set_blocks(patterns[i].block, patterns[i].blocks);
		check_runs();
		for (region = 0; region < map.regions; region++)
			must(sluice_map_missing(&map, region) == ~map.words[region]);
		sluice_map_destroy(&map);
	}
	seed();
	for (mixed = 0; mixed < 10; mixed++) {
		start(130 + below(100));
		for (i = 0; i < 12; i++) {
			u64 block = below(map.blocks);

			set_blocks(block, 1 + below(min(map.blocks - block, 40)));
		}
		check_runs();
		sluice_map_destroy(&map);
	}
}
END_TEST

START_TEST(runs_over_large_maps)
{
	u64 blocks = 3 * SLUICE_PAGE_BLOCKS + 5, hole = 2 * SLUICE_PAGE_BLOCKS + 77;
	bool resident;

	start(blocks);
	set_blocks(0, hole);
	set_blocks(hole + 1, blocks - hole - 1);
	ck_assert_uint_eq(sluice_map_run(&map, 0, blocks, &resident), hole);
	ck_assert(resident);
	ck_assert_uint_eq(sluice_map_run(&map, hole, blocks - hole, &resident), 1);
	ck_assert(!resident);
	ck_assert(!sluice_map_resident(&map, 0, blocks));
	ck_assert(sluice_map_resident(&map, 0, hole));
	ck_assert(!sluice_map_resident(&map, 0, hole + 1));
	ck_assert(sluice_map_resident(&map, hole + 1, blocks - hole - 1));
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), blocks - 1);
	set_blocks(hole, 1);
	ck_assert(sluice_map_resident(&map, 0, blocks));
	ck_assert_uint_eq(sluice_map_run(&map, 0, blocks, &resident), blocks);
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), blocks);
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(load_pages)
{
	u64 ones[SLUICE_PAGE_WORDS], zeroes[SLUICE_PAGE_WORDS] = { 0 }, some[SLUICE_PAGE_WORDS];
	u64 blocks = SLUICE_PAGE_BLOCKS + 3 * REGION + 7, i;

	memset(ones, 0xff, sizeof(ones));
	for (i = 0; i < SLUICE_PAGE_WORDS; i++)
		some[i] = i % 2 ? 0x8000000000000001 : 0;
	start(blocks);

	sluice_map_load_page(&map, 0, some);
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), SLUICE_PAGE_WORDS);
	ck_assert(sluice_map_resident(&map, REGION, 1));
	ck_assert(sluice_map_resident(&map, 2 * REGION - 1, 1));
	ck_assert(!sluice_map_resident(&map, REGION + 1, 1));

	/* A bit stays, and counts once. */
	sluice_map_load_page(&map, 0, zeroes);
	sluice_map_load_page(&map, 0, some);
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), SLUICE_PAGE_WORDS);
	sluice_map_load_page(&map, 0, ones);
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), SLUICE_PAGE_BLOCKS);

	/* What lies past the last block is neither cleared nor counted. */
	sluice_map_load_page(&map, 1, zeroes);
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), SLUICE_PAGE_BLOCKS);
	ck_assert_uint_eq(map.words[map.regions - 1], ~0ULL << 7);
	sluice_map_load_page(&map, 1, ones);
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), blocks);
	ck_assert(sluice_map_resident(&map, 0, blocks));
	ck_assert_uint_eq(sluice_map_missing(&map, map.regions - 1), 0);

	/* What comes from media is durable. */
	ck_assert(!sluice_map_any_volatile(&map));
	ck_assert(!sluice_map_volatile(&map, 0, blocks));
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(copy_then_load)
{
	/* The second fills its allocation: nothing of the page behind it is ours. */
	static const u64 sizes[] = { 2 * SLUICE_PAGE_BLOCKS + 5 * REGION + 1, 512 * REGION };
	u64 words[SLUICE_PAGE_WORDS], page, b, n = 0;
	struct sluice_map other;

	seed();
	start(sizes[_i]);
	for (b = 0; b < map.blocks; b += 1 + below(300))
		set_blocks(b, 1);
	ck_assert_int_eq(sluice_map_init(&other, map.blocks), 0);
	for (page = 0; page < map.pages; page++) {
		memset(words, 0xa5, sizeof(words));
		sluice_map_copy_page(&map, page, words);
		for (b = 0; b < SLUICE_PAGE_WORDS; b++) {
			u64 region = page * SLUICE_PAGE_WORDS + b;

			must(words[b] == (region < map.regions ? map.words[region] : 0));
		}
		sluice_map_load_page(&other, page, words);
	}
	ck_assert_mem_eq(map.words, other.words, map.words_bytes);
	for (b = 0; b < map.blocks; b++)
		n += map.words[b / 64] >> b % 64 & 1;
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), n);
	ck_assert_uint_eq(sluice_map_resident_blocks(&other), n);
	sluice_map_destroy(&other);
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(claims_are_of_their_region)
{
	struct sluice_claim a, b, c;
	u64 other;

	start(600 * REGION);
	other = neighbour(5);
	claim(&a, 5, 0xff);
	claim(&b, 5, 0xff00);
	claim(&c, other, 0xff0000);
	ck_assert_uint_eq(claimed(5), 0xffff);
	ck_assert_uint_eq(claimed(other), 0xff0000);
	ck_assert_uint_eq(claimed(6), 0);
	/* A claim changes no bit. */
	ck_assert_uint_eq(sluice_map_missing(&map, 5), ~0ULL);
	ck_assert(!sluice_map_any_volatile(&map));
	release(&a, 0xff);
	ck_assert_uint_eq(claimed(5), 0xff00);
	ck_assert_uint_eq(claimed(other), 0xff0000);
	release(&c, 0);
	ck_assert_uint_eq(claimed(other), 0);
	ck_assert_uint_eq(claimed(5), 0xff00);
	release(&b, 0xff00);
	ck_assert_uint_eq(claimed(5), 0);
	ck_assert(list_empty(&sluice_map_bucket(&map, 5)->claims));
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(release_sets_only_what_was_written)
{
	struct sluice_claim c;

	start(2 * REGION + 3);
	claim(&c, 1, 0xf0);
	release(&c, 0x50);
	ck_assert_uint_eq(sluice_map_missing(&map, 1), ~0x50ULL);
	ck_assert_uint_eq(sluice_map_missing(&map, 0), ~0ULL);
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), 2);
	/* What failed may be claimed again. */
	claim(&c, 1, 0xa0);
	release(&c, 0);
	ck_assert_uint_eq(sluice_map_missing(&map, 1), ~0x50ULL);
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), 2);
	/* The last block of the map is the lowest of its word. */
	claim(&c, 2, 0x7);
	release(&c, 0x4);
	ck_assert_uint_eq(sluice_map_missing(&map, 2), 0x3);
	/* A whole region. */
	claim(&c, 0, ~0ULL);
	release(&c, ~0ULL);
	ck_assert_uint_eq(sluice_map_missing(&map, 0), 0);
	ck_assert_uint_eq(sluice_map_resident_blocks(&map), 67);
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(release_wakes_who_overlaps)
{
	struct sluice_waiter low, high, both, elsewhere, shares;
	struct sluice_claim a, b;
	LIST_HEAD(woken);
	u64 other;

	start(600 * REGION);
	other = neighbour(7);
	claim(&a, 7, 0x0f);
	claim(&b, 7, 0xf0);
	wait_for(&high, 7, 0x80);
	wait_for(&low, 7, 0x01);
	wait_for(&elsewhere, 7, 0xff00);
	wait_for(&shares, other, 0xffff);
	wait_for(&both, 7, 0x18);

	sluice_map_release(&map, &a, 0x0f, &woken);
	ck_assert_uint_eq(entries(&woken), 2);
	/* In the order they came. */
	ck_assert_ptr_eq(list_first_entry(&woken, struct sluice_waiter, node), &low);
	ck_assert_ptr_eq(woken.prev, &both.node);
	ck_assert_uint_eq(entries(&sluice_map_bucket(&map, 7)->waiters), 3);

	/* A claim that sets nothing wakes too, onto the same list. */
	sluice_map_release(&map, &b, 0, &woken);
	ck_assert_uint_eq(entries(&woken), 3);
	ck_assert_ptr_eq(woken.prev, &high.node);
	ck_assert_uint_eq(sluice_map_missing(&map, 7), ~0x0fULL);

	/* Woken by any block of the claim, also one that was not set. */
	claim(&a, 7, 0x300);
	sluice_map_release(&map, &a, 0x100, &woken);
	ck_assert_uint_eq(entries(&woken), 4);
	ck_assert_ptr_eq(woken.prev, &elsewhere.node);
	ck_assert_uint_eq(entries(&sluice_map_bucket(&map, 7)->waiters), 1);
	ck_assert_ptr_eq(sluice_map_bucket(&map, 7)->waiters.next, &shares.node);
	ck_assert_uint_eq(shares.mask, 0xffff);
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(asked_is_of_the_region)
{
	struct sluice_waiter a = { .asked = ~0ULL }, b, c;
	struct sluice_claim fill;
	LIST_HEAD(woken);
	u64 other;

	start(600 * REGION);
	other = neighbour(3);
	wait_for(&a, 3, 0x3);
	ck_assert_uint_eq(asked(3), 0);
	wait_for(&b, 3, 0x6);
	wait_for(&c, other, 0xf0);
	a.asked = 0x3;
	b.asked = 0x4;
	c.asked = 0x80;
	ck_assert_uint_eq(asked(3), 0x7);
	ck_assert_uint_eq(asked(other), 0x80);
	ck_assert_uint_eq(asked(4), 0);
	claim(&fill, 3, 0x1);
	sluice_map_release(&map, &fill, 0x1, &woken);
	ck_assert_uint_eq(asked(3), 0x4);
	sluice_map_destroy(&map);
}
END_TEST

/* Misuse ends a user-space build; each of these must abort. */
START_TEST(misuse)
{
	struct sluice_claim a, b;

	start(REGION + 3);
	claim(&a, 0, 0xf);
	/* The report of the assertion is no news here. */
	if (!freopen("/dev/null", "w", stderr))
		ck_abort();
	switch (_i) {
	case 0:
		claim(&b, 0, 0);
		break;
	case 1:
		claim(&b, 0, 0x18);
		break;
	case 2:
		release(&a, 0x1f);
		break;
	case 3:
		release(&a, 0x1);
		claim(&b, 0, 0x1);
		break;
	case 4:
		/* Past the last block. */
		claim(&b, 1, 0x8);
		break;
	}
}
END_TEST

START_TEST(volatile_until_put)
{
	u64 edge = SLUICE_PAGE_BLOCKS, pages[4], from = 0;

	start(3 * SLUICE_PAGE_BLOCKS);
	set_blocks(edge, 1);
	ck_assert(sluice_map_any_volatile(&map));
	ck_assert(sluice_map_volatile(&map, edge, 1));
	/* Pages are the unit: its whole page and no other counts. */
	ck_assert(sluice_map_volatile(&map, 2 * edge - 1, 1));
	ck_assert(sluice_map_volatile(&map, edge - 1, 2));
	ck_assert(sluice_map_volatile(&map, 0, 3 * edge));
	ck_assert(!sluice_map_volatile(&map, 0, edge));
	ck_assert(!sluice_map_volatile(&map, edge - 1, 1));
	ck_assert(!sluice_map_volatile(&map, 2 * edge, edge));

	ck_assert_uint_eq(sluice_map_take_dirty(&map, &from, pages, 4), 1);
	ck_assert_uint_eq(pages[0], 1);
	ck_assert(sluice_map_any_volatile(&map));
	ck_assert(sluice_map_volatile(&map, edge, 1));
	/* Taken once. */
	from = 0;
	ck_assert_uint_eq(sluice_map_take_dirty(&map, &from, pages + 1, 3), 0);
	sluice_map_put_dirty(&map, pages, 1);
	ck_assert(!sluice_map_any_volatile(&map));
	ck_assert(!sluice_map_volatile(&map, 0, 3 * edge));
	ck_assert_uint_eq(map.ndirty + map.nsyncing, 0);
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(dirty_again_while_syncing)
{
	u64 words[SLUICE_PAGE_WORDS], pages[4], from = 0;

	start(2 * SLUICE_PAGE_BLOCKS);
	set_blocks(10, 1);
	ck_assert_uint_eq(sluice_map_take_dirty(&map, &from, pages, 4), 1);
	sluice_map_copy_page(&map, 0, words);
	ck_assert_uint_eq(words[0], 1 << 10);
	set_blocks(11, 1);
	ck_assert_uint_eq(words[0], 1 << 10);
	sluice_map_put_dirty(&map, pages, 1);
	/* The later bit was in no copy. */
	ck_assert(sluice_map_any_volatile(&map));
	ck_assert(sluice_map_volatile(&map, 11, 1));
	from = 0;
	ck_assert_uint_eq(sluice_map_take_dirty(&map, &from, pages, 4), 1);
	ck_assert_uint_eq(pages[0], 0);
	sluice_map_copy_page(&map, 0, words);
	ck_assert_uint_eq(words[0], 3 << 10);
	sluice_map_put_dirty(&map, pages, 1);
	ck_assert(!sluice_map_any_volatile(&map));
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(unflushed_until_flushing)
{
	struct sluice_claim c;

	start(2 * SLUICE_PAGE_BLOCKS);
	ck_assert(!sluice_map_unflushed(&map));
	ck_assert(sluice_map_seems_durable(&map));
	claim(&c, 0, 0xf);
	c.durable = true;
	release(&c, 0x7);
	ck_assert(!sluice_map_unflushed(&map));
	ck_assert(!sluice_map_seems_durable(&map));
	ck_assert(sluice_map_any_volatile(&map));
	/* A claim is not what its record was used for before. */
	claim(&c, 0, 0x8);
	release(&c, 0);
	ck_assert(!sluice_map_unflushed(&map));
	claim(&c, 1, 0x1);
	release(&c, 0x1);
	ck_assert(sluice_map_unflushed(&map));
	/* What is durable makes nothing else so. */
	claim(&c, 0, 0x8);
	c.durable = true;
	release(&c, 0x8);
	ck_assert(sluice_map_unflushed(&map));
	sluice_map_flushing(&map);
	ck_assert(!sluice_map_unflushed(&map));
	set_blocks(SLUICE_PAGE_BLOCKS, 1);
	ck_assert(sluice_map_unflushed(&map));
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(nothing_set_is_not_dirty)
{
	struct sluice_claim c;

	start(SLUICE_PAGE_BLOCKS);
	claim(&c, 0, 0xff);
	release(&c, 0);
	ck_assert(!sluice_map_any_volatile(&map));
	ck_assert(!sluice_map_volatile(&map, 0, SLUICE_PAGE_BLOCKS));
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(take_from_cursor)
{
	/* Over a word of the dirty bitmap, and its last page. */
	static const u64 dirty[] = { 0, 1, 5, 63, 64, 65, 127, 130 };
	u64 pages[16], from = 0;
	unsigned int n;
	size_t i;

	start(130 * SLUICE_PAGE_BLOCKS + 9);
	for (i = 0; i < ARRAY_SIZE(dirty); i++)
		set_blocks(dirty[i] * SLUICE_PAGE_BLOCKS + 3, 1);

	ck_assert_uint_eq(sluice_map_take_dirty(&map, &from, pages, 3), 3);
	ck_assert_mem_eq(pages, dirty, 3 * sizeof(u64));
	ck_assert_uint_gt(from, 5);
	ck_assert_uint_le(from, 63);
	/* Behind the cursor: the next round's. Ahead of it: this one's. */
	set_blocks(4, 1);
	set_blocks(100 * SLUICE_PAGE_BLOCKS, 1);
	n = 3 + sluice_map_take_dirty(&map, &from, pages + 3, 4);
	ck_assert_uint_eq(n, 7);
	ck_assert_uint_eq(pages[5], 65);
	ck_assert_uint_eq(pages[6], 100);
	n += sluice_map_take_dirty(&map, &from, pages + 7, 9);
	ck_assert_uint_eq(n, 9);
	ck_assert_uint_eq(pages[7], 127);
	ck_assert_uint_eq(pages[8], 130);
	ck_assert_uint_eq(sluice_map_take_dirty(&map, &from, pages + 9, 7), 0);
	sluice_map_put_dirty(&map, pages, n);
	ck_assert(sluice_map_any_volatile(&map));
	ck_assert(sluice_map_volatile(&map, 0, 1));
	ck_assert(!sluice_map_volatile(&map, SLUICE_PAGE_BLOCKS, map.blocks - SLUICE_PAGE_BLOCKS));

	from = 1;
	ck_assert_uint_eq(sluice_map_take_dirty(&map, &from, pages, 16), 0);
	from = 0;
	ck_assert_uint_eq(sluice_map_take_dirty(&map, &from, pages, 16), 1);
	ck_assert_uint_eq(pages[0], 0);
	sluice_map_put_dirty(&map, pages, 1);
	ck_assert(!sluice_map_any_volatile(&map));
	sluice_map_destroy(&map);
}
END_TEST

START_TEST(take_the_only_one)
{
	u64 page = 7;

	start(130 * SLUICE_PAGE_BLOCKS);
	ck_assert(!sluice_map_take_only_dirty(&map, &page));
	set_blocks(129 * SLUICE_PAGE_BLOCKS + 3, 1);
	set_blocks(64 * SLUICE_PAGE_BLOCKS, 1);
	ck_assert(!sluice_map_take_only_dirty(&map, &page));
	ck_assert_uint_eq(page, 7);
	ck_assert_uint_eq(map.ndirty, 2);
	sluice_map_destroy(&map);

	start(130 * SLUICE_PAGE_BLOCKS);
	set_blocks(129 * SLUICE_PAGE_BLOCKS + 3, 1);
	ck_assert(sluice_map_take_only_dirty(&map, &page));
	ck_assert_uint_eq(page, 129);
	ck_assert(sluice_map_volatile(&map, 129 * SLUICE_PAGE_BLOCKS + 3, 1));
	ck_assert(!sluice_map_take_only_dirty(&map, &page));
	sluice_map_put_dirty(&map, &page, 1);
	ck_assert(!sluice_map_any_volatile(&map));
	sluice_map_destroy(&map);
}
END_TEST

static void *release_first_block(void *arg)
{
	LIST_HEAD(woken);

	sluice_map_release(&map, arg, 1, &woken);
	return NULL;
}

/*
 * Who sees a block resident and then asks whether it is volatile (a FUA write
 * that goes straight to the local disk if not) must not hear that it is durable
 * because the release has not got that far yet. Holding the lock that guards
 * volatility stops a release at the point in question.
 */
START_TEST(inv10_visible_bit_is_volatile)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	bool visible = false, dirty = false;
	struct sluice_claim c;
	pthread_t thread;
	int tries;

	start(REGION);
	claim(&c, 0, 1);
	spin_lock(&map.dirty_lock);
	ck_assert_int_eq(pthread_create(&thread, NULL, release_first_block, &c), 0);
	/* 200 is arbitrary: ample for a thread to come to the lock. */
	for (tries = 0; tries < 200 && !visible; tries++) {
		nanosleep(&ms, NULL);
		visible = sluice_map_resident(&map, 0, 1);
		dirty = test_bit(0, map.dirty);
	}
	spin_unlock(&map.dirty_lock);
	pthread_join(thread, NULL);
	ck_assert(sluice_map_resident(&map, 0, 1));
	ck_assert(sluice_map_volatile(&map, 0, 1));
	sluice_map_destroy(&map);
	ck_assert_msg(!visible || dirty, "a bit was visible before its page was dirty");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("map");
	TCase *tcase = tcase_create("map");
	SRunner *runner;
	int failed;

	/* 60 s is arbitrary: all take milliseconds, but not on a loaded emulator. */
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, init_sizes);
	tcase_add_test(tcase, region_masks);
	tcase_add_test(tcase, runs);
	tcase_add_test(tcase, runs_over_large_maps);
	tcase_add_test(tcase, load_pages);
	tcase_add_loop_test(tcase, copy_then_load, 0, 2);
	tcase_add_test(tcase, claims_are_of_their_region);
	tcase_add_test(tcase, release_sets_only_what_was_written);
	tcase_add_test(tcase, release_wakes_who_overlaps);
	tcase_add_test(tcase, asked_is_of_the_region);
	tcase_add_loop_test_raise_signal(tcase, misuse, SIGABRT, 0, 5);
	tcase_add_test(tcase, volatile_until_put);
	tcase_add_test(tcase, dirty_again_while_syncing);
	tcase_add_test(tcase, unflushed_until_flushing);
	tcase_add_test(tcase, nothing_set_is_not_dirty);
	tcase_add_test(tcase, take_the_only_one);
	tcase_add_test(tcase, take_from_cursor);
	tcase_add_test(tcase, inv10_visible_bit_is_volatile);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
