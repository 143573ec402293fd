// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/scheduler.c daemon/readahead.c */
#include "scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#define IMAGE	4000
#define TOTAL	5000

/* A map of one byte a block; what the kernel's shared memory is to the daemon. */
static uint8_t resident[TOTAL];
static struct sluiced_scheduler s;

static uint32_t missing(void *ctx, uint64_t from, uint64_t end, uint32_t max, uint64_t *start)
{
	uint64_t block = from, n = 0;

	(void)ctx;
	while (block < end && resident[block])
		block++;
	*start = block;
	while (block + n < end && n < max && !resident[block + n])
		n++;
	return n;
}

static const struct sluiced_geometry geometry = {
	.image_blocks = IMAGE,
	.total_blocks = TOTAL,
	.max_fetch_blocks = 256,
	.max_zero_blocks = 512,
};

static const struct sluiced_allowance all = {
	.source = true, .background = true, .zero = true, .chunk_blocks = 256,
};
static const struct sluiced_allowance demand_only = { .source = true, .chunk_blocks = 256 };
static const struct sluiced_allowance no_source = {
	.background = true, .zero = true, .chunk_blocks = 256,
};

static void setup(void)
{
	memset(resident, 0, sizeof(resident));
	ck_assert_int_eq(sluiced_scheduler_init(&s, &geometry, missing, NULL), 0);
}

static void teardown(void)
{
	sluiced_scheduler_exit(&s);
}

static void expect(struct sluiced_fetch *f, uint64_t now, const struct sluiced_allowance *allow,
		   enum sluiced_fetch_kind kind, uint64_t block, uint32_t blocks)
{
	ck_assert(sluiced_scheduler_next(&s, now, allow, f));
	ck_assert_int_eq(f->kind, kind);
	ck_assert_uint_eq(f->block, block);
	ck_assert_uint_eq(f->blocks, blocks);
	ck_assert(f->zero == (block >= IMAGE));
}

static void expect_nothing(uint64_t now, const struct sluiced_allowance *allow)
{
	struct sluiced_fetch f;

	ck_assert(!sluiced_scheduler_next(&s, now, allow, &f));
}

/* The commit made all of it resident. */
static void arrive(struct sluiced_fetch *f, uint64_t now)
{
	memset(resident + f->block, 1, f->blocks);
	sluiced_scheduler_done(&s, f, false, now);
}

START_TEST(refuses_geometries_without_sense)
{
	struct sluiced_geometry geo = geometry;
	struct sluiced_scheduler other;

	geo.image_blocks = TOTAL + 1;
	ck_assert_int_eq(sluiced_scheduler_init(&other, &geo, missing, NULL), -EINVAL);
	geo = geometry;
	geo.max_fetch_blocks = 0;
	ck_assert_int_eq(sluiced_scheduler_init(&other, &geo, missing, NULL), -EINVAL);
}
END_TEST

START_TEST(copies_in_order_then_zeroes)
{
	struct sluiced_fetch f;
	uint64_t block;

	for (block = 0; block < IMAGE; block += f.blocks) {
		expect(&f, 0, &all, SLUICED_BACKGROUND, block,
		       IMAGE - block < 256 ? IMAGE - block : 256);
		arrive(&f, 0);
	}
	/* Aligned to their size, so the first one is short. */
	expect(&f, 0, &all, SLUICED_BACKGROUND, 4000, 96);
	arrive(&f, 0);
	expect(&f, 0, &all, SLUICED_BACKGROUND, 4096, 512);
	arrive(&f, 0);
	ck_assert(!sluiced_scheduler_finished(&s));
	expect(&f, 0, &all, SLUICED_BACKGROUND, 4608, 392);
	ck_assert(!sluiced_scheduler_finished(&s));
	arrive(&f, 0);
	ck_assert(sluiced_scheduler_finished(&s));
	expect_nothing(0, &all);
}
END_TEST

/* What is known of the image, one character a block. */
static char known[TOTAL];
static uint64_t asked_at;

static enum sluiced_content content(void *ctx, uint64_t block, uint32_t *blocks, bool ask)
{
	uint64_t end = block;

