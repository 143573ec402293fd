/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The on-media format, version 1. Source: this file.
 *
 * The local disk is the image from sector 0 (the namespace), unused space, and
 * a reserved tail that ends at E, the disk's size rounded down to 1 MiB:
 *
 *	map slot 0	P map pages		at E - 1 MiB - 2P * 4 KiB
 *	map slot 1	P map pages		at E - 1 MiB - P * 4 KiB
 *	superblock 0	4 KiB			at E - 1 MiB
 *	(reserved)
 *	superblock 1	4 KiB			at E - 4 KiB
 *
 * Everything is little endian and ends in nothing that a torn write could
 * preserve: the crc32c (seed ~0, inverted, of the structure with the crc field
 * zero) covers the whole 4 KiB.
 *
 * A map page carries the bits of SLUICE_PAGE_BLOCKS blocks; its sequence says
 * which slot it belongs to (sequence & 1), so that a write always goes to the
 * slot that does not hold the newest copy. Formatting writes sequence 2 to
 * slot 0. Of two valid slots the higher sequence counts.
 *
 * Functions here are pure: no I/O, no allocation, no locks, any context.
 */
#ifndef SLUICE_MEDIA_H
#define SLUICE_MEDIA_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include "user.h"
#endif
#include <linux/sluice.h>

#define SLUICE_MEDIA_VERSION	1
#define SLUICE_MEDIA_BYTES	4096	/* of every structure */
#define SLUICE_TAIL_ALIGN	(1U << 20)
#define SLUICE_FIRST_SEQUENCE	2

/* 4 KiB less the 64-byte header. */
#define SLUICE_PAGE_WORDS	504
#define SLUICE_PAGE_BLOCKS	(SLUICE_PAGE_WORDS * 64)

enum sluice_media_state {
	SLUICE_MEDIA_DEPLOYING = 1,
	SLUICE_MEDIA_COMPLETE = 2,
};

/* The superblock, decoded. */
struct sluice_super {
	u64 sequence;
	u8 uuid[SLUICE_UUID_LEN];
	u32 state;			/* enum sluice_media_state */
	u32 opens;			/* times opened: upper half of generations */
	u64 namespace_bytes;
	u64 disk_bytes;
	char name[SLUICE_NAME_LEN];
	char local_id[SLUICE_ID_LEN];
	struct sluice_identity identity;
};

/* Where things are, in bytes from the disk's start. */
struct sluice_layout {
	u64 namespace_bytes;
	u64 blocks;			/* of the namespace, the last may be short */
	u64 map_pages;
	u64 slot_offset[2];
	u64 super_offset[2];
};

/*
 * Lays out a disk of disk_bytes. namespace_bytes 0 takes all there is less the
 * tail. -ENOSPC when it does not fit, -EINVAL when it is no multiple of 512.
 */
int sluice_layout_init(struct sluice_layout *layout, u64 disk_bytes, u64 namespace_bytes);

/* buf is SLUICE_MEDIA_BYTES. */
void sluice_super_encode(const struct sluice_super *sb, void *buf);

/*
 * 0, -ENODATA (not a superblock), -EPROTONOSUPPORT (a newer version) or
 * -EUCLEAN (damaged or inconsistent in itself).
 */
int sluice_super_decode(struct sluice_super *sb, const void *buf);

/* words is SLUICE_PAGE_WORDS native words. */
void sluice_page_encode(void *buf, const u8 *uuid, u64 index, u64 sequence, const u64 *words);

/*
 * 0 with *sequence and words filled, or -EUCLEAN when buf is not a valid page
 * number index of this uuid for this slot.
 */
int sluice_page_decode(const void *buf, const u8 *uuid, u64 index, unsigned int slot,
		       u64 *sequence, u64 *words);

/*
 * Picks the newest valid of two slots. 0 with *sequence and words filled, or
 * -EUCLEAN when neither is valid.
 */
int sluice_page_pick(const void *slot0, const void *slot1, const u8 *uuid, u64 index,
		     u64 *sequence, u64 *words);

/* Whether two identities can be of the same image; see struct sluice_identity. */
bool sluice_identity_equal(const struct sluice_identity *a, const struct sluice_identity *b);

#endif /* SLUICE_MEDIA_H */
