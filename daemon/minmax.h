/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lesser and the greater of two numbers of blocks, bytes or moments. */
#ifndef SLUICED_MINMAX_H
#define SLUICED_MINMAX_H

#include <stdint.h>

static inline uint64_t sluiced_min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t sluiced_max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif /* SLUICED_MINMAX_H */
