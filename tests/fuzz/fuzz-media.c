// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: */
/*
 * What a disk may hold where superblocks and map pages should be.
 *
 * A block is an encoded one with the input's edits over it: {offset, length,
 * bytes}. Random bytes alone would stop at the magic, and edited ones at the
 * checksum, so that bits of the first byte ask for a blank start and a new seal.
 *
 * media.c is included, not linked, for a checksum by table: bit by bit, and each
 * bit counted as coverage, a run would try 400 inputs a second, not 10000.
 */
#include "user.h"

#define BYTES		4096
#define AT_CRC		12

static u32 table[256];

static u32 crc32c_by_table(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;

	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return crc;
}

#define crc32c crc32c_by_table
#include "media.c"
#undef crc32c

#define FROM_BLANK	(1 << 0)	/* of zeroes, not of a valid block */
#define SEAL		(1 << 1)	/* with a right checksum */
#define OF_SLOT1	(1 << 2)	/* a page: its sequence is odd */

#include "layout.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct input {
	const u8 *at;
	size_t left;
};

struct block {
	u8 bytes[BYTES] __attribute__((aligned(8)));
};

static const u8 uuid[SLUICE_UUID_LEN] = "0123456789abcde";

static u64 take(struct input *in, size_t n)
{
	u64 value = 0;

	for (; n && in->left; n--, in->left--)
		value = value << 8 | *in->at++;
	return value;
}

static void edit(struct input *in, struct block *block, unsigned int edits)
{
	while (edits-- && in->left) {
		size_t offset = take(in, 2) % BYTES, n = take(in, 1);

		for (; n && in->left && offset < BYTES; n--)
			block->bytes[offset++] = take(in, 1);
	}
}

static void seal(struct block *block)
{
	u32 crc;

	memset(block->bytes + AT_CRC, 0, 4);
	crc = htole32(~crc32c_by_table(~0U, block, BYTES));
	memcpy(block->bytes + AT_CRC, &crc, 4);
}

static void fuzz_layout(u64 disk_bytes, u64 namespace_bytes)
{
	struct sluice_layout l;
	int err;

	/* A block device's size is signed in the kernel. */
	disk_bytes &= ~0ULL >> 1;
	err = sluice_layout_init(&l, disk_bytes, namespace_bytes);
	must(!err || err == -ENOSPC || err == -EINVAL);
	must((err == -EINVAL) == (namespace_bytes % 512 != 0));
	if (err)
		return;
	must(!namespace_bytes || l.namespace_bytes == namespace_bytes);
	check_layout(&l, disk_bytes);
}

static void fuzz_super(struct input *in)
{
	static const struct sluice_super valid = {
		.sequence = 5,
		.state = SLUICE_MEDIA_DEPLOYING,
		.namespace_bytes = 1 << 30,
		.disk_bytes = 2U << 30,
		.name = "a",
		.identity = { .image_bytes = 1 << 20, .logical_block_size = 512 },
	};
	u8 how = take(in, 1);
	struct sluice_super sb, back;
	struct block block, again;
	int err;

	memset(&block, 0, sizeof(block));
	if (!(how & FROM_BLANK))
		sluice_super_encode(&valid, &block);
	edit(in, &block, 64);
	if (how & SEAL)
		seal(&block);
	memset(&sb, 0xa5, sizeof(sb));
	err = sluice_super_decode(&sb, &block);
	must(!err || err == -ENODATA || err == -EPROTONOSUPPORT || err == -EUCLEAN);
	must((err == -ENODATA) == (memcmp(&block, "SLUICESB", 8) != 0));
	if (err)
		return;
	must(sb.sequence && sb.sequence < 1ULL << 63);
	must(sb.state == SLUICE_MEDIA_DEPLOYING || sb.state == SLUICE_MEDIA_COMPLETE);
	must(sb.identity.image_bytes && sb.identity.image_bytes <= sb.namespace_bytes);
	must(sb.name[0] && strnlen(sb.name, sizeof(sb.name)) < sizeof(sb.name));
	must(strnlen(sb.local_id, sizeof(sb.local_id)) < sizeof(sb.local_id));
	must(strnlen(sb.identity.image_name, SLUICE_IMAGE_NAME_LEN) < SLUICE_IMAGE_NAME_LEN);
	must(strnlen(sb.identity.image_id, SLUICE_ID_LEN) < SLUICE_ID_LEN);
	must(sluice_identity_equal(&sb.identity, &sb.identity));

	sluice_super_encode(&sb, &again);
	must(!sluice_super_decode(&back, &again));
	must(!memcmp(&sb, &back, sizeof(sb)));
	fuzz_layout(sb.disk_bytes, sb.namespace_bytes);
}

