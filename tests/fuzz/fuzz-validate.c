// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: kmod/validate.c */
/*
 * Commands as a hostile daemon would send them. What is accepted must lie within
 * bounds that are computed here anew, without a chance to wrap; what is refused
 * must have a reason. The input is XORed over a command that is fine, or it
 * would rarely get past the reserved fields.
 */
#include "validate.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

typedef unsigned __int128 u128;

struct input {
	const u8 *at;
	size_t left;
};

static u64 take(struct input *in, size_t n)
{
	u64 value = 0;

	for (; n && in->left; n--, in->left--)
		value = value << 8 | *in->at++;
	return value;
}

static void edit(struct input *in, void *command, size_t size)
{
	u8 *p = command;

	/* From some byte on: the interesting fields are not all in front. */
	for (size_t i = take(in, 2) % size; i < size && in->left; i++)
		p[i] ^= take(in, 1);
}

static bool zero(const void *p, size_t n)
{
	const u8 *b = p;
	u8 sum = 0;

	while (n--)
		sum |= *b++;
	return !sum;
}

static bool ends(const char *text, size_t size)
{
	return strnlen(text, size) < size;
}

static bool name_is_safe(const char *name)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";

	return ends(name, SLUICE_NAME_LEN) && *name && *name != '.' && *name != '-' &&
	       strspn(name, safe) == strlen(name);
}

static void fuzz_commit(struct input *in)
{
	struct sluice_commit c = { .generation = 1, .blocks = 1 };
	u64 blocks = take(in, 8);
	u32 pool_blocks = take(in, 4);
	bool shape, inside;
	int err;

	edit(in, &c, sizeof(c));
	shape = !(c.flags & ~SLUICE_COMMIT_ZERO) && c.blocks &&
		zero(c.reserved, sizeof(c.reserved));
	inside = (u128)c.block + c.blocks <= blocks;
	if (c.flags & SLUICE_COMMIT_ZERO) {
		shape = shape && c.blocks <= SLUICE_MAX_ZERO_BLOCKS;
		/* With both wrong, either may be said. */
		err = !shape ? -EINVAL : !inside ? -ERANGE : c.pool_block ? -EINVAL : 0;
	} else {
		shape = shape && c.blocks <= SLUICE_MAX_COMMIT_BLOCKS;
		inside = inside && (u128)c.pool_block + c.blocks <= pool_blocks;
		err = !shape ? -EINVAL : !inside ? -ERANGE : 0;
	}
	must(sluice_validate_commit(&c, blocks, pool_blocks) == err);
}

static void fuzz_open(struct input *in)
{
	struct sluice_open o = {
		.flags = SLUICE_OPEN_IDENTITY, .abi_version = SLUICE_ABI_VERSION, .name = "a",
		.identity = { .image_bytes = 512, .logical_block_size = 512 },
	};
	const struct sluice_identity *id = &o.identity;
	bool fine, identity;
	int err;

	edit(in, &o, sizeof(o));
	edit(in, &o, sizeof(o));
	identity = (id->logical_block_size == 512 || id->logical_block_size == 4096) &&
		   id->image_bytes && id->digest_kind <= SLUICE_DIGEST_SAMPLE &&
		   ends(id->image_name, SLUICE_IMAGE_NAME_LEN) && ends(id->image_id, SLUICE_ID_LEN);
	/* 1 and 5: formatting without an identity. */
	fine = o.flags < 8 && o.flags != 1 && o.flags != 5 &&
	       zero(o.reserved, sizeof(o.reserved)) &&
	       o.deadline_ms <= SLUICE_MAX_DEADLINE_MS && name_is_safe(o.name) &&
	       ends(o.local_id, SLUICE_ID_LEN) && (identity || !(o.flags & SLUICE_OPEN_IDENTITY));
	err = o.abi_version != SLUICE_ABI_VERSION ? -EPROTO : fine ? 0 : -EINVAL;
	must(sluice_validate_open(&o) == err);
}

static void fuzz_attach(struct input *in)
{
	struct sluice_attach a = {
		.abi_version = SLUICE_ABI_VERSION, .pool_blocks = 1, .ring_events = 16,
	};
	bool fine;
	int err;

	edit(in, &a, sizeof(a));
	fine = !a.flags && zero(a.reserved, sizeof(a.reserved)) && a.pool_blocks &&
	       a.pool_blocks <= SLUICE_MAX_POOL_BLOCKS && a.watchdog_ms <= SLUICE_MAX_WATCHDOG_MS &&
	       a.ring_events >= SLUICE_MIN_RING_EVENTS && a.ring_events <= SLUICE_MAX_RING_EVENTS &&
	       __builtin_popcount(a.ring_events) == 1;
	err = a.abi_version != SLUICE_ABI_VERSION ? -EPROTO : fine ? 0 : -EINVAL;
	must(sluice_validate_attach(&a) == err);
}

static void fuzz_small(struct input *in)
{
	struct sluice_close c = { 0 };
	struct sluice_index i = { 0 };
	struct sluice_set s = { 0 };
	struct sluice_generation g = { 0 };

	edit(in, &c, sizeof(c));
	must((sluice_validate_close(&c) == 0) ==
	     (!c.flags && zero(c.reserved, sizeof(c.reserved))));
	edit(in, &i, sizeof(i));
	must((sluice_validate_index(&i) == 0) == (!i.flags && !i.reserved));
	edit(in, &g, sizeof(g));
	must((sluice_validate_generation(&g) == 0) == !g.reserved);
	edit(in, &s, sizeof(s));
	must((sluice_validate_set(&s) == 0) ==
	     (!s.flags && zero(s.reserved, sizeof(s.reserved)) &&
	      s.deadline_ms <= SLUICE_MAX_DEADLINE_MS));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { data, size };

	switch (take(&in, 1) % 4) {
	case 0:
		fuzz_commit(&in);
		break;
	case 1:
		fuzz_open(&in);
		break;
	case 2:
		fuzz_attach(&in);
		break;
	default:
		fuzz_small(&in);
	}
	return 0;
}
