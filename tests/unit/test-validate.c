// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: kmod/validate.c */
/*
 * inv27: every field of every command, at its borders. Each test starts from a
 * command that is fine and changes one thing.
 */
#include "validate.h"

#include <check.h>

#include "../fuzz/must.h"
#include "../fuzz/random.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* verdict(open, -EINVAL, s.flags = 8): what becomes of the sample so changed. */
#define verdict(kind, expected, change) \
	do { \
		struct sluice_##kind s = sample_##kind; \
		change; \
		ck_assert_msg(sluice_validate_##kind(&s) == (expected), "%s", #change); \
	} while (0)

/* Each byte of the field has to be zero. */
#define must_be_zero(kind, field) \
	do { \
		for (size_t at = 0; at < sizeof(sample_##kind.field); at++) { \
			for (unsigned int bit = 0; bit < 8; bit++) { \
				struct sluice_##kind s = sample_##kind; \
				\
				((u8 *)&s.field)[at] = 1 << bit; \
				must(sluice_validate_##kind(&s) == -EINVAL); \
			} \
		} \
	} while (0)

/* Nothing in the field matters. */
#define is_ignored(kind, field) \
	do { \
		static const u8 bytes[] = { 0, 1, 0x7f, 0x80, 0xff }; \
		\
		for (size_t at = 0; at < ARRAY_SIZE(bytes); at++) { \
			struct sluice_##kind s = sample_##kind; \
			\
			memset(&s.field, bytes[at], sizeof(s.field)); \
			ck_assert_msg(!sluice_validate_##kind(&s), "%s", #field); \
		} \
	} while (0)

typedef unsigned __int128 u128;

static const struct sluice_open sample_open = {
	.flags = SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY,
	.abi_version = SLUICE_ABI_VERSION,
	.local_major = 259,
	.local_minor = 3,
	.name = "web-7",
	.local_id = "eui.0025385b71b0dfe1",
	.identity = {
		.image_bytes = 1ULL << 30,
		.logical_block_size = 512,
		.digest_kind = SLUICE_DIGEST_SAMPLE,
		.image_name = "nvme-tcp://store/nqn.a",
		.image_id = "uuid.1",
	},
};

static const struct sluice_close sample_close = { .index = 3 };
static const struct sluice_index sample_index = { .index = 3 };
static const struct sluice_set sample_set = { .deadline_ms = 4000 };
static const struct sluice_generation sample_generation = { .generation = 7 };

static const struct sluice_attach sample_attach = {
	.index = 3,
	.abi_version = SLUICE_ABI_VERSION,
	.pool_blocks = 8192,
	.ring_events = 1024,
	.watchdog_ms = 5000,
};

START_TEST(open_flags)
{
	unsigned int bit, flags;

	for (flags = 0; flags <= SLUICE_OPEN_FLAGS; flags++)
		verdict(open, (flags & SLUICE_OPEN_FORMAT) && !(flags & SLUICE_OPEN_IDENTITY) ?
			-EINVAL : 0, s.flags = flags);
	for (bit = 0; bit < 32; bit++)
		if (!(SLUICE_OPEN_FLAGS & 1U << bit))
			verdict(open, -EINVAL, s.flags |= 1U << bit);
	ck_assert_uint_eq(SLUICE_OPEN_FLAGS, 7);
}
END_TEST

START_TEST(open_version)
{
	verdict(open, -EPROTO, s.abi_version = 0);
	verdict(open, -EPROTO, s.abi_version = SLUICE_ABI_VERSION - 1);
	verdict(open, -EPROTO, s.abi_version = SLUICE_ABI_VERSION + 1);
	verdict(open, -EPROTO, s.abi_version = SLUICE_ABI_VERSION | 1U << 31);
	verdict(open, -EPROTO, s.abi_version = ~0U);
	/* What the rest means is the other version's to say. */
	verdict(open, -EPROTO, memset(&s, 0xff, sizeof(s)));
	verdict(open, -EPROTO, memset(&s, 0, sizeof(s)));
}
END_TEST

START_TEST(open_name)
{
	static const char *const good[] = {
		"a", "Z", "0", "_", "a.b", "a-", "a.", "a_b-c.d", "0123456789",
	};
	static const char *const bad[] = {
		"", ".", "..", ".a", "-", "-a", "a b", "a/b", "/", "a\n", "a\t", "a:", "a\\", "a%",
		"\xc3\xa9", "a\x7f", "a\x01", "a@b", "a[b", "a`b", "a{b", "a*", "a$", "a'", "a\"",
	};
	unsigned int c;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		verdict(open, 0, strcpy(s.name, good[i]));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		verdict(open, -EINVAL, strcpy(s.name, bad[i]));
	for (c = 1; c < 256; c++) {
		bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '_';
		bool inside = fine || c == '.' || c == '-';

		verdict(open, fine ? 0 : -EINVAL, s.name[0] = c);
		verdict(open, inside ? 0 : -EINVAL, s.name[1] = c);
		verdict(open, inside ? 0 : -EINVAL,
			(memset(s.name, 'x', SLUICE_NAME_LEN - 1),
			 s.name[SLUICE_NAME_LEN - 2] = c));
	}
	verdict(open, 0, memset(s.name, 'x', SLUICE_NAME_LEN - 1));
	verdict(open, -EINVAL, memset(s.name, 'x', SLUICE_NAME_LEN));
	/* Behind its end there may be anything. */
	verdict(open, 0, memset(s.name + 6, '/', SLUICE_NAME_LEN - 6));
}
END_TEST

START_TEST(open_local_id)
{
	verdict(open, 0, s.local_id[0] = '\0');
	verdict(open, 0, memset(s.local_id, 'x', SLUICE_ID_LEN - 1));
	verdict(open, -EINVAL, memset(s.local_id, 'x', SLUICE_ID_LEN));
	verdict(open, 0, memset(s.local_id + 21, 'x', SLUICE_ID_LEN - 21));
}
END_TEST

START_TEST(open_identity)
{
	unsigned int shift;

	for (shift = 0; shift < 32; shift++) {
		u32 size = 1U << shift;

		verdict(open, size == 512 || size == 4096 ? 0 : -EINVAL,
			s.identity.logical_block_size = size);
		verdict(open, -EINVAL, s.identity.logical_block_size = size + 3);
	}
	verdict(open, -EINVAL, s.identity.logical_block_size = 0);
	verdict(open, -EINVAL, s.identity.logical_block_size = ~0U);
	verdict(open, -EINVAL, s.identity.logical_block_size = 511);
	verdict(open, -EINVAL, s.identity.logical_block_size = 513);
	verdict(open, -EINVAL, s.identity.logical_block_size = 4095);
	verdict(open, -EINVAL, s.identity.logical_block_size = 4097);
	verdict(open, -EINVAL, s.identity.image_bytes = 0);
	verdict(open, 0, s.identity.image_bytes = 512);
	verdict(open, 0, s.identity.image_bytes = 1ULL << 63);
	verdict(open, 0, s.identity.digest_kind = SLUICE_DIGEST_NONE);
	verdict(open, -EINVAL, s.identity.digest_kind = SLUICE_DIGEST_SAMPLE + 1);
	verdict(open, -EINVAL, s.identity.digest_kind = ~0U);
	is_ignored(open, identity.digest);
	verdict(open, 0, s.identity.image_name[0] = '\0');
	verdict(open, 0, memset(s.identity.image_name, 'x', SLUICE_IMAGE_NAME_LEN - 1));
	verdict(open, -EINVAL, memset(s.identity.image_name, 'x', SLUICE_IMAGE_NAME_LEN));
	verdict(open, 0, s.identity.image_id[0] = '\0');
	verdict(open, 0, memset(s.identity.image_id, 'x', SLUICE_ID_LEN - 1));
	verdict(open, -EINVAL, memset(s.identity.image_id, 'x', SLUICE_ID_LEN));
	/* Not looked at when it is an answer only. */
	verdict(open, 0, (s.flags = 0, memset(&s.identity, 0xff, sizeof(s.identity))));
	verdict(open, 0, (s.flags = SLUICE_OPEN_UUID, memset(&s.identity, 0, sizeof(s.identity))));
	verdict(open, -EINVAL, (s.flags = SLUICE_OPEN_IDENTITY,
				memset(&s.identity, 0, sizeof(s.identity))));
}
END_TEST

START_TEST(open_rest)
{
	verdict(open, 0, s.deadline_ms = 0);
	verdict(open, 0, s.deadline_ms = 1);
	verdict(open, 0, s.deadline_ms = SLUICE_MAX_DEADLINE_MS);
	verdict(open, -EINVAL, s.deadline_ms = SLUICE_MAX_DEADLINE_MS + 1);
	verdict(open, -EINVAL, s.deadline_ms = ~0U);
	is_ignored(open, local_major);
	is_ignored(open, local_minor);
	is_ignored(open, uuid);
	/* Sizes are the layout's to judge, which knows the disk. */
	is_ignored(open, namespace_bytes);
	is_ignored(open, index);
	is_ignored(open, refusal);
	is_ignored(open, state);
	must_be_zero(open, reserved);
}
END_TEST

START_TEST(close_fields)
{
	is_ignored(close, index);
	must_be_zero(close, flags);
	must_be_zero(close, reserved);
}
END_TEST

START_TEST(index_fields)
{
	is_ignored(index, index);
	must_be_zero(index, flags);
	must_be_zero(index, reserved);
}
END_TEST

START_TEST(generation_fields)
{
	is_ignored(generation, generation);
	must_be_zero(generation, reserved);
}
END_TEST

START_TEST(set_fields)
{
	verdict(set, 0, s.deadline_ms = 0);
	verdict(set, 0, s.deadline_ms = 1);
	verdict(set, 0, s.deadline_ms = SLUICE_MAX_DEADLINE_MS);
	verdict(set, -EINVAL, s.deadline_ms = SLUICE_MAX_DEADLINE_MS + 1);
	verdict(set, -EINVAL, s.deadline_ms = ~0U);
	must_be_zero(set, flags);
	must_be_zero(set, reserved);
}
END_TEST

START_TEST(attach_fields)
{
	unsigned int shift;

	verdict(attach, -EPROTO, s.abi_version = 0);
	verdict(attach, -EPROTO, s.abi_version = SLUICE_ABI_VERSION + 1);
	verdict(attach, -EPROTO, memset(&s, 0xff, sizeof(s)));
	verdict(attach, -EINVAL, s.pool_blocks = 0);
	verdict(attach, 0, s.pool_blocks = 1);
	verdict(attach, 0, s.pool_blocks = SLUICE_MAX_POOL_BLOCKS);
	verdict(attach, -EINVAL, s.pool_blocks = SLUICE_MAX_POOL_BLOCKS + 1);
	verdict(attach, -EINVAL, s.pool_blocks = ~0U);
	for (shift = 0; shift < 32; shift++) {
		u32 n = 1U << shift;

		verdict(attach, n >= SLUICE_MIN_RING_EVENTS && n <= SLUICE_MAX_RING_EVENTS ?
			0 : -EINVAL, s.ring_events = n);
		/* 2 - 1 and 1 + 1 are powers of two, and too few. */
		verdict(attach, -EINVAL, s.ring_events = n - 1);
		verdict(attach, -EINVAL, s.ring_events = n + 1);
	}
	verdict(attach, -EINVAL, s.ring_events = 0);
	verdict(attach, -EINVAL, s.ring_events = 48);
	verdict(attach, -EINVAL, s.ring_events = ~0U);
	verdict(attach, 0, s.watchdog_ms = 0);
	verdict(attach, 0, s.watchdog_ms = SLUICE_MAX_WATCHDOG_MS);
	verdict(attach, -EINVAL, s.watchdog_ms = SLUICE_MAX_WATCHDOG_MS + 1);
	verdict(attach, -EINVAL, s.watchdog_ms = ~0U);
	is_ignored(attach, index);
	is_ignored(attach, generation);
	is_ignored(attach, namespace_bytes);
	is_ignored(attach, map_bytes);
	is_ignored(attach, ring_bytes);
	is_ignored(attach, pool_bytes);
	is_ignored(attach, uuid);
	is_ignored(attach, identity);
	must_be_zero(attach, flags);
	must_be_zero(attach, reserved);
}
END_TEST

static int commit(u64 block, u32 blocks, u32 pool_block, u32 flags, u64 of, u32 pool)
{
	struct sluice_commit c = {
		.generation = 1, .block = block, .blocks = blocks, .pool_block = pool_block,
		.flags = flags,
	};

	return sluice_validate_commit(&c, of, pool);
}

START_TEST(commit_data)
{
	const u32 max = SLUICE_MAX_COMMIT_BLOCKS;

	ck_assert_int_eq(commit(0, 1, 0, 0, 1, 1), 0);
	ck_assert_int_eq(commit(0, 0, 0, 0, 1, 1), -EINVAL);
	ck_assert_int_eq(commit(0, max, 0, 0, max, max), 0);
	ck_assert_int_eq(commit(0, max + 1, 0, 0, 4 * max, 4 * max), -EINVAL);
	ck_assert_int_eq(commit(0, ~0U, 0, 0, ~0ULL, ~0U), -EINVAL);
	/* The namespace. */
	ck_assert_int_eq(commit(99, 1, 0, 0, 100, 10), 0);
	ck_assert_int_eq(commit(100, 1, 0, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(99, 2, 0, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(90, 10, 0, 0, 100, 10), 0);
	ck_assert_int_eq(commit(91, 10, 0, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(0, 2, 0, 0, 1, 10), -ERANGE);
	ck_assert_int_eq(commit(0, 1, 0, 0, 0, 10), -ERANGE);
	/* The pool. */
	ck_assert_int_eq(commit(0, 1, 9, 0, 100, 10), 0);
	ck_assert_int_eq(commit(0, 1, 10, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(0, 2, 9, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(0, 10, 0, 0, 100, 10), 0);
	ck_assert_int_eq(commit(0, 11, 0, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(0, 1, 0, 0, 100, 0), -ERANGE);
	/* Sums that would wrap. */
	ck_assert_int_eq(commit(~0ULL, 1, 0, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(~0ULL, 2, 0, 0, ~0ULL, 10), -ERANGE);
	ck_assert_int_eq(commit(~0ULL - 1, 1, 0, 0, ~0ULL, 10), 0);
	ck_assert_int_eq(commit(-5ULL, 10, 0, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(-5ULL, 10, 0, 0, ~0ULL, 10), -ERANGE);
	ck_assert_int_eq(commit(1ULL << 32, 1, 0, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(0, 10, -5U, 0, 100, 10), -ERANGE);
	ck_assert_int_eq(commit(0, 10, -5U, 0, 100, ~0U), -ERANGE);
	ck_assert_int_eq(commit(0, 1, ~0U - 1, 0, 100, ~0U), 0);
	ck_assert_int_eq(commit(0, 1, ~0U, 0, 100, ~0U), -ERANGE);
}
END_TEST

START_TEST(commit_zero)
{
	const u32 zero = SLUICE_COMMIT_ZERO, max = SLUICE_MAX_ZERO_BLOCKS;

	ck_assert_int_eq(commit(0, 1, 0, zero, 1, 1), 0);
	ck_assert_int_eq(commit(0, 0, 0, zero, 1, 1), -EINVAL);
	ck_assert_int_eq(commit(0, max, 0, zero, max, 1), 0);
	ck_assert_int_eq(commit(0, max + 1, 0, zero, 2 * max, ~0U), -EINVAL);
	ck_assert_int_eq(commit(0, ~0U, 0, zero, ~0ULL, ~0U), -EINVAL);
	ck_assert_int_eq(commit(1, max, 0, zero, max, 1), -ERANGE);
	ck_assert_int_eq(commit(~0ULL, max, 0, zero, ~0ULL, 1), -ERANGE);
	/* It has no data: the pool does not bound it, nor may it name any. */
	ck_assert_int_eq(commit(0, max, 0, zero, max, 0), 0);
	ck_assert_int_eq(commit(0, 1, 1, zero, 100, 10), -EINVAL);
	ck_assert_int_eq(commit(0, 1, ~0U, zero, 100, ~0U), -EINVAL);
}
END_TEST

START_TEST(commit_rest)
{
	struct sluice_commit c = { .blocks = 1 };
	unsigned int bit;
	size_t at;

	for (bit = 0; bit < 32; bit++)
		ck_assert_int_eq(commit(0, 1, 0, 1U << bit, 1, 1),
				 1U << bit == SLUICE_COMMIT_ZERO ? 0 : -EINVAL);
	ck_assert_int_eq(commit(0, 1, 0, SLUICE_COMMIT_ZERO | 1U << 31, 1, 1), -EINVAL);
	for (at = 0; at < sizeof(c.reserved); at++) {
		for (bit = 0; bit < 8; bit++) {
			((u8 *)c.reserved)[at] = 1 << bit;
			must(sluice_validate_commit(&c, 1, 1) == -EINVAL);
		}
		((u8 *)c.reserved)[at] = 0;
	}
	ck_assert_int_eq(sluice_validate_commit(&c, 1, 1), 0);
	/* Whose generation it is, the attachment knows. */
	c.generation = ~0ULL;
	ck_assert_int_eq(sluice_validate_commit(&c, 1, 1), 0);
	c.generation = 0;
	ck_assert_int_eq(sluice_validate_commit(&c, 1, 1), 0);
}
END_TEST

/* Near a border more often than not. */
static u64 pick(u64 border)
{
	switch (rnd() % 4) {
	case 0:
		return rnd() >> rnd() % 64;
	case 1:
		return rnd() % 5 - 2;
	default:
		return border + rnd() % 5 - 2;
	}
}

START_TEST(commit_random)
{
	unsigned int i, accepted = 0;

	seed();
	for (i = 0; i < 1000000; i++) {
		u32 zero = rnd() % 2 ? SLUICE_COMMIT_ZERO : 0;
		u32 max = zero ? SLUICE_MAX_ZERO_BLOCKS : SLUICE_MAX_COMMIT_BLOCKS;
		u64 of = pick(0), block = pick(of);
		u32 pool = pick(0), blocks = pick(rnd() % 2 ? max : of - block);
		u32 pool_block = zero && rnd() % 2 ? 0 : pick(rnd() % 2 ? pool - blocks : pool);
		int expected = 0;

		if (!blocks || blocks > max)
			expected = -EINVAL;
		else if ((u128)block + blocks > of)
			expected = -ERANGE;
		else if (zero)
			expected = pool_block ? -EINVAL : 0;
		else if ((u128)pool_block + blocks > pool)
			expected = -ERANGE;
		must(commit(block, blocks, pool_block, zero, of, pool) == expected);
		accepted += !expected;
	}
	/* Or nothing was tested. */
	ck_assert_uint_gt(accepted, 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("validate");
	TCase *tcase = tcase_create("validate");
	SRunner *runner;
	int failed;

	/* 60 s is arbitrary: all take milliseconds, but not on a loaded emulator. */
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, open_flags);
	tcase_add_test(tcase, open_version);
	tcase_add_test(tcase, open_name);
	tcase_add_test(tcase, open_local_id);
	tcase_add_test(tcase, open_identity);
	tcase_add_test(tcase, open_rest);
	tcase_add_test(tcase, close_fields);
	tcase_add_test(tcase, index_fields);
	tcase_add_test(tcase, generation_fields);
	tcase_add_test(tcase, set_fields);
	tcase_add_test(tcase, attach_fields);
	tcase_add_test(tcase, commit_data);
	tcase_add_test(tcase, commit_zero);
	tcase_add_test(tcase, commit_rest);
	tcase_add_test(tcase, commit_random);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
