// SPDX-License-Identifier: GPL-2.0-or-later
#include "manifest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "command.h"
#include "deployment.h"
#include "export.h"
#include "name.h"
#include "units.h"
#include "uri.h"

/* 64 KiB is arbitrary: a page of text is less. */
#define FILE_MAX	65536

enum type {
	TEXT = 1,
	TEXTS,
	BOOLEAN,
	NUMBER,
	RATE,
	OBJECT,
	OBJECTS,
};

struct key {
	const char *name;
	enum type type;
	bool required;
	uint64_t max;			/* of a number */
	const struct key *keys;		/* of objects */
};

static const struct key limit_keys[] = {
	{ "min_rate", RATE, false, 0, NULL },
	{ "max_rate", RATE, false, 0, NULL },
	{ "deadline_ms", NUMBER, false, 3600000, NULL },
	{ 0 },
};

static const struct key export_keys[] = {
	{ "kind", TEXT, true, 0, NULL },
	{ "address", TEXT, false, 0, NULL },
	{ "allow", TEXTS, false, 0, NULL },
	{ "allow_any", BOOLEAN, false, 0, NULL },
	{ "controller", TEXT, false, 0, NULL },
	{ "queues", NUMBER, false, 127, NULL },
	{ "mdts_kb", NUMBER, false, 2048, NULL },
	{ 0 },
};

static const struct key file_keys[] = {
	{ "name", TEXT, true, 0, NULL },
	{ "sources", TEXTS, true, 0, NULL },
	{ "local", TEXT, true, 0, NULL },
	{ "size", TEXT, false, 0, NULL },
	{ "format", BOOLEAN, false, 0, NULL },
	{ "profile", TEXT, false, 0, NULL },
	{ "limits", OBJECT, false, 0, limit_keys },
	{ "exports", OBJECTS, false, 0, export_keys },
	{ 0 },
};

/* A file being checked; @at names a place in it. */
struct reader {
	struct sluice_ctl *ctl;
	const char *path;
};

static int __attribute__((format(printf, 3, 4)))
wrong(struct reader *reader, const char *at, const char *fmt, ...)
{
	char what[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	return sluice_fail(reader->ctl, SLUICE_EXIT_USAGE, "%s: %s %s; see sluice-deployment(5).",
			   reader->path, at, what);
}

static int check_object(struct reader *reader, const char *at, struct json_object *obj,
			const struct key *keys);

static bool parse_rate(struct json_object *value, uint64_t *rate)
{
	if (json_object_is_type(value, json_type_int)) {
		*rate = json_object_get_uint64(value);
		return json_object_get_int64(value) >= 0;
	}
	*rate = 0;
	return json_object_is_type(value, json_type_string) &&
	       (!strcmp(json_object_get_string(value), "none") ||
		!sluice_parse_bytes(json_object_get_string(value), rate));
}

/* One with \u0000 inside is none to C. */
static bool is_text(struct json_object *value)
{
	return json_object_is_type(value, json_type_string) &&
	       strlen(json_object_get_string(value)) ==
		       (size_t)json_object_get_string_len(value);
}

static int check_array(struct reader *reader, const char *at, struct json_object *value,
		       const struct key *key)
{
	char place[160];
	size_t i, n;
	int status;

	n = json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
	if (!json_object_is_type(value, json_type_array) || (key->required && !n))
		return wrong(reader, at, "is no array of %s%s",
			     key->type == TEXTS ? "texts" : "objects",
			     key->required ? " with at least one" : "");
	for (i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(value, i);

		snprintf(place, sizeof(place), "%s[%zu]", at, i);
		if (key->type == OBJECTS)
			status = check_object(reader, place, one, key->keys);
		else
			status = is_text(one) ? 0 : wrong(reader, place, "is no text");
		if (status)
			return status;
	}
	return 0;
}

static int check_value(struct reader *reader, const char *at, struct json_object *value,
		       const struct key *key)
{
	uint64_t rate;

	switch (key->type) {
	case TEXT:
		if (!is_text(value) || !json_object_get_string_len(value))
			return wrong(reader, at, "is no text, or an empty one");
		return 0;
	case BOOLEAN:
		if (!json_object_is_type(value, json_type_boolean))
			return wrong(reader, at, "is neither true nor false");
		return 0;
	case NUMBER:
		if (!json_object_is_type(value, json_type_int) ||
		    json_object_get_int64(value) < 1 ||
		    json_object_get_uint64(value) > key->max)
			return wrong(reader, at, "is no number from 1 to %llu",
				     (unsigned long long)key->max);
		return 0;
	case RATE:
		if (!parse_rate(value, &rate))
			return wrong(reader, at, "is no rate such as \"200M\", and not \"none\"");
		return 0;
	case OBJECT:
		return check_object(reader, at, value, key->keys);
	case TEXTS:
	case OBJECTS:
		return check_array(reader, at, value, key);
	}
	return 0;
}

static const struct key *find_key(const struct key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (!strcmp(keys->name, name))
			return keys;
	return NULL;
}

static int check_object(struct reader *reader, const char *at, struct json_object *obj,
			const struct key *keys)
{
	const struct key *key;
	char place[128];
	int status;

	if (!json_object_is_type(obj, json_type_object))
		return wrong(reader, at, "is no object");
	json_object_object_foreach(obj, name, value) {
		snprintf(place, sizeof(place), "%s.%s", at, name);
		key = find_key(keys, name);
		if (!key)
			return wrong(reader, place, "is not known");
		status = check_value(reader, place, value, key);
		if (status)
			return status;
	}
	for (key = keys; key->name; key++)
		if (key->required && !json_object_object_get_ex(obj, key->name, NULL))
			return wrong(reader, at, "has no %s", key->name);
	return 0;
}

static int load(struct reader *reader, struct json_object **file)
{
	char text[FILE_MAX];
	const char *why;
	FILE *stream;
	size_t len;
	int err;

	stream = fopen(reader->path, "re");
	if (!stream)
		return sluice_fail(reader->ctl, SLUICE_EXIT_USAGE, "%s cannot be read: %s.",
				   reader->path, strerror(errno));
	errno = 0;
	len = fread(text, 1, sizeof(text), stream);
	err = ferror(stream) ? errno : 0;
	fclose(stream);
	if (err)
		return sluice_fail(reader->ctl, SLUICE_EXIT_USAGE, "%s cannot be read: %s.",
				   reader->path, strerror(err));
	if (len == sizeof(text))
		return sluice_fail(reader->ctl, SLUICE_EXIT_USAGE, "%s is longer than 64 KiB.",
				   reader->path);
	/* The limits of a message suit a file. */
	*file = sluice_message_parse(text, len, &why);
	if (!*file)
		return sluice_fail(reader->ctl, SLUICE_EXIT_USAGE, "%s cannot be used: %s",
				   reader->path, why);
	return 0;
}

/* These are checks of sluiced, too, which makes them with half of the work done. */
static int check_sources(struct reader *reader, struct json_object *sources)
{
	char why[SLUICE_URI_WHY_LEN], place[64];
	struct sluice_uri uri;
	size_t i;

	if (json_object_array_length(sources) > SLUICE_MAX_SOURCES)
		return wrong(reader, "$.sources", "names more than four sources");
	for (i = 0; i < json_object_array_length(sources); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(sources, i));

		snprintf(place, sizeof(place), "$.sources[%zu]", i);
		if (sluice_uri_parse(text, &uri, why, sizeof(why)))
			return wrong(reader, place, "cannot be used: %s", why);
	}
	return 0;
}

