// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/throttle.c */
#include "throttle.h"

#include <stdlib.h>

#include <check.h>

#define MIB		(UINT64_C(1) << 20)

/* Copies for @ms as fast as @t lets us; the bytes copied. */
static uint64_t copy(struct sluiced_throttle *t, uint64_t *now, uint64_t ms, bool missing)
{
	uint64_t bytes = 0, end = *now + ms, chunk;
	unsigned int guard;

	for (; *now < end; (*now)++) {
		if (missing)
			sluiced_throttle_miss(t, *now);
		for (guard = 0; guard < 1000 && sluiced_throttle_ready(t, *now); guard++) {
			chunk = sluiced_throttle_chunk_blocks(t, *now, false) * UINT64_C(4096);
			sluiced_throttle_spend(t, chunk);
			bytes += chunk;
			if (!t->ceiling.rate && !t->pace.rate)
				break;
		}
		ck_assert_uint_lt(guard, 1000);
	}
	return bytes;
}

START_TEST(quiet_hosts_let_it_go)
{
	struct sluiced_throttle t;

	sluiced_throttle_init(&t, 4 * MIB, 0, 1000);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, 1000), SLUICED_QUIET);
	ck_assert_uint_eq(sluiced_throttle_depth(&t, 1000, false), 16);
	ck_assert_uint_eq(sluiced_throttle_chunk_blocks(&t, 1000, false), 256);
	/* Of all that came to it there may be one that waits for long. */
	ck_assert_uint_eq(sluiced_throttle_chunk_blocks(&t, 1000, true), 64);
	ck_assert(sluiced_throttle_ready(&t, 1000));
	ck_assert_uint_eq(sluiced_throttle_wake_at(&t, 1000), UINT64_MAX);
}
END_TEST

START_TEST(the_first_look_at_the_host_is_no_activity)
{
	struct sluiced_throttle t;

	sluiced_throttle_init(&t, 4 * MIB, 0, 0);
	sluiced_throttle_host_seq(&t, 12345, 0);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, 0), SLUICED_QUIET);
	sluiced_throttle_host_seq(&t, 12345, 250);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, 250), SLUICED_QUIET);
	sluiced_throttle_host_seq(&t, 12346, 500);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, 500), SLUICED_HITS);
	ck_assert_uint_eq(sluiced_throttle_depth(&t, 500, false), 8);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, 1499), SLUICED_HITS);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, 1500), SLUICED_QUIET);
}
END_TEST

START_TEST(misses_mean_the_floor)
{
	struct sluiced_throttle t;
	uint64_t now = 5000, bytes;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	bytes = copy(&t, &now, 10000, true);
	ck_assert_uint_ge(bytes, 39 * MIB);
	ck_assert_uint_le(bytes, 41 * MIB);
	ck_assert_uint_eq(sluiced_throttle_depth(&t, now, false), 1);
	ck_assert_uint_eq(sluiced_throttle_chunk_blocks(&t, now, false), 64);
	/* And a second after the last miss it is over. */
	ck_assert_uint_le(sluiced_throttle_wake_at(&t, now), now + 3000);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, now + 3000), SLUICED_QUIET);
	ck_assert(sluiced_throttle_ready(&t, now + 3000));
}
END_TEST

/* A host that was answered and works on; the next miss is one again. */
START_TEST(chunks_are_whole_while_it_works_without_misses)
{
	struct sluiced_throttle t;
	uint64_t now = 1000, seq = 0;
	unsigned int i;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	for (i = 0; i < 4; i++) {
		sluiced_throttle_host_seq(&t, seq += 1000, now += 250);
		if (i < 2)
			sluiced_throttle_miss(&t, now);
		sluiced_throttle_adapt(&t, now);
		ck_assert_int_eq(sluiced_throttle_pressure(&t, now), SLUICED_MISSES);
		ck_assert_uint_eq(sluiced_throttle_chunk_blocks(&t, now, false), i < 2 ? 64 : 256);
	}
	ck_assert_uint_eq(sluiced_throttle_depth(&t, now, false), 1);
	/* Also when it pauses. */
	sluiced_throttle_adapt(&t, now += 250);
	ck_assert_uint_eq(sluiced_throttle_chunk_blocks(&t, now, false), 256);
	sluiced_throttle_miss(&t, now);
	ck_assert_uint_eq(sluiced_throttle_chunk_blocks(&t, now, false), 64);
	/* Also who is given the disk anew. */
	t.steady = true;
	sluiced_throttle_expect(&t, now, 30000);
	ck_assert_uint_eq(sluiced_throttle_chunk_blocks(&t, now, false), 64);
	/* One that computes says nothing of what comes. */
	sluiced_throttle_adapt(&t, now += 250);
	sluiced_throttle_host_seq(&t, seq += 10, now += 250);
	sluiced_throttle_adapt(&t, now);
	ck_assert_uint_eq(sluiced_throttle_chunk_blocks(&t, now, false), 64);
}
END_TEST

