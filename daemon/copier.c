// SPDX-License-Identifier: GPL-2.0-or-later
#include "copier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A read of a target that is gone fails at once: trying costs nothing. */
#define PROBE_MS	100
#define PROBE_MAX_MS	1000

/* Reads in a row that fail before the source and not a place on it is suspected. */
#define DOWN_AFTER	3

static void timer_fired(struct sluiced_timer *timer);

int sluiced_copier_init(struct sluiced_copier *c, struct sluiced_loop *loop,
			struct sluiced_device *dev, const struct sluice_module *module,
			uint64_t min_rate, uint64_t max_rate,
			const struct sluiced_copier_ops *ops, void *ctx)
{
	uint64_t image_bytes = dev->att.image.bytes;
	uint32_t pool_blocks = dev->att.pool_blocks;
	struct sluiced_geometry geo = {
		.image_blocks = sluiced_image_blocks(image_bytes),
		.total_blocks = dev->blocks,
		.max_fetch_blocks = module->max_commit_blocks,
		.max_zero_blocks = module->max_zero_blocks,
	};
	size_t i;
	int err;

	*c = (struct sluiced_copier){
		.loop = loop, .dev = dev, .ops = ops, .ctx = ctx, .image_bytes = image_bytes,
	};
	/* A pool must hold several of the largest fetches, or demand would starve. */
	if (geo.max_fetch_blocks > pool_blocks / 4)
		geo.max_fetch_blocks = pool_blocks / 4;
	err = sluiced_pool_init(&c->pool, pool_blocks);
	if (err)
		return err;
	err = sluiced_scheduler_init(&c->scheduler, &geo, sluiced_device_missing, dev);
	if (err)
		goto err_pool_exit;
	sluiced_holes_init(&c->holes, image_bytes);
	c->transfers = calloc(SLUICED_MAX_TRANSFERS, sizeof(*c->transfers));
	if (!c->transfers) {
		err = -ENOMEM;
		goto err_scheduler_exit;
	}
	for (i = 0; i < SLUICED_MAX_TRANSFERS; i++) {
		c->transfers[i].copier = c;
		c->transfers[i].next = c->free;
		c->free = &c->transfers[i];
	}
	sluiced_throttle_init(&c->throttle, min_rate, max_rate, sluiced_now_ms());
	c->timer.fire = timer_fired;
	return 0;

err_scheduler_exit:
	sluiced_scheduler_exit(&c->scheduler);
err_pool_exit:
	sluiced_pool_exit(&c->pool);
	return err;
}

void sluiced_copier_exit(struct sluiced_copier *c)
{
	sluiced_timer_stop(&c->timer);
	free(c->transfers);
	sluiced_scheduler_exit(&c->scheduler);
	sluiced_pool_exit(&c->pool);
}

static void source_ok(struct sluiced_copier *c)
{
	c->failures = 0;
	if (!c->down)
		return;
	c->down = false;
	c->down_tries = 0;
	sluiced_scheduler_retry_now(&c->scheduler);
	c->ops->source_works(c->ctx);
}

static void source_error(struct sluiced_copier *c, int err)
{
	uint64_t pause = c->down_tries < 6 ? PROBE_MS << c->down_tries : PROBE_MAX_MS;
	uint64_t now = sluiced_now_ms();

	c->failures++;
	if (c->failures < DOWN_AFTER && !c->down &&
	    sluiced_source_classify(err) == SLUICED_SOURCE_RETRY &&
	    !c->source->ops->lost(c->source))
		return;
	/* Reads that were under way together fail together: that is one try. */
	if (!c->down || now >= c->probe_at) {
		c->down_tries++;
		c->probe_at = now + (pause < PROBE_MAX_MS ? pause : PROBE_MAX_MS);
	}
	c->down = true;
	c->ops->source_failed(c->ctx, err);
}

static void end_transfer(struct sluiced_transfer *t, bool failed)
{
	struct sluiced_copier *c = t->copier;

	sluiced_scheduler_done(&c->scheduler, &t->fetch, failed, sluiced_now_ms());
	if (!t->fetch.zero)
		sluiced_pool_free(&c->pool, t->pool_block, t->fetch.blocks);
	if (t->profile)
		c->profile_in_flight -= t->fetch.blocks;
	else if (t->background && t->fetch.zero)
		c->zeroes_in_flight--;
	else if (t->background)
		c->background_in_flight--;
	t->next = c->free;
	c->free = t;
	c->in_flight--;
}

