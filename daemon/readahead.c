// SPDX-License-Identifier: GPL-2.0-or-later
#include "readahead.h"

#include <stddef.h>
#include <string.h>

#include "minmax.h"

/*
 * It starts at 128 KiB, what Linux and Windows read ahead themselves, and doubles to
 * 1 MiB while the host keeps consuming it: enough to hide 1 ms of latency at 1 GB/s.
 * More would compete with other demand.
 */
#define WINDOW_BLOCKS		32
#define WINDOW_MAX_BLOCKS	256

void sluiced_readahead_init(struct sluiced_readahead *ra, uint64_t image_blocks)
{
	*ra = (struct sluiced_readahead){ .image_blocks = image_blocks };
}

static void drop_queued(struct sluiced_readahead *ra, unsigned int at)
{
	ra->count--;
	memmove(&ra->queue[at], &ra->queue[at + 1], (ra->count - at) * sizeof(ra->queue[0]));
}

static void queue(struct sluiced_readahead *ra, unsigned int stream, uint64_t block,
		  uint64_t end)
{
	end = sluiced_min64(end, ra->image_blocks);
	if (block >= end)
		return;
	if (ra->count == SLUICED_MAX_READAHEAD)
		drop_queued(ra, 0);
	ra->queue[ra->count++] = (struct sluiced_ahead){ block, end - block, stream };
}

/* The stream is over: what is queued for it would only be in the way. */
static void restart(struct sluiced_readahead *ra, unsigned int stream, uint64_t end)
{
	unsigned int i = 0;

	while (i < ra->count) {
		if (ra->queue[i].stream == stream)
			drop_queued(ra, i);
		else
			i++;
	}
	ra->unused += ra->streams[stream].ahead;
	ra->streams[stream] = (struct sluiced_stream){
		.next = end, .limit = end, .used = ra->clock,
	};
}

static void go_on(struct sluiced_readahead *ra, unsigned int stream, uint64_t end)
{
	struct sluiced_stream *s = &ra->streams[stream];
	uint64_t from = sluiced_max64(s->limit, end);

	s->ahead -= sluiced_min64(s->ahead, end > s->next ? end - s->next : 0);
	s->window = s->window ? sluiced_min64(s->window * 2, WINDOW_MAX_BLOCKS) : WINDOW_BLOCKS;
	s->next = end;
	s->limit = sluiced_max64(end + s->window, from);
	s->used = ra->clock;
	queue(ra, stream, from, s->limit);
}

void sluiced_readahead_miss(struct sluiced_readahead *ra, uint64_t block, uint64_t end,
			    sluiced_covered_t covered, void *ctx)
{
	unsigned int i, into = SLUICED_STREAMS, oldest = 0;

	ra->clock++;
	for (i = 0; i < SLUICED_STREAMS; i++) {
		const struct sluiced_stream *s = &ra->streams[i];

		if (s->used < ra->streams[oldest].used)
			oldest = i;
		if (!s->used || block < s->next || block > s->limit)
			continue;
		if (covered(ctx, s->next, block))
			return go_on(ra, i, end);
		into = i;
	}
	restart(ra, into < SLUICED_STREAMS ? into : oldest, end);
}

const struct sluiced_ahead *sluiced_readahead_first(const struct sluiced_readahead *ra)
{
	return ra->count ? &ra->queue[0] : NULL;
}

void sluiced_readahead_advance(struct sluiced_readahead *ra, uint64_t to)
{
	struct sluiced_ahead *first = &ra->queue[0];
	uint64_t end = first->block + first->blocks;

	if (to < end) {
		first->block = to;
		first->blocks = end - to;
	} else {
		drop_queued(ra, 0);
	}
}

void sluiced_readahead_arrived(struct sluiced_readahead *ra, unsigned int stream,
			       uint64_t block, uint32_t blocks)
{
	struct sluiced_stream *s = &ra->streams[stream];

	ra->blocks += blocks;
	if (!s->window || block >= s->limit)
		ra->unused += blocks;	/* the stream ended meanwhile */
	else if (block >= s->next)
		s->ahead += blocks;
}

uint64_t sluiced_readahead_unused(const struct sluiced_readahead *ra)
{
	uint64_t unused = ra->unused;
	unsigned int i;

	for (i = 0; i < SLUICED_STREAMS; i++)
		unused += ra->streams[i].ahead;
	return unused;
}
