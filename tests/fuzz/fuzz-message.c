// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/message.c */
/*
 * A control connection: the input arrives in parts and comes out as messages;
 * and it is parsed as one, looked at, and framed again. The first byte says how
 * long parts are, and whether the others are the text itself or pieces of JSON:
 * json-c is not instrumented, and nothing else would lead past its first error.
 */
#include "message.h"
#include "must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define PART_MASK	0x1f
#define OF_PIECES	(1 << 7)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const pieces[] = {
	"{", "}", "[", "]", ",", ":", "\"a\":", "\"b\":", "\"\"", "\"text\"", "\"\\u0000\"",
	"\"\\ud83d\\ude00\"", "\"\\ud800\"", "\"\xc3\xa9\"", "\"\xff\"", "\"\\n\\\"\\/\"",
	"0", "-0", "1", "-1", "01", "1.5", "-1e9", "1e999", "9223372036854775807",
	"9223372036854775808", "-9223372036854775808", "-9223372036854775809",
	"18446744073709551614", "18446744073709551615", "18446744073709551616", "true", "false",
	"null", "nan", "NaN", "Infinity", "-Infinity", " ", "\n", "\t", "\x01", "\x7f", "/**/",
	"//", "'a'", "\\", "\"", "{\"a\":", "[[[[[[[", "]]]]]]]", "{}", "[]", "{\"a\":{\"a\":{",
};

static unsigned int depth(struct json_object *o)
{
	unsigned int deepest = 0, below;
	struct json_object_iter iter;
	size_t i;

	if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreachC(o, iter) {
			below = depth(iter.val);
			deepest = below > deepest ? below : deepest;
		}
	} else if (json_object_is_type(o, json_type_array)) {
		for (i = 0; i < json_object_array_length(o); i++) {
			below = depth(json_object_array_get_idx(o, i));
			deepest = below > deepest ? below : deepest;
		}
	}
	return deepest + 1;
}

/* Every value as every type: at most one type fits, and out is written only then. */
static void look(struct json_object *o)
{
	struct json_object_iter iter;

	json_object_object_foreachC(o, iter) {
		const char *text = "unset";
		uint64_t number = 77;
		bool flag = false, is_text, is_number, is_flag;
		int err;

		err = sluice_json_string(o, iter.key, &text);
		must(!err || err == -ENOENT || err == -EINVAL);
		is_text = !err;
		must(is_text || !strcmp(text, "unset"));
		must((err == -ENOENT) == !iter.val);

		err = sluice_json_u64(o, iter.key, &number);
		must(!err || err == -ENOENT || err == -EINVAL);
		is_number = !err;
		must(is_number || number == 77);
		must(!is_number || number != UINT64_MAX);

		err = sluice_json_bool(o, iter.key, &flag);
		must(!err || err == -ENOENT || err == -EINVAL);
		is_flag = !err;
		must(is_flag || !flag);
		must(is_text + is_number + is_flag <= 1);
		if (json_object_is_type(iter.val, json_type_object))
			look(iter.val);
	}
}

static void fuzz_text(const char *text, size_t len)
{
	char *framed = NULL, *reframed = NULL;
	size_t framed_len = 0, reframed_len = 0;
	struct json_object *o, *again;
	const char *why = NULL;

	o = sluice_message_parse(text, len, &why);
	if (!o) {
		must(why && *why && why[strlen(why) - 1] == '.');
		return;
	}
	must(!why);
	must(json_object_is_type(o, json_type_object));
	must(!memchr(text, '\0', len));
	must(depth(o) <= SLUICE_MESSAGE_DEPTH);
	look(o);

	/* An escape is six bytes for one: the input is far from the limit. */
	must(!sluice_message_frame(o, &framed, &framed_len));
	must(framed_len && framed_len == strlen(framed) + 1);
	again = sluice_message_parse(framed, framed_len - 1, &why);
	must(again);
	/* Texts: equal objects may be printed differently. */
	must(!sluice_message_frame(again, &reframed, &reframed_len));
	must(reframed_len == framed_len && !memcmp(framed, reframed, framed_len));
	json_object_put(again);
	json_object_put(o);
	free(reframed);
	free(framed);
}

/* The outermost object for nothing: what is in it is more interesting. */
static void fuzz_pieces(const uint8_t *data, size_t size)
{
	const size_t n = sizeof(pieces) / sizeof(pieces[0]);
	char *text;
	FILE *file;
	size_t len;

	file = open_memstream(&text, &len);
	must(file);
	fputs("{\"a\":", file);
	for (; size; size--)
		fputs(pieces[*data++ % n], file);
	fputs("}", file);
	must(!fclose(file));
	fuzz_text(text, len);
	free(text);
}

static void fuzz_parts(const uint8_t *data, size_t size, size_t part)
{
	struct sluice_inbuf in = { 0 };
	size_t at, n, done = 0, len;
	char *message;

	for (at = 0; at < size; at += n) {
		n = size - at < part ? size - at : part;
		must(!sluice_inbuf_add(&in, data + at, n));
		while ((message = sluice_inbuf_next(&in, &len))) {
			/* What was sent, in order, nothing between. */
			must(done + len < at + n);
			must(!memcmp(message, data + done, len + 1) && strlen(message) == len);
			done += len + 1;
			free(message);
		}
		must(!memchr(data + done, '\0', at + n - done));
	}
	must(in.len == size - done);
	sluice_inbuf_free(&in);
	must(!in.buf && !in.len && !in.cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t part;

	/* 64 KiB is arbitrary: longer inputs say nothing new. */
	if (!size || size > 1 << 16)
		return 0;
	part = data[0] & PART_MASK;
	fuzz_parts(data + 1, size - 1, part ? part : size);
	if (data[0] & OF_PIECES)
		fuzz_pieces(data + 1, size - 1);
	else
		fuzz_text((const char *)data + 1, size - 1);
	return 0;
}
