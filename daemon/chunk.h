/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How large a chunk of the copy is beside a host that waits, told from how long chunks
 * take: a read of the host's is behind one, and the card pays for many small ones. Pure
 * logic: bytes, microseconds of one clock.
 */
#ifndef SLUICED_CHUNK_H
#define SLUICED_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

/* 64 KiB to 1 MiB, in powers of two. */
#define SLUICED_CHUNK_SIZES	5

/* The shortest of a period. */
struct sluiced_chunk_times {
	uint64_t mib;			/* of a MiB, told from chunks of any size; 0: not known */
	struct {
		uint64_t us;		/* alone; 0: not known */
		uint64_t count;
	} size[SLUICED_CHUNK_SIZES];
};

struct sluiced_chunk {
	struct sluiced_chunk_times times, before;	/* of this period and the last one */
	uint64_t period;				/* since when */
};

/* Nothing is known of the source. */
void sluiced_chunk_reset(struct sluiced_chunk *c, uint64_t now);

/* One of @bytes took @us until it was local. @alone: there was no other one when it began. */
void sluiced_chunk_done(struct sluiced_chunk *c, uint64_t bytes, uint64_t us, bool alone,
			uint64_t now);

/*
 * Blocks of one. @max of more than 256 KiB: the largest that is on the way for a moment,
 * and 256 KiB at least. Of 256 KiB: a smaller one where the link is slow. One at a time is
 * to carry @floor bytes a second: where the way is so long that it takes larger ones for
 * that, they are larger, whatever @max, up to 1 MiB.
 */
uint32_t sluiced_chunk_blocks(const struct sluiced_chunk *c, uint32_t max, uint64_t floor);

/*
 * How many chunks of @blocks, or of what came of them, must be in flight for @floor; 0: it is
 * not known.
 */
unsigned int sluiced_chunk_depth(const struct sluiced_chunk *c, uint32_t blocks, uint64_t floor);

#endif /* SLUICED_CHUNK_H */
