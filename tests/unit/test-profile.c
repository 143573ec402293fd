// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/profile.c libcommon/units.c */
#include "profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define HEX	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct sluice_profile p;
static char why[SLUICE_PROFILE_WHY_LEN];
static unsigned int line;

static void teardown(void)
{
	sluice_profile_free(&p);
}

static int parse(struct sluice_profile *into, const char *text)
{
	return sluice_profile_parse(into, text, strlen(text), &line, why);
}

/* The extents as "block+blocks block+blocks ...". */
static const char *text_of(const struct sluice_profile *profile)
{
	static char text[1024];
	uint64_t sum = 0;
	size_t i, n = 0;

	text[0] = '\0';
	for (i = 0; i < profile->count; i++) {
		n += snprintf(text + n, sizeof(text) - n, "%s%llu+%llu", i ? " " : "",
			      (unsigned long long)profile->extents[i].block,
			      (unsigned long long)profile->extents[i].blocks);
		sum += profile->extents[i].blocks;
	}
	ck_assert_uint_eq(profile->blocks, sum);
	return text;
}

START_TEST(parses_what_people_write)
{
	ck_assert_int_eq(parse(&p, "sluice-profile 1 bytes=2G digest=sample:" HEX
			       " id=eui.0025%20x # of web1\r\n"
			       "\n"
			       "# GRUB\n"
			       "  0 512\t# the boot sector\n"
			       "1M 64K\r\n"
			       "8191 2\n"
			       "4096 4096"), 0);
	ck_assert_str_eq(text_of(&p), "0+1 256+16 1+2");
	ck_assert_uint_eq(p.image.bytes, UINT64_C(2) << 30);
	ck_assert_uint_eq(p.image.digest_kind, SLUICE_DIGEST_SAMPLE);
	ck_assert_uint_eq(p.image.digest[31], 0x1f);
	ck_assert_str_eq(p.image.id, "eui.0025 x");
}
END_TEST

START_TEST(refuses_with_the_line)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *reason;
	} bad[] = {
		{ "", 1, "does not begin with" },
		{ "0 4096\n", 1, "does not begin with" },
		{ "sluice-profile", 1, "version" },
		{ "sluice-profile 2\n", 1, "version" },
		{ "sluice-profile 1 bytes\n", 1, "without" },
		{ "sluice-profile 1 bytes=0\n", 1, "bytes=" },
		{ "sluice-profile 1 bytes=1G bytes=1G\n", 1, "twice" },
		{ "sluice-profile 1 digest=sample:00\n", 1, "digest=" },
		{ "sluice-profile 1 digest=md5:" HEX "\n", 1, "digest=" },
		{ "sluice-profile 1 id=%0\n", 1, "id=" },
		{ "sluice-profile 1 id=%00\n", 1, "id=" },
		{ "sluice-profile 1 id=\n", 1, "id=" },
		{ "sluice-profile 1 name=x\n", 1, "only" },
		{ "sluice-profile 1\n0 4096\n\n7\n", 4, "two numbers" },
		{ "sluice-profile 1\n0 4096 x\n", 2, "two numbers" },
		{ "sluice-profile 1\n-1 4096\n", 2, "offset" },
		{ "sluice-profile 1\n0 4x\n", 2, "length" },
		{ "sluice-profile 1\n0 0\n", 2, "empty" },
		{ "sluice-profile 1\n9223372036854775808 1\n", 2, "beyond" },
		{ "sluice-profile 1\n18446744073709551615 2\n", 2, "beyond" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(parse(&p, bad[i].text), -EINVAL);
		ck_assert_msg(line == bad[i].line, "\"%s\": line %u", bad[i].text, line);
		ck_assert_msg(strstr(why, bad[i].reason), "\"%s\": %s", bad[i].text, why);
		ck_assert_ptr_null(p.extents);
	}
	ck_assert_int_eq(sluice_profile_parse(&p, "sluice-profile 1\n1\0 2", 22, &line, why),
			 -EINVAL);
}
END_TEST

START_TEST(nothing_is_there_twice)
{
	ck_assert_int_eq(sluice_profile_add(&p, 10, 5), 0);
	ck_assert_int_eq(sluice_profile_add(&p, 30, 5), 0);
	ck_assert_int_eq(sluice_profile_add(&p, 12, 1), 0);
	ck_assert_str_eq(text_of(&p), "10+5 30+5");
	/* Over both, and what is between. */
	ck_assert_int_eq(sluice_profile_add(&p, 8, 30), 0);
	ck_assert_str_eq(text_of(&p), "10+5 30+5 8+2 15+15 35+3");
	ck_assert_uint_eq(p.taken_count, 1);
	/* What goes on where the last one ended is one with it. */
	ck_assert_int_eq(sluice_profile_add(&p, 38, 2), 0);
	ck_assert_str_eq(text_of(&p), "10+5 30+5 8+2 15+15 35+5");
	ck_assert_int_eq(sluice_profile_add(&p, 5, 0), -ERANGE);
	ck_assert_int_eq(sluice_profile_add(&p, UINT64_MAX, 2), -ERANGE);
}
END_TEST

