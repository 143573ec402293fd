// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/chunk.c */
#include "chunk.h"

#include <stdlib.h>

#include <check.h>

#define KIB		UINT64_C(1024)
#define MIB		(1024 * KIB)
#define SECOND		UINT64_C(1000000)
#define PERIOD		(300 * SECOND)

static struct sluiced_chunk c;
static uint64_t now;

static void setup(void)
{
	now = 7 * SECOND;
	sluiced_chunk_reset(&c, now);
}

static void arrive(uint64_t bytes, uint64_t us, unsigned int count)
{
	while (count--)
		sluiced_chunk_done(&c, bytes, us, true, now);
}

START_TEST(usual_before_anything_is_known)
{
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 64);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 0), 64);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 100 * MIB), 64);
	ck_assert_uint_eq(sluiced_chunk_depth(&c, 64, 100 * MIB), 0);
}
END_TEST

/* On a link that is quick they are whole, however few are in flight beside a host. */
START_TEST(chunks_are_whole_where_that_is_quick)
{
	arrive(256 * KIB, 3900, 1);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 256);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 128, 0), 128);
	setup();
	arrive(256 * KIB, 4100, 1);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 128);
	setup();
	arrive(256 * KIB, 13000, 1);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 64);
	/* Some latency is not taken for a slow link for longer than the first one. */
	arrive(64 * KIB, 500, 1);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 256);
	arrive(64 * KIB, 50000, 1);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 256);
	setup();
	arrive(4 * KIB, 0, 1);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 64);
}
END_TEST

/* Beside a host that waits: but not where it is the way that is long. */
START_TEST(chunks_are_small_on_a_slow_link)
{
	arrive(256 * KIB, 3900, 4);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 4 * MIB), 64);
	setup();
	arrive(256 * KIB, 4100, 4);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 4 * MIB), 32);
	setup();
	/* Of each size some are seen; some of them are behind another's. */
	arrive(256 * KIB, 14000, 3);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 4 * MIB), 64);
	arrive(256 * KIB, 90000, 1);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 4 * MIB), 32);
	arrive(128 * KIB, 13000, 3);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 4 * MIB), 32);
	arrive(128 * KIB, 7600, 1);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 4 * MIB), 16);
	arrive(64 * KIB, 4400, 4);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 4 * MIB), 16);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 4 * MIB), 64);
	setup();
	arrive(256 * KIB, 20000, 4);
	arrive(128 * KIB, 15500, 4);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 0), 64);
	setup();
	arrive(256 * KIB, 20000, 4);
	arrive(128 * KIB, 14500, 4);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 0), 16);
	arrive(64 * KIB, 12000, 4);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 0), 32);
}
END_TEST

/* What it takes on a way of @latency and @rate, one at a time: bytes a second. */
static uint64_t carry(uint64_t latency, uint64_t rate, uint32_t max, uint64_t floor, uint32_t *blocks)
{
	uint64_t bytes, us = 1;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		*blocks = sluiced_chunk_blocks(&c, max, floor);
		bytes = *blocks * 4 * KIB;
		us = latency + bytes * SECOND / rate;
		/* Beside a host some are cut short by what it has asked for; some are in its way. */
		arrive(i % 10 == 3 ? 4 * KIB : bytes, i % 10 == 3 ? latency : us, 1);
		if (i % 10 == 7)
			arrive(bytes, us * 3, 1);
	}
	return bytes * SECOND / us;
}

/* One chunk at a time carries it, on links of each kind that can. */
START_TEST(one_chunk_at_a_time_makes_the_floor)
{
	static const struct {
		uint64_t latency, rate, floor;
		uint32_t most;		/* blocks of one beside a host that waits */
	} links[] = {
		{ 1000, 20 * MIB, 4, 16 },	{ 6000, 20 * MIB, 4, 16 },
		{ 15000, 8 * MIB, 4, 32 },	{ 10000, 8 * MIB, 4, 32 },
		{ 60000, 20 * MIB, 4, 128 },	{ 40000, 8 * MIB, 4, 128 },
		{ 40000, 5 * MIB, 4, 256 },	{ 90000, 8 * MIB, 4, 256 },
		{ 90000, 119 * MIB, 4, 128 },	{ 200000, 1190 * MIB, 4, 256 },
		{ 1000, 119 * MIB, 60, 64 },
	};
	uint32_t blocks;
	unsigned int i;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		uint64_t floor = links[i].floor * MIB;

		setup();
		ck_assert_uint_ge(carry(links[i].latency, links[i].rate, 64, floor, &blocks), floor);
		ck_assert_msg(blocks == links[i].most, "link %u: %u blocks", i, blocks);
		setup();
		ck_assert_uint_ge(carry(links[i].latency, links[i].rate, 256, floor, &blocks), floor);
	}
}
END_TEST

