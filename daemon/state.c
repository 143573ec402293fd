// SPDX-License-Identifier: GPL-2.0-or-later
#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "log.h"
#include "message.h"
#include "name.h"
#include "profile.h"

#define VERSION		1
#define SUFFIX		".json"
#define PROFILE_SUFFIX	".profile"

/* A record with the longest of everything is below it. */
#define MAX_BYTES	(64 * 1024)

static const char *const phases[] = {
	[SLUICED_PHASE_OPENING] = "opening",
	[SLUICED_PHASE_OPEN] = "open",
	[SLUICED_PHASE_COMPLETE] = "complete",
};

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_number(struct json_object *o, const char *key, uint64_t number)
{
	json_object_object_add(o, key, json_object_new_uint64(number));
}

static void add_hex(struct json_object *o, const char *key, const uint8_t *bytes, size_t len)
{
	char text[2 * SLUICE_DIGEST_LEN + 1] = "";
	size_t i;

	for (i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	add_text(o, key, text);
}

static struct json_object *image_to_json(const struct sluice_image *image)
{
	struct json_object *o = json_object_new_object();

	add_number(o, "bytes", image->bytes);
	add_number(o, "logical_block", image->logical_block);
	add_number(o, "digest_kind", image->digest_kind);
	add_hex(o, "digest", image->digest, sizeof(image->digest));
	add_text(o, "name", image->name);
	add_text(o, "id", image->id);
	return o;
}

static struct json_object *export_to_json(const struct sluiced_export *export)
{
	struct json_object *o = json_object_new_object();
	struct json_object *allow = json_object_new_array();
	size_t i;

	for (i = 0; i < export->allow_count; i++)
		json_object_array_add(allow, json_object_new_string(export->allow[i]));
	add_text(o, "kind", export->kind);
	add_text(o, "address", export->address);
	json_object_object_add(o, "allow_any", json_object_new_boolean(export->allow_any));
	json_object_object_add(o, "allow", allow);
	add_number(o, "port_id", export->port_id);
	add_number(o, "queues", export->queues);
	add_number(o, "mdts_kb", export->mdts_kb);
	json_object_object_add(o, "own_port", json_object_new_boolean(export->own_port));
	return o;
}

static struct json_object *path_to_json(const struct sluiced_path *path)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "uri", path->uri);
	add_text(o, "hint", path->hint);
	add_text(o, "stamp", path->stamp);
	add_text(o, "id", path->id);
	json_object_object_add(o, "known", json_object_new_boolean(path->known));
	return o;
}

static struct json_object *to_json(const struct sluiced_record *r)
{
	struct json_object *o = json_object_new_object();
	struct json_object *exports = json_object_new_array();
	struct json_object *paths = json_object_new_array();
	size_t i;

	for (i = 0; i < r->paths.count; i++)
		json_object_array_add(paths, path_to_json(&r->paths.path[i]));
	for (i = 0; i < r->export_count; i++)
		json_object_array_add(exports, export_to_json(&r->exports[i]));
	add_number(o, "version", VERSION);
	add_text(o, "name", r->name);
	add_text(o, "phase", phases[r->phase]);
	add_hex(o, "uuid", r->uuid, sizeof(r->uuid));
	json_object_object_add(o, "paths", paths);
	add_number(o, "active", r->paths.active);
	add_text(o, "local", r->local);
	add_text(o, "local_id", r->local_id);
	json_object_object_add(o, "image", image_to_json(&r->image));
	add_number(o, "namespace_bytes", r->namespace_bytes);
	add_number(o, "deadline_ms", r->deadline_ms);
	add_number(o, "min_rate", r->min_rate);
	add_number(o, "max_rate", r->max_rate);
	json_object_object_add(o, "paused", json_object_new_boolean(r->paused));
	add_text(o, "failed", r->failed);
	json_object_object_add(o, "exports", exports);
	return o;
}

/* Every one of these returns whether the value was there and fits. */

