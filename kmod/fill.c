// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commits: the daemon's data, or zeroes, on their way into missing blocks. The
 * local disk is written from the pool's pages themselves.
 *
 * A fill takes claims block by block and skips what is resident or claimed by a
 * host write: the host's data is newer. It never waits for a claim.
 *
 * A commit of data runs in the daemon's context up to the submission of its
 * writes, so that a waiting read is answered without a change of context. Zero
 * commits cover up to 1 GiB and may have to write pages of zeroes: a worker
 * does them, a window of regions at a time.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "sluice.h"
#include "trace.h"

/* An unaligned extent of the largest commit touches one region more. */
#define FILL_REGIONS (SLUICE_MAX_COMMIT_BLOCKS / SLUICE_REGION_BLOCKS + 1)

struct sluice_fill {
	struct sluice_attachment *att;
	struct io_uring_cmd *cmd;
	struct work_struct work;
	u64 block;
	u32 blocks;
	u32 pool_block;
	bool zero;
	int res;
	u64 made;			/* blocks made resident */
	atomic_t pending;		/* local writes, and one for the submitter */
	spinlock_t failed_lock;
	unsigned int regions;
	u64 first_region;
	/* Of the regions there are; set as they are claimed. */
	struct sluice_claim claims[FILL_REGIONS];
	u64 failed[FILL_REGIONS];
};

/* One local write of a fill; the bio is last for its inline vectors. */
struct fill_io {
	struct sluice_fill *fill;
	u64 block;
	u32 blocks;
	struct bio bio;
};

static struct kmem_cache *fill_cache;

int sluice_fill_init(void)
{
	fill_cache = KMEM_CACHE(sluice_fill, 0);
	return fill_cache ? 0 : -ENOMEM;
}

void sluice_fill_exit(void)
{
	kmem_cache_destroy(fill_cache);
}

int sluice_fill_init_device(struct sluice_device *dev)
{
	int err = mempool_init_slab_pool(&dev->fill_pool, 4, fill_cache);

	if (err)
		return err;
	err = bioset_init(&dev->fill_set, 16, offsetof(struct fill_io, bio), BIOSET_NEED_BVECS);
	if (err)
		mempool_exit(&dev->fill_pool);
	return err;
}

void sluice_fill_exit_device(struct sluice_device *dev)
{
	bioset_exit(&dev->fill_set);
	mempool_exit(&dev->fill_pool);
}

static void claim_regions(struct sluice_fill *fill, u64 block, u32 blocks)
{
	struct sluice_map *map = &fill->att->dev->map;
	u64 region, last = sluice_region(block + blocks - 1);
	unsigned int i = 0;

	fill->first_region = sluice_region(block);
	for (region = fill->first_region; region <= last; region++, i++) {
		struct sluice_map_bucket *bucket;
		unsigned long flags;
		u64 mask = sluice_region_mask(region, block, blocks);

		fill->failed[i] = 0;
		fill->claims[i].mask = 0;
		bucket = sluice_map_bucket(map, region);
		spin_lock_irqsave(&bucket->lock, flags);
		mask &= sluice_map_missing(map, region) & ~sluice_map_claimed(map, region);
		if (mask)
			sluice_map_claim(map, &fill->claims[i], region, mask);
		spin_unlock_irqrestore(&bucket->lock, flags);
		if (mask)
			trace_sluice_claim(fill->att->dev->index, region, mask, true);
	}
	fill->regions = i;
}

/* Sets the bits of what was written, and lets go of the rest. Any context. */
static void release_regions(struct sluice_fill *fill)
{
	struct sluice_device *dev = fill->att->dev;
	LIST_HEAD(woken);
	u64 made = 0;
	unsigned int i;

	for (i = 0; i < fill->regions; i++) {
		struct sluice_claim *claim = &fill->claims[i];
		u64 set = claim->mask & ~fill->failed[i];

		if (!claim->mask)
			continue;
		sluice_map_release(&dev->map, claim, set, &woken);
		trace_sluice_release(dev->index, claim->region, claim->mask, set);
		made += hweight64(set);
	}
	atomic64_add(made, &dev->count.fill_blocks);
	fill->made += made;
	if (made)
		sluice_flush_soon(dev);
	sluice_park_kick(dev, &woken);
}

