// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: tests/lab/wire/vfio-user.c tests/lab/wire/config.c */
/*
 * A host that says anything: a stream of messages against one device. Whatever
 * it says, an answer fits its buffer, and what the wire is asked to do lies
 * within the device.
 */
#include "tests/lab/wire/vfio-user.h"

#include <stdlib.h>
#include <string.h>

#define VECTORS	5u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(const struct vfu_device *device, const struct vfu_action *action,
		  const uint8_t *reply, size_t size, unsigned int fds)
{
	if (size && (size < VFU_HEADER_BYTES || size > VFU_MAX_MESSAGE))
		abort();
	if (action->irqs != VFU_IRQS_KEEP &&
	    (action->irq_first > VECTORS || action->irq_count > VECTORS - action->irq_first))
		abort();
	if (action->irqs == VFU_IRQS_ASSIGN && action->irq_count != fds)
		abort();
	if (action->bar_count &&
	    (action->bar_offset > device->bar_bytes ||
	     action->bar_count > device->bar_bytes - action->bar_offset))
		abort();
	if (action->bar_in)
		/* Where the wire will put what it reads. */
		if (action->bar_in < reply ||
		    action->bar_in + action->bar_count > reply + VFU_MAX_MESSAGE)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t reply[VFU_MAX_MESSAGE];
	const struct config_identity identity = {
		.vendor = 1,
		.bar_flags = 4,
		.bar_bytes = 0x4000,
		.vectors = VECTORS,
		.table_offset = 0x2000,
		.pending_offset = 0x2800,
	};
	struct vfu_device device = {
		.bar_bytes = 0x4000,
		.bar_direct = 0x2000,
		.vectors = VECTORS,
	};
	struct vfu_header header;
	struct vfu_action action;

	config_init(&device.config, &identity);
	while (bytes >= VFU_HEADER_BYTES && vfu_header_parse(data, &header) == 0) {
		const size_t payload = header.size - VFU_HEADER_BYTES;
		const unsigned int fds = header.error % (VFU_MAX_FDS + 1);
		uint8_t *copy;
		size_t size;

		data += VFU_HEADER_BYTES;
		bytes -= VFU_HEADER_BYTES;
		if (bytes < payload)
			break;
		copy = malloc(payload ? payload : 1);
		memcpy(copy, data, payload);
		size = vfu_handle(&device, &header, copy, fds, reply, &action);
		check(&device, &action, reply, size, fds);
		free(copy);
		data += payload;
		bytes -= payload;
	}
	return 0;
}
