/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * must(condition): what has to hold in a fuzz target, in any thread, and in loops of
 * unit tests: Check writes to a file for every assertion that holds.
 */
#ifndef SLUICE_TEST_MUST_H
#define SLUICE_TEST_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define must(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

#endif /* SLUICE_TEST_MUST_H */
