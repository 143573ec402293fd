// SPDX-License-Identifier: GPL-2.0-only
/* The local disk: held exclusively while the device exists. */
#include "sluice.h"

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

struct page *sluice_local_page(void *addr)
{
	return is_vmalloc_addr(addr) ? vmalloc_to_page(addr) : virt_to_page(addr);
}

int sluice_local_rw(struct block_device *bdev, blk_opf_t opf, u64 offset, void *buf, size_t bytes)
{
	u8 *at = buf;

	while (bytes) {
		unsigned int pages = min_t(size_t, DIV_ROUND_UP(bytes, PAGE_SIZE), BIO_MAX_VECS);
		struct bio *bio = bio_alloc(bdev, pages, opf, GFP_NOIO);
		size_t done = 0;
		int err;

		bio->bi_iter.bi_sector = offset >> SECTOR_SHIFT;
		while (done < bytes && pages--) {
			unsigned int len = min_t(size_t, bytes - done, PAGE_SIZE);

			__bio_add_page(bio, sluice_local_page(at + done), len, 0);
			done += len;
		}
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
