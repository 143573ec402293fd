// SPDX-License-Identifier: GPL-2.0-or-later
#include "control.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int control(int fd, unsigned long request, void *arg)
{
	int ret;

	/* Waits of the kernel end early for signals; ours are all signalfd's. */
	do {
		ret = ioctl(fd, request, arg);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* Both may be full: neither side's terminator is taken for granted. */
static void copy_text(char *to, size_t to_len, const char *from, size_t from_len)
{
	size_t len = strnlen(from, from_len < to_len ? from_len : to_len - 1);

	memset(to, 0, to_len);
	memcpy(to, from, len);
	to[to_len - 1] = '\0';
}

static void image_to_uapi(struct sluice_identity *to, const struct sluice_image *from)
{
	*to = (struct sluice_identity){
		.image_bytes = from->bytes,
		.logical_block_size = from->logical_block,
		.digest_kind = from->digest_kind,
	};
	memcpy(to->digest, from->digest, sizeof(to->digest));
	copy_text(to->image_name, sizeof(to->image_name), from->name, sizeof(from->name));
	copy_text(to->image_id, sizeof(to->image_id), from->id, sizeof(from->id));
}

static void image_from_uapi(struct sluice_image *to, const struct sluice_identity *from)
{
	*to = (struct sluice_image){
		.bytes = from->image_bytes,
		.logical_block = from->logical_block_size,
		.digest_kind = from->digest_kind,
	};
	memcpy(to->digest, from->digest, sizeof(to->digest));
	copy_text(to->name, sizeof(to->name), from->image_name, sizeof(from->image_name));
	copy_text(to->id, sizeof(to->id), from->image_id, sizeof(from->image_id));
}

int sluice_control_open(void)
{
	int fd = open(SLUICE_CONTROL_PATH, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int sluice_control_info(int fd, struct sluice_module *module)
{
	struct sluice_info info = { 0 };
	int err;

	err = control(fd, SLUICE_IOC_INFO, &info);
	if (err)
		return err;
	*module = (struct sluice_module){
		.abi_version = info.abi_version,
		.features = info.features,
		.max_commit_blocks = info.max_commit_blocks,
		.max_zero_blocks = info.max_zero_blocks,
		.max_pool_bytes = info.max_pool_bytes,
	};
	if (info.abi_version != SLUICE_ABI_VERSION || info.block_size != SLUICE_BLOCK_SIZE)
		return -EPROTO;
	return 0;
}

int sluice_control_open_device(int fd, struct sluice_opening *opening)
{
	struct sluice_open arg = {
		.flags = opening->flags,
		.abi_version = SLUICE_ABI_VERSION,
		.local_major = major(opening->disk),
		.local_minor = minor(opening->disk),
		.namespace_bytes = opening->namespace_bytes,
		.deadline_ms = opening->deadline_ms,
	};
	int err;

	copy_text(arg.name, sizeof(arg.name), opening->name, sizeof(opening->name));
	copy_text(arg.local_id, sizeof(arg.local_id), opening->disk_id,
		  sizeof(opening->disk_id));
	image_to_uapi(&arg.identity, &opening->image);
	memcpy(arg.uuid, opening->uuid, sizeof(arg.uuid));
	err = control(fd, SLUICE_IOC_OPEN, &arg);
	opening->refusal = arg.refusal;
	if (err)
		return err;
	image_from_uapi(&opening->image, &arg.identity);
	opening->namespace_bytes = arg.namespace_bytes;
	memcpy(opening->uuid, arg.uuid, sizeof(opening->uuid));
	opening->index = arg.index;
	opening->state = arg.state;
	return 0;
}

int sluice_control_close_device(int fd, uint32_t index)
{
	struct sluice_close arg = { .index = index };

	return control(fd, SLUICE_IOC_CLOSE, &arg);
}

int sluice_control_stat(int fd, uint32_t index, struct sluice_counters *out)
{
	struct sluice_stat_index arg = { .of.index = index };
	const struct sluice_stat *stat = &arg.stat;
	int err;

	err = control(fd, SLUICE_IOC_STAT, &arg);
	if (err)
		return err;
	*out = (struct sluice_counters){
		.state = stat->state,
		.attached = stat->attached,
		.generation = stat->generation,
		.total_blocks = stat->total_blocks,
		.resident_blocks = stat->resident_blocks,
		.dirty_pages = stat->dirty_pages,
		.parked = stat->parked,
		.parked_total = stat->parked_total,
		.expired = stat->expired,
		.fill_blocks = stat->fill_blocks,
		.host_blocks = stat->host_blocks,
		.served_blocks = stat->served_blocks,
		.flush_rounds = stat->flush_rounds,
		.host_seq = stat->host_seq,
		.deadline_ms = stat->deadline_ms,
		.open_count = stat->open_count,
	};
	return 0;
}

int sluice_control_set_deadline(int fd, uint32_t index, uint32_t deadline_ms)
{
	struct sluice_set_index arg = { .of.index = index, .set.deadline_ms = deadline_ms };

	return control(fd, SLUICE_IOC_SET, &arg);
}

int sluice_control_sync(int fd, uint32_t index)
{
	struct sluice_index arg = { .index = index };

	return control(fd, SLUICE_IOC_SYNC, &arg);
}

int sluice_control_fail_parked(int fd, uint32_t index)
{
	struct sluice_index arg = { .index = index };

	return control(fd, SLUICE_IOC_FAIL_PARKED, &arg);
}

static void unmap(struct sluice_attachment *att)
{
	if (att->map)
		munmap((void *)att->map, att->map_bytes);
	if (att->ring)
		munmap(att->ring, att->ring_bytes);
	if (att->pool)
		munmap(att->pool, att->pool_bytes);
	att->map = NULL;
	att->ring = NULL;
	att->pool = NULL;
}

static void *map_shared(int fd, size_t len, int prot, off_t offset)
{
	void *at = mmap(NULL, len, prot, MAP_SHARED, fd, offset);

	return at == MAP_FAILED ? NULL : at;
}

/* Whether the lengths the kernel gave hold what this file will look at. */
static bool plausible(const struct sluice_attach *arg)
{
	uint64_t blocks = (arg->namespace_bytes - 1) / SLUICE_BLOCK_SIZE + 1;

	return arg->namespace_bytes && arg->map_bytes / 8 >= (blocks + 63) / 64 &&
	       arg->map_bytes <= SLUICE_MMAP_RING &&
	       arg->ring_bytes >= sizeof(struct sluice_ring) +
				  (uint64_t)arg->ring_events * sizeof(struct sluice_event) &&
	       arg->pool_bytes >= (uint64_t)arg->pool_blocks * SLUICE_BLOCK_SIZE;
}

int sluice_attach(struct sluice_attachment *att, uint32_t index, uint32_t pool_blocks,
		  uint32_t ring_events, uint32_t watchdog_ms)
{
	struct sluice_attach arg = {
		.index = index,
		.abi_version = SLUICE_ABI_VERSION,
		.pool_blocks = pool_blocks,
		.ring_events = ring_events,
		.watchdog_ms = watchdog_ms,
	};
	int err;

	*att = (struct sluice_attachment){ .fd = -1 };
	err = sluice_control_open();
	if (err < 0)
		return err;
	att->fd = err;
	err = control(att->fd, SLUICE_IOC_ATTACH, &arg);
	if (err)
		goto err_close;
	arg.pool_blocks = pool_blocks;
	arg.ring_events = ring_events;
	if (!plausible(&arg)) {
		err = -EPROTO;
		goto err_detach;
	}
	att->index = index;
	att->generation = arg.generation;
	att->namespace_bytes = arg.namespace_bytes;
	memcpy(att->uuid, arg.uuid, sizeof(att->uuid));
	image_from_uapi(&att->image, &arg.identity);
	att->map_bytes = arg.map_bytes;
	att->ring_bytes = arg.ring_bytes;
	att->ring_entries = ring_events;
	att->pool_bytes = arg.pool_bytes;
	att->pool_blocks = pool_blocks;
	att->map = map_shared(att->fd, att->map_bytes, PROT_READ, SLUICE_MMAP_MAP);
	att->ring = map_shared(att->fd, att->ring_bytes, PROT_READ | PROT_WRITE,
			       SLUICE_MMAP_RING);
	att->pool = map_shared(att->fd, att->pool_bytes, PROT_READ | PROT_WRITE,
			       SLUICE_MMAP_POOL);
	if (!att->map || !att->ring || !att->pool) {
		err = -ENOMEM;
		goto err_unmap;
	}
	return 0;

err_unmap:
	unmap(att);
err_detach:
	control(att->fd, SLUICE_IOC_DETACH, NULL);
err_close:
	close(att->fd);
	att->fd = -1;
	return err;
}

void sluice_detach(struct sluice_attachment *att)
{
	if (att->fd < 0)
		return;
	/* Explicitly: io_uring may hold the file a little longer than close. */
	control(att->fd, SLUICE_IOC_DETACH, NULL);
	unmap(att);
	close(att->fd);
	att->fd = -1;
}

static int with_generation(const struct sluice_attachment *att, unsigned long request)
{
	struct sluice_generation arg = { .generation = att->generation };

	return control(att->fd, request, &arg);
}

int sluice_attachment_complete(const struct sluice_attachment *att)
{
	return with_generation(att, SLUICE_IOC_COMPLETE);
}

int sluice_attachment_offer(const struct sluice_attachment *att)
{
	return with_generation(att, SLUICE_IOC_OFFER);
}

int sluice_attachment_heartbeat(const struct sluice_attachment *att)
{
	return with_generation(att, SLUICE_IOC_HEARTBEAT);
}

bool sluice_attachment_next(struct sluice_attachment *att, struct sluice_wanted *out)
{
	struct sluice_ring *ring = att->ring;
	const volatile struct sluice_event *event;
	uint32_t head = ring->head;
	uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);

	if (tail == head)
		return false;
	if (tail - head > att->ring_entries) {
		__atomic_or_fetch(&ring->flags, SLUICE_RING_OVERFLOW, __ATOMIC_RELAXED);
		__atomic_store_n(&ring->head, tail, __ATOMIC_RELEASE);
		return false;
	}
	event = &ring->events[head & (att->ring_entries - 1)];
	out->block = event->block;
	out->blocks = event->blocks;
	out->write = event->kind == SLUICE_EVENT_WRITE;
	__atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

bool sluice_attachment_overflown(struct sluice_attachment *att)
{
	struct sluice_ring *ring = att->ring;

	if (!(__atomic_load_n(&ring->flags, __ATOMIC_ACQUIRE) & SLUICE_RING_OVERFLOW))
		return false;
	__atomic_and_fetch(&ring->flags, ~SLUICE_RING_OVERFLOW, __ATOMIC_ACQ_REL);
	return true;
}

void sluice_attachment_prep_commit(const struct sluice_attachment *att, void *cmd, size_t len,
				   uint64_t block, uint32_t blocks, uint32_t pool_block,
				   bool zero)
{
	struct sluice_commit commit = {
		.generation = att->generation,
		.block = block,
		.blocks = blocks,
		.pool_block = zero ? 0 : pool_block,
		.flags = zero ? SLUICE_COMMIT_ZERO : 0,
	};

	memset(cmd, 0, len);
	memcpy(cmd, &commit, sizeof(commit) < len ? sizeof(commit) : len);
}

const char *sluice_refusal_text(enum sluice_refusal refusal)
{
	switch (refusal) {
	case SLUICE_REFUSED_NOT:
	/* Who formats looks at the image first. */
	case SLUICE_REFUSED_IMAGE_SIZE:
		break;
	case SLUICE_REFUSED_TOO_SMALL:
		return "is too small for the image and Sluice's metadata";
	case SLUICE_REFUSED_NO_SUPERBLOCK:
		return "holds no deployment";
	case SLUICE_REFUSED_SUPERBLOCK:
		return "holds a deployment whose superblock is damaged";
	case SLUICE_REFUSED_MAP:
		return "holds a deployment whose residency map is damaged";
	case SLUICE_REFUSED_VERSION:
		return "holds a deployment written by a newer Sluice";
	case SLUICE_REFUSED_IMAGE:
		return "holds a deployment of another image";
	case SLUICE_REFUSED_UUID:
		return "holds another deployment";
	case SLUICE_REFUSED_DISK:
		return "holds a deployment that was made on another disk";
	case SLUICE_REFUSED_BLOCK_SIZE:
		return "has larger logical blocks than the image";
	case SLUICE_REFUSED_BUSY:
		return "is in use by something else";
	}
	return NULL;
}
