/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module's files share.
 *
 * Lock order, outermost first:
 *
 *	sluice_devices_lock	mutex	the list of devices, open and close
 *	dev->admin_lock		mutex	attach, complete, superblock writes
 *	disk->open_mutex	mutex	the block layer's; only in close
 *	bucket->lock		irq	claims, waiters, words of the map
 *	map->dirty_lock		irq	dirty and syncing pages
 *	dev->work_lock		irq	lists that hand requests to workers
 *	dev->att_lock		irq	dev->att, its ring and its liveness
 *	att->pool_lock		irq	ownership of pool blocks
 *
 * No two buckets are locked at once; the last three are leaves.
 *
 * A host request runs: request.c looks at the map. All resident: the bio goes
 * to the local disk and is forgotten. Otherwise it is split, and a piece over
 * missing blocks becomes a sluice_part (park.c), which waits, claims and writes.
 * Commits are fill.c, durability is flush.c over store.c.
 */
#ifndef SLUICE_H
#define SLUICE_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat/compat.h"
#include "map.h"
#include "media.h"
#include "validate.h"

struct file;
struct io_uring_cmd;
struct sluice_device;
struct vm_area_struct;

#define SLUICE_BLOCK_SECTORS (SLUICE_BLOCK_SIZE >> SECTOR_SHIFT)

/* How often deadlines are looked at: a request may wait this much longer. */
#define SLUICE_DEADLINE_TICK_MS	100
/* Silence of a daemon after which another one may take its place. */
#define SLUICE_WATCHDOG_MS	30000
/* Bits become durable after at most this, without a host flush. */
#define SLUICE_SYNC_MS		1000
/*
 * Pieces of host requests held at once: more wait outside, in the host's own
 * bios. 4096 pieces cost 1.5 MiB, and cover any NVMe queue at full depth.
 */
#define SLUICE_MAX_PARTS	4096
/*
 * Of these, what only the local disk can hold up: a host that fills the rest
 * with misses can still write whole blocks.
 */
#define SLUICE_LOCAL_PARTS	512
/* Map pages written in one go: 32 cover 4 GiB of the namespace. */
#define SLUICE_ROUND_PAGES	32

struct sluice_store {
	struct sluice_layout layout;
	struct sluice_super super;
	u64 *sequence;			/* of each map page's newest copy */
	void *buffer;			/* SLUICE_ROUND_PAGES encoded pages */
	int good;			/* a copy of the superblock that is whole */
	struct sluice_store_io *ios;	/* as many bios */

	/* A round of one page; lost: why it failed, which the next one says. */
	u64 only;
	int step, lost;
	bool fua;
	atomic_t pending;		/* of the page and a flush beside it */
	blk_status_t status;
	void (*only_done)(struct sluice_device *dev, int err);
	struct work_struct only_work;
};

struct sluice_counters {
	atomic64_t parked_total;
	atomic64_t expired;
	atomic64_t fill_blocks;
	atomic64_t host_blocks;
	atomic64_t served_blocks;
	atomic64_t flush_rounds;
};

struct sluice_device {
	/* Read by every request. */
	struct block_device *local;
	bool complete;			/* only remap; set once, with release */
	bool dead;			/* the local disk is gone */
	bool closing;			/* written under admin_lock and att_lock */
	bool ready;			/* written under sluice_devices_lock, with release */
	bool failed;			/* sticky metadata failure */
	bool flush_lost;		/* the next round makes it one */
	u64 capacity;			/* sectors */
	struct sluice_map map;
	u64 __percpu *host_seq;

	struct gendisk *disk;
	struct sluice_bdev local_handle;
	struct sluice_store store;
	struct list_head list;
	int index;
	char name[SLUICE_NAME_LEN];
	struct kref ref;
	struct mutex admin_lock;

