// SPDX-License-Identifier: GPL-2.0-or-later
#include "throttle.h"
#include "minmax.h"

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

/* Under misses and work there is one more for every so much that the host bears. */
#define DEPTH_RATE		(UINT64_C(64) << 20)

/* Less is lost to command overhead than gained in latency from 1 MiB on down to
 * 256 KiB, which delays a demand behind it by 2 ms on a 1 Gb/s link.
 */
#define CHUNK_BLOCKS		256
#define CHUNK_BLOCKS_MISSES	64

/*
 * Of the profile, beside a host that waits: what a 1 Gb/s link of 4 ms holds. More
 * would hold up the demand that the profile did not foresee, less would leave a link
 * empty between extents that are mostly small.
 */
#define PROFILE_MISSES		128
#define PROFILE_CHUNK_MISSES	32
#define PROFILE_BLOCKS		2048

/* Unused rate is kept this long: longer pauses must not end in a burst. */
#define BURST_MS		100

/* 1 PiB/s: keeps products of rates and times within 64 bits. */
#define RATE_MAX		(UINT64_C(1) << 50)

/* An hour: so it does for the sums of latencies. */
#define LATENCY_MAX_US		UINT64_C(3600000000)

/* Thousandths of the shortest latency: below, the rate grows; above, it halves. */
#define WAITS_BEAR		1100
#define WAITS_SUFFER		1250
#define READS_BEAR		1250
#define READS_SUFFER		1500

/*
 * The same of its requests a second. What the copy costs it one in a hundred of them bears
 * alone: where all of them are fewer by 3 %, that one takes 1.7 times as long.
 */
#define WORK_BEARS		1010
#define WORK_SUFFERS		1030

/* Of fewer, chance has too large a part. */
#define WAITS_LEAST		4
#define READS_LEAST		16

/* Requests a second from which on a host is busy. */
#define BUSY_WORK		200

/* What it grows by at least; under hits, what it halves down to without a floor. */
#define STEP			(UINT64_C(1) << 20)

/* How long the shortest latency counts: once, at most twice this. */
#define WINDOW_MS		30000

#define PROBE_MS		1000
#define PROBE_EVERY_MS		10000

void sluiced_throttle_init(struct sluiced_throttle *t, uint64_t min_rate, uint64_t max_rate,
			   uint64_t now)
{
	*t = (struct sluiced_throttle){
		.ceiling.refilled = now, .pace.refilled = now, .adapted = now, .window = now,
	};
	sluiced_throttle_limit(t, min_rate, max_rate);
}

void sluiced_throttle_limit(struct sluiced_throttle *t, uint64_t min_rate, uint64_t max_rate)
{
	t->min_rate = sluiced_min64(min_rate, RATE_MAX);
	t->max_rate = sluiced_min64(max_rate, RATE_MAX);
	if (t->pace_rate)
		t->pace_rate = sluiced_max64(t->pace_rate, t->min_rate);
}

/* A new burst of waits begins at the floor: what the last one bore is history. */
static void calm_not_before(struct sluiced_throttle *t, uint64_t now, uint64_t at)
{
	if (now >= t->calm_at)
		t->pace_rate = t->min_rate;
	t->steady = false;
	t->calm_at = sluiced_max64(t->calm_at, at);
}

void sluiced_throttle_miss(struct sluiced_throttle *t, uint64_t now)
{
	t->missed = true;
	calm_not_before(t, now, now + MISSES_MS);
}

void sluiced_throttle_expect(struct sluiced_throttle *t, uint64_t now, uint64_t ms)
{
	calm_not_before(t, now, now + ms);
}

void sluiced_throttle_host_seq(struct sluiced_throttle *t, uint64_t host_seq, uint64_t now)
{
	if (t->known && t->host_seq != host_seq) {
		t->hit = true;
		t->last_hit = now;
		t->asked += host_seq - t->host_seq;
	}
	t->known = true;
	t->host_seq = host_seq;
}

