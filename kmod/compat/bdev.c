// SPDX-License-Identifier: GPL-2.0-only
/* Holding a block device exclusively, over four generations of that API. */
#include "compat.h"

#if SLUICE_KERNEL(6, 5)			/* 0718afd47f70: holder operations */
struct holder {
	void (*gone)(void *holder);
	void *data;
};

#if SLUICE_KERNEL(6, 6)			/* d8530de5a6e8: told of surprises */
static void mark_dead(struct block_device *bdev, bool surprise)
#else
static void mark_dead(struct block_device *bdev)
#endif
{
	struct holder *holder = bdev->bd_holder;

	holder->gone(holder->data);
#if SLUICE_KERNEL(6, 7)			/* fd1464105cb3: the callee unlocks */
	mutex_unlock(&bdev->bd_holder_lock);
#endif
}

static const struct blk_holder_ops holder_ops = {
	.mark_dead = mark_dead,
};
#endif

#if SLUICE_KERNEL(6, 9)			/* f3a608827d1f: files */

int sluice_bdev_open(struct sluice_bdev *b, dev_t dev, void *data, void (*gone)(void *holder),
		     struct block_device **bdev)
{
	struct holder *holder = kmalloc(sizeof(*holder), GFP_KERNEL);
	int err;

	if (!holder)
		return -ENOMEM;
	holder->gone = gone;
	holder->data = data;
	b->file = bdev_file_open_by_dev(dev, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, &holder_ops);
	if (IS_ERR(b->file)) {
		err = PTR_ERR(b->file);
		b->file = NULL;
		kfree(holder);
		return err;
	}
	*bdev = file_bdev(b->file);
	return 0;
}

void sluice_bdev_release(struct sluice_bdev *b)
{
	void *holder = file_bdev(b->file)->bd_holder;

	/* Not fput(): the exclusive hold must be gone when this returns. */
	bdev_fput(b->file);
	kfree(holder);
}

#elif SLUICE_KERNEL(6, 7)		/* e719b4d15674: handles */

int sluice_bdev_open(struct sluice_bdev *b, dev_t dev, void *data, void (*gone)(void *holder),
		     struct block_device **bdev)
{
	struct holder *holder = kmalloc(sizeof(*holder), GFP_KERNEL);
	int err;

	if (!holder)
		return -ENOMEM;
	holder->gone = gone;
	holder->data = data;
	b->handle = bdev_open_by_dev(dev, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, &holder_ops);
	if (IS_ERR(b->handle)) {
		err = PTR_ERR(b->handle);
		kfree(holder);
		return err;
	}
	*bdev = b->handle->bdev;
	return 0;
}

void sluice_bdev_release(struct sluice_bdev *b)
{
	void *holder = b->handle->holder;

	bdev_release(b->handle);
	kfree(holder);
}

#else

int sluice_bdev_open(struct sluice_bdev *b, dev_t dev, void *data, void (*gone)(void *holder),
		     struct block_device **bdev)
{
#if SLUICE_KERNEL(6, 5)
	struct holder *holder = kmalloc(sizeof(*holder), GFP_KERNEL);

	if (!holder)
		return -ENOMEM;
	holder->gone = gone;
	holder->data = data;
	b->holder = holder;
	b->bdev = blkdev_get_by_dev(dev, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, &holder_ops);
	if (IS_ERR(b->bdev))
		kfree(holder);
#else
	b->holder = data;
	b->bdev = blkdev_get_by_dev(dev, FMODE_READ | FMODE_WRITE | FMODE_EXCL, data);
#endif
	if (IS_ERR(b->bdev))
		return PTR_ERR(b->bdev);
	*bdev = b->bdev;
	return 0;
}

void sluice_bdev_release(struct sluice_bdev *b)
{
#if SLUICE_KERNEL(6, 5)
	blkdev_put(b->bdev, b->holder);
	kfree(b->holder);
#else
	blkdev_put(b->bdev, FMODE_READ | FMODE_WRITE | FMODE_EXCL);
#endif
}

#endif
