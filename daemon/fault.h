/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a request failed: a kind of the control protocol and a sentence. */
#ifndef SLUICED_FAULT_H
#define SLUICED_FAULT_H

#include <stdbool.h>

enum sluiced_fault_kind {
	SLUICED_NO_FAULT,
	SLUICED_INVALID_PARAMETER,
	SLUICED_NOT_FOUND,
	SLUICED_EXISTS,
	SLUICED_SOURCE_UNREACHABLE,
	SLUICED_IMAGE_UNUSABLE,
	SLUICED_LOCAL_UNUSABLE,
	SLUICED_HOLDS_DATA,
	SLUICED_NOT_FORMATTED,
	SLUICED_MISMATCH,
	SLUICED_DAMAGED,
	SLUICED_MODULE,
	SLUICED_EXPORT_FAILED,
	SLUICED_IN_USE,
	SLUICED_NOT_PERMITTED,
	SLUICED_FAILED,
};

struct sluiced_fault {
	enum sluiced_fault_kind kind;
	char text[1024];
};

/* Records a fault and returns false, for "return sluiced_fault(...);". */
bool sluiced_fault(struct sluiced_fault *fault, enum sluiced_fault_kind kind,
		   const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "org.sluice.HoldsData". */
const char *sluiced_fault_name(enum sluiced_fault_kind kind);

#endif /* SLUICED_FAULT_H */