static void mark_failed(struct sluice_fill *fill, u64 block, u32 blocks)
{
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&fill->failed_lock, flags);
	fill->res = -EIO;
	for (i = 0; i < fill->regions; i++)
		fill->failed[i] |= sluice_region_mask(fill->first_region + i, block, blocks);
	spin_unlock_irqrestore(&fill->failed_lock, flags);
}

/*
 * With failed metadata nothing can get resident any more; who reads is served
 * all the same, for as long as there is a daemon.
 */
static bool only_serve(struct sluice_fill *fill, u64 block, u32 blocks)
{
	if (!READ_ONCE(fill->att->dev->failed))
		return false;
	mark_failed(fill, block, blocks);
	fill->res = -EROFS;
	return true;
}

/* Finds the next run of claimed blocks at or after *block; 0 when none. */
static u32 next_run(const struct sluice_fill *fill, u64 *block, u64 end)
{
	u64 at = *block, first;

	while (at < end && !(fill->claims[sluice_region(at) - fill->first_region].mask &
			     BIT_ULL(at % SLUICE_REGION_BLOCKS)))
		at++;
	for (first = at; at < end; at++)
		if (!(fill->claims[sluice_region(at) - fill->first_region].mask &
		      BIT_ULL(at % SLUICE_REGION_BLOCKS)))
			break;
	*block = first;
	return at - first;
}

/*
 * Any context. What is accounted to the attachment ends here and not with the
 * command, which its task completes when it gets to it: a daemon that is stopped
 * must not keep the device from closing.
 */
static void fill_end(struct sluice_fill *fill)
{
	struct sluice_attachment *att = fill->att;
	struct sluice_device *dev = att->dev;
	struct io_uring_cmd *cmd = fill->cmd;
	int res = fill->res ?: (int)fill->made;

	trace_sluice_commit_done(dev->index, fill->block, fill->blocks, res);
	if (!fill->zero)
		sluice_pool_give(att, fill->pool_block, fill->blocks);
	mempool_free(fill, &dev->fill_pool);
	sluice_attach_done(att);
	/* Last: the command holds the file, and so the attachment and the device. */
	sluice_uring_done(cmd, res);
}

static void fill_put(struct sluice_fill *fill)
{
	if (!atomic_dec_and_test(&fill->pending))
		return;
	release_regions(fill);
	fill_end(fill);
}

static void fill_written(struct bio *bio)
{
	struct fill_io *io = container_of(bio, struct fill_io, bio);
	struct sluice_fill *fill = io->fill;

	if (bio->bi_status)
		mark_failed(fill, io->block, io->blocks);
	bio_put(bio);
	fill_put(fill);
}

static void write_run(struct sluice_fill *fill, u64 block, u32 blocks)
{
	struct sluice_device *dev = fill->att->dev;
	u8 *src = fill->att->pool +
		  (fill->pool_block + (block - fill->block)) * (size_t)SLUICE_BLOCK_SIZE;
	u64 at = block * SLUICE_BLOCK_SIZE;
	u64 end = min(at + (u64)blocks * SLUICE_BLOCK_SIZE, dev->capacity << SECTOR_SHIFT);

	while (at < end) {
		unsigned int vecs = min_t(u64, DIV_ROUND_UP_ULL(end - at, PAGE_SIZE) + 1,
					  BIO_MAX_VECS);
		struct bio *bio = bio_alloc_bioset(dev->local, vecs, REQ_OP_WRITE, GFP_NOIO,
						   &dev->fill_set);
		struct fill_io *io = container_of(bio, struct fill_io, bio);

		bio->bi_iter.bi_sector = at >> SECTOR_SHIFT;
		bio->bi_end_io = fill_written;
		io->fill = fill;
		io->block = at / SLUICE_BLOCK_SIZE;
		while (at < end && bio->bi_vcnt < vecs) {
			unsigned int len = sluice_local_add(bio, src, end - at);

			at += len;
			src += len;
		}
		io->blocks = DIV_ROUND_UP_ULL(at, SLUICE_BLOCK_SIZE) - io->block;
		atomic_inc(&fill->pending);
		submit_bio(bio);
	}
}

