// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deployments: a disk of ours over a local disk we hold. A device pins the
 * module from open to close: unloading must not be what ends a deployment.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "sluice.h"
#include "trace.h"

DEFINE_MUTEX(sluice_devices_lock);
static LIST_HEAD(devices);
static DEFINE_IDA(indices);

static int disk_open(SLUICE_DISK_OPEN_ARGS(disk))
{
	struct sluice_device *dev = SLUICE_DISK_OPENED(disk)->private_data;

	return READ_ONCE(dev->closing) ? -ENXIO : 0;
}

static const struct block_device_operations disk_ops = {
	.owner = THIS_MODULE,
	.open = disk_open,
	.submit_bio = sluice_submit_bio,
};

static void device_free(struct kref *ref)
{
	struct sluice_device *dev = container_of(ref, struct sluice_device, ref);

	/* Only now: whoever held a reference may have asked the disk something. */
	if (dev->disk)
		put_disk(dev->disk);
	sluice_store_exit(&dev->store);
	sluice_map_destroy(&dev->map);
	free_percpu(dev->host_seq);
	kfree(dev);
}

void sluice_device_put(struct sluice_device *dev)
{
	kref_put(&dev->ref, device_free);
}

struct sluice_device *sluice_device_get(u32 index)
{
	struct sluice_device *dev, *found = NULL;

	mutex_lock(&sluice_devices_lock);
	list_for_each_entry(dev, &devices, list)
		if (dev->index == index && dev->ready && !READ_ONCE(dev->closing)) {
			kref_get(&dev->ref);
			found = dev;
		}
	mutex_unlock(&sluice_devices_lock);
	return found;
}

static bool name_in_use(const char *name)
{
	struct sluice_device *dev;

	lockdep_assert_held(&sluice_devices_lock);
	list_for_each_entry(dev, &devices, list)
		if (!strncmp(dev->name, name, SLUICE_NAME_LEN))
			return true;
	return false;
}

static int describe_new(struct sluice_device *dev, struct sluice_open *o)
{
	struct sluice_super *sb = &dev->store.super;
	const struct sluice_identity *id = &o->identity;
	int err;

	if (id->image_bytes % id->logical_block_size) {
		o->refusal = SLUICE_REFUSED_IMAGE_SIZE;
		return -EINVAL;
	}
	if (id->logical_block_size < bdev_logical_block_size(dev->local)) {
		o->refusal = SLUICE_REFUSED_BLOCK_SIZE;
		return -EINVAL;
	}
	if (o->namespace_bytes % id->logical_block_size)
		return -EINVAL;
	err = sluice_layout_init(&dev->store.layout, bdev_nr_bytes(dev->local),
				 o->namespace_bytes);
	if (err == -ENOSPC || (!err && dev->store.layout.namespace_bytes < id->image_bytes)) {
		o->refusal = SLUICE_REFUSED_TOO_SMALL;
		return -ENOSPC;
	}
	if (err)
		return err;
	memset(sb, 0, sizeof(*sb));
	sb->state = SLUICE_MEDIA_DEPLOYING;
	sb->namespace_bytes = dev->store.layout.namespace_bytes;
	sb->disk_bytes = bdev_nr_bytes(dev->local);
	strscpy(sb->name, o->name, sizeof(sb->name));
	strscpy(sb->local_id, o->local_id, sizeof(sb->local_id));
	sb->identity = *id;
	generate_random_uuid(sb->uuid);
	return 0;
}

/* Finds or makes the metadata, and loads the map. */
static int open_metadata(struct sluice_device *dev, struct sluice_open *o)
{
	struct sluice_store *store = &dev->store;
	bool format = o->flags & SLUICE_OPEN_FORMAT;
	u64 damaged = 0;
	int err;

	err = format ? describe_new(dev, o) : sluice_store_find(dev, o);
	if (err)
		return err;
	if (store->super.identity.logical_block_size < bdev_logical_block_size(dev->local)) {
		o->refusal = SLUICE_REFUSED_BLOCK_SIZE;
		return -EINVAL;
	}
	err = sluice_map_init(&dev->map, store->layout.blocks);
	if (err)
		return err;
	err = sluice_store_init(store);
	if (err)
		return err;
	if (format)
		return sluice_store_format(dev);

	err = sluice_store_load(dev, &damaged);
	if (err == -EUCLEAN) {
		o->refusal = SLUICE_REFUSED_MAP;
		pr_err("sluice: %s: map page %llu has no valid copy\n", store->super.name,
		       (unsigned long long)damaged);
	}
	if (err)
		return err;
	/* Complete with a hole would show what the disk held before. */
	if (store->super.state == SLUICE_MEDIA_COMPLETE &&
	    sluice_map_resident_blocks(&dev->map) != dev->map.blocks) {
		o->refusal = SLUICE_REFUSED_MAP;
		return -EUCLEAN;
	}
	/* Generations of this and earlier opens never meet; also mends a copy. */
	store->super.opens++;
	strscpy(store->super.name, o->name, sizeof(store->super.name));
	return sluice_store_write_super(dev);
}