static bool get_text(struct json_object *o, const char *key, char *text, size_t len)
{
	const char *value;

	if (sluice_json_string(o, key, &value) || strlen(value) >= len)
		return false;
	snprintf(text, len, "%s", value);
	return true;
}

static bool get_number(struct json_object *o, const char *key, uint64_t max, uint64_t *number)
{
	return !sluice_json_u64(o, key, number) && *number <= max;
}

/* What older records do not have is 0. */
static bool get_newer(struct json_object *o, const char *key, uint64_t max, uint64_t *number)
{
	*number = 0;
	return !json_object_object_get_ex(o, key, NULL) || get_number(o, key, max, number);
}

static bool get_u32(struct json_object *o, const char *key, uint32_t *number)
{
	uint64_t value;

	if (!get_number(o, key, UINT32_MAX, &value))
		return false;
	*number = value;
	return true;
}

static bool get_bool(struct json_object *o, const char *key, bool *value)
{
	return !sluice_json_bool(o, key, value);
}

static bool get_hex(struct json_object *o, const char *key, uint8_t *bytes, size_t len)
{
	char text[2 * SLUICE_DIGEST_LEN + 1], byte[3] = "";
	size_t i;

	if (!get_text(o, key, text, sizeof(text)) || strlen(text) != 2 * len ||
	    strspn(text, "0123456789abcdef") != 2 * len)
		return false;
	for (i = 0; i < len; i++) {
		memcpy(byte, text + 2 * i, 2);
		bytes[i] = strtoul(byte, NULL, 16);
	}
	return true;
}

static struct json_object *get_object(struct json_object *o, const char *key,
				      enum json_type type)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) && json_object_is_type(value, type) ?
		       value : NULL;
}

static bool image_from_json(struct json_object *o, struct sluice_image *image)
{
	return o && !sluice_json_u64(o, "bytes", &image->bytes) &&
	       get_u32(o, "logical_block", &image->logical_block) &&
	       get_u32(o, "digest_kind", &image->digest_kind) &&
	       get_hex(o, "digest", image->digest, sizeof(image->digest)) &&
	       get_text(o, "name", image->name, sizeof(image->name)) &&
	       get_text(o, "id", image->id, sizeof(image->id));
}

/* Through the checks of a request, so that no file gets around them. */
static bool export_from_json(struct json_object *o, struct sluiced_export *export)
{
	struct sluiced_fault ignored;
	struct json_object *options = json_object_new_object();
	struct json_object *allow = get_object(o, "allow", json_type_array);
	const char *kind, *address;
	uint64_t port_id = 0, queues = 0, mdts_kb = 0;
	bool any, own, valid;

	valid = !sluice_json_string(o, "kind", &kind) &&
		!sluice_json_string(o, "address", &address) && get_bool(o, "allow_any", &any) &&
		get_bool(o, "own_port", &own) && get_number(o, "port_id", UINT16_MAX, &port_id) &&
		get_newer(o, "queues", UINT16_MAX, &queues) &&
		get_newer(o, "mdts_kb", UINT32_MAX, &mdts_kb) && allow;
	if (valid) {
		add_text(options, "address", address);
		add_number(options, "queues", queues);
		add_number(options, "mdts_kb", mdts_kb);
		json_object_object_add(options, "allow_any", json_object_new_boolean(any));
		json_object_object_add(options, "allow", json_object_get(allow));
		valid = sluiced_export_parse(export, kind, options, &ignored);
	}
	json_object_put(options);
	if (!valid)
		return false;
	export->port_id = port_id;
	export->own_port = own;
	return true;
}

static bool exports_from_json(struct json_object *list, struct sluiced_record *r)
{
	size_t i, j;

	if (!list || json_object_array_length(list) > SLUICED_MAX_EXPORTS)
		return false;
	r->export_count = json_object_array_length(list);
	for (i = 0; i < r->export_count; i++) {
		if (!export_from_json(json_object_array_get_idx(list, i), &r->exports[i]))
			return false;
		for (j = 0; j < i; j++)
			if (!strcmp(r->exports[i].kind, r->exports[j].kind))
				return false;
	}
	return true;
}

