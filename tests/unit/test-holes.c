// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/holes.c */
#include "holes.h"

#include <errno.h>
#include <stdlib.h>

#include <check.h>

#include "control.h"

#define MIB	(UINT64_C(1) << 20)
#define BLOCKS(mib)	((mib) * 256)

static struct sluiced_holes holes;

static void start(uint64_t bytes)
{
	sluiced_holes_init(&holes, bytes);
	sluiced_holes_source(&holes, true);
}

/* The question there must be now, at @offset. */
static struct sluiced_survey *asked(uint64_t now, uint64_t offset)
{
	uint64_t at = 0, len = 0;
	struct sluiced_survey *s = sluiced_holes_ask(&holes, now, &at, &len);

	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(at, offset);
	s->offset = at;
	s->len = len;
	s->known = 0;
	s->count = 0;
	return s;
}

static void not_asked(uint64_t now)
{
	uint64_t at, len;

	ck_assert_ptr_null(sluiced_holes_ask(&holes, now, &at, &len));
}

static void is(uint64_t block, uint32_t blocks, enum sluiced_content content, uint32_t cut)
{
	uint32_t n = blocks;

	ck_assert_int_eq(sluiced_holes_content(&holes, block, &n, true), content);
	ck_assert_uint_eq(n, cut);
}

START_TEST(without_a_source_all_is_data)
{
	sluiced_holes_init(&holes, 100 * MIB);
	is(0, 1000, SLUICED_DATA, 1000);
	not_asked(0);
}
END_TEST

START_TEST(asks_waits_and_knows)
{
	struct sluiced_survey *s;

	start(100 * MIB);
	is(0, 1000, SLUICED_UNKNOWN, 1000);
	s = asked(0, 0);
	ck_assert_uint_eq(s->len, 100 * MIB);
	is(0, 1000, SLUICED_UNKNOWN, 1000);
	not_asked(0);
	sluiced_survey_add(s, 10 * MIB, false);
	sluiced_survey_add(s, 30 * MIB, true);
	sluiced_survey_add(s, 20 * MIB, true);
	sluiced_survey_add(s, 40 * MIB, false);
	ck_assert_uint_eq(s->count, 1);
	sluiced_holes_answered(&holes, s, 0, 0);
	is(0, 100000, SLUICED_DATA, BLOCKS(10));
	is(BLOCKS(10), 100000, SLUICED_ZERO, BLOCKS(50));
	is(BLOCKS(59), 100000, SLUICED_ZERO, BLOCKS(1));
	is(BLOCKS(60), 100000, SLUICED_DATA, BLOCKS(40));
	is(BLOCKS(60), 7, SLUICED_DATA, 7);
}
END_TEST

/* Blocks of which a part is zero are data. */
START_TEST(unaligned_runs)
{
	struct sluiced_survey *s;

	start(100 * MIB);
	is(0, 1, SLUICED_UNKNOWN, 1);
	s = asked(0, 0);
	sluiced_survey_add(s, 512, false);
	sluiced_survey_add(s, 2 * 4096, true);
	sluiced_survey_add(s, 512, false);
	sluiced_survey_add(s, 512, true);
	sluiced_survey_add(s, 4096 * 10, false);
	sluiced_holes_answered(&holes, s, 0, 0);
	is(0, 100, SLUICED_DATA, 1);
	is(1, 100, SLUICED_ZERO, 1);
	is(2, 100, SLUICED_DATA, 1);
	is(3, 100, SLUICED_DATA, 9);
}
END_TEST

/* The image's last block is a partial one. */
START_TEST(short_last_block)
{
	struct sluiced_survey *s;

	start(8192 + 512);
	is(0, 3, SLUICED_UNKNOWN, 3);
	s = asked(0, 0);
	ck_assert_uint_eq(s->len, 8704);
	sluiced_survey_add(s, 4096, false);
	sluiced_survey_add(s, 1 << 20, true);
	ck_assert_uint_eq(s->known, 8704);
	sluiced_holes_answered(&holes, s, 0, 0);
	is(0, 3, SLUICED_DATA, 1);
	is(1, 3, SLUICED_ZERO, 2);
	is(2, 3, SLUICED_ZERO, 1);
}
END_TEST

/* The next answer is there before the last one is used up; demand asks nothing. */
START_TEST(asks_ahead)
{
	struct sluiced_survey *s;
	uint32_t n = 1;

	start(4096 * MIB);
	ck_assert_int_eq(sluiced_holes_content(&holes, BLOCKS(7), &n, false), SLUICED_UNKNOWN);
	not_asked(0);
	is(0, 1, SLUICED_UNKNOWN, 1);
	s = asked(0, 0);
	ck_assert_uint_eq(s->len, 1024 * MIB);
	sluiced_survey_add(s, 100 * MIB, false);
	sluiced_holes_answered(&holes, s, 0, 0);
	is(BLOCKS(60), 1, SLUICED_DATA, 1);
	not_asked(0);
	is(BLOCKS(90), 1, SLUICED_DATA, 1);
	s = asked(0, 100 * MIB);
	is(BLOCKS(91), 1, SLUICED_DATA, 1);
	sluiced_survey_add(s, 100 * MIB, true);
	sluiced_holes_answered(&holes, s, 0, 0);
	is(BLOCKS(91), 1, SLUICED_DATA, 1);
	not_asked(0);
	is(BLOCKS(100), 1, SLUICED_ZERO, 1);
}
END_TEST

START_TEST(failures)
{
	struct sluiced_survey *s;
	int i;

	start(4096 * MIB);
	for (i = 0; i < 3; i++) {
		is(5, 1, SLUICED_UNKNOWN, 1);
		if (i)
			not_asked(i * 1000 - 1);
		s = asked(i * 1000, 5 * 4096);
		sluiced_survey_add(s, 4096, true);
		sluiced_holes_answered(&holes, s, -EIO, i * 1000);
		if (i < 2)
			is(5, 1, SLUICED_UNKNOWN, 1);
		if (i < 2)
			ck_assert_uint_eq(sluiced_holes_wake_at(&holes, i * 1000), i * 1000 + 1000);
	}
	/* What three times could not be told is read. */
	is(5, 100000, SLUICED_DATA, BLOCKS(64));
	is(BLOCKS(64) + 5, 1, SLUICED_UNKNOWN, 1);
	/* A source that was opened anew is asked at once. */
	s = asked(2000, 64 * MIB + 5 * 4096);
	sluiced_holes_answered(&holes, s, -EIO, 2000);
	is(BLOCKS(64) + 5, 1, SLUICED_UNKNOWN, 1);
	not_asked(2000);
	sluiced_holes_source(&holes, true);
	s = asked(2000, 64 * MIB + 5 * 4096);
	/* And one that turns out not to know is not asked again. */
	sluiced_holes_answered(&holes, s, -EOPNOTSUPP, 2000);
	is(BLOCKS(64) + 5, 9, SLUICED_DATA, 9);
	not_asked(9000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("holes");
	TCase *tcase = tcase_create("holes");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, without_a_source_all_is_data);
	tcase_add_test(tcase, asks_waits_and_knows);
	tcase_add_test(tcase, unaligned_runs);
	tcase_add_test(tcase, short_last_block);
	tcase_add_test(tcase, asks_ahead);
	tcase_add_test(tcase, failures);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
