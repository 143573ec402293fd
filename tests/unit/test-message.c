// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/message.c */
#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <json-c/json.h>

static struct json_object *parse(const char *text)
{
	return sluice_message_parse(text, strlen(text), NULL);
}

START_TEST(parse_accepts_one_object)
{
	static const char *const good[] = {
		"{}", " {} ", "\n{\"a\": 1}\r\n\t", "{\"a\":{\"b\":[1,2,{\"c\":null}]}}",
		"{\"a\":\"\\u0000\"}", "{\"a\":\"\xc3\xa9\"}",
	};
	const char *why = "untouched";
	struct json_object *obj;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		obj = sluice_message_parse(good[i], strlen(good[i]), &why);
		ck_assert_msg(obj, "%s: %s", good[i], why);
		ck_assert_ptr_null(why);
		json_object_put(obj);
	}
}
END_TEST

START_TEST(parse_needs_no_nul)
{
	char text[] = { '{', '}', 'x' };
	struct json_object *obj = sluice_message_parse(text, 2, NULL);

	ck_assert_ptr_nonnull(obj);
	json_object_put(obj);
}
END_TEST

START_TEST(parse_refuses_everything_else)
{
	static const char *const bad[] = {
		"", " ", "{", "}", "{} {}", "{}x", "{}{}", "[]", "[{}]", "null", "1", "\"{}\"",
		"true", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":nan}", "{\"a\":1",
		"{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":[1,{\"b\":-Infinity}]}", "{\"a\":1e999}",
		"{\"a\":\"\xff\"}", "/* */{}", "{\"a\":\"b}", "x{}",
	};
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		ck_assert_msg(!sluice_message_parse(bad[i], strlen(bad[i]), &why), "%s", bad[i]);
		ck_assert_ptr_nonnull(why);
		ck_assert_msg(why[strlen(why) - 1] == '.', "%s", why);
	}
}
END_TEST

START_TEST(parse_refuses_nul)
{
	const char *why;

	ck_assert_ptr_null(sluice_message_parse("{}\0", 3, &why));
	ck_assert_str_eq(why, "The message has a NUL byte inside.");
	ck_assert_ptr_null(sluice_message_parse("{\"a\0b\":1}", 9, &why));
	ck_assert_str_eq(why, "The message has a NUL byte inside.");
	ck_assert_ptr_null(sluice_message_parse("\0{}", 3, &why));
}
END_TEST

START_TEST(parse_refuses_long)
{
	char *text = malloc(SLUICE_MESSAGE_MAX + 1);
	struct json_object *obj;
	const char *why;

	memset(text, ' ', SLUICE_MESSAGE_MAX + 1);
	text[0] = '{';
	text[1] = '}';
	ck_assert_ptr_null(sluice_message_parse(text, SLUICE_MESSAGE_MAX + 1, &why));
	ck_assert_str_eq(why, "The message is longer than 1 MiB.");
	obj = sluice_message_parse(text, SLUICE_MESSAGE_MAX, NULL);
	ck_assert_ptr_nonnull(obj);
	json_object_put(obj);
	free(text);
}
END_TEST

/* @levels counts the innermost number. */
static struct json_object *parse_nested(int levels, const char **why)
{
	char text[1024] = "";
	int i;

	for (i = 1; i < levels; i++)
		strcat(text, "{\"a\":");
	strcat(text, "1");
	for (i = 1; i < levels; i++)
		strcat(text, "}");
	return sluice_message_parse(text, strlen(text), why);
}

START_TEST(parse_bounds_depth)
{
	struct json_object *obj;
	const char *why;

	obj = parse_nested(SLUICE_MESSAGE_DEPTH, &why);
	ck_assert_ptr_nonnull(obj);
	json_object_put(obj);
	ck_assert_ptr_null(parse_nested(SLUICE_MESSAGE_DEPTH + 1, &why));
	ck_assert_str_eq(why, "The message nests values too deeply.");
	ck_assert_ptr_null(parse_nested(100, &why));
}
END_TEST

START_TEST(frame_ends_with_nul)
{
	struct json_object *obj = parse("{\"a\": [1, \"x/y\"]}");
	size_t len;
	char *out;

	ck_assert_int_eq(sluice_message_frame(obj, &out, &len), 0);
	ck_assert_str_eq(out, "{\"a\":[1,\"x/y\"]}");
	ck_assert_uint_eq(len, strlen(out) + 1);
	json_object_put(obj);
	free(out);
}
END_TEST

START_TEST(frame_refuses_long)
{
	struct json_object *obj = json_object_new_object();
	char *text = malloc(SLUICE_MESSAGE_MAX + 1);
	size_t len;
	char *out;

	memset(text, 'a', SLUICE_MESSAGE_MAX);
	text[SLUICE_MESSAGE_MAX] = '\0';
	json_object_object_add(obj, "a", json_object_new_string(text));
	ck_assert_int_eq(sluice_message_frame(obj, &out, &len), -EMSGSIZE);
	/* {"a":"..."} adds eight. */
	text[SLUICE_MESSAGE_MAX - 8] = '\0';
	json_object_object_add(obj, "a", json_object_new_string(text));
	ck_assert_int_eq(sluice_message_frame(obj, &out, &len), 0);
	ck_assert_uint_eq(len, SLUICE_MESSAGE_MAX + 1);
	free(out);
	free(text);
	json_object_put(obj);
}
END_TEST

static void expect_next(struct sluice_inbuf *in, const char *text)
{
	size_t len = 77;
	char *got = sluice_inbuf_next(in, &len);

	ck_assert_ptr_nonnull(got);
	ck_assert_str_eq(got, text);
	ck_assert_uint_eq(len, strlen(text));
	free(got);
}

START_TEST(inbuf_splits)
{
	struct sluice_inbuf in = { 0 };

	ck_assert_ptr_null(sluice_inbuf_next(&in, NULL));
	ck_assert_int_eq(sluice_inbuf_add(&in, NULL, 0), 0);
	ck_assert_ptr_null(sluice_inbuf_next(&in, NULL));
	ck_assert_int_eq(sluice_inbuf_add(&in, "one\0two\0\0th", 11), 0);
	expect_next(&in, "one");
	expect_next(&in, "two");
	expect_next(&in, "");
	ck_assert_ptr_null(sluice_inbuf_next(&in, NULL));
	ck_assert_int_eq(sluice_inbuf_add(&in, "ree", 4), 0);
	expect_next(&in, "three");
	ck_assert_ptr_null(sluice_inbuf_next(&in, NULL));
	ck_assert_uint_eq(in.len, 0);
	sluice_inbuf_free(&in);
	ck_assert_ptr_null(in.buf);
	ck_assert_int_eq(sluice_inbuf_add(&in, "again", 6), 0);
	expect_next(&in, "again");
	sluice_inbuf_free(&in);
}
END_TEST

START_TEST(inbuf_takes_single_bytes)
{
	static const char stream[] = "{\"a\":1}\0{}\0{\"b\":[]}";
	struct sluice_inbuf in = { 0 };
	int found = 0;
	size_t i;
	char *got;

	for (i = 0; i < sizeof(stream); i++) {
		ck_assert_int_eq(sluice_inbuf_add(&in, stream + i, 1), 0);
		got = sluice_inbuf_next(&in, NULL);
		ck_assert_int_eq(!got, stream[i] != '\0');
		found += !!got;
		free(got);
	}
	ck_assert_int_eq(found, 3);
	sluice_inbuf_free(&in);
}
END_TEST

START_TEST(inbuf_bounds_message)
{
	struct sluice_inbuf in = { 0 };
	char *big = malloc(SLUICE_MESSAGE_MAX + 2);
	size_t len;
	char *got;

	memset(big, 'x', SLUICE_MESSAGE_MAX + 1);
	big[SLUICE_MESSAGE_MAX + 1] = '\0';

	/* In one piece: the largest fits, one more does not, finished or not. */
	ck_assert_int_eq(sluice_inbuf_add(&in, big, SLUICE_MESSAGE_MAX + 1), -EMSGSIZE);
	ck_assert_int_eq(sluice_inbuf_add(&in, big, SLUICE_MESSAGE_MAX + 2), -EMSGSIZE);
	ck_assert_uint_eq(in.len, 0);
	ck_assert_int_eq(sluice_inbuf_add(&in, big + 1, SLUICE_MESSAGE_MAX + 1), 0);
	got = sluice_inbuf_next(&in, &len);
	ck_assert_ptr_nonnull(got);
	ck_assert_uint_eq(len, SLUICE_MESSAGE_MAX);
	free(got);

	/* In two, behind a complete message that does not count. */
	ck_assert_int_eq(sluice_inbuf_add(&in, "a\0b", 3), 0);
	ck_assert_int_eq(sluice_inbuf_add(&in, big, SLUICE_MESSAGE_MAX), -EMSGSIZE);
	ck_assert_int_eq(sluice_inbuf_add(&in, big, SLUICE_MESSAGE_MAX - 1), 0);
	ck_assert_int_eq(sluice_inbuf_add(&in, big, 1), -EMSGSIZE);
	ck_assert_int_eq(sluice_inbuf_add(&in, "", 1), 0);
	expect_next(&in, "a");
	got = sluice_inbuf_next(&in, &len);
	ck_assert_ptr_nonnull(got);
	ck_assert_uint_eq(len, SLUICE_MESSAGE_MAX);
	free(got);
	sluice_inbuf_free(&in);
	free(big);
}
END_TEST

START_TEST(string_getter)
{
	struct json_object *obj = parse("{\"s\":\"text\",\"e\":\"\",\"n\":null,\"i\":1,"
					"\"z\":\"a\\u0000b\",\"o\":{}}");
	const char *out = "untouched";

	ck_assert_int_eq(sluice_json_string(obj, "missing", &out), -ENOENT);
	ck_assert_int_eq(sluice_json_string(obj, "n", &out), -ENOENT);
	ck_assert_int_eq(sluice_json_string(obj, "i", &out), -EINVAL);
	ck_assert_int_eq(sluice_json_string(obj, "o", &out), -EINVAL);
	ck_assert_int_eq(sluice_json_string(obj, "z", &out), -EINVAL);
	ck_assert_int_eq(sluice_json_string(NULL, "s", &out), -ENOENT);
	ck_assert_str_eq(out, "untouched");
	ck_assert_int_eq(sluice_json_string(obj, "s", &out), 0);
	ck_assert_str_eq(out, "text");
	ck_assert_int_eq(sluice_json_string(obj, "e", &out), 0);
	ck_assert_str_eq(out, "");
	json_object_put(obj);
}
END_TEST

START_TEST(u64_getter)
{
	struct json_object *obj = parse("{\"zero\":0,\"max\":18446744073709551614,"
					"\"big\":9223372036854775808,\"neg\":-1,\"frac\":1.5,"
					"\"over\":18446744073709551616,\"far\":1e30,"
					"\"string\":\"1\",\"null\":null,\"bool\":true}");
	uint64_t out = 42;

	ck_assert_int_eq(sluice_json_u64(obj, "missing", &out), -ENOENT);
	ck_assert_int_eq(sluice_json_u64(obj, "null", &out), -ENOENT);
	ck_assert_int_eq(sluice_json_u64(obj, "neg", &out), -EINVAL);
	ck_assert_int_eq(sluice_json_u64(obj, "frac", &out), -EINVAL);
	ck_assert_int_eq(sluice_json_u64(obj, "over", &out), -EINVAL);
	ck_assert_int_eq(sluice_json_u64(obj, "far", &out), -EINVAL);
	ck_assert_int_eq(sluice_json_u64(obj, "string", &out), -EINVAL);
	ck_assert_int_eq(sluice_json_u64(obj, "bool", &out), -EINVAL);
	ck_assert_uint_eq(out, 42);
	ck_assert_int_eq(sluice_json_u64(obj, "zero", &out), 0);
	ck_assert_uint_eq(out, 0);
	ck_assert_int_eq(sluice_json_u64(obj, "big", &out), 0);
	ck_assert_uint_eq(out, UINT64_C(1) << 63);
	ck_assert_int_eq(sluice_json_u64(obj, "max", &out), 0);
	ck_assert_uint_eq(out, UINT64_MAX - 1);
	json_object_put(obj);
}
END_TEST

START_TEST(bool_getter)
{
	struct json_object *obj = parse("{\"t\":true,\"f\":false,\"i\":1,\"s\":\"true\"}");
	bool out = true;

	ck_assert_int_eq(sluice_json_bool(obj, "missing", &out), -ENOENT);
	ck_assert_int_eq(sluice_json_bool(obj, "i", &out), -EINVAL);
	ck_assert_int_eq(sluice_json_bool(obj, "s", &out), -EINVAL);
	ck_assert(out);
	ck_assert_int_eq(sluice_json_bool(obj, "f", &out), 0);
	ck_assert(!out);
	ck_assert_int_eq(sluice_json_bool(obj, "t", &out), 0);
	ck_assert(out);
	json_object_put(obj);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("message");
	TCase *tcase = tcase_create("message");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, parse_accepts_one_object);
	tcase_add_test(tcase, parse_needs_no_nul);
	tcase_add_test(tcase, parse_refuses_everything_else);
	tcase_add_test(tcase, parse_refuses_nul);
	tcase_add_test(tcase, parse_refuses_long);
	tcase_add_test(tcase, parse_bounds_depth);
	tcase_add_test(tcase, frame_ends_with_nul);
	tcase_add_test(tcase, frame_refuses_long);
	tcase_add_test(tcase, inbuf_splits);
	tcase_add_test(tcase, inbuf_takes_single_bytes);
	tcase_add_test(tcase, inbuf_bounds_message);
	tcase_add_test(tcase, string_getter);
	tcase_add_test(tcase, u64_getter);
	tcase_add_test(tcase, bool_getter);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
