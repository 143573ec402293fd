// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parts: pieces of host requests that found blocks missing. A part waits in its
 * region's bucket until the map lets it go on; then it reads, or claims and
 * writes, and ends its piece of the host's bio.
 *
 * The local write of a part goes through a clone rather than the host's bio
 * with its completion replaced: the last piece of a split bio completes only
 * after all others have, and a claim held that long could wait for a part that
 * waits for the claim.
 */
#include <linux/slab.h>

#include "sluice.h"
#include "trace.h"

static struct kmem_cache *part_cache;

int sluice_park_init(void)
{
	part_cache = KMEM_CACHE(sluice_part, 0);
	return part_cache ? 0 : -ENOMEM;
}

void sluice_park_exit(void)
{
	kmem_cache_destroy(part_cache);
}

static void kick_work(struct work_struct *work);
static void deadline_work(struct work_struct *work);

int sluice_park_init_device(struct sluice_device *dev)
{
	int err, i;

	INIT_LIST_HEAD(&dev->kicked);
	bio_list_init(&dev->deferred);
	bio_list_init(&dev->deferred_local);
	init_waitqueue_head(&dev->parts_wait);
	INIT_WORK(&dev->kick_work, kick_work);
	INIT_WORK(&dev->defer_work, sluice_defer_work);
	INIT_WORK(&dev->defer_local_work, sluice_defer_local_work);
	INIT_DELAYED_WORK(&dev->deadline_work, deadline_work);
	for (i = 0; i < 2; i++) {
		/* 64: one region's worth of single blocks goes on without the slab. */
		err = mempool_init_slab_pool(&dev->part_pool[i], 64, part_cache);
		if (!err)
			err = bioset_init(&dev->split_set[i], 64, 0, 0);
		if (err) {
			sluice_park_exit_device(dev);
			return err;
		}
	}
	return 0;
}

void sluice_park_exit_device(struct sluice_device *dev)
{
	int i;

	/* Of what was never made, nothing: the device was zeroed. */
	for (i = 0; i < 2; i++) {
		bioset_exit(&dev->split_set[i]);
		mempool_exit(&dev->part_pool[i]);
	}
}

static u64 partial_blocks(const struct sluice_device *dev, const struct bio *bio, u64 region)
{
	sector_t first = bio->bi_iter.bi_sector, end = bio_end_sector(bio);
	u64 base = region * SLUICE_REGION_BLOCKS, mask = 0;

	if (first % SLUICE_BLOCK_SECTORS)
		mask |= BIT_ULL(first / SLUICE_BLOCK_SECTORS - base);
	/* The namespace's last block may be short: its end is a block's end. */
	if (end % SLUICE_BLOCK_SECTORS && end != dev->capacity)
		mask |= BIT_ULL((end - 1) / SLUICE_BLOCK_SECTORS - base);
	return mask;
}

bool sluice_part_waits(const struct sluice_device *dev, const struct bio *bio)
{
	sector_t end = bio_end_sector(bio);

	return bio_op(bio) == REQ_OP_READ || bio->bi_iter.bi_sector % SLUICE_BLOCK_SECTORS ||
	       (end % SLUICE_BLOCK_SECTORS && end != dev->capacity);
}

static bool take_quota(struct sluice_device *dev, int limit)
{
	int now = atomic_read(&dev->parts);

	do {
		if (now >= limit)
			return false;
	} while (!atomic_try_cmpxchg(&dev->parts, &now, now + 1));
	return true;
}

struct sluice_part *sluice_part_alloc(struct sluice_device *dev, struct bio *bio, gfp_t gfp)
{
	struct sluice_part *part;
	bool waits = sluice_part_waits(dev, bio);
	int limit = SLUICE_MAX_PARTS - (waits ? SLUICE_LOCAL_PARTS : 0);

	if (!take_quota(dev, limit)) {
		if (!gfpflags_allow_blocking(gfp))
			return NULL;
		/* Bounded: every part ends by its deadline. */
		wait_event(dev->parts_wait, take_quota(dev, limit));
	}
	part = mempool_alloc(&dev->part_pool[waits], gfp);
	if (!part) {
		sluice_inflight_put(dev, &dev->parts);
		return NULL;
	}
	memset(part, 0, sizeof(*part));
	part->dev = dev;
	part->bio = bio;
	part->waits = waits;
	part->region = sluice_region(sluice_bio_first_block(bio));
	part->mask = sluice_region_mask(part->region, sluice_bio_first_block(bio),
					sluice_bio_blocks(bio));
	part->expires = jiffies + msecs_to_jiffies(READ_ONCE(dev->deadline_ms));
	if (bio_op(bio) == REQ_OP_READ)
		part->need = part->mask;
	else
		part->partial = partial_blocks(dev, bio, part->region);
	return part;
}

