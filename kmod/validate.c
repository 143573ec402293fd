// SPDX-License-Identifier: GPL-2.0-only
#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/string.h>
#else
#define is_power_of_2(n) ((n) && !((n) & ((n) - 1)))
#endif
#include "validate.h"

static bool all_zero(const void *p, size_t n)
{
	const u8 *b = p;

	while (n--)
		if (*b++)
			return false;
	return true;
}

#define reserved_ok(s) all_zero((s)->reserved, sizeof((s)->reserved))

static bool terminated(const char *s, size_t size)
{
	return memchr(s, 0, size) != NULL;
}

/* A name becomes a file name, a sysfs value and part of log lines. */
static bool name_ok(const char *s)
{
	size_t i;

	if (!s[0] || s[0] == '.' || s[0] == '-')
		return false;
	for (i = 0; i < SLUICE_NAME_LEN && s[i]; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		      (s[i] >= '0' && s[i] <= '9') || s[i] == '.' || s[i] == '-' || s[i] == '_'))
			return false;
	return i < SLUICE_NAME_LEN;
}

static bool identity_ok(const struct sluice_identity *id)
{
	return (id->logical_block_size == 512 || id->logical_block_size == 4096) &&
	       id->image_bytes && id->digest_kind <= SLUICE_DIGEST_SAMPLE &&
	       terminated(id->image_name, sizeof(id->image_name)) &&
	       terminated(id->image_id, sizeof(id->image_id));
}

int sluice_validate_open(const struct sluice_open *o)
{
	if (o->abi_version != SLUICE_ABI_VERSION)
		return -EPROTO;
	if ((o->flags & ~SLUICE_OPEN_FLAGS) || !reserved_ok(o) ||
	    o->deadline_ms > SLUICE_MAX_DEADLINE_MS || !name_ok(o->name) ||
	    !terminated(o->local_id, sizeof(o->local_id)))
		return -EINVAL;
	/* Formatting needs to know what for. */
	if ((o->flags & SLUICE_OPEN_FORMAT) && !(o->flags & SLUICE_OPEN_IDENTITY))
		return -EINVAL;
	if ((o->flags & SLUICE_OPEN_IDENTITY) && !identity_ok(&o->identity))
		return -EINVAL;
	return 0;
}

int sluice_validate_close(const struct sluice_close *c)
{
	return c->flags || !reserved_ok(c) ? -EINVAL : 0;
}

int sluice_validate_attach(const struct sluice_attach *a)
{
	if (a->abi_version != SLUICE_ABI_VERSION)
		return -EPROTO;
	if (a->flags || !reserved_ok(a) || !a->pool_blocks ||
	    a->pool_blocks > SLUICE_MAX_POOL_BLOCKS || a->watchdog_ms > SLUICE_MAX_WATCHDOG_MS ||
	    a->ring_events < SLUICE_MIN_RING_EVENTS || a->ring_events > SLUICE_MAX_RING_EVENTS ||
	    !is_power_of_2(a->ring_events))
		return -EINVAL;
	return 0;
}

int sluice_validate_index(const struct sluice_index *i)
{
	return i->flags || i->reserved ? -EINVAL : 0;
}

int sluice_validate_set(const struct sluice_set *s)
{
	return s->flags || !reserved_ok(s) || s->deadline_ms > SLUICE_MAX_DEADLINE_MS ? -EINVAL : 0;
}

int sluice_validate_generation(const struct sluice_generation *g)
{
	return g->reserved ? -EINVAL : 0;
}

int sluice_validate_commit(const struct sluice_commit *c, u64 blocks, u32 pool_blocks)
{
	bool zero = c->flags & SLUICE_COMMIT_ZERO;

	if ((c->flags & ~SLUICE_COMMIT_ZERO) || !reserved_ok(c) || !c->blocks)
		return -EINVAL;
	if (c->blocks > (zero ? SLUICE_MAX_ZERO_BLOCKS : SLUICE_MAX_COMMIT_BLOCKS))
		return -EINVAL;
	if (c->block >= blocks || c->blocks > blocks - c->block)
		return -ERANGE;
	if (zero)
		return c->pool_block ? -EINVAL : 0;
	if (c->pool_block >= pool_blocks || c->blocks > pool_blocks - c->pool_block)
		return -ERANGE;
	return 0;
}