/* What was in a queue does not count, but for how quick the link is. */
START_TEST(a_queue_is_not_the_way)
{
	uint32_t blocks;
	unsigned int i;

	for (i = 0; i < 50; i++)
		sluiced_chunk_done(&c, MIB, 400000, false, now);
	ck_assert_uint_ge(carry(40000, 5 * MIB, 64, 4 * MIB, &blocks), 4 * MIB);
	setup();
	sluiced_chunk_done(&c, MIB, 15000, false, now);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 256);
}
END_TEST

/* A link that is full with a small one gets no larger ones, whatever the floor. */
START_TEST(no_chunk_is_larger_for_nothing)
{
	uint32_t blocks;

	carry(1000, MIB, 64, 4 * MIB, &blocks);
	ck_assert_uint_eq(blocks, 16);
	ck_assert_uint_eq(sluiced_chunk_depth(&c, blocks, 4 * MIB), 1);
	setup();
	carry(1000, 19 * MIB, 64, 50 * MIB, &blocks);
	ck_assert_uint_le(blocks, 32);
	setup();
	/* And where none can make it it is not without bounds. */
	arrive(128 * KIB, 3 * SECOND, 50);
	arrive(256 * KIB, 3 * SECOND, 50);
	arrive(512 * KIB, 3 * SECOND, 50);
	arrive(MIB, 3600 * SECOND, 50);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, UINT64_MAX), 128);
	setup();
	arrive(MIB, UINT64_C(1) << 30, 50);
	ck_assert_uint_eq(sluiced_chunk_depth(&c, 256, UINT64_MAX), 8);
	arrive(512 * KIB, SECOND, 50);
	ck_assert_uint_eq(sluiced_chunk_depth(&c, 256, UINT64_MAX), 1);
}
END_TEST

/* On a long way a high floor takes several. */
START_TEST(several_make_a_floor_that_one_does_not)
{
	uint32_t blocks;

	/* 28.4 ms for a MiB. */
	carry(20000, 119 * MIB, 64, 60 * MIB, &blocks);
	ck_assert_uint_eq(blocks, 256);
	ck_assert_uint_eq(sluiced_chunk_depth(&c, 256, 35 * MIB), 1);
	ck_assert_uint_eq(sluiced_chunk_depth(&c, 256, 36 * MIB), 2);
	ck_assert_uint_eq(sluiced_chunk_depth(&c, 256, 60 * MIB), 2);
	ck_assert_uint_eq(sluiced_chunk_depth(&c, 256, 0), 0);
	/* All pieces are of 64 KiB. */
	setup();
	arrive(64 * KIB, 20500, 4);
	ck_assert_uint_eq(sluiced_chunk_depth(&c, 64, 4 * MIB), 2);
}
END_TEST

/* What was quick once counts for one period more, and then the way is another. */
START_TEST(a_way_that_gets_slower_is_believed)
{
	arrive(MIB, 9000, 10);
	now += PERIOD;
	arrive(MIB, 50000, 10);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 256);
	now += PERIOD;
	arrive(MIB, 50000, 10);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 64);
	setup();
	arrive(256 * KIB, 3000, 10);
	now += PERIOD;
	arrive(256 * KIB, 50000, 10);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 0), 64);
	now += PERIOD;
	arrive(256 * KIB, 50000, 10);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 0), 32);
	/* After a pause nothing of before it counts. */
	setup();
	arrive(MIB, 9000, 10);
	now += 2 * PERIOD;
	arrive(MIB, 50000, 1);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 256, 0), 64);
}
END_TEST

/* And one that gets quicker, though no chunk of 256 KiB has been on it for long. */
START_TEST(small_ones_are_not_for_ever)
{
	unsigned int i;

	arrive(256 * KIB, 14000, 4);
	arrive(128 * KIB, 7600, 4);
	for (i = 0; i < 4; i++) {
		ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 0), i < 3 ? 16 : 64);
		arrive(64 * KIB, 4400, 4);
		now += PERIOD;
	}
	arrive(256 * KIB, 2500, 4);
	ck_assert_uint_eq(sluiced_chunk_blocks(&c, 64, 0), 64);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chunk");
	TCase *tcase = tcase_create("chunk");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, usual_before_anything_is_known);
	tcase_add_test(tcase, chunks_are_whole_where_that_is_quick);
	tcase_add_test(tcase, chunks_are_small_on_a_slow_link);
	tcase_add_test(tcase, one_chunk_at_a_time_makes_the_floor);
	tcase_add_test(tcase, a_queue_is_not_the_way);
	tcase_add_test(tcase, no_chunk_is_larger_for_nothing);
	tcase_add_test(tcase, several_make_a_floor_that_one_does_not);
	tcase_add_test(tcase, a_way_that_gets_slower_is_believed);
	tcase_add_test(tcase, small_ones_are_not_for_ever);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
