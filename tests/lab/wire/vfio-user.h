/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vfio-user protocol, server side: bytes in, bytes and wishes out. Knows no
 * sockets, so that tests and a fuzzer can be the host.
 */
#ifndef LAB_VFIO_USER_H
#define LAB_VFIO_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define VFU_HEADER_BYTES	16
/* Of region data in one message; QEMU keeps to what it is told. */
#define VFU_DATA_BYTES		65536
/* The largest fixed part beside data, VERSION's JSON included. */
#define VFU_MAX_MESSAGE		(VFU_HEADER_BYTES + 4096 + VFU_DATA_BYTES)
/* File descriptors a message may carry. */
#define VFU_MAX_FDS		8

enum vfu_command {
	VFU_VERSION = 1,
	VFU_DMA_MAP,
	VFU_DMA_UNMAP,
	VFU_DEVICE_GET_INFO,
	VFU_REGION_GET_INFO,
	VFU_REGION_GET_IO_FDS,
	VFU_IRQ_GET_INFO,
	VFU_SET_IRQS,
	VFU_REGION_READ,
	VFU_REGION_WRITE,
	VFU_DMA_READ,
	VFU_DMA_WRITE,
	VFU_DEVICE_RESET,
	VFU_COMMANDS
};

struct vfu_header {
	uint16_t id;
	uint16_t command;
	uint32_t size;		/* this header included */
	uint32_t flags;
	uint32_t error;
};

/* What the host is shown. */
struct vfu_device {
	struct config_space config;
	uint64_t bar_bytes;		/* of region 0 */
	uint64_t bar_direct;		/* of these, from 0, the host maps itself */
	uint64_t bar_file_offset;
	unsigned int vectors;
};

enum vfu_irqs {
	VFU_IRQS_KEEP,
	VFU_IRQS_ASSIGN,		/* fds[i] is for vector first + i */
	VFU_IRQS_RELEASE,		/* count of them */
};

/* What else is to be done for a message, before it is answered. */
struct vfu_action {
	bool reset;			/* by message or by function level reset */
	bool send_bar_fd;		/* with the answer */
	enum vfu_irqs irqs;
	uint32_t irq_first, irq_count;
	bool dma_map, dma_unmap;
	uint64_t dma_address, dma_bytes, dma_file_offset;
	/* BAR 0 by message: read into bar_in or written from bar_out. */
	uint8_t *bar_in;
	const uint8_t *bar_out;
	uint64_t bar_offset;
	uint32_t bar_count;
};

/*
 * The header of the message in the first VFU_HEADER_BYTES of data. Fails with
 * -EPROTO if the stream cannot be followed after it.
 */
int vfu_header_parse(const uint8_t *data, struct vfu_header *header);

/*
 * Answer one message. payload is header->size - VFU_HEADER_BYTES long; reply has
 * room for VFU_MAX_MESSAGE. The size of the reply, or 0 if the host wants none.
 */
size_t vfu_handle(struct vfu_device *device, const struct vfu_header *header,
		  const uint8_t *payload, unsigned int fds, uint8_t *reply,
		  struct vfu_action *action);

/* "REGION_READ" */
const char *vfu_command_name(unsigned int command);

#endif
