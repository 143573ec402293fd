// SPDX-License-Identifier: GPL-2.0-or-later
#include "window.h"

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

/*
 * What a chunk may take, with the latency of the way: 1 MiB at 1 Gb/s. Of that size it
 * costs the card's processor half of what it costs in quarters.
 */
#define CHUNK_US	16000

void sluiced_window_reset(struct sluiced_window *w, uint64_t now)
{
	*w = (struct sluiced_window){ .bytes = BEGIN_BYTES, .period = now };
}

/* Of two, 0 for one that is not known. */
static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a && b ? sluiced_min64(a, b) : sluiced_max64(a, b);
}

static void note(struct sluiced_window *w, uint64_t bytes, uint64_t us, uint64_t now)
{
	if (now - w->period >= PERIOD_US) {
		w->before = w->least;
		w->pace_before = w->pace;
		w->least = 0;
		w->pace = 0;
		w->period = now;
	}
	w->least = lesser(w->least, us);
	w->pace = lesser(w->pace, us * STEP_BYTES / bytes);
}

void sluiced_window_done(struct sluiced_window *w, uint64_t bytes, uint64_t us,
			 uint64_t in_flight, uint64_t now)
{
	int64_t off, size = w->bytes;

	note(w, bytes, us, now);
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

uint32_t sluiced_window_chunk_blocks(const struct sluiced_window *w, uint32_t max)
{
	uint64_t bytes = CHUNK_BLOCKS * SLUICE_BLOCK_SIZE, pace = lesser(w->pace, w->pace_before);

	while (bytes * 2 * 4 <= w->bytes || (pace && bytes * 2 * pace <= CHUNK_US * STEP_BYTES))
		bytes *= 2;
	return sluiced_min64(bytes / SLUICE_BLOCK_SIZE, max);
}
