// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: kmod/media.c */
/*
 * The on-media format: pinned byte by byte, torn in every way a disk may tear
 * it, and laid out on disks of every size. SEED=N repeats a run.
 */
#include "media.h"

#include <check.h>

#include "../fuzz/must.h"
#include "../fuzz/random.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BYTES		SLUICE_MEDIA_BYTES
#define SECTORS		(BYTES / 512)

/* Where things are in both structures; known here only to forge them. */
#define AT_VERSION	8
#define AT_CRC		12

#include "../fuzz/layout.h"

struct block {
	u8 bytes[BYTES] __attribute__((aligned(8)));
};

static const u8 uuid[SLUICE_UUID_LEN] = {
	0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78,
	0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0,
};

static void put_le(void *buf, size_t at, u64 value, size_t n)
{
	u8 *p = (u8 *)buf + at;

	for (; n--; value >>= 8)
		*p++ = value;
}

static void seal(void *buf)
{
	put_le(buf, AT_CRC, 0, 4);
	put_le(buf, AT_CRC, ~crc32c(~0U, buf, BYTES), 4);
}

static struct sluice_super sample(void)
{
	struct sluice_super sb = {
		.sequence = 0x1122334455667788,
		.state = SLUICE_MEDIA_DEPLOYING,
		.opens = 0x99aabbcc,
		.namespace_bytes = 0x0000123456789000,
		.disk_bytes = 0x0000123466666600,
		.name = "web-7",
		.local_id = "eui.0025385b71b0dfe1",
		.identity = {
			.image_bytes = 0x0000000456789000,
			.logical_block_size = 512,
			.digest_kind = SLUICE_DIGEST_SAMPLE,
			.image_name = "nvme-tcp://[fd00::1]/nqn.2026-01.example:debian",
			.image_id = "uuid.8a1c9f0e-5d0b-4c83-9c2b-0d9d0c1e2f3a",
		},
	};
	unsigned int i;

	memcpy(sb.uuid, uuid, sizeof(uuid));
	for (i = 0; i < SLUICE_DIGEST_LEN; i++)
		sb.identity.digest[i] = 0xe0 + i;
	return sb;
}

static void sample_words(u64 *words)
{
	unsigned int i;

	for (i = 0; i < SLUICE_PAGE_WORDS; i++)
		words[i] = 0x0123456789abcdefULL * (i + 1);
}

static void terminate(char *text, size_t size)
{
	text[below(size)] = '\0';
}

static void random_super(struct sluice_super *sb)
{
	fill(sb, sizeof(*sb));
	sb->sequence = sb->sequence >> 1 | 1;
	sb->state = 1 + below(2);
	sb->identity.logical_block_size = below(2) ? 512 : 4096;
	sb->namespace_bytes -= sb->namespace_bytes % 4096;
	sb->namespace_bytes |= 4096;
	sb->identity.image_bytes = 4096 * (1 + below(sb->namespace_bytes / 4096));
	sb->identity.digest_kind = below(2);
	sb->name[0] |= 1;
	terminate(sb->name + 1, sizeof(sb->name) - 1);
	terminate(sb->local_id, sizeof(sb->local_id));
	terminate(sb->identity.image_name, sizeof(sb->identity.image_name));
	terminate(sb->identity.image_id, sizeof(sb->identity.image_id));
}

/*
 * The format as other programs, and this one in ten years, must find it. A
 * change of these numbers is a new SLUICE_MEDIA_VERSION.
 */
START_TEST(golden_super)
{
	struct sluice_super sb = sample(), back;
	struct block block, golden;

	memset(&golden, 0, sizeof(golden));
	memcpy(golden.bytes, "SLUICESB", 8);
	put_le(&golden, 8, 1, 4);
	put_le(&golden, 12, 0, 4);
	put_le(&golden, 16, sb.sequence, 8);
	memcpy(golden.bytes + 24, sb.uuid, 16);
	put_le(&golden, 40, 1, 4);
	put_le(&golden, 44, sb.opens, 4);
	put_le(&golden, 48, sb.namespace_bytes, 8);
	put_le(&golden, 56, sb.disk_bytes, 8);
	put_le(&golden, 64, sb.identity.image_bytes, 8);
	put_le(&golden, 72, 512, 4);
	put_le(&golden, 76, 1, 4);
	memcpy(golden.bytes + 80, sb.identity.digest, 32);
	strcpy((char *)golden.bytes + 112, sb.name);
	strcpy((char *)golden.bytes + 176, sb.local_id);
	strcpy((char *)golden.bytes + 304, sb.identity.image_name);
	strcpy((char *)golden.bytes + 560, sb.identity.image_id);
	put_le(&golden, 12, 0xd1868b25, 4);

	memset(&block, 0xa5, sizeof(block));
	sluice_super_encode(&sb, &block);
	ck_assert_mem_eq(&block, &golden, BYTES);
	ck_assert_int_eq(sluice_super_decode(&back, &golden), 0);
	ck_assert_mem_eq(&back, &sb, sizeof(sb));
}
END_TEST

