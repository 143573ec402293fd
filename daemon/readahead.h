/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host will ask for next, told from what it asked for: streams of reads
 * that go on where they stopped. Pure logic, in blocks of the image.
 *
 * Misses are all that is seen of the host's reads. A stream goes on when everything
 * between its last miss and the next one is there or on its way; a miss that leaves
 * something out is of no stream, and ends the one that it falls into at once.
 */
#ifndef SLUICED_READAHEAD_H
#define SLUICED_READAHEAD_H

#include <stdbool.h>
#include <stdint.h>

/* 8 is arbitrary: more readers than that at once look random to any disk. */
#define SLUICED_STREAMS		8
#define SLUICED_MAX_READAHEAD	8

/* Whether every block of [from, end) is there or on its way. */
typedef bool (*sluiced_covered_t)(void *ctx, uint64_t from, uint64_t end);

struct sluiced_stream {
	uint64_t next;			/* where the host stopped reading */
	uint64_t limit;			/* up to where it was read ahead */
	uint32_t window;		/* blocks; 0: not read ahead of */
	uint64_t used;			/* 0: never */
	uint64_t ahead;			/* blocks read ahead of next */
};

struct sluiced_ahead {
	uint64_t block;
	uint32_t blocks;
	unsigned int stream;
};

struct sluiced_readahead {
	uint64_t image_blocks;
	struct sluiced_stream streams[SLUICED_STREAMS];
	uint64_t clock;
	struct sluiced_ahead queue[SLUICED_MAX_READAHEAD];
	unsigned int count;
	uint64_t blocks;		/* read ahead, and there before they were asked for */
	uint64_t unused;		/* of them, of streams that are over */
};

void sluiced_readahead_init(struct sluiced_readahead *ra, uint64_t image_blocks);

/* The host waits for [block, end): queues what to read ahead of it. */
void sluiced_readahead_miss(struct sluiced_readahead *ra, uint64_t block, uint64_t end,
			    sluiced_covered_t covered, void *ctx);

/* The oldest that is queued, or NULL. */
const struct sluiced_ahead *sluiced_readahead_first(const struct sluiced_readahead *ra);

/* The oldest is dealt with up to @to. */
void sluiced_readahead_advance(struct sluiced_readahead *ra, uint64_t to);

/* So many blocks from @block on are there, read ahead of @stream. */
void sluiced_readahead_arrived(struct sluiced_readahead *ra, unsigned int stream,
			       uint64_t block, uint32_t blocks);

/* Blocks that were read ahead and not asked for, as far as misses tell. */
uint64_t sluiced_readahead_unused(const struct sluiced_readahead *ra);

#endif /* SLUICED_READAHEAD_H */
