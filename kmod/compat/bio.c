// SPDX-License-Identifier: GPL-2.0-only
#include "compat.h"

struct bio *sluice_bio_split(struct bio *bio, unsigned int sectors, gfp_t gfp,
			     struct bio_set *set)
{
	struct bio *split = bio_split(bio, sectors, gfp, set);

	return IS_ERR(split) ? NULL : split;
}