	ck_assert_ptr_eq(ctx, known);
	ck_assert_uint_lt(block, IMAGE);
	while (end < IMAGE && known[end] == known[block])
		end++;
	if (*blocks > end - block)
		*blocks = end - block;
	if (known[block] == '?' && ask)
		asked_at = block;
	return known[block] == 'd' ? SLUICED_DATA : known[block] == '0' ? SLUICED_ZERO :
									 SLUICED_UNKNOWN;
}

static void expect_of(struct sluiced_fetch *f, const struct sluiced_allowance *allow,
		      enum sluiced_fetch_kind kind, uint64_t block, uint32_t blocks, bool zero)
{
	ck_assert(sluiced_scheduler_next(&s, 0, allow, f));
	ck_assert_int_eq(f->kind, kind);
	ck_assert_uint_eq(f->block, block);
	ck_assert_uint_eq(f->blocks, blocks);
	ck_assert(f->zero == zero);
}

START_TEST(holes_are_zeroes)
{
	static const struct sluiced_allowance zeroes = {
		.source = true, .zero = true, .chunk_blocks = 256,
	};
	static const struct sluiced_allowance data = {
		.source = true, .background = true, .chunk_blocks = 256,
	};
	struct sluiced_fetch f, g, h;

	memset(known, 'd', sizeof(known));
	memset(known + 100, '0', 1000);
	memset(known + 1500, '?', IMAGE - 1500);
	sluiced_scheduler_set_content(&s, content, known);
	asked_at = 0;
	expect_of(&f, &all, SLUICED_BACKGROUND, 0, 100, false);
	/* Neither is passed over for want of leave. */
	expect_nothing(0, &data);
	expect_of(&g, &zeroes, SLUICED_BACKGROUND, 100, 412, true);
	arrive(&g, 0);
	expect_of(&g, &all, SLUICED_BACKGROUND, 512, 512, true);
	arrive(&g, 0);
	expect_of(&g, &all, SLUICED_BACKGROUND, 1024, 76, true);
	arrive(&g, 0);
	ck_assert(!sluiced_scheduler_next(&s, 0, &zeroes, &h) || h.block >= IMAGE);
	if (h.blocks)
		arrive(&h, 0);
	expect_of(&g, &data, SLUICED_BACKGROUND, 1100, 180, false);
	arrive(&g, 0);
	expect_of(&g, &data, SLUICED_BACKGROUND, 1280, 220, false);
	arrive(&g, 0);
	arrive(&f, 0);
	/* The copy waits for an answer, what the host waits for does not. */
	ck_assert_uint_eq(asked_at, 0);
	expect_nothing(0, &data);
	ck_assert_uint_eq(asked_at, 1500);
	asked_at = 0;
	sluiced_scheduler_demand(&s, 2000, 10, true);
	expect_of(&g, &demand_only, SLUICED_DEMAND, 2000, 10, false);
	ck_assert_uint_eq(asked_at, 0);
	arrive(&g, 0);
	/* And takes zeroes where it is known. */
	known[2100] = '0';
	known[2101] = '0';
	sluiced_scheduler_demand(&s, 2100, 10, true);
	expect_of(&g, &demand_only, SLUICED_DEMAND, 2100, 2, true);
	arrive(&g, 0);
	expect_of(&g, &demand_only, SLUICED_DEMAND, 2102, 8, false);
	arrive(&g, 0);
	memset(known + 1500, '0', IMAGE - 1500);
	expect_of(&g, &zeroes, SLUICED_BACKGROUND, 1500, 36, true);
	arrive(&g, 0);
}
END_TEST

START_TEST(demand_goes_first_and_by_itself)
{
	struct sluiced_fetch chunk, demand, next;

	expect(&chunk, 0, &all, SLUICED_BACKGROUND, 0, 256);
	/* Inside the chunk that is on its way. */
	sluiced_scheduler_demand(&s, 100, 2, true);
	expect(&demand, 0, &all, SLUICED_DEMAND, 100, 2);
	/* The same once more waits for that. */
	sluiced_scheduler_demand(&s, 100, 1, true);
	expect(&next, 0, &all, SLUICED_BACKGROUND, 256, 256);
	arrive(&demand, 0);
	arrive(&chunk, 0);
	arrive(&next, 0);
	ck_assert(!sluiced_scheduler_has_demand(&s));
}
END_TEST