START_TEST(an_export_means_a_boot)
{
	struct sluiced_throttle t;
	uint64_t now = 5000, bytes;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	sluiced_throttle_expect(&t, now, 10000);
	bytes = copy(&t, &now, 10000, false);
	ck_assert_uint_ge(bytes, 39 * MIB);
	ck_assert_uint_le(bytes, 41 * MIB);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, now), SLUICED_QUIET);
	/* A miss in the meantime does not shorten it. */
	sluiced_throttle_expect(&t, now, 10000);
	sluiced_throttle_miss(&t, now + 1);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, now + 9999), SLUICED_MISSES);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, now + 10000), SLUICED_QUIET);
}
END_TEST

START_TEST(without_a_floor_misses_stop_it)
{
	struct sluiced_throttle t;
	uint64_t now = 5000;

	sluiced_throttle_init(&t, 0, 0, now);
	ck_assert_uint_eq(copy(&t, &now, 3000, true), 0);
	ck_assert_uint_eq(sluiced_throttle_wake_at(&t, now), now - 1 + 3000);
	ck_assert(sluiced_throttle_ready(&t, now + 3000));
}
END_TEST

START_TEST(the_ceiling_holds)
{
	static const uint64_t rates[] = { 100000, MIB, 30 * MIB, 1000 * MIB };
	struct sluiced_throttle t;
	uint64_t now = 0, bytes;

	sluiced_throttle_init(&t, 4 * MIB, rates[_i], now);
	bytes = copy(&t, &now, 60000, false);
	ck_assert_uint_ge(bytes + MIB, rates[_i] * 60);
	ck_assert_uint_le(bytes, rates[_i] * 60 + rates[_i] / 10 + 2 * MIB);
}
END_TEST

START_TEST(the_ceiling_is_above_the_floor)
{
	struct sluiced_throttle t;
	uint64_t now = 0, bytes;

	sluiced_throttle_init(&t, 4 * MIB, MIB, now);
	bytes = copy(&t, &now, 10000, true);
	ck_assert_uint_le(bytes, 11 * MIB);
}
END_TEST

START_TEST(pauses_do_not_save_up)
{
	struct sluiced_throttle t;
	uint64_t now = 0, bytes;

	sluiced_throttle_init(&t, 4 * MIB, 10 * MIB, now);
	copy(&t, &now, 1000, false);
	now += 3600 * 1000;
	bytes = copy(&t, &now, 1000, false);
	ck_assert_uint_le(bytes, 13 * MIB);
}
END_TEST

/* A sleep of any length until wake_at() is enough, however low the rate. */
START_TEST(waking_up_is_in_time)
{
	struct sluiced_throttle t;
	uint64_t now = 7, bytes = 0, at;

	sluiced_throttle_init(&t, 4 * MIB, 1000, now);
	while (now < 20000000) {
		if (sluiced_throttle_ready(&t, now)) {
			sluiced_throttle_spend(&t, MIB);
			bytes += MIB;
		}
		at = sluiced_throttle_wake_at(&t, now);
		ck_assert_uint_gt(at, now);
		now = at;
	}
	ck_assert_uint_ge(bytes, 19 * MIB);
	ck_assert_uint_le(bytes, 22 * MIB);
}
END_TEST

START_TEST(switching_limits_gives_nothing_away)
{
	struct sluiced_throttle t;
	uint64_t now = 0, bytes = 0, i;

	sluiced_throttle_init(&t, MIB, MIB, now);
	/* A host that misses every other second. */
	for (i = 0; i < 30; i++)
		bytes += copy(&t, &now, 1000, i % 2);
	ck_assert_uint_le(bytes, 32 * MIB);
}
END_TEST

/*
 * A host whose requests take a millisecond, and longer the faster the copy is: at
 * @full bytes a second twice as long. Copies for @ms; the bytes copied.
 */
struct host {
	bool misses;
	uint64_t full, seq, us;		/* us: the latency now; 0: without the copy */
	uint64_t worst;			/* latency of the last half, in microseconds */
};

