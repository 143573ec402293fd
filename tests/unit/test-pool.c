// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/pool.c */
#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

START_TEST(refuses_an_empty_pool)
{
	struct sluiced_pool pool;

	ck_assert_int_eq(sluiced_pool_init(&pool, 0), -EINVAL);
}
END_TEST

START_TEST(demand_comes_from_the_top)
{
	struct sluiced_pool pool;

	ck_assert_int_eq(sluiced_pool_init(&pool, 1000), 0);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 10, true), 990);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 10, false), 0);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 1, true), 989);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 1, false), 10);
	ck_assert_uint_eq(pool.in_use, 22);
	sluiced_pool_free(&pool, 0, 10);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 11, false), 11);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 10, false), 0);
	sluiced_pool_exit(&pool);
}
END_TEST

START_TEST(background_never_takes_the_reserve)
{
	struct sluiced_pool pool;
	unsigned int taken = 0;

	ck_assert_int_eq(sluiced_pool_init(&pool, 256), 0);
	while (sluiced_pool_alloc(&pool, 16, false) >= 0)
		taken += 16;
	ck_assert_uint_eq(taken, 192);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 1, false), -ENOBUFS);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 64, true), 192);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 1, true), -ENOBUFS);
	sluiced_pool_exit(&pool);
}
END_TEST

START_TEST(nothing_is_no_run)
{
	struct sluiced_pool pool;

	ck_assert_int_eq(sluiced_pool_init(&pool, 64), 0);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 0, true), -ENOBUFS);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 65, true), -ENOBUFS);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, 64, true), 0);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, UINT32_MAX, true), -ENOBUFS);
	sluiced_pool_exit(&pool);
}
END_TEST

/* Against an array of owners: no block twice, all of it usable again. */
START_TEST(no_block_has_two_owners)
{
	enum { BLOCKS = 777, RUNS = 200 };
	struct { int64_t first; uint32_t blocks; } runs[RUNS] = { 0 };
	unsigned char owner[BLOCKS] = { 0 };
	struct sluiced_pool pool;
	unsigned int step, i;
	uint32_t b;

	srand(_i + 1);
	ck_assert_int_eq(sluiced_pool_init(&pool, BLOCKS), 0);
	for (step = 0; step < 20000; step++) {
		i = rand() % RUNS;
		if (runs[i].blocks) {
			for (b = 0; b < runs[i].blocks; b++)
				owner[runs[i].first + b] = 0;
			sluiced_pool_free(&pool, runs[i].first, runs[i].blocks);
			runs[i].blocks = 0;
			continue;
		}
		b = rand() % 70 + 1;
		runs[i].first = sluiced_pool_alloc(&pool, b, rand() % 2);
		if (runs[i].first < 0)
			continue;
		runs[i].blocks = b;
		ck_assert_int_le(runs[i].first + b, BLOCKS);
		for (b = 0; b < runs[i].blocks; b++)
			ck_assert_uint_eq(owner[runs[i].first + b]++, 0);
	}
	for (i = 0; i < RUNS; i++)
		if (runs[i].blocks)
			sluiced_pool_free(&pool, runs[i].first, runs[i].blocks);
	ck_assert_uint_eq(pool.in_use, 0);
	ck_assert_int_eq(sluiced_pool_alloc(&pool, BLOCKS, true), 0);
	sluiced_pool_exit(&pool);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool");
	TCase *tcase = tcase_create("pool");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, refuses_an_empty_pool);
	tcase_add_test(tcase, demand_comes_from_the_top);
	tcase_add_test(tcase, background_never_takes_the_reserve);
	tcase_add_test(tcase, nothing_is_no_run);
	tcase_add_loop_test(tcase, no_block_has_two_owners, 0, 5);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