static bool names_all(struct json_object *list, struct json_object *of)
{
	size_t i, n = of ? json_object_array_length(of) : 0;

	for (i = 0; i < n; i++)
		if (!sluice_json_find(list, NULL,
				      json_object_get_string(json_object_array_get_idx(of, i))))
			return false;
	return true;
}

bool sluice_manifest_same_hosts(struct json_object *a, struct json_object *b)
{
	struct json_object *list_a = NULL, *list_b = NULL;
	bool any_a = false, any_b = false;

	sluice_json_bool(a, "allow_any", &any_a);
	sluice_json_bool(b, "allow_any", &any_b);
	if (any_a || any_b)
		return any_a == any_b;
	json_object_object_get_ex(a, "allow", &list_a);
	json_object_object_get_ex(b, "allow", &list_b);
	return names_all(list_a, list_b) && names_all(list_b, list_a);
}

static bool is_kind(struct json_object *export, const char *kind)
{
	const char *value = "";

	sluice_json_string(export, "kind", &value);
	return !strcmp(value, kind);
}

static bool says_hosts(struct json_object *export)
{
	return !is_kind(export, "pci") && (json_object_object_get_ex(export, "allow", NULL) ||
					   json_object_object_get_ex(export, "allow_any", NULL));
}

struct json_object *sluice_manifest_hosts(struct json_object *exports)
{
	size_t i, n = exports ? json_object_array_length(exports) : 0;
	struct json_object *one;

	for (i = 0; i < n; i++) {
		one = json_object_array_get_idx(exports, i);
		if (says_hosts(one))
			return one;
	}
	return NULL;
}

static int check_hosts(struct reader *reader, struct json_object *exports)
{
	struct json_object *hosts = sluice_manifest_hosts(exports), *one;
	size_t i, n = exports ? json_object_array_length(exports) : 0;
	char place[64];

	for (i = 0; i < n; i++) {
		one = json_object_array_get_idx(exports, i);
		snprintf(place, sizeof(place), "$.exports[%zu]", i);
		if (says_hosts(one) && !sluice_manifest_same_hosts(one, hosts))
			return wrong(reader, place,
				     "admits other hosts than the one before: a deployment has one list of them");
	}
	return 0;
}

