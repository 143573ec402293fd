// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/units.c */
#include "units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

START_TEST(parses_bytes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "007", 7 }, { "512B", 512 }, { "1K", 1024 },
		{ "1k", 1024 }, { "1KiB", 1024 }, { "1KB", 1000 }, { "1kB", 1000 },
		{ "3M", 3 << 20 }, { "3MiB", 3 << 20 }, { "3MB", 3000000 },
		{ "20G", UINT64_C(20) << 30 }, { "20GB", UINT64_C(20000000000) },
		{ "2T", UINT64_C(2) << 40 }, { "2TiB", UINT64_C(2) << 40 },
		{ "2TB", UINT64_C(2000000000000) }, { "1P", UINT64_C(1) << 50 },
		{ "15E", UINT64_C(15) << 60 }, { "18EB", UINT64_C(18000000000000000000) },
		{ "18446744073709551615", UINT64_MAX }, { "0E", 0 },
	};
	uint64_t bytes;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_msg(!sluice_parse_bytes(good[i].text, &bytes), "%s", good[i].text);
		ck_assert_msg(bytes == good[i].bytes, "%s", good[i].text);
	}
}
END_TEST

START_TEST(refuses_bytes)
{
	static const char *const malformed[] = {
		"", " ", "K", "GiB", "-1", "+1", " 1", "1 ", "1 K", "1.5G", "1,5G", "0x10", "1X",
		"1KK", "1KiBs", "1Ki", "1iB", "1BB", "1kib", "1Kb", "one", "1e3",
	};
	static const char *const too_large[] = {
		"18446744073709551616", "16E", "19EB", "99999999999999999999", "17179869184G",
		"184467440737095516160K",
	};
	uint64_t bytes = 42;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(malformed); i++)
		ck_assert_msg(sluice_parse_bytes(malformed[i], &bytes) == -EINVAL, "%s",
			      malformed[i]);
	for (i = 0; i < ARRAY_SIZE(too_large); i++)
		ck_assert_msg(sluice_parse_bytes(too_large[i], &bytes) == -ERANGE, "%s",
			      too_large[i]);
	ck_assert_uint_eq(bytes, 42);
}
END_TEST

START_TEST(parses_sizes)
{
	static const char *const none[] = { "", "0", "0G", "Max", "max ", "images", "banana", "-1" };
	uint64_t bytes = 7;
	unsigned int i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ck_assert_msg(sluice_parse_size(none[i], &bytes) == -EINVAL, "%s", none[i]);
	ck_assert_int_eq(sluice_parse_size("99999999999999999999", &bytes), -ERANGE);
	ck_assert_uint_eq(bytes, 7);
	ck_assert_int_eq(sluice_parse_size("20G", &bytes), 0);
	ck_assert_uint_eq(bytes, UINT64_C(20) << 30);
	ck_assert_int_eq(sluice_parse_size("max", &bytes), 0);
	ck_assert_uint_eq(bytes, 0);
	bytes = 7;
	ck_assert_int_eq(sluice_parse_size("image", &bytes), 0);
	ck_assert_uint_eq(bytes, 0);
}
END_TEST

START_TEST(formats_bytes)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} pairs[] = {
		{ 0, "0 B" }, { 1, "1 B" }, { 1023, "1023 B" }, { 1024, "1 KiB" },
		{ 1536, "1.5 KiB" }, { 1025, "1.0 KiB" }, { 1048576 - 1, "1.0 MiB" },
		{ 1048576 - 52, "1023.9 KiB" }, { 1048576, "1 MiB" },
		{ 1610612736, "1.5 GiB" }, { UINT64_C(20) << 30, "20 GiB" },
		{ UINT64_C(1) << 40, "1 TiB" }, { UINT64_C(2000000000000), "1.8 TiB" },
		{ UINT64_C(1) << 60, "1 EiB" }, { UINT64_C(3) << 59, "1.5 EiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char buf[SLUICE_UNITS_LEN];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++)
		ck_assert_str_eq(sluice_format_bytes(pairs[i].bytes, buf, sizeof(buf)),
				 pairs[i].text);
}
END_TEST

START_TEST(formats_durations)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} pairs[] = {
		{ 0, "0 s" }, { 59, "59 s" }, { 60, "1 min 00 s" }, { 185, "3 min 05 s" },
		{ 3599, "59 min 59 s" }, { 3600, "1 h 00 min" }, { 7620, "2 h 07 min" },
		{ 86399, "23 h 59 min" }, { 86400, "1 d 00 h" }, { 273600, "3 d 04 h" },
		{ UINT64_MAX, "213503982334601 d 07 h" },
	};
	char buf[SLUICE_UNITS_LEN];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++)
		ck_assert_str_eq(sluice_format_duration(pairs[i].seconds, buf, sizeof(buf)),
				 pairs[i].text);
}
END_TEST

/* Every text that format makes of a round number is one that parse could have got. */
START_TEST(round_trip)
{
	char buf[SLUICE_UNITS_LEN];
	uint64_t bytes, back;
	char *blank;
	int shift;

	for (shift = 0; shift < 64; shift++) {
		bytes = UINT64_C(1) << shift;
		sluice_format_bytes(bytes, buf, sizeof(buf));
		blank = strchr(buf, ' ');
		memmove(blank, blank + 1, strlen(blank));
		ck_assert_msg(!sluice_parse_bytes(buf, &back), "%s", buf);
		ck_assert_uint_eq(back, bytes);
	}
}
END_TEST

START_TEST(stays_within_buffer)
{
	char buf[4] = "xyz";

	ck_assert_str_eq(sluice_format_bytes(1536, buf, sizeof(buf)), "1.5");
	ck_assert_str_eq(sluice_format_duration(3600, buf, sizeof(buf)), "1 h");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("units");
	TCase *tcase = tcase_create("units");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, parses_bytes);
	tcase_add_test(tcase, refuses_bytes);
	tcase_add_test(tcase, parses_sizes);
	tcase_add_test(tcase, formats_bytes);
	tcase_add_test(tcase, formats_durations);
	tcase_add_test(tcase, round_trip);
	tcase_add_test(tcase, stays_within_buffer);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