START_TEST(demand_waits_for_a_chunk_that_is_being_written)
{
	struct sluiced_fetch chunk, f;

	expect(&chunk, 0, &all, SLUICED_BACKGROUND, 0, 256);
	chunk.committing = true;
	sluiced_scheduler_demand(&s, 10, 4, true);
	expect_nothing(0, &demand_only);
	ck_assert_int_eq(chunk.kind, SLUICED_DEMAND);
	/* It failed after all: what the host wants is tried again like demand. */
	sluiced_scheduler_done(&s, &chunk, true, 0);
	expect_nothing(99, &demand_only);
	expect(&f, 100, &demand_only, SLUICED_DEMAND, 0, 64);
	ck_assert_uint_eq(f.attempts, 1);
	arrive(&f, 100);
}
END_TEST

START_TEST(demand_is_fifo_and_split)
{
	struct sluiced_fetch f[6];
	unsigned int i;

	sluiced_scheduler_demand(&s, 1000, 200, true);
	sluiced_scheduler_demand(&s, 5, 1, true);
	sluiced_scheduler_demand(&s, 1010, 5, true);
	expect(&f[0], 0, &all, SLUICED_DEMAND, 1000, 64);
	expect(&f[1], 0, &all, SLUICED_DEMAND, 1064, 64);
	expect(&f[2], 0, &all, SLUICED_DEMAND, 1128, 64);
	expect(&f[3], 0, &all, SLUICED_DEMAND, 1192, 8);
	expect(&f[4], 0, &all, SLUICED_DEMAND, 5, 1);
	expect(&f[5], 0, &all, SLUICED_BACKGROUND, 0, 5);
	for (i = 0; i < 6; i++)
		arrive(&f[i], 0);
}
END_TEST

START_TEST(demand_skips_what_is_resident)
{
	struct sluiced_fetch f;

	memset(resident + 20, 1, 10);
	sluiced_scheduler_demand(&s, 18, 20, true);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 18, 2);
	arrive(&f, 0);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 30, 8);
	arrive(&f, 0);
	sluiced_scheduler_demand(&s, 18, 20, true);
	expect_nothing(0, &demand_only);
	ck_assert(!sluiced_scheduler_has_demand(&s));
}
END_TEST

START_TEST(zeroes_are_demanded_without_a_source)
{
	struct sluiced_fetch f;

	sluiced_scheduler_demand(&s, IMAGE - 2, 10, true);
	expect(&f, 0, &no_source, SLUICED_DEMAND, IMAGE, 8);
	arrive(&f, 0);
	expect(&f, 0, &no_source, SLUICED_BACKGROUND, IMAGE + 8, 96 - 8);
	arrive(&f, 0);
	ck_assert(sluiced_scheduler_has_demand(&s));
	expect(&f, 0, &demand_only, SLUICED_DEMAND, IMAGE - 2, 2);
	arrive(&f, 0);
}
END_TEST

START_TEST(reads_ahead_of_streams_only)
{
	struct sluiced_fetch f;

	sluiced_scheduler_demand(&s, 100, 8, false);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 100, 8);
	arrive(&f, 0);
	expect_nothing(0, &demand_only);
	sluiced_scheduler_demand(&s, 2000, 8, false);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 2000, 8);
	arrive(&f, 0);
	expect_nothing(0, &demand_only);
	/* Goes on with the first one. */
	sluiced_scheduler_demand(&s, 108, 8, false);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 108, 8);
	arrive(&f, 0);
	expect(&f, 0, &demand_only, SLUICED_READAHEAD, 116, 32);
	arrive(&f, 0);
	/* All of that was read without a miss; the next miss is at its end. */
	sluiced_scheduler_demand(&s, 148, 8, false);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 148, 8);
	arrive(&f, 0);
	expect(&f, 0, &demand_only, SLUICED_READAHEAD, 156, 64);
	arrive(&f, 0);
	/* Writes are no stream. */
	sluiced_scheduler_demand(&s, 220, 1, true);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 220, 1);
	arrive(&f, 0);
	expect_nothing(0, &demand_only);
}
END_TEST