START_TEST(golden_page)
{
	u64 words[SLUICE_PAGE_WORDS], back[SLUICE_PAGE_WORDS], sequence;
	struct block block, golden;
	unsigned int i;

	sample_words(words);
	memset(&golden, 0, sizeof(golden));
	memcpy(golden.bytes, "SLUICEMP", 8);
	put_le(&golden, 8, 1, 4);
	put_le(&golden, 16, 0x0877665544332211, 8);
	memcpy(golden.bytes + 24, uuid, 16);
	put_le(&golden, 40, 0x0000000012345678, 8);
	for (i = 0; i < SLUICE_PAGE_WORDS; i++)
		put_le(&golden, 64 + 8 * i, words[i], 8);
	put_le(&golden, 12, 0x3c2ce024, 4);

	memset(&block, 0xa5, sizeof(block));
	sluice_page_encode(&block, uuid, 0x12345678, 0x0877665544332211, words);
	ck_assert_mem_eq(&block, &golden, BYTES);
	ck_assert_int_eq(sluice_page_decode(&golden, uuid, 0x12345678, 1, &sequence, back), 0);
	ck_assert_uint_eq(sequence, 0x0877665544332211);
	ck_assert_mem_eq(back, words, sizeof(words));
}
END_TEST

START_TEST(super_round_trip)
{
	struct sluice_super sb, back;
	struct block block, again;
	unsigned int i;

	seed();
	for (i = 0; i < 500; i++) {
		random_super(&sb);
		sluice_super_encode(&sb, &block);
		memset(&back, 0xa5, sizeof(back));
		must(!sluice_super_decode(&back, &block));
		must(!memcmp(&sb, &back, sizeof(sb)));
		sluice_super_encode(&back, &again);
		must(!memcmp(&block, &again, BYTES));
	}
}
END_TEST

START_TEST(page_round_trip)
{
	u64 words[SLUICE_PAGE_WORDS], back[SLUICE_PAGE_WORDS], index, sequence, out;
	struct block block;
	unsigned int i;
	u8 id[16];

	seed();
	for (i = 0; i < 200; i++) {
		fill(words, sizeof(words));
		fill(id, sizeof(id));
		index = rnd();
		sequence = rnd() >> 1;
		sluice_page_encode(&block, id, index, sequence, words);
		must(!sluice_page_decode(&block, id, index, sequence & 1, &out, back));
		must(out == sequence && !memcmp(words, back, sizeof(words)));
		must(sluice_page_decode(&block, id, index, !(sequence & 1), &out, back) ==
		     -EUCLEAN);
	}
}
END_TEST

START_TEST(super_that_is_none)
{
	struct sluice_super sb = sample();
	u64 words[SLUICE_PAGE_WORDS] = { 0 };
	struct block block;

	memset(&block, 0, sizeof(block));
	ck_assert_int_eq(sluice_super_decode(&sb, &block), -ENODATA);
	memset(&block, 0xff, sizeof(block));
	ck_assert_int_eq(sluice_super_decode(&sb, &block), -ENODATA);
	sluice_page_encode(&block, uuid, 0, 2, words);
	ck_assert_int_eq(sluice_super_decode(&sb, &block), -ENODATA);
	/* Only the magic: it was one once. */
	memset(&block, 0, sizeof(block));
	memcpy(&block, "SLUICESB", 8);
	ck_assert_int_eq(sluice_super_decode(&sb, &block), -EUCLEAN);
}
END_TEST

