// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for durability. Requests that arrive during a round share the next
 * one: its snapshot of the map is taken after all of them were submitted. They
 * cannot join the running one, whose snapshot may be older than what they are
 * to make durable.
 *
 * Rounds are a worker's, which may sleep. But the usual flush is of a host that waits for
 * it alone, with one page to write: it has a round of its own, without waking the worker
 * up before it and at its end.
 *
 * A host that flushes after each write pays for three of the disk's requests with the
 * first write to a missing block, one after the other: the data, the flush, the map page.
 * The page may be written beside the flush once the data is durable without it. So
 * whoever did that twice has his next such write done with FUA. Only with one write
 * between two flushes: of several, each would wait for the medium.
 */
#include <linux/completion.h>

#include "sluice.h"

/* Flushes behind one first write each, after which the next one is expected. */
#define COMMITS 2

struct flush_waiter {
	struct list_head node;
	struct completion done;
	int err;
};

static void round_work(struct work_struct *work);
static void sync_work(struct work_struct *work);

void sluice_flush_init_device(struct sluice_device *dev)
{
	bio_list_init(&dev->flush_pre);
	bio_list_init(&dev->flush_post);
	INIT_LIST_HEAD(&dev->flush_waiters);
	INIT_WORK(&dev->flush_work, round_work);
	INIT_DELAYED_WORK(&dev->sync_work, sync_work);
}

/* The right to a round, which store.c has one of at a time. */
static bool begin_round(struct sluice_device *dev)
{
	lockdep_assert_held(&dev->work_lock);
	if (dev->round)
		return false;
	dev->round = true;
	return true;
}

static void end_round(struct sluice_device *dev)
{
	unsigned long flags;
	bool again;

	spin_lock_irqsave(&dev->work_lock, flags);
	dev->round = false;
	again = dev->round_again;
	dev->round_again = false;
	spin_unlock_irqrestore(&dev->work_lock, flags);
	if (again)
		queue_work(dev->io_wq, &dev->flush_work);
}

static void round_work(struct work_struct *work)
{
	struct sluice_device *dev = container_of(work, struct sluice_device, flush_work);
	struct flush_waiter *waiter, *next;
	struct bio_list pre, post;
	LIST_HEAD(waiters);
	struct bio *bio;
	int err = 0;

	spin_lock_irq(&dev->work_lock);
	if (!begin_round(dev)) {
		dev->round_again = true;
		spin_unlock_irq(&dev->work_lock);
		return;
	}
	pre = dev->flush_pre;
	post = dev->flush_post;
	bio_list_init(&dev->flush_pre);
	bio_list_init(&dev->flush_post);
	list_splice_init(&dev->flush_waiters, &waiters);
	spin_unlock_irq(&dev->work_lock);
	if (!bio_list_empty(&pre) || !bio_list_empty(&post) || !list_empty(&waiters) ||
	    sluice_map_any_volatile(&dev->map))
		err = sluice_store_sync(dev);
	end_round(dev);

	while ((bio = bio_list_pop(&post))) {
		sluice_bio_note_error(bio, err ? BLK_STS_IOERR : BLK_STS_OK);
		bio_endio(bio);
	}
	while ((bio = bio_list_pop(&pre))) {
		if (err || !bio_sectors(bio)) {
			sluice_bio_note_error(bio, err ? BLK_STS_IOERR : BLK_STS_OK);
			bio_endio(bio);
			continue;
		}
		bio->bi_opf &= ~REQ_PREFLUSH;
		sluice_request_resume(dev, bio);
	}
	list_for_each_entry_safe(waiter, next, &waiters, node) {
		waiter->err = err;
		complete(&waiter->done);
	}
}

bool sluice_flush_expected(struct sluice_device *dev)
{
	/* No more is asked of it than whether there was one. */
	if (atomic_read(&dev->first_writes) > 1 || atomic_inc_return(&dev->first_writes) > 1)
		return false;
	/* With other data to be made durable the page would have to wait all the same. */
	return READ_ONCE(dev->commits) == COMMITS && bdev_write_cache(dev->local) &&
	       sluice_local_fua(dev) && sluice_map_seems_durable(&dev->map);
}

static void note_flush(struct sluice_device *dev, const struct bio *bio)
{
	int writes = atomic_read(&dev->first_writes);
	unsigned int commits = READ_ONCE(dev->commits);

	if (!writes)
		return;
	/* One with data has the worker's round, which waits for the flush. */
	if (writes > 1 || bio_sectors(bio))
		WRITE_ONCE(dev->commits, 0);
	else if (commits < COMMITS)
		WRITE_ONCE(dev->commits, commits + 1);
	atomic_set(&dev->first_writes, 0);
}

