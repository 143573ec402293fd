/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much of the copy may be in flight: enough to keep link and disk busy, and so little
 * that who comes next waits at most some 50 ms behind it. After RFC 6817 (LEDBAT),
 * section 2.4.2, with chunks for segments: what a chunk takes longer than the quickest one
 * lately it has spent in queues, of which the window keeps 50 ms. Pure logic: bytes,
 * microseconds of one clock.
 */
#ifndef SLUICED_WINDOW_H
#define SLUICED_WINDOW_H

#include <stdint.h>

#define SLUICED_WINDOW_MIN	(UINT64_C(512) << 10)
#define SLUICED_WINDOW_MAX	(UINT64_C(16) << 20)

struct sluiced_window {
	uint64_t bytes;
	uint64_t least, before;		/* of a chunk, in this and the last period; 0: none */
	uint64_t pace, pace_before;	/* the same of a MiB */
	uint64_t small[3], small_before[3];	/* the same of 64, 128 and 256 KiB */
	unsigned int seen[3];		/* chunks of these sizes, ever */
	uint64_t period;		/* since when */
};

/* Nothing is known of the source. */
void sluiced_window_reset(struct sluiced_window *w, uint64_t now);

/* A chunk of @bytes took @us until it was local; so much was @in_flight, with it. */
void sluiced_window_done(struct sluiced_window *w, uint64_t bytes, uint64_t us,
			 uint64_t in_flight, uint64_t now);

/*
 * Of a chunk, so that several are in flight, or one is on the way for a moment only: at most
 * @max, both powers of two. Where @max is 256 KiB or less, as a host waits for blocks, it is
 * smaller on a slow link: a read of the host's waits behind it. Up to 1 MiB where one at a
 * time would carry less than @floor bytes a second.
 */
uint32_t sluiced_window_chunk_blocks(const struct sluiced_window *w, uint32_t max,
				     uint64_t floor);

#endif /* SLUICED_WINDOW_H */
