// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Makes deployments as files want them, and changes nothing where they are so
 * already. What cannot be changed below a running host is an error.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"
#include "manifest.h"
#include "units.h"

#define DIRECTORY	"/etc/sluice/deployments.d"

enum {
	OPT_DRY_RUN = 1,
};

const struct sluice_option sluice_apply_options[] = {
	{ OPT_DRY_RUN, "dry-run", NULL, "Check every source, the disk, the kernel and every "
	  "export, say what would be done, and do nothing." },
	{ 0 },
};

/* One file. */
struct apply {
	struct sluice_ctl *ctl;
	struct sluice_manifest want;
	struct json_object *have;	/* the deployment; NULL: there is none */
	bool dry_run;
	struct json_object *actions;	/* that were done, or would be */
	struct json_object *findings;	/* of a dry run */
};

/* Says and notes what is done; @object is what it is done with. */
static void did(struct apply *apply, const char *action, const char *object)
{
	struct json_object *one = json_object_new_object();

	json_object_object_add(one, "action", json_object_new_string(action));
	json_object_object_add(one, "object", json_object_new_string(object));
	json_object_array_add(apply->actions, one);
	if (!apply->ctl->json)
		sluice_output_text(stdout, "%s: %s%s %s\n", apply->want.name,
				   apply->dry_run ? "would " : "", action, object);
}

static int call(struct apply *apply, const char *method, struct json_object *parameters)
{
	json_object_object_add(parameters, "name", json_object_new_string(apply->want.name));
	return sluice_client_call(apply->ctl, method, parameters, NULL);
}

/* Calls @method, but in a dry run; then says so. Takes @parameters. */
static int act(struct apply *apply, const char *action, const char *object, const char *method,
	       struct json_object *parameters)
{
	int status = 0;

	if (apply->dry_run)
		json_object_put(parameters);
	else
		status = call(apply, method, parameters);
	if (!status)
		did(apply, action, object);
	return status;
}

static struct json_object *parameters_of(struct apply *apply, bool format)
{
	const struct sluice_manifest *want = &apply->want;
	struct json_object *p = json_object_new_object();
	struct json_object *export = NULL, *kind;

	json_object_object_add(p, "source", json_object_get(want->sources));
	json_object_object_add(p, "local", json_object_new_string(want->local));
	if (want->size)
		json_object_object_add(p, "size", json_object_new_string(want->size));
	if (format)
		json_object_object_add(p, "format", json_object_new_boolean(true));
	if (want->deadline_ms)
		json_object_object_add(p, "deadline_ms",
				       json_object_new_uint64(want->deadline_ms));
	if (want->has_min)
		json_object_object_add(p, "min_rate", json_object_new_uint64(want->min_rate));
	if (want->has_max)
		json_object_object_add(p, "max_rate", json_object_new_uint64(want->max_rate));
	sluice_profile_put(p, &want->profile);
	/* The first with the rest: if it cannot be made, nothing is. */
	if (want->exports && json_object_array_length(want->exports))
		export = json_object_array_get_idx(want->exports, 0);
	if (export && json_object_object_get_ex(export, "kind", &kind)) {
		json_object_object_add(p, "export", json_object_get(kind));
		json_object_object_add(p, "export_options",
				       sluice_manifest_export_options(export));
	}
	return p;
}

static int check(struct apply *apply, struct json_object *parameters)
{
	struct json_object *reply, *list, *one;
	const char *subject, *object, *error, *message;
	size_t i;
	int status;

	status = sluice_client_call(apply->ctl, "Check", parameters, &reply);
	if (status)
		return status;
	if (!json_object_object_get_ex(reply, "findings", &list) ||
	    !json_object_is_type(list, json_type_array)) {
		json_object_put(reply);
		return sluice_fail(apply->ctl, SLUICE_EXIT_FAILED,
				   "The reply of sluiced has no findings.");
	}
	for (i = 0; i < json_object_array_length(list); i++) {
		one = json_object_array_get_idx(list, i);
		if (sluice_json_string(one, "subject", &subject) ||
		    sluice_json_string(one, "object", &object) ||
		    sluice_json_string(one, "message", &message))
			continue;
		json_object_array_add(apply->findings, json_object_get(one));
		if (!apply->ctl->json)
			sluice_output_text(stdout, "%s: %s %s: %s\n", apply->want.name, subject,
					   object, message);
		if (!status && !sluice_json_string(one, "error", &error))
			status = sluice_fail_remote(apply->ctl, error, message);
	}
	json_object_put(reply);
	return status;
}

