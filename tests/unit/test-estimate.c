// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/estimate.c */
#include "estimate.h"

#include <stdlib.h>

#include <check.h>

#define MIB		(UINT64_C(1) << 20)

static struct sluiced_estimate e;
static struct sluiced_look at;

static void setup(void)
{
	sluiced_estimate_reset(&e);
	at = (struct sluiced_look){ .at = 5000, .image = 100 * MIB };
	sluiced_estimate_look(&e, &at);
}

/* Four looks a second, at so much a second. */
static void go_on(unsigned int seconds, uint64_t image, uint64_t behind)
{
	unsigned int i;

	for (i = 0; i < seconds * 4; i++) {
		at.at += 250;
		at.image += image / 4;
		at.behind += behind / 4;
		sluiced_estimate_look(&e, &at);
	}
}

START_TEST(nothing_is_known_at_first)
{
	uint64_t seconds;

	ck_assert_uint_eq(sluiced_estimate_rate(&e), 0);
	ck_assert(!sluiced_estimate_end(&e, MIB, 0, &seconds));
	go_on(3, 0, MIB);
	ck_assert(!sluiced_estimate_end(&e, MIB, 0, &seconds));
	ck_assert(sluiced_estimate_end(&e, 0, MIB, &seconds));
	ck_assert(sluiced_estimate_end(&e, 0, 0, &seconds));
	ck_assert_uint_eq(seconds, 0);
}
END_TEST

/* Within a per cent, however bursty: a chunk of 1 MiB is more than a look's 250 kB. */
START_TEST(a_steady_link_is_told)
{
	uint64_t seconds;
	unsigned int i;

	for (i = 0; i < 100; i++)
		go_on(1, i % 2 ? 2 * MIB : 0, 0);
	ck_assert_uint_eq(sluiced_estimate_rate(&e), MIB);
	ck_assert(sluiced_estimate_end(&e, 1000 * MIB, 0, &seconds));
	ck_assert_uint_ge(seconds, 990);
	ck_assert_uint_le(seconds, 1010);
}
END_TEST

/* A disk of terabytes behind a small image does not make the image's end come late. */
START_TEST(the_slower_part_counts)
{
	uint64_t seconds;

	go_on(10, MIB, 1000 * MIB);
	ck_assert(sluiced_estimate_end(&e, 100 * MIB, 10000 * MIB, &seconds));
	ck_assert_uint_eq(seconds, 100);
	ck_assert(sluiced_estimate_end(&e, 5 * MIB, 10000 * MIB, &seconds));
	ck_assert_uint_eq(seconds, 10);
	ck_assert_uint_eq(sluiced_estimate_rate(&e), 1001 * MIB);
}
END_TEST

START_TEST(the_past_is_forgotten)
{
	go_on(60, 100 * MIB, 0);
	go_on(SLUICED_LOOKS_MS / 1000, MIB, 0);
	ck_assert_uint_le(sluiced_estimate_rate(&e), MIB + MIB / 100);
	sluiced_estimate_reset(&e);
	ck_assert_uint_eq(sluiced_estimate_rate(&e), 0);
	go_on(2, 5 * MIB, 0);
	ck_assert_uint_eq(sluiced_estimate_rate(&e), 5 * MIB);
	/* Counters that went back are no rate. */
	at.image = 0;
	sluiced_estimate_look(&e, &at);
	ck_assert_uint_eq(sluiced_estimate_rate(&e), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("estimate");
	TCase *tcase = tcase_create("estimate");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, nothing_is_known_at_first);
	tcase_add_test(tcase, a_steady_link_is_told);
	tcase_add_test(tcase, the_slower_part_counts);
	tcase_add_test(tcase, the_past_is_forgotten);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
