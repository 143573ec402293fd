/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long things took, in buckets that grow by a factor of about two. */
#ifndef SLUICED_HISTOGRAM_H
#define SLUICED_HISTOGRAM_H

#include <stdint.h>

/* From half a millisecond, less than any network, to the longest default deadline. */
#define SLUICED_HISTOGRAM_BUCKETS	16

struct sluiced_histogram {
	uint64_t bucket[SLUICED_HISTOGRAM_BUCKETS];	/* those up to its limit alone */
	uint64_t count;			/* of all, also those above the last limit */
	uint64_t sum_us;
};

/* Upper limits of the buckets, inclusive, in microseconds. */
extern const uint64_t sluiced_histogram_limits[SLUICED_HISTOGRAM_BUCKETS];

void sluiced_histogram_note(struct sluiced_histogram *histogram, uint64_t us);

#endif /* SLUICED_HISTOGRAM_H */