static int add_disk_of(struct sluice_device *dev)
{
	struct gendisk *disk;
	int err;

	disk = sluice_disk_alloc(dev->local, dev->store.super.identity.logical_block_size);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	snprintf(disk->disk_name, sizeof(disk->disk_name), "sluice%d", dev->index);
	disk->fops = &disk_ops;
	disk->private_data = dev;
	/* The host's partitions are the host's; scanning would also wait for the network. */
	disk->flags |= GENHD_FL_NO_PART;
	dev->capacity = dev->store.super.namespace_bytes >> SECTOR_SHIFT;
	set_capacity(disk, dev->capacity);
	dev->disk = disk;
	err = device_add_disk(NULL, disk, sluice_sysfs_groups);
	if (err) {
		put_disk(disk);
		dev->disk = NULL;
	}
	return err;
}

static int make_workers(struct sluice_device *dev)
{
	int err;

	dev->io_wq = alloc_workqueue("sluice%d", WQ_MEM_RECLAIM | WQ_UNBOUND, 0, dev->index);
	if (!dev->io_wq)
		return -ENOMEM;
	/* Apart: this one may wait for parts that the other ends. */
	dev->defer_wq = alloc_workqueue("sluice%d-defer", WQ_MEM_RECLAIM | WQ_UNBOUND, 1,
					dev->index);
	err = -ENOMEM;
	if (!dev->defer_wq)
		goto err_destroy_io_wq;
	/*
	 * Apart, with a rescuer of its own. As second item of the other it would
	 * wait with it: running and queued again, that one alone counts as two.
	 */
	dev->local_wq = alloc_workqueue("sluice%d-local", WQ_MEM_RECLAIM | WQ_UNBOUND, 1,
					dev->index);
	if (!dev->local_wq)
		goto err_destroy_defer_wq;
	/* Apart: a GiB of zeroes must not hold up a host's flush. */
	dev->zero_wq = alloc_workqueue("sluice%d-zero", WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
				       dev->index);
	if (!dev->zero_wq)
		goto err_destroy_local_wq;
	err = sluice_park_init_device(dev);
	if (err)
		goto err_destroy_zero_wq;
	err = sluice_fill_init_device(dev);
	if (err)
		goto err_park_exit;
	sluice_flush_init_device(dev);
	return 0;

err_park_exit:
	sluice_park_exit_device(dev);
err_destroy_zero_wq:
	destroy_workqueue(dev->zero_wq);
err_destroy_local_wq:
	destroy_workqueue(dev->local_wq);
err_destroy_defer_wq:
	destroy_workqueue(dev->defer_wq);
err_destroy_io_wq:
	destroy_workqueue(dev->io_wq);
	return err;
}

/* After this no work item of the device runs or can be queued. */
static void stop_workers(struct sluice_device *dev)
{
	cancel_delayed_work_sync(&dev->sync_work);
	cancel_delayed_work_sync(&dev->deadline_work);
	destroy_workqueue(dev->zero_wq);
	destroy_workqueue(dev->local_wq);
	destroy_workqueue(dev->defer_wq);
	destroy_workqueue(dev->io_wq);
	sluice_fill_exit_device(dev);
	sluice_park_exit_device(dev);
}

static struct sluice_device *device_alloc(const struct sluice_open *o)
{
	struct sluice_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	dev->host_seq = alloc_percpu(u64);
	if (!dev->host_seq) {
		kfree(dev);
		return NULL;
	}
	kref_init(&dev->ref);
	mutex_init(&dev->admin_lock);
	spin_lock_init(&dev->work_lock);
	spin_lock_init(&dev->att_lock);
	INIT_LIST_HEAD(&dev->list);
	dev->deadline_ms = o->deadline_ms ?: SLUICE_DEADLINE_MS;
	strscpy(dev->name, o->name, sizeof(dev->name));
	return dev;
}