START_TEST(readahead_on_its_way_serves_demand)
{
	struct sluiced_fetch a, ahead, f;

	sluiced_scheduler_demand(&s, 0, 8, false);
	sluiced_scheduler_demand(&s, 8, 8, false);
	expect(&a, 0, &demand_only, SLUICED_DEMAND, 0, 8);
	arrive(&a, 0);
	expect(&a, 0, &demand_only, SLUICED_DEMAND, 8, 8);
	arrive(&a, 0);
	expect(&ahead, 0, &demand_only, SLUICED_READAHEAD, 16, 32);
	sluiced_scheduler_demand(&s, 16, 8, true);
	expect_nothing(0, &demand_only);
	ck_assert_int_eq(ahead.kind, SLUICED_DEMAND);
	ck_assert(sluiced_scheduler_has_demand(&s));
	sluiced_scheduler_done(&s, &ahead, true, 0);
	expect(&f, 100, &demand_only, SLUICED_DEMAND, 16, 32);
	arrive(&f, 100);
	ck_assert(!sluiced_scheduler_has_demand(&s));
}
END_TEST

START_TEST(readahead_ends_with_the_image)
{
	struct sluiced_fetch f;

	sluiced_scheduler_demand(&s, IMAGE - 20, 4, false);
	sluiced_scheduler_demand(&s, IMAGE - 16, 4, false);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, IMAGE - 20, 4);
	arrive(&f, 0);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, IMAGE - 16, 4);
	arrive(&f, 0);
	expect(&f, 0, &demand_only, SLUICED_READAHEAD, IMAGE - 12, 12);
	arrive(&f, 0);
	expect_nothing(0, &demand_only);
}
END_TEST

/* A reader that passed what was read ahead, then one that jumps about in it. */
START_TEST(stops_reading_ahead_of_a_random_pattern)
{
	static const uint64_t jumps[] = { 270, 250, 290, 255, 280, 247, 300, 262 };
	struct sluiced_fetch f;
	size_t i;

	for (i = 0; i < 3; i++) {
		sluiced_scheduler_demand(&s, i * 8, 8, false);
		expect(&f, 0, &demand_only, SLUICED_DEMAND, i * 8, 8);
		arrive(&f, 0);
	}
	while (sluiced_scheduler_next(&s, 0, &demand_only, &f)) {
		ck_assert_int_eq(f.kind, SLUICED_READAHEAD);
		arrive(&f, 0);
	}
	/* 16 to 24 was demanded, 24 to 88 was read ahead, and is passed. */
	ck_assert_uint_eq(s.readahead.blocks, 64);
	ck_assert_uint_eq(sluiced_readahead_unused(&s.readahead), 64);
	sluiced_scheduler_demand(&s, 88, 8, false);
	ck_assert_uint_eq(sluiced_readahead_unused(&s.readahead), 0);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 88, 8);
	arrive(&f, 0);
	expect(&f, 0, &demand_only, SLUICED_READAHEAD, 96, 64);
	arrive(&f, 0);
	/* The window is 96 to 224; what of it is still queued is not fetched any more. */
	sluiced_scheduler_demand(&s, 200, 1, false);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 200, 1);
	arrive(&f, 0);
	expect_nothing(0, &demand_only);
	ck_assert_uint_eq(sluiced_readahead_unused(&s.readahead), 64);
	for (i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		sluiced_scheduler_demand(&s, jumps[i], 1, false);
		expect(&f, 0, &demand_only, SLUICED_DEMAND, jumps[i], 1);
		arrive(&f, 0);
		expect_nothing(0, &demand_only);
	}
	ck_assert_uint_eq(s.readahead.blocks, 128);
}
END_TEST

