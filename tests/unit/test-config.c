// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/config.c */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "log.h"

static char dir[] = "/tmp/test-config.XXXXXX", path[64];
static struct sluiced_config config;

/* What was logged: level, object and sentence, a line each. */
static char logged[4096];

int sluiced_log_level(const char *name)
{
	return strcmp(name, "debug") ? -EINVAL : LOG_DEBUG;
}

void sluiced_log(int level, const char *object, const char *format, ...)
{
	size_t len = strlen(logged);
	va_list args;

	/* Without the directory, whose name is another each time. */
	len += snprintf(logged + len, sizeof(logged) - len, "%d %s ", level,
			object + strlen(dir) + 1);
	va_start(args, format);
	len += vsnprintf(logged + len, sizeof(logged) - len, format, args);
	va_end(args);
	snprintf(logged + len, sizeof(logged) - len, "\n");
}

static void write_file(const char *name, const char *text)
{
	char at[128];
	FILE *file;

	snprintf(at, sizeof(at), "%s/%s", dir, name);
	file = fopen(at, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void setup(void)
{
	char drop_ins[80];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c", dir);
	snprintf(drop_ins, sizeof(drop_ins), "%s.d", path);
	ck_assert_int_eq(mkdir(drop_ins, 0700), 0);
	sluiced_config_default(&config);
	logged[0] = '\0';
}

static void teardown(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(the_later_counts)
{
	write_file("c", "# x\n; y\n\n  state-dir =  /a b/c  \nlog-level=debug\nready-timeout = 5\n"
			"group =\n");
	write_file("c.d/20.conf", "ready-timeout = 7");
	write_file("c.d/10.conf", "ready-timeout = 6\nctrl-loss-tmo = 86400\n");
	write_file("c.d/30.conf~", "ready-timeout = 8\n");
	write_file("c.d/.40.conf", "ready-timeout = 9\n");
	ck_assert_int_eq(sluiced_config_load(&config, path), 0);
	ck_assert_str_eq(logged, "");
	ck_assert_str_eq(config.state_dir, "/a b/c");
	ck_assert_str_eq(config.socket, "/run/sluice/control.sock");
	ck_assert_str_eq(config.group, "");
	ck_assert_int_eq(config.log_level, LOG_DEBUG);
	ck_assert_int_eq(config.ready_s, 7);
	ck_assert_int_eq(config.ctrl_loss_s, 86400);
}
END_TEST

START_TEST(unknown_keys_are_warned_about)
{
	write_file("c", "colour = red\nready-timeout = 3\n");
	ck_assert_int_eq(sluiced_config_load(&config, path), 0);
	ck_assert_str_eq(logged, "4 c:1 There is no setting \"colour\"; it is ignored.\n");
	ck_assert_int_eq(config.ready_s, 3);
}
END_TEST

START_TEST(all_that_is_wrong_is_said)
{
	write_file("c", "state-dir = here\nlog-level = loud\n\nnonsense\nready-timeout = 2\n");
	write_file("c.d/x.conf", "ready-timeout = 0\n= 1\nctrl-loss-tmo = 5s\n"
			     "metrics-port = 65536\n");
	ck_assert_int_eq(sluiced_config_load(&config, path), -EINVAL);
	ck_assert_str_eq(
		logged,
		"3 c:1 state-dir: \"here\" is no absolute path.\n"
		"3 c:2 log-level: \"loud\" is no log level: take err, warning, notice, info or "
		"debug.\n"
		"3 c:4 \"nonsense\" is no line \"key = value\".\n"
		"3 c.d/x.conf:1 ready-timeout: \"0\" is no number of seconds from 1 to 86400.\n"
		"4 c.d/x.conf:2 There is no setting \"\"; it is ignored.\n"
		"3 c.d/x.conf:3 ctrl-loss-tmo: \"5s\" is no number of seconds from 1 to 86400.\n"
		"3 c.d/x.conf:4 metrics-port: \"65536\" is no port from 1 to 65535, nor 0 for none.\n");
	/* The good ones count all the same. */
	ck_assert_int_eq(config.ready_s, 2);
}
END_TEST

START_TEST(odd_files)
{
	char text[PATH_MAX + 64];

	/* Only drop-ins. */
	write_file("c.d/a.conf", "ready-timeout = 4");
	ck_assert_int_eq(sluiced_config_load(&config, path), -ENOENT);
	ck_assert_int_eq(config.ready_s, 4);
	ck_assert_str_eq(logged, "");
	/* A directory in a file's place is said. */
	snprintf(text, sizeof(text), "%s/c.d/b.conf", dir);
	ck_assert_int_eq(mkdir(text, 0700), 0);
	ck_assert_int_eq(sluiced_config_load(&config, path), -EISDIR);
	ck_assert_str_eq(logged, "3 c.d/b.conf The file cannot be read: Is a directory.\n");
	rmdir(text);
	/* Longer than any path. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "socket = /", 10);
	text[sizeof(text) - 1] = '\0';
	write_file("c", text);
	ck_assert_int_eq(sluiced_config_load(&config, path), -EINVAL);
	ck_assert_str_eq(config.socket, "/run/sluice/control.sock");
}
END_TEST

START_TEST(one_setting)
{
	const char *why = NULL;

	ck_assert_int_eq(sluiced_config_set(&config, "ready-timeout", "86401", &why), -EINVAL);
	ck_assert_str_eq(why, "is no number of seconds from 1 to 86400");
	ck_assert_int_eq(sluiced_config_set(&config, "ready-timeout", "-1", &why), -EINVAL);
	ck_assert_int_eq(sluiced_config_set(&config, "ready-timeout", "", &why), -EINVAL);
	ck_assert_int_eq(sluiced_config_set(&config, "ready_timeout", "1", &why), -ENOENT);
	ck_assert_int_eq(sluiced_config_set(&config, "ready-timeout", "1", &why), 0);
	ck_assert_int_eq(config.ready_s, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_later_counts);
	tcase_add_test(tcase, unknown_keys_are_warned_about);
	tcase_add_test(tcase, all_that_is_wrong_is_said);
	tcase_add_test(tcase, odd_files);
	tcase_add_test(tcase, one_setting);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
