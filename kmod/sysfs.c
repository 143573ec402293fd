// SPDX-License-Identifier: GPL-2.0-only
/* /sys/block/sluiceN/sluice/: one value a file. */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "sluice.h"

static struct sluice_device *device_of(struct device *d)
{
	return dev_to_disk(d)->private_data;
}

#define SHOW(name, fmt, value)									\
static ssize_t name##_show(struct device *d, struct device_attribute *attr, char *buf)		\
{												\
	struct sluice_device *dev = device_of(d);						\
												\
	return sysfs_emit(buf, fmt "\n", value);						\
}

#define STAT(name)										\
static ssize_t name##_show(struct device *d, struct device_attribute *attr, char *buf)		\
{												\
	struct sluice_stat stat;								\
												\
	sluice_device_stat(device_of(d), &stat);						\
	return sysfs_emit(buf, "%llu\n", (unsigned long long)stat.name);			\
}												\
static DEVICE_ATTR_RO(name)

SHOW(name, "%s", dev->store.super.name)
static DEVICE_ATTR_RO(name);
SHOW(uuid, "%pU", dev->store.super.uuid)
static DEVICE_ATTR_RO(uuid);
SHOW(image_name, "%s", dev->store.super.identity.image_name)
static DEVICE_ATTR_RO(image_name);
SHOW(image_id, "%s", dev->store.super.identity.image_id)
static DEVICE_ATTR_RO(image_id);
SHOW(image_bytes, "%llu", (unsigned long long)dev->store.super.identity.image_bytes)
static DEVICE_ATTR_RO(image_bytes);
SHOW(namespace_bytes, "%llu", (unsigned long long)dev->store.super.namespace_bytes)
static DEVICE_ATTR_RO(namespace_bytes);
SHOW(local, "%pg", dev->local)
static DEVICE_ATTR_RO(local);

STAT(attached);
STAT(generation);
STAT(total_blocks);
STAT(resident_blocks);
STAT(dirty_pages);
STAT(parked);
STAT(parked_total);
STAT(expired);
STAT(fill_blocks);
STAT(host_blocks);
STAT(served_blocks);
STAT(flush_rounds);

static ssize_t state_show(struct device *d, struct device_attribute *attr, char *buf)
{
	struct sluice_device *dev = device_of(d);
	const char *state = "deploying";

	if (READ_ONCE(dev->dead))
		state = "dead";
	else if (READ_ONCE(dev->failed))
		state = "failed";
	else if (READ_ONCE(dev->complete))
		state = "complete";
	return sysfs_emit(buf, "%s\n", state);
}
static DEVICE_ATTR_RO(state);

SHOW(deadline_ms, "%u", READ_ONCE(dev->deadline_ms))

static ssize_t deadline_ms_store(struct device *d, struct device_attribute *attr, const char *buf,
				 size_t count)
{
	struct sluice_set set = { };
	int err;

	err = kstrtou32(buf, 10, &set.deadline_ms);
	if (!err && !set.deadline_ms)
		err = -EINVAL;
	err = err ?: sluice_validate_set(&set) ?: sluice_device_set(device_of(d), &set);
	return err ?: count;
}
static DEVICE_ATTR_RW(deadline_ms);

static ssize_t fail_parked_store(struct device *d, struct device_attribute *attr, const char *buf,
				 size_t count)
{
	bool now;
	int err;

	err = kstrtobool(buf, &now);
	if (err)
		return err;
	if (now)
		sluice_park_fail_all(device_of(d));
	return count;
}
static DEVICE_ATTR_WO(fail_parked);

static struct attribute *attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_uuid.attr,
	&dev_attr_state.attr,
	&dev_attr_local.attr,
	&dev_attr_image_name.attr,
	&dev_attr_image_id.attr,
	&dev_attr_image_bytes.attr,
	&dev_attr_namespace_bytes.attr,
	&dev_attr_attached.attr,
	&dev_attr_generation.attr,
	&dev_attr_total_blocks.attr,
	&dev_attr_resident_blocks.attr,
	&dev_attr_dirty_pages.attr,
	&dev_attr_parked.attr,
	&dev_attr_parked_total.attr,
	&dev_attr_expired.attr,
	&dev_attr_fill_blocks.attr,
	&dev_attr_host_blocks.attr,
	&dev_attr_served_blocks.attr,
	&dev_attr_flush_rounds.attr,
	&dev_attr_deadline_ms.attr,
	&dev_attr_fail_parked.attr,
	NULL
};

static const struct attribute_group group = {
	.name = "sluice",
	.attrs = attrs,
};

const struct attribute_group *sluice_sysfs_groups[] = {
	&group,
	NULL
};