/* As methods want it. */
static struct json_object *export_parameters(struct json_object *export)
{
	struct json_object *p = json_object_new_object();
	const char *kind = "";

	sluice_json_string(export, "kind", &kind);
	json_object_object_add(p, "kind", json_object_new_string(kind));
	json_object_object_add(p, "options", sluice_manifest_export_options(export));
	return p;
}

static int check_export(struct apply *apply, struct json_object *export)
{
	struct json_object *p = json_object_new_object(), *list = json_object_new_array();

	json_object_array_add(list, export_parameters(export));
	json_object_object_add(p, "exports", list);
	return check(apply, p);
}

static int add_export(struct apply *apply, struct json_object *export)
{
	const char *kind = "";
	int status;

	sluice_json_string(export, "kind", &kind);
	status = act(apply, "export over", kind, "Export", export_parameters(export));
	return status || !apply->dry_run ? status : check_export(apply, export);
}

static int check_new(struct apply *apply)
{
	struct json_object *p = json_object_new_object(), *exports = json_object_new_array();
	struct json_object *want = apply->want.exports;
	size_t i, n = want ? json_object_array_length(want) : 0;

	for (i = 0; i < n; i++)
		json_object_array_add(exports,
				      export_parameters(json_object_array_get_idx(want, i)));
	json_object_object_add(p, "source", json_object_get(apply->want.sources));
	json_object_object_add(p, "local", json_object_new_string(apply->want.local));
	json_object_object_add(p, "format", json_object_new_boolean(apply->want.may_format));
	json_object_object_add(p, "exports", exports);
	return check(apply, p);
}

static int deploy_new(struct apply *apply)
{
	size_t i, n;
	int status;

	status = act(apply, "deploy to", apply->want.local, "Deploy",
		     parameters_of(apply, false));
	if (apply->dry_run)
		return check_new(apply);
	if (status == SLUICE_EXIT_NOT_FORMATTED && apply->want.may_format) {
		sluice_error_clear(apply->ctl);
		/* Without force: a disk that holds data is refused. */
		status = act(apply, "format", apply->want.local, "Deploy",
			     parameters_of(apply, true));
	}
	n = apply->want.exports ? json_object_array_length(apply->want.exports) : 0;
	for (i = 1; i < n && !status; i++)
		status = add_export(apply, json_object_array_get_idx(apply->want.exports, i));
	return status;
}

static struct json_object *beside(struct apply *apply, const char *uri)
{
	struct json_object *list = json_object_new_array(), *have, *active;
	const char *own;

	if (json_object_object_get_ex(apply->have, "sources", &have)) {
		active = sluice_json_find(have, "role", "active");
		if (active && !sluice_json_string(active, "uri", &own))
			json_object_array_add(list, json_object_new_string(own));
	}
	json_object_array_add(list, json_object_new_string(uri));
	return list;
}

static int change_source(struct apply *apply, const char *method, const char *uri)
{
	struct json_object *p = json_object_new_object();

	json_object_object_add(p, "source", json_object_new_string(uri));
	if (apply->dry_run && !strcmp(method, "AddSource")) {
		did(apply, "add source", uri);
		/* Beside one of its own another image is seen. */
		json_object_object_add(p, "source", beside(apply, uri));
		return check(apply, p);
	}
	return act(apply, !strcmp(method, "AddSource") ? "add source" : "remove source", uri,
		   method, p);
}