/*
 * One that is made beside another must admit the same hosts, and takes that over only if it
 * was not told whom to admit and the other does not admit any. tcp admits nobody when it is
 * not told, loop any.
 */
static int rank(struct json_object *export)
{
	if (says_hosts(export))
		return 0;
	return is_kind(export, "tcp") ? 1 : is_kind(export, "loop") ? 2 : 3;
}

static int exports_in_order(const void *a, const void *b)
{
	return rank(*(struct json_object *const *)a) - rank(*(struct json_object *const *)b);
}

static int check_exports(struct reader *reader, struct json_object *exports)
{
	size_t i, j, n = exports ? json_object_array_length(exports) : 0;
	const char *kind = "", *other = "";
	char place[64];

	for (i = 0; i < n; i++) {
		sluice_json_string(json_object_array_get_idx(exports, i), "kind", &kind);
		snprintf(place, sizeof(place), "$.exports[%zu].kind", i);
		if (!sluice_export_is_kind(kind))
			return wrong(reader, place, "is none of tcp, loop and pci");
		for (j = 0; j < i; j++) {
			sluice_json_string(json_object_array_get_idx(exports, j), "kind", &other);
			if (!strcmp(kind, other))
				return wrong(reader, place, "is that of $.exports[%zu], too", j);
		}
	}
	return check_hosts(reader, exports);
}

static bool flag(struct json_object *obj, const char *key, bool otherwise)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ? json_object_get_boolean(value) :
							     otherwise;
}

static void fill(struct sluice_manifest *manifest)
{
	struct json_object *file = manifest->file, *limits, *value;

	sluice_json_string(file, "name", &manifest->name);
	sluice_json_string(file, "local", &manifest->local);
	sluice_json_string(file, "size", &manifest->size);
	json_object_object_get_ex(file, "sources", &manifest->sources);
	json_object_object_get_ex(file, "exports", &manifest->exports);
	manifest->may_format = flag(file, "format", true);
	if (!json_object_object_get_ex(file, "limits", &limits))
		return;
	if (json_object_object_get_ex(limits, "min_rate", &value))
		manifest->has_min = parse_rate(value, &manifest->min_rate);
	if (json_object_object_get_ex(limits, "max_rate", &value))
		manifest->has_max = parse_rate(value, &manifest->max_rate);
	if (json_object_object_get_ex(limits, "deadline_ms", &value))
		manifest->deadline_ms = json_object_get_uint64(value);
}

static int read_profile(struct reader *reader, struct sluice_manifest *manifest)
{
	const char *path;

	if (sluice_json_string(manifest->file, "profile", &path))
		return 0;
	if (path[0] != '/')
		return wrong(reader, "$.profile", "is no absolute path");
	return sluice_profile_read(reader->ctl, path, &manifest->profile);
}

int sluice_manifest_read(struct sluice_ctl *ctl, const char *path,
			 struct sluice_manifest *manifest)
{
	struct reader reader = { .ctl = ctl, .path = path };
	uint64_t bytes;
	int status;

	*manifest = (struct sluice_manifest){ 0 };
	status = load(&reader, &manifest->file);
	if (!status)
		status = check_object(&reader, "$", manifest->file, file_keys);
	if (!status) {
		fill(manifest);
		status = check_sources(&reader, manifest->sources);
	}
	if (!status)
		status = check_exports(&reader, manifest->exports);
	/* What is wrong in them has been named by its place. */
	if (!status && manifest->exports)
		json_object_array_sort(manifest->exports, exports_in_order);
	if (!status && !sluice_name_is_valid(manifest->name))
		status = wrong(&reader, "$.name",
			       "is no name: use up to 63 letters, digits, \".\", \"_\" and \"-\", and begin with a letter, a digit or \"_\"");
	if (!status && manifest->size && sluice_parse_size(manifest->size, &bytes))
		status = wrong(&reader, "$.size", "is neither max, image nor a number of bytes");
	if (!status && manifest->local[0] != '/')
		status = wrong(&reader, "$.local", "is no absolute path");
	if (!status && manifest->min_rate && manifest->max_rate &&
	    manifest->min_rate > manifest->max_rate)
		status = wrong(&reader, "$.limits", "has a min_rate above max_rate");
	if (!status)
		status = read_profile(&reader, manifest);
	if (status)
		sluice_manifest_free(manifest);
	return status;
}

void sluice_manifest_free(struct sluice_manifest *manifest)
{
	json_object_put(manifest->file);
	sluice_profile_free(&manifest->profile);
	*manifest = (struct sluice_manifest){ 0 };
}

struct json_object *sluice_manifest_export_options(struct json_object *export)
{
	struct json_object *options = json_object_new_object();

	json_object_object_foreach(export, name, value) {
		if (!strcmp(name, "kind"))
			continue;
		/* To sluiced, too, it is where the export is. */
		json_object_object_add(options, strcmp(name, "controller") ? name : "address",
				       json_object_get(value));
	}
	return options;
}
