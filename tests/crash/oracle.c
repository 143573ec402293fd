// SPDX-License-Identifier: GPL-2.0-or-later
#include "oracle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The stamps of tests/guest/puppet.c, and the inverse of their factor. */
#define STAMP_WHERE	0x5a5a5a5a00000000ULL
#define STAMP_FACTOR	0x9e3779b97f4a7c15ULL

static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;
	int i;

	/* Newton: each step doubles the right bits. */
	for (i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

static bool filled(const uint8_t *data, uint8_t value)
{
	return data[0] == value && !memcmp(data, data + 1, 511);
}

uint32_t oracle_tag(uint64_t sector, const uint8_t *data)
{
	uint64_t w[64], off = sector * 512, who;
	unsigned int i;

	if (filled(data, 0))
		return TAG_ZERO;
	if (filled(data, CRASH_POISON))
		return TAG_POISON;
	memcpy(w, data, sizeof(w));
	who = (w[1] ^ off) * inverse(STAMP_FACTOR);
	if (who >= TAG_ZERO)
		return TAG_OTHER;
	for (i = 0; i < 32; i++, off += 16)
		if (w[2 * i] != (off ^ STAMP_WHERE) || w[2 * i + 1] != (who * STAMP_FACTOR ^ off))
			return TAG_OTHER;
	return who;
}

void oracle_content(uint64_t sector, uint32_t tag, uint8_t *data)
{
	uint64_t off = sector * 512, w[64];
	unsigned int i;

	if (tag == TAG_ZERO || tag == TAG_POISON) {
		memset(data, tag == TAG_ZERO ? 0 : CRASH_POISON, 512);
		return;
	}
	for (i = 0; i < 32; i++, off += 16) {
		w[2 * i] = off ^ STAMP_WHERE;
		w[2 * i + 1] = tag * STAMP_FACTOR ^ off;
	}
	memcpy(data, w, sizeof(w));
}

int64_t oracle_index(const struct oracle *o, uint64_t sector)
{
	uint64_t before = 0;
	uint32_t i;

	for (i = 0; i < o->header.windows; i++) {
		const struct crash_window *w = &o->header.window[i];

		if (sector >= w->block * 8 && sector < (w->block + w->blocks) * 8)
			return before + sector - w->block * 8;
		before += w->blocks * 8;
	}
	return -1;
}

uint64_t oracle_sector(const struct oracle *o, size_t index)
{
	uint32_t i;

	for (i = 0; i < o->header.windows; i++) {
		const struct crash_window *w = &o->header.window[i];

		if (index < w->blocks * 8)
			return w->block * 8 + index;
		index -= w->blocks * 8;
	}
	return UINT64_MAX;
}

static int read_journal(struct oracle *o, const char *path)
{
	FILE *f = fopen(path, "r");
	int err = -EINVAL;
	uint32_t i;

	if (!f)
		return -errno;
	if (fread(&o->header, sizeof(o->header), 1, f) == 1 && o->header.magic == CRASH_MAGIC &&
	    o->header.windows && o->header.windows <= CRASH_WINDOWS && o->header.ops < 1 << 24) {
		o->ops = calloc(o->header.ops + 1, sizeof(*o->ops));
		if (o->ops && fread(o->ops, sizeof(*o->ops), o->header.ops, f) == o->header.ops)
			err = 0;
	}
	fclose(f);
	for (i = 0; !err && i < o->header.ops; i++)
		if (o->ops[i].id != i + 1)
			err = -EINVAL;
	for (i = 0; !err && i < o->header.windows; i++)
		o->sectors += o->header.window[i].blocks * 8;
	return err;
}

static void promise(struct oracle *o, const struct crash_op *by, size_t position)
{
	uint32_t i;

	for (i = 0; i < o->header.ops; i++) {
		const struct crash_op *op = &o->ops[i];

		if (op->completed &&
		    (by->kind == CRASH_FUA ? op == by : op->completed < by->submitted) &&
		    position < o->promised[i])
			o->promised[i] = position;
	}
}

static int read_marks(struct oracle *o, const struct log *log)
{
	size_t i;

	o->formatted = o->completed = NEVER;
	for (i = 0; i < log->count; i++) {
		const char *text = log->entries[i].text;
		unsigned long id;

		/* The target marks its own end. */
		if (!(log->entries[i].flags & LOG_MARK) || !strcmp(text, "dm-log-writes-end"))
			continue;
		if (!strcmp(text, CRASH_FORMATTED)) {
			o->formatted = i;
		} else if (!strcmp(text, CRASH_COMPLETED)) {
			o->completed = i;
		} else {
			id = strtoul(text, NULL, 10);
			if (!id || id > o->header.ops)
				return -EINVAL;
			promise(o, &o->ops[id - 1], i);
		}
	}
	return 0;
}

static bool replaces(const struct crash_op *op)
{
	return op->kind == CRASH_WRITE || op->kind == CRASH_FUA || op->kind == CRASH_ZERO;
}

static int list_covers(struct oracle *o)
{
	uint32_t *at;
	uint64_t s;
	int64_t n;
	uint32_t i;

	o->first = calloc(o->sectors + 2, sizeof(*o->first));
	if (!o->first)
		return -ENOMEM;
	for (i = 0; i < o->header.ops; i++)
		for (s = 0; s < o->ops[i].sectors; s++) {
			n = oracle_index(o, o->ops[i].sector + s);
			if (n < 0)
				return -EINVAL;
			o->first[n + 2]++;
		}
	for (s = 2; s < o->sectors + 2; s++)
		o->first[s] += o->first[s - 1];
	o->covers = calloc(o->first[o->sectors + 1] + 1, sizeof(*o->covers));
	if (!o->covers)
		return -ENOMEM;
	/* Shifted by one while they are filled in: each ends where the next begins. */
	at = o->first + 1;
	for (i = 0; i < o->header.ops; i++)
		for (s = 0; s < o->ops[i].sectors; s++)
			o->covers[at[oracle_index(o, o->ops[i].sector + s)]++].op = i;
	return 0;
}

static void judge_sector(struct oracle *o, size_t n)
{
	uint32_t i, j, end = o->first[n + 1];
	size_t *block = &o->block_until[n / 8];

	o->image_until[n] = NEVER;
	for (i = o->first[n]; i < end; i++) {
		struct oracle_cover *a = &o->covers[i];
		const struct crash_op *op = &o->ops[a->op];

		a->superseded = NEVER;
		for (j = o->first[n]; j < end; j++) {
			const struct crash_op *by = &o->ops[o->covers[j].op];

			if (replaces(by) && op->completed && op->completed < by->submitted &&
			    o->promised[by->id - 1] < a->superseded)
				a->superseded = o->promised[by->id - 1];
		}
		if (replaces(op) && o->promised[a->op] < o->image_until[n])
			o->image_until[n] = o->promised[a->op];
	}
	if (o->image_until[n] < *block)
		*block = o->image_until[n];
}

int oracle_init(struct oracle *o, const char *journal, const struct log *log)
{
	size_t i;
	int err;

	memset(o, 0, sizeof(*o));
	err = read_journal(o, journal);
	if (err)
		goto err_destroy;
	err = -ENOMEM;
	o->promised = malloc((o->header.ops + 1) * sizeof(size_t));
	o->image_until = malloc(o->sectors * sizeof(size_t));
	o->block_until = malloc(o->sectors / 8 * sizeof(size_t));
	if (!o->promised || !o->image_until || !o->block_until)
		goto err_destroy;
	for (i = 0; i < o->header.ops; i++)
		o->promised[i] = NEVER;
	for (i = 0; i < o->sectors / 8; i++)
		o->block_until[i] = NEVER;
	err = read_marks(o, log);
	if (!err)
		err = list_covers(o);
	if (err)
		goto err_destroy;
	for (i = 0; i < o->sectors; i++)
		judge_sector(o, i);
	return 0;

err_destroy:
	oracle_destroy(o);
	return err;
}

void oracle_destroy(struct oracle *o)
{
	free(o->ops);
	free(o->promised);
	free(o->first);
	free(o->covers);
	free(o->image_until);
	free(o->block_until);
	memset(o, 0, sizeof(*o));
}

/* Past its end the image is zeroes. */
static bool is_image(const struct oracle *o, size_t index, uint32_t tag)
{
	if (tag == TAG_ZERO)
		return oracle_sector(o, index) * 512 >= o->header.image_bytes;
	return tag == TAG_IMAGE;
}

bool oracle_allows(const struct oracle *o, size_t index, uint32_t tag, size_t position)
{
	uint32_t i;

	if (is_image(o, index, tag) && position < o->image_until[index])
		return true;
	for (i = o->first[index]; i < o->first[index + 1]; i++) {
		const struct crash_op *op = &o->ops[o->covers[i].op];
		bool zeroes = op->kind == CRASH_ZERO || op->kind == CRASH_DISCARD;

		if ((tag == TAG_ZERO ? zeroes : op->id == tag) &&
		    position < o->covers[i].superseded)
			return true;
	}
	return false;
}
