// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata on the local disk. A round makes every bit durable that was set when
 * it began:
 *
 *	1. take the dirty pages and copy their bits,
 *	2. flush the local disk: the data below those bits is durable now,
 *	3. write the copies to the older slots,
 *	4. flush again.
 *
 * Where all data below the bits is durable without it, 2 is not waited for before 3: a host
 * that flushes after each write then waits for one request instead of two.
 *
 * The copy is what allows bits to be set during 2 and 3: writing the live words
 * would make a bit durable whose data was written after the flush. Pages are
 * copied rather than double-buffered in place since a round rarely has more
 * than one or two.
 *
 * A failure in 2 to 4 is sticky: what a disk holds after a failed flush is not
 * known, and a later success would not bring back what was lost.
 */
#include <linux/completion.h>
#include <linux/uuid.h>
#include <linux/vmalloc.h>

#include "sluice.h"
#include "trace.h"

/* Metadata is read and formatted in pieces of 1 MiB. */
#define PIECE_PAGES 256

struct sluice_store_io {
	struct bio bio;
	struct bio_vec vec;
};

/* Of a round of one page. */
enum { FLUSH_DATA, WRITE_PAGE, FLUSH_PAGE };

struct round_wait {
	struct completion done;
	atomic_t pending;
	blk_status_t status;
};

static void only_work(struct work_struct *work);
static void only_ended(struct bio *bio);

int sluice_store_init(struct sluice_store *store)
{
	u64 i;

	INIT_WORK(&store->only_work, only_work);
	store->sequence = kvmalloc_array(store->layout.map_pages, sizeof(u64), GFP_KERNEL);
	/* Behind the pages: the round's copy of a page's words, a superblock. */
	store->buffer = vmalloc((SLUICE_ROUND_PAGES + 2) * SLUICE_MEDIA_BYTES);
	store->ios = kvcalloc(SLUICE_ROUND_PAGES, sizeof(*store->ios), GFP_KERNEL);
	if (!store->sequence || !store->buffer || !store->ios) {
		sluice_store_exit(store);
		return -ENOMEM;
	}
	for (i = 0; i < store->layout.map_pages; i++)
		store->sequence[i] = SLUICE_FIRST_SEQUENCE;
	return 0;
}

void sluice_store_exit(struct sluice_store *store)
{
	kvfree(store->sequence);
	vfree(store->buffer);
	kvfree(store->ios);
	store->sequence = NULL;
	store->buffer = NULL;
	store->ios = NULL;
}

int sluice_store_write_super(struct sluice_device *dev)
{
	struct sluice_store *store = &dev->store;
	void *buf = store->buffer + (SLUICE_ROUND_PAGES + 1) * SLUICE_MEDIA_BYTES;
	int i, copy = !store->good, err = 0;

	store->super.sequence++;
	/*
	 * One copy after the other, each durable before the next is touched, and first what
	 * may be damaged: at any moment one of them is whole.
	 */
	for (i = 0; i < 2 && !err; i++, copy = !copy) {
		sluice_super_encode(&store->super, buf);
		err = sluice_local_rw(dev->local, REQ_OP_WRITE | REQ_SYNC | REQ_PREFLUSH | REQ_FUA,
				      store->layout.super_offset[copy], buf, SLUICE_MEDIA_BYTES);
		if (!err)
			store->good = copy;
	}
	return err;
}

int sluice_store_format(struct sluice_device *dev)
{
	struct sluice_store *store = &dev->store;
	u64 *words;
	u64 page, n, i;
	u8 *buf;
	int err;

	buf = vzalloc(PIECE_PAGES * SLUICE_MEDIA_BYTES);
	words = kvcalloc(SLUICE_PAGE_WORDS, sizeof(u64), GFP_KERNEL);
	err = -ENOMEM;
	if (!buf || !words)
		goto out_free;
	/* An older deployment's superblocks go first, its map is void after. */
	for (i = 0; i < 2; i++) {
		err = sluice_local_rw(dev->local, REQ_OP_WRITE | REQ_SYNC | REQ_FUA,
				      store->layout.super_offset[i], buf, SLUICE_MEDIA_BYTES);
		if (err)
			goto out_free;
	}
	/*
	 * Slot 1 is left as it is: nothing there can carry the new uuid. Map
	 * pages of the new uuid are durable before a superblock names it.
	 */
	for (page = 0; page < store->layout.map_pages; page += n) {
		n = min_t(u64, PIECE_PAGES, store->layout.map_pages - page);
		for (i = 0; i < n; i++)
			sluice_page_encode(buf + i * SLUICE_MEDIA_BYTES, store->super.uuid,
					   page + i, SLUICE_FIRST_SEQUENCE, words);
		err = sluice_local_rw(dev->local, REQ_OP_WRITE | REQ_SYNC,
				      store->layout.slot_offset[0] + page * SLUICE_MEDIA_BYTES,
				      buf, n * SLUICE_MEDIA_BYTES);
		if (err)
			goto out_free;
		cond_resched();
	}
	err = sluice_store_write_super(dev);
out_free:
	kvfree(words);
	vfree(buf);
	return err;
}

