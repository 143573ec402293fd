// SPDX-License-Identifier: GPL-2.0-or-later
#include "scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "minmax.h"

/*
 * 256 KiB: what one region of the kernel's map asks for at most. A larger demand
 * goes out as several reads side by side, so its first part is there early.
 */
#define DEMAND_BLOCKS		64

#define BACKOFF_MS		100
#define BACKOFF_MAX_MS		5000

static uint64_t backoff(unsigned int attempts)
{
	return attempts < 6 ? sluiced_min64((uint64_t)BACKOFF_MS << attempts, BACKOFF_MAX_MS) :
			      BACKOFF_MAX_MS;
}

int sluiced_scheduler_init(struct sluiced_scheduler *s, const struct sluiced_geometry *geo,
			   sluiced_missing_t missing, void *ctx)
{
	size_t i;

	memset(s, 0, sizeof(*s));
	if (!geo->total_blocks || geo->image_blocks > geo->total_blocks ||
	    !geo->max_fetch_blocks || !geo->max_zero_blocks)
		return -EINVAL;
	s->geo = *geo;
	s->missing = missing;
	s->ctx = ctx;
	s->slab = calloc(SLUICED_MAX_WANTED, sizeof(*s->slab));
	if (!s->slab)
		return -ENOMEM;
	for (i = 0; i < SLUICED_MAX_WANTED; i++) {
		s->slab[i].next = s->free;
		s->free = &s->slab[i];
	}
	s->wanted_tail = &s->wanted;
	s->zero_cursor = geo->image_blocks;
	sluiced_readahead_init(&s->readahead, geo->image_blocks);
	return 0;
}

void sluiced_scheduler_exit(struct sluiced_scheduler *s)
{
	free(s->slab);
	memset(s, 0, sizeof(*s));
}

void sluiced_scheduler_set_content(struct sluiced_scheduler *s, sluiced_content_t content,
				   void *ctx)
{
	s->content = content;
	s->content_ctx = ctx;
}

static enum sluiced_content content_of(struct sluiced_scheduler *s, uint64_t block,
				       uint32_t *blocks, bool ask)
{
	if (block >= s->geo.image_blocks)
		return SLUICED_ZERO;
	return s->content ? s->content(s->content_ctx, block, blocks, ask) :
			    SLUICED_DATA;
}

static uint64_t end_of(const struct sluiced_fetch *fetch)
{
	return fetch->block + fetch->blocks;
}

/* Whether waiting for @fetch is as good as a read of one's own. */
static bool serves_demand(const struct sluiced_fetch *fetch)
{
	return fetch->kind != SLUICED_BACKGROUND || fetch->committing;
}

static void link_fetch(struct sluiced_scheduler *s, struct sluiced_fetch *fetch)
{
	fetch->next = s->in_flight;
	fetch->prev = &s->in_flight;
	if (fetch->next)
		fetch->next->prev = &fetch->next;
	s->in_flight = fetch;
	s->in_flight_count++;
	if (fetch->kind == SLUICED_DEMAND)
		s->demand_in_flight++;
}

static void unlink_fetch(struct sluiced_scheduler *s, struct sluiced_fetch *fetch)
{
	*fetch->prev = fetch->next;
	if (fetch->next)
		fetch->next->prev = fetch->prev;
	s->in_flight_count--;
	if (fetch->kind == SLUICED_DEMAND)
		s->demand_in_flight--;
}

/* From now on the host waits for it: a failure is retried like any demand. */
static void promote(struct sluiced_scheduler *s, struct sluiced_fetch *fetch)
{
	if (fetch->kind == SLUICED_DEMAND)
		return;
	fetch->kind = SLUICED_DEMAND;
	s->demand_in_flight++;
}

static struct sluiced_wanted *new_wanted(struct sluiced_scheduler *s, uint64_t block,
					 uint32_t blocks)
{
	struct sluiced_wanted *w = s->free;

	if (!w) {
		s->lost = true;
		return NULL;
	}
	s->free = w->next;
	*w = (struct sluiced_wanted){ .block = block, .blocks = blocks };
	s->wanted_count++;
	return w;
}

static void append_wanted(struct sluiced_scheduler *s, struct sluiced_wanted *w)
{
	w->next = NULL;
	*s->wanted_tail = w;
	s->wanted_tail = &w->next;
}