static bool is_wanted(struct apply *apply, struct json_object *source)
{
	const char *uri;

	return !sluice_json_string(source, "uri", &uri) &&
	       sluice_json_find(apply->want.sources, NULL, uri);
}

/* Of @have, takes away the one at @i. */
static int remove_source(struct apply *apply, struct json_object *have, size_t i)
{
	const char *uri = "";
	int status;

	sluice_json_string(json_object_array_get_idx(have, i), "uri", &uri);
	status = change_source(apply, "RemoveSource", uri);
	if (!status)
		json_object_array_del_idx(have, i, 1);
	return status;
}

/*
 * Which of @have, of which there are as many as there may be, goes for another one: not the
 * one that is read now, and if there is such, one that is not wanted.
 */
static size_t spare(struct apply *apply, struct json_object *have)
{
	size_t i, found = 0, n = json_object_array_length(have);
	bool wanted = true;
	const char *role;

	for (i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(have, i);

		if ((!sluice_json_string(one, "role", &role) && !strcmp(role, "active")) ||
		    (!wanted && is_wanted(apply, one)))
			continue;
		found = i;
		wanted = is_wanted(apply, one);
	}
	return found;
}

/* The error that there is, is told; whether this works is seen by whoever applies again. */
static void put_back(struct apply *apply, struct json_object *source)
{
	struct sluice_error error = apply->ctl->error;
	const char *uri = "";

	apply->ctl->error = (struct sluice_error){ 0 };
	sluice_json_string(source, "uri", &uri);
	change_source(apply, "AddSource", uri);
	sluice_error_clear(apply->ctl);
	apply->ctl->error = error;
}

static int add_source(struct apply *apply, struct json_object *have, const char *uri)
{
	struct json_object *gone = NULL, *one;
	int status = 0;
	size_t i;

	if (json_object_array_length(have) == SLUICE_MAX_SOURCES) {
		i = spare(apply, have);
		gone = json_object_get(json_object_array_get_idx(have, i));
		status = remove_source(apply, have, i);
	}
	if (!status) {
		status = change_source(apply, "AddSource", uri);
		if (status && gone && is_wanted(apply, gone) && !apply->dry_run)
			put_back(apply, gone);
	}
	if (!status) {
		one = json_object_new_object();
		json_object_object_add(one, "uri", json_object_new_string(uri));
		json_object_array_add(have, one);
	}
	json_object_put(gone);
	return status;
}

/* What is wanted, and neither in @have nor in @but, which may be NULL. */
static int add_sources(struct apply *apply, struct json_object *have, struct json_object *but)
{
	struct json_object *want = apply->want.sources;
	const char *uri;
	int status = 0;
	size_t i;

	for (i = 0; i < json_object_array_length(want) && !status; i++) {
		uri = json_object_get_string(json_object_array_get_idx(want, i));
		if (!sluice_json_find(have, "uri", uri) && !sluice_json_find(but, "uri", uri))
			status = add_source(apply, have, uri);
	}
	return status;
}

/*
 * New ones first, which are looked at when they are added: the one that is read now goes
 * only when they are there. A standby that had to make room for them comes back last.
 */
static int change_sources(struct apply *apply)
{
	struct json_object *was = NULL, *have = json_object_new_array();
	size_t i, n;
	int status;

	json_object_object_get_ex(apply->have, "sources", &was);
	n = json_object_is_type(was, json_type_array) ? json_object_array_length(was) : 0;
	for (i = 0; i < n; i++)
		json_object_array_add(have, json_object_get(json_object_array_get_idx(was, i)));
	status = add_sources(apply, have, was);
	for (i = 0; i < json_object_array_length(have) && !status;) {
		if (is_wanted(apply, json_object_array_get_idx(have, i)))
			i++;
		else
			status = remove_source(apply, have, i);
	}
	if (!status)
		status = add_sources(apply, have, NULL);
	json_object_put(have);
	return status;
}

