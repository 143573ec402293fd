// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/profile.c libcommon/units.c */
/*
 * Profiles as people change them. What parses has no block twice and prints to what
 * parses to the same; what does not comes with a line of the file and a sentence.
 */
#include "profile.h"
#include "must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refused(const uint8_t *data, size_t size, unsigned int line, const char *why)
{
	size_t len = strnlen(why, SLUICE_PROFILE_WHY_LEN), i, lines = 1;

	must(len && len < SLUICE_PROFILE_WHY_LEN && why[len - 1] == '.');
	for (i = 0; i < len; i++)
		must((unsigned char)why[i] >= ' ' && why[i] != 0x7f);
	for (i = 0; i < size; i++)
		lines += data[i] == '\n';
	must(line >= 1 && line <= lines);
}

static int by_block(const void *a, const void *b)
{
	const struct sluice_extent *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
}

static void check_extents(const struct sluice_profile *p)
{
	struct sluice_extent *sorted = malloc((p->count + 1) * sizeof(*sorted));
	uint64_t sum = 0, end = 0;
	size_t i;

	if (p->count)
		memcpy(sorted, p->extents, p->count * sizeof(*sorted));
	qsort(sorted, p->count, sizeof(*sorted), by_block);
	for (i = 0; i < p->count; i++) {
		must(sorted[i].blocks && sorted[i].block >= end);
		end = sorted[i].block + sorted[i].blocks;
		sum += sorted[i].blocks;
		/* What goes on is one extent. */
		must(!i || p->extents[i].block !=
			   p->extents[i - 1].block + p->extents[i - 1].blocks);
	}
	must(sum == p->blocks && p->count <= SLUICE_PROFILE_EXTENTS);
	must(end <= (UINT64_C(1) << 63) / SLUICE_BLOCK_SIZE);
	free(sorted);
}

static void check_same(const struct sluice_profile *a, const struct sluice_profile *b)
{
	must(a->count == b->count && a->taken_count == b->taken_count);
	must(!a->count || !memcmp(a->extents, b->extents, a->count * sizeof(*a->extents)));
	must(!a->count || !memcmp(a->taken, b->taken, a->taken_count * sizeof(*a->taken)));
	must(a->image.bytes == b->image.bytes && a->image.digest_kind == b->image.digest_kind);
	must(!memcmp(a->image.digest, b->image.digest, sizeof(a->image.digest)));
	must(!strcmp(a->image.id, b->image.id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sluice_profile p = { 0 }, again = { 0 }, merged = { 0 };
	char why[SLUICE_PROFILE_WHY_LEN] = "";
	unsigned int line = 0;
	uint64_t cut, blocks;
	char *text;
	size_t len;

	if (sluice_profile_parse(&p, (const char *)data, size, &line, why)) {
		check_refused(data, size, line, why);
		must(!p.extents && !p.taken && !p.count);
		return 0;
	}
	check_extents(&p);
	must(!sluice_profile_print(&p, NULL, &text, &len) && strlen(text) == len);
	must(!sluice_profile_parse(&again, text, len, &line, why));
	check_same(&p, &again);
	free(text);
	/* Merged with nothing it is the same. */
	must(!sluice_profile_merge(&merged, &p, 1));
	check_same(&p, &merged);
	must(sluice_profile_is_of(&p, &p.image));
	blocks = p.blocks;
	cut = sluice_profile_clip(&p, size);
	check_extents(&p);
	must(p.blocks + cut == blocks && p.blocks <= size);
	sluice_profile_free(&p);
	sluice_profile_free(&again);
	sluice_profile_free(&merged);
	return 0;
}
