// SPDX-License-Identifier: GPL-2.0-or-later
#include "chunk.h"

#include <linux/sluice.h>

#include "minmax.h"

#define KIB		UINT64_C(1024)
#define MIB		(1024 * KIB)
#define SECOND_US	UINT64_C(1000000)

/* What is longest ago comes to count for nothing, as the way may have become another. */
#define PERIOD_US	(300 * SECOND_US)

/* 256 KiB: below, commands cost more than they carry, unless the link is slow. */
#define USUAL		2
#define LARGEST		(SLUICED_CHUNK_SIZES - 1)

/*
 * What a larger one may take, with the latency of the way: 1 MiB at 1 Gb/s. Of that size it
 * costs the card's processor half of what it costs in quarters.
 */
#define LARGE_US	16000

/*
 * What one that a host's read is behind may take: four times the latency of a near way.
 * Below 64 KiB it would be but commands.
 */
#define SMALL_US	4000

/* Of fewer, chance has too large a part, and the first ones of a connection are slow. */
#define SEEN		4

/* Keeps products of rates and times within 64 bits: 16 GiB/s, a minute. */
#define FLOOR_MAX	(16 * 1024 * MIB)
#define TIME_MAX_US	(60 * SECOND_US)

/* More than that in flight is a queue in front of the host. */
#define DEPTH_MAX	8

static uint64_t bytes_of(unsigned int size)
{
	return 64 * KIB << size;
}

/* Of two, 0 for one that is not known. */
static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a && b ? sluiced_min64(a, b) : sluiced_max64(a, b);
}

void sluiced_chunk_reset(struct sluiced_chunk *c, uint64_t now)
{
	*c = (struct sluiced_chunk){ .period = now };
}

void sluiced_chunk_done(struct sluiced_chunk *c, uint64_t bytes, uint64_t us, bool alone,
			uint64_t now)
{
	struct sluiced_chunk_times *times = &c->times;
	unsigned int i;

	if (now - c->period >= 2 * PERIOD_US) {
		sluiced_chunk_reset(c, now);
	} else if (now - c->period >= PERIOD_US) {
		c->before = *times;
		*times = (struct sluiced_chunk_times){ 0 };
		c->period = now;
	}
	us = sluiced_min64(us, TIME_MAX_US);
	times->mib = lesser(times->mib, us * MIB / bytes);
	for (i = 0; i < SLUICED_CHUNK_SIZES; i++) {
		/* In a queue of sixteen a whole one takes what a link takes that is full. */
		if (alone && bytes == bytes_of(i)) {
			times->size[i].us = lesser(times->size[i].us, us);
			times->size[i].count++;
		}
	}
}

/* 0: not known. */
static uint64_t takes(const struct sluiced_chunk *c, unsigned int i)
{
	if (c->times.size[i].count + c->before.size[i].count < SEEN)
		return 0;
	return lesser(c->times.size[i].us, c->before.size[i].us);
}

/* Half of one is tried where it takes long, and kept to where that is no latency. */
static unsigned int small_chunk(const struct sluiced_chunk *c)
{
	unsigned int i;

	for (i = USUAL; i && takes(c, i) > SMALL_US; i--)
		if (takes(c, i - 1) * 4 > takes(c, i) * 3)
			break;
	return i;
}

static unsigned int large_chunk(const struct sluiced_chunk *c)
{
	uint64_t mib = lesser(c->times.mib, c->before.mib);
	unsigned int i = USUAL;

	while (mib && i < LARGEST && bytes_of(i + 1) * mib <= LARGE_US * MIB)
		i++;
	return i;
}

/* Whether it takes nearly twice as long as half of it: the link is full with one. */
static bool is_full(const struct sluiced_chunk *c, unsigned int i)
{
	return takes(c, i - 1) && takes(c, i) * 4 > takes(c, i - 1) * 7;
}

/* In flight, for so much a second; 0: not known. */
static uint64_t wanted(const struct sluiced_chunk *c, unsigned int i, uint64_t floor)
{
	uint64_t bytes = bytes_of(i) * SECOND_US;

	return (sluiced_min64(floor, FLOOR_MAX) * takes(c, i) + bytes - 1) / bytes;
}

uint32_t sluiced_chunk_blocks(const struct sluiced_chunk *c, uint32_t max, uint64_t floor)
{
	unsigned int i;

	i = (uint64_t)max * SLUICE_BLOCK_SIZE > bytes_of(USUAL) ? large_chunk(c) : small_chunk(c);
	while (i && bytes_of(i) > (uint64_t)max * SLUICE_BLOCK_SIZE)
		i--;
	while (i < LARGEST && wanted(c, i, floor) > 1 && !is_full(c, i + 1))
		i++;
	return bytes_of(i) / SLUICE_BLOCK_SIZE;
}

unsigned int sluiced_chunk_depth(const struct sluiced_chunk *c, uint32_t blocks, uint64_t floor)
{
	unsigned int i = LARGEST;

	/* Where what is missing is in pieces, chunks are smaller than they may be. */
	while (i && (bytes_of(i) > (uint64_t)blocks * SLUICE_BLOCK_SIZE || !takes(c, i)))
		i--;
	/* What is full carries no more with a second one in it. */
	if ((i && is_full(c, i)) || (i < LARGEST && is_full(c, i + 1)))
		return 1;
	return sluiced_min64(wanted(c, i, floor), DEPTH_MAX);
}