static int change_limits(struct apply *apply, const struct sluice_deployment *have)
{
	const struct sluice_manifest *want = &apply->want;
	bool min = want->has_min && want->min_rate != have->min_rate;
	bool max = want->has_max && want->max_rate != have->max_rate;
	bool deadline = want->deadline_ms && want->deadline_ms != have->deadline_ms;
	struct json_object *p;

	if (!min && !max && !deadline)
		return 0;
	p = json_object_new_object();
	if (min)
		json_object_object_add(p, "min_rate", json_object_new_uint64(want->min_rate));
	if (max)
		json_object_object_add(p, "max_rate", json_object_new_uint64(want->max_rate));
	if (deadline)
		json_object_object_add(p, "deadline_ms",
				       json_object_new_uint64(want->deadline_ms));
	return act(apply, "change limits of", want->name, "Limit", p);
}

static int change_profile(struct apply *apply)
{
	char digest[SLUICE_PROFILE_DIGEST_LEN];
	struct json_object *profile, *p;
	const char *is = "";

	if (!apply->want.profile.count || sluice_profile_digest(&apply->want.profile, digest))
		return 0;
	if (json_object_object_get_ex(apply->have, "profile", &profile))
		sluice_json_string(profile, "digest", &is);
	if (!strcmp(is, digest))
		return 0;
	p = json_object_new_object();
	sluice_profile_put(p, &apply->want.profile);
	return act(apply, "change the profile of", apply->want.name, "UseProfile", p);
}

/* Who may connect, as @export of the file says, where @is says otherwise. */
static int change_hosts(struct apply *apply, struct json_object *export,
			struct json_object *is)
{
	struct json_object *p, *value;
	int status;

	if (sluice_manifest_same_hosts(export, is))
		return 0;
	p = json_object_new_object();
	if (json_object_object_get_ex(export, "allow", &value))
		json_object_object_add(p, "allow", json_object_get(value));
	if (json_object_object_get_ex(export, "allow_any", &value))
		json_object_object_add(p, "allow_any", json_object_get(value));
	status = act(apply, "change the hosts of", apply->want.name, "Admit", p);
	return status || !apply->dry_run ? status : check_export(apply, export);
}

/* An address without a port means the default one. */
static bool same_address(struct json_object *want, struct json_object *have)
{
	const char *wanted = NULL, *is = "";
	size_t len;

	sluice_json_string(want, "address", &wanted);
	sluice_json_string(want, "controller", &wanted);
	sluice_json_string(have, "address", &is);
	len = wanted ? strlen(wanted) : 0;
	return !wanted || !strcmp(wanted, is) ||
	       (!strncmp(wanted, is, len) && !strcmp(is + len, ":4420"));
}

/* What is not said of a pci export is as it may be. */
static bool same_number(struct json_object *want, struct json_object *have, const char *key)
{
	uint64_t wanted, is;

	return sluice_json_u64(want, key, &wanted) || sluice_json_u64(have, key, &is) ||
	       wanted == is;
}

/* What cannot be changed below a host is as the file wants it. */
static int compare_export(struct apply *apply, struct json_object *want, struct json_object *is,
			  const char *kind)
{
	const char *name = apply->want.name, *what = NULL;

	if (!same_address(want, is))
		what = "at another address";
	else if (!same_number(want, is, "queues"))
		what = "with another number of queues";
	else if (!same_number(want, is, "mdts_kb"))
		what = "with another largest transfer";
	if (!what)
		return 0;
	return sluice_fail(apply->ctl, SLUICE_EXIT_MISMATCH,
			   "Deployment %s is exported over %s %s, perhaps to a host: run \"sluicectl unexport %s %s\" first.",
			   name, kind, what, name, kind);
}

