/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host machine as the wire sees it: a vfio-user client, one at a time, and
 * only while there is an endpoint to be shown.
 */
#ifndef LAB_HOST_H
#define LAB_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "vfio-user.h"

struct host_counters {
	uint64_t hosts;
	uint64_t messages[VFU_COMMANDS];	/* [0]: unknown commands */
	uint64_t bar_messages;			/* should stay 0: BAR 0 is mapped */
	uint64_t dma_maps, misplaced_maps;	/* the second should stay 0 */
	uint64_t interrupts, dropped_interrupts;
	uint64_t resets, late_resets;
	uint64_t protocol_errors;
};

void host_init(const char *socket);

/* What the endpoint has to say to it. */
void host_endpoint_started(void);
void host_endpoint_stopped(void);
void host_endpoint_answered(void);
void host_interrupt(unsigned int vector);

/* "absent", "attaching", "attached", "resetting", "leaving" */
const char *host_state(void);
const struct host_counters *host_counters(void);

#endif