static bool path_from_json(struct json_object *o, struct sluiced_paths *paths)
{
	char uri[SLUICED_URI_LEN];
	struct sluiced_path *path;

	if (!get_text(o, "uri", uri, sizeof(uri)) || sluiced_paths_add(paths, uri))
		return false;
	path = &paths->path[paths->count - 1];
	return get_text(o, "hint", path->hint, sizeof(path->hint)) &&
	       get_text(o, "stamp", path->stamp, sizeof(path->stamp)) &&
	       get_text(o, "id", path->id, sizeof(path->id)) &&
	       get_bool(o, "known", &path->known);
}

/* Older records have one path, which had the image. */
static bool only_path(struct json_object *o, struct sluiced_record *r)
{
	struct sluiced_path *path = &r->paths.path[0];

	r->paths.count = 1;
	path->known = r->phase != SLUICED_PHASE_OPENING;
	snprintf(path->id, sizeof(path->id), "%s", r->image.id);
	return get_text(o, "source", path->uri, sizeof(path->uri)) &&
	       get_text(o, "hint", path->hint, sizeof(path->hint)) &&
	       get_text(o, "stamp", path->stamp, sizeof(path->stamp));
}

static bool paths_from_json(struct json_object *o, struct sluiced_record *r)
{
	struct json_object *list = get_object(o, "paths", json_type_array);
	uint64_t active;
	size_t i;

	if (!json_object_object_get_ex(o, "paths", NULL))
		return only_path(o, r);
	for (i = 0; list && i < json_object_array_length(list); i++)
		if (!path_from_json(json_object_array_get_idx(list, i), &r->paths))
			return false;
	if (!r->paths.count || !get_number(o, "active", r->paths.count - 1, &active))
		return false;
	r->paths.active = active;
	return true;
}

static bool phase_from_json(struct json_object *o, enum sluiced_phase *phase)
{
	const char *text;
	size_t i;

	if (sluice_json_string(o, "phase", &text))
		return false;
	for (i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		if (!strcmp(text, phases[i])) {
			*phase = i;
			return true;
		}
	}
	return false;
}

/* While it is being opened the image may not be known yet. */
static bool makes_sense(const struct sluiced_record *r)
{
	return r->phase == SLUICED_PHASE_OPENING ||
	       (r->image.bytes && (r->image.logical_block == 512 ||
				   r->image.logical_block == 4096));
}

static bool from_json(struct json_object *o, struct sluiced_record *r)
{
	uint64_t version;

	memset(r, 0, sizeof(*r));
	return get_number(o, "version", VERSION, &version) && version == VERSION &&
	       get_text(o, "name", r->name, sizeof(r->name)) &&
	       sluice_name_is_valid(r->name) && phase_from_json(o, &r->phase) &&
	       get_hex(o, "uuid", r->uuid, sizeof(r->uuid)) &&
	       get_text(o, "local", r->local, sizeof(r->local)) &&
	       get_text(o, "local_id", r->local_id, sizeof(r->local_id)) &&
	       image_from_json(get_object(o, "image", json_type_object), &r->image) &&
	       get_number(o, "namespace_bytes", INT64_MAX, &r->namespace_bytes) &&
	       get_u32(o, "deadline_ms", &r->deadline_ms) &&
	       get_number(o, "min_rate", INT64_MAX, &r->min_rate) &&
	       get_number(o, "max_rate", INT64_MAX, &r->max_rate) &&
	       get_bool(o, "paused", &r->paused) &&
	       get_text(o, "failed", r->failed, sizeof(r->failed)) &&
	       paths_from_json(o, r) &&
	       exports_from_json(get_object(o, "exports", json_type_array), r) &&
	       makes_sense(r);
}

static int write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	return 0;
}