START_TEST(super_of_a_newer_version)
{
	static const u32 versions[] = { 2, 3, 0x100, 0x10001, 0x80000001, 0xffffffff };
	struct sluice_super sb = sample();
	struct block block;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		sluice_super_encode(&sb, &block);
		put_le(&block, AT_VERSION, versions[i], 4);
		ck_assert_int_eq(sluice_super_decode(&sb, &block), -EUCLEAN);
		seal(&block);
		ck_assert_int_eq(sluice_super_decode(&sb, &block), -EPROTONOSUPPORT);
		/* Whatever else it holds is the newer version's matter. */
		memset(block.bytes + 64, 0xff, BYTES - 64);
		seal(&block);
		ck_assert_int_eq(sluice_super_decode(&sb, &block), -EPROTONOSUPPORT);
	}
	sb = sample();
	sluice_super_encode(&sb, &block);
	seal(&block);
	ck_assert_int_eq(sluice_super_decode(&sb, &block), 0);
}
END_TEST

static int recode(const struct sluice_super *sb)
{
	struct sluice_super back;
	struct block block;

	sluice_super_encode(sb, &block);
	return sluice_super_decode(&back, &block);
}

/* Sealed correctly, and still not believed. */
START_TEST(super_inconsistent)
{
	struct sluice_super sb;

#define verdict(expected, change) \
	do { \
		sb = sample(); \
		change; \
		ck_assert_msg(recode(&sb) == (expected), "%s", #change); \
	} while (0)
#define refused(change) verdict(-EUCLEAN, change)
#define accepted(change) verdict(0, change)
#define full(field) memset(sb.field, 'x', sizeof(sb.field) - 1)
#define overfull(field) memset(sb.field, 'x', sizeof(sb.field))

	refused(sb.sequence = 0);
	accepted(sb.sequence = 1);
	accepted(sb.sequence = (1ULL << 63) - 1);
	refused(sb.sequence = 1ULL << 63);
	refused(sb.sequence = ~0ULL);
	refused(sb.state = 0);
	refused(sb.state = 3);
	refused(sb.state = ~0U);
	accepted(sb.state = SLUICE_MEDIA_COMPLETE);
	accepted(sb.opens = 0);
	accepted(sb.opens = ~0U);
	refused(sb.identity.logical_block_size = 0);
	refused(sb.identity.logical_block_size = 511);
	refused(sb.identity.logical_block_size = 1024);
	refused(sb.identity.logical_block_size = 8192);
	accepted(sb.identity.logical_block_size = 4096);
	refused(sb.identity.image_bytes = 0);
	refused(sb.identity.image_bytes += 1);
	refused(sb.identity.image_bytes -= 256);
	accepted(sb.identity.image_bytes = 512);
	accepted(sb.identity.image_bytes = sb.namespace_bytes);
	refused(sb.identity.image_bytes = sb.namespace_bytes + 512);
	refused(sb.identity.image_bytes = -512ULL);
	refused(sb.namespace_bytes += 1);
	refused(sb.namespace_bytes = 0);
	accepted(sb.namespace_bytes += 512);
	refused((sb.namespace_bytes += 512, sb.identity.logical_block_size = 4096));
	refused((sb.identity.image_bytes += 512, sb.identity.logical_block_size = 4096));
	accepted(sb.identity.digest_kind = SLUICE_DIGEST_NONE);
	refused(sb.identity.digest_kind = SLUICE_DIGEST_SAMPLE + 1);
	refused(sb.identity.digest_kind = ~0U);
	refused(sb.name[0] = '\0');
	accepted(full(name));
	refused(overfull(name));
	accepted(sb.local_id[0] = '\0');
	accepted(full(local_id));
	refused(overfull(local_id));
	accepted(sb.identity.image_name[0] = '\0');
	accepted(full(identity.image_name));
	refused(overfull(identity.image_name));
	accepted(sb.identity.image_id[0] = '\0');
	accepted(full(identity.image_id));
	refused(overfull(identity.image_id));
}
END_TEST

START_TEST(super_bit_flips)
{
	struct sluice_super sb = sample(), back;
	struct block block;
	unsigned int bit;

	sluice_super_encode(&sb, &block);
	for (bit = 0; bit < BYTES * 8; bit++) {
		int err;

		block.bytes[bit / 8] ^= 1 << bit % 8;
		err = sluice_super_decode(&back, &block);
		block.bytes[bit / 8] ^= 1 << bit % 8;
		must(err == (bit < 64 ? -ENODATA : -EUCLEAN));
	}
	ck_assert_int_eq(sluice_super_decode(&back, &block), 0);
}
END_TEST

START_TEST(page_bit_flips)
{
	u64 words[SLUICE_PAGE_WORDS], back[SLUICE_PAGE_WORDS], sequence = 77;
	struct block block;
	unsigned int bit;

	sample_words(words);
	memset(back, 0xa5, sizeof(back));
	sluice_page_encode(&block, uuid, 3, 8, words);
	for (bit = 0; bit < BYTES * 8; bit++) {
		int err;

		block.bytes[bit / 8] ^= 1 << bit % 8;
		err = sluice_page_decode(&block, uuid, 3, 0, &sequence, back);
		block.bytes[bit / 8] ^= 1 << bit % 8;
		must(err == -EUCLEAN);
		/* A refused page leaves nothing behind. */
		must(sequence == 77 && back[0] == 0xa5a5a5a5a5a5a5a5);
	}
	for (bit = 0; bit < SLUICE_PAGE_WORDS; bit++)
		must(back[bit] == 0xa5a5a5a5a5a5a5a5);
	ck_assert_int_eq(sluice_page_decode(&block, uuid, 3, 0, &sequence, back), 0);
}
END_TEST

START_TEST(page_of_another)
{
	u64 words[SLUICE_PAGE_WORDS], out[SLUICE_PAGE_WORDS], sequence;
	struct sluice_super sb = sample();
	struct block block, forged;
	u8 other[SLUICE_UUID_LEN];
	unsigned int i;

	sample_words(words);
	sluice_page_encode(&block, uuid, 9, 4, words);
	ck_assert_int_eq(sluice_page_decode(&block, uuid, 9, 0, &sequence, out), 0);
	ck_assert_int_eq(sluice_page_decode(&block, uuid, 9, 1, &sequence, out), -EUCLEAN);
	ck_assert_int_eq(sluice_page_decode(&block, uuid, 8, 0, &sequence, out), -EUCLEAN);
	ck_assert_int_eq(sluice_page_decode(&block, uuid, 10, 0, &sequence, out), -EUCLEAN);
	ck_assert_int_eq(sluice_page_decode(&block, uuid, 9 + (1ULL << 32), 0, &sequence, out),
			 -EUCLEAN);
	for (i = 0; i < sizeof(other); i++) {
		memcpy(other, uuid, sizeof(other));
		other[i] ^= 1;
		ck_assert_int_eq(sluice_page_decode(&block, other, 9, 0, &sequence, out), -EUCLEAN);
	}
	/* An odd sequence belongs to slot 1. */
	sluice_page_encode(&block, uuid, 9, 5, words);
	ck_assert_int_eq(sluice_page_decode(&block, uuid, 9, 0, &sequence, out), -EUCLEAN);
	ck_assert_int_eq(sluice_page_decode(&block, uuid, 9, 1, &sequence, out), 0);

	forged = block;
	put_le(&forged, AT_VERSION, 2, 4);
	seal(&forged);
	ck_assert_int_eq(sluice_page_decode(&forged, uuid, 9, 1, &sequence, out), -EUCLEAN);
	sluice_super_encode(&sb, &forged);
	ck_assert_int_eq(sluice_page_decode(&forged, uuid, 9, 1, &sequence, out), -EUCLEAN);
	memset(&forged, 0, sizeof(forged));
	ck_assert_int_eq(sluice_page_decode(&forged, uuid, 0, 0, &sequence, out), -EUCLEAN);
}
END_TEST

START_TEST(picks_the_newest)
{
	static const u64 sequences[] = {
		2, 3, 4, 5, 6, 7, 1000, 1001, 1ULL << 32, (1ULL << 32) + 1,
		(1ULL << 63) - 2, (1ULL << 63) - 1,
	};
	u64 words[2][SLUICE_PAGE_WORDS], out[SLUICE_PAGE_WORDS], sequence;
	struct block slots[2], broken[2], blank = { 0 };
	size_t i, j;

	memset(words[0], 0x11, sizeof(words[0]));
	memset(words[1], 0x22, sizeof(words[1]));
	for (i = 0; i < ARRAY_SIZE(sequences); i += 2) {
		for (j = 1; j < ARRAY_SIZE(sequences); j += 2) {
			u64 seq0 = sequences[i], seq1 = sequences[j];
			unsigned int best = seq1 > seq0;

			sluice_page_encode(&slots[0], uuid, 1, seq0, words[0]);
			sluice_page_encode(&slots[1], uuid, 1, seq1, words[1]);
			broken[0] = slots[0];
			broken[1] = slots[1];
			broken[0].bytes[4095] ^= 0x80;
			broken[1].bytes[100] ^= 1;

			must(!sluice_page_pick(&slots[0], &slots[1], uuid, 1, &sequence, out));
			must(sequence == (best ? seq1 : seq0));
			must(!memcmp(out, words[best], sizeof(out)));

			/* A damaged one does not count, however new it says it is. */
			must(!sluice_page_pick(&slots[0], &broken[1], uuid, 1, &sequence, out));
			must(sequence == seq0 && !memcmp(out, words[0], sizeof(out)));
			must(!sluice_page_pick(&broken[0], &slots[1], uuid, 1, &sequence, out));
			must(sequence == seq1 && !memcmp(out, words[1], sizeof(out)));
			must(!sluice_page_pick(&slots[0], &blank, uuid, 1, &sequence, out));
			must(sequence == seq0 && !memcmp(out, words[0], sizeof(out)));
			must(!sluice_page_pick(&blank, &slots[1], uuid, 1, &sequence, out));
			must(sequence == seq1 && !memcmp(out, words[1], sizeof(out)));

			must(sluice_page_pick(&broken[0], &broken[1], uuid, 1, &sequence, out) ==
			     -EUCLEAN);
			/* In the other's slot. */
			must(sluice_page_pick(&slots[1], &slots[0], uuid, 1, &sequence, out) ==
			     -EUCLEAN);
			must(sluice_page_pick(&slots[0], &slots[1], uuid, 2, &sequence, out) ==
			     -EUCLEAN);
		}
	}
	ck_assert_int_eq(sluice_page_pick(&blank, &blank, uuid, 0, &sequence, out), -EUCLEAN);

	/* Nor does one with a sequence that no disk lives to see. */
	sluice_page_encode(&slots[0], uuid, 1, 2, words[0]);
	sluice_page_encode(&slots[1], uuid, 1, (1ULL << 63) + 1, words[1]);
	ck_assert_int_eq(sluice_page_pick(&slots[0], &slots[1], uuid, 1, &sequence, out), 0);
	ck_assert_uint_eq(sequence, 2);
	ck_assert_mem_eq(out, words[0], sizeof(out));
}
END_TEST

static void tear(struct block *out, const struct block *old, const struct block *new,
		 unsigned int written)
{
	unsigned int i;

	for (i = 0; i < SECTORS; i++)
		memcpy(out->bytes + 512 * i, (written >> i & 1 ? new : old)->bytes + 512 * i, 512);
}

/*
 * Version n + 1 is being written over n - 1 while n lies in the other slot. Any
 * subset of the sectors may have arrived.
 */
static void check_torn_page(u64 n, const u64 *oldest, const u64 *old, const u64 *new)
{
	u64 out[SLUICE_PAGE_WORDS], sequence;
	struct block before, valid, after, torn;
	unsigned int written, i;

	sluice_page_encode(&before, uuid, 5, n - 1, oldest);
	sluice_page_encode(&valid, uuid, 5, n, old);
	sluice_page_encode(&after, uuid, 5, n + 1, new);
	for (written = 0; written < 1U << SECTORS; written++) {
		const struct block *slot0 = n & 1 ? &torn : &valid;
		const struct block *slot1 = n & 1 ? &valid : &torn;
		bool whole;

		tear(&torn, &before, &after, written);
		whole = !memcmp(&torn, &after, BYTES);
		must(!sluice_page_pick(slot0, slot1, uuid, 5, &sequence, out));
		must(sequence == (whole ? n + 1 : n));
		must(!memcmp(out, whole ? new : old, sizeof(out)));
		/* Bits only ever get set: never one that is not true now. */
		for (i = 0; i < SLUICE_PAGE_WORDS; i++)
			must(!(out[i] & ~new[i]));
	}
}

START_TEST(inv13_torn_page)
{
	u64 oldest[SLUICE_PAGE_WORDS], old[SLUICE_PAGE_WORDS], new[SLUICE_PAGE_WORDS];
	unsigned int round, i;

	seed();
	for (round = 0; round < 10; round++) {
		memset(oldest, 0, sizeof(oldest));
		/* From a bit or two to most of the page. */
		for (i = 0; i < 1U << round; i++)
			oldest[below(SLUICE_PAGE_WORDS)] |= rnd();
		memcpy(old, oldest, sizeof(old));
		for (i = 0; i < 1U << round; i++)
			old[below(SLUICE_PAGE_WORDS)] |= 1ULL << below(64);
		memcpy(new, old, sizeof(new));
		for (i = 0; i < 1U << round; i++)
			new[below(SLUICE_PAGE_WORDS)] |= 1ULL << below(64);
		check_torn_page(3 + below(1ULL << (1 + 6 * round)), oldest, old, new);
	}
	/* Rewritten with the same bits. */
	check_torn_page(4, new, new, new);
	check_torn_page(5, new, new, new);
}
END_TEST

/* The first write to slot 1 goes over what the disk held before. */
START_TEST(inv13_torn_first_write)
{
	u64 none[SLUICE_PAGE_WORDS] = { 0 }, new[SLUICE_PAGE_WORDS], out[SLUICE_PAGE_WORDS];
	struct block formatted, garbage, after, torn;
	unsigned int written;
	u64 sequence;
	u8 tenant[16];

	seed();
	fill(tenant, sizeof(tenant));
	fill(new, sizeof(new));
	sluice_page_encode(&formatted, uuid, 0, SLUICE_FIRST_SEQUENCE, none);
	sluice_page_encode(&after, uuid, 0, SLUICE_FIRST_SEQUENCE + 1, new);
	/* A previous deployment's page, newer by its number. */
	sluice_page_encode(&garbage, tenant, 0, 12345, new);
	for (written = 0; written < 1U << SECTORS; written++) {
		bool whole;

		tear(&torn, &garbage, &after, written);
		whole = !memcmp(&torn, &after, BYTES);
		must(!sluice_page_pick(&formatted, &torn, uuid, 0, &sequence, out));
		must(sequence == (u64)SLUICE_FIRST_SEQUENCE + whole);
		must(!memcmp(out, whole ? new : none, sizeof(out)));
	}
}
END_TEST

START_TEST(torn_super)
{
	struct sluice_super old, new, back;
	struct block before, after, torn;
	unsigned int written, round;

	seed();
	for (round = 0; round < 8; round++) {
		random_super(&old);
		random_super(&new);
		if (round == 0) {
			/* What an open and a completion change. */
			new = old;
			new.sequence++;
			new.opens++;
			new.state = SLUICE_MEDIA_COMPLETE;
		}
		sluice_super_encode(&old, &before);
		sluice_super_encode(&new, &after);
		for (written = 0; written < 1U << SECTORS; written++) {
			bool is_old, is_new;

			tear(&torn, &before, &after, written);
			is_old = !memcmp(&torn, &before, BYTES);
			is_new = !memcmp(&torn, &after, BYTES);
			if (!is_old && !is_new) {
				must(sluice_super_decode(&back, &torn) == -EUCLEAN);
				continue;
			}
			must(!sluice_super_decode(&back, &torn));
			must(!memcmp(&back, is_old ? &old : &new, sizeof(back)));
		}
	}
}
END_TEST

START_TEST(layout_smallest)
{
	static const u64 small[] = {
		0, 1, 4096, MIB - 1, MIB, MIB + 1, 2 * MIB - 512, 2 * MIB - 1,
	};
	struct sluice_layout l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(small); i++) {
		ck_assert_int_eq(sluice_layout_init(&l, small[i], 0), -ENOSPC);
		ck_assert_int_eq(sluice_layout_init(&l, small[i], 512), -ENOSPC);
		ck_assert_int_eq(sluice_layout_init(&l, small[i], 1), -EINVAL);
	}
	ck_assert_int_eq(sluice_layout_init(&l, 2 * MIB, 0), 0);
	ck_assert_uint_eq(l.namespace_bytes, MIB - 8192);
	ck_assert_uint_eq(l.blocks, 254);
	ck_assert_uint_eq(l.map_pages, 1);
	ck_assert_uint_eq(l.slot_offset[0], MIB - 8192);
	ck_assert_uint_eq(l.slot_offset[1], MIB - 4096);
	ck_assert_uint_eq(l.super_offset[0], MIB);
	ck_assert_uint_eq(l.super_offset[1], 2 * MIB - 4096);
	check_disk(2 * MIB);
	check_disk(2 * MIB + 1);
	check_disk(3 * MIB - 1);
}
END_TEST