static int refuse(struct sluice_open *o, enum sluice_refusal why, int err)
{
	o->refusal = why;
	return err;
}

/* Decodes both copies; the newer valid one counts. */
static int read_super(struct sluice_device *dev, struct sluice_open *o)
{
	struct sluice_store *store = &dev->store;
	struct sluice_super *copies;
	bool damaged = false, newer = false;
	int err, copy, best = -1, unreadable = 0;
	void *buf;

	buf = vmalloc(SLUICE_MEDIA_BYTES);
	copies = kvcalloc(2, sizeof(*copies), GFP_KERNEL);
	err = -ENOMEM;
	if (!buf || !copies)
		goto out_free;
	for (copy = 0; copy < 2; copy++) {
		err = sluice_local_rw(dev->local, REQ_OP_READ | REQ_SYNC,
				      store->layout.super_offset[copy], buf, SLUICE_MEDIA_BYTES);
		/* That is what the other copy is for. */
		if (err) {
			unreadable = err;
			continue;
		}
		err = sluice_super_decode(&copies[copy], buf);
		damaged |= err == -EUCLEAN;
		newer |= err == -EPROTONOSUPPORT;
		if (!err && (best < 0 || copies[copy].sequence > copies[best].sequence))
			best = copy;
	}
	if (newer) {
		/* Even beside a copy of ours: a newer Sluice was at work. */
		err = refuse(o, SLUICE_REFUSED_VERSION, -EPROTONOSUPPORT);
	} else if (best >= 0) {
		store->super = copies[best];
		store->good = best;
		err = 0;
	} else if (unreadable) {
		err = unreadable;
	} else if (damaged) {
		err = refuse(o, SLUICE_REFUSED_SUPERBLOCK, -EUCLEAN);
	} else {
		err = refuse(o, SLUICE_REFUSED_NO_SUPERBLOCK, -ENODATA);
	}
out_free:
	kvfree(copies);
	vfree(buf);
	return err;
}

int sluice_store_find(struct sluice_device *dev, struct sluice_open *o)
{
	struct sluice_store *store = &dev->store;
	struct sluice_super *sb = &store->super;
	u64 disk_bytes = bdev_nr_bytes(dev->local);
	int err;

	/* Where the superblocks are depends on the disk's size only. */
	err = sluice_layout_init(&store->layout, disk_bytes, 0);
	if (err)
		return refuse(o, SLUICE_REFUSED_TOO_SMALL, err);
	err = read_super(dev, o);
	if (err)
		return err;
	if (sb->disk_bytes != disk_bytes ||
	    (sb->local_id[0] && o->local_id[0] &&
	     strncmp(sb->local_id, o->local_id, sizeof(sb->local_id))))
		return refuse(o, SLUICE_REFUSED_DISK, -ESTALE);
	if ((o->flags & SLUICE_OPEN_UUID) && memcmp(sb->uuid, o->uuid, sizeof(sb->uuid)))
		return refuse(o, SLUICE_REFUSED_UUID, -ESTALE);
	if ((o->flags & SLUICE_OPEN_IDENTITY) && !sluice_identity_equal(&sb->identity, &o->identity))
		return refuse(o, SLUICE_REFUSED_IMAGE, -ESTALE);
	if (sluice_layout_init(&store->layout, disk_bytes, sb->namespace_bytes))
		return refuse(o, SLUICE_REFUSED_SUPERBLOCK, -EUCLEAN);
	return 0;
}

