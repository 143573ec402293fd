// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/paths.c */
#include "paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

static struct sluiced_paths paths;

static void setup(void)
{
	memset(&paths, 0, sizeof(paths));
	ck_assert_int_eq(sluiced_paths_add(&paths, "a"), 0);
	ck_assert_int_eq(sluiced_paths_add(&paths, "b"), 0);
	ck_assert_int_eq(sluiced_paths_add(&paths, "c"), 0);
}

static void active_is(const char *uri)
{
	ck_assert_str_eq(sluiced_paths_active(&paths)->uri, uri);
}

START_TEST(adding)
{
	char uri[SLUICED_URI_LEN + 1];

	ck_assert_int_eq(sluiced_paths_add(&paths, "b"), -EEXIST);
	memset(uri, 'x', sizeof(uri));
	uri[SLUICED_URI_LEN] = '\0';
	ck_assert_int_eq(sluiced_paths_add(&paths, uri), -ENAMETOOLONG);
	ck_assert_int_eq(sluiced_paths_add(&paths, uri + 1), 0);
	ck_assert_str_eq(paths.path[3].uri, uri + 1);
	ck_assert_int_eq(sluiced_paths_add(&paths, "e"), -ENOSPC);
	ck_assert_ptr_null(sluiced_paths_find(&paths, "e"));
	active_is("a");
}
END_TEST

START_TEST(going_round)
{
	ck_assert(sluiced_paths_next(&paths));
	active_is("b");
	paths.path[2].wrong = true;
	ck_assert_uint_eq(sluiced_paths_usable(&paths), 2);
	ck_assert(sluiced_paths_next(&paths));
	active_is("a");
	paths.path[1].wrong = true;
	ck_assert(!sluiced_paths_next(&paths));
	active_is("a");
}
END_TEST

START_TEST(best_is_first_that_is_right)
{
	paths.active = 2;
	ck_assert_str_eq(sluiced_paths_best(&paths)->uri, "a");
	paths.path[0].wrong = true;
	ck_assert_str_eq(sluiced_paths_best(&paths)->uri, "b");
	paths.path[1].wrong = true;
	paths.path[2].wrong = true;
	ck_assert_str_eq(sluiced_paths_best(&paths)->uri, "c");
}
END_TEST

START_TEST(removing)
{
	paths.active = 1;
	sluiced_paths_remove(&paths, sluiced_paths_find(&paths, "a"));
	active_is("b");
	/* The active one: what follows it is next. */
	sluiced_paths_remove(&paths, sluiced_paths_find(&paths, "b"));
	active_is("c");
	ck_assert_int_eq(sluiced_paths_add(&paths, "d"), 0);
	ck_assert(!paths.path[1].known);
	paths.active = 1;
	sluiced_paths_remove(&paths, sluiced_paths_find(&paths, "d"));
	active_is("c");
	ck_assert(!sluiced_paths_next(&paths));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("paths");
	TCase *tcase = tcase_create("paths");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, adding);
	tcase_add_test(tcase, going_round);
	tcase_add_test(tcase, best_is_first_that_is_right);
	tcase_add_test(tcase, removing);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