static int write_file(int dir, const char *name, const char *text, size_t len)
{
	char temporary[SLUICE_NAME_LEN + 32];
	int fd, err;

	/* The dot keeps load() from seeing half of one. */
	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = write_all(fd, text, len);
	if (!err && fsync(fd) < 0)
		err = -errno;
	close(fd);
	if (!err && renameat(dir, temporary, dir, name) < 0)
		err = -errno;
	if (err)
		unlinkat(dir, temporary, 0);
	else if (fsync(dir) < 0)
		err = -errno;
	return err;
}

/* NAME and @suffix in @dir. */
static int save(const char *dir, const char *name, const char *suffix, const char *text,
		size_t len)
{
	char file[SLUICE_NAME_LEN + 16];
	int fd, err;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(file, sizeof(file), "%s%s", name, suffix);
	err = write_file(fd, file, text, len);
	close(fd);
	return err;
}

int sluiced_state_save(const char *dir, const struct sluiced_record *record)
{
	struct json_object *o = to_json(record);
	const char *text;
	size_t len;
	int err;

	text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PRETTY, &len);
	err = text ? save(dir, record->name, SUFFIX, text, len) : -ENOMEM;
	json_object_put(o);
	return err;
}

int sluiced_state_save_profile(const char *dir, const char *name, const char *text, size_t len)
{
	return save(dir, name, PROFILE_SUFFIX, text, len);
}

int sluiced_state_load_profile(const char *dir, const char *name, char **text, size_t *len)
{
	char path[PATH_MAX];
	int fd, err = 0;
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/%s" PROFILE_SUFFIX, dir, name) >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*text = malloc(SLUICE_PROFILE_MAX);
	n = *text ? read(fd, *text, SLUICE_PROFILE_MAX) : -1;
	if (n < 0)
		err = *text ? -errno : -ENOMEM;
	else if (n == SLUICE_PROFILE_MAX)
		err = -EFBIG;
	close(fd);
	if (err)
		free(*text);
	else
		*len = n;
	return err;
}

int sluiced_state_remove(const char *dir, const char *name)
{
	/* The record last: without it nobody looks for the rest. */
	static const char *const suffixes[] = { PROFILE_SUFFIX, SUFFIX };
	char path[PATH_MAX];
	int fd, err = 0;
	size_t i;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", name, suffixes[i]);
		if (unlinkat(fd, path, 0) < 0 && errno != ENOENT)
			err = -errno;
	}
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int load_one(int dir, const char *name, struct sluiced_record *record)
{
	struct json_object *o;
	char *text;
	ssize_t n;
	int fd, err = -EINVAL;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	text = malloc(MAX_BYTES);
	n = text ? read(fd, text, MAX_BYTES) : -1;
	close(fd);
	if (n > 0 && n < MAX_BYTES) {
		o = sluice_message_parse(text, n, NULL);
		if (o && from_json(o, record) &&
		    !strncmp(name, record->name, strlen(record->name)) &&
		    !strcmp(name + strlen(record->name), SUFFIX))
			err = 0;
		json_object_put(o);
	}
	free(text);
	return err;
}

int sluiced_state_load(const char *dir,
		       void (*found)(void *ctx, const struct sluiced_record *record),
		       void *ctx)
{
	struct sluiced_record *record;
	struct dirent *entry;
	const char *suffix;
	DIR *entries;

	entries = opendir(dir);
	if (!entries)
		return -errno;
	record = malloc(sizeof(*record));
	if (!record) {
		closedir(entries);
		return -ENOMEM;
	}
	while ((entry = readdir(entries))) {
		suffix = strrchr(entry->d_name, '.');
		if (entry->d_name[0] == '.' || !suffix || strcmp(suffix, SUFFIX))
			continue;
		if (!load_one(dirfd(entries), entry->d_name, record))
			found(ctx, record);
		else
			sluiced_log(LOG_ERR, "sluiced",
				    "The state file %s/%s is no record of a deployment: remove it, or restore it from a backup.",
				    dir, entry->d_name);
	}
	closedir(entries);
	free(record);
	return 0;
}
