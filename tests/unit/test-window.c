// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/window.c */
#include "window.h"

#include <stdlib.h>

#include <check.h>

#define KIB		UINT64_C(1024)
#define MIB		(1024 * KIB)
#define SECOND		UINT64_C(1000000)
#define CHUNKS		256

/* A way of @latency and @rate bytes a second, on which one after the other is carried. */
struct way {
	uint64_t latency, rate, free_at;
};

struct chunk {
	uint64_t bytes, began, ends;
};

static struct sluiced_window w;
static struct chunk flying[CHUNKS];
static unsigned int first, count;
static uint64_t now, in_flight;

static void setup(void)
{
	now = 7 * SECOND;
	first = 0;
	count = 0;
	in_flight = 0;
	sluiced_window_reset(&w, now);
}

static void fill(struct way *way)
{
	struct chunk *chunk;

	while (in_flight < w.bytes && count < CHUNKS) {
		chunk = &flying[(first + count++) % CHUNKS];
		chunk->bytes = sluiced_window_chunk_blocks(&w, 256, 0) * 4 * KIB;
		chunk->began = now;
		if (way->free_at < now)
			way->free_at = now;
		way->free_at += chunk->bytes * SECOND / way->rate;
		chunk->ends = way->free_at + way->latency;
		in_flight += chunk->bytes;
	}
}

/* Copies for so long: what has arrived. */
static uint64_t copy(struct way *way, uint64_t us)
{
	uint64_t bytes = 0, end = now + us;
	struct chunk *chunk;

	for (;;) {
		fill(way);
		chunk = &flying[first];
		if (chunk->ends > end)
			break;
		now = chunk->ends;
		bytes += chunk->bytes;
		sluiced_window_done(&w, chunk->bytes, now - chunk->began, in_flight, now);
		in_flight -= chunk->bytes;
		first = (first + 1) % CHUNKS;
		count--;
	}
	now = end;
	return bytes;
}

/* What a read that comes now would wait behind the copy. */
static uint64_t queue(const struct way *way)
{
	return way->free_at > now ? way->free_at - now : 0;
}

static struct way ways[] = {
	{ .latency = 1000, .rate = 4 * MIB },
	{ .latency = 1000, .rate = 20 * MIB },
	{ .latency = 40000, .rate = 20 * MIB },
	{ .latency = 1000, .rate = 119 * MIB },
	{ .latency = 60000, .rate = 119 * MIB },
	{ .latency = 100, .rate = 1190 * MIB },
	{ .latency = 10000, .rate = 1190 * MIB },
};

/* Each kind of link is full after two seconds, and nobody waits long behind the copy. */
START_TEST(a_link_is_full_and_its_queue_short)
{
	struct way way = ways[_i];
	uint64_t longest = 0, bytes = 0;
	unsigned int i;

	copy(&way, 2 * SECOND);
	for (i = 0; i < 100; i++) {
		bytes += copy(&way, SECOND / 10);
		if (queue(&way) > longest)
			longest = queue(&way);
	}
	ck_assert_uint_ge(bytes, way.rate * 10 * 95 / 100);
	/* Two chunks at the least, however slow. */
	ck_assert_uint_le(longest, 75000 + SLUICED_WINDOW_MIN * SECOND / way.rate);
}
END_TEST

START_TEST(a_link_that_gets_slower_is_not_flooded)
{
	struct way way = { .latency = 1000, .rate = 1190 * MIB };

	copy(&way, 5 * SECOND);
	way.rate = 20 * MIB;
	copy(&way, 5 * SECOND);
	ck_assert_uint_le(queue(&way), 100000);
	ck_assert_uint_ge(copy(&way, 5 * SECOND), 95 * MIB);
	way.rate = 1190 * MIB;
	copy(&way, 2 * SECOND);
	ck_assert_uint_ge(copy(&way, SECOND), 1100 * MIB);
}
END_TEST

/* A longer way is taken for a queue until it has been that long for some time. */
START_TEST(a_way_that_gets_longer_is_filled_again)
{
	struct way way = { .latency = 1000, .rate = 119 * MIB };

	copy(&way, 5 * SECOND);
	way.latency = 90000;
	copy(&way, 1200 * SECOND);
	ck_assert_uint_ge(copy(&way, 10 * SECOND), 1130 * MIB);
}
END_TEST

/* A host or a limit may keep the copy smaller: that proves nothing of a larger one. */
START_TEST(what_is_not_filled_does_not_grow)
{
	uint64_t before = w.bytes;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		now += 20000;
		sluiced_window_done(&w, 64 * KIB, 5000, 64 * KIB, now);
	}
	ck_assert_uint_le(w.bytes, before + MIB);
	ck_assert_uint_le(sluiced_window_chunk_blocks(&w, 256, 0), 128);
}
END_TEST