static void remove_wanted(struct sluiced_scheduler *s, struct sluiced_wanted **at)
{
	struct sluiced_wanted *w = *at;

	*at = w->next;
	if (s->wanted_tail == &w->next)
		s->wanted_tail = at;
	w->next = s->free;
	s->free = w;
	s->wanted_count--;
}

static void want(struct sluiced_scheduler *s, uint64_t block, uint32_t blocks)
{
	struct sluiced_wanted *w;

	/* What waits for its retry does not count: the host asks anew, now. */
	for (w = s->wanted; w; w = w->next)
		if (!w->not_before && w->block <= block &&
		    block + blocks <= w->block + w->blocks)
			return;
	w = new_wanted(s, block, blocks);
	if (w)
		append_wanted(s, w);
}

/* For read-ahead: what is on its way is no gap, in whatever kind of fetch. */
static bool covered(void *ctx, uint64_t from, uint64_t end)
{
	struct sluiced_scheduler *s = ctx;
	const struct sluiced_fetch *fetch;

	while (s->missing(s->ctx, from, end, 1, &from)) {
		for (fetch = s->in_flight; fetch; fetch = fetch->next)
			if (fetch->block <= from && from < end_of(fetch))
				break;
		if (!fetch)
			return false;
		from = end_of(fetch);
	}
	return true;
}

void sluiced_scheduler_demand(struct sluiced_scheduler *s, uint64_t block, uint32_t blocks,
			      bool write)
{
	uint64_t end = block + blocks;
	uint64_t image_end = sluiced_min64(end, s->geo.image_blocks);

	if (block < image_end) {
		want(s, block, image_end - block);
		if (!write)
			sluiced_readahead_miss(&s->readahead, block, image_end, covered, s);
		block = image_end;
	}
	if (block < end)
		want(s, block, end - block);
}

/*
 * Finds what of @w is missing and not yet on its way to the host. Advances @w
 * past what needs nothing; false when that is all of it.
 */
static bool first_needed(struct sluiced_scheduler *s, struct sluiced_wanted *w, uint32_t max,
			 uint64_t *start, uint32_t *blocks)
{
	uint64_t end = w->block + w->blocks, from = w->block, run_end;
	struct sluiced_fetch *fetch, *cover;
	uint32_t n;

	while (from < end) {
		n = s->missing(s->ctx, from, end, max, start);
		if (!n)
			return false;
		run_end = *start + n;
		cover = NULL;
		for (fetch = s->in_flight; fetch; fetch = fetch->next) {
			if (!serves_demand(fetch) || end_of(fetch) <= *start ||
			    fetch->block >= run_end)
				continue;
			if (fetch->block <= *start)
				cover = fetch;
			else
				run_end = fetch->block;
		}
		if (!cover) {
			w->block = *start;
			w->blocks = end - *start;
			*blocks = run_end - *start;
			return true;
		}
		promote(s, cover);
		from = end_of(cover);
	}
	return false;
}

static void take(struct sluiced_scheduler *s, struct sluiced_fetch *fetch,
		 enum sluiced_fetch_kind kind, uint64_t block, uint32_t blocks, bool zero,
		 unsigned int attempts)
{
	*fetch = (struct sluiced_fetch){
		.block = block,
		.blocks = blocks,
		.kind = kind,
		.zero = zero,
		.attempts = attempts,
	};
	link_fetch(s, fetch);
}

static bool next_demand(struct sluiced_scheduler *s, uint64_t now, bool source,
			struct sluiced_fetch *fetch)
{
	uint32_t data_max = DEMAND_BLOCKS < s->geo.max_fetch_blocks ? DEMAND_BLOCKS :
								     s->geo.max_fetch_blocks;
	struct sluiced_wanted **at = &s->wanted, *w;
	uint64_t start;
	uint32_t blocks;

	while ((w = *at)) {
		bool behind = w->block >= s->geo.image_blocks, zero;

		if (w->not_before > now || (!behind && !source)) {
			at = &w->next;
			continue;
		}
		if (!first_needed(s, w, behind ? s->geo.max_zero_blocks : data_max, &start,
				  &blocks)) {
			remove_wanted(s, at);
			continue;
		}
		/* Who waits does not wait for an answer: what is unknown is read. */
		zero = content_of(s, start, &blocks, false) == SLUICED_ZERO;
		take(s, fetch, SLUICED_DEMAND, start, blocks, zero, w->attempts);
		w->block += blocks;
		w->blocks -= blocks;
		if (!w->blocks)
			remove_wanted(s, at);
		return true;
	}
	return false;
}