enum sluiced_pressure sluiced_throttle_pressure(const struct sluiced_throttle *t, uint64_t now)
{
	if (now < t->calm_at)
		return SLUICED_MISSES;
	if (t->hit && now - t->last_hit < HITS_MS)
		return t->busy ? SLUICED_BUSY : SLUICED_HITS;
	return SLUICED_QUIET;
}

/* Latencies. */

static unsigned int size_of(uint64_t bytes)
{
	unsigned int size = 0;

	while (size < SLUICED_SIZES - 1 && bytes > UINT64_C(4096) << size)
		size++;
	return size;
}

static void note(struct sluiced_latency *latency, uint64_t bytes, uint64_t count, uint64_t us)
{
	unsigned int size = size_of(bytes);

	latency->size[size].sum += sluiced_min64(us, LATENCY_MAX_US);
	latency->size[size].count += count;
}

void sluiced_throttle_waited(struct sluiced_throttle *t, uint32_t blocks, uint64_t us)
{
	note(&t->waits, (uint64_t)blocks * 4096, 1, us);
}

void sluiced_throttle_read(struct sluiced_throttle *t, uint64_t count, uint64_t bytes,
			   uint64_t ms)
{
	if (count)
		note(&t->reads, bytes / count, count, sluiced_min64(ms, LATENCY_MAX_US) * 1000);
}

/* The mean as a multiple of the shortest, in thousandths; 0 when there are too few. */
static uint64_t strain(struct sluiced_latency *latency, uint64_t least_count)
{
	uint64_t count = 0, sum = 0, mean, least;
	unsigned int i;

	for (i = 0; i < SLUICED_SIZES; i++) {
		if (!latency->size[i].count)
			continue;
		mean = sluiced_max64(latency->size[i].sum / latency->size[i].count, 1);
		least = latency->size[i].least;
		if (latency->size[i].before)
			least = least ? sluiced_min64(least, latency->size[i].before) :
					latency->size[i].before;
		if (!latency->size[i].least || mean < latency->size[i].least)
			latency->size[i].least = mean;
		/* Of the first of its size nothing can be said. */
		if (least) {
			count += latency->size[i].count;
			sum += latency->size[i].count * (mean * 1000 / least);
		}
		latency->size[i].sum = 0;
		latency->size[i].count = 0;
	}
	return count && count >= least_count ? sluiced_max64(sum / count, 1) : 0;
}

static void age(struct sluiced_latency *latency)
{
	unsigned int i;

	for (i = 0; i < SLUICED_SIZES; i++) {
		latency->size[i].before = latency->size[i].least;
		latency->size[i].least = 0;
	}
}

/* The rate. */

static void halve(struct sluiced_throttle *t, uint64_t from)
{
	t->pace_rate = sluiced_max64(from / 2, sluiced_max64(t->min_rate, STEP));
}

static void grow(struct sluiced_throttle *t)
{
	t->pace_rate = sluiced_min64(t->pace_rate + sluiced_max64(t->pace_rate / 4, STEP), RATE_MAX);
}

static void adapt_to_misses(struct sluiced_throttle *t, uint64_t waits, uint64_t reads,
			    uint64_t achieved)
{
	/* Without a floor it stops, as was asked for. */
	if (!t->min_rate)
		return;
	if (waits > WAITS_SUFFER || reads > READS_SUFFER)
		t->pace_rate = sluiced_max64(t->pace_rate / 2, t->min_rate);
	else if (waits && waits <= WAITS_BEAR && achieved >= t->pace_rate / 2)
		grow(t);
}

static void probe(struct sluiced_throttle *t, uint64_t now)
{
	t->probe_at = now + PROBE_EVERY_MS;
	t->probe_end = now + PROBE_MS;
	t->probe_best = 0;
}

/* Whether what was just seen is of a probe: its pace is not the one that adapts. */
static bool probing(struct sluiced_throttle *t, uint64_t now, uint64_t work)
{
	if (t->adapted >= t->probe_end) {
		if (now < t->probe_at)
			return false;
		probe(t, now);
		return true;
	}
	/* At its beginning there is still in flight what was before. */
	if (t->adapted > t->probe_end - PROBE_MS) {
		/* Not the mean: a host that paused in it would be thought to bear anything. */
		t->probe_best = sluiced_max64(t->probe_best, work);
		t->usual = t->probe_best;
	}
	return true;
}