/* On a link that is quick they are whole, however few are in flight beside a host. */
START_TEST(chunks_are_whole_where_that_is_quick)
{
	sluiced_window_done(&w, 256 * KIB, 3000, 256 * KIB, now);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 256, 0), 256);
	sluiced_window_reset(&w, now);
	sluiced_window_done(&w, 256 * KIB, 13000, 256 * KIB, now);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 256, 0), 64);
	/* Some latency is not taken for a slow link for longer than the first one. */
	sluiced_window_done(&w, 64 * KIB, 500, 64 * KIB, now);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 256, 0), 256);
	sluiced_window_done(&w, 4 * KIB, 0, 4 * KIB, now);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 256, 0), 256);
}
END_TEST

static void arrive(uint64_t bytes, uint64_t us, unsigned int count)
{
	while (count--)
		sluiced_window_done(&w, bytes, us, bytes, now);
}

/* Beside a host that waits: but not where it is the way that is long. */
START_TEST(chunks_are_small_on_a_slow_link)
{
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 64, 4 * MIB), 64);
	arrive(256 * KIB, 3300, 4);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 64, 4 * MIB), 64);
	sluiced_window_reset(&w, now);
	/* One alone says nothing. */
	arrive(256 * KIB, 14000, 3);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 64, 4 * MIB), 64);
	arrive(256 * KIB, 14000, 1);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 64, 4 * MIB), 32);
	arrive(128 * KIB, 7600, 4);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 64, 4 * MIB), 16);
	arrive(64 * KIB, 4400, 4);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 64, 4 * MIB), 16);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 256, 4 * MIB), 64);
	sluiced_window_reset(&w, now);
	arrive(256 * KIB, 62000, 4);
	arrive(128 * KIB, 61000, 4);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 64, 0), 64);
}
END_TEST

/* One chunk at a time carries it, on links of each kind that can. */
START_TEST(one_chunk_at_a_time_makes_the_floor)
{
	static const struct {
		uint64_t latency, rate;
	} links[] = {
		{ 1000, 20 * MIB }, { 6000, 20 * MIB }, { 15000, 8 * MIB }, { 90000, 119 * MIB },
		{ 200000, 1190 * MIB },
	};
	static const uint32_t largest[] = { 64, 256 };
	uint64_t bytes, us = 0;
	unsigned int i, j, k;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		for (j = 0; j < 2; j++) {
			sluiced_window_reset(&w, now);
			for (k = 0; k < 50; k++) {
				bytes = sluiced_window_chunk_blocks(&w, largest[j], 4 * MIB) * 4 * KIB;
				us = links[i].latency + bytes * SECOND / links[i].rate;
				arrive(bytes, us, 1);
			}
			ck_assert_uint_ge(bytes * SECOND / us, 4 * MIB);
		}
	}
	/* And where none can it is not without bounds. */
	sluiced_window_reset(&w, now);
	arrive(256 * KIB, 3 * SECOND, 50);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 64, UINT64_MAX), 256);
}
END_TEST

/* What waits in its own queue does not become the way. */
START_TEST(its_own_queue_is_not_taken_for_the_way)
{
	struct way way = { .latency = 1000, .rate = 20 * MIB };

	copy(&way, 7200 * SECOND);
	ck_assert_uint_le(queue(&way), 110000);
	ck_assert_uint_ge(copy(&way, 600 * SECOND), 600 * 20 * MIB * 98 / 100);
}
END_TEST

START_TEST(chunks_follow_the_window)
{
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 256, 0), 64);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 16, 0), 16);
	w.bytes = SLUICED_WINDOW_MIN;
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 256, 0), 64);
	w.bytes = SLUICED_WINDOW_MAX;
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 256, 0), 256);
	ck_assert_uint_eq(sluiced_window_chunk_blocks(&w, 64, 0), 64);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("window");
	TCase *tcase = tcase_create("window");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, a_link_is_full_and_its_queue_short, 0,
			    sizeof(ways) / sizeof(ways[0]));
	tcase_add_test(tcase, a_link_that_gets_slower_is_not_flooded);
	tcase_add_test(tcase, a_way_that_gets_longer_is_filled_again);
	tcase_add_test(tcase, what_is_not_filled_does_not_grow);
	tcase_add_test(tcase, chunks_are_whole_where_that_is_quick);
	tcase_add_test(tcase, chunks_are_small_on_a_slow_link);
	tcase_add_test(tcase, one_chunk_at_a_time_makes_the_floor);
	tcase_add_test(tcase, its_own_queue_is_not_taken_for_the_way);
	tcase_add_test(tcase, chunks_follow_the_window);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
