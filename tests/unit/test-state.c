// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: daemon/state.c daemon/paths.c daemon/export.c daemon/export_tcp.c daemon/export_loop.c daemon/export_pci.c daemon/nvmet.c daemon/endpoint.c daemon/sysfs.c daemon/modprobe.c daemon/fault.c daemon/log.c libcommon/message.c libcommon/name.c -lsystemd */
#include "state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

static char dir[] = "/tmp/sluice-state.XXXXXX";
static char path[64];
static struct sluiced_record loaded;
static size_t count;

static void found(void *ctx, const struct sluiced_record *record)
{
	(void)ctx;
	loaded = *record;
	count++;
}

/* How many records there are; the last is in loaded. */
static size_t load(void)
{
	count = 0;
	ck_assert_int_eq(sluiced_state_load(dir, found, NULL), 0);
	return count;
}

static struct sluiced_record sample(void)
{
	struct sluiced_record r = {
		.name = "disk",
		.phase = SLUICED_PHASE_OPEN,
		.uuid = { 1, 2, 0xff },
		.paths = {
			.path = {
				{ .uri = "nvme-tcp://[::1]:4420/nqn.x?nsid=1", .hint = "h",
				  .stamp = "s", .id = "eui.1", .known = true },
				{ .uri = "nbd://h/x" },
			},
			.count = 2,
			.active = 1,
		},
		.local = "/dev/disk/by-id/a\"b\\c",
		.local_id = "wwid",
		.image = { .bytes = 1 << 20, .logical_block = 512, .name = "img" },
		.namespace_bytes = 2 << 20,
		.deadline_ms = 1234,
		.paused = true,
		.export_count = 2,
	};
	struct sluiced_fault fault;

	ck_assert(sluiced_export_parse(&r.exports[0], "tcp", NULL, &fault));
	ck_assert(sluiced_export_parse(&r.exports[1], "pci", NULL, &fault));
	snprintf(r.exports[1].address, sizeof(r.exports[1].address), "0000:00:07.0");
	r.exports[1].port_id = 7;
	r.exports[1].own_port = true;
	r.exports[1].queues = 9;
	return r;
}

static void save(void)
{
	struct sluiced_record r = sample();

	ck_assert_int_eq(sluiced_state_save(dir, &r), 0);
}

/* Replaces the first @from by @to in the file. */
static void edit(const char *from, const char *to)
{
	char text[16384], *at;
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	at = strstr(text, from);
	ck_assert_msg(at, "no %s in %s", from, text);
	f = fopen(path, "w");
	fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	fclose(f);
}

START_TEST(what_is_saved_is_loaded)
{
	struct sluiced_record r = sample();

	save();
	ck_assert_uint_eq(load(), 1);
	ck_assert_str_eq(loaded.local, r.local);
	ck_assert_mem_eq(&loaded.paths, &r.paths, sizeof(r.paths));
	ck_assert_mem_eq(loaded.uuid, r.uuid, sizeof(r.uuid));
	ck_assert_mem_eq(&loaded.image, &r.image, sizeof(r.image));
	ck_assert_uint_eq(loaded.deadline_ms, 1234);
	ck_assert(loaded.paused);
	ck_assert_uint_eq(loaded.export_count, 2);
	ck_assert_str_eq(loaded.exports[1].address, "0000:00:07.0");
	ck_assert_uint_eq(loaded.exports[1].port_id, 7);
	ck_assert(loaded.exports[1].own_port);
	ck_assert_uint_eq(loaded.exports[1].queues, 9);
	ck_assert_uint_eq(loaded.exports[1].mdts_kb, 512);
	ck_assert_int_eq(sluiced_state_remove(dir, "disk"), 0);
	ck_assert_uint_eq(load(), 0);
	ck_assert_int_eq(sluiced_state_remove(dir, "disk"), 0);
}
END_TEST

