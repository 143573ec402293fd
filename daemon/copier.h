/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves extents from the source to the device: what the scheduler says is next is
 * read into the pool and committed from there. Of the loop's thread.
 *
 * The copier judges nothing: it reports errors and goes on with what still works.
 * When several reads in a row failed it takes the source for down, and sends one
 * background read at a time, with pauses from 100 ms to 1 s, until one succeeds;
 * demand goes on being tried with the scheduler's own pauses.
 */
#ifndef SLUICED_COPIER_H
#define SLUICED_COPIER_H

#include <stdbool.h>
#include <stdint.h>

#include "chunk.h"
#include "device.h"
#include "holes.h"
#include "histogram.h"
#include "loop.h"
#include "pool.h"
#include "scheduler.h"
#include "source.h"
#include "throttle.h"

struct sluiced_copier;

/* The last one may be there in part. */
static inline uint64_t sluiced_image_blocks(uint64_t bytes)
{
	return bytes / SLUICE_BLOCK_SIZE + !!(bytes % SLUICE_BLOCK_SIZE);
}

struct sluiced_copier_ops {
	/*
	 * The source is down, or reads of it fail in a way that does not pass; for
	 * sluiced_source_classify(). Repeated as long as they do.
	 */
	void (*source_failed)(void *ctx, int err);
	/* The first read that succeeded after that. */
	void (*source_works)(void *ctx);
	/*
	 * A commit failed, with an error of the uapi header. With -EROFS the module has
	 * passed on what the host waits for, and not kept it.
	 */
	void (*commit_failed)(void *ctx, int err);
	/* The first commit that succeeded after that. */
	void (*commit_works)(void *ctx);
	/* Every block is resident and nothing under way. May come repeatedly. */
	void (*finished)(void *ctx);
	/* Stopped, and the last that was under way ended. */
	void (*idle)(void *ctx);
};

struct sluiced_transfer {
	struct sluiced_fetch fetch;
	struct sluiced_read read;
	struct sluiced_commit commit;
	struct sluiced_copier *copier;
	uint32_t pool_block;
	uint32_t bytes;			/* from the source */
	uint64_t started_us;
	bool background;
	bool profile;
	bool demand;			/* from its start */
	bool alone;			/* of the copy, and the only one at its start */
	unsigned int sources;		/* the copier's when it was read */
	struct sluiced_transfer *next;
};

/*
 * 256 is arbitrary: 16 chunks of the copy, and demand of several full NVMe queues
 * after the kernel joined what overlaps.
 */
#define SLUICED_MAX_TRANSFERS	256

struct sluiced_copier {
	struct sluiced_loop *loop;
	struct sluiced_device *dev;
	struct sluiced_source *source;	/* NULL while there is none */
	const struct sluiced_copier_ops *ops;
	void *ctx;
	uint64_t image_bytes;

	struct sluiced_scheduler scheduler;
	struct sluiced_holes holes;
	struct sluiced_throttle throttle;
	struct sluiced_chunk chunk;	/* of the copy from this source */
	unsigned int sources;		/* how many there have been */
	struct sluiced_pool pool;
	struct sluiced_transfer *transfers, *free;
	struct sluiced_timer timer;
	unsigned int in_flight;
	unsigned int background_in_flight;
	unsigned int zeroes_in_flight;
	uint32_t profile_in_flight;	/* blocks */
	bool paused;
	bool recording;			/* nothing but demand is fetched */
	bool serving;			/* the same, as nothing can get local any more */
	bool stopped;
	bool poisoned;			/* nothing may be committed any more */
	bool pumping;

	unsigned int failures;		/* in a row */
	bool local_failing;		/* the last commit failed */
	bool down;
	unsigned int down_tries;
	uint64_t probe_at;

	uint64_t fetched_bytes, demand_bytes, profile_bytes, zero_bytes;
	struct sluiced_histogram misses;
	uint64_t skipped_bytes;		/* of zero_bytes, of the image */
};

/* For an attached device. -ENOMEM, -EINVAL. */
int sluiced_copier_init(struct sluiced_copier *c, struct sluiced_loop *loop,
			struct sluiced_device *dev, const struct sluice_module *module,
			uint64_t min_rate, uint64_t max_rate,
			const struct sluiced_copier_ops *ops, void *ctx);
/* Only while idle. */
void sluiced_copier_exit(struct sluiced_copier *c);

/* From now on reads go to @source; NULL: there are none. */
void sluiced_copier_set_source(struct sluiced_copier *c, struct sluiced_source *source);
void sluiced_copier_pause(struct sluiced_copier *c, bool paused);

/* From now on every first use of a block is a miss, or no longer. */
void sluiced_copier_record(struct sluiced_copier *c, bool recording);

/* Nothing can get local any more: from now on nothing but demand is fetched. */
void sluiced_copier_serve_only(struct sluiced_copier *c);

void sluiced_copier_demand(struct sluiced_copier *c, const struct sluice_wanted *wanted);

/* For how long the oldest read that the host waits for is under way; 0: there is none. */
uint64_t sluiced_copier_waiting_ms(const struct sluiced_copier *c);

/* Starts all that can start. */
void sluiced_copier_pump(struct sluiced_copier *c);
/* The same, once for all that the loop handles now. */
void sluiced_copier_pump_soon(struct sluiced_copier *c);

/*
 * Starts nothing more, for good; ops->idle follows if something is under way now
 * (in_flight). With @poison what is being read is not committed.
 */
void sluiced_copier_stop(struct sluiced_copier *c, bool poison);

#endif /* SLUICED_COPIER_H */
