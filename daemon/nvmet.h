/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's NVMe target, by its configfs. Functions block, so they are for
 * jobs; on error they leave nothing behind and name the step that failed.
 */
#ifndef SLUICED_NVMET_H
#define SLUICED_NVMET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* Who may connect. */
struct sluiced_hosts {
	bool any;
	const char *const *nqn;		/* none with any */
	size_t count;
};

struct sluiced_subsystem {
	const char *nqn;
	const char *uuid;		/* as text: of the namespace */
	const char *serial;		/* at most 20 characters */
	const char *device;		/* path of the block device */
	struct sluiced_hosts hosts;
	uint16_t vendor_id;		/* PCI; 0 leaves it unset */
	uint16_t queues;		/* for I/O; 0: as many as the kernel likes */
};

/* How hosts reach subsystems. Empty strings are attributes that are not set. */
struct sluiced_port {
	const char *trtype, *traddr, *trsvcid, *adrfam;
};

/* Loads the target where it is a module. */
bool sluiced_nvmet_require(struct sluiced_fault *fault);

/* Whether the subsystem is there, its namespace enabled and on @device. */
bool sluiced_nvmet_has_subsystem(const char *nqn, const char *device);

/* Makes the subsystem with its one namespace, enabled. */
bool sluiced_nvmet_add_subsystem(const struct sluiced_subsystem *subsystem,
				 struct sluiced_fault *fault);

bool sluiced_nvmet_hosts_are(const char *nqn, const struct sluiced_hosts *hosts);

/* Nothing changes for a host that may before and after; connections that there are stay. */
bool sluiced_nvmet_set_hosts(const char *nqn, const struct sluiced_hosts *hosts,
			     struct sluiced_fault *fault);

/* Removes it, also half of it, and from all ports; a missing one is fine. */
bool sluiced_nvmet_remove_subsystem(const char *nqn, struct sluiced_fault *fault);

/*
 * Puts the subsystem on a port: the first that is as @port, or a new one. *@id is
 * its number, *@made whether it is new.
 */
bool sluiced_nvmet_link(const struct sluiced_port *port, const char *nqn, uint16_t *id,
			bool *made, struct sluiced_fault *fault);

bool sluiced_nvmet_linked(uint16_t id, const char *nqn);

/* Takes it off the port; with @remove the port goes too, unless it has others. */
bool sluiced_nvmet_unlink(uint16_t id, const char *nqn, bool remove,
			  struct sluiced_fault *fault);

#endif /* SLUICED_NVMET_H */