static void adapt_to_hits(struct sluiced_throttle *t, uint64_t reads, uint64_t achieved)
{
	if (reads > READS_SUFFER)
		halve(t, t->pace_rate ? sluiced_min64(t->pace_rate, achieved) : achieved);
	else if (reads <= READS_BEAR && t->pace_rate && achieved < t->pace_rate / 2)
		t->pace_rate = 0;	/* something else is what limits it */
	else if (reads <= READS_BEAR && t->pace_rate)
		grow(t);
}

static void adapt_to_work(struct sluiced_throttle *t, uint64_t reads, uint64_t work,
			  uint64_t achieved)
{
	uint64_t slower = t->usual * 1000 / work;

	if (reads > READS_SUFFER || slower > WORK_SUFFERS)
		halve(t, t->pace_rate);
	else if (t->usual && reads <= READS_BEAR && slower <= WORK_BEARS &&
		 achieved >= t->pace_rate / 2)
		grow(t);
}

void sluiced_throttle_adapt(struct sluiced_throttle *t, uint64_t now)
{
	uint64_t waits = strain(&t->waits, WAITS_LEAST), reads = strain(&t->reads, READS_LEAST);
	uint64_t elapsed = sluiced_max64(now - t->adapted, 1);
	uint64_t achieved = sluiced_min64(t->copied, RATE_MAX) * 1000 / elapsed;
	uint64_t work = sluiced_min64(t->asked, RATE_MAX) * 1000 / elapsed;
	bool busy = work >= BUSY_WORK;

	switch (sluiced_throttle_pressure(t, now)) {
	case SLUICED_MISSES:
		adapt_to_misses(t, waits, reads, achieved);
		break;
	case SLUICED_HITS:
	case SLUICED_BUSY:
		if (busy && (!t->busy || !t->pace_rate)) {
			/* As a burst of waits: nothing is known of what it bears. */
			t->pace_rate = sluiced_max64(t->min_rate, STEP);
			t->usual = 0;
			probe(t, now);
		} else if (!probing(t, now, work)) {
			if (busy)
				adapt_to_work(t, reads, work, achieved);
			else
				adapt_to_hits(t, reads, achieved);
		}
		break;
	case SLUICED_QUIET:
		t->pace_rate = 0;
		break;
	}
	t->busy = busy;
	t->steady |= busy && !t->missed;
	t->missed = false;
	if (now - t->window >= WINDOW_MS) {
		age(&t->waits);
		age(&t->reads);
		t->window = now;
	}
	t->copied = 0;
	t->asked = 0;
	t->adapted = now;
}

unsigned int sluiced_throttle_depth(const struct sluiced_throttle *t, uint64_t now, bool waits)
{
	/* However much it bears: not more in front of what it waits for. */
	if (waits)
		return 1;
	switch (sluiced_throttle_pressure(t, now)) {
	case SLUICED_MISSES:
	case SLUICED_BUSY:
		return sluiced_min64(1 + t->pace_rate / DEPTH_RATE, DEPTH_HITS);
	case SLUICED_HITS:
		return DEPTH_HITS;
	case SLUICED_QUIET:
		break;
	}
	return DEPTH_QUIET;
}

/*
 * A host that works on and misses nothing has what it works on, until it does: what it
 * feels is what the copy costs the card, and in chunks of 256 KiB that is twice as much.
 */
uint32_t sluiced_throttle_chunk_blocks(const struct sluiced_throttle *t, uint64_t now, bool waits)
{
	bool missing = sluiced_throttle_pressure(t, now) == SLUICED_MISSES && !t->steady;

	/* What it waits for may have been asked for long before. */
	return waits || missing ? CHUNK_BLOCKS_MISSES : CHUNK_BLOCKS;
}

/*
 * Zeroing costs no network and, on most SSDs, one command; but where it is
 * written out it fills the disk's queue: one extent at a time beside a host.
 */
