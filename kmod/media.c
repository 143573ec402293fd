// SPDX-License-Identifier: GPL-2.0-only
/*
 * The on-media format; see media.h. The only file that knows the byte order of
 * anything on disk.
 */
#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <asm/byteorder.h>
#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#endif
#include "media.h"

#define SUPER_MAGIC	0x4253454349554c53ULL	/* "SLUICESB" */
#define PAGE_MAGIC	0x504d454349554c53ULL	/* "SLUICEMP" */

/* No disk lives to see it: a larger one was made up, to overflow. */
#define MAX_SEQUENCE	(1ULL << 63)

struct media_super {
	__le64 magic;
	__le32 version;
	__le32 crc;
	__le64 sequence;
	u8 uuid[SLUICE_UUID_LEN];
	__le32 state;
	__le32 opens;
	__le64 namespace_bytes;
	__le64 disk_bytes;
	__le64 image_bytes;
	__le32 logical_block_size;
	__le32 digest_kind;
	u8 digest[SLUICE_DIGEST_LEN];
	char name[SLUICE_NAME_LEN];
	char local_id[SLUICE_ID_LEN];
	char image_name[SLUICE_IMAGE_NAME_LEN];
	char image_id[SLUICE_ID_LEN];
	u8 reserved[3408];
};

struct media_page {
	__le64 magic;
	__le32 version;
	__le32 crc;
	__le64 sequence;
	u8 uuid[SLUICE_UUID_LEN];
	__le64 index;
	u8 reserved[16];
	__le64 words[SLUICE_PAGE_WORDS];
};

static_assert(sizeof(struct media_super) == SLUICE_MEDIA_BYTES, "media layout");
static_assert(sizeof(struct media_page) == SLUICE_MEDIA_BYTES, "media layout");

/* Both structures have their crc at the same place. */
static_assert(offsetof(struct media_super, crc) == offsetof(struct media_page, crc), "media layout");

static u32 checksum(const void *buf)
{
	const size_t at = offsetof(struct media_page, crc);
	const __le32 zero = 0;
	u32 crc;

	crc = crc32c(~0U, buf, at);
	crc = crc32c(crc, &zero, sizeof(zero));
	crc = crc32c(crc, (const u8 *)buf + at + 4, SLUICE_MEDIA_BYTES - at - 4);
	return ~crc;
}

int sluice_layout_init(struct sluice_layout *layout, u64 disk_bytes, u64 namespace_bytes)
{
	const u64 page_bytes = (u64)SLUICE_PAGE_BLOCKS * SLUICE_BLOCK_SIZE;
	u64 end = round_down(disk_bytes, (u64)SLUICE_TAIL_ALIGN);
	u64 room, map_bytes;

	if (namespace_bytes % 512)
		return -EINVAL;
	if (end < 2 * (u64)SLUICE_TAIL_ALIGN)
		return -ENOSPC;
	room = end - SLUICE_TAIL_ALIGN;
	if (!namespace_bytes) {
		/* A map for all the room, itself included: 0.006 % too large. */
		map_bytes = DIV_ROUND_UP_ULL(room, page_bytes) * 2 * SLUICE_MEDIA_BYTES;
		if (map_bytes >= room)
			return -ENOSPC;
		namespace_bytes = room - map_bytes;
	}
	if (namespace_bytes > room)
		return -ENOSPC;
	layout->namespace_bytes = namespace_bytes;
	layout->blocks = DIV_ROUND_UP_ULL(namespace_bytes, SLUICE_BLOCK_SIZE);
	layout->map_pages = DIV_ROUND_UP_ULL(layout->blocks, SLUICE_PAGE_BLOCKS);
	map_bytes = layout->map_pages * 2 * SLUICE_MEDIA_BYTES;
	if (layout->blocks * SLUICE_BLOCK_SIZE + map_bytes > room)
		return -ENOSPC;
	layout->slot_offset[0] = room - map_bytes;
	layout->slot_offset[1] = room - map_bytes / 2;
	layout->super_offset[0] = room;
	layout->super_offset[1] = end - SLUICE_MEDIA_BYTES;
	return 0;
}

void sluice_super_encode(const struct sluice_super *sb, void *buf)
{
	struct media_super *m = buf;

	memset(m, 0, sizeof(*m));
	m->magic = cpu_to_le64(SUPER_MAGIC);
	m->version = cpu_to_le32(SLUICE_MEDIA_VERSION);
	m->sequence = cpu_to_le64(sb->sequence);
	memcpy(m->uuid, sb->uuid, sizeof(m->uuid));
	m->state = cpu_to_le32(sb->state);
	m->opens = cpu_to_le32(sb->opens);
	m->namespace_bytes = cpu_to_le64(sb->namespace_bytes);
	m->disk_bytes = cpu_to_le64(sb->disk_bytes);
	m->image_bytes = cpu_to_le64(sb->identity.image_bytes);
	m->logical_block_size = cpu_to_le32(sb->identity.logical_block_size);
	m->digest_kind = cpu_to_le32(sb->identity.digest_kind);
	memcpy(m->digest, sb->identity.digest, sizeof(m->digest));
	memcpy(m->name, sb->name, sizeof(m->name));
	memcpy(m->local_id, sb->local_id, sizeof(m->local_id));
	memcpy(m->image_name, sb->identity.image_name, sizeof(m->image_name));
	memcpy(m->image_id, sb->identity.image_id, sizeof(m->image_id));
	m->crc = cpu_to_le32(checksum(m));
}

static bool terminated(const char *s, size_t size)
{
	return memchr(s, 0, size) != NULL;
}