	/* Parts; with reserves of their own for those that wait for no daemon. */
	mempool_t part_pool[2];
	struct bio_set split_set[2];
	struct bio_set fill_set;
	mempool_t fill_pool;
	atomic_t parts;			/* in flight */
	atomic_t fills;			/* commits in flight, of any attachment */
	atomic_t parked;
	wait_queue_head_t parts_wait;
	u32 deadline_ms;
	struct workqueue_struct *io_wq;
	struct workqueue_struct *defer_wq;
	struct workqueue_struct *local_wq;
	struct workqueue_struct *zero_wq;

	/* Handed to workers; guarded by work_lock. */
	spinlock_t work_lock;
	struct list_head kicked;	/* parts to look at again */
	struct bio_list deferred;	/* host bios without memory or quota */
	struct bio_list deferred_local;	/* the same, that wait for no daemon */
	struct bio_list flush_pre;	/* flush, then go on */
	struct bio_list flush_post;	/* flush, then end */
	struct list_head flush_waiters;
	atomic_t first_writes;		/* of the host to missing blocks since its last flush */
	unsigned int commits;		/* how often it flushed after just one; at most 2 */
	struct bio *rounding;		/* who has a round of his own */
	struct bio passing;		/* of a flush that is passed on alone */
	unsigned long passing_used;	/* bit 0 */
	bool round;			/* there is one */
	bool round_again;		/* the worker has found it so */
	struct work_struct kick_work;
	struct work_struct defer_work;
	struct work_struct defer_local_work;
	struct work_struct flush_work;
	struct delayed_work sync_work;
	struct delayed_work deadline_work;

	/* The daemon's hold. */
	spinlock_t att_lock;
	struct sluice_attachment *att;
	u64 generation;

	struct sluice_counters count;
};

/* A piece of a host request, inside one region, that cannot just be remapped. */
struct sluice_part {
	struct sluice_waiter waiter;	/* first: woken lists are lists of these */
	struct sluice_claim claim;
	struct sluice_device *dev;
	struct bio *bio;		/* the host's piece */
	struct bio clone;		/* of it, for the local disk */
	unsigned long expires;		/* jiffies */
	u64 region;
	u64 mask;			/* blocks touched */
	u64 need;			/* read: blocks not yet in the bio */
	u64 reading;			/* read: of these, what the clone reads */
	u64 partial;			/* write: blocks touched only in part */
	bool waits;			/* came from the reserve of what may wait for the daemon */
	bool timed;			/* waits for the daemon: has a deadline */
	bool durable;			/* end only when data and bits are durable */
};

/* request.c: the path of a host request. */
void sluice_submit_bio(struct bio *bio);
/* Goes on with a bio in a worker; may sleep, ends or passes on every piece. */
void sluice_request_resume(struct sluice_device *dev, struct bio *bio);
void sluice_request_remap(struct sluice_device *dev, struct bio *bio);
void sluice_defer_work(struct work_struct *work);
void sluice_defer_local_work(struct work_struct *work);

/* park.c: parts, from birth to the end of their bio. */
int sluice_park_init(void);
void sluice_park_exit(void);
int sluice_park_init_device(struct sluice_device *dev);
void sluice_park_exit_device(struct sluice_device *dev);
/*
 * A part for bio, which lies in one region; NULL when there is no memory or no
 * quota and gfp does not allow to wait. Takes over the bio.
 */
struct sluice_part *sluice_part_alloc(struct sluice_device *dev, struct bio *bio, gfp_t gfp);
/* One of dev->parts or dev->fills less in flight. Any context. */
void sluice_inflight_put(struct sluice_device *dev, atomic_t *count);
/* Whether the bio may have to wait for the daemon. */
bool sluice_part_waits(const struct sluice_device *dev, const struct bio *bio);
/* Makes progress with a part as far as the map allows now. Does not sleep. */
void sluice_part_advance(struct sluice_part *part);
/* Hands parts (a list of waiters) to the kick worker. Any context. */
void sluice_park_kick(struct sluice_device *dev, struct list_head *woken);
/*
 * Copies image data of claimed, still missing blocks into the reads that wait
 * for them; src is the data of block first, NULL for zeroes. mask: the claim.
 */
