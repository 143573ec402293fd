// SPDX-License-Identifier: GPL-2.0-or-later
#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char prefixes[] = "KMGTPE";

/* The factor of unit @text, 0 when it is none. */
static uint64_t factor_of(const char *text)
{
	const char *prefix;
	uint64_t factor = 1;
	unsigned int base, i;

	if (!*text || !strcmp(text, "B"))
		return 1;
	prefix = strchr(prefixes, toupper((unsigned char)*text));
	if (!prefix)
		return 0;
	if (!text[1] || !strcmp(text + 1, "iB"))
		base = 1024;
	else if (!strcmp(text + 1, "B"))
		base = 1000;
	else
		return 0;
	for (i = 0; i <= prefix - prefixes; i++)
		factor *= base;
	return factor;
}

int sluice_parse_bytes(const char *text, uint64_t *bytes)
{
	const char *p = text;
	uint64_t value = 0;
	uint64_t factor;
	int overflow = 0;

	for (; isdigit((unsigned char)*p); p++) {
		overflow |= __builtin_mul_overflow(value, 10, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
	}
	factor = factor_of(p);
	if (p == text || !factor)
		return -EINVAL;
	overflow |= __builtin_mul_overflow(value, factor, &value);
	if (overflow)
		return -ERANGE;
	*bytes = value;
	return 0;
}

int sluice_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t value = 0;
	int err;

	if (strcmp(text, "max") && strcmp(text, "image")) {
		err = sluice_parse_bytes(text, &value);
		if (err || !value)
			return err ? err : -EINVAL;
	}
	*bytes = value;
	return 0;
}

/* In integers, because "%.1f" would follow the locale's decimal sign. */
char *sluice_format_bytes(uint64_t bytes, char *buf, size_t len)
{
	unsigned int prefix, shift;
	uint64_t unit, rest, tenths;

	if (bytes < 1024) {
		snprintf(buf, len, "%" PRIu64 " B", bytes);
		return buf;
	}
	for (prefix = 0;; prefix++) {
		shift = 10 * (prefix + 1);
		unit = UINT64_C(1) << shift;
		rest = bytes & (unit - 1);
		/* Ten times the rest overflows in EiB: drop bits that cannot show. */
		tenths = (bytes >> shift) * 10;
		if (shift > 20)
			tenths += ((rest >> (shift - 20)) * 10 + (1 << 19)) >> 20;
		else
			tenths += (rest * 10 + unit / 2) >> shift;
		/* 1023.96 KiB would read 1024.0 KiB: let it be 1.0 MiB. */
		if (tenths < 10240 || !prefixes[prefix + 1])
			break;
	}
	if (rest)
		snprintf(buf, len, "%" PRIu64 ".%" PRIu64 " %ciB", tenths / 10, tenths % 10,
			 prefixes[prefix]);
	else
		snprintf(buf, len, "%" PRIu64 " %ciB", tenths / 10, prefixes[prefix]);
	return buf;
}

char *sluice_format_duration(uint64_t seconds, char *buf, size_t len)
{
	uint64_t minutes = seconds / 60;
	uint64_t hours = minutes / 60;
	uint64_t days = hours / 24;

	if (days)
		snprintf(buf, len, "%" PRIu64 " d %02" PRIu64 " h", days, hours % 24);
	else if (hours)
		snprintf(buf, len, "%" PRIu64 " h %02" PRIu64 " min", hours, minutes % 60);
	else if (minutes)
		snprintf(buf, len, "%" PRIu64 " min %02" PRIu64 " s", minutes, seconds % 60);
	else
		snprintf(buf, len, "%" PRIu64 " s", seconds);
	return buf;
}