START_TEST(is_bounded)
{
	uint64_t i;

	for (i = 0; i < SLUICE_PROFILE_EXTENTS; i++)
		ck_assert_int_eq(sluice_profile_add(&p, i * 7919 % 65536 * 2, 1), 0);
	ck_assert_int_eq(sluice_profile_add(&p, 1 << 20, 1), -ENOSPC);
	ck_assert_uint_eq(p.count, SLUICE_PROFILE_EXTENTS);
	ck_assert_uint_eq(p.blocks, SLUICE_PROFILE_EXTENTS);
	/* What is there still is no reason to refuse. */
	ck_assert_int_eq(sluice_profile_add(&p, 0, 1), 0);
}
END_TEST

START_TEST(prints_what_it_parses)
{
	static const char text[] = "sluice-profile 1 bytes=8192 digest=sample:" HEX
				   " id=a%20b%25%ff\n# 2 boots\n4096 4096\n0 4096\n";
	char *out;
	size_t len;

	ck_assert_int_eq(parse(&p, text), 0);
	ck_assert_int_eq(sluice_profile_print(&p, "2 boots", &out, &len), 0);
	ck_assert_str_eq(out, text);
	ck_assert_uint_eq(len, strlen(text));
	free(out);
}
END_TEST

/* The first block of each boot first, then by how early the earliest boot needs it. */
START_TEST(merges_boots)
{
	struct sluice_profile boots[3] = { 0 };
	size_t i;

	ck_assert_int_eq(parse(&boots[0], "sluice-profile 1 bytes=1M\n0 8K\n40K 4K\n80K 4K\n"), 0);
	ck_assert_int_eq(parse(&boots[1], "sluice-profile 1\n0 4K\n80K 4K\n120K 4K\n"), 0);
	ck_assert_int_eq(parse(&boots[2], "sluice-profile 1\n"), 0);
	ck_assert_int_eq(sluice_profile_merge(&p, boots, 3), 0);
	ck_assert_str_eq(text_of(&p), "0+2 20+1 10+1 30+1");
	ck_assert_uint_eq(p.image.bytes, 1 << 20);
	for (i = 0; i < 3; i++)
		sluice_profile_free(&boots[i]);
}
END_TEST

START_TEST(clips_to_an_image)
{
	ck_assert_int_eq(parse(&p, "sluice-profile 1\n40K 8K\n1M 4K\n48K 8K\n0 4K\n"), 0);
	ck_assert_uint_eq(sluice_profile_clip(&p, 100), 1);
	ck_assert_str_eq(text_of(&p), "10+4 0+1");
	ck_assert_uint_eq(sluice_profile_clip(&p, 11), 3);
	ck_assert_str_eq(text_of(&p), "10+1 0+1");
	/* It still knows what it has. */
	ck_assert_int_eq(sluice_profile_add(&p, 10, 2), 0);
	ck_assert_str_eq(text_of(&p), "10+1 0+1 11+1");
}
END_TEST

START_TEST(knows_its_image)
{
	struct sluice_image image = { .bytes = 4096, .id = "a" };

	ck_assert(sluice_profile_is_of(&p, &image));
	sluice_profile_set_image(&p, &image);
	ck_assert(sluice_profile_is_of(&p, &image));
	snprintf(image.id, sizeof(image.id), "b");
	ck_assert(!sluice_profile_is_of(&p, &image));
	/* The same image elsewhere. */
	image.digest_kind = SLUICE_DIGEST_SAMPLE;
	memset(image.digest, 7, sizeof(image.digest));
	sluice_profile_set_image(&p, &image);
	snprintf(image.id, sizeof(image.id), "c");
	ck_assert(sluice_profile_is_of(&p, &image));
	image.digest[0] = 8;
	ck_assert(!sluice_profile_is_of(&p, &image));
	image.digest[0] = 7;
	image.bytes = 8192;
	ck_assert(!sluice_profile_is_of(&p, &image));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("profile");
	TCase *tcase = tcase_create("profile");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, parses_what_people_write);
	tcase_add_test(tcase, refuses_with_the_line);
	tcase_add_test(tcase, nothing_is_there_twice);
	tcase_add_test(tcase, is_bounded);
	tcase_add_test(tcase, prints_what_it_parses);
	tcase_add_test(tcase, merges_boots);
	tcase_add_test(tcase, clips_to_an_image);
	tcase_add_test(tcase, knows_its_image);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