static bool plausible(const struct sluice_super *sb)
{
	const struct sluice_identity *id = &sb->identity;

	return (sb->state == SLUICE_MEDIA_DEPLOYING || sb->state == SLUICE_MEDIA_COMPLETE) &&
	       sb->sequence && sb->sequence < MAX_SEQUENCE &&
	       (id->logical_block_size == 512 || id->logical_block_size == 4096) &&
	       id->image_bytes && id->image_bytes % id->logical_block_size == 0 &&
	       id->image_bytes <= sb->namespace_bytes &&
	       sb->namespace_bytes % id->logical_block_size == 0 &&
	       id->digest_kind <= SLUICE_DIGEST_SAMPLE &&
	       sb->name[0] && terminated(sb->name, sizeof(sb->name)) &&
	       terminated(sb->local_id, sizeof(sb->local_id)) &&
	       terminated(id->image_name, sizeof(id->image_name)) &&
	       terminated(id->image_id, sizeof(id->image_id));
}

int sluice_super_decode(struct sluice_super *sb, const void *buf)
{
	const struct media_super *m = buf;

	if (le64_to_cpu(m->magic) != SUPER_MAGIC)
		return -ENODATA;
	if (le32_to_cpu(m->crc) != checksum(m))
		return -EUCLEAN;
	if (le32_to_cpu(m->version) != SLUICE_MEDIA_VERSION)
		return -EPROTONOSUPPORT;
	memset(sb, 0, sizeof(*sb));
	sb->sequence = le64_to_cpu(m->sequence);
	memcpy(sb->uuid, m->uuid, sizeof(sb->uuid));
	sb->state = le32_to_cpu(m->state);
	sb->opens = le32_to_cpu(m->opens);
	sb->namespace_bytes = le64_to_cpu(m->namespace_bytes);
	sb->disk_bytes = le64_to_cpu(m->disk_bytes);
	sb->identity.image_bytes = le64_to_cpu(m->image_bytes);
	sb->identity.logical_block_size = le32_to_cpu(m->logical_block_size);
	sb->identity.digest_kind = le32_to_cpu(m->digest_kind);
	memcpy(sb->identity.digest, m->digest, sizeof(sb->identity.digest));
	memcpy(sb->name, m->name, sizeof(sb->name));
	memcpy(sb->local_id, m->local_id, sizeof(sb->local_id));
	memcpy(sb->identity.image_name, m->image_name, sizeof(sb->identity.image_name));
	memcpy(sb->identity.image_id, m->image_id, sizeof(sb->identity.image_id));
	return plausible(sb) ? 0 : -EUCLEAN;
}

void sluice_page_encode(void *buf, const u8 *uuid, u64 index, u64 sequence, const u64 *words)
{
	struct media_page *m = buf;
	unsigned int i;

	memset(m, 0, offsetof(struct media_page, words));
	m->magic = cpu_to_le64(PAGE_MAGIC);
	m->version = cpu_to_le32(SLUICE_MEDIA_VERSION);
	m->sequence = cpu_to_le64(sequence);
	memcpy(m->uuid, uuid, sizeof(m->uuid));
	m->index = cpu_to_le64(index);
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		memcpy(m->words, words, sizeof(m->words));
	else
		for (i = 0; i < SLUICE_PAGE_WORDS; i++)
			m->words[i] = cpu_to_le64(words[i]);
	m->crc = cpu_to_le32(checksum(m));
}

int sluice_page_decode(const void *buf, const u8 *uuid, u64 index, unsigned int slot,
		       u64 *sequence, u64 *words)
{
	const struct media_page *m = buf;
	unsigned int i;

	if (le64_to_cpu(m->magic) != PAGE_MAGIC || le32_to_cpu(m->crc) != checksum(m) ||
	    le32_to_cpu(m->version) != SLUICE_MEDIA_VERSION ||
	    memcmp(m->uuid, uuid, sizeof(m->uuid)) || le64_to_cpu(m->index) != index ||
	    (le64_to_cpu(m->sequence) & 1) != slot || le64_to_cpu(m->sequence) >= MAX_SEQUENCE)
		return -EUCLEAN;
	*sequence = le64_to_cpu(m->sequence);
	for (i = 0; i < SLUICE_PAGE_WORDS; i++)
		words[i] = le64_to_cpu(m->words[i]);
	return 0;
}

int sluice_page_pick(const void *slot0, const void *slot1, const u8 *uuid, u64 index,
		     u64 *sequence, u64 *words)
{
	const struct media_page *m1 = slot1;
	u64 seq0 = 0;
	int err0;

	err0 = sluice_page_decode(slot0, uuid, index, 0, &seq0, words);
	/* Decoding slot 1 overwrites words only when it is valid. */
	if (!err0 && le64_to_cpu(m1->sequence) < seq0) {
		*sequence = seq0;
		return 0;
	}
	if (!sluice_page_decode(slot1, uuid, index, 1, sequence, words))
		return 0;
	*sequence = seq0;
	return err0;
}

bool sluice_identity_equal(const struct sluice_identity *a, const struct sluice_identity *b)
{
	if (a->image_bytes != b->image_bytes || a->logical_block_size != b->logical_block_size)
		return false;
	if (a->digest_kind && a->digest_kind == b->digest_kind &&
	    memcmp(a->digest, b->digest, sizeof(a->digest)))
		return false;
	if (a->image_id[0] && b->image_id[0] &&
	    strncmp(a->image_id, b->image_id, sizeof(a->image_id)))
		return false;
	return true;
}
