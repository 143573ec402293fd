// SPDX-License-Identifier: GPL-2.0-or-later
#include "fault.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {
	[SLUICED_NO_FAULT] = "org.sluice.Failed",
	[SLUICED_INVALID_PARAMETER] = "org.sluice.InvalidParameter",
	[SLUICED_NOT_FOUND] = "org.sluice.NotFound",
	[SLUICED_EXISTS] = "org.sluice.Exists",
	[SLUICED_SOURCE_UNREACHABLE] = "org.sluice.SourceUnreachable",
	[SLUICED_IMAGE_UNUSABLE] = "org.sluice.ImageUnusable",
	[SLUICED_LOCAL_UNUSABLE] = "org.sluice.LocalUnusable",
	[SLUICED_HOLDS_DATA] = "org.sluice.HoldsData",
	[SLUICED_NOT_FORMATTED] = "org.sluice.NotFormatted",
	[SLUICED_MISMATCH] = "org.sluice.Mismatch",
	[SLUICED_DAMAGED] = "org.sluice.Damaged",
	[SLUICED_MODULE] = "org.sluice.Module",
	[SLUICED_EXPORT_FAILED] = "org.sluice.ExportFailed",
	[SLUICED_IN_USE] = "org.sluice.InUse",
	[SLUICED_NOT_PERMITTED] = "org.sluice.NotPermitted",
	[SLUICED_FAILED] = "org.sluice.Failed",
};

bool sluiced_fault(struct sluiced_fault *fault, enum sluiced_fault_kind kind,
		   const char *format, ...)
{
	va_list args;

	fault->kind = kind;
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return false;
}

const char *sluiced_fault_name(enum sluiced_fault_kind kind)
{
	return names[kind];
}
