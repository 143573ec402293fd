// SPDX-License-Identifier: GPL-2.0-only
/*
 * A daemon's hold on a device: the event ring, the buffer pool, and the number
 * that tells its commands from those of its predecessors.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "sluice.h"
#include "trace.h"

static void attach_free(struct kref *ref)
{
	struct sluice_attachment *att = container_of(ref, struct sluice_attachment, ref);

	sluice_device_put(att->dev);
	bitmap_free(att->busy);
	vfree(att->pool);
	vfree(att->ring);
	kfree(att);
}

void sluice_attach_put(struct sluice_attachment *att)
{
	kref_put(&att->ref, attach_free);
}

static struct sluice_attachment *attach_alloc(const struct sluice_attach *a)
{
	struct sluice_attachment *att = kzalloc(sizeof(*att), GFP_KERNEL);

	if (!att)
		return NULL;
	att->ring_events = a->ring_events;
	att->ring_bytes = PAGE_ALIGN(struct_size(att->ring, events, a->ring_events));
	att->ring = vmalloc_user(att->ring_bytes);
	att->pool_blocks = a->pool_blocks;
	att->pool = vmalloc_user(PAGE_ALIGN((size_t)a->pool_blocks * SLUICE_BLOCK_SIZE));
	att->busy = bitmap_zalloc(a->pool_blocks, GFP_KERNEL);
	if (!att->ring || !att->pool || !att->busy) {
		bitmap_free(att->busy);
		vfree(att->pool);
		vfree(att->ring);
		kfree(att);
		return NULL;
	}
	att->ring->entries = a->ring_events;
	kref_init(&att->ref);
	spin_lock_init(&att->pool_lock);
	init_waitqueue_head(&att->wait);
	init_waitqueue_head(&att->drained);
	return att;
}

int sluice_attach(struct sluice_device *dev, const void *owner, struct sluice_attach *a,
		  struct sluice_attachment **attp)
{
	struct sluice_attachment *att, *old;
	unsigned long flags;
	int err = 0;

	att = attach_alloc(a);
	if (!att)
		return -ENOMEM;
	att->owner = owner;
	att->last_seen = jiffies;
	att->watchdog = msecs_to_jiffies(a->watchdog_ms ?: SLUICE_WATCHDOG_MS);
	kref_get(&dev->ref);
	att->dev = dev;

	mutex_lock(&dev->admin_lock);
	spin_lock_irqsave(&dev->att_lock, flags);
	old = dev->att;
	if (dev->closing)
		err = -ENODEV;
	else if (old && time_before(jiffies, READ_ONCE(old->last_seen) + old->watchdog))
		err = -EBUSY;
	if (!err) {
		if (old) {
			WRITE_ONCE(old->dead, true);
			wake_up_all(&old->wait);
		}
		att->generation = ++dev->generation;
		/* dev->att holds no reference: the file does, until it ends it. */
		dev->att = att;
	}
	spin_unlock_irqrestore(&dev->att_lock, flags);
	mutex_unlock(&dev->admin_lock);
	if (err) {
		sluice_attach_put(att);
		return err;
	}
	if (old)
		pr_warn("sluice: %s: the daemon was silent for too long; another one takes over\n",
			dev->store.super.name);
	trace_sluice_attach(dev->index, att->generation);
	a->generation = att->generation;
	a->namespace_bytes = dev->capacity << SECTOR_SHIFT;
	a->map_bytes = dev->map.words_bytes;
	a->ring_bytes = att->ring_bytes;
	a->pool_bytes = PAGE_ALIGN((size_t)att->pool_blocks * SLUICE_BLOCK_SIZE);
	memcpy(a->uuid, dev->store.super.uuid, sizeof(a->uuid));
	a->identity = dev->store.super.identity;
	*attp = att;
	sluice_park_offer_all(dev);
	return 0;
}

void sluice_attach_end(struct sluice_attachment *att)
{
	struct sluice_device *dev = att->dev;
	unsigned long flags;
	bool was_ours;

	spin_lock_irqsave(&dev->att_lock, flags);
	was_ours = dev->att == att;
	if (was_ours)
		dev->att = NULL;
	WRITE_ONCE(att->dead, true);
	spin_unlock_irqrestore(&dev->att_lock, flags);
	wake_up_all(&att->wait);
	if (was_ours)
		trace_sluice_attach_end(dev->index, att->generation);
}

int sluice_attach_begin(struct sluice_attachment *att, u64 generation)
{
	struct sluice_device *dev = att->dev;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&dev->att_lock, flags);
	if (att->dead) {
		err = -ENOLINK;
	} else if (generation != att->generation) {
		err = -ESTALE;
	} else {
		WRITE_ONCE(att->inflight, att->inflight + 1);
		/* Under the lock that closing takes: it waits for this one. */
		atomic_inc(&dev->fills);
	}
	spin_unlock_irqrestore(&dev->att_lock, flags);
	if (!err)
		WRITE_ONCE(att->last_seen, jiffies);
	return err;
}

