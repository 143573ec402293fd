/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot profiles: which extents of an image a host asks for until it is up, the
 * first one first. A text format of its own (Documentation/man/sluice-profile.5.rst),
 * so that people can read and change one.
 *
 * Nothing here prints or does I/O. Not thread-safe on a shared object.
 */
#ifndef SLUICE_PROFILE_H
#define SLUICE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.h"

/*
 * 16384 is what always fits into one message of the control socket; a boot of a
 * general purpose system asks for a few thousand.
 */
#define SLUICE_PROFILE_EXTENTS	16384

/* Of a file with comments; arbitrary. */
#define SLUICE_PROFILE_MAX	(4 << 20)

/* Holds every sentence that is given as a reason. */
#define SLUICE_PROFILE_WHY_LEN	160

#define SLUICE_PROFILE_DIGEST_LEN	65

struct sluice_extent {
	uint64_t block, blocks;
};

/* All zeroes is an empty one, of an unknown image. */
struct sluice_profile {
	/* bytes (0: unknown), digest_kind, digest and id of the image; no more. */
	struct sluice_image image;
	struct sluice_extent *extents;	/* in order of their first use, none twice */
	size_t count;
	uint64_t blocks;		/* of all extents */
	struct sluice_extent *taken;	/* the same blocks by their place */
	size_t taken_count;
	size_t room;			/* of either */
};

void sluice_profile_free(struct sluice_profile *p);

/* What identifies @image, from now on @p's. */
void sluice_profile_set_image(struct sluice_profile *p, const struct sluice_image *image);

/*
 * Appends the blocks of the extent that are not there yet. -ENOSPC when that takes
 * more extents than there may be, -ERANGE when it is empty or ends above 2^63 bytes,
 * -ENOMEM; what was there stays.
 */
int sluice_profile_add(struct sluice_profile *p, uint64_t block, uint64_t blocks);

/*
 * Reads text into @p, which is empty. -EINVAL with *@line, counted from 1, and a
 * sentence in @why; -ENOMEM. @p is empty again then.
 */
int sluice_profile_parse(struct sluice_profile *p, const char *text, size_t len,
			 unsigned int *line, char why[SLUICE_PROFILE_WHY_LEN]);

/*
 * A malloc'ed text of *@len bytes and a NUL that is not counted, which parses to
 * the same. @comment, or NULL, is one line. -ENOMEM.
 */
int sluice_profile_print(const struct sluice_profile *p, const char *comment, char **text,
			 size_t *len);

/* SHA-256 of that text, in hexadecimal digits: equal profiles have equal ones. -ENOMEM, -EIO. */
int sluice_profile_digest(const struct sluice_profile *p, char hex[SLUICE_PROFILE_DIGEST_LEN]);

/*
 * Several boots in one: each block has the place where the first of them needs it,
 * counted in blocks from its begin. The image is the first's. @into is empty.
 * -ENOSPC with as many extents as there may be, -ENOMEM.
 */
int sluice_profile_merge(struct sluice_profile *into, const struct sluice_profile *from,
			 size_t count);

/* Cuts off what lies behind the image's @blocks; how many blocks that was. */
uint64_t sluice_profile_clip(struct sluice_profile *p, uint64_t blocks);

/* Whether it was made from @image, as far as the two are known. */
bool sluice_profile_is_of(const struct sluice_profile *p, const struct sluice_image *image);

#endif /* SLUICE_PROFILE_H */
