/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a disk may hold after a crash, from the journal and the log's marks alone: it
 * knows nothing of maps, claims or rounds.
 *
 * A promise is the position in the log from which on an operation is durable: that
 * of the mark of the first flush that was submitted after the operation's end, or of
 * its own with FUA. A crash at position t has seen every promise at or before t. An
 * operation is superseded for a sector by one that began after it ended and is
 * promised; of two that overlapped in time either may win.
 */
#ifndef CRASH_ORACLE_H
#define CRASH_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crash.h"
#include "log.h"

/* What a sector holds: an operation's id, or one of these. */
#define TAG_IMAGE	0U
#define TAG_ZERO	0xfffffffdU
#define TAG_POISON	0xfffffffeU	/* what a previous tenant left */
#define TAG_OTHER	0xffffffffU	/* a mixture, or another sector's */

#define NEVER		SIZE_MAX

struct oracle_cover {			/* an operation at one sector */
	uint32_t op;			/* index */
	size_t superseded;		/* position in the log */
};

struct oracle {
	struct crash_header header;
	struct crash_op *ops;
	size_t *promised;		/* of each operation */
	size_t sectors;			/* of all windows */
	uint32_t *first;		/* of each sector's covers, and one more */
	struct oracle_cover *covers;
	size_t *image_until;		/* of each sector: position of the first promise */
	size_t *block_until;		/* of each block: the earliest of its sectors */
	size_t formatted, completed;	/* positions of those marks, or NEVER */
};

/* -errno; -EINVAL for a journal that is none or does not match the log. */
int oracle_init(struct oracle *o, const char *journal, const struct log *log);
void oracle_destroy(struct oracle *o);

/* A sector's number among those of the windows; -1 outside. */
int64_t oracle_index(const struct oracle *o, uint64_t sector);
uint64_t oracle_sector(const struct oracle *o, size_t index);

/* What a sector's bytes are. */
uint32_t oracle_tag(uint64_t sector, const uint8_t *data);
/* And the other way round; not of TAG_OTHER. */
void oracle_content(uint64_t sector, uint32_t tag, uint8_t *data);

/* Whether a crash at @position may leave @tag, as the host reads it. */
bool oracle_allows(const struct oracle *o, size_t index, uint32_t tag, size_t position);

#endif /* CRASH_ORACLE_H */
