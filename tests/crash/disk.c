// SPDX-License-Identifier: GPL-2.0-or-later
#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool writes(const struct log_entry *e)
{
	return e->sectors && !(e->flags & LOG_MARK);
}

/* Reading a stamp is dear, and an entry is in many states. */
static int tag_entries(struct disk *disk, const struct log *log)
{
	size_t i;
	uint64_t s;

	disk->entry_tags = calloc(log->count + 1, sizeof(*disk->entry_tags));
	if (!disk->entry_tags)
		return -ENOMEM;
	for (i = 0; i < log->count; i++) {
		const struct log_entry *e = &log->entries[i];

		if (!writes(e) || disk_is_tail(disk, e))
			continue;
		disk->entry_tags[i] = malloc(e->sectors * sizeof(uint32_t));
		if (!disk->entry_tags[i])
			return -ENOMEM;
		for (s = 0; s < e->sectors; s++) {
			if (oracle_index(disk->oracle, e->sector + s) < 0) {
				fprintf(stderr, "entry %zu writes sector %llu, which is nobody's\n",
					i, (unsigned long long)(e->sector + s));
				return -EINVAL;
			}
			disk->entry_tags[i][s] = e->flags & LOG_DISCARD ? TAG_ZERO :
				oracle_tag(e->sector + s, e->data + s * 512);
		}
	}
	return 0;
}

int disk_init(struct disk *disk, const struct oracle *oracle, const struct log *log)
{
	const struct crash_header *h = &oracle->header;
	size_t i;
	int err;

	memset(disk, 0, sizeof(*disk));
	disk->oracle = oracle;
	disk->tail_sector = h->namespace_bytes / 512;
	if (!h->peer) {
		err = sluice_layout_init(&disk->layout, h->disk_bytes, h->namespace_bytes);
		if (err)
			return err;
		disk->tail_sector = disk->layout.slot_offset[0] / 512;
	}
	disk->tail_bytes = h->disk_bytes - disk->tail_sector * 512;
	disk->tags = malloc(oracle->sectors * sizeof(*disk->tags));
	disk->fua = calloc(oracle->sectors, sizeof(*disk->fua));
	disk->tail = malloc(disk->tail_bytes);
	disk->tail_saved = malloc(disk->tail_bytes);
	disk->words = calloc(disk->layout.map_pages ?: 1, sizeof(*disk->words));
	err = -ENOMEM;
	if (!disk->tags || !disk->fua || !disk->tail || !disk->tail_saved || !disk->words)
		goto err_destroy;
	for (i = 0; i < oracle->sectors; i++)
		disk->tags[i] = TAG_POISON;
	memset(disk->tail, h->peer ? 0 : CRASH_POISON, disk->tail_bytes);
	err = tag_entries(disk, log);
	if (!err)
		return 0;

err_destroy:
	disk_destroy(disk);
	return err;
}

void disk_destroy(struct disk *disk)
{
	/* Entries' tags live as long as the program. */
	free(disk->tags);
	free(disk->fua);
	free(disk->tail);
	free(disk->tail_saved);
	free(disk->words);
	free(disk->undo);
	memset(disk, 0, sizeof(*disk));
}

/*
 * A write that ended before one with FUA began is logged after it, unless a flush came
 * between. The disk has them in the right order.
 */
static bool is_older(const struct disk *disk, uint32_t index, uint32_t tag)
{
	const struct oracle *o = disk->oracle;
	uint64_t since;
	uint32_t i;

	if (!disk->fua[index])
		return false;
	since = o->ops[disk->fua[index] - 1].submitted;
	/* Fills come before any write of their block. */
	if (tag == TAG_IMAGE)
		return true;
	if (tag != TAG_ZERO)
		return tag <= o->header.ops && o->ops[tag - 1].completed &&
		       o->ops[tag - 1].completed < since;
	for (i = o->first[index]; i < o->first[index + 1]; i++) {
		const struct crash_op *op = &o->ops[o->covers[i].op];

		if ((op->kind == CRASH_ZERO || op->kind == CRASH_DISCARD) &&
		    (!op->completed || op->completed > since))
			return false;
	}
	return true;
}

static void set_tag(struct disk *disk, uint32_t index, uint32_t tag, bool fua)
{
	if (!fua && is_older(disk, index, tag))
		return;
	if (disk->noting) {
		if (disk->undo_count == disk->undo_room) {
			disk->undo_room = disk->undo_room * 2 + 1024;
			disk->undo = realloc(disk->undo, disk->undo_room * sizeof(*disk->undo));
			if (!disk->undo)
				abort();
		}
		disk->undo[disk->undo_count++] = (struct disk_undo){
			index, disk->tags[index], disk->fua[index] };
	}
	if (fua && tag && tag <= disk->oracle->header.ops)
		disk->fua[index] = tag;
	disk->tags[index] = tag;
}

void disk_apply(struct disk *disk, const struct log *log, size_t entry, uint64_t from,
		uint64_t to)
{
	const struct log_entry *e = &log->entries[entry];
	uint64_t s;

	if (!writes(e))
		return;
	if (disk_is_tail(disk, e)) {
		if (disk->noting && !disk->tail_changed) {
			memcpy(disk->tail_saved, disk->tail, disk->tail_bytes);
			disk->tail_changed = true;
		}
		memcpy(disk->tail + (e->sector - disk->tail_sector + from) * 512,
		       e->data + from * 512, (to - from) * 512);
		return;
	}
	for (s = from; s < to; s++)
		set_tag(disk, oracle_index(disk->oracle, e->sector + s),
			disk->entry_tags[entry][s], e->flags & LOG_FUA);
}

