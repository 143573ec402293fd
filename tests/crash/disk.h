/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local disk as a crash may leave it: what each sector of the windows holds, as
 * tags, and the tail's bytes. Opened with the module's own on-media code (media.c).
 */
#ifndef CRASH_DISK_H
#define CRASH_DISK_H

#include "media.h"

#include "log.h"
#include "oracle.h"

struct disk_undo {
	uint32_t index, tag, fua;
};

struct disk {
	const struct oracle *oracle;
	struct sluice_layout layout;	/* not of a peer */
	uint64_t tail_sector;		/* what is at and after it is kept as bytes */
	uint32_t *tags;
	uint32_t *fua;			/* the operation that last wrote there with FUA */
	uint8_t *tail;
	size_t tail_bytes;
	uint32_t **entry_tags;		/* of each entry of the log, NULL where none */
	uint64_t (*words)[SLUICE_PAGE_WORDS];	/* the map as opened */
	/* A state is made of the durable disk and taken back. */
	bool noting;
	struct disk_undo *undo;
	size_t undo_count, undo_room;
	uint8_t *tail_saved;
	bool tail_changed;
};

struct violation {
	int invariant;			/* its number in the design */
	uint64_t sector;
	uint32_t tag;
	const char *what;
};

/* -errno; -EINVAL when the log writes where nothing should be written. */
int disk_init(struct disk *disk, const struct oracle *oracle, const struct log *log);
void disk_destroy(struct disk *disk);

/* Sectors [from, to) of a log entry reach the disk. */
void disk_apply(struct disk *disk, const struct log *log, size_t entry, uint64_t from,
		uint64_t to);

/* What is applied between the two is taken back by the second. */
void disk_note(struct disk *disk);
void disk_restore(struct disk *disk);

/*
 * Opens and checks every sector, after a crash at @position. @complete: it was recorded
 * that all is there. False with *v the first violation.
 */
bool disk_check(struct disk *disk, size_t position, bool complete, struct violation *v);

/*
 * Whether a sector, by its index, may hold @tag as the host reads it. False with *v
 * what is violated.
 */
bool disk_check_sector(const struct disk *disk, size_t index, uint32_t tag, size_t position,
		       struct violation *v);

/* What was written after a crash: another log, of the same windows, on what is there. */
int disk_recovered(struct disk *disk, const struct log *log);

static inline bool disk_is_tail(const struct disk *disk, const struct log_entry *e)
{
	return e->sector >= disk->tail_sector;
}

#endif /* CRASH_DISK_H */
