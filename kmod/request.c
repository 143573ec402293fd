// SPDX-License-Identifier: GPL-2.0-only
/*
 * The path of a host request. What is resident goes to the local disk as the
 * host's own bio: no clone, no completion of ours, no count of what is in
 * flight. That is right because a set bit stays set: nothing that happens later
 * can make such a request wrong.
 *
 * Only the first attempt runs in the submitter's context, without sleeping;
 * what finds no memory or no quota goes to a worker of its own, since waiting
 * inside submit_bio() could wait for bios that are queued behind us.
 */
#include "sluice.h"
#include "trace.h"

static void remap(struct sluice_device *dev, struct bio *bio)
{
	/* The image starts at sector 0 of the local disk. */
	bio_set_dev(bio, dev->local);
	submit_bio_noacct(bio);
}

void sluice_request_remap(struct sluice_device *dev, struct bio *bio)
{
	remap(dev, bio);
}

static void end_bio(struct bio *bio, blk_status_t status)
{
	sluice_bio_note_error(bio, status);
	bio_endio(bio);
}

/* Hands a bio to the worker of its kind: see SLUICE_LOCAL_PARTS. */
static void defer(struct sluice_device *dev, struct bio *bio)
{
	bool waits = sluice_part_waits(dev, bio);
	unsigned long flags;

	spin_lock_irqsave(&dev->work_lock, flags);
	bio_list_add(waits ? &dev->deferred : &dev->deferred_local, bio);
	spin_unlock_irqrestore(&dev->work_lock, flags);
	if (waits)
		queue_work(dev->defer_wq, &dev->defer_work);
	else
		queue_work(dev->local_wq, &dev->defer_local_work);
}

/*
 * With the cache set to write-through the block layer drops flushes: then every
 * write has to be durable, bits included, before it ends.
 */
static bool write_through(const struct sluice_device *dev)
{
	/* A worker may ask while the user changes it: then both answers are right. */
	return !data_race(bdev_write_cache(dev->disk->part0));
}

static bool supported(const struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		return true;
	default:
		return false;
	}
}

/* Sectors from the bio's start to the end of block number `block`. */
static unsigned int sectors_to(const struct bio *bio, u64 block)
{
	u64 end = (block + 1) * SLUICE_BLOCK_SECTORS;

	return min_t(u64, end - bio->bi_iter.bi_sector, bio_sectors(bio));
}

/* Makes *bio the front part of itself; the rest, if any, is returned. */
static bool split_front(struct sluice_device *dev, struct bio *bio, unsigned int sectors,
			gfp_t gfp, struct bio **front)
{
	if (sectors >= bio_sectors(bio)) {
		*front = bio;
		return true;
	}
	*front = sluice_bio_split(bio, sectors, gfp,
				  &dev->split_set[sluice_part_waits(dev, bio)]);
	if (!*front)
		return false;
	bio_chain(*front, bio);
	return true;
}

/*
 * A discard of missing blocks that covers only part of one is ignored, and so
 * is any where the local disk cannot write zeroes: it is a hint. Returns the
 * sectors to leave alone, 0 when the front of the bio is worth zeroing.
 */
static unsigned int discard_ignores(struct sluice_device *dev, const struct bio *bio,
				    unsigned int sectors)
{
	sector_t first = bio->bi_iter.bi_sector, end = first + sectors;

	if (!bdev_write_zeroes_sectors(dev->local))
		return sectors;
	if (first % SLUICE_BLOCK_SECTORS)
		return sectors_to(bio, sluice_bio_first_block(bio));
	if (sectors < SLUICE_BLOCK_SECTORS && end != dev->capacity)
		return sectors;
	return 0;
}

/*
 * Deals with the front of *biop and advances past it; *biop is NULL when all is
 * dealt with. False: no memory or quota, *biop is untouched or what remains.
 */