void sluice_inflight_put(struct sluice_device *dev, atomic_t *count)
{
	/* A closing device waits for zero, then for a grace period. */
	rcu_read_lock();
	atomic_dec(count);
	if (wq_has_sleeper(&dev->parts_wait))
		wake_up_all(&dev->parts_wait);
	rcu_read_unlock();
}

static void part_free(struct sluice_part *part)
{
	struct sluice_device *dev = part->dev;

	mempool_free(part, &dev->part_pool[part->waits]);
	sluice_inflight_put(dev, &dev->parts);
}

static void part_end(struct sluice_part *part, blk_status_t status)
{
	struct bio *bio = part->bio;

	sluice_bio_note_error(bio, status);
	part_free(part);
	bio_endio(bio);
}

static void unpark(struct sluice_part *part)
{
	if (part->timed) {
		part->timed = false;
		atomic_dec(&part->dev->parked);
	}
}

void sluice_park_kick(struct sluice_device *dev, struct list_head *woken)
{
	unsigned long flags;

	if (list_empty(woken))
		return;
	spin_lock_irqsave(&dev->work_lock, flags);
	list_splice_tail_init(woken, &dev->kicked);
	spin_unlock_irqrestore(&dev->work_lock, flags);
	queue_work(dev->io_wq, &dev->kick_work);
}

static void kick_work(struct work_struct *work)
{
	struct sluice_device *dev = container_of(work, struct sluice_device, kick_work);
	struct sluice_waiter *waiter, *next;
	LIST_HEAD(kicked);

	spin_lock_irq(&dev->work_lock);
	list_splice_init(&dev->kicked, &kicked);
	spin_unlock_irq(&dev->work_lock);
	list_for_each_entry_safe(waiter, next, &kicked, node) {
		list_del_init(&waiter->node);
		sluice_part_advance(container_of(waiter, struct sluice_part, waiter));
	}
}

/*
 * Called with the bucket locked, for blocks the daemon has to provide. Returns
 * those to raise events for once it is unlocked.
 */
static u64 park(struct sluice_part *part, u64 wait, u64 ask)
{
	struct sluice_device *dev = part->dev;
	struct sluice_map *map = &dev->map;

	ask &= ~sluice_map_claimed(map, part->region) & ~sluice_map_asked(map, part->region);
	sluice_map_wait(map, &part->waiter, part->region, wait);
	part->waiter.asked = ask;
	return ask;
}

/* What of a part's missing blocks the daemon is asked for. */
static u64 wanted(const struct sluice_part *part, u64 missing)
{
	return missing & (bio_op(part->bio) == REQ_OP_READ ? part->need : part->partial);
}

static void note_parked(struct sluice_part *part)
{
	struct sluice_device *dev = part->dev;

	if (part->timed)
		return;
	part->timed = true;
	atomic64_inc(&dev->count.parked_total);
	if (atomic_inc_return(&dev->parked) == 1)
		queue_delayed_work(dev->io_wq, &dev->deadline_work,
				   msecs_to_jiffies(SLUICE_DEADLINE_TICK_MS));
}

static blk_status_t device_status(struct sluice_device *dev, bool needs_bits)
{
	if (READ_ONCE(dev->dead))
		return BLK_STS_IOERR;
	if (needs_bits && READ_ONCE(dev->failed))
		return BLK_STS_IOERR;
	return BLK_STS_OK;
}

static void read_done(struct bio *clone)
{
	struct sluice_part *part = container_of(clone, struct sluice_part, clone);
	blk_status_t status = clone->bi_status;
	LIST_HEAD(woken);

	bio_uninit(clone);
	part->need &= ~part->reading;
	if (status || !part->need) {
		part_end(part, status);
		return;
	}
	/*
	 * This may be an interrupt: the next run is the worker's. That may end the part at
	 * once, and nothing else of ours is counted: the device waits for a grace period.
	 */
	list_add_tail(&part->waiter.node, &woken);
	rcu_read_lock();
	sluice_park_kick(part->dev, &woken);
	rcu_read_unlock();
}