/* Several readers at once each have their own window. */
START_TEST(recognises_streams_beside_each_other)
{
	struct sluiced_fetch f;
	uint64_t round, reader, ahead = 0;

	for (round = 0; round < 4; round++) {
		for (reader = 0; reader < 4; reader++) {
			uint64_t at = reader * 1000;

			while (at < reader * 1000 + 1000 && resident[at])
				at++;
			sluiced_scheduler_demand(&s, at, 4, false);
			expect(&f, 0, &demand_only, SLUICED_DEMAND, at, 4);
			arrive(&f, 0);
			for (ahead = 0; sluiced_scheduler_next(&s, 0, &demand_only, &f);) {
				ck_assert_int_eq(f.kind, SLUICED_READAHEAD);
				ahead += f.blocks;
				arrive(&f, 0);
			}
			ck_assert_uint_eq(ahead, round ? 16U << round : 0);
		}
	}
}
END_TEST

/* Requests that the host sent together may come in any order. */
START_TEST(a_stream_may_be_shuffled)
{
	struct sluiced_fetch f[4];

	sluiced_scheduler_demand(&s, 0, 32, false);
	expect(&f[0], 0, &demand_only, SLUICED_DEMAND, 0, 32);
	sluiced_scheduler_demand(&s, 32, 32, false);
	expect(&f[1], 0, &demand_only, SLUICED_DEMAND, 32, 32);
	expect(&f[2], 0, &demand_only, SLUICED_READAHEAD, 64, 32);
	/* Over what is on its way. */
	sluiced_scheduler_demand(&s, 96, 32, false);
	expect(&f[3], 0, &demand_only, SLUICED_DEMAND, 96, 32);
	arrive(&f[3], 0);
	expect(&f[3], 0, &demand_only, SLUICED_READAHEAD, 128, 64);
	arrive(&f[3], 0);
	arrive(&f[0], 0);
	arrive(&f[1], 0);
	arrive(&f[2], 0);
}
END_TEST

static const struct sluice_extent profile[] = {
	{ 1000, 100 }, { 10, 4 }, { IMAGE - 1, 500 }, { 2000, 8 }, { TOTAL + 10, 1 }, { 50, 1 },
};

static const struct sluiced_allowance profiled = {
	.source = true, .background = true, .zero = true, .chunk_blocks = 256,
	.profile_blocks = 64, .profile_first = true,
};

START_TEST(the_profile_goes_before_the_rest)
{
	struct sluiced_allowance recording = profiled, full = profiled;
	struct sluiced_fetch f, g, h;

	sluiced_scheduler_set_profile(&s, profile, sizeof(profile) / sizeof(profile[0]));
	ck_assert(sluiced_scheduler_in_profile(&s));
	memset(resident + 2000, 1, 8);
	expect(&f, 0, &profiled, SLUICED_PROFILE, 1000, 64);
	/* Demand and read-ahead before it; and what it brings is not asked for again. */
	sluiced_scheduler_demand(&s, 3000, 8, false);
	sluiced_scheduler_demand(&s, 3008, 8, false);
	sluiced_scheduler_demand(&s, 1010, 1, false);
	expect(&g, 0, &profiled, SLUICED_DEMAND, 3000, 8);
	arrive(&g, 0);
	expect(&g, 0, &profiled, SLUICED_DEMAND, 3008, 8);
	arrive(&g, 0);
	expect(&g, 0, &profiled, SLUICED_READAHEAD, 3016, 32);
	ck_assert_int_eq(f.kind, SLUICED_DEMAND);
	arrive(&g, 0);
	arrive(&f, 0);
	/* One that cannot be started comes again. */
	expect(&f, 0, &profiled, SLUICED_PROFILE, 1064, 36);
	sluiced_scheduler_put_back(&s, &f);
	expect(&f, 0, &profiled, SLUICED_PROFILE, 1064, 36);
	arrive(&f, 0);
	/* The rest waits for it, or goes around what is on its way. */
	expect(&f, 0, &profiled, SLUICED_PROFILE, 10, 4);
	full.profile_blocks = 0;
	full.zero = false;
	expect_nothing(0, &full);
	expect(&g, 0, &all, SLUICED_BACKGROUND, 0, 10);
	expect(&h, 0, &profiled, SLUICED_PROFILE, IMAGE - 1, 1);
	arrive(&h, 0);
	arrive(&g, 0);
	recording.only_demand = true;
	expect_nothing(0, &recording);
	/* What failed is left to the rest. */
	sluiced_scheduler_done(&s, &f, true, 0);
	expect(&f, 0, &profiled, SLUICED_PROFILE, 50, 1);
	arrive(&f, 0);
	expect(&g, 0, &profiled, SLUICED_BACKGROUND, 14, 36);
	ck_assert(!sluiced_scheduler_in_profile(&s));
	arrive(&g, 0);
	/* Anew, what is there is passed over. */
	sluiced_scheduler_set_profile(&s, profile, sizeof(profile) / sizeof(profile[0]));
	expect(&f, 100, &profiled, SLUICED_PROFILE, 10, 4);
	arrive(&f, 100);
	sluiced_scheduler_set_profile(&s, NULL, 0);
}
END_TEST