static void report_opened(struct sluice_device *dev, struct sluice_open *o)
{
	const struct sluice_super *sb = &dev->store.super;

	o->namespace_bytes = sb->namespace_bytes;
	memcpy(o->uuid, sb->uuid, sizeof(o->uuid));
	o->identity = sb->identity;
	/* Its attribute is there since the disk is. */
	o->deadline_ms = READ_ONCE(dev->deadline_ms);
	o->index = dev->index;
	o->state = dev->complete ? SLUICE_STATE_COMPLETE : SLUICE_STATE_DEPLOYING;
}

/* Takes the name and an index; others see the device once it is ready. */
static int reserve(struct sluice_device *dev)
{
	int err = -EEXIST;

	mutex_lock(&sluice_devices_lock);
	if (!name_in_use(dev->name)) {
		dev->index = ida_alloc(&indices, GFP_KERNEL);
		err = dev->index < 0 ? dev->index : 0;
	}
	if (!err)
		list_add_tail(&dev->list, &devices);
	mutex_unlock(&sluice_devices_lock);
	return err;
}

static void unreserve(struct sluice_device *dev)
{
	mutex_lock(&sluice_devices_lock);
	list_del_init(&dev->list);
	mutex_unlock(&sluice_devices_lock);
	ida_free(&indices, dev->index);
}

/*
 * All I/O happens outside of sluice_devices_lock: formatting a large disk must
 * not keep another deployment's daemon from attaching.
 */
static int device_open(struct sluice_open *o)
{
	struct sluice_device *dev;
	int err;

	dev = device_alloc(o);
	if (!dev)
		return -ENOMEM;
	err = reserve(dev);
	if (err)
		goto err_put;
	err = make_workers(dev);
	if (err)
		goto err_unreserve;
	err = sluice_local_open(dev, o->local_major, o->local_minor);
	if (err == -EBUSY)
		o->refusal = SLUICE_REFUSED_BUSY;
	if (err)
		goto err_stop_workers;
	err = open_metadata(dev, o);
	if (err)
		goto err_close_local;
	dev->generation = (u64)dev->store.super.opens << 32;
	if (dev->store.super.state == SLUICE_MEDIA_COMPLETE)
		dev->complete = true;
	err = add_disk_of(dev);
	if (err)
		goto err_close_local;
	report_opened(dev, o);
	mutex_lock(&sluice_devices_lock);
	/* The deadline worker looks without the lock, and then at the map. */
	smp_store_release(&dev->ready, true);
	mutex_unlock(&sluice_devices_lock);
	return 0;

err_close_local:
	sluice_local_close(dev);
err_stop_workers:
	stop_workers(dev);
err_unreserve:
	unreserve(dev);
err_put:
	sluice_device_put(dev);
	return err;
}

int sluice_device_open(struct sluice_open *o)
{
	int err;

	o->refusal = SLUICE_REFUSED_NOT;
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	err = device_open(o);
	if (err)
		module_put(THIS_MODULE);
	return err;
}

static int begin_close(struct sluice_device *dev)
{
	int err = -ENODEV;

	mutex_lock(&dev->admin_lock);
	if (dev->closing)
		goto out_unlock;
	/*
	 * Who has it opens the disk, or closes it: then perhaps until a read ends that was
	 * ahead of what he read, and that ends with a daemon, whom admin_lock keeps out.
	 */
	err = -EBUSY;
	if (!mutex_trylock(&dev->disk->open_mutex))
		goto out_unlock;
	spin_lock_irq(&dev->att_lock);
	if (!dev->att && !disk_openers(dev->disk)) {
		WRITE_ONCE(dev->closing, true);
		err = 0;
	}
	spin_unlock_irq(&dev->att_lock);
	mutex_unlock(&dev->disk->open_mutex);
out_unlock:
	mutex_unlock(&dev->admin_lock);
	return err;
}

int sluice_device_close(u32 index)
{
	struct sluice_device *dev = sluice_device_get(index);
	int err;

	if (!dev)
		return -ENODEV;
	err = begin_close(dev);
	if (err) {
		sluice_device_put(dev);
		return err;
	}
	/*
	 * Nobody has it open or can attach: what is left is ours, and parked
	 * requests none. The disk goes last, its attributes are still read.
	 */
	cancel_delayed_work_sync(&dev->sync_work);
	sluice_park_fail_all(dev);
	flush_workqueue(dev->defer_wq);
	flush_workqueue(dev->local_wq);
	wait_event(dev->parts_wait, !atomic_read(&dev->parts) && !atomic_read(&dev->fills));
	synchronize_rcu();
	if (!dev->complete && !READ_ONCE(dev->dead) && !READ_ONCE(dev->failed))
		sluice_flush_now(dev);
	/* A commit's end may have armed it again: the bits are durable now. */
	cancel_delayed_work_sync(&dev->sync_work);
	flush_workqueue(dev->io_wq);
	del_gendisk(dev->disk);
	/* Before the workers: its loss would still call for one. */
	sluice_local_close(dev);
	stop_workers(dev);
	unreserve(dev);
	sluice_device_put(dev);
	/* The list's reference. */
	sluice_device_put(dev);
	module_put(THIS_MODULE);
	return 0;
}

