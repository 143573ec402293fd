// SPDX-License-Identifier: GPL-2.0-only
/* The local disk: held exclusively while the device exists. */
#include <linux/moduleparam.h>

#include "sluice.h"

static bool stacked_fua;
module_param(stacked_fua, bool, 0644);
MODULE_PARM_DESC(stacked_fua, "use FUA of local disks that are stacked on others, too");

static void local_gone(void *holder)
{
	struct sluice_device *dev = holder;

	WRITE_ONCE(dev->dead, true);
	/* Not the superblock's: the disk may go while that is read. */
	pr_err("sluice: %s: the local disk is gone; every request fails from now on\n",
	       dev->name);
	/* Nobody will fill what is missing: do not let anyone wait for it. */
	mod_delayed_work(dev->io_wq, &dev->deadline_work, 0);
}

int sluice_local_open(struct sluice_device *dev, u32 major, u32 minor)
{
	if (major != MAJOR(MKDEV(major, minor)) || minor != MINOR(MKDEV(major, minor)))
		return -ENXIO;
	return sluice_bdev_open(&dev->local_handle, MKDEV(major, minor), dev, local_gone,
				&dev->local);
}

void sluice_local_close(struct sluice_device *dev)
{
	sluice_bdev_release(&dev->local_handle);
}

bool sluice_local_fua(const struct sluice_device *dev)
{
	/*
	 * device-mapper and md announce FUA whatever is below. Where that has none it is a
	 * flush, which may fail and have lost what others wrote; and raid1 writes again
	 * without it when a member has failed.
	 */
	return bdev_fua(dev->local) &&
	       (!dev->local->bd_disk->fops->submit_bio || READ_ONCE(stacked_fua));
}

unsigned int sluice_local_add(struct bio *bio, void *buf, u64 bytes)
{
	struct page *page = is_vmalloc_addr(buf) ? vmalloc_to_page(buf) : virt_to_page(buf);
	unsigned int len = min_t(u64, bytes, PAGE_SIZE - offset_in_page(buf));

	__bio_add_page(bio, page, len, offset_in_page(buf));
	return len;
}

int sluice_local_rw(struct block_device *bdev, blk_opf_t opf, u64 offset, void *buf, size_t bytes)
{
	u8 *at = buf;

	while (bytes) {
		unsigned int pages = DIV_ROUND_UP(offset_in_page(at) + bytes, PAGE_SIZE);
		struct bio *bio = bio_alloc(bdev, min(pages, BIO_MAX_VECS), opf, GFP_NOIO);
		size_t done = 0;
		int err;

		bio->bi_iter.bi_sector = offset >> SECTOR_SHIFT;
		while (done < bytes && bio->bi_vcnt < bio->bi_max_vecs)
			done += sluice_local_add(bio, at + done, bytes - done);
		err = submit_bio_wait(bio);
		bio_put(bio);
		if (err)
			return err;
		at += done;
		offset += done;
		bytes -= done;
	}
	return 0;
}