static void fill_data(struct sluice_fill *fill)
{
	struct sluice_device *dev = fill->att->dev;
	const u8 *src = fill->att->pool + fill->pool_block * (size_t)SLUICE_BLOCK_SIZE;
	u64 block = fill->block, end = block + fill->blocks;
	unsigned int noio = memalloc_noio_save(), i;
	struct blk_plug plug;
	u32 n;

	claim_regions(fill, block, fill->blocks);
	/* Who waits is answered first: the disk's write is not his business. */
	for (i = 0; i < fill->regions; i++)
		if (fill->claims[i].mask)
			sluice_park_serve(dev, fill->first_region + i, fill->claims[i].mask,
					  fill->block, src);
	if (!only_serve(fill, block, fill->blocks)) {
		blk_start_plug(&plug);
		for (; (n = next_run(fill, &block, end)); block += n)
			write_run(fill, block, n);
		blk_finish_plug(&plug);
	}
	memalloc_noio_restore(noio);
	fill_put(fill);
}

/* Worker: zeroes the extent, window by window, waiting for each. */
static void fill_zero_work(struct work_struct *work)
{
	struct sluice_fill *fill = container_of(work, struct sluice_fill, work);
	struct sluice_device *dev = fill->att->dev;
	u64 block = fill->block, end = block + fill->blocks;
	unsigned int noio = memalloc_noio_save(), i;

	while (block < end && !fill->res && !READ_ONCE(fill->att->dead)) {
		u32 window = min_t(u64, end - block, SLUICE_MAX_COMMIT_BLOCKS);
		u64 at = block;
		u32 n;

		claim_regions(fill, block, window);
		for (i = 0; i < fill->regions; i++)
			if (fill->claims[i].mask)
				sluice_park_serve(dev, fill->first_region + i,
						  fill->claims[i].mask, fill->block, NULL);
		if (only_serve(fill, block, window))
			at = block + window;
		for (; (n = next_run(fill, &at, block + window)); at += n) {
			sector_t first = at * SLUICE_BLOCK_SECTORS;
			sector_t sectors = min_t(u64, (u64)n * SLUICE_BLOCK_SECTORS,
						 dev->capacity - first);

			/* Falls back to pages of zeroes; may unmap. */
			if (blkdev_issue_zeroout(dev->local, first, sectors, GFP_NOIO, 0))
				mark_failed(fill, at, n);
		}
		release_regions(fill);
		block += window;
	}
	memalloc_noio_restore(noio);
	fill_end(fill);
}

int sluice_fill_start(struct sluice_attachment *att, const struct sluice_commit *c,
		      struct io_uring_cmd *cmd)
{
	struct sluice_device *dev = att->dev;
	struct sluice_fill *fill;
	int err;

	err = sluice_validate_commit(c, dev->map.blocks, att->pool_blocks);
	if (err)
		return err;
	err = sluice_attach_begin(att, c->generation);
	if (err)
		return err;
	err = -EBADFD;
	if (READ_ONCE(dev->complete))
		goto err_done;
	err = -EIO;
	if (READ_ONCE(dev->dead))
		goto err_done;
	if (!(c->flags & SLUICE_COMMIT_ZERO)) {
		err = sluice_pool_take(att, c->pool_block, c->blocks);
		if (err)
			goto err_done;
	}
	fill = mempool_alloc(&dev->fill_pool, GFP_NOIO);
	memset(fill, 0, offsetof(struct sluice_fill, claims));
	fill->att = att;
	fill->cmd = cmd;
	fill->block = c->block;
	fill->blocks = c->blocks;
	fill->pool_block = c->pool_block;
	fill->zero = c->flags & SLUICE_COMMIT_ZERO;
	atomic_set(&fill->pending, 1);
	spin_lock_init(&fill->failed_lock);
	trace_sluice_commit(dev->index, c->block, c->blocks, c->flags);
	if (fill->zero) {
		INIT_WORK(&fill->work, fill_zero_work);
		queue_work(dev->zero_wq, &fill->work);
	} else {
		fill_data(fill);
	}
	return -EIOCBQUEUED;

err_done:
	sluice_attach_done(att);
	return err;
}