static void go_on(struct sluiced_copier *c)
{
	if (!c->stopped)
		sluiced_copier_pump_soon(c);
	else if (!c->in_flight)
		c->ops->idle(c->ctx);
}

static void commit_done(struct sluiced_commit *commit, int32_t res)
{
	struct sluiced_transfer *t = container_of(commit, struct sluiced_transfer, commit);
	struct sluiced_copier *c = t->copier;

	if (res > 0 && t->fetch.zero)
		c->zero_bytes += (uint64_t)res * SLUICE_BLOCK_SIZE;
	if (res > 0 && t->fetch.zero && t->fetch.block < c->scheduler.geo.image_blocks)
		c->skipped_bytes += (uint64_t)res * SLUICE_BLOCK_SIZE;
	if (res >= 0 && t->demand && !t->fetch.zero) {
		uint64_t us = sluiced_now_us() - t->started_us;

		sluiced_throttle_waited(&c->throttle, t->fetch.blocks, us);
		sluiced_histogram_note(&c->misses, us);
	}
	if (res >= 0 && t->background && !t->fetch.zero && t->sources == c->sources) {
		uint64_t now = sluiced_now_us();

		sluiced_chunk_done(&c->chunk, (uint64_t)t->fetch.blocks * SLUICE_BLOCK_SIZE,
				   now - t->started_us, t->alone, now);
	}
	/* Who waited for what cannot be kept has it: it is not to be fetched for him again. */
	end_transfer(t, res < 0 && res != -EROFS);
	if (res < 0)
		c->ops->commit_failed(c->ctx, res);
	else if (c->local_failing)
		c->ops->commit_works(c->ctx);
	c->local_failing = res < 0;
	go_on(c);
}

static void start_commit(struct sluiced_transfer *t)
{
	struct sluiced_copier *c = t->copier;

	t->fetch.committing = true;
	t->commit.done = commit_done;
	sluiced_device_commit(c->dev, &t->commit, t->fetch.block, t->fetch.blocks,
			      t->pool_block, t->fetch.zero);
}

static void read_done(struct sluiced_read *read, int err)
{
	struct sluiced_transfer *t = container_of(read, struct sluiced_transfer, read);
	struct sluiced_copier *c = t->copier;
	uint8_t *buf = sluiced_device_buffer(c->dev, t->pool_block);

	/* A source that was replaced says nothing about the one there is now. */
	bool current = read->source == c->source;

	if (err || c->poisoned) {
		end_transfer(t, true);
		if (err && current && !c->poisoned)
			source_error(c, err);
		return go_on(c);
	}
	c->fetched_bytes += t->bytes;
	if (t->fetch.kind == SLUICED_DEMAND)
		c->demand_bytes += t->bytes;
	else if (t->profile)
		c->profile_bytes += t->bytes;
	memset(buf + t->bytes, 0, (size_t)t->fetch.blocks * SLUICE_BLOCK_SIZE - t->bytes);
	start_commit(t);
	if (current)
		source_ok(c);
}

static void start_read(struct sluiced_transfer *t)
{
	struct sluiced_copier *c = t->copier;
	uint64_t offset = t->fetch.block * SLUICE_BLOCK_SIZE;
	uint64_t left = c->image_bytes - offset;

	t->bytes = (uint64_t)t->fetch.blocks * SLUICE_BLOCK_SIZE < left ?
			   t->fetch.blocks * SLUICE_BLOCK_SIZE : left;
	t->started_us = sluiced_now_us();
	t->sources = c->sources;
	if (t->profile)
		sluiced_throttle_profile_spend(&c->throttle, t->bytes);
	else if (t->background)
		sluiced_throttle_spend(&c->throttle, t->bytes);
	sluiced_source_read(c->source, &t->read, sluiced_device_buffer(c->dev, t->pool_block),
			    t->bytes, offset, read_done);
}

