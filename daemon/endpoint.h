/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's PCI endpoint framework, by its configfs: an NVMe function
 * (nvmet_pci_epf) on an endpoint controller. Functions block, so they are for
 * jobs; on error they leave nothing behind.
 *
 * Documentation/PCI/endpoint/pci-nvme-function.rst and pci-endpoint-cfs.rst of the
 * kernel.
 */
#ifndef SLUICED_ENDPOINT_H
#define SLUICED_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* Of a controller, as /sys/class/pci_epc spells it. */
#define SLUICED_CONTROLLER_LEN	80

/* Nobody's, a function looks like an empty slot: the ids of an emulated device. */
#define SLUICED_ENDPOINT_VENDOR	0x1b36
#define SLUICED_ENDPOINT_DEVICE	0x51ce

struct sluiced_endpoint {
	const char *name;		/* of the function: a directory of ours */
	const char *controller;
	const char *nqn;		/* of the subsystem it shows */
	uint16_t port_id;		/* an nvmet port of type pci, with the subsystem on it */
	uint16_t queues;		/* for I/O; one more is for administration */
	uint32_t mdts_kb;		/* a power of two */
};

/* Whether this machine has a controller and the function; loads the module. */
bool sluiced_endpoint_require(struct sluiced_fault *fault);

/*
 * Fills in the controller to use: @wanted, or where that is empty the only one
 * that is free. A controller that shows another function is not.
 */
bool sluiced_endpoint_choose(const char *wanted, char *controller, size_t len,
			     struct sluiced_fault *fault);

/*
 * Makes the function and starts the controller: from here on the host sees it. The
 * subsystem must be able to serve.
 */
bool sluiced_endpoint_start(const struct sluiced_endpoint *endpoint,
			    struct sluiced_fault *fault);

/*
 * Whether the kernel's function survives a read that fails. Upstream's, from Linux
 * 6.15 on, waits for it for ever, and nothing gets its queue back: see Exports in
 * Documentation/ARCHITECTURE.rst. Of a loaded module.
 */
bool sluiced_endpoint_ends_failed_reads(void);

/* Whether the function @name is on @controller and that is started. */
bool sluiced_endpoint_started(const char *name, const char *controller);

/*
 * To the host, the card is pulled. Requests that the host waits for end first. Of
 * half a function too; a missing one is fine.
 */
bool sluiced_endpoint_stop(const char *name, struct sluiced_fault *fault);

#endif /* SLUICED_ENDPOINT_H */
