/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast a deployment goes and when it ends, from looks at its counters. Pure logic:
 * times are milliseconds of one clock, the rest bytes.
 *
 * Blocks of the image and blocks behind it go side by side and at rates that have
 * nothing to do with each other: the end is when the slower of the two has ended.
 */
#ifndef SLUICED_ESTIMATE_H
#define SLUICED_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

/* A look each quarter of a second, for at most 16 s. */
#define SLUICED_LOOKS		80
#define SLUICED_LOOKS_MS	16000

struct sluiced_look {
	uint64_t at;
	uint64_t image, behind;		/* bytes that are local */
};

struct sluiced_estimate {
	struct sluiced_look looks[SLUICED_LOOKS];
	unsigned int first, count;
};

/* What was seen is of other conditions. */
void sluiced_estimate_reset(struct sluiced_estimate *e);

void sluiced_estimate_look(struct sluiced_estimate *e, const struct sluiced_look *look);

/* Bytes a second, of both. */
uint64_t sluiced_estimate_rate(const struct sluiced_estimate *e);

/* Whether, and in how many seconds, so many bytes are local too. */
bool sluiced_estimate_end(const struct sluiced_estimate *e, uint64_t image, uint64_t behind,
			  uint64_t *seconds);

#endif /* SLUICED_ESTIMATE_H */