START_TEST(a_profile_is_beside_it)
{
	struct sluiced_record r = sample();
	char *text;
	size_t len;

	ck_assert_int_eq(sluiced_state_load_profile(dir, "disk", &text, &len), -ENOENT);
	ck_assert_int_eq(sluiced_state_save(dir, &r), 0);
	ck_assert_int_eq(sluiced_state_save_profile(dir, "disk", "first", 5), 0);
	ck_assert_int_eq(sluiced_state_save_profile(dir, "disk", "second", 6), 0);
	ck_assert_int_eq(sluiced_state_load_profile(dir, "disk", &text, &len), 0);
	ck_assert_uint_eq(len, 6);
	ck_assert(!memcmp(text, "second", 6));
	free(text);
	/* It is no record, and gone with one. */
	ck_assert_uint_eq(load(), 1);
	ck_assert_int_eq(sluiced_state_remove(dir, "disk"), 0);
	ck_assert_uint_eq(load(), 0);
	ck_assert_int_eq(sluiced_state_load_profile(dir, "disk", &text, &len), -ENOENT);
}
END_TEST

START_TEST(paths_make_sense)
{
	save();
	edit("\"active\":1", "\"active\":2");
	ck_assert_uint_eq(load(), 0);
	save();
	edit("nbd:\\/\\/h\\/x", "nvme-tcp:\\/\\/[::1]:4420\\/nqn.x?nsid=1");
	ck_assert_uint_eq(load(), 0);
}
END_TEST

START_TEST(older_records_have_one_source)
{
	save();
	edit("\"paths\":", "\"source\":\"nbd://o\",\"hint\":\"a\",\"stamp\":\"b\",\"others\":");
	ck_assert_uint_eq(load(), 1);
	ck_assert_uint_eq(loaded.paths.count, 1);
	ck_assert_uint_eq(loaded.paths.active, 0);
	ck_assert_str_eq(loaded.paths.path[0].uri, "nbd://o");
	ck_assert_str_eq(loaded.paths.path[0].hint, "a");
	ck_assert_str_eq(loaded.paths.path[0].stamp, "b");
	ck_assert(loaded.paths.path[0].known);
}
END_TEST

START_TEST(older_records_have_no_queues)
{
	save();
	edit("\"queues\":9,", "");
	edit("\"mdts_kb\":512,", "");
	ck_assert_uint_eq(load(), 1);
	ck_assert_uint_eq(loaded.exports[1].queues, 4);
	ck_assert_uint_eq(loaded.exports[1].mdts_kb, 512);
}
END_TEST

static const struct {
	const char *from, *to;
} bad[] = {
	{ "\"kind\":\"tcp\"", "\"kind\":\"pci\"" },
	{ "\"kind\":\"pci\"", "\"kind\":\"fax\"" },
	{ "0000:00:07.0", "../escape" },
	{ "\"queues\":9", "\"queues\":1" },
	{ "\"queues\":9", "\"queues\":\"9\"" },
	{ "\"port_id\":7", "\"port_id\":70000" },
	{ "\"version\":1", "\"version\":2" },
	{ "\"name\":\"disk\"", "\"name\":\"../disk\"" },
	{ "\"phase\":\"open\"", "\"phase\":\"ajar\"" },
	{ "0102ff", "0102fg" },
	{ "\"logical_block\":512", "\"logical_block\":1024" },
	{ "\"exports\":[", "\"exports\":[[]," },
	{ "{", "" },
};

START_TEST(what_makes_no_sense_is_left_alone)
{
	save();
	edit(bad[_i].from, bad[_i].to);
	ck_assert_uint_eq(load(), 0);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(half_a_file_is_none)
{
	FILE *f;

	save();
	ck_assert_int_eq(truncate(path, 200), 0);
	ck_assert_uint_eq(load(), 0);
	/* What a crash leaves of one that was being written. */
	f = fopen(strcat(strcpy(path, dir), "/.disk.json.new"), "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
	ck_assert_uint_eq(load(), 0);
	unlink(path);
}
END_TEST

static void set_up(void)
{
	strcpy(strrchr(dir, '.') + 1, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/disk.json", dir);
}

static void tear_down(void)
{
	sluiced_state_remove(dir, "disk");
	rmdir(dir);
}

int main(void)
{
	Suite *suite = suite_create("state");
	TCase *tests = tcase_create("state");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, what_is_saved_is_loaded);
	tcase_add_test(tests, a_profile_is_beside_it);
	tcase_add_test(tests, paths_make_sense);
	tcase_add_test(tests, older_records_have_one_source);
	tcase_add_test(tests, older_records_have_no_queues);
	tcase_add_loop_test(tests, what_makes_no_sense_is_left_alone, 0,
			    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tests, half_a_file_is_none);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