static uint64_t live(struct sluiced_throttle *t, uint64_t *now, uint64_t ms, struct host *host)
{
	uint64_t bytes = 0, tick = 0, end = *now + ms, us = host->us ? host->us : 1000, i;

	host->worst = 0;
	while (*now < end) {
		/* What a gigabyte a second of disk and link lets through. */
		for (i = 0; i < 4 && sluiced_throttle_ready(t, *now); i++) {
			sluiced_throttle_spend(t, MIB / 4);
			tick += MIB / 4;
		}
		(*now)++;
		if (*now % 50 == 0 && host->misses) {
			sluiced_throttle_miss(t, *now);
			sluiced_throttle_waited(t, 16, us);
			/* Larger ones take longer, which is no strain. */
			sluiced_throttle_waited(t, 64, us * 3);
		} else if (*now % 50 == 0) {
			sluiced_throttle_read(t, 20, 20 * 4096, us * 20 / 1000);
		}
		if (*now % 250)
			continue;
		sluiced_throttle_host_seq(t, ++host->seq, *now);
		sluiced_throttle_adapt(t, *now);
		us = 1000 + tick * 4 * 1000 / host->full;
		if (*now + ms / 2 > end && us > host->worst)
			host->worst = us;
		bytes += tick;
		tick = 0;
	}
	return bytes;
}

START_TEST(grows_while_the_host_bears_it)
{
	struct host host = { .misses = true, .full = 100000 * MIB };
	struct sluiced_throttle t;
	uint64_t now = 1000, first, bytes;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	sluiced_throttle_miss(&t, now);
	first = live(&t, &now, 2000, &host);
	ck_assert_uint_le(first, 20 * MIB);
	live(&t, &now, 10000, &host);
	bytes = live(&t, &now, 10000, &host);
	ck_assert_uint_ge(bytes, 1000 * MIB);
	ck_assert_uint_gt(sluiced_throttle_depth(&t, now, false), 1);
	/* Not while a request waits, however long it may. */
	ck_assert_uint_eq(sluiced_throttle_depth(&t, now, true), 1);
	/* The next burst begins at the floor. */
	now += 3000;
	sluiced_throttle_miss(&t, now);
	ck_assert_uint_eq(t.pace_rate, 4 * MIB);
}
END_TEST

START_TEST(stays_where_the_host_bears_it)
{
	struct host host = { .misses = true, .full = 200 * MIB };
	struct sluiced_throttle t;
	uint64_t now = 1000, bytes;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	live(&t, &now, 10000, &host);
	bytes = live(&t, &now, 20000, &host);
	/* Above the floor, and a host that waits half as long again at the very worst. */
	ck_assert_uint_ge(bytes, 20 * 5 * MIB);
	ck_assert_uint_le(host.worst, 1500);
	/* One that suffers from anything gets the floor. */
	host.full = 10 * MIB;
	live(&t, &now, 5000, &host);
	bytes = live(&t, &now, 5000, &host);
	ck_assert_uint_ge(bytes, 5 * 4 * MIB - MIB);
	ck_assert_uint_le(bytes, 5 * 5 * MIB);
}
END_TEST

START_TEST(local_reads_are_given_way)
{
	struct host host = { .full = 200 * MIB };
	struct sluiced_throttle t;
	uint64_t now = 1000, bytes;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	/* At once at full speed, when nothing is known. */
	live(&t, &now, 2000, &host);
	bytes = live(&t, &now, 20000, &host);
	ck_assert_uint_ge(bytes, 20 * 20 * MIB);
	ck_assert_uint_le(bytes, 20 * 200 * MIB);
	ck_assert_uint_le(host.worst, 2000);
	/* Who does not mind gets nothing out of restraint. */
	host.full = 100000 * MIB;
	live(&t, &now, 60000, &host);
	bytes = live(&t, &now, 20000, &host);
	ck_assert_uint_ge(bytes, 20 * 700 * MIB);
	/* Nor who is gone. */
	now += 1000;
	ck_assert(sluiced_throttle_ready(&t, now));
	ck_assert_uint_eq(sluiced_throttle_depth(&t, now, false), 16);
	ck_assert_uint_eq(t.pace.rate, 0);
}
END_TEST

/* It came when the copy was at full speed: what its disk could do nobody has seen. */
START_TEST(the_host_is_looked_at_by_itself)
{
	struct host host = { .full = 200 * MIB, .us = 6000 };
	struct sluiced_throttle t;
	uint64_t now = 1000;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	live(&t, &now, 250, &host);
	host.us = 6000;
	live(&t, &now, 20000, &host);
	ck_assert_uint_le(host.worst, 2000);
}
END_TEST