START_TEST(failures_back_off)
{
	static const uint64_t pauses[] = { 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000 };
	struct sluiced_fetch f;
	uint64_t now = 0;
	size_t i;

	sluiced_scheduler_demand(&s, 7, 1, true);
	for (i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		expect(&f, now, &demand_only, SLUICED_DEMAND, 7, 1);
		sluiced_scheduler_done(&s, &f, true, now);
		ck_assert_uint_eq(sluiced_scheduler_wake_at(&s, now), now + pauses[i]);
		expect_nothing(now + pauses[i] - 1, &demand_only);
		now += pauses[i];
	}
	/* The host asks again: it does not wait for the old pause. */
	expect(&f, now, &demand_only, SLUICED_DEMAND, 7, 1);
	sluiced_scheduler_done(&s, &f, true, now);
	sluiced_scheduler_demand(&s, 7, 1, true);
	expect(&f, now, &demand_only, SLUICED_DEMAND, 7, 1);
	arrive(&f, now);
}
END_TEST

START_TEST(background_goes_around_what_failed)
{
	struct sluiced_fetch bad, f;

	expect(&bad, 0, &all, SLUICED_BACKGROUND, 0, 256);
	sluiced_scheduler_done(&s, &bad, true, 0);
	memset(resident + 256, 1, IMAGE - 256 - 10);
	expect(&f, 0, &all, SLUICED_BACKGROUND, IMAGE - 10, 10);
	arrive(&f, 0);
	memset(resident + IMAGE, 1, TOTAL - IMAGE);
	expect_nothing(99, &all);
	ck_assert_uint_eq(sluiced_scheduler_wake_at(&s, 0), 100);
	ck_assert(!sluiced_scheduler_finished(&s));
	expect(&bad, 100, &all, SLUICED_BACKGROUND, 0, 256);
	ck_assert_uint_eq(bad.attempts, 1);
	sluiced_scheduler_done(&s, &bad, true, 100);
	expect_nothing(299, &all);
	/* Unless the source is known to be well again. */
	sluiced_scheduler_retry_now(&s);
	expect(&bad, 100, &all, SLUICED_BACKGROUND, 0, 256);
	arrive(&bad, 100);
	ck_assert(sluiced_scheduler_finished(&s));
}
END_TEST

START_TEST(more_failures_than_remembered)
{
	struct sluiced_fetch f;
	struct sluiced_allowance allow = all;
	unsigned int i;

	allow.chunk_blocks = 4;
	allow.zero = false;
	for (i = 0; i < SLUICED_MAX_FAILED + 1; i++) {
		expect(&f, 0, &allow, SLUICED_BACKGROUND, i * 4, 4);
		sluiced_scheduler_done(&s, &f, true, 0);
	}
	/* No more of it until the pause is over, but demand goes on. */
	expect_nothing(50, &allow);
	sluiced_scheduler_demand(&s, 0, 1, true);
	expect(&f, 50, &allow, SLUICED_DEMAND, 0, 1);
	arrive(&f, 50);
	ck_assert(sluiced_scheduler_next(&s, 100, &allow, &f));
	sluiced_scheduler_done(&s, &f, false, 100);
}
END_TEST

