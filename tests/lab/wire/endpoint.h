/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SmartNIC machine as the wire sees it: its ivshmem client, the doorbells
 * and the mailbox behind the host's memory.
 */
#ifndef LAB_ENDPOINT_H
#define LAB_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "vfio-user.h"

struct endpoint_options {
	const char *socket;		/* QEMU's ivshmem client connects here */
	const char *machine_ram;	/* the file that is that machine's memory */
	const char *host_ram;		/* the file that is the host's memory */
	uint64_t host_bytes;
};

struct endpoint_events {
	void (*started)(void);
	void (*stopped)(void);		/* or its machine went away */
	void (*answered)(void);		/* nothing is waited for any more */
	void (*interrupt)(unsigned int vector);
};

void endpoint_init(const struct endpoint_options *options, const struct endpoint_events *events);

bool endpoint_connected(void);
bool endpoint_started(void);
/* There is a request that was not answered, by an endpoint that can. */
bool endpoint_busy(void);
/* A host arrives (and is reset) or leaves. */
void endpoint_request(bool link);
/* How many vectors the host listens to. */
void endpoint_msix(unsigned int enabled);

/*
 * What a host that attaches now is to be shown, with a file descriptor of BAR 0
 * that stays the endpoint's. -1 if what the endpoint says makes no sense.
 */
int endpoint_device(struct vfu_device *device);
/* Is this the host's memory, but not where the endpoint looks for it? */
bool endpoint_misplaced(int fd, uint64_t address, uint64_t file_offset);
/* Power-off: the next host finds zeroes. */
void endpoint_clear_host(void);

#endif