/* Those that are there: compared, ended if the file has no such, or with other hosts. */
static int change_exports_there(struct apply *apply, const struct sluice_deployment *have)
{
	size_t i, n = have->exports ? json_object_array_length(have->exports) : 0;
	struct json_object *want = apply->want.exports, *one, *p, *is, *shared = NULL;
	const char *kind;
	int status = 0;

	for (i = 0; i < n && !status; i++) {
		is = json_object_array_get_idx(have->exports, i);
		if (sluice_json_string(is, "kind", &kind))
			continue;
		one = sluice_json_find(want, "kind", kind);
		if (!one)
			continue;
		status = compare_export(apply, one, is, kind);
		if (strcmp(kind, "pci"))
			shared = is;
	}
	for (i = 0; i < n && !status; i++) {
		is = json_object_array_get_idx(have->exports, i);
		if (sluice_json_string(is, "kind", &kind) || sluice_json_find(want, "kind", kind))
			continue;
		p = json_object_new_object();
		json_object_object_add(p, "kind", json_object_new_string(kind));
		status = act(apply, "end the export over", kind, "Unexport", p);
	}
	/* If the file says nothing of them they are somebody else's. */
	is = sluice_manifest_hosts(want);
	return status || !shared || !is ? status : change_hosts(apply, is, shared);
}

static int change_exports(struct apply *apply, const struct sluice_deployment *have)
{
	struct json_object *want = apply->want.exports, *one;
	size_t i, n = want ? json_object_array_length(want) : 0;
	const char *kind;
	int status;

	/* Without the key, exports are somebody else's. */
	if (!want)
		return 0;
	/* First: one is made only if it has the same hosts as those that are there. */
	status = change_exports_there(apply, have);
	for (i = 0; i < n && !status; i++) {
		one = json_object_array_get_idx(want, i);
		if (!sluice_json_string(one, "kind", &kind) &&
		    !sluice_json_find(have->exports, "kind", kind))
			status = add_export(apply, one);
	}
	return status;
}

/* "max" is as large as it was, whatever that is. */
static bool same_size(const struct sluice_manifest *want, const struct sluice_deployment *have)
{
	uint64_t bytes;

	if (!want->size || !have->namespace_bytes)
		return true;
	if (!strcmp(want->size, "image"))
		return have->namespace_bytes == have->image_bytes;
	return sluice_parse_bytes(want->size, &bytes) || bytes == have->namespace_bytes;
}

static int change(struct apply *apply)
{
	struct sluice_deployment have;
	int status;

	sluice_deployment_read(apply->have, &have);
	if (strcmp(have.local, apply->want.local))
		return sluice_fail(apply->ctl, SLUICE_EXIT_MISMATCH,
				   "Deployment %s is on %s, not on %s: detach it first, or choose another name.",
				   have.name, have.local, apply->want.local);
	if (!same_size(&apply->want, &have))
		return sluice_fail(apply->ctl, SLUICE_EXIT_MISMATCH,
				   "Deployment %s has a device of %" PRIu64 " bytes, which is decided when the disk is formatted: for another size detach it, and deploy it anew with --format --force.",
				   have.name, have.namespace_bytes);
	/* Of a complete one, neither the sources nor the copy matter any more. */
	status = strcmp(have.state, "complete") ? change_sources(apply) : 0;
	if (!status && strcmp(have.state, "complete"))
		status = change_limits(apply, &have);
	if (!status && strcmp(have.state, "complete"))
		status = change_profile(apply);
	return status ? status : change_exports(apply, &have);
}

static int look(struct apply *apply)
{
	struct json_object *reply, *list;
	int status;

	status = sluice_client_call(apply->ctl, "Status", NULL, &reply);
	if (status)
		return status;
	if (json_object_object_get_ex(reply, "deployments", &list) &&
	    json_object_is_type(list, json_type_array))
		apply->have = json_object_get(sluice_json_find(list, "name", apply->want.name));
	json_object_put(reply);
	return 0;
}

