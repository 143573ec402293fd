// SPDX-License-Identifier: GPL-2.0-or-later
#include "throttle.h"

/*
 * A booting OS misses in bursts with pauses of computing between them, of which most
 * are shorter than this. Where the copy comes up in each of them, it takes the next
 * burst's bandwidth; a longer window would slow it down under every host that misses
 * now and then.
 */
#define MISSES_MS		3000

/* Of a host that uses what is there: it has its disk, and no burst is to come. */
#define HITS_MS			1000

/* 16 MiB in flight fill a 10 Gb/s link up to 13 ms of latency. */
#define DEPTH_QUIET		16

/* Leaves the local disk's queue and the link half empty for the host. */
#define DEPTH_HITS		8
#define DEPTH_MISSES		1

/* Less is lost to command overhead than gained in latency from 1 MiB on down to
 * 256 KiB, which delays a demand behind it by 2 ms on a 1 Gb/s link.
 */
#define CHUNK_BLOCKS		256
#define CHUNK_BLOCKS_MISSES	64

/* Unused rate is kept this long: longer pauses must not end in a burst. */
#define BURST_MS		100

/* 1 PiB/s: keeps products of rates and times within 64 bits. */
#define RATE_MAX		(UINT64_C(1) << 50)

static uint64_t bounded(uint64_t rate)
{
	return rate < RATE_MAX ? rate : RATE_MAX;
}

void sluiced_throttle_init(struct sluiced_throttle *t, uint64_t min_rate, uint64_t max_rate,
			   uint64_t now)
{
	*t = (struct sluiced_throttle){ .refilled = now };
	sluiced_throttle_limit(t, min_rate, max_rate);
}

void sluiced_throttle_limit(struct sluiced_throttle *t, uint64_t min_rate, uint64_t max_rate)
{
	t->min_rate = bounded(min_rate);
	t->max_rate = bounded(max_rate);
}

static void calm_not_before(struct sluiced_throttle *t, uint64_t at)
{
	if (at > t->calm_at)
		t->calm_at = at;
}

void sluiced_throttle_miss(struct sluiced_throttle *t, uint64_t now)
{
	calm_not_before(t, now + MISSES_MS);
}

void sluiced_throttle_expect(struct sluiced_throttle *t, uint64_t now, uint64_t ms)
{
	calm_not_before(t, now + ms);
}

void sluiced_throttle_host_seq(struct sluiced_throttle *t, uint64_t host_seq, uint64_t now)
{
	if (t->known && t->host_seq != host_seq) {
		t->hit = true;
		t->last_hit = now;
	}
	t->known = true;
	t->host_seq = host_seq;
}

enum sluiced_pressure sluiced_throttle_pressure(const struct sluiced_throttle *t, uint64_t now)
{
	if (now < t->calm_at)
		return SLUICED_MISSES;
	if (t->hit && now - t->last_hit < HITS_MS)
		return SLUICED_HITS;
	return SLUICED_QUIET;
}

unsigned int sluiced_throttle_depth(const struct sluiced_throttle *t, uint64_t now)
{
	switch (sluiced_throttle_pressure(t, now)) {
	case SLUICED_MISSES:
		return DEPTH_MISSES;
	case SLUICED_HITS:
		return DEPTH_HITS;
	case SLUICED_QUIET:
		break;
	}
	return DEPTH_QUIET;
}

uint32_t sluiced_throttle_chunk_blocks(const struct sluiced_throttle *t, uint64_t now)
{
	return sluiced_throttle_pressure(t, now) == SLUICED_MISSES ? CHUNK_BLOCKS_MISSES :
								     CHUNK_BLOCKS;
}

/*
 * Zeroing costs no network and, on most SSDs, one command; but where it is
 * written out it fills the disk's queue: one extent at a time beside a host.
 */
unsigned int sluiced_throttle_zero_depth(const struct sluiced_throttle *t, uint64_t now)
{
	return sluiced_throttle_pressure(t, now) == SLUICED_QUIET ? 4 : 1;
}

/* 0: unlimited. *@stopped: no rate at all. */
static uint64_t current_rate(const struct sluiced_throttle *t, uint64_t now, bool *stopped)
{
	*stopped = false;
	if (sluiced_throttle_pressure(t, now) != SLUICED_MISSES)
		return t->max_rate;
	*stopped = !t->min_rate;
	return t->max_rate && t->max_rate < t->min_rate ? t->max_rate : t->min_rate;
}

static void refill(struct sluiced_throttle *t, uint64_t now)
{
	int64_t burst = t->rate * BURST_MS;

	/* A division instead of a product: a long sleep must not overflow. */
	if (!t->rate)
		t->credit = 0;
	else if (now - t->refilled > (uint64_t)(burst - t->credit) / t->rate)
		t->credit = burst;
	else
		t->credit += t->rate * (now - t->refilled);
	t->refilled = now;
}

bool sluiced_throttle_ready(struct sluiced_throttle *t, uint64_t now)
{
	bool stopped;
	uint64_t rate;

	refill(t, now);
	rate = current_rate(t, now, &stopped);
	if (rate != t->rate) {
		/* What was spent too much stays spent; what was saved does not count. */
		t->rate = rate;
		if (t->credit > 0 || !rate)
			t->credit = 0;
	}
	return !stopped && t->credit >= 0;
}

/* Debt, not saving up: a chunk larger than the burst must be able to start. */
void sluiced_throttle_spend(struct sluiced_throttle *t, uint64_t bytes)
{
	if (t->rate)
		t->credit -= bytes * 1000;
}

uint64_t sluiced_throttle_wake_at(const struct sluiced_throttle *t, uint64_t now)
{
	uint64_t window_end = t->calm_at;
	uint64_t at = UINT64_MAX;

	if (t->rate && t->credit < 0)
		at = t->refilled + (uint64_t)-t->credit / t->rate + 1;
	/* The end of pressure matters too: more depth, another rate. */
	if (sluiced_throttle_pressure(t, now) == SLUICED_MISSES && window_end < at)
		at = window_end;
	return at;
}