/*
 * Reads the first run of resident blocks that the part still needs, for the rest of it was
 * served and did not get resident. Once nothing can, after a failure of the metadata, no
 * read over both kinds would end otherwise.
 */
static void start_read(struct sluice_part *part)
{
	struct sluice_device *dev = part->dev;
	struct bio *bio = part->bio, *clone = &part->clone;
	u64 base = part->region * SLUICE_REGION_BLOCKS;
	unsigned int first = __ffs64(part->need), end = first;
	sector_t from, to;

	while (end < SLUICE_REGION_BLOCKS && (part->need & BIT_ULL(end)))
		end++;
	part->reading = sluice_region_mask(part->region, base + first, end - first);
	from = max_t(sector_t, (base + first) * SLUICE_BLOCK_SECTORS, bio->bi_iter.bi_sector);
	to = min_t(sector_t, (base + end) * SLUICE_BLOCK_SECTORS, bio_end_sector(bio));
	if (bio_init_clone(dev->local, clone, bio, GFP_NOWAIT)) {
		/* As with a write's. */
		clone->bi_status = BLK_STS_RESOURCE;
		read_done(clone);
		return;
	}
	bio_trim(clone, from - bio->bi_iter.bi_sector, to - from);
	clone->bi_end_io = read_done;
	submit_bio_noacct(clone);
}

static void advance_read(struct sluice_part *part)
{
	struct sluice_device *dev = part->dev;
	struct sluice_map_bucket *bucket;
	u64 region = part->region;
	unsigned long flags;
	u64 missing, ask;

	bucket = sluice_map_bucket(&dev->map, region);
	spin_lock_irqsave(&bucket->lock, flags);
	missing = part->mask & sluice_map_missing(&dev->map, region);
	if (!missing || !part->need) {
		spin_unlock_irqrestore(&bucket->lock, flags);
		unpark(part);
		if (part->need) {
			struct bio *bio = part->bio;

			part_free(part);
			sluice_request_remap(dev, bio);
		} else {
			part_end(part, BLK_STS_OK);
		}
		return;
	}
	if (READ_ONCE(dev->dead)) {
		spin_unlock_irqrestore(&bucket->lock, flags);
		unpark(part);
		part_end(part, BLK_STS_IOERR);
		return;
	}
	/* While a fill or a write is at it, all may become resident, and is read at once. */
	if (!(missing & (part->need | sluice_map_claimed(&dev->map, region)))) {
		spin_unlock_irqrestore(&bucket->lock, flags);
		unpark(part);
		start_read(part);
		return;
	}
	note_parked(part);
	ask = park(part, missing, wanted(part, missing));
	trace_sluice_park(dev->index, region, missing, false);
	spin_unlock_irqrestore(&bucket->lock, flags);
	/* Unlocked, the part belongs to whoever wakes it: it may be gone. */
	sluice_event_raise(dev, region, ask, SLUICE_EVENT_READ);
}

static void write_done(struct bio *clone)
{
	struct sluice_part *part = container_of(clone, struct sluice_part, clone);
	struct sluice_device *dev = part->dev;
	struct bio *bio = part->bio;
	blk_status_t status = clone->bi_status;
	bool durable = part->durable;
	LIST_HEAD(woken);

	bio_uninit(clone);
	if (part->claim.mask) {
		u64 set = status ? 0 : part->claim.mask;

		sluice_map_release(&dev->map, &part->claim, set, &woken);
		atomic64_add(hweight64(set), &dev->count.host_blocks);
		trace_sluice_release(dev->index, part->region, part->claim.mask, set);
		sluice_park_kick(dev, &woken);
		if (set)
			sluice_flush_soon(dev);
	}
	if (!status && durable) {
		/* The part still counts the bio as ours: freed by the flush. */
		sluice_flush_then_end(dev, bio);
		part_free(part);
		return;
	}
	part_end(part, status);
}