START_TEST(skipped_blocks_are_found_again)
{
	struct sluiced_fetch f;

	expect(&f, 0, &all, SLUICED_BACKGROUND, 0, 256);
	memset(resident, 1, 256);
	/* A host write claimed it and then failed. */
	resident[77] = 0;
	sluiced_scheduler_done(&s, &f, false, 0);
	memset(resident + 256, 1, TOTAL - 256);
	ck_assert(!sluiced_scheduler_finished(&s));
	expect(&f, 0, &all, SLUICED_BACKGROUND, 77, 1);
	arrive(&f, 0);
	ck_assert(sluiced_scheduler_finished(&s));
}
END_TEST

START_TEST(what_is_put_back_comes_again)
{
	struct sluiced_fetch f;

	expect(&f, 0, &all, SLUICED_BACKGROUND, 0, 256);
	sluiced_scheduler_put_back(&s, &f);
	expect(&f, 0, &all, SLUICED_BACKGROUND, 0, 256);
	arrive(&f, 0);
	sluiced_scheduler_demand(&s, 1000, 70, true);
	sluiced_scheduler_demand(&s, 2000, 1, true);
	expect(&f, 0, &all, SLUICED_DEMAND, 1000, 64);
	sluiced_scheduler_put_back(&s, &f);
	expect(&f, 0, &all, SLUICED_DEMAND, 1000, 64);
	arrive(&f, 0);
	expect(&f, 0, &all, SLUICED_DEMAND, 1064, 6);
	arrive(&f, 0);
	expect(&f, 0, &all, SLUICED_DEMAND, 2000, 1);
	arrive(&f, 0);
}
END_TEST

START_TEST(demand_is_bounded)
{
	struct sluiced_fetch f;
	unsigned int i;

	for (i = 0; i < IMAGE; i += 1)
		sluiced_scheduler_demand(&s, i, 1, true);
	ck_assert(!sluiced_scheduler_lost_demand(&s));
	for (i = 0; i < SLUICED_MAX_WANTED; i++) {
		expect(&f, 0, &demand_only, SLUICED_DEMAND, i, 1);
		arrive(&f, 0);
	}
	expect_nothing(0, &demand_only);
	/* Said once: the kernel is asked again then. */
	ck_assert(sluiced_scheduler_lost_demand(&s));
	ck_assert(!sluiced_scheduler_lost_demand(&s));
}
END_TEST

START_TEST(forgets_demand)
{
	struct sluiced_fetch f;

	sluiced_scheduler_demand(&s, 1, 1, true);
	expect(&f, 0, &demand_only, SLUICED_DEMAND, 1, 1);
	sluiced_scheduler_done(&s, &f, true, 0);
	sluiced_scheduler_demand(&s, 900, 1, true);
	sluiced_scheduler_forget_demand(&s);
	expect_nothing(10000, &demand_only);
	ck_assert(!sluiced_scheduler_has_demand(&s));
}
END_TEST

/*
 * Random hosts, failures and host writes, with every rule checked at each step;
 * in the end everything is resident.
 */