/*
 * A host that makes @work requests a second, fewer the more the copy takes of what both
 * need: at @full bytes a second half of them. Its disk's own latency tells nothing.
 * Copies for @ms; the bytes copied. @least: the fewest a second, in thousandths of @work.
 */
static uint64_t work(struct sluiced_throttle *t, uint64_t *now, uint64_t ms, uint64_t work,
		     uint64_t full, uint64_t *seq, uint64_t *least)
{
	uint64_t bytes = 0, tick = 0, end = *now + ms, kept = 1000, i;

	*least = 1000;
	for (; *now < end; (*now)++) {
		for (i = 0; i < 4 && sluiced_throttle_ready(t, *now); i++) {
			sluiced_throttle_spend(t, MIB / 4);
			tick += MIB / 4;
		}
		if (*now % 250)
			continue;
		*seq += work * kept / 4000;
		sluiced_throttle_read(t, work / 4, work / 4 * 4096, work / 40);
		sluiced_throttle_host_seq(t, *seq, *now);
		sluiced_throttle_adapt(t, *now);
		kept = 1000 * full / (full + tick * 4);
		if (kept < *least)
			*least = kept;
		bytes += tick;
		tick = 0;
	}
	return bytes;
}

START_TEST(work_is_given_way)
{
	struct sluiced_throttle t;
	uint64_t now = 1000, seq = 0, bytes, least;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	/* At full speed, until it is seen to work. */
	work(&t, &now, 1000, 20000, 200 * MIB, &seq, &least);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, now), SLUICED_BUSY);
	bytes = work(&t, &now, 60000, 20000, 200 * MIB, &seq, &least);
	ck_assert_uint_ge(least, 900);
	/* More than the floor: as much as costs it a few hundredths. */
	ck_assert_uint_ge(bytes, 60 * 6 * MIB);
	/* Where it costs nothing, the copy is as fast as it can. */
	work(&t, &now, 30000, 20000, 1000000 * MIB, &seq, &least);
	bytes = work(&t, &now, 20000, 20000, 1000000 * MIB, &seq, &least);
	ck_assert_uint_ge(bytes, 20 * 500 * MIB);
	ck_assert_uint_gt(sluiced_throttle_depth(&t, now, false), 1);
}
END_TEST

/* One that stops for a moment while it is looked at has not become slower for good. */
START_TEST(a_pause_is_not_what_the_host_usually_does)
{
	static const unsigned int rates[] = { 20000, 20000, 20000, 4000, 20000, 19000, 19000 };
	struct sluiced_throttle t;
	uint64_t now = 1000, seq = 0;
	unsigned int i;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	sluiced_throttle_host_seq(&t, seq, now);
	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		sluiced_throttle_host_seq(&t, seq += rates[i] / 4, now += 250);
		sluiced_throttle_spend(&t, MIB);
		sluiced_throttle_adapt(&t, now);
	}
	ck_assert_int_eq(sluiced_throttle_pressure(&t, now), SLUICED_BUSY);
	/* So that 19000 is not more than usual, and no reason to copy more. */
	ck_assert_uint_eq(t.pace_rate, 4 * MIB);
}
END_TEST

START_TEST(work_means_the_floor_at_first)
{
	struct sluiced_throttle t;
	uint64_t now = 1000, seq = 0, bytes, least;

	sluiced_throttle_init(&t, 4 * MIB, 0, now);
	work(&t, &now, 1000, 20000, 100000 * MIB, &seq, &least);
	bytes = work(&t, &now, 500, 20000, 100000 * MIB, &seq, &least);
	ck_assert_uint_le(bytes, 3 * MIB);
	/* Without a floor, too: a host that goes on for ever must not stop it for ever. */
	sluiced_throttle_limit(&t, 0, 0);
	bytes = work(&t, &now, 60000, 20000, 10 * MIB, &seq, &least);
	ck_assert_uint_ge(bytes, 50 * MIB);
	/* A few requests are no work. */
	now += 2000;
	work(&t, &now, 1000, 100, 200 * MIB, &seq, &least);
	ck_assert_int_eq(sluiced_throttle_pressure(&t, now), SLUICED_HITS);
}
END_TEST