void disk_note(struct disk *disk)
{
	disk->noting = true;
	disk->tail_changed = false;
	disk->undo_count = 0;
}

void disk_restore(struct disk *disk)
{
	while (disk->undo_count) {
		disk->undo_count--;
		disk->tags[disk->undo[disk->undo_count].index] =
			disk->undo[disk->undo_count].tag;
		disk->fua[disk->undo[disk->undo_count].index] =
			disk->undo[disk->undo_count].fua;
	}
	if (disk->tail_changed)
		memcpy(disk->tail, disk->tail_saved, disk->tail_bytes);
	disk->noting = false;
}

int disk_recovered(struct disk *disk, const struct log *log)
{
	/* What was written with FUA before is no news of what this log has. */
	memset(disk->fua, 0, disk->oracle->sectors * sizeof(*disk->fua));
	return tag_entries(disk, log);
}

static const uint8_t *tail_at(const struct disk *disk, uint64_t offset)
{
	return disk->tail + (offset - disk->layout.slot_offset[0]);
}

static bool violated(struct violation *v, int invariant, uint64_t sector, uint32_t tag,
		     const char *what)
{
	*v = (struct violation){ invariant, sector, tag, what };
	return false;
}

/* As sluice_store_find(): the newer valid copy counts. */
static bool open_super(const struct disk *disk, struct sluice_super *sb)
{
	struct sluice_super copy;
	bool found = false;
	int i;

	for (i = 0; i < 2; i++) {
		if (sluice_super_decode(&copy, tail_at(disk, disk->layout.super_offset[i])) ||
		    (found && copy.sequence <= sb->sequence))
			continue;
		*sb = copy;
		found = true;
	}
	return found;
}

static bool open_map(struct disk *disk, const struct sluice_super *sb, struct violation *v)
{
	const struct sluice_layout *l = &disk->layout;
	u64 page, sequence;

	for (page = 0; page < l->map_pages; page++) {
		u64 at = page * SLUICE_MEDIA_BYTES;

		if (sluice_page_pick(tail_at(disk, l->slot_offset[0] + at),
				     tail_at(disk, l->slot_offset[1] + at), sb->uuid, page,
				     &sequence, disk->words[page]))
			return violated(v, 13, (l->slot_offset[0] + at) / 512, 0,
					"no slot of this map page is valid");
	}
	return true;
}

static bool resident(const struct disk *disk, uint64_t block)
{
	return disk->words[block / SLUICE_PAGE_BLOCKS][block % SLUICE_PAGE_BLOCKS / 64] >>
	       (block % 64) & 1;
}

bool disk_check_sector(const struct disk *disk, size_t index, uint32_t tag, size_t position,
		       struct violation *v)
{
	const struct oracle *o = disk->oracle;

	if (oracle_allows(o, index, tag, position))
		return true;
	if (tag == TAG_POISON)
		return violated(v, 8, oracle_sector(o, index), tag,
				"resident, but never written");
	if (tag == TAG_IMAGE)
		return violated(v, 12, oracle_sector(o, index), tag,
				"the image over a flushed write");
	if (tag == TAG_OTHER)
		return violated(v, 12, oracle_sector(o, index), tag,
				"neither of this sector's contents");
	return violated(v, 9, oracle_sector(o, index), tag, "an older content than was flushed");
}

static bool check_block(const struct disk *disk, size_t first, size_t position,
			struct violation *v)
{
	size_t i;

	for (i = first; i < first + 8; i++)
		if (!disk_check_sector(disk, i, disk->tags[i], position, v))
			return false;
	return true;
}

bool disk_check(struct disk *disk, size_t position, bool complete, struct violation *v)
{
	const struct oracle *o = disk->oracle;
	struct sluice_super sb;
	size_t block, i;
	bool all;

	if (!open_super(disk, &sb)) {
		if (o->formatted == NEVER || position < o->formatted)
			return true;
		return violated(v, 16, disk->layout.super_offset[0] / 512, 0,
				"neither superblock is valid");
	}
	if (sb.namespace_bytes != o->header.namespace_bytes ||
	    sb.disk_bytes != o->header.disk_bytes)
		return violated(v, 16, disk->layout.super_offset[0] / 512, 0,
				"the superblock is of another disk");
	all = sb.state == SLUICE_MEDIA_COMPLETE;
	if (!all && complete)
		return violated(v, 16, disk->layout.super_offset[0] / 512, 0,
				"complete, but not recorded");
	if (!all && !open_map(disk, &sb, v))
		return false;
	for (i = 0; i < o->sectors; i += 8) {
		block = oracle_sector(o, i) / 8;
		if (all || resident(disk, block)) {
			if (!check_block(disk, i, position, v)) {
				if (all)
					v->invariant = 16;
				return false;
			}
		} else if (position >= o->block_until[i / 8]) {
			return violated(v, 9, block * 8, TAG_IMAGE,
					"missing, although the host flushed a write there");
		}
	}
	return true;
}