START_TEST(layout_exact_fit)
{
	u64 pages, page = SLUICE_PAGE_BLOCKS * BLOCK, blocks, ns;
	struct sluice_layout l;

	/* Around whole pages of map: the next block costs a page in each slot. */
	for (pages = 1; pages < 40; pages++) {
		for (blocks = pages * SLUICE_PAGE_BLOCKS - 3;
		     blocks <= pages * SLUICE_PAGE_BLOCKS + 3; blocks++) {
			u64 disk = usable(taken(blocks) + MIB - 1) + MIB;

			must(!sluice_layout_init(&l, disk, blocks * BLOCK));
			check_layout(&l, disk);
			must(sluice_layout_init(&l, disk - 1, blocks * BLOCK) == -ENOSPC);
			check_disk(disk);
			check_disk(disk - 1);
		}
	}
	/* Not a byte to spare: 128 pages of 126 MiB, and 1 MiB for their slots. */
	ns = 128 * page;
	ck_assert_int_eq(sluice_layout_init(&l, ns + 2 * MIB, ns), 0);
	ck_assert_uint_eq(l.slot_offset[0], ns);
	ck_assert_int_eq(sluice_layout_init(&l, ns + 2 * MIB - 1, ns), -ENOSPC);
	ck_assert_int_eq(sluice_layout_init(&l, ns + 2 * MIB, ns + 512), -ENOSPC);
	ck_assert_int_eq(sluice_layout_init(&l, ns + 2 * MIB, 0), 0);
	ck_assert_uint_le(l.namespace_bytes, ns);
	check_disk(ns + 2 * MIB);
}
END_TEST