void sluice_attach_done(struct sluice_attachment *att)
{
	struct sluice_device *dev = att->dev;
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&dev->att_lock, flags);
	last = att->inflight == 1;
	/* Detaching looks without the lock: what the commit did is seen then. */
	smp_store_release(&att->inflight, att->inflight - 1);
	spin_unlock_irqrestore(&dev->att_lock, flags);
	if (last)
		/* Not those who poll: nothing is new for them. */
		wake_up_all(&att->drained);
	sluice_inflight_put(dev, &dev->fills);
}

int sluice_attach_check(struct sluice_attachment *att, u64 generation)
{
	int err = sluice_attach_begin(att, generation);

	if (!err)
		sluice_attach_done(att);
	return err;
}

int sluice_pool_take(struct sluice_attachment *att, u32 block, u32 blocks)
{
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&att->pool_lock, flags);
	if (find_next_bit(att->busy, block + blocks, block) < block + blocks)
		err = -EBUSY;
	else
		bitmap_set(att->busy, block, blocks);
	spin_unlock_irqrestore(&att->pool_lock, flags);
	return err;
}

void sluice_pool_give(struct sluice_attachment *att, u32 block, u32 blocks)
{
	unsigned long flags;

	spin_lock_irqsave(&att->pool_lock, flags);
	bitmap_clear(att->busy, block, blocks);
	spin_unlock_irqrestore(&att->pool_lock, flags);
}

int sluice_attach_mmap(struct sluice_attachment *att, struct vm_area_struct *vma)
{
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	size_t size = vma->vm_end - vma->vm_start, want;
	void *mem;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	switch (offset) {
	case SLUICE_MMAP_MAP:
		mem = att->dev->map.words;
		want = att->dev->map.words_bytes;
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
		/* Nor later, by mprotect(). */
		vm_flags_clear(vma, VM_MAYWRITE);
		break;
	case SLUICE_MMAP_RING:
		mem = att->ring;
		want = att->ring_bytes;
		break;
	case SLUICE_MMAP_POOL:
		mem = att->pool;
		want = PAGE_ALIGN((size_t)att->pool_blocks * SLUICE_BLOCK_SIZE);
		break;
	default:
		return -EINVAL;
	}
	if (size != want)
		return -EINVAL;
	/* A forked child has no business with any of them. */
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND);
	return remap_vmalloc_range(vma, mem, 0);
}

bool sluice_attach_readable(struct sluice_attachment *att)
{
	struct sluice_device *dev = att->dev;
	unsigned long flags;
	bool readable;

	spin_lock_irqsave(&dev->att_lock, flags);
	readable = att->dead || att->tail != READ_ONCE(att->ring->head) ||
		   (READ_ONCE(att->ring->flags) & SLUICE_RING_OVERFLOW);
	spin_unlock_irqrestore(&dev->att_lock, flags);
	return readable;
}

static void ring_push(struct sluice_attachment *att, u64 block, u32 blocks, u32 kind)
{
	struct sluice_ring *ring = att->ring;
	struct sluice_event *event = &ring->events[att->tail & (att->ring_events - 1)];

	/* head is the daemon's: a nonsensical one reads as a full ring. */
	if (att->tail - READ_ONCE(ring->head) >= att->ring_events) {
		WRITE_ONCE(ring->flags, SLUICE_RING_OVERFLOW);
		return;
	}
	event->block = block;
	event->blocks = blocks;
	event->kind = kind;
	att->tail++;
	/* The event is whole before the daemon may see it. */
	smp_store_release(&ring->tail, att->tail);
}

void sluice_event_raise(struct sluice_device *dev, u64 region, u64 mask, u32 kind)
{
	struct sluice_attachment *att;
	unsigned long flags;

	if (!mask)
		return;
	spin_lock_irqsave(&dev->att_lock, flags);
	att = dev->att;
	while (att && mask) {
		unsigned int first = __ffs64(mask);
		unsigned int n = ~(mask >> first) ? __ffs64(~(mask >> first)) : 64;

		ring_push(att, region * SLUICE_REGION_BLOCKS + first, n, kind);
		mask &= ~GENMASK_ULL(first + n - 1, first);
	}
	/* Under the lock: the attachment may end and go right after. */
	if (att)
		wake_up_interruptible_poll(&att->wait, EPOLLIN);
	spin_unlock_irqrestore(&dev->att_lock, flags);
}
