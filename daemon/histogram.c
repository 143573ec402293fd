// SPDX-License-Identifier: GPL-2.0-or-later
#include "histogram.h"

const uint64_t sluiced_histogram_limits[SLUICED_HISTOGRAM_BUCKETS] = {
	500, 1000, 2000, 3000, 5000, 10000, 20000, 50000, 100000, 200000, 500000,
	1000000, 2000000, 5000000, 10000000, 20000000,
};

void sluiced_histogram_note(struct sluiced_histogram *histogram, uint64_t us)
{
	unsigned int i = 0;

	while (i < SLUICED_HISTOGRAM_BUCKETS && us > sluiced_histogram_limits[i])
		i++;
	if (i < SLUICED_HISTOGRAM_BUCKETS)
		histogram->bucket[i]++;
	histogram->count++;
	histogram->sum_us += us;
}