/* False when the pool has no room; nothing has changed then. */
static bool start(struct sluiced_copier *c, struct sluiced_transfer *t)
{
	int64_t block;

	t->background = t->fetch.kind == SLUICED_BACKGROUND;
	t->profile = t->fetch.kind == SLUICED_PROFILE;
	t->demand = t->fetch.kind == SLUICED_DEMAND;
	t->alone = !c->background_in_flight;
	t->pool_block = 0;
	if (!t->fetch.zero) {
		block = sluiced_pool_alloc(&c->pool, t->fetch.blocks,
					   !t->background && !t->profile);
		if (block < 0)
			return false;
		t->pool_block = block;
	}
	c->free = t->next;
	c->in_flight++;
	if (t->profile)
		c->profile_in_flight += t->fetch.blocks;
	else if (t->background && t->fetch.zero)
		c->zeroes_in_flight++;
	else if (t->background)
		c->background_in_flight++;
	if (t->fetch.zero)
		start_commit(t);
	else
		start_read(t);
	return true;
}

static uint32_t chunk_blocks(const struct sluiced_copier *c, uint64_t now)
{
	bool waits = sluiced_scheduler_has_demand(&c->scheduler);
	uint32_t max = sluiced_throttle_chunk_blocks(&c->throttle, now, waits);

	if (!waits && sluiced_throttle_pressure(&c->throttle, now) != SLUICED_MISSES)
		return max;
	return sluiced_chunk_blocks(&c->chunk, max, c->throttle.min_rate);
}

/* What was asked for as the least is not given way with: on a long way it takes several. */
static unsigned int depth(const struct sluiced_copier *c, uint64_t now, uint32_t chunk)
{
	bool waits = sluiced_scheduler_has_demand(&c->scheduler);
	unsigned int borne = sluiced_throttle_depth(&c->throttle, now, waits);
	unsigned int least = sluiced_chunk_depth(&c->chunk, chunk, c->throttle.min_rate);

	return borne > least ? borne : least;
}

static bool may_copy(struct sluiced_copier *c, uint64_t now, uint32_t chunk)
{
	if (c->paused)
		return false;
	if (c->down)
		return !c->background_in_flight && now >= c->probe_at;
	return c->background_in_flight < depth(c, now, chunk) &&
	       sluiced_throttle_ready(&c->throttle, now);
}

static uint32_t may_prefetch(struct sluiced_copier *c, uint64_t now)
{
	uint32_t depth = sluiced_throttle_profile_depth(&c->throttle, now);
	uint32_t blocks = sluiced_throttle_profile_blocks(&c->throttle, now);

	if (c->paused || c->down || c->profile_in_flight >= depth ||
	    !sluiced_scheduler_in_profile(&c->scheduler) ||
	    !sluiced_throttle_profile_ready(&c->throttle, now))
		return 0;
	depth -= c->profile_in_flight;
	return blocks < depth ? blocks : depth;
}

static void surveyed(struct sluiced_survey *survey, int err)
{
	/* An answer is what is known of the image, and the copier's that asked. */
	struct sluiced_copier *c = survey->ctx;

	c->in_flight--;
	sluiced_holes_answered(&c->holes, survey, err, sluiced_now_ms());
	go_on(c);
}

static void survey(struct sluiced_copier *c, uint64_t now)
{
	struct sluiced_survey *next;
	uint64_t offset, len;

	if (!c->source)
		return;
	next = sluiced_holes_ask(&c->holes, now, &offset, &len);
	if (!next)
		return;
	c->in_flight++;
	next->ctx = c;
	sluiced_source_survey(c->source, next, offset, len, surveyed);
}

static void arm_timer(struct sluiced_copier *c, uint64_t now)
{
	uint64_t at = sluiced_scheduler_wake_at(&c->scheduler, now);
	uint64_t other = sluiced_throttle_wake_at(&c->throttle, now);

	/* A try that is due and was not made waits for something else than time. */
	if (c->down)
		other = c->probe_at > now ? c->probe_at : UINT64_MAX;
	if (!c->paused && other < at)
		at = other;
	other = sluiced_holes_wake_at(&c->holes, now);
	if (c->source && other < at)
		at = other;
	if (at == UINT64_MAX)
		sluiced_timer_stop(&c->timer);
	else
		sluiced_timer_start(c->loop, &c->timer, at > now ? at - now : 1);
}