int sluice_store_load(struct sluice_device *dev, u64 *damaged)
{
	struct sluice_store *store = &dev->store;
	const struct sluice_layout *layout = &store->layout;
	u8 *buf[2];
	u64 *words;
	u64 page, n, i;
	int err, slot;

	buf[0] = vmalloc(PIECE_PAGES * SLUICE_MEDIA_BYTES);
	buf[1] = vmalloc(PIECE_PAGES * SLUICE_MEDIA_BYTES);
	words = kvcalloc(SLUICE_PAGE_WORDS, sizeof(u64), GFP_KERNEL);
	err = -ENOMEM;
	if (!buf[0] || !buf[1] || !words)
		goto out_free;
	for (page = 0; page < layout->map_pages; page += n) {
		n = min_t(u64, PIECE_PAGES, layout->map_pages - page);
		for (slot = 0; slot < 2; slot++) {
			err = sluice_local_rw(dev->local, REQ_OP_READ,
					      layout->slot_offset[slot] + page * SLUICE_MEDIA_BYTES,
					      buf[slot], n * SLUICE_MEDIA_BYTES);
			/* Unreadable is not torn: the other slot may be older. */
			if (err)
				goto out_free;
		}
		for (i = 0; i < n; i++) {
			err = sluice_page_pick(buf[0] + i * SLUICE_MEDIA_BYTES,
					       buf[1] + i * SLUICE_MEDIA_BYTES, store->super.uuid,
					       page + i, &store->sequence[page + i], words);
			if (err) {
				*damaged = page + i;
				goto out_free;
			}
			sluice_map_load_page(&dev->map, page + i, words);
		}
		cond_resched();
	}
	err = 0;
out_free:
	kvfree(words);
	vfree(buf[0]);
	vfree(buf[1]);
	return err;
}

static void page_written(struct bio *bio)
{
	struct round_wait *wait = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(wait->status, bio->bi_status);
	if (atomic_dec_and_test(&wait->pending))
		complete(&wait->done);
}

/* The i-th page of the round: its bits, for the slot that is the older one. */
static void prepare_page(struct sluice_device *dev, unsigned int i, u64 page)
{
	struct sluice_store *store = &dev->store;
	/* One round at a time: too large for a stack. */
	u64 *words = store->buffer + SLUICE_ROUND_PAGES * SLUICE_MEDIA_BYTES;

	sluice_map_copy_page(&dev->map, page, words);
	sluice_page_encode(store->buffer + i * SLUICE_MEDIA_BYTES, store->super.uuid, page,
			   store->sequence[page] + 1, words);
}

static struct bio *page_bio(struct sluice_device *dev, unsigned int i, u64 page, blk_opf_t opf)
{
	struct sluice_store *store = &dev->store;
	struct sluice_store_io *io = &store->ios[i];
	u64 seq = store->sequence[page] + 1;

	bio_init(&io->bio, dev->local, &io->vec, 1, opf);
	io->bio.bi_iter.bi_sector =
		(store->layout.slot_offset[seq & 1] + page * SLUICE_MEDIA_BYTES) >> SECTOR_SHIFT;
	sluice_local_add(&io->bio, store->buffer + i * SLUICE_MEDIA_BYTES, SLUICE_MEDIA_BYTES);
	return &io->bio;
}

static int write_pages(struct sluice_device *dev, const u64 *pages, unsigned int n, blk_opf_t opf)
{
	struct sluice_store *store = &dev->store;
	struct round_wait wait = { .pending = ATOMIC_INIT(n) };
	unsigned int i;

	init_completion(&wait.done);
	for (i = 0; i < n; i++) {
		struct bio *bio = page_bio(dev, i, pages[i], opf);

		bio->bi_end_io = page_written;
		bio->bi_private = &wait;
		submit_bio(bio);
	}
	wait_for_completion_io(&wait.done);
	for (i = 0; i < n; i++) {
		bio_uninit(&store->ios[i].bio);
		if (!wait.status)
			store->sequence[pages[i]]++;
	}
	return blk_status_to_errno(wait.status);
}

/* A host's own flush that failed beside a round may have been told of its data. */
static int flushed(struct sluice_device *dev, int err)
{
	return err ?: READ_ONCE(dev->flush_lost) ? -EIO : 0;
}

static int flush_local(struct sluice_device *dev)
{
	return flushed(dev, blkdev_issue_flush(dev->local));
}

int sluice_store_sync(struct sluice_device *dev)
{
	u64 pages[SLUICE_ROUND_PAGES];
	bool fua = sluice_local_fua(dev);
	u64 from = 0;
	unsigned int n, i, total = 0;
	int err;

	if (READ_ONCE(dev->flush_lost))
		sluice_device_fail(dev, "flushing its local disk", -EIO);
	if (dev->store.lost)
		sluice_device_fail(dev, "writing its residency map", dev->store.lost);
	if (READ_ONCE(dev->failed))
		return -EIO;
	do {
		n = sluice_map_take_dirty(&dev->map, &from, pages, SLUICE_ROUND_PAGES);
		for (i = 0; i < n; i++)
			prepare_page(dev, i, pages[i]);
		sluice_map_flushing(&dev->map);
		err = flush_local(dev);
		/*
		 * A single page goes with FUA where the disk has it: a second
		 * flush would also write what the host did not ask for.
		 */
		if (!err && n)
			err = write_pages(dev, pages, n, REQ_OP_WRITE | REQ_SYNC | REQ_META |
					  (n == 1 && fua ? REQ_FUA : 0));
		if (!err && n && !(n == 1 && fua))
			err = flush_local(dev);
		trace_sluice_sync(dev->index, n, err);
		if (err) {
			sluice_device_fail(dev, "writing its residency map", err);
			return err;
		}
		sluice_map_put_dirty(&dev->map, pages, n);
		total += n;
	} while (n == SLUICE_ROUND_PAGES);
	if (total)
		atomic64_inc(&dev->count.flush_rounds);
	return 0;
}