static struct json_object *text_or_null(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

static void report(struct apply *apply, const char *path, int status)
{
	const struct sluice_error *error = &apply->ctl->error;
	struct json_object *o;

	if (!apply->ctl->json) {
		if (!status && !json_object_array_length(apply->actions))
			sluice_output_text(stdout, "%s: is as %s wants it\n", apply->want.name,
					   path);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "file", json_object_new_string(path));
	json_object_object_add(o, "name", text_or_null(apply->want.name));
	json_object_object_add(o, "dry_run", json_object_new_boolean(apply->dry_run));
	json_object_object_add(o, "ok", json_object_new_boolean(!status));
	json_object_object_add(o, "error", text_or_null(status ? error->kind : NULL));
	json_object_object_add(o, "message", text_or_null(status ? error->message : NULL));
	json_object_object_add(o, "actions", json_object_get(apply->actions));
	json_object_object_add(o, "findings", json_object_get(apply->findings));
	sluice_output_json(stdout, o);
	json_object_put(o);
}

/* @names has the file of each deployment so far: the second would change what the first did. */
static int take_name(struct apply *apply, struct json_object *names, const char *path)
{
	const char *other;

	if (!sluice_json_string(names, apply->want.name, &other))
		return sluice_fail(apply->ctl, SLUICE_EXIT_USAGE,
				   "%s: The deployment %s is that of %s already: give each a name of its own, or remove one of the files.",
				   path, apply->want.name, other);
	json_object_object_add(names, apply->want.name, json_object_new_string(path));
	return 0;
}

static int apply_file(struct sluice_ctl *ctl, const char *path, struct json_object *names,
		      bool dry_run)
{
	struct apply apply = { .ctl = ctl, .dry_run = dry_run };
	int status;

	apply.actions = json_object_new_array();
	apply.findings = json_object_new_array();
	status = sluice_manifest_read(ctl, path, &apply.want);
	if (!status)
		status = take_name(&apply, names, path);
	if (!status) {
		status = look(&apply);
		if (!status)
			status = apply.have ? change(&apply) : deploy_new(&apply);
		/* Of many files in a log it is not known otherwise. */
		sluice_error_at(ctl, path);
	}
	report(&apply, path, status);
	json_object_put(apply.actions);
	json_object_put(apply.findings);
	json_object_put(apply.have);
	sluice_manifest_free(&apply.want);
	return status;
}

static int is_manifest(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && !strcmp(entry->d_name + len - 5, ".json");
}

/*
 * One that fails does not keep the others from being applied. The status is that of one that
 * may work later, if there is such: then all are to be applied again.
 */
static int apply_directory(struct sluice_ctl *ctl, const char *path, struct json_object *names,
			   bool dry_run)
{
	struct dirent **entries;
	int n, i, status, told = 0;
	char *file;

	n = scandir(path, &entries, is_manifest, alphasort);
	if (n < 0)
		return sluice_fail(ctl, SLUICE_EXIT_USAGE, "%s cannot be read: %s.", path,
				   strerror(errno));
	for (i = 0; i < n; i++) {
		if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
			file = NULL;
		status = file ? apply_file(ctl, file, names, dry_run) : SLUICE_EXIT_FAILED;
		if (status) {
			/* main() prints only one, the last. */
			if (i + 1 < n) {
				sluice_error_print(ctl);
				sluice_error_clear(ctl);
			}
			if (!told || (sluice_error_lasts(told) && !sluice_error_lasts(status)))
				told = status;
		}
		free(file);
		free(entries[i]);
	}
	free(entries);
	return told;
}

int sluice_cmd_apply(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_args args = {
		.ctl = ctl, .options = sluice_apply_options, .argc = argc, .argv = argv,
	};
	const char *path = DIRECTORY, *value;
	struct json_object *names;
	bool dry_run = false;
	struct stat st;
	int id, status;

	while ((id = sluice_args_next(&args, &value)) > 0)
		dry_run = true;
	if (id == SLUICE_ARGS_STOP)
		return args.status;
	if (args.words > 1)
		return sluice_usage(ctl, "\"%s\" is one word too many.", argv[1]);
	if (args.words)
		path = argv[0];
	names = json_object_new_object();
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		status = apply_directory(ctl, path, names, dry_run);
	else
		status = apply_file(ctl, path, names, dry_run);
	json_object_put(names);
	return status;
}