/*
 * What keeps background off @start: the end of an extent on its way or waiting
 * for its retry. 0 when it is free, with *@blocks cut where such an extent begins
 * and *@attempts those of an earlier failure.
 */
static uint64_t obstacle(struct sluiced_scheduler *s, uint64_t now, uint64_t start,
			 uint32_t *blocks, unsigned int *attempts)
{
	const struct sluiced_failed *failed;
	const struct sluiced_fetch *fetch;
	uint64_t end = start + *blocks;

	for (fetch = s->in_flight; fetch; fetch = fetch->next) {
		if (end_of(fetch) <= start || fetch->block >= end)
			continue;
		if (fetch->block <= start)
			return end_of(fetch);
		end = fetch->block;
	}
	*attempts = 0;
	for (failed = s->failed; failed < s->failed + s->failed_count; failed++) {
		uint64_t failed_end = failed->block + failed->blocks;

		if (failed_end <= start || failed->block >= end)
			continue;
		if (failed->not_before > now) {
			if (failed->block <= start)
				return failed_end;
			end = failed->block;
		} else if (failed->block <= start && failed->attempts > *attempts) {
			*attempts = failed->attempts;
		}
	}
	*blocks = end - start;
	return 0;
}

/*
 * Takes the first missing blocks of [start, end) that nothing is in the way of, at most
 * @max. Returns where to go on, also when there is something in the way: *@fetch is
 * empty then.
 */
static uint64_t take_first(struct sluiced_scheduler *s, uint64_t now,
			   enum sluiced_fetch_kind kind, uint64_t start, uint64_t end,
			   uint32_t max, struct sluiced_fetch *fetch)
{
	uint32_t blocks = s->missing(s->ctx, start, end, max, &start);
	unsigned int attempts;
	uint64_t skip;
	bool zero;

	if (!blocks)
		return end;
	skip = obstacle(s, now, start, &blocks, &attempts);
	if (skip)
		return skip;
	zero = content_of(s, start, &blocks, false) == SLUICED_ZERO;
	take(s, fetch, kind, start, blocks, zero, attempts);
	return start + blocks;
}

static bool next_readahead(struct sluiced_scheduler *s, uint64_t now,
			   struct sluiced_fetch *fetch)
{
	uint32_t max = DEMAND_BLOCKS < s->geo.max_fetch_blocks ? DEMAND_BLOCKS :
								s->geo.max_fetch_blocks;
	const struct sluiced_ahead *ahead;
	uint64_t skip;

	while ((ahead = sluiced_readahead_first(&s->readahead))) {
		skip = take_first(s, now, SLUICED_READAHEAD, ahead->block,
				  ahead->block + ahead->blocks, max, fetch);
		fetch->stream = ahead->stream;
		sluiced_readahead_advance(&s->readahead, skip);
		if (fetch->blocks)
			return true;
	}
	return false;
}

void sluiced_scheduler_set_profile(struct sluiced_scheduler *s,
				   const struct sluice_extent *extents, size_t count)
{
	s->profile = extents;
	s->profile_count = count;
	s->profile_at = 0;
	s->profile_done = 0;
}

bool sluiced_scheduler_in_profile(const struct sluiced_scheduler *s)
{
	return s->profile_at < s->profile_count;
}

/* What fails, or waits for its retry, is left to the copy of the rest. */
static bool next_profile(struct sluiced_scheduler *s, uint64_t now, uint32_t max,
			 struct sluiced_fetch *fetch)
{
	const struct sluice_extent *extent;
	uint64_t start, end, skip;

	for (; s->profile_at < s->profile_count; s->profile_at++, s->profile_done = 0) {
		extent = &s->profile[s->profile_at];
		end = sluiced_min64(extent->block + extent->blocks, s->geo.image_blocks);
		while ((start = extent->block + s->profile_done) < end) {
			skip = take_first(s, now, SLUICED_PROFILE, start, end, max, fetch);
			s->profile_done = skip - extent->block;
			if (fetch->blocks)
				return true;
		}
	}
	return false;
}

