// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/credentials.c */
#include "credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

static char path[] = "/tmp/test-credentials.XXXXXX";
static struct sluiced_credentials c;
static char why[512];

static void write_file(const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	ck_assert_int_eq(chmod(path, mode), 0);
	why[0] = '\0';
}

static int find(const char *kind, const char *name, const char *user)
{
	return sluiced_credentials_find(&c, path, kind, name, user, why, sizeof(why));
}

static void setup(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void teardown(void)
{
	unlink(path);
	strcpy(path + strlen(path) - 6, "XXXXXX");
}

START_TEST(finds_the_line)
{
	write_file("# iscsi iqn.a nobody nothing\n"
		   "\n"
		   "iscsi iqn.b u1 s1\n"
		   "iscsi iqn.b u2 s2 t2 ts2\t# both ways\r\n"
		   "nvme nqn.a DHHC-1:00:x: DHHC-1:00:y:\n"
		   "iscsi * any secret", 0600);
	ck_assert_int_eq(find("iscsi", "iqn.b", ""), 0);
	ck_assert_str_eq(c.user, "u1");
	ck_assert_str_eq(c.secret, "s1");
	ck_assert_str_eq(c.peer_user, "");
	ck_assert_int_eq(find("iscsi", "iqn.b", "u2"), 0);
	ck_assert_str_eq(c.secret, "s2");
	ck_assert_str_eq(c.peer_user, "t2");
	ck_assert_str_eq(c.peer_secret, "ts2");
	ck_assert_int_eq(find("iscsi", "iqn.a", ""), 0);
	ck_assert_str_eq(c.user, "any");
	ck_assert_str_eq(c.secret, "secret");
	ck_assert_int_eq(find("nvme", "nqn.a", ""), 0);
	ck_assert_str_eq(c.secret, "DHHC-1:00:x:");
	ck_assert_str_eq(c.peer_secret, "DHHC-1:00:y:");
	ck_assert_int_eq(find("nvme", "nqn.b", ""), -ENOENT);
	ck_assert_int_eq(find("iscsi", "iqn.b", "u3"), -ENOENT);
	ck_assert_str_eq(why, "");
	ck_assert_str_eq(c.secret, "");
}
END_TEST

START_TEST(refuses)
{
	char text[600];

	write_file("iscsi * u secret\n", 0640);
	ck_assert_int_eq(find("iscsi", "iqn.a", ""), -EACCES);
	ck_assert_ptr_nonnull(strstr(why, "0600"));
	write_file("\niscsi * u secret t\n", 0600);
	ck_assert_int_eq(find("iscsi", "iqn.a", ""), -EINVAL);
	ck_assert_ptr_nonnull(strstr(why, "Line 2"));
	ck_assert_ptr_null(strstr(why, "secret"));
	ck_assert_str_eq(c.secret, "");
	write_file("iscsi * u\n", 0600);
	ck_assert_int_eq(find("iscsi", "iqn.a", ""), -EINVAL);
	snprintf(text, sizeof(text), "iscsi * u %0300d\n", 0);
	write_file(text, 0600);
	ck_assert_int_eq(find("iscsi", "iqn.a", ""), -EINVAL);
	ck_assert_str_eq(c.user, "");
	unlink(path);
	why[0] = '\0';
	ck_assert_int_eq(find("iscsi", "iqn.a", ""), -ENOENT);
	ck_assert_str_eq(why, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("credentials");
	TCase *tcase = tcase_create("credentials");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, finds_the_line);
	tcase_add_test(tcase, refuses);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