START_TEST(layout_refusals)
{
	static const u64 odd[] = { 1, 511, 513, 4095, 4097, 10 * MIB + 1, ~0ULL };
	static const u64 large[] = {
		99 * MIB, 99 * MIB + 512, 100 * MIB, 101 * MIB, 1ULL << 40, 1ULL << 63,
		~0ULL - 511, (1ULL << 63) - 512, ~0ULL - 4095,
	};
	struct sluice_layout l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(odd); i++)
		ck_assert_int_eq(sluice_layout_init(&l, 100 * MIB, odd[i]), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(large); i++)
		ck_assert_int_eq(sluice_layout_init(&l, 100 * MIB, large[i]), -ENOSPC);
}
END_TEST

START_TEST(layout_random)
{
	unsigned int i;

	seed();
	for (i = 0; i < 20000; i++) {
		u64 disk = rnd() >> (4 + below(39)), ns = below(3) ? rnd() >> below(55) : 0;
		struct sluice_layout l;
		u64 most;
		int err;

		if (disk < 2 * MIB)
			disk += 2 * MIB;
		check_disk(disk);
		most = most_blocks(usable(disk) - MIB);
		if (below(2))
			ns -= ns % 512;
		err = ns % 512 ? -EINVAL : ns > most * BLOCK ? -ENOSPC : 0;
		must(sluice_layout_init(&l, disk, ns) == err);
		if (!err) {
			must(!ns || l.namespace_bytes == ns);
			check_layout(&l, disk);
		}
	}
	/* The largest a kernel can have: sizes are signed there. */
	check_disk(1ULL << 60);
	check_disk((1ULL << 60) - 1);
	check_disk((1ULL << 63) - 1);
	check_disk((1ULL << 63) - 512);
}
END_TEST