static void start_write(struct sluice_part *part)
{
	struct sluice_device *dev = part->dev;
	struct bio *clone = &part->clone;

	if (bio_init_clone(dev->local, clone, part->bio, GFP_NOWAIT)) {
		/* Only inline encryption or integrity data could need memory. */
		clone->bi_status = BLK_STS_RESOURCE;
		write_done(clone);
		return;
	}
	if (bio_op(clone) == REQ_OP_DISCARD && part->claim.mask)
		/* Zeroes, not a hint: what a previous owner left must not show. */
		clone->bi_opf = REQ_OP_WRITE_ZEROES | (clone->bi_opf & REQ_SYNC);
	clone->bi_opf &= ~(REQ_PREFLUSH | REQ_FUA | REQ_NOWAIT);
	/* What has to be durable itself ends behind a flush of the worker's anyway. */
	if (part->claim.mask && bio_op(clone) == REQ_OP_WRITE && !part->durable &&
	    sluice_flush_expected(dev)) {
		clone->bi_opf |= REQ_FUA;
		part->claim.durable = true;
	}
	clone->bi_end_io = write_done;
	submit_bio_noacct(clone);
}

static void advance_write(struct sluice_part *part)
{
	struct sluice_device *dev = part->dev;
	struct sluice_map *map = &dev->map;
	struct sluice_map_bucket *bucket;
	u64 missing, edges, busy, ask, region = part->region;
	blk_status_t status;
	unsigned long flags;

	bucket = sluice_map_bucket(map, region);
	spin_lock_irqsave(&bucket->lock, flags);
	missing = part->mask & sluice_map_missing(map, region);
	status = device_status(dev, missing);
	if (status) {
		spin_unlock_irqrestore(&bucket->lock, flags);
		unpark(part);
		part_end(part, status);
		return;
	}
	edges = missing & part->partial;
	busy = missing & sluice_map_claimed(map, region);
	if (edges | busy) {
		/*
		 * Without a claim while waiting: two writers of one block both
		 * wait for its fill, then both write over it.
		 */
		if (edges)
			note_parked(part);
		else
			unpark(part);
		ask = park(part, edges | busy, edges);
		trace_sluice_park(dev->index, region, edges | busy, true);
		spin_unlock_irqrestore(&bucket->lock, flags);
		/* As above: not the part's any more. */
		sluice_event_raise(dev, region, ask, SLUICE_EVENT_WRITE);
		return;
	}
	if (missing)
		sluice_map_claim(map, &part->claim, region, missing);
	spin_unlock_irqrestore(&bucket->lock, flags);
	unpark(part);
	trace_sluice_claim(dev->index, region, missing, false);
	start_write(part);
}

void sluice_part_advance(struct sluice_part *part)
{
	if (bio_op(part->bio) == REQ_OP_READ)
		advance_read(part);
	else
		advance_write(part);
}

/* Moves the timed parts that match out of their buckets. */
static void collect(struct sluice_device *dev, struct list_head *out, bool all)
{
	struct sluice_waiter *waiter, *next;
	unsigned int i;

	for (i = 0; i < SLUICE_MAP_BUCKETS; i++) {
		struct sluice_map_bucket *bucket = &dev->map.buckets[i];

		spin_lock_irq(&bucket->lock);
		list_for_each_entry_safe(waiter, next, &bucket->waiters, node) {
			struct sluice_part *part = container_of(waiter, struct sluice_part, waiter);

			if (part->timed && (all || time_after_eq(jiffies, part->expires)))
				list_move_tail(&waiter->node, out);
		}
		spin_unlock_irq(&bucket->lock);
	}
}

/*
 * BLK_STS_MEDIUM: of what nvmet maps, the one status without Do Not Retry. A
 * host tries again; when the source is back, it never learns.
 */
static void fail_list(struct sluice_device *dev, struct list_head *list)
{
	struct sluice_waiter *waiter, *next;

	list_for_each_entry_safe(waiter, next, list, node) {
		struct sluice_part *part = container_of(waiter, struct sluice_part, waiter);

		list_del_init(&waiter->node);
		trace_sluice_expire(dev->index, part->region, part->mask);
		atomic64_inc(&dev->count.expired);
		unpark(part);
		part_end(part, READ_ONCE(dev->dead) ? BLK_STS_IOERR : BLK_STS_MEDIUM);
	}
}

