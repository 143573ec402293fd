/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast the background copy goes. It yields to the host between a floor, so
 * that it always ends, and a ceiling. Pure logic: times are milliseconds of one
 * clock, rates bytes a second.
 *
 *	the host ...			depth	chunk	rate
 *	is quiet			16	1 MiB	the ceiling
 *	uses resident blocks		8	1 MiB	as its reads bear
 *	uses them all the time		1 to 8	1 MiB	from the floor up, as its work bears
 *	waited for blocks just now	1 to 8	256 KiB	from the floor up, as its waits bear
 *	  and works without since	1 to 8	1 MiB	the same
 *
 * Beside a host that waits, or did just now, chunk.h makes chunks smaller on a slow link,
 * and larger on a long way, where the floor takes that. "Just now" is the last three
 * seconds, and some time after an export: who is given a disk is about to boot from it,
 * and does not wait for blocks before its first request.
 *
 * What the host bears is told from its latency, as a multiple of the shortest seen
 * lately of requests as large: of what it waits for, from the event to the commit; of
 * its local reads, what the local disk counts. From a second's requests on that it makes
 * all the time, it is told from their number, too: the disk does not see what waits for
 * the card's processor or the host's link. The rate grows by a quarter while these are
 * near 1, and halves when they are not. What they are without the copy must be seen to be
 * known: a host that uses resident blocks has the disk nearly to itself for a second in
 * ten.
 *
 * Demand, read-ahead and zeroes are not paced by rate; the boot profile, which is what
 * the host is about to wait for, only by the ceiling.
 */
#ifndef SLUICED_THROTTLE_H
#define SLUICED_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * 2 MiB/s: a 32 GiB image still ends within 5 hours under a host that never
 * stops missing, and the floors of 56 deployments fit into a 1 Gb/s link. With 4
 * MiB/s a slow card's host has 5 to 6 % less of its local blocks (performance.rst);
 * whoever would rather have the end sooner says --min-rate.
 */
#define SLUICED_DEFAULT_MIN_RATE	(UINT64_C(2) << 20)
#define SLUICED_DEFAULT_MAX_RATE	0

enum sluiced_pressure {
	SLUICED_QUIET,
	SLUICED_HITS,
	SLUICED_BUSY,
	SLUICED_MISSES,
};

struct sluiced_bucket {
	uint64_t rate;			/* the credit is counted at; 0: it is not */
	int64_t credit;			/* thousandths of a byte; below 0: wait */
	uint64_t refilled;
};

/* Powers of two from 4 KiB; the last is for all that is larger. */
#define SLUICED_SIZES	8

/* Latencies of one kind of request, in microseconds, by size. */
struct sluiced_latency {
	struct {
		uint64_t sum, count;	/* since the last sluiced_throttle_adapt() */
		uint64_t least, before;	/* mean of one, in this and the last window; 0: none */
	} size[SLUICED_SIZES];
};

struct sluiced_throttle {
	uint64_t min_rate;		/* the floor; 0: none, copy stops under misses */
	uint64_t max_rate;		/* the ceiling; 0: none */
	struct sluiced_bucket ceiling, pace;
	uint64_t pace_rate;		/* between the two; 0: the ceiling alone */
	uint64_t copied;		/* bytes since the last adapt() */
	uint64_t adapted, window;
	struct sluiced_latency waits, reads;

	uint64_t last_hit;
	uint64_t calm_at;		/* the host counts as waiting until then */
	uint64_t probe_at, probe_end;
	uint64_t probe_best;		/* the most requests a second in this one so far */
	uint64_t usual;			/* the same of the last one; 0: not known */
	uint64_t host_seq, asked;	/* requests, ever and since the last adapt() */
	bool hit, known, busy;
	bool missed;			/* since the last adapt() */
	bool steady;			/* it has worked since the last miss */
};

void sluiced_throttle_init(struct sluiced_throttle *t, uint64_t min_rate, uint64_t max_rate,
			   uint64_t now);
void sluiced_throttle_limit(struct sluiced_throttle *t, uint64_t min_rate, uint64_t max_rate);

/* The host waits for a block. */
void sluiced_throttle_miss(struct sluiced_throttle *t, uint64_t now);

/* The host was just given the device, and asks for blocks within @ms. */
void sluiced_throttle_expect(struct sluiced_throttle *t, uint64_t now, uint64_t ms);

/* The kernel's count of host requests, looked at now and then. */
void sluiced_throttle_host_seq(struct sluiced_throttle *t, uint64_t host_seq, uint64_t now);

/* So many blocks that the host waited for took so long. */
void sluiced_throttle_waited(struct sluiced_throttle *t, uint32_t blocks, uint64_t us);

/* @count reads of the local disk took @ms together. */
void sluiced_throttle_read(struct sluiced_throttle *t, uint64_t count, uint64_t bytes,
			   uint64_t ms);

/* Draws the conclusions, a few times a second. */
void sluiced_throttle_adapt(struct sluiced_throttle *t, uint64_t now);

enum sluiced_pressure sluiced_throttle_pressure(const struct sluiced_throttle *t, uint64_t now);

/* Chunks of the copy in flight at most, and the blocks of one. @waits: the host does. */
unsigned int sluiced_throttle_depth(const struct sluiced_throttle *t, uint64_t now, bool waits);
uint32_t sluiced_throttle_chunk_blocks(const struct sluiced_throttle *t, uint64_t now,
				       bool waits);

/* Background extents of zeroes in flight at most. */
unsigned int sluiced_throttle_zero_depth(const struct sluiced_throttle *t, uint64_t now);

/* Blocks of the boot profile in flight at most, and of one fetch of it. */
uint32_t sluiced_throttle_profile_depth(const struct sluiced_throttle *t, uint64_t now);
uint32_t sluiced_throttle_profile_blocks(const struct sluiced_throttle *t, uint64_t now);

/* Whether one more chunk may start; its bytes are then to be spent. */
bool sluiced_throttle_ready(struct sluiced_throttle *t, uint64_t now);
void sluiced_throttle_spend(struct sluiced_throttle *t, uint64_t bytes);

/* The same of the boot profile. */
bool sluiced_throttle_profile_ready(struct sluiced_throttle *t, uint64_t now);
void sluiced_throttle_profile_spend(struct sluiced_throttle *t, uint64_t bytes);

/* When either may turn true without a host's doing; UINT64_MAX: it is. */
uint64_t sluiced_throttle_wake_at(const struct sluiced_throttle *t, uint64_t now);

#endif /* SLUICED_THROTTLE_H */