/* The longest run of missing blocks from @from on that one fetch can be of. */
static uint32_t next_run(struct sluiced_scheduler *s, uint64_t from, uint64_t end,
			 uint32_t chunk, uint64_t *start, enum sluiced_content *content)
{
	uint32_t max = s->geo.max_zero_blocks, blocks;

	if (!s->missing(s->ctx, from, end, 1, start))
		return 0;
	*content = content_of(s, *start, &max, true);
	if (*content == SLUICED_DATA && max > chunk)
		max = chunk;
	blocks = s->missing(s->ctx, *start, end, max, start);
	/* Chunks are aligned, so that passes after a restart match. */
	max = *content == SLUICED_DATA ? chunk : s->geo.max_zero_blocks;
	return blocks < max - *start % max ? blocks : max - *start % max;
}

static bool scan(struct sluiced_scheduler *s, uint64_t now, uint64_t from, uint64_t end,
		 const struct sluiced_allowance *allow, uint32_t chunk,
		 struct sluiced_fetch *fetch)
{
	enum sluiced_content content;
	unsigned int attempts;
	uint64_t start, skip;
	uint32_t blocks;

	while (from < end) {
		blocks = next_run(s, from, end, chunk, &start, &content);
		if (!blocks)
			return false;
		skip = obstacle(s, now, start, &blocks, &attempts);
		if (skip) {
			from = skip;
			continue;
		}
		/* Nothing is skipped for want of leave: the order is that of the image. */
		if (content == SLUICED_UNKNOWN ||
		    !(content == SLUICED_ZERO ? allow->zero : allow->background && chunk))
			return false;
		take(s, fetch, SLUICED_BACKGROUND, start, blocks, content == SLUICED_ZERO,
		     attempts);
		return true;
	}
	return false;
}

/* One step of the pass over [low, high) at *@cursor, which wraps around. */
static bool next_background(struct sluiced_scheduler *s, uint64_t now, uint64_t *cursor,
			    uint64_t low, uint64_t high,
			    const struct sluiced_allowance *allow, uint32_t chunk,
			    struct sluiced_fetch *fetch)
{
	uint64_t first;

	if (s->background_not_before > now || low >= high)
		return false;
	if (!scan(s, now, *cursor, high, allow, chunk, fetch)) {
		/* All bits below a missing one stay set: no pass looks there again. */
		if (low <= s->floor && s->floor < high &&
		    s->missing(s->ctx, s->floor, high, 1, &first))
			s->floor = first;
		else if (low <= s->floor && s->floor < high)
			s->floor = high;
		if (!scan(s, now, s->floor > low ? s->floor : low, sluiced_min64(*cursor, high), allow,
			  chunk, fetch))
			return false;
	}
	*cursor = end_of(fetch);
	return true;
}

bool sluiced_scheduler_next(struct sluiced_scheduler *s, uint64_t now,
			    const struct sluiced_allowance *allow, struct sluiced_fetch *fetch)
{
	uint32_t chunk = allow->chunk_blocks < s->geo.max_fetch_blocks ?
				 allow->chunk_blocks : s->geo.max_fetch_blocks;
	uint32_t profile;

	*fetch = (struct sluiced_fetch){ 0 };
	if (next_demand(s, now, allow->source, fetch))
		return true;
	if (allow->only_demand)
		return false;
	if (allow->source && next_readahead(s, now, fetch))
		return true;
	profile = sluiced_min64(allow->profile_blocks, s->geo.max_fetch_blocks);
	if (allow->source && profile && next_profile(s, now, profile, fetch))
		return true;
	if (allow->source && chunk && !(allow->profile_first && sluiced_scheduler_in_profile(s)) &&
	    (allow->background || (s->content && allow->zero)) &&
	    next_background(s, now, &s->image_cursor, 0, s->geo.image_blocks, allow, chunk,
			    fetch))
		return true;
	return allow->zero &&
	       next_background(s, now, &s->zero_cursor, s->geo.image_blocks,
			       s->geo.total_blocks, allow, chunk, fetch);
}

