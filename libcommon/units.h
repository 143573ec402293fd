/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes and times as people write and read them. */
#ifndef SLUICE_UNITS_H
#define SLUICE_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* Holds every result of the functions below. */
#define SLUICE_UNITS_LEN	32

/*
 * Digits and an optional unit without a blank between: K M G T P E and KiB ...
 * EiB are powers of 1024, KB ... EB powers of 1000, B is one. The first letter
 * may be a small one. -EINVAL when malformed, -ERANGE beyond 64 bits; *@bytes is
 * written on success only.
 */
int sluice_parse_bytes(const char *text, uint64_t *bytes);

/*
 * Of a namespace: "max", "image" or at least a byte, with errors as above and
 * -EINVAL for none. *@bytes is 0 for the words, and written on success only.
 */
int sluice_parse_size(const char *text, uint64_t *bytes);

/*
 * "512 B", "1.5 GiB", "32 GiB": powers of 1024, rounded to a tenth, no fraction
 * when there is none. Returns @buf.
 */
char *sluice_format_bytes(uint64_t bytes, char *buf, size_t len);

/* "42 s", "3 min 05 s", "2 h 07 min", "3 d 04 h", rounded down. Returns @buf. */
char *sluice_format_duration(uint64_t seconds, char *buf, size_t len);

#endif /* SLUICE_UNITS_H */
