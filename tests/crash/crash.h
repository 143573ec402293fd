/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a recording consists of, besides dm-log-writes' log: a journal of what the
 * host did, a struct crash_header and its operations, in the order of their ids.
 *
 * The log has marks: an operation's id in decimal when the host was told that it is
 * done, of operations that promise durability; CRASH_FORMATTED and CRASH_COMPLETED
 * for the deployment.
 *
 * Host writes carry the stamps of puppet.h with the operation's id as version, the
 * image's with 0; the disk was full of CRASH_POISON before.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdint.h>

#define CRASH_MAGIC	0x32687361726373ULL
#define CRASH_POISON	0xaa
#define CRASH_WINDOWS	4
#define CRASH_FORMATTED	"formatted"
#define CRASH_COMPLETED	"completed"

enum crash_kind {
	CRASH_WRITE = 1,
	CRASH_FUA,		/* durable itself */
	CRASH_FLUSH,
	CRASH_ZERO,		/* reads as zeroes afterwards */
	CRASH_DISCARD,		/* reads as zeroes, or as before */
};

/* Where the host writes and the daemon commits; nothing else is touched. */
struct crash_window {
	uint64_t block, blocks;
};

struct crash_header {
	uint64_t magic;
	uint64_t seed;
	uint64_t disk_bytes, namespace_bytes, image_bytes;
	uint32_t ops;
	uint32_t windows;
	uint32_t peer;			/* of dm-clone: after the namespace are its metadata */
	uint32_t unused;
	struct crash_window window[CRASH_WINDOWS];
};

/* Times are counts of one clock; completed 0: it failed, or never ended. */
struct crash_op {
	uint32_t id;			/* from 1 */
	uint32_t kind;
	uint64_t sector, sectors;
	uint64_t submitted, completed;
};

/* xorshift64*: the same on every machine. @state is not 0. */
static inline uint64_t crash_draw(uint64_t *state, uint64_t below)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * 0x2545f4914f6cdd1dULL >> 32) % below;
}

#endif /* CRASH_H */