void sluiced_scheduler_put_back(struct sluiced_scheduler *s, struct sluiced_fetch *fetch)
{
	struct sluiced_wanted *w;

	unlink_fetch(s, fetch);
	switch (fetch->kind) {
	case SLUICED_DEMAND:
		w = new_wanted(s, fetch->block, fetch->blocks);
		if (!w)
			break;
		w->attempts = fetch->attempts;
		w->next = s->wanted;
		s->wanted = w;
		if (!w->next)
			s->wanted_tail = &w->next;
		break;
	case SLUICED_READAHEAD:
		break;
	case SLUICED_PROFILE:
		s->profile_done = fetch->block - s->profile[s->profile_at].block;
		break;
	case SLUICED_BACKGROUND:
		if (fetch->block >= s->geo.image_blocks)
			s->zero_cursor = fetch->block;
		else
			s->image_cursor = fetch->block;
		break;
	}
}

static bool overlaps(const struct sluiced_failed *failed, const struct sluiced_fetch *fetch)
{
	return failed->block < end_of(fetch) && fetch->block < failed->block + failed->blocks;
}

static void forget_failed(struct sluiced_scheduler *s, const struct sluiced_fetch *fetch)
{
	unsigned int i = 0;

	while (i < s->failed_count) {
		if (overlaps(&s->failed[i], fetch))
			s->failed[i] = s->failed[--s->failed_count];
		else
			i++;
	}
}

void sluiced_scheduler_done(struct sluiced_scheduler *s, struct sluiced_fetch *fetch,
			    bool failed, uint64_t now)
{
	uint64_t not_before = now + backoff(fetch->attempts);
	struct sluiced_wanted *w;

	unlink_fetch(s, fetch);
	forget_failed(s, fetch);
	if (!failed && fetch->kind == SLUICED_READAHEAD)
		sluiced_readahead_arrived(&s->readahead, fetch->stream, fetch->block,
					  fetch->blocks);
	if (!failed)
		return;
	if (fetch->kind == SLUICED_DEMAND) {
		w = new_wanted(s, fetch->block, fetch->blocks);
		if (w) {
			w->attempts = fetch->attempts + 1;
			w->not_before = not_before;
			append_wanted(s, w);
		}
	}
	/* Also for failed demand: background would only meet the same error. */
	if (s->failed_count == SLUICED_MAX_FAILED) {
		s->background_not_before = not_before;
		return;
	}
	s->failed[s->failed_count++] = (struct sluiced_failed){
		.block = fetch->block,
		.blocks = fetch->blocks,
		.attempts = fetch->attempts + 1,
		.not_before = not_before,
	};
}

void sluiced_scheduler_retry_now(struct sluiced_scheduler *s)
{
	struct sluiced_wanted *w;

	for (w = s->wanted; w; w = w->next) {
		w->not_before = 0;
		w->attempts = 0;
	}
	s->failed_count = 0;
	s->background_not_before = 0;
}

void sluiced_scheduler_forget_demand(struct sluiced_scheduler *s)
{
	while (s->wanted)
		remove_wanted(s, &s->wanted);
	s->lost = false;
}

bool sluiced_scheduler_has_demand(const struct sluiced_scheduler *s)
{
	return s->wanted || s->demand_in_flight;
}

bool sluiced_scheduler_lost_demand(struct sluiced_scheduler *s)
{
	bool lost = s->lost && s->wanted_count < SLUICED_MAX_WANTED / 2;

	if (lost)
		s->lost = false;
	return lost;
}

uint64_t sluiced_scheduler_wake_at(const struct sluiced_scheduler *s, uint64_t now)
{
	const struct sluiced_wanted *w;
	uint64_t at = UINT64_MAX;
	unsigned int i;

	for (w = s->wanted; w; w = w->next)
		if (w->not_before > now)
			at = sluiced_min64(at, w->not_before);
	for (i = 0; i < s->failed_count; i++)
		if (s->failed[i].not_before > now)
			at = sluiced_min64(at, s->failed[i].not_before);
	if (s->background_not_before > now)
		at = sluiced_min64(at, s->background_not_before);
	return at;
}

uint64_t sluiced_scheduler_behind(const struct sluiced_scheduler *s)
{
	return s->geo.total_blocks - s->zero_cursor;
}

bool sluiced_scheduler_finished(struct sluiced_scheduler *s)
{
	uint64_t first;

	if (s->in_flight_count)
		return false;
	if (s->missing(s->ctx, s->floor, s->geo.total_blocks, 1, &first)) {
		s->floor = first;
		return false;
	}
	s->floor = s->geo.total_blocks;
	return true;
}