static void make_page(struct input *in, struct block *block, u64 index)
{
	u64 words[SLUICE_PAGE_WORDS] = { 0 }, sequence;
	u8 how = take(in, 1);

	memset(block, 0, sizeof(*block));
	sequence = take(in, 1) << 1 | !!(how & OF_SLOT1);
	words[0] = take(in, 1);
	words[SLUICE_PAGE_WORDS - 1] = how;
	if (!(how & FROM_BLANK))
		sluice_page_encode(block, uuid, index, sequence, words);
	edit(in, block, 8);
	if (how & SEAL)
		seal(block);
}

static void fuzz_pages(struct input *in)
{
	u64 index = take(in, 1), sequence[3], words[3][SLUICE_PAGE_WORDS];
	struct block slots[2], again;
	int err[3], slot, best;

	make_page(in, &slots[0], index);
	make_page(in, &slots[1], index);
	for (slot = 0; slot < 2; slot++) {
		u64 seq = 0, out[SLUICE_PAGE_WORDS];

		memset(words[slot], 0xa5 + slot, sizeof(words[slot]));
		err[slot] = sluice_page_decode(&slots[slot], uuid, index, slot, &sequence[slot],
					       words[slot]);
		if (err[slot]) {
			must(err[slot] == -EUCLEAN);
			continue;
		}
		must((sequence[slot] & 1) == (u64)slot && sequence[slot] < 1ULL << 63);
		/* Valid in one slot, it is not in the other. */
		must(sluice_page_decode(&slots[slot], uuid, index, !slot, &seq, out));
		must(sluice_page_decode(&slots[slot], uuid, index + 1, slot, &seq, out));
		sluice_page_encode(&again, uuid, index, sequence[slot], words[slot]);
		must(!sluice_page_decode(&again, uuid, index, slot, &seq, out));
		must(seq == sequence[slot] && !memcmp(out, words[slot], sizeof(out)));
	}
	memset(words[2], 0x5a, sizeof(words[2]));
	err[2] = sluice_page_pick(&slots[0], &slots[1], uuid, index, &sequence[2], words[2]);
	must((err[2] == 0) == (!err[0] || !err[1]));
	if (err[2]) {
		must(err[2] == -EUCLEAN);
		return;
	}
	best = err[0] || (!err[1] && sequence[1] > sequence[0]);
	must(sequence[2] == sequence[best]);
	must(!memcmp(words[2], words[best], sizeof(words[2])));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	u8 byte = 0;

	(void)argc;
	(void)argv;
	do {
		table[byte] = crc32c(0, &byte, 1);
	} while (++byte);
	must(~crc32c_by_table(~0U, "123456789", 9) == 0xe3069283);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { data, size };
	u64 disk;

	switch (take(&in, 1) % 3) {
	case 0:
		fuzz_super(&in);
		break;
	case 1:
		fuzz_pages(&in);
		break;
	default:
		disk = take(&in, 8);
		fuzz_layout(disk, take(&in, 8));
		/* Not many random numbers are a multiple of 512. */
		fuzz_layout(disk, take(&in, 7) << 9);
		disk &= ~0ULL >> 1;
		if (disk >= 2 * MIB)
			check_disk(disk);
	}
	return 0;
}
