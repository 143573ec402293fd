// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk's limits: stacked from the local disk, then what Sluice cannot keep is
 * cleared. Since 6.9 limits are passed at allocation (74fa8f9c553f) and
 * features are bits of them since 6.11 (1122c0c1cc71); before, they were set on
 * the queue one by one.
 *
 * A volatile write cache is always announced, whatever the local disk says: the
 * residency bits are volatile until a flush. Discards are announced only where
 * the local disk has them; atomic writes, integrity, zones, DAX and polling
 * are not kept across a split or a fill.
 */
#include "compat.h"

/* A host's 4 KiB writes shall not be called misaligned or be read first. */
#define BLOCK 4096U

#if SLUICE_KERNEL(6, 9)

static struct gendisk *alloc(struct queue_limits *lim, struct block_device *local)
{
	struct gendisk *disk = blk_alloc_disk(lim, NUMA_NO_NODE);

#if !SLUICE_KERNEL(6, 11)
	if (!IS_ERR(disk)) {
		blk_queue_write_cache(disk->queue, true, true);
		if (bdev_nowait(local))
			blk_queue_flag_set(QUEUE_FLAG_NOWAIT, disk->queue);
		if (bdev_stable_writes(local))
			blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, disk->queue);
	}
#endif
	return disk;
}

struct gendisk *sluice_disk_alloc(struct block_device *local, unsigned int logical_block_size)
{
	struct queue_limits lim;

	blk_set_stacking_limits(&lim);
	lim.logical_block_size = logical_block_size;
	/* Of ours, before stacking: a 4 KiB image on a 512-byte disk is aligned. */
	lim.physical_block_size = BLOCK;
	lim.io_min = BLOCK;
#if SLUICE_KERNEL(6, 11)
	lim.features |= BLK_FEAT_NOWAIT;
#endif
	queue_limits_stack_bdev(&lim, local, 0, "sluice");
	/* A chunk boundary is the local disk's affair: it splits for itself. */
	lim.chunk_sectors = 0;
	if (!bdev_max_discard_sectors(local)) {
		lim.max_hw_discard_sectors = 0;
		lim.discard_granularity = 0;
	} else {
		lim.discard_granularity = max(lim.discard_granularity, BLOCK);
	}
	lim.max_secure_erase_sectors = 0;
#if SLUICE_KERNEL(6, 11)
	lim.features &= ~(BLK_FEAT_ZONED | BLK_FEAT_DAX | BLK_FEAT_POLL | BLK_FEAT_PCI_P2PDMA);
	lim.features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	lim.integrity = (struct blk_integrity){ };
#ifdef BLK_FEAT_ATOMIC_WRITES
	lim.features &= ~BLK_FEAT_ATOMIC_WRITES;
#endif
#ifdef BLK_FEAT_ATOMIC_WRITES_STACKED
	lim.features &= ~BLK_FEAT_ATOMIC_WRITES_STACKED;
#endif
	lim.atomic_write_hw_max = 0;
	lim.atomic_write_hw_unit_min = 0;
	lim.atomic_write_hw_unit_max = 0;
	lim.atomic_write_hw_boundary = 0;
#endif
	return alloc(&lim, local);
}

#else

struct gendisk *sluice_disk_alloc(struct block_device *local, unsigned int logical_block_size)
{
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	blk_set_stacking_limits(&disk->queue->limits);
	blk_queue_logical_block_size(disk->queue, logical_block_size);
	blk_queue_physical_block_size(disk->queue, BLOCK);
	blk_queue_io_min(disk->queue, BLOCK);
	disk_stack_limits(disk, local, 0);
	blk_queue_chunk_sectors(disk->queue, 0);
	if (!bdev_max_discard_sectors(local))
		blk_queue_max_discard_sectors(disk->queue, 0);
	else
		disk->queue->limits.discard_granularity =
			max(disk->queue->limits.discard_granularity, BLOCK);
	blk_queue_max_secure_erase_sectors(disk->queue, 0);
	blk_queue_flag_clear(QUEUE_FLAG_POLL, disk->queue);
	blk_queue_flag_clear(QUEUE_FLAG_DAX, disk->queue);
	if (bdev_nowait(local))
		blk_queue_flag_set(QUEUE_FLAG_NOWAIT, disk->queue);
	if (bdev_stable_writes(local))
		blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, disk->queue);
	blk_queue_write_cache(disk->queue, true, true);
	return disk;
}

#endif
