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

void sluiced_window_reset(struct sluiced_window *w, uint64_t now)
{
	*w = (struct sluiced_window){ .bytes = BEGIN_BYTES, .period = now };
}

static uint64_t quickest(struct sluiced_window *w, uint64_t us, uint64_t now)
{
	if (now - w->period >= PERIOD_US) {
		w->before = w->least;
		w->least = 0;
		w->period = now;
	}
	if (!w->least || us < w->least)
		w->least = us;
	return w->before ? sluiced_min64(w->least, w->before) : w->least;
}

void sluiced_window_done(struct sluiced_window *w, uint64_t bytes, uint64_t us,
			 uint64_t in_flight, uint64_t now)
{
	uint64_t queued = us - quickest(w, us, now);
	int64_t off = TARGET_US - (int64_t)sluiced_min64(queued, 5 * TARGET_US);
	int64_t size = w->bytes;

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
	uint32_t blocks = CHUNK_BLOCKS;

	while (blocks < max && blocks * 2 * 4 * (uint64_t)SLUICE_BLOCK_SIZE <= w->bytes)
		blocks *= 2;
	return sluiced_min64(blocks, max);
}