static void add_bio(struct sluice_device *dev, struct bio_list *list, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&dev->work_lock, flags);
	bio_list_add(list, bio);
	spin_unlock_irqrestore(&dev->work_lock, flags);
	/* Queued while running, it runs again: the work item is the queue. */
	queue_work(dev->io_wq, &dev->flush_work);
}

static void round_done(struct sluice_device *dev, int err)
{
	struct bio *bio = dev->rounding;

	end_round(dev);
	if (err)
		/* For the worker's, which fails for all: that may sleep. */
		add_bio(dev, &dev->flush_post, bio);
	sluice_inflight_put(dev, &dev->parts);
	if (!err)
		bio_endio(bio);
}

/* Nobody is overtaken: who waits for the worker's round gets that first. */
static bool round_here(struct sluice_device *dev, struct bio *bio)
{
	unsigned long flags;
	bool begun;

	spin_lock_irqsave(&dev->work_lock, flags);
	begun = bio_list_empty(&dev->flush_pre) && bio_list_empty(&dev->flush_post) &&
		list_empty(&dev->flush_waiters) && begin_round(dev);
	spin_unlock_irqrestore(&dev->work_lock, flags);
	if (!begun)
		return false;
	dev->rounding = bio;
	atomic_inc(&dev->parts);
	if (sluice_store_sync_one(dev, round_done))
		return true;
	end_round(dev);
	sluice_inflight_put(dev, &dev->parts);
	return false;
}

void sluice_flush_then_resume(struct sluice_device *dev, struct bio *bio)
{
	note_flush(dev, bio);
	if (bio_sectors(bio) || !round_here(dev, bio))
		add_bio(dev, &dev->flush_pre, bio);
}

void sluice_flush_then_end(struct sluice_device *dev, struct bio *bio)
{
	add_bio(dev, &dev->flush_post, bio);
}

static void passed_on(struct bio *clone)
{
	struct bio *bio = clone->bi_private;
	struct sluice_device *dev = bio->bi_bdev->bd_disk->private_data;
	blk_status_t status = clone->bi_status;

	if (clone == &dev->passing) {
		bio_uninit(clone);
		clear_bit_unlock(0, &dev->passing_used);
	} else {
		bio_put(clone);
	}
	if (status) {
		/* For the round that says so; it ends this bio, too. */
		WRITE_ONCE(dev->flush_lost, true);
		sluice_flush_then_end(dev, bio);
		sluice_inflight_put(dev, &dev->parts);
		return;
	}
	sluice_inflight_put(dev, &dev->parts);
	bio_endio(bio);
}

/*
 * A clone, unlike what is resident: a flush that fails may have lost the data
 * of a fill that is being written now, and the next one would not tell.
 */
void sluice_flush_pass_on(struct sluice_device *dev, struct bio *bio)
{
	struct bio *clone = NULL;

	note_flush(dev, bio);
	/* The usual one is alone, and need not be allocated. */
	if (test_and_set_bit_lock(0, &dev->passing_used))
		clone = bio_alloc_clone(dev->local, bio, GFP_NOWAIT | __GFP_NOWARN,
					&dev->split_set[false]);
	else if (!bio_init_clone(dev->local, &dev->passing, bio, GFP_NOWAIT | __GFP_NOWARN))
		clone = &dev->passing;
	else
		clear_bit_unlock(0, &dev->passing_used);
	if (!clone) {
		sluice_flush_then_resume(dev, bio);
		return;
	}
	atomic_inc(&dev->parts);
	clone->bi_end_io = passed_on;
	clone->bi_private = bio;
	submit_bio_noacct(clone);
}

int sluice_flush_now(struct sluice_device *dev)
{
	struct flush_waiter waiter = { };

	init_completion(&waiter.done);
	spin_lock_irq(&dev->work_lock);
	list_add_tail(&waiter.node, &dev->flush_waiters);
	spin_unlock_irq(&dev->work_lock);
	queue_work(dev->io_wq, &dev->flush_work);
	wait_for_completion(&waiter.done);
	return waiter.err;
}

static void sync_work(struct work_struct *work)
{
	struct sluice_device *dev = container_of(to_delayed_work(work), struct sluice_device,
						 sync_work);

	queue_work(dev->io_wq, &dev->flush_work);
}

void sluice_flush_soon(struct sluice_device *dev)
{
	if (!READ_ONCE(dev->failed) && !delayed_work_pending(&dev->sync_work))
		queue_delayed_work(dev->io_wq, &dev->sync_work, msecs_to_jiffies(SLUICE_SYNC_MS));
}