/*
 * A round of one page is a flush, the page, and a flush where the disk has no FUA. The end
 * of one is no place to submit the next: a worker does, and does not wait. As one request
 * with REQ_PREFLUSH and REQ_FUA it would need none of ours, but dm writes the data of such
 * a request even where its flush has failed.
 */
static void only_submit(struct sluice_device *dev)
{
	struct sluice_store *store = &dev->store;
	struct bio *bio = &store->ios[0].bio;

	if (store->step == WRITE_PAGE)
		page_bio(dev, 0, store->only, REQ_OP_WRITE | REQ_SYNC | REQ_META |
			 (store->fua ? REQ_FUA : 0));
	else
		bio_init(bio, dev->local, NULL, 0, REQ_OP_WRITE | REQ_SYNC | REQ_PREFLUSH);
	bio->bi_end_io = only_ended;
	bio->bi_private = dev;
	submit_bio_noacct(bio);
}

static void only_work(struct work_struct *work)
{
	only_submit(container_of(work, struct sluice_device, store.only_work));
}

static void only_done(struct sluice_device *dev, int err)
{
	struct sluice_store *store = &dev->store;

	trace_sluice_sync(dev->index, 1, err);
	store->lost = err;
	if (!err) {
		store->sequence[store->only]++;
		sluice_map_put_dirty(&dev->map, &store->only, 1);
		atomic64_inc(&dev->count.flush_rounds);
	}
	store->only_done(dev, err);
}

static void only_ended(struct bio *bio)
{
	struct sluice_device *dev = bio->bi_private;
	struct sluice_store *store = &dev->store;
	int err = blk_status_to_errno(bio->bi_status);

	bio_uninit(bio);
	if (store->step != WRITE_PAGE)
		err = flushed(dev, err);
	if (!err && store->step != (store->fua ? WRITE_PAGE : FLUSH_PAGE)) {
		store->step++;
		queue_work(dev->io_wq, &store->only_work);
		return;
	}
	only_done(dev, err);
}

static void beside_ended(struct bio *bio)
{
	struct sluice_device *dev = bio->bi_private;
	struct sluice_store *store = &dev->store;

	if (bio->bi_status)
		WRITE_ONCE(store->status, bio->bi_status);
	bio_uninit(bio);
	if (atomic_dec_and_test(&store->pending))
		only_done(dev, flushed(dev, blk_status_to_errno(READ_ONCE(store->status))));
}

/* The page and the flush at once: the copy has no bit whose data needs that flush. */
static void only_beside(struct sluice_device *dev)
{
	struct sluice_store *store = &dev->store;
	struct bio *page, *flush = &store->ios[1].bio;

	page = page_bio(dev, 0, store->only, REQ_OP_WRITE | REQ_SYNC | REQ_META | REQ_FUA);
	bio_init(flush, dev->local, NULL, 0, REQ_OP_WRITE | REQ_SYNC | REQ_PREFLUSH);
	page->bi_end_io = flush->bi_end_io = beside_ended;
	page->bi_private = flush->bi_private = dev;
	store->status = BLK_STS_OK;
	atomic_set(&store->pending, 2);
	submit_bio_noacct(page);
	submit_bio_noacct(flush);
}

bool sluice_store_sync_one(struct sluice_device *dev,
			   void (*done)(struct sluice_device *dev, int err))
{
	struct sluice_store *store = &dev->store;

	if (READ_ONCE(dev->flush_lost) || READ_ONCE(dev->failed) || store->lost ||
	    !sluice_map_take_only_dirty(&dev->map, &store->only))
		return false;
	prepare_page(dev, 0, store->only);
	store->step = FLUSH_DATA;
	store->fua = sluice_local_fua(dev);
	store->only_done = done;
	/* Asked after the copy was made: what is set from now on is not in it. */
	if (store->fua && !sluice_map_unflushed(&dev->map)) {
		only_beside(dev);
	} else {
		sluice_map_flushing(&dev->map);
		only_submit(dev);
	}
	return true;
}
