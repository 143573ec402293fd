/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon remembers of a deployment across its own end and the machine's:
 * one JSON file each, NAME.json in the state directory. The disk and the kernel
 * hold the truth about blocks; this says where the image comes from and who may
 * reach the device.
 *
 * Saving and removing block for as long as the file system takes.
 */
#ifndef SLUICED_STATE_H
#define SLUICED_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "export.h"
#include "paths.h"

enum sluiced_phase {
	/*
	 * Written before the kernel is asked to open: if we die here, a device of
	 * that name is ours, and without one nothing ever was.
	 */
	SLUICED_PHASE_OPENING,
	SLUICED_PHASE_OPEN,
	SLUICED_PHASE_COMPLETE,
};

struct sluiced_record {
	char name[SLUICE_NAME_LEN];
	enum sluiced_phase phase;
	uint8_t uuid[SLUICE_UUID_LEN];	/* zeroes in SLUICED_PHASE_OPENING */
	struct sluiced_paths paths;
	char local[PATH_MAX];
	char local_id[SLUICE_ID_LEN];
	struct sluice_image image;
	uint64_t namespace_bytes;
	uint32_t deadline_ms;		/* 0: the kernel's default */
	uint64_t min_rate, max_rate;
	bool paused;
	char failed[SLUICED_WHY_LEN];	/* why it failed for good, or empty */
	struct sluiced_export exports[SLUICED_MAX_EXPORTS];
	size_t export_count;
};

/* Atomic and durable: after a crash the file is the old or the new one. */
int sluiced_state_save(const char *dir, const struct sluiced_record *record);

/*
 * The boot profile beside it, NAME.profile. *@text is malloc'ed, of *@len bytes.
 * -ENOENT when there is none, -EFBIG.
 */
int sluiced_state_save_profile(const char *dir, const char *name, const char *text, size_t len);
int sluiced_state_load_profile(const char *dir, const char *name, char **text, size_t *len);

/* Both. A missing file is fine. */
int sluiced_state_remove(const char *dir, const char *name);

/*
 * Calls @found for every valid file. One that is not is left alone and named in
 * the log. -errno when the directory cannot be read.
 */
int sluiced_state_load(const char *dir,
		       void (*found)(void *ctx, const struct sluiced_record *record),
		       void *ctx);

#endif /* SLUICED_STATE_H */
