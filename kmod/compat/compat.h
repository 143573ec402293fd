/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module is written for the newest kernel; this makes older ones, down to
 * 6.1, look like it. The only place that asks for versions.
 */
#ifndef SLUICE_COMPAT_H
#define SLUICE_COMPAT_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/version.h>

#define SLUICE_KERNEL(a, b) (LINUX_VERSION_CODE >= KERNEL_VERSION(a, b, 0))

#if SLUICE_KERNEL(6, 7)
#include <linux/io_uring/cmd.h>		/* b66509b8497f: header of its own */
#else
#include <linux/io_uring.h>
#endif

/* A held block device: a file since 6.9 (f3a608827d1f). */
struct sluice_bdev {
#if SLUICE_KERNEL(6, 9)
	struct file *file;
#elif SLUICE_KERNEL(6, 7)
	struct bdev_handle *handle;
#else
	struct block_device *bdev;
	void *holder;
#endif
};

/* Opens for reading and writing, exclusively for holder. -errno or 0. */
int sluice_bdev_open(struct sluice_bdev *b, dev_t dev, void *holder,
		     void (*gone)(void *holder), struct block_device **bdev);
void sluice_bdev_release(struct sluice_bdev *b);

/*
 * A disk with the limits of local, as what Sluice can keep of them: see
 * limits.c. ERR_PTR() on failure.
 */
struct gendisk *sluice_disk_alloc(struct block_device *local, unsigned int logical_block_size);

/* NULL on failure; since e546fe1da9bd (6.13) the kernel's returns ERR_PTR(). */
struct bio *sluice_bio_split(struct bio *bio, unsigned int sectors, gfp_t gfp,
			     struct bio_set *set);

/* The command's payload in the SQE; NULL when the ring has no room for it. */
const void *sluice_uring_payload(struct io_uring_cmd *cmd, unsigned int issue_flags);
/* Completes in the submitter's context, soon; cmd may be gone. Any context. */
void sluice_uring_done(struct io_uring_cmd *cmd, int res);

#if SLUICE_KERNEL(6, 5)			/* d32e2bf83791: a disk is opened, not a bdev */
#define SLUICE_DISK_OPEN_ARGS(x)	struct gendisk *x, blk_mode_t mode
#define SLUICE_DISK_OPENED(x)		(x)
#else
#define SLUICE_DISK_OPEN_ARGS(x)	struct block_device *x, fmode_t mode
#define SLUICE_DISK_OPENED(x)		((x)->bd_disk)
#endif

#if !SLUICE_KERNEL(6, 3)		/* 1c71222e5f23 */
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#endif /* SLUICE_COMPAT_H */