void sluiced_copier_pump(struct sluiced_copier *c)
{
	struct sluiced_allowance allow;
	struct sluiced_transfer *t;
	uint64_t now = sluiced_now_ms();

	if (c->stopped || c->pumping)
		return;
	c->pumping = true;
	while ((t = c->free)) {
		allow.source = c->source;
		allow.only_demand = c->recording || c->serving;
		allow.profile_blocks = may_prefetch(c, now);
		/* A read of the copy is what finds out that the source is back. */
		allow.profile_first = !c->down;
		allow.chunk_blocks = chunk_blocks(c, now);
		allow.background = may_copy(c, now, allow.chunk_blocks);
		allow.zero = !c->paused &&
			     c->zeroes_in_flight < sluiced_throttle_zero_depth(&c->throttle, now);
		if (!sluiced_scheduler_next(&c->scheduler, now, &allow, &t->fetch))
			break;
		if (!start(c, t)) {
			/* Nothing else either: it would take what this one waits for. */
			sluiced_scheduler_put_back(&c->scheduler, &t->fetch);
			break;
		}
	}
	survey(c, now);
	c->pumping = false;
	arm_timer(c, now);
	if (sluiced_scheduler_lost_demand(&c->scheduler))
		sluiced_device_offer(c->dev);
	if (!c->in_flight && sluiced_scheduler_finished(&c->scheduler))
		c->ops->finished(c->ctx);
}

void sluiced_copier_pump_soon(struct sluiced_copier *c)
{
	if (!c->stopped && !c->pumping)
		sluiced_timer_start(c->loop, &c->timer, 0);
}

static void timer_fired(struct sluiced_timer *timer)
{
	sluiced_copier_pump(container_of(timer, struct sluiced_copier, timer));
}

void sluiced_copier_set_source(struct sluiced_copier *c, struct sluiced_source *source)
{
	c->source = source;
	sluiced_holes_source(&c->holes, source && source->surveys);
	/* Not before: to look for zeroes that nobody knows of costs each pump a search. */
	if (source && source->surveys)
		sluiced_scheduler_set_content(&c->scheduler, sluiced_holes_content, &c->holes);
	if (!source)
		return;
	c->down = false;
	c->down_tries = 0;
	c->failures = 0;
	c->sources++;
	sluiced_chunk_reset(&c->chunk, sluiced_now_us());
	sluiced_scheduler_retry_now(&c->scheduler);
	sluiced_copier_pump(c);
}

void sluiced_copier_pause(struct sluiced_copier *c, bool paused)
{
	c->paused = paused;
	sluiced_copier_pump(c);
}

void sluiced_copier_record(struct sluiced_copier *c, bool recording)
{
	c->recording = recording;
	sluiced_copier_pump(c);
}

void sluiced_copier_serve_only(struct sluiced_copier *c)
{
	c->serving = true;
}

void sluiced_copier_demand(struct sluiced_copier *c, const struct sluice_wanted *wanted)
{
	if (c->stopped)
		return;
	sluiced_throttle_miss(&c->throttle, sluiced_now_ms());
	sluiced_scheduler_demand(&c->scheduler, wanted->block, wanted->blocks, wanted->write);
}

uint64_t sluiced_copier_waiting_ms(const struct sluiced_copier *c)
{
	uint64_t now = sluiced_now_us(), longest = 0;
	const struct sluiced_fetch *fetch;

	for (fetch = c->scheduler.in_flight; fetch; fetch = fetch->next) {
		const struct sluiced_transfer *t =
			container_of(fetch, struct sluiced_transfer, fetch);

		if (fetch->kind == SLUICED_DEMAND && !fetch->zero && !fetch->committing &&
		    now - t->started_us > longest)
			longest = now - t->started_us;
	}
	return longest / 1000;
}

void sluiced_copier_stop(struct sluiced_copier *c, bool poison)
{
	c->poisoned |= poison;
	c->stopped = true;
	sluiced_timer_stop(&c->timer);
}