int sluice_device_complete(struct sluice_device *dev, struct sluice_attachment *att,
			   u64 generation)
{
	int err;

	mutex_lock(&dev->admin_lock);
	err = sluice_attach_check(att, generation);
	if (err || dev->complete)
		goto out_unlock;
	err = -EAGAIN;
	if (sluice_map_resident_blocks(&dev->map) != dev->map.blocks)
		goto out_unlock;
	/* First every bit, then the word that they are all there. */
	err = sluice_flush_now(dev);
	if (err)
		goto out_unlock;
	err = -EIO;
	if (READ_ONCE(dev->dead) || READ_ONCE(dev->failed))
		goto out_unlock;
	dev->store.super.state = SLUICE_MEDIA_COMPLETE;
	err = sluice_store_write_super(dev);
	if (err) {
		dev->store.super.state = SLUICE_MEDIA_DEPLOYING;
		goto out_unlock;
	}
	/* Every bit and the word of it are durable before a request skips the map. */
	smp_store_release(&dev->complete, true);
	trace_sluice_state(dev->index, SLUICE_STATE_COMPLETE);
	pr_info("sluice: %s: complete: every block is local\n", dev->store.super.name);
out_unlock:
	mutex_unlock(&dev->admin_lock);
	return err;
}

void sluice_device_fail(struct sluice_device *dev, const char *what, int err)
{
	if (xchg(&dev->failed, true))
		return;
	trace_sluice_state(dev->index, SLUICE_STATE_FAILED);
	pr_err("sluice: %s: %s failed with error %d; flushes and writes to missing blocks fail until the disk is replaced and opened again\n",
	       dev->store.super.name, what, err);
	if (dev->disk)
		sysfs_notify(&disk_to_dev(dev->disk)->kobj, "sluice", "state");
}

void sluice_device_stat(struct sluice_device *dev, struct sluice_stat *stat)
{
	struct sluice_map *map = &dev->map;
	int cpu;

	memset(stat, 0, sizeof(*stat));
	stat->state = READ_ONCE(dev->failed) ? SLUICE_STATE_FAILED :
		      READ_ONCE(dev->complete) ? SLUICE_STATE_COMPLETE : SLUICE_STATE_DEPLOYING;
	spin_lock_irq(&dev->att_lock);
	stat->attached = dev->att != NULL;
	stat->generation = dev->generation;
	spin_unlock_irq(&dev->att_lock);
	stat->total_blocks = map->blocks;
	stat->resident_blocks = sluice_map_resident_blocks(map);
	spin_lock_irq(&map->dirty_lock);
	stat->dirty_pages = map->ndirty + map->nsyncing;
	spin_unlock_irq(&map->dirty_lock);
	stat->parked = atomic_read(&dev->parked);
	stat->parked_total = atomic64_read(&dev->count.parked_total);
	stat->expired = atomic64_read(&dev->count.expired);
	stat->fill_blocks = atomic64_read(&dev->count.fill_blocks);
	stat->host_blocks = atomic64_read(&dev->count.host_blocks);
	stat->served_blocks = atomic64_read(&dev->count.served_blocks);
	stat->flush_rounds = atomic64_read(&dev->count.flush_rounds);
	for_each_possible_cpu(cpu)
		stat->host_seq += READ_ONCE(*per_cpu_ptr(dev->host_seq, cpu));
	stat->deadline_ms = READ_ONCE(dev->deadline_ms);
	stat->open_count = disk_openers(dev->disk);
}

int sluice_device_set(struct sluice_device *dev, const struct sluice_set *set)
{
	if (set->deadline_ms)
		WRITE_ONCE(dev->deadline_ms, set->deadline_ms);
	return 0;
}

void sluice_device_exit(void)
{
	/* Every device pins the module: there is none left. */
	WARN_ON(!list_empty(&devices));
	ida_destroy(&indices);
}