void sluice_park_serve(struct sluice_device *dev, u64 region, u64 mask, u64 first,
		       const u8 *src);
/* Ends every timed part with the retryable status. May sleep. */
void sluice_park_fail_all(struct sluice_device *dev);
/* Raises the events of every parked part again. May sleep. */
void sluice_park_offer_all(struct sluice_device *dev);

/* fill.c: commits from the daemon. */
int sluice_fill_init(void);
void sluice_fill_exit(void);
int sluice_fill_init_device(struct sluice_device *dev);
void sluice_fill_exit_device(struct sluice_device *dev);
/*
 * Starts a commit; c is the kernel's own copy. -EIOCBQUEUED when it was
 * accepted and will complete cmd, else -errno and nothing was done.
 */
int sluice_fill_start(struct sluice_attachment *att, const struct sluice_commit *c,
		      struct io_uring_cmd *cmd);

/* flush.c: rounds of durability. */
void sluice_flush_init_device(struct sluice_device *dev);
/* bio has REQ_PREFLUSH: flush first, then end it or go on with its data. */
void sluice_flush_then_resume(struct sluice_device *dev, struct bio *bio);
/* An empty flush, every bit durable: the local disk's own, beside others. */
void sluice_flush_pass_on(struct sluice_device *dev, struct bio *bio);
/*
 * A write of missing blocks begins: will the host flush behind it alone? Then its data
 * should be written with FUA, which the local disk has. A guess; any context.
 */
bool sluice_flush_expected(struct sluice_device *dev);
/* The bio's data is written; end it when everything is durable. Any context. */
void sluice_flush_then_end(struct sluice_device *dev, struct bio *bio);
/* Makes everything durable now. May sleep. 0 or -EIO. */
int sluice_flush_now(struct sluice_device *dev);
/* Bits were set: sees to it that they get durable. Any context. */
void sluice_flush_soon(struct sluice_device *dev);

/* store.c: super blocks and map pages on the local disk. May sleep. */
int sluice_store_init(struct sluice_store *store);
void sluice_store_exit(struct sluice_store *store);
/* Writes fresh metadata described by store->super and store->layout. */
int sluice_store_format(struct sluice_device *dev);
/* Finds and checks what the disk holds; sets o->refusal. Does not read the map. */
int sluice_store_find(struct sluice_device *dev, struct sluice_open *o);
/* Reads the map. -EUCLEAN with *damaged the page that has no valid slot. */
int sluice_store_load(struct sluice_device *dev, u64 *damaged);
/* Writes both superblock copies and flushes. Under admin_lock or before use. */
int sluice_store_write_super(struct sluice_device *dev);
/* One round: every bit set before the call is durable after it. One at a time. */
int sluice_store_sync(struct sluice_device *dev);
/*
 * Begins the same where just one page is dirty, without sleeping; false: it cannot. done()
 * is called in any context; after an error sluice_store_sync() fails, and the device.
 */
bool sluice_store_sync_one(struct sluice_device *dev,
			   void (*done)(struct sluice_device *dev, int err));

/* attach.c: a daemon's hold on a device. */
struct sluice_attachment {
	struct kref ref;
	struct sluice_device *dev;
	const void *owner;		/* the attaching process's file table */
	u64 generation;
	bool dead;			/* written under dev->att_lock */
	unsigned int inflight;		/* commits; written under dev->att_lock */
	u32 tail;			/* guarded by dev->att_lock */
	u32 ring_events;
	struct sluice_ring *ring;
	size_t ring_bytes;
	u8 *pool;
	u32 pool_blocks;
	unsigned long last_seen;	/* jiffies */
	unsigned long watchdog;		/* jiffies */
	unsigned long *busy;		/* pool blocks of commits in flight */
	spinlock_t pool_lock;
	wait_queue_head_t wait;		/* events, the end: polled */
	wait_queue_head_t drained;	/* no commit in flight */
};

