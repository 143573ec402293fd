// SPDX-License-Identifier: GPL-2.0-or-later
#include "message.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <json-c/json_visit.h>

static const char *sentence_of(enum json_tokener_error err)
{
	switch (err) {
	case json_tokener_success:
	case json_tokener_continue:
		return "The message ends in the middle of its JSON object.";
	case json_tokener_error_depth:
		return "The message nests values too deeply.";
	case json_tokener_error_parse_utf8_string:
		return "The message is not valid UTF-8.";
	default:
		return "The message is not one valid JSON object.";
	}
}

/* json-c takes NaN and Infinity for numbers, and what is too large for one for infinite. */
static int refuse_infinite(struct json_object *obj, int flags, struct json_object *parent,
			   const char *key, size_t *index, void *ctx)
{
	(void)flags;
	(void)parent;
	(void)key;
	(void)index;
	(void)ctx;
	return json_object_is_type(obj, json_type_double) &&
	       !isfinite(json_object_get_double(obj)) ? JSON_C_VISIT_RETURN_ERROR :
							JSON_C_VISIT_RETURN_CONTINUE;
}

struct json_object *sluice_message_parse(const char *buf, size_t len, const char **why)
{
	struct json_tokener *tok;
	struct json_object *obj = NULL;
	const char *sentence = NULL;
	size_t blanks = 0;

	while (blanks < len && strchr(" \t\r\n", buf[blanks]) && buf[blanks])
		blanks++;
	if (blanks == len) {
		sentence = "The message is empty.";
	} else if (len > SLUICE_MESSAGE_MAX) {
		sentence = "The message is longer than 1 MiB.";
	} else if (memchr(buf, '\0', len)) {
		sentence = "The message has a NUL byte inside.";
	} else if (buf[blanks] != '{') {
		sentence = "The message is not a JSON object.";
	} else {
		tok = json_tokener_new_ex(SLUICE_MESSAGE_DEPTH);
		if (!tok) {
			sentence = "There is no memory to parse the message.";
		} else {
			json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
					       JSON_TOKENER_VALIDATE_UTF8);
			obj = json_tokener_parse_ex(tok, buf, (int)len);
			if (!obj)
				sentence = sentence_of(json_tokener_get_error(tok));
			json_tokener_free(tok);
			if (obj && json_c_visit(obj, 0, refuse_infinite, NULL) < 0) {
				json_object_put(obj);
				obj = NULL;
				sentence = "The message has a number that is not finite.";
			}
		}
	}
	if (why)
		*why = sentence;
	return obj;
}

int sluice_message_frame(struct json_object *obj, char **out, size_t *len)
{
	const char *text;
	size_t text_len;
	char *copy;

	text = json_object_to_json_string_length(obj, JSON_C_TO_STRING_PLAIN |
						  JSON_C_TO_STRING_NOSLASHESCAPE, &text_len);
	if (!text)
		return -ENOMEM;
	if (text_len > SLUICE_MESSAGE_MAX)
		return -EMSGSIZE;
	copy = malloc(text_len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, text_len);
	copy[text_len] = '\0';
	*out = copy;
	*len = text_len + 1;
	return 0;
}

/* Whether a message of @pending unfinished bytes stays within bounds with @data. */
static bool fits(size_t pending, const char *data, size_t len)
{
	const char *nul;

	while ((nul = memchr(data, '\0', len))) {
		size_t part = nul - data;

		if (part > SLUICE_MESSAGE_MAX - pending)
			return false;
		data += part + 1;
		len -= part + 1;
		pending = 0;
	}
	return len <= SLUICE_MESSAGE_MAX - pending;
}

int sluice_inbuf_add(struct sluice_inbuf *in, const void *data, size_t len)
{
	const char *nul;
	size_t pending, cap;
	char *buf;

	if (!len)
		return 0;
	nul = in->len ? memrchr(in->buf, '\0', in->len) : NULL;
	pending = nul ? in->len - (nul + 1 - in->buf) : in->len;
	if (!fits(pending, data, len))
		return -EMSGSIZE;
	if (len > in->cap - in->len) {
		if (len > SIZE_MAX / 4 - in->len)
			return -ENOMEM;
		/* 4096 is arbitrary: most calls and replies are shorter. */
		for (cap = in->cap ? in->cap : 4096; cap < in->len + len; cap *= 2)
			;
		buf = realloc(in->buf, cap);
		if (!buf)
			return -ENOMEM;
		in->buf = buf;
		in->cap = cap;
	}
	memcpy(in->buf + in->len, data, len);
	in->len += len;
	return 0;
}

char *sluice_inbuf_next(struct sluice_inbuf *in, size_t *len)
{
	const char *nul;
	size_t part;
	char *copy;

	nul = in->len ? memchr(in->buf, '\0', in->len) : NULL;
	if (!nul)
		return NULL;
	part = nul - in->buf;
	copy = malloc(part + 1);
	if (!copy)
		return NULL;
	memcpy(copy, in->buf, part + 1);
	in->len -= part + 1;
	memmove(in->buf, nul + 1, in->len);
	if (len)
		*len = part;
	return copy;
}

void sluice_inbuf_free(struct sluice_inbuf *in)
{
	free(in->buf);
	*in = (struct sluice_inbuf){ 0 };
}

static int value_of(struct json_object *o, const char *key, enum json_type type,
		    struct json_object **out)
{
	struct json_object *value;

	if (!o || !json_object_is_type(o, json_type_object))
		return -ENOENT;
	if (!json_object_object_get_ex(o, key, &value) || !value)
		return -ENOENT;
	if (!json_object_is_type(value, type))
		return -EINVAL;
	*out = value;
	return 0;
}

int sluice_json_string(struct json_object *o, const char *key, const char **out)
{
	struct json_object *value;
	const char *text;
	int err;

	err = value_of(o, key, json_type_string, &value);
	if (err)
		return err;
	text = json_object_get_string(value);
	/* \u0000 is fine in JSON; here it would hide the rest from C. */
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return -EINVAL;
	*out = text;
	return 0;
}

int sluice_json_u64(struct json_object *o, const char *key, uint64_t *out)
{
	struct json_object *value;
	uint64_t number;
	int err;

	err = value_of(o, key, json_type_int, &value);
	if (err)
		return err;
	number = json_object_get_uint64(value);
	/* What does not fit, json-c turns into the largest that does. */
	if (json_object_get_int64(value) < 0 || number == UINT64_MAX)
		return -EINVAL;
	*out = number;
	return 0;
}

int sluice_json_bool(struct json_object *o, const char *key, bool *out)
{
	struct json_object *value;
	int err;

	err = value_of(o, key, json_type_boolean, &value);
	if (err)
		return err;
	*out = json_object_get_boolean(value);
	return 0;
}

struct json_object *sluice_json_find(struct json_object *list, const char *key, const char *text)
{
	size_t i, n = list ? json_object_array_length(list) : 0;

	for (i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		const char *value = key ? "" : json_object_get_string(one);

		if (key && sluice_json_string(one, key, &value))
			continue;
		if (value && !strcmp(value, text))
			return one;
	}
	return NULL;
}