START_TEST(everything_ends_up_resident)
{
	enum { SLOTS = 24 };
	static struct sluiced_fetch slots[SLOTS];
	bool used[SLOTS] = { 0 };
	struct sluice_extent extents[40];
	struct sluiced_allowance allow;
	uint64_t now = 0;
	unsigned int step, i, j;

	srand(_i + 1);
	for (i = 0; i < 40; i++)
		extents[i] = (struct sluice_extent){ rand() % (TOTAL + 100), rand() % 300 };
	sluiced_scheduler_set_profile(&s, extents, 40);
	for (step = 0; !sluiced_scheduler_finished(&s); step++) {
		bool calm = step > 20000;

		ck_assert_uint_lt(step, 200000);
		now += rand() % 50;
		if (!calm && rand() % 3 == 0) {
			uint64_t block = rand() % TOTAL;
			uint32_t n = rand() % 64 + 1;

			sluiced_scheduler_demand(&s, block, n < TOTAL - block ? n : TOTAL - block,
						 rand() % 2);
		}
		if (!calm && rand() % 5 == 0)
			resident[rand() % TOTAL] = 1;
		i = rand() % SLOTS;
		if (used[i]) {
			bool failed = !calm && rand() % 2;

			if (!failed)
				for (j = 0; j < slots[i].blocks; j++)
					if (calm || rand() % 8)
						resident[slots[i].block + j] = 1;
			used[i] = false;
			sluiced_scheduler_done(&s, &slots[i], failed, now);
			continue;
		}
		allow.source = calm || rand() % 4;
		allow.background = calm || rand() % 2;
		allow.zero = calm || rand() % 2;
		allow.chunk_blocks = rand() % 2 ? 256 : 64;
		allow.only_demand = !calm && rand() % 8 == 0;
		allow.profile_first = rand() % 2;
		allow.profile_blocks = calm || rand() % 2 ? 1 + rand() % 300 : 0;
		if (!sluiced_scheduler_next(&s, now, &allow, &slots[i]))
			continue;
		ck_assert_uint_ge(slots[i].blocks, 1);
		ck_assert_uint_le(slots[i].block + slots[i].blocks, TOTAL);
		ck_assert(slots[i].zero == (slots[i].block >= IMAGE));
		ck_assert(slots[i].zero || slots[i].block + slots[i].blocks <= IMAGE);
		ck_assert_uint_le(slots[i].blocks, slots[i].zero ? 512 : 256);
		for (j = 0; j < slots[i].blocks; j++)
			ck_assert(!resident[slots[i].block + j]);
		for (j = 0; j < SLOTS; j++)
			if (used[j] && slots[i].kind != SLUICED_DEMAND)
				ck_assert(slots[j].block + slots[j].blocks <= slots[i].block ||
					  slots[i].block + slots[i].blocks <= slots[j].block);
		slots[i].committing = rand() % 2;
		if (rand() % 20 == 0)
			sluiced_scheduler_put_back(&s, &slots[i]);
		else
			used[i] = true;
	}
	for (i = 0; i < TOTAL; i++)
		ck_assert(resident[i]);
	expect_nothing(now + 100000, &all);
	ck_assert_uint_eq(s.demand_in_flight, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scheduler");
	TCase *tcase = tcase_create("scheduler");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, refuses_geometries_without_sense);
	tcase_add_test(tcase, copies_in_order_then_zeroes);
	tcase_add_test(tcase, holes_are_zeroes);
	tcase_add_test(tcase, demand_goes_first_and_by_itself);
	tcase_add_test(tcase, demand_waits_for_a_chunk_that_is_being_written);
	tcase_add_test(tcase, demand_is_fifo_and_split);
	tcase_add_test(tcase, demand_skips_what_is_resident);
	tcase_add_test(tcase, zeroes_are_demanded_without_a_source);
	tcase_add_test(tcase, reads_ahead_of_streams_only);
	tcase_add_test(tcase, readahead_on_its_way_serves_demand);
	tcase_add_test(tcase, readahead_ends_with_the_image);
	tcase_add_test(tcase, stops_reading_ahead_of_a_random_pattern);
	tcase_add_test(tcase, recognises_streams_beside_each_other);
	tcase_add_test(tcase, a_stream_may_be_shuffled);
	tcase_add_test(tcase, the_profile_goes_before_the_rest);
	tcase_add_test(tcase, failures_back_off);
	tcase_add_test(tcase, background_goes_around_what_failed);
	tcase_add_test(tcase, more_failures_than_remembered);
	tcase_add_test(tcase, skipped_blocks_are_found_again);
	tcase_add_test(tcase, what_is_put_back_comes_again);
	tcase_add_test(tcase, demand_is_bounded);
	tcase_add_test(tcase, forgets_demand);
	tcase_add_loop_test(tcase, everything_ends_up_resident, 0, 10);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
