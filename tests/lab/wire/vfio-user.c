// SPDX-License-Identifier: GPL-2.0-or-later
#include "vfio-user.h"

#include <errno.h>
#include <string.h>

#include <linux/vfio.h>

#define FLAG_TYPE_MASK	0xfu
#define FLAG_REPLY	0x1u
#define FLAG_NO_REPLY	0x10u
#define FLAG_ERROR	0x20u

/* QEMU wants to see all of vfio-pci's regions and interrupts, empty or not. */
#define REGIONS		VFIO_PCI_NUM_REGIONS
#define IRQS		VFIO_PCI_NUM_IRQS

/* No "write_multiple": one message, one region access. */
static const char capabilities[] =
	"{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":65536}}";

struct version {
	uint16_t major, minor;
};

struct dma_map {
	uint32_t argsz, flags;
	uint64_t offset, address, bytes;
};

struct dma_unmap {
	uint32_t argsz, flags;
	uint64_t address, bytes;
};

struct region_access {
	uint64_t offset;
	uint32_t region, count;
};

/* A message on its way through this file. */
struct message {
	struct vfu_device *device;
	const uint8_t *payload;
	size_t bytes;			/* of payload */
	unsigned int fds;
	uint8_t *out;			/* behind the reply's header */
	struct vfu_action *action;
};

static const char *const names[VFU_COMMANDS] = {
	[VFU_VERSION] = "VERSION",
	[VFU_DMA_MAP] = "DMA_MAP",
	[VFU_DMA_UNMAP] = "DMA_UNMAP",
	[VFU_DEVICE_GET_INFO] = "DEVICE_GET_INFO",
	[VFU_REGION_GET_INFO] = "REGION_GET_INFO",
	[VFU_REGION_GET_IO_FDS] = "REGION_GET_IO_FDS",
	[VFU_IRQ_GET_INFO] = "IRQ_GET_INFO",
	[VFU_SET_IRQS] = "SET_IRQS",
	[VFU_REGION_READ] = "REGION_READ",
	[VFU_REGION_WRITE] = "REGION_WRITE",
	[VFU_DMA_READ] = "DMA_READ",
	[VFU_DMA_WRITE] = "DMA_WRITE",
	[VFU_DEVICE_RESET] = "DEVICE_RESET",
};

const char *vfu_command_name(unsigned int command)
{
	return command < VFU_COMMANDS && names[command] ? names[command] : "unknown";
}

int vfu_header_parse(const uint8_t *data, struct vfu_header *header)
{
	memcpy(&header->id, data, 2);
	memcpy(&header->command, data + 2, 2);
	memcpy(&header->size, data + 4, 4);
	memcpy(&header->flags, data + 8, 4);
	memcpy(&header->error, data + 12, 4);
	/* We send no requests, so nothing the host sends is a reply. */
	if (header->size < VFU_HEADER_BYTES || header->size > VFU_MAX_MESSAGE ||
	    (header->flags & FLAG_TYPE_MASK) != 0)
		return -EPROTO;
	return 0;
}

/* The fixed part of a payload, which may lie at any address. */
static bool take(const struct message *m, void *fixed, size_t bytes)
{
	if (m->bytes < bytes)
		return false;
	memcpy(fixed, m->payload, bytes);
	return true;
}

static int version(struct message *m)
{
	struct version v;

	if (!take(m, &v, sizeof(v)) || v.major != 0)
		return -EINVAL;
	v.minor = 0;
	memcpy(m->out, &v, sizeof(v));
	memcpy(m->out + sizeof(v), capabilities, sizeof(capabilities));
	return sizeof(v) + sizeof(capabilities);
}

static int dma_map(struct message *m)
{
	struct dma_map d;

	if (!take(m, &d, sizeof(d)) || !d.bytes || d.address + d.bytes - 1 < d.address)
		return -EINVAL;
	m->action->dma_map = true;
	m->action->dma_address = d.address;
	m->action->dma_bytes = d.bytes;
	m->action->dma_file_offset = d.offset;
	return 0;
}

static int dma_unmap(struct message *m)
{
	struct dma_unmap d;

	if (!take(m, &d, sizeof(d)))
		return -EINVAL;
	m->action->dma_unmap = true;
	d.argsz = sizeof(d);
	memcpy(m->out, &d, sizeof(d));
	return sizeof(d);
}

static int device_info(struct message *m)
{
	struct {
		uint32_t argsz, flags, regions, irqs;
	} info;

	if (!take(m, &info, sizeof(info)))
		return -EINVAL;
	info.argsz = sizeof(info);
	info.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI;
	info.regions = REGIONS;
	info.irqs = IRQS;
	memcpy(m->out, &info, sizeof(info));
	return sizeof(info);
}

/*
 * BAR 0 is a file to map, less its second half, which holds the MSI-X table:
 * that is the host's QEMU's to emulate, and in the page of the doorbells it
 * would make a message of every doorbell.
 */
static int bar_info(struct message *m, struct vfio_region_info *info, uint32_t room)
{
	struct {
		struct vfio_info_cap_header header;
		uint32_t areas, reserved;
		struct vfio_region_sparse_mmap_area area;
	} sparse = {
		.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP,
		.header.version = 1,
		.areas = 1,
		.area.size = m->device->bar_direct,
	};

	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		      VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	info->size = m->device->bar_bytes;
	info->offset = m->device->bar_file_offset;
	info->argsz = sizeof(*info) + sizeof(sparse);
	/* Also where the host has no room for it yet: 0 it takes for an error. */
	info->cap_offset = sizeof(*info);
	m->action->send_bar_fd = true;
	if (room < info->argsz)
		return sizeof(*info);
	memcpy(m->out + sizeof(*info), &sparse, sizeof(sparse));
	return sizeof(*info) + sizeof(sparse);
}