unsigned int sluiced_throttle_zero_depth(const struct sluiced_throttle *t, uint64_t now)
{
	return sluiced_throttle_pressure(t, now) == SLUICED_QUIET ? 4 : 1;
}

uint32_t sluiced_throttle_profile_depth(const struct sluiced_throttle *t, uint64_t now)
{
	return sluiced_throttle_pressure(t, now) == SLUICED_MISSES ? PROFILE_MISSES :
								     PROFILE_BLOCKS;
}

uint32_t sluiced_throttle_profile_blocks(const struct sluiced_throttle *t, uint64_t now)
{
	return sluiced_throttle_pressure(t, now) == SLUICED_MISSES ? PROFILE_CHUNK_MISSES :
								     CHUNK_BLOCKS;
}

/* Buckets. */

static void refill(struct sluiced_bucket *b, uint64_t now)
{
	int64_t burst = b->rate * BURST_MS;

	/* A division instead of a product: a long sleep must not overflow. */
	if (!b->rate)
		b->credit = 0;
	else if (now - b->refilled > (uint64_t)(burst - b->credit) / b->rate)
		b->credit = burst;
	else
		b->credit += b->rate * (now - b->refilled);
	b->refilled = now;
}

static bool has_credit(struct sluiced_bucket *b, uint64_t rate, uint64_t now)
{
	refill(b, now);
	if (rate != b->rate) {
		/* What was spent too much stays spent; what was saved does not count. */
		b->rate = rate;
		if (b->credit > 0 || !rate)
			b->credit = 0;
	}
	return b->credit >= 0;
}

/* Debt, not saving up: a chunk larger than the burst must be able to start. */
static void take(struct sluiced_bucket *b, uint64_t bytes)
{
	if (b->rate)
		b->credit -= bytes * 1000;
}

/* 0: unlimited but by the ceiling. *@stopped: no rate at all. */
static uint64_t current_pace(const struct sluiced_throttle *t, uint64_t now, bool *stopped)
{
	enum sluiced_pressure pressure = sluiced_throttle_pressure(t, now);

	*stopped = pressure == SLUICED_MISSES && !t->min_rate;
	if (pressure == SLUICED_QUIET)
		return 0;
	if (pressure != SLUICED_MISSES && now < t->probe_end)
		return sluiced_max64(t->min_rate, STEP);
	/* A floor that is new while the host waits has not been started from. */
	return pressure == SLUICED_MISSES ? sluiced_max64(t->pace_rate, t->min_rate) : t->pace_rate;
}

bool sluiced_throttle_ready(struct sluiced_throttle *t, uint64_t now)
{
	bool stopped;
	uint64_t pace = current_pace(t, now, &stopped);
	bool ready = has_credit(&t->pace, pace, now);

	return has_credit(&t->ceiling, t->max_rate, now) && ready && !stopped;
}

void sluiced_throttle_spend(struct sluiced_throttle *t, uint64_t bytes)
{
	take(&t->ceiling, bytes);
	take(&t->pace, bytes);
	t->copied += bytes;
}

bool sluiced_throttle_profile_ready(struct sluiced_throttle *t, uint64_t now)
{
	return has_credit(&t->ceiling, t->max_rate, now);
}

void sluiced_throttle_profile_spend(struct sluiced_throttle *t, uint64_t bytes)
{
	take(&t->ceiling, bytes);
}

/* When @b has credit again; 0: it does. */
static uint64_t paid_at(const struct sluiced_bucket *b)
{
	return b->rate && b->credit < 0 ? b->refilled + (uint64_t)-b->credit / b->rate + 1 : 0;
}

uint64_t sluiced_throttle_wake_at(const struct sluiced_throttle *t, uint64_t now)
{
	uint64_t at = UINT64_MAX, paid;

	/* A profile waits for one of them, the copy for both. */
	paid = paid_at(&t->ceiling);
	if (paid > now)
		at = paid;
	paid = paid_at(&t->pace);
	if (paid > now && paid < at)
		at = paid;
	/* The end of pressure matters too: more depth, another rate. */
	if (sluiced_throttle_pressure(t, now) == SLUICED_MISSES)
		at = sluiced_min64(at, t->calm_at);
	return at;
}