START_TEST(inv15_identity_equal)
{
	static const struct {
		const char *what;
		struct sluice_identity a, b;
		bool equal;
	} table[] = {
#define ID(bytes, block, kind, first, id) \
	{ .image_bytes = (bytes), .logical_block_size = (block), .digest_kind = (kind), \
	  .digest = { first, 2, 3 }, .image_id = id }
		{ "same", ID(8192, 512, 1, 1, "x"), ID(8192, 512, 1, 1, "x"), true },
		{ "bare", ID(8192, 512, 0, 0, ""), ID(8192, 512, 0, 0, ""), true },
		{ "size", ID(8192, 512, 1, 1, "x"), ID(8704, 512, 1, 1, "x"), false },
		{ "size above 32 bits", ID(8192, 512, 1, 1, "x"),
		  ID(8192 + (1ULL << 32), 512, 1, 1, "x"), false },
		{ "block", ID(8192, 512, 1, 1, "x"), ID(8192, 4096, 1, 1, "x"), false },
		{ "digest", ID(8192, 512, 1, 1, "x"), ID(8192, 512, 1, 9, "x"), false },
		{ "digest, no id", ID(8192, 512, 1, 1, ""), ID(8192, 512, 1, 9, ""), false },
		{ "digest, one id", ID(8192, 512, 1, 1, "x"), ID(8192, 512, 1, 9, ""), false },
		{ "one digest", ID(8192, 512, 1, 1, "x"), ID(8192, 512, 0, 9, "x"), true },
		{ "no digest", ID(8192, 512, 0, 1, "x"), ID(8192, 512, 0, 9, "x"), true },
		{ "id", ID(8192, 512, 1, 1, "x"), ID(8192, 512, 1, 1, "y"), false },
		{ "id, no digest", ID(8192, 512, 0, 0, "x"), ID(8192, 512, 0, 0, "y"), false },
		{ "id, one digest", ID(8192, 512, 0, 0, "x"), ID(8192, 512, 1, 1, "y"), false },
		{ "longer id", ID(8192, 512, 1, 1, "x"), ID(8192, 512, 1, 1, "xy"), false },
		{ "one id", ID(8192, 512, 1, 1, "x"), ID(8192, 512, 1, 1, ""), true },
		{ "id or digest", ID(8192, 512, 1, 1, ""), ID(8192, 512, 0, 0, "y"), true },
#undef ID
	};
	struct sluice_identity a, b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		a = table[i].a;
		b = table[i].b;
		/* The name is for people. */
		strcpy(a.image_name, "one");
		strcpy(b.image_name, "two");
		ck_assert_msg(sluice_identity_equal(&a, &b) == table[i].equal, "%s", table[i].what);
		ck_assert_msg(sluice_identity_equal(&b, &a) == table[i].equal, "%s", table[i].what);
		ck_assert_msg(sluice_identity_equal(&a, &a), "%s", table[i].what);
	}
	/* Every byte of the digest counts, and every character of the id. */
	a = table[0].a;
	memset(a.image_id, 'i', sizeof(a.image_id) - 1);
	for (i = 0; i < SLUICE_DIGEST_LEN; i++) {
		b = a;
		b.digest[i] ^= 0x10;
		ck_assert(!sluice_identity_equal(&a, &b));
	}
	for (i = 0; i < SLUICE_ID_LEN - 1; i++) {
		b = a;
		b.image_id[i] = 'j';
		ck_assert(!sluice_identity_equal(&a, &b));
	}
	/* What follows the end of a string does not. */
	b = a = table[0].a;
	a.image_id[5] = 'p';
	ck_assert(sluice_identity_equal(&a, &b));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("media");
	TCase *tcase = tcase_create("media");
	SRunner *runner;
	int failed;

	/* 60 s is arbitrary: the flips take a second, but not on a loaded emulator. */
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, golden_super);
	tcase_add_test(tcase, golden_page);
	tcase_add_test(tcase, super_round_trip);
	tcase_add_test(tcase, page_round_trip);
	tcase_add_test(tcase, super_that_is_none);
	tcase_add_test(tcase, super_of_a_newer_version);
	tcase_add_test(tcase, super_inconsistent);
	tcase_add_test(tcase, super_bit_flips);
	tcase_add_test(tcase, page_bit_flips);
	tcase_add_test(tcase, page_of_another);
	tcase_add_test(tcase, picks_the_newest);
	tcase_add_test(tcase, inv13_torn_page);
	tcase_add_test(tcase, inv13_torn_first_write);
	tcase_add_test(tcase, torn_super);
	tcase_add_test(tcase, layout_smallest);
	tcase_add_test(tcase, layout_exact_fit);
	tcase_add_test(tcase, layout_refusals);
	tcase_add_test(tcase, layout_random);
	tcase_add_test(tcase, inv15_identity_equal);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
