/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What to fetch next. Pure logic: no I/O, no clock, no memory but its own. All
 * extents are in blocks of the namespace, all times in milliseconds of one clock.
 *
 * Order: what the host waits for, oldest first; read-ahead of it; the boot profile;
 * missing blocks of the image in order, holes as zeroes; zeroes behind the image's end.
 * Demand never waits for background: a block that is already on its way in a
 * background chunk is asked for again, by itself and at once. Nothing but demand
 * fetches a block twice at the same time.
 *
 * The map is the truth and its bits only ever get set. What a commit skipped or
 * failed is simply found missing again by a later pass.
 */
#ifndef SLUICED_SCHEDULER_H
#define SLUICED_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile.h"
#include "readahead.h"

enum sluiced_fetch_kind {
	SLUICED_DEMAND,
	SLUICED_READAHEAD,
	SLUICED_PROFILE,
	SLUICED_BACKGROUND,
};

/* One extent on its way. Embedded in its caller's object from next() to done(). */
struct sluiced_fetch {
	uint64_t block;
	uint32_t blocks;
	enum sluiced_fetch_kind kind;	/* may become SLUICED_DEMAND on the way */
	bool zero;			/* a hole, or behind the image: needs no source */
	bool committing;		/* set by the caller once the data is there */
	unsigned int attempts;		/* that failed before */
	unsigned int stream;		/* of SLUICED_READAHEAD */
	struct sluiced_fetch *next, **prev;
};

/*
 * The first run of missing blocks in [from, end): its length, at most @max, and
 * its first block in *start; 0 when nothing is missing there.
 */
typedef uint32_t (*sluiced_missing_t)(void *ctx, uint64_t from, uint64_t end, uint32_t max,
				      uint64_t *start);

enum sluiced_content {
	SLUICED_DATA,
	SLUICED_ZERO,
	SLUICED_UNKNOWN,		/* soon to be known */
};

/*
 * What is known of a block of the image; cuts *@blocks to the run that it is known
 * of. @ask: the answer will be waited for.
 */
typedef enum sluiced_content (*sluiced_content_t)(void *ctx, uint64_t block,
						  uint32_t *blocks, bool ask);

struct sluiced_geometry {
	uint64_t image_blocks;		/* with data behind them; the last may be partial */
	uint64_t total_blocks;		/* of the namespace, not fewer */
	uint32_t max_fetch_blocks;	/* of one fetch with data */
	uint32_t max_zero_blocks;	/* of one fetch of zeroes */
};

/* Extents waiting; what the host can make us remember is bounded. */
#define SLUICED_MAX_WANTED	2048
#define SLUICED_MAX_FAILED	64

struct sluiced_wanted {
	uint64_t block;
	uint32_t blocks;
	unsigned int attempts;
	uint64_t not_before;
	struct sluiced_wanted *next;
};

struct sluiced_failed {
	uint64_t block;
	uint32_t blocks;
	unsigned int attempts;
	uint64_t not_before;
};

struct sluiced_scheduler {
	struct sluiced_geometry geo;
	sluiced_missing_t missing;
	void *ctx;
	sluiced_content_t content;	/* NULL: all of the image is data */
	void *content_ctx;

	struct sluiced_wanted *slab, *free, *wanted, **wanted_tail;
	unsigned int wanted_count;
	bool lost;

	struct sluiced_readahead readahead;

	const struct sluice_extent *profile;
	size_t profile_count, profile_at;
	uint64_t profile_done;		/* blocks of profile[profile_at] */

	struct sluiced_failed failed[SLUICED_MAX_FAILED];
	unsigned int failed_count;
	uint64_t background_not_before;

	uint64_t floor;			/* nothing is missing below */
	uint64_t image_cursor;
	uint64_t zero_cursor;

	struct sluiced_fetch *in_flight;
	unsigned int in_flight_count;
	unsigned int demand_in_flight;
};

/* -ENOMEM, or -EINVAL for a geometry that makes no sense. */
int sluiced_scheduler_init(struct sluiced_scheduler *s, const struct sluiced_geometry *geo,
			   sluiced_missing_t missing, void *ctx);
void sluiced_scheduler_exit(struct sluiced_scheduler *s);

/* Holes of the image become fetches of zeroes; background waits for what is unknown. */
void sluiced_scheduler_set_content(struct sluiced_scheduler *s, sluiced_content_t content,
				   void *ctx);

/*
 * What to fetch before the rest, in this order; parts outside of the image are passed
 * over. Not copied. Begins anew.
 */
void sluiced_scheduler_set_profile(struct sluiced_scheduler *s,
				   const struct sluice_extent *extents, size_t count);

/* Whether some of the profile was not yet looked at. */
bool sluiced_scheduler_in_profile(const struct sluiced_scheduler *s);

/*
 * The host waits for the extent, which the caller has checked to lie within the
 * namespace. @write: for an edge of a write, which says nothing about streams.
 */
void sluiced_scheduler_demand(struct sluiced_scheduler *s, uint64_t block, uint32_t blocks,
			      bool write);

/* What next() may choose from; demand for zeroes is always served. */
struct sluiced_allowance {
	bool source;			/* reads of the image are possible */
	bool only_demand;		/* whatever the others say */
	uint32_t profile_blocks;	/* of the profile at once; 0: none now */
	bool profile_first;		/* no copy before all of the profile is on its way */
	bool background;		/* so is one more chunk of the copy */
	bool zero;			/* so is one more background extent of zeroes */
	uint32_t chunk_blocks;		/* largest chunk of the copy; a power of two */
};

/* Fills and tracks @fetch; false when there is nothing to do now. */
bool sluiced_scheduler_next(struct sluiced_scheduler *s, uint64_t now,
			    const struct sluiced_allowance *allow, struct sluiced_fetch *fetch);

/* @fetch could not be started: it will be next again. */
void sluiced_scheduler_put_back(struct sluiced_scheduler *s, struct sluiced_fetch *fetch);

/* @fetch is over. A failed one is tried again after 100 ms, 200 ms ... 5 s. */
void sluiced_scheduler_done(struct sluiced_scheduler *s, struct sluiced_fetch *fetch,
			    bool failed, uint64_t now);

/* The source is well again: nothing that failed waits any longer. */
void sluiced_scheduler_retry_now(struct sluiced_scheduler *s);

/* The host waits for nothing: forgets what is queued for it. */
void sluiced_scheduler_forget_demand(struct sluiced_scheduler *s);

/* Whether demand is queued or on its way. */
bool sluiced_scheduler_has_demand(const struct sluiced_scheduler *s);

/* Whether demand was dropped for want of room; once. Ask the kernel again then. */
bool sluiced_scheduler_lost_demand(struct sluiced_scheduler *s);

/* When something that failed may be tried again; UINT64_MAX: nothing waits. */
uint64_t sluiced_scheduler_wake_at(const struct sluiced_scheduler *s, uint64_t now);

/* Blocks behind the image that the pass over them is yet to look at. */
uint64_t sluiced_scheduler_behind(const struct sluiced_scheduler *s);

/* Whether every block of the namespace is resident and nothing is on its way. */
bool sluiced_scheduler_finished(struct sluiced_scheduler *s);

#endif /* SLUICED_SCHEDULER_H */