static int region_info(struct message *m)
{
	struct vfio_region_info info;
	int bytes = sizeof(info);
	uint32_t room;

	if (!take(m, &info, sizeof(info)) || info.argsz < sizeof(info) || info.index >= REGIONS)
		return -EINVAL;
	room = info.argsz;
	info = (struct vfio_region_info){ .argsz = sizeof(info), .index = info.index };
	switch (info.index) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		bytes = bar_info(m, &info, room);
		break;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		info.size = CONFIG_BYTES;
		break;
	}
	memcpy(m->out, &info, sizeof(info));
	return bytes;
}

static int irq_info(struct message *m)
{
	struct vfio_irq_info info;

	if (!take(m, &info, sizeof(info)) || info.index >= IRQS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = info.index == VFIO_PCI_MSIX_IRQ_INDEX ? m->device->vectors : 0;
	memcpy(m->out, &info, sizeof(info));
	return sizeof(info);
}

static int set_irqs(struct message *m)
{
	const uint32_t vectors = m->device->vectors;
	struct vfio_irq_set set;

	if (!take(m, &set, sizeof(set)) || set.index >= IRQS)
		return -EINVAL;
	if (set.index != VFIO_PCI_MSIX_IRQ_INDEX)
		return set.count ? -EINVAL : 0;
	if (set.start > vectors || set.count > vectors - set.start)
		return -EINVAL;
	switch (set.flags) {
	case VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER:
		if (set.count)
			return -EINVAL;
		set.start = 0;
		set.count = vectors;
		m->action->irqs = VFU_IRQS_RELEASE;
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER:
		if (m->fds && m->fds != set.count)
			return -EINVAL;
		m->action->irqs = m->fds ? VFU_IRQS_ASSIGN : VFU_IRQS_RELEASE;
		break;
	default:
		/* Masking and triggering: QEMU does them itself. */
		return -EINVAL;
	}
	m->action->irq_first = set.start;
	m->action->irq_count = set.count;
	return 0;
}

static int region_access(struct message *m, bool write)
{
	struct vfu_device *device = m->device;
	struct vfu_action *action = m->action;
	struct region_access a;
	uint64_t limit;
	uint8_t *in = m->out + sizeof(a);
	const uint8_t *out = m->payload + sizeof(a);

	if (!take(m, &a, sizeof(a)) || a.count > VFU_DATA_BYTES)
		return -EINVAL;
	if (write && m->bytes - sizeof(a) < a.count)
		return -EINVAL;
	switch (a.region) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		limit = device->bar_bytes;
		break;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		limit = CONFIG_BYTES;
		break;
	default:
		return -EINVAL;
	}
	if (a.offset > limit || a.count > limit - a.offset)
		return -EINVAL;

	if (a.region == VFIO_PCI_CONFIG_REGION_INDEX) {
		if (write)
			action->reset = config_write(&device->config, a.offset, a.count, out);
		else
			config_read(&device->config, a.offset, a.count, in);
	} else {
		if (!write)
			memset(in, 0, a.count);
		action->bar_in = write ? NULL : in;
		action->bar_out = write ? out : NULL;
		action->bar_offset = a.offset;
		action->bar_count = a.count;
	}
	memcpy(m->out, &a, sizeof(a));
	return sizeof(a) + (write ? 0 : a.count);
}

static int reset(struct message *m)
{
	config_init(&m->device->config, &m->device->config.identity);
	m->action->reset = true;
	return 0;
}

/* The bytes of the reply's payload or -errno. */
static int dispatch(struct message *m, unsigned int command)
{
	switch (command) {
	case VFU_VERSION:
		return version(m);
	case VFU_DMA_MAP:
		return dma_map(m);
	case VFU_DMA_UNMAP:
		return dma_unmap(m);
	case VFU_DEVICE_GET_INFO:
		return device_info(m);
	case VFU_REGION_GET_INFO:
		return region_info(m);
	case VFU_IRQ_GET_INFO:
		return irq_info(m);
	case VFU_SET_IRQS:
		return set_irqs(m);
	case VFU_REGION_READ:
		return region_access(m, false);
	case VFU_REGION_WRITE:
		return region_access(m, true);
	case VFU_DEVICE_RESET:
		return reset(m);
	default:
		return -ENOTSUP;
	}
}

size_t vfu_handle(struct vfu_device *device, const struct vfu_header *header,
		  const uint8_t *payload, unsigned int fds, uint8_t *reply,
		  struct vfu_action *action)
{
	struct message m = {
		.device = device,
		.payload = payload,
		.bytes = header->size - VFU_HEADER_BYTES,
		.fds = fds,
		.out = reply + VFU_HEADER_BYTES,
		.action = action,
	};
	uint32_t size, flags = FLAG_REPLY, error = 0;
	int bytes;

	memset(action, 0, sizeof(*action));
	bytes = dispatch(&m, header->command);
	if (bytes < 0) {
		memset(action, 0, sizeof(*action));
		error = -bytes;
		flags |= FLAG_ERROR;
		bytes = 0;
	}
	if (header->flags & FLAG_NO_REPLY)
		return 0;
	size = VFU_HEADER_BYTES + bytes;
	memcpy(reply, &header->id, 2);
	memcpy(reply + 2, &header->command, 2);
	memcpy(reply + 4, &size, 4);
	memcpy(reply + 8, &flags, 4);
	memcpy(reply + 12, &error, 4);
	return size;
}
