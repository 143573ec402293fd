/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every layout of a disk has to hold, in sums that cannot overflow. */
#ifndef SLUICE_TEST_LAYOUT_H
#define SLUICE_TEST_LAYOUT_H

#include "media.h"
#include "must.h"

#define MIB	(1ULL << 20)
#define BLOCK	((u64)SLUICE_BLOCK_SIZE)

typedef unsigned __int128 u128;

/* The end of what may be used: less than 1 MiB is left behind it. */
static inline u64 usable(u64 disk_bytes)
{
	return disk_bytes / MIB * MIB;
}

static inline void check_layout(const struct sluice_layout *l, u64 disk_bytes)
{
	u128 map_bytes = (u128)l->map_pages * SLUICE_MEDIA_BYTES;

	must(l->namespace_bytes && l->namespace_bytes % 512 == 0);
	must(l->blocks == (l->namespace_bytes - 1) / BLOCK + 1);
	must(l->map_pages == (l->blocks - 1) / SLUICE_PAGE_BLOCKS + 1);
	/* In this order, without a gap in the tail but the reserved one. */
	must((u128)l->blocks * BLOCK <= l->slot_offset[0]);
	must(l->slot_offset[0] + map_bytes == l->slot_offset[1]);
	must(l->slot_offset[1] + map_bytes == l->super_offset[0]);
	must(l->super_offset[0] + MIB == usable(disk_bytes));
	must(l->super_offset[1] + SLUICE_MEDIA_BYTES == usable(disk_bytes));
	must(l->slot_offset[0] % SLUICE_MEDIA_BYTES == 0);
}

/* What blocks and their map, in two slots, take. */
static inline u128 taken(u64 blocks)
{
	u64 pages = blocks / SLUICE_PAGE_BLOCKS + !!(blocks % SLUICE_PAGE_BLOCKS);

	return (u128)blocks * BLOCK + (u128)pages * 2 * SLUICE_MEDIA_BYTES;
}

/* The most blocks that fit, by search. */
static inline u64 most_blocks(u64 room)
{
	u64 low = 0, high = room / BLOCK, mid;

	while (low < high) {
		mid = low + (high - low + 1) / 2;
		if (taken(mid) <= room)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/* Every way to ask for a layout of a disk that is large enough for one. */
static inline void check_disk(u64 disk_bytes)
{
	u64 room = usable(disk_bytes) - MIB, most = most_blocks(room);
	u64 map_blocks = (room / BLOCK / SLUICE_PAGE_BLOCKS + 1) * 2;
	struct sluice_layout all, one, l;

	must(!sluice_layout_init(&all, disk_bytes, 0));
	check_layout(&all, disk_bytes);
	/* By default the map has room for itself too: a page per 126 MiB of it. */
	must(all.blocks <= most);
	must(most - all.blocks <= (map_blocks / SLUICE_PAGE_BLOCKS + 2) * 2);
	must(all.namespace_bytes % BLOCK == 0);

	/* Asked for by number it is the same. */
	must(!sluice_layout_init(&one, disk_bytes, all.namespace_bytes));
	check_layout(&one, disk_bytes);
	must(!memcmp(&all, &one, sizeof(all)));

	must(!sluice_layout_init(&l, disk_bytes, most * BLOCK));
	check_layout(&l, disk_bytes);
	must(l.namespace_bytes == most * BLOCK && l.blocks == most);
	must(!sluice_layout_init(&l, disk_bytes, most * BLOCK - 512));
	check_layout(&l, disk_bytes);
	must(l.blocks == most);
	must(sluice_layout_init(&l, disk_bytes, most * BLOCK + 512) == -ENOSPC);
	must(sluice_layout_init(&l, disk_bytes, (most + 1) * BLOCK) == -ENOSPC);
	must(sluice_layout_init(&l, disk_bytes, most * BLOCK - 1) == -EINVAL);

	/* Superblocks stay where they are, however large the namespace. */
	must(!sluice_layout_init(&l, disk_bytes, 512));
	check_layout(&l, disk_bytes);
	must(l.blocks == 1 && l.map_pages == 1);
	must(!memcmp(l.super_offset, all.super_offset, sizeof(l.super_offset)));
}

#endif /* SLUICE_TEST_LAYOUT_H */