/* What the copy may have in flight fills 10 Gb/s of 1 ms, and no more than its pool. */
START_TEST(depth_is_bounded_and_enough)
{
	struct sluiced_throttle t;
	uint64_t bytes;

	sluiced_throttle_init(&t, 4 * MIB, 0, 0);
	bytes = sluiced_throttle_depth(&t, 0, false) * UINT64_C(4096) *
		sluiced_throttle_chunk_blocks(&t, 0, false);
	/* Twice, so that the disk has one half while the link fills the other. */
	ck_assert_uint_ge(bytes, 2 * UINT64_C(10000000000) / 8 / 1000);
	ck_assert_uint_le(bytes, 24 * MIB);
	ck_assert_uint_le(sluiced_throttle_profile_depth(&t, 0) * UINT64_C(4096), 24 * MIB);
	t.calm_at = 1000;
	t.pace_rate = UINT64_C(1) << 50;
	ck_assert_uint_le(sluiced_throttle_depth(&t, 0, false), 8);
	ck_assert_uint_lt(sluiced_throttle_profile_depth(&t, 0), 256);
	ck_assert_uint_le(sluiced_throttle_profile_blocks(&t, 0), 32);
}
END_TEST

START_TEST(the_profile_waits_for_the_ceiling_only)
{
	struct sluiced_throttle t;

	sluiced_throttle_init(&t, 0, 0, 0);
	sluiced_throttle_miss(&t, 0);
	ck_assert(!sluiced_throttle_ready(&t, 0));
	ck_assert(sluiced_throttle_profile_ready(&t, 0));
	sluiced_throttle_limit(&t, 0, MIB);
	ck_assert(sluiced_throttle_profile_ready(&t, 0));
	sluiced_throttle_profile_spend(&t, MIB);
	ck_assert(!sluiced_throttle_profile_ready(&t, 900));
	ck_assert(sluiced_throttle_profile_ready(&t, 1001));
}
END_TEST

START_TEST(a_floor_that_comes_while_the_host_waits_is_kept_to)
{
	struct sluiced_throttle t;

	sluiced_throttle_init(&t, 0, 0, 0);
	sluiced_throttle_miss(&t, 0);
	ck_assert(!sluiced_throttle_ready(&t, 0));
	sluiced_throttle_limit(&t, MIB, 0);
	ck_assert(sluiced_throttle_ready(&t, 0));
	sluiced_throttle_spend(&t, MIB);
	ck_assert(!sluiced_throttle_ready(&t, 900));
	ck_assert(sluiced_throttle_ready(&t, 1001));
}
END_TEST

START_TEST(absurd_rates_do_not_overflow)
{
	struct sluiced_throttle t;

	sluiced_throttle_init(&t, UINT64_MAX, UINT64_MAX, 0);
	ck_assert(sluiced_throttle_ready(&t, 0));
	sluiced_throttle_spend(&t, MIB);
	ck_assert(sluiced_throttle_ready(&t, UINT64_C(1) << 40));
	sluiced_throttle_miss(&t, UINT64_C(1) << 40);
	ck_assert(sluiced_throttle_ready(&t, UINT64_C(1) << 41));
	sluiced_throttle_waited(&t, UINT32_MAX, UINT64_MAX);
	sluiced_throttle_read(&t, UINT64_MAX, UINT64_MAX, UINT64_MAX);
	sluiced_throttle_adapt(&t, UINT64_C(1) << 41);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("throttle");
	TCase *tcase = tcase_create("throttle");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, quiet_hosts_let_it_go);
	tcase_add_test(tcase, the_first_look_at_the_host_is_no_activity);
	tcase_add_test(tcase, misses_mean_the_floor);
	tcase_add_test(tcase, chunks_are_whole_while_it_works_without_misses);
	tcase_add_test(tcase, an_export_means_a_boot);
	tcase_add_test(tcase, without_a_floor_misses_stop_it);
	tcase_add_loop_test(tcase, the_ceiling_holds, 0, 4);
	tcase_add_test(tcase, the_ceiling_is_above_the_floor);
	tcase_add_test(tcase, pauses_do_not_save_up);
	tcase_add_test(tcase, waking_up_is_in_time);
	tcase_add_test(tcase, switching_limits_gives_nothing_away);
	tcase_add_test(tcase, grows_while_the_host_bears_it);
	tcase_add_test(tcase, stays_where_the_host_bears_it);
	tcase_add_test(tcase, local_reads_are_given_way);
	tcase_add_test(tcase, the_host_is_looked_at_by_itself);
	tcase_add_test(tcase, work_is_given_way);
	tcase_add_test(tcase, a_pause_is_not_what_the_host_usually_does);
	tcase_add_test(tcase, work_means_the_floor_at_first);
	tcase_add_test(tcase, depth_is_bounded_and_enough);
	tcase_add_test(tcase, the_profile_waits_for_the_ceiling_only);
	tcase_add_test(tcase, a_floor_that_comes_while_the_host_waits_is_kept_to);
	tcase_add_test(tcase, absurd_rates_do_not_overflow);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
