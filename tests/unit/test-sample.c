// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/sample.c */
#include "sample.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <openssl/sha.h>

#define LIMIT	385024

struct image {
	uint8_t *data;
	uint64_t bytes;
	uint8_t *touched;		/* one flag a byte */
	int fail_after;			/* reads; -1: never */
};

static int read_image(void *ctx, void *buf, size_t len, uint64_t offset)
{
	struct image *image = ctx;

	if (image->fail_after >= 0 && !image->fail_after--)
		return -EREMOTEIO;
	ck_assert_uint_le(offset, image->bytes);
	ck_assert_uint_le(len, image->bytes - offset);
	memcpy(buf, image->data + offset, len);
	memset(image->touched + offset, 1, len);
	return 0;
}

static struct image make(uint64_t bytes)
{
	struct image image = { malloc(bytes + 1), bytes, calloc(bytes + 1, 1), -1 };
	uint64_t i;

	for (i = 0; i < bytes; i++)
		image.data[i] = i * 2654435761U >> 13;
	return image;
}

static void drop(struct image *image)
{
	free(image->data);
	free(image->touched);
}

static void digest_of(struct image *image, uint8_t *digest)
{
	ck_assert_int_eq(sluice_sample_digest(image->bytes, read_image, image, digest), 0);
}

/* The format as the header words it, once more. */
static void expected(const struct image *image, uint8_t *digest)
{
	uint64_t size = htole64(image->bytes), i, m;
	SHA256_CTX sha;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	SHA256_Init(&sha);
	SHA256_Update(&sha, "sluice-sample-1\0", 16);
	SHA256_Update(&sha, &size, 8);
	if (image->bytes <= LIMIT) {
		SHA256_Update(&sha, image->data, image->bytes);
	} else {
		SHA256_Update(&sha, image->data, 65536);
		m = (image->bytes - 131072) / 4096;
		for (i = 0; i < 62; i++)
			SHA256_Update(&sha, image->data + 65536 + 4096 * (i * (m - 1) / 61),
				      4096);
		SHA256_Update(&sha, image->data + image->bytes - 65536, 65536);
	}
	SHA256_Final(digest, &sha);
#pragma GCC diagnostic pop
}

START_TEST(is_the_documented_format)
{
	static const uint64_t sizes[] = {
		0, 1, 512, 4096, 65536, 65537, 131072, LIMIT - 512, LIMIT, LIMIT + 512,
		LIMIT + 4096, 1 << 20, (1 << 20) + 512, 10000000, 64 << 20,
	};
	uint8_t is[32], should[32];
	struct image image = make(sizes[_i]);

	digest_of(&image, is);
	expected(&image, should);
	ck_assert_mem_eq(is, should, 32);
	drop(&image);
}
END_TEST

/* Recorded on disks: this one must never change. */
START_TEST(stays_what_it_was)
{
	static const uint8_t known[32] = {
		0x71, 0x2d, 0xd9, 0x37, 0xde, 0xc0, 0x69, 0x60,
		0xbd, 0xc9, 0x89, 0xb4, 0xe7, 0xfc, 0xe8, 0x8a,
		0xcd, 0xe8, 0x93, 0x43, 0x6c, 0xf2, 0x29, 0xa8,
		0x91, 0x6d, 0x5a, 0xd8, 0x8a, 0x4c, 0x38, 0x8e,
	};
	struct image image = make(1 << 20);
	uint8_t is[32];

	digest_of(&image, is);
	ck_assert_mem_eq(is, known, 32);
	drop(&image);
}
END_TEST

START_TEST(size_counts)
{
	struct image image = make(8 << 20);
	uint8_t a[32], b[32];

	memset(image.data, 0, image.bytes);
	digest_of(&image, a);
	image.bytes -= 512;
	digest_of(&image, b);
	ck_assert_mem_ne(a, b, 32);
	drop(&image);
}
END_TEST

START_TEST(sees_both_ends_and_nothing_unread)
{
	struct image image = make(8 << 20);
	uint8_t a[32], b[32];
	uint64_t i, read = 0;

	digest_of(&image, a);
	for (i = 0; i < image.bytes; i++)
		read += image.touched[i];
	ck_assert_uint_eq(read, LIMIT);
	for (i = 0; i < 65536; i++)
		ck_assert(image.touched[i] && image.touched[image.bytes - 1 - i]);
	for (i = 0; i < image.bytes; i += 49999) {
		image.data[i] ^= 1;
		digest_of(&image, b);
		if (image.touched[i])
			ck_assert_mem_ne(a, b, 32);
		else
			ck_assert_mem_eq(a, b, 32);
		image.data[i] ^= 1;
	}
	drop(&image);
}
END_TEST

START_TEST(passes_errors_on)
{
	struct image image = make(1 << 20);
	uint8_t digest[32];

	memset(digest, 0x5a, sizeof(digest));
	image.fail_after = _i;
	ck_assert_int_eq(sluice_sample_digest(image.bytes, read_image, &image, digest),
			 -EREMOTEIO);
	ck_assert_uint_eq(digest[0], 0x5a);
	drop(&image);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sample");
	TCase *tcase = tcase_create("sample");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, is_the_documented_format, 0, 15);
	tcase_add_test(tcase, stays_what_it_was);
	tcase_add_test(tcase, size_counts);
	tcase_add_test(tcase, sees_both_ends_and_nothing_unread);
	tcase_add_loop_test(tcase, passes_errors_on, 0, 63);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
