/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Choices of chance, for tests. A run prints its seed; with SEED=N in the
 * environment it makes the same choices again. Each thread has its own sequence.
 */
#ifndef SLUICE_TEST_RANDOM_H
#define SLUICE_TEST_RANDOM_H

#include <stdio.h>
#include <time.h>

#include "user.h"

static __thread u64 rng;

/* splitmix64: small, and good enough to pick operations. */
static inline u64 rnd(void)
{
	u64 z = rng += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline u64 below(u64 n)
{
	return rnd() % n;
}

static inline void fill(void *buf, size_t n)
{
	u8 *p = buf;

	while (n--)
		*p++ = rnd();
}

static inline void seed(void)
{
	const char *text = getenv("SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	rng = text ? strtoull(text, NULL, 0) : (u64)now.tv_sec * 1000000000 + now.tv_nsec;
	printf("SEED=%llu\n", (unsigned long long)rng);
	fflush(stdout);
}

#endif /* SLUICE_TEST_RANDOM_H */