static void deadline_work(struct work_struct *work)
{
	struct sluice_device *dev = container_of(to_delayed_work(work), struct sluice_device,
						 deadline_work);
	LIST_HEAD(expired);

	/* The disk's loss may call before there is a map; pairs with the open. */
	if (smp_load_acquire(&dev->ready)) {
		collect(dev, &expired, READ_ONCE(dev->dead));
		fail_list(dev, &expired);
	}
	/* Nobody parks without a map; who does before the open ends waits for a tick more. */
	if (atomic_read(&dev->parked))
		queue_delayed_work(dev->io_wq, &dev->deadline_work,
				   msecs_to_jiffies(SLUICE_DEADLINE_TICK_MS));
}

void sluice_park_fail_all(struct sluice_device *dev)
{
	LIST_HEAD(list);

	collect(dev, &list, true);
	fail_list(dev, &list);
}

void sluice_park_offer_all(struct sluice_device *dev)
{
	struct sluice_waiter *waiter;
	unsigned int i;

	for (i = 0; i < SLUICE_MAP_BUCKETS; i++) {
		struct sluice_map_bucket *bucket = &dev->map.buckets[i];

		spin_lock_irq(&bucket->lock);
		list_for_each_entry(waiter, &bucket->waiters, node) {
			struct sluice_part *part = container_of(waiter, struct sluice_part, waiter);
			bool read = bio_op(part->bio) == REQ_OP_READ;
			u64 ask = wanted(part, waiter->mask &
					 sluice_map_missing(&dev->map, waiter->region));

			if (!part->timed || !ask)
				continue;
			waiter->asked |= ask;
			sluice_event_raise(dev, waiter->region, ask,
					   read ? SLUICE_EVENT_READ : SLUICE_EVENT_WRITE);
		}
		spin_unlock_irq(&bucket->lock);
	}
}

/* Copies the blocks of mask from the fill's data into the part's bio. */
static void copy_to_bio(struct sluice_part *part, u64 mask, u64 first, const u8 *src)
{
	/* Not iter.bi_sector: a host's segments need not be whole sectors. */
	u64 at = (u64)part->bio->bi_iter.bi_sector << SECTOR_SHIFT;
	struct bio_vec bv;
	struct bvec_iter iter;

	bio_for_each_segment(bv, part->bio, iter) {
		unsigned int done = 0;

		while (done < bv.bv_len) {
			u64 byte = at + done, block = byte / SLUICE_BLOCK_SIZE;
			unsigned int len = min_t(unsigned int, bv.bv_len - done,
						 SLUICE_BLOCK_SIZE - byte % SLUICE_BLOCK_SIZE);
			struct bio_vec piece = bv;

			piece.bv_offset += done;
			piece.bv_len = len;
			if (mask & BIT_ULL(block % SLUICE_REGION_BLOCKS)) {
				if (src)
					memcpy_to_bvec(&piece,
						       src + (byte - first * SLUICE_BLOCK_SIZE));
				else
					memzero_bvec(&piece);
			}
			done += len;
		}
		at += bv.bv_len;
	}
}

void sluice_park_serve(struct sluice_device *dev, u64 region, u64 mask, u64 first, const u8 *src)
{
	struct sluice_map_bucket *bucket;
	struct sluice_waiter *waiter, *next;
	unsigned long flags;
	LIST_HEAD(taken);

	bucket = sluice_map_bucket(&dev->map, region);
	spin_lock_irqsave(&bucket->lock, flags);
	list_for_each_entry_safe(waiter, next, &bucket->waiters, node) {
		struct sluice_part *part = container_of(waiter, struct sluice_part, waiter);

		if (waiter->region == region && (part->need & mask))
			list_move_tail(&waiter->node, &taken);
	}
	spin_unlock_irqrestore(&bucket->lock, flags);

	/*
	 * Unlocked: a region is up to 256 KiB to copy. The claim keeps writers
	 * away, so the data is the blocks' content for as long as this takes.
	 */
	list_for_each_entry_safe(waiter, next, &taken, node) {
		struct sluice_part *part = container_of(waiter, struct sluice_part, waiter);
		u64 serve = part->need & mask;

		list_del_init(&waiter->node);
		copy_to_bio(part, serve, first, src);
		part->need &= ~serve;
		atomic64_add(hweight64(serve), &dev->count.served_blocks);
		trace_sluice_serve(dev->index, region, serve);
		sluice_part_advance(part);
	}
}