static bool advance(struct sluice_device *dev, struct bio **biop, gfp_t gfp)
{
	struct bio *bio = *biop, *front;
	u64 block = sluice_bio_first_block(bio), run, limit;
	bool durable = op_is_write(bio_op(bio)) &&
		       ((bio->bi_opf & REQ_FUA) || write_through(dev));
	struct sluice_part *part;
	unsigned int sectors;
	bool resident;

	run = sluice_map_run(&dev->map, block, sluice_bio_blocks(bio), &resident);
	/*
	 * Only writes can be FUA; what else must be durable ends after a round. So
	 * does FUA that the block layer would make a flush of: its failure must not
	 * pass us by. A round also tells whether the device has failed.
	 */
	if (resident && !(durable && (bio_op(bio) != REQ_OP_WRITE || READ_ONCE(dev->failed) ||
				      !sluice_local_fua(dev) ||
				      sluice_map_volatile(&dev->map, block, run)))) {
		if (!split_front(dev, bio, sectors_to(bio, block + run - 1), gfp, &front))
			return false;
		if (durable)
			front->bi_opf |= REQ_FUA;
		*biop = front == bio ? NULL : bio;
		remap(dev, front);
		return true;
	}

	/*
	 * A part lies in one region. A read takes all of it, resident blocks
	 * too: cut at every change it could use up the parts of all others.
	 */
	limit = (sluice_region(block) + 1) * SLUICE_REGION_BLOCKS - block;
	if (bio_op(bio) == REQ_OP_READ)
		limit = min(limit, sluice_bio_blocks(bio));
	else
		limit = min(limit, run);
	sectors = sectors_to(bio, block + limit - 1);
	if (bio_op(bio) == REQ_OP_DISCARD && !resident) {
		unsigned int ignored = discard_ignores(dev, bio, sectors);

		if (ignored) {
			if (!split_front(dev, bio, ignored, gfp, &front))
				return false;
			*biop = front == bio ? NULL : bio;
			bio_endio(front);
			return true;
		}
		/* A partial last block comes round again and is ignored then. */
		if ((bio->bi_iter.bi_sector + sectors) % SLUICE_BLOCK_SECTORS &&
		    bio->bi_iter.bi_sector + sectors != dev->capacity)
			sectors = round_down(sectors, SLUICE_BLOCK_SECTORS);
	}
	if (!split_front(dev, bio, sectors, gfp, &front))
		return false;
	part = sluice_part_alloc(dev, front, gfp);
	if (!part) {
		/* What remains of *biop is the caller's to defer. */
		if (front != bio)
			defer(dev, front);
		return false;
	}
	part->durable = durable;
	*biop = front == bio ? NULL : bio;
	sluice_part_advance(part);
	return true;
}

void sluice_request_resume(struct sluice_device *dev, struct bio *bio)
{
	while (bio)
		if (!advance(dev, &bio, GFP_NOWAIT | __GFP_NOWARN)) {
			defer(dev, bio);
			return;
		}
}

static void resume_deferred(struct sluice_device *dev, struct bio_list *list)
{
	struct bio *bio;

	for (;;) {
		spin_lock_irq(&dev->work_lock);
		bio = bio_list_pop(list);
		spin_unlock_irq(&dev->work_lock);
		if (!bio)
			return;
		while (bio)
			advance(dev, &bio, GFP_NOIO);
	}
}

void sluice_defer_work(struct work_struct *work)
{
	struct sluice_device *dev = container_of(work, struct sluice_device, defer_work);

	resume_deferred(dev, &dev->deferred);
}

void sluice_defer_local_work(struct work_struct *work)
{
	struct sluice_device *dev = container_of(work, struct sluice_device, defer_local_work);

	resume_deferred(dev, &dev->deferred_local);
}

/* Not inline: the fast path then needs no stack of its own. */
static noinline void slow_path(struct sluice_device *dev, struct bio *bio)
{
	if (unlikely(!supported(bio))) {
		end_bio(bio, BLK_STS_NOTSUPP);
		return;
	}
	if (unlikely(READ_ONCE(dev->dead))) {
		end_bio(bio, BLK_STS_IOERR);
		return;
	}
	if (bio->bi_opf & REQ_PREFLUSH) {
		if (bio->bi_opf & REQ_NOWAIT) {
			bio_wouldblock_error(bio);
			return;
		}
		/*
		 * An empty flush with every bit durable is the local disk's; a
		 * failed device answers itself.
		 */
		if (!bio_sectors(bio) && !READ_ONCE(dev->failed) &&
		    !sluice_map_any_volatile(&dev->map))
			sluice_flush_pass_on(dev, bio);
		else
			sluice_flush_then_resume(dev, bio);
		return;
	}
	if (!bio_sectors(bio)) {
		bio_endio(bio);
		return;
	}
	/*
	 * A miss, or a write that needs memory of ours: the caller may sleep, we not.
	 * Discards of what is resident need none.
	 */
	if (bio->bi_opf & REQ_NOWAIT) {
		if (!(bio->bi_opf & REQ_FUA) && !write_through(dev) &&
		    sluice_map_resident(&dev->map, sluice_bio_first_block(bio),
					sluice_bio_blocks(bio)))
			remap(dev, bio);
		else
			bio_wouldblock_error(bio);
		return;
	}
	sluice_request_resume(dev, bio);
}

/* Has blocks, and once these are resident is nothing but the local disk's. */
static bool plain(const struct bio *bio)
{
	const blk_opf_t special = (REQ_OP_MASK & ~(__force blk_opf_t)REQ_OP_WRITE) |
				  REQ_PREFLUSH | REQ_FUA;

	return !(bio->bi_opf & special) && bio_sectors(bio);
}

void sluice_submit_bio(struct bio *bio)
{
	struct sluice_device *dev = bio->bi_bdev->bd_disk->private_data;

	/* Pairs with the completion: from then on the map is not looked at. */
	if (likely(smp_load_acquire(&dev->complete))) {
		remap(dev, bio);
		return;
	}
	this_cpu_inc(*dev->host_seq);
	if (likely(plain(bio) &&
		   sluice_map_resident(&dev->map, sluice_bio_first_block(bio),
				       sluice_bio_blocks(bio)) &&
		   (!op_is_write(bio->bi_opf) || !write_through(dev)))) {
		remap(dev, bio);
		return;
	}
	slow_path(dev, bio);
}
