/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local disk before anything is written to it. Reads only; blocks, so it is
 * for jobs.
 */
#ifndef SLUICED_LOCALDISK_H
#define SLUICED_LOCALDISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "control.h"
#include "fault.h"

struct sluiced_localdisk {
	dev_t device;
	uint64_t bytes;
	uint32_t logical_block;
	char id[SLUICE_ID_LEN];		/* or empty */
};

/*
 * Looks at @path: a block device, disk or partition, that nothing else holds.
 * false with SLUICED_LOCAL_UNUSABLE otherwise.
 */
bool sluiced_localdisk_inspect(struct sluiced_localdisk *disk, const char *path,
			       struct sluiced_fault *fault);

/*
 * Whether @path holds neither a file system, a partition table, another known
 * signature nor a deployment of Sluice. false with SLUICED_HOLDS_DATA otherwise.
 * @control_fd: of the control node.
 */
bool sluiced_localdisk_blank(const struct sluiced_localdisk *disk, const char *path,
			     int control_fd, struct sluiced_fault *fault);

/* Whether it holds a deployment of Sluice, of whatever image. */
bool sluiced_localdisk_deployed(const struct sluiced_localdisk *disk, int control_fd);

#endif /* SLUICED_LOCALDISK_H */