int sluice_attach(struct sluice_device *dev, const void *owner, struct sluice_attach *a,
		  struct sluice_attachment **attp);
/* Ends an attachment; commits in flight still complete. Any number of times. */
void sluice_attach_end(struct sluice_attachment *att);
void sluice_attach_put(struct sluice_attachment *att);
/* For commits: 0, -ENOLINK or -ESTALE; accounts one in flight until done. */
int sluice_attach_begin(struct sluice_attachment *att, u64 generation);
void sluice_attach_done(struct sluice_attachment *att);
/* 0, -ENOLINK or -ESTALE; a sign of life. */
int sluice_attach_check(struct sluice_attachment *att, u64 generation);
/* Owns a run of pool blocks; -EBUSY. */
int sluice_pool_take(struct sluice_attachment *att, u32 block, u32 blocks);
void sluice_pool_give(struct sluice_attachment *att, u32 block, u32 blocks);
int sluice_attach_mmap(struct sluice_attachment *att, struct vm_area_struct *vma);
bool sluice_attach_readable(struct sluice_attachment *att);
/* Raises events for the runs of mask, to whatever daemon is there. */
void sluice_event_raise(struct sluice_device *dev, u64 region, u64 mask, u32 kind);

/* device.c: deployments. */
extern struct mutex sluice_devices_lock;
void sluice_device_exit(void);
int sluice_device_open(struct sluice_open *o);
int sluice_device_close(u32 index);
/* A counted reference, or NULL. */
struct sluice_device *sluice_device_get(u32 index);
void sluice_device_put(struct sluice_device *dev);
int sluice_device_complete(struct sluice_device *dev, struct sluice_attachment *att,
			   u64 generation);
void sluice_device_stat(struct sluice_device *dev, struct sluice_stat *stat);
int sluice_device_set(struct sluice_device *dev, const struct sluice_set *set);
/* The sticky failure: said once, refused from then on. May sleep. */
void sluice_device_fail(struct sluice_device *dev, const char *what, int err);

/* local.c: the local disk. May sleep. */
int sluice_local_open(struct sluice_device *dev, u32 major, u32 minor);
void sluice_local_close(struct sluice_device *dev);
/*
 * Is what was written with FUA durable by itself, so that its failure is no failed flush,
 * which others would have to be told of? Any context.
 */
bool sluice_local_fua(const struct sluice_device *dev);
/* buf is as below; bytes a multiple of 4096. */
int sluice_local_rw(struct block_device *bdev, blk_opf_t opf, u64 offset, void *buf,
		    size_t bytes);
/*
 * Adds the first bytes of buf to a bio with a free segment, as far as one page holds them:
 * returns how many. buf is kernel memory, linear or vmalloc'ed, aligned as the local
 * disk's sectors are and not as pages: one may hold several blocks.
 */
unsigned int sluice_local_add(struct bio *bio, void *buf, u64 bytes);

/* control.c: the control node. */
int sluice_control_init(void);
void sluice_control_exit(void);

/* sysfs.c */
extern const struct attribute_group *sluice_sysfs_groups[];

/* Of several errors of a bio's pieces one is kept. Before bio_endio(). */
static inline void sluice_bio_note_error(struct bio *bio, blk_status_t status)
{
	/* Another piece may end now and do the same in bio_chain()'s completion. */
	if (status && !data_race(bio->bi_status))
		/* One byte, and any of the errors will do. */
		data_race(bio->bi_status = status);
}

static inline u64 sluice_bio_first_block(const struct bio *bio)
{
	return bio->bi_iter.bi_sector / SLUICE_BLOCK_SECTORS;
}

/* Blocks touched, also in part; 0 for an empty bio. */
static inline u64 sluice_bio_blocks(const struct bio *bio)
{
	if (!bio_sectors(bio))
		return 0;
	return (bio_end_sector(bio) - 1) / SLUICE_BLOCK_SECTORS - sluice_bio_first_block(bio) + 1;
}

#endif /* SLUICE_H */
