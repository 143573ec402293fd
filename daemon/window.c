// SPDX-License-Identifier: GPL-2.0-or-later
#include "window.h"

#include <string.h>

#include <linux/sluice.h>

#include "minmax.h"

/*
 * Half of what RFC 6817 allows, whose flows share a queue with people who talk; a host's
 * read of a block that is missing is to stay well below what a disk takes. Less would
 * leave links of some latency empty: it is told from chunks whose times vary by that.
 */
#define TARGET_US	50000

/* Four chunks of 256 KiB: a link of 10 Gb/s is filled within a tenth of a second. */
#define BEGIN_BYTES	(UINT64_C(1) << 20)

/* What it grows by, at most, while as much as is in flight comes back. */
#define STEP_BYTES	(INT64_C(1) << 20)

/*
 * What is longest ago comes to count for nothing, as the way may have become longer.
 * The quickest of a window that is always full has waited in it: in each period it may
 * take that for the way, which is why these are long.
 */
#define PERIOD_US	UINT64_C(300000000)

/* 256 KiB, as with a host that waits: below, commands cost more than they carry. */
#define CHUNK_BLOCKS	64
#define CHUNK_LARGEST	256

/*
 * What a chunk may take, with the latency of the way: 1 MiB at 1 Gb/s. Of that size it
 * costs the card's processor half of what it costs in quarters.
 */
#define CHUNK_US	16000

/*
 * What one that a host's read is behind may take: four times the latency of a near way.
 * Below 64 KiB it would be but commands. The first ones of a connection are slow.
 */
#define SMALL_US	4000
#define SMALL_BLOCKS	16
#define SMALL_LAST	2
#define SMALL_SEEN	4

#define SECOND_US	UINT64_C(1000000)

void sluiced_window_reset(struct sluiced_window *w, uint64_t now)
{
	*w = (struct sluiced_window){ .bytes = BEGIN_BYTES, .period = now };
}

/* Of two, 0 for one that is not known. */
static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a && b ? sluiced_min64(a, b) : sluiced_max64(a, b);
}

static uint64_t small_bytes(unsigned int i)
{
	return (uint64_t)SMALL_BLOCKS * SLUICE_BLOCK_SIZE << i;
}

static void note(struct sluiced_window *w, uint64_t bytes, uint64_t us, uint64_t now)
{
	unsigned int i;

	if (now - w->period >= PERIOD_US) {
		w->before = w->least;
		w->pace_before = w->pace;
		memcpy(w->small_before, w->small, sizeof(w->small));
		memset(w->small, 0, sizeof(w->small));
		w->least = 0;
		w->pace = 0;
		w->period = now;
		/* So that the queue is gone for a moment, and not taken for the way. */
		w->bytes = SLUICED_WINDOW_MIN;
	}
	w->least = lesser(w->least, us);
	w->pace = lesser(w->pace, us * STEP_BYTES / bytes);
	for (i = 0; i <= SMALL_LAST; i++)
		if (bytes == small_bytes(i)) {
			w->small[i] = lesser(w->small[i], us);
			w->seen[i] += w->seen[i] < SMALL_SEEN;
		}
}

void sluiced_window_done(struct sluiced_window *w, uint64_t bytes, uint64_t us,
			 uint64_t in_flight, uint64_t now)
{
	int64_t off, size;

	note(w, bytes, us, now);
	size = w->bytes;
	off = TARGET_US - (int64_t)sluiced_min64(us - lesser(w->least, w->before), 5 * TARGET_US);
	/* What it did not fill says nothing of what a larger one would do. */
	if (off > 0 && in_flight + STEP_BYTES < w->bytes)
		return;
	bytes = sluiced_min64(bytes, STEP_BYTES);
	size += off * (int64_t)bytes / TARGET_US * STEP_BYTES / size;
	if (size < (int64_t)SLUICED_WINDOW_MIN)
		size = SLUICED_WINDOW_MIN;
	w->bytes = sluiced_min64(size, SLUICED_WINDOW_MAX);
}

static uint64_t small_takes(const struct sluiced_window *w, unsigned int i)
{
	return lesser(w->small[i], w->small_before[i]);
}

/* Half of one is tried where it takes long, and kept to where that is no latency. */
static uint64_t small_chunk(const struct sluiced_window *w)
{
	unsigned int i = SMALL_LAST;
	uint64_t half;

	for (; i && w->seen[i] == SMALL_SEEN && small_takes(w, i) > SMALL_US; i--) {
		half = small_takes(w, i - 1);
		if (half * 4 > small_takes(w, i) * 3)
			break;
	}
	return small_bytes(i);
}

uint32_t sluiced_window_chunk_blocks(const struct sluiced_window *w, uint32_t max,
				     uint64_t floor)
{
	uint64_t bytes = CHUNK_BLOCKS * SLUICE_BLOCK_SIZE, pace = lesser(w->pace, w->pace_before);
	uint64_t least = sluiced_min64(lesser(w->least, w->before), SECOND_US);

	floor = sluiced_min64(floor, SLUICED_WINDOW_MAX * 1024);
	if (max <= CHUNK_BLOCKS)
		bytes = small_chunk(w);
	else
		while (bytes * 2 * 4 <= w->bytes ||
		       (pace && bytes * 2 * pace <= CHUNK_US * STEP_BYTES))
			bytes *= 2;
	bytes = sluiced_min64(bytes, (uint64_t)max * SLUICE_BLOCK_SIZE);
	/* Beside a host there may be one at a time. */
	while (bytes < CHUNK_LARGEST * SLUICE_BLOCK_SIZE && bytes * SECOND_US < floor * least)
		bytes *= 2;
	return bytes / SLUICE_BLOCK_SIZE;
}
