// SPDX-License-Identifier: GPL-2.0-or-later
#include "methods.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "checking.h"
#include "control_server.h"
#include "deploy.h"
#include "deployment.h"
#include "detaching.h"
#include "events.h"
#include "exporting.h"
#include "log.h"
#include "message.h"
#include "name.h"
#include "profile.h"
#include "recording.h"
#include "report.h"
#include "rerouting.h"
#include "units.h"
#include "uri.h"

#define PREFIX	"org.sluice."

/* The module takes no longer ones. */
#define MAX_DEADLINE_MS	(3600 * 1000)

/* Parsing: each says what is wrong and returns false. */

static bool bad(struct sluiced_fault *fault, const char *key, const char *what)
{
	return sluiced_fault(fault, SLUICED_INVALID_PARAMETER, "The parameter %s %s.", key,
			     what);
}

static bool text(struct json_object *p, const char *key, size_t room, bool required,
		 const char **value, struct sluiced_fault *fault)
{
	int err = sluice_json_string(p, key, value);

	if (err == -ENOENT)
		return !required || bad(fault, key, "is missing");
	if (err)
		return bad(fault, key, "is no text");
	if (strlen(*value) >= room)
		return bad(fault, key, "is too long");
	return true;
}

static bool number(struct json_object *p, const char *key, uint64_t max, uint64_t *value,
		   struct sluiced_fault *fault)
{
	int err = sluice_json_u64(p, key, value);

	if (err == -ENOENT)
		return true;
	if (err || *value > max)
		return bad(fault, key, "is no number or too large");
	return true;
}

static bool flag(struct json_object *p, const char *key, bool *value,
		 struct sluiced_fault *fault)
{
	return sluice_json_bool(p, key, value) != -EINVAL ||
	       bad(fault, key, "is neither true nor false");
}

/* The deployment that "name" names; NULL with a fault. */
static struct sluiced_deployment *named(struct sluiced_call *call, struct json_object *p,
					struct sluiced_fault *fault)
{
	struct sluiced_deployment *d;
	const char *name = "";

	if (!text(p, "name", PATH_MAX, true, &name, fault))
		return NULL;
	d = sluiced_deployment_find(sluiced_call_daemon(call), name);
	if (!d)
		sluiced_fault(fault, SLUICED_NOT_FOUND, "There is no deployment %.63s.", name);
	return d;
}

/* As named(), for what needs it to itself. */
static struct sluiced_deployment *named_idle(struct sluiced_call *call, struct json_object *p,
					     struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named(call, p, fault);

	if (d && d->busy) {
		sluiced_fault(fault, SLUICED_FAILED,
			      "Another request for the deployment %s is under way: repeat this one when it is done.",
			      d->record.name);
		return NULL;
	}
	return d;
}

/* As named(), for what changes the record: not while a job fills it. */
static struct sluiced_deployment *named_open(struct sluiced_call *call, struct json_object *p,
					     struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named(call, p, fault);

	return d && d->stage == SLUICED_OPENING ? named_idle(call, p, fault) : d;
}

static void reply_one(struct sluiced_call *call, const char *key, struct json_object *value)
{
	struct json_object *reply = json_object_new_object();

	json_object_object_add(reply, key, value);
	sluiced_call_reply(call, reply);
}

static void reply_deployment(struct sluiced_call *call, struct sluiced_deployment *d)
{
	reply_one(call, "deployment", sluiced_report(d));
}

/* Answers of what takes longer. */

static void answer_empty(void *ctx, const struct sluiced_fault *fault)
{
	if (fault)
		sluiced_call_fail(ctx, fault);
	else
		sluiced_call_reply(ctx, NULL);
}

static struct sluiced_deployment *noted(struct sluiced_call *call)
{
	return sluiced_deployment_find(sluiced_call_daemon(call),
				       sluiced_call_notes(call)->name);
}

static void answer_deployment(void *ctx, const struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = fault ? NULL : noted(ctx);

	if (fault)
		sluiced_call_fail(ctx, fault);
	else if (d)
		reply_deployment(ctx, d);
	else
		sluiced_call_reply(ctx, NULL);
}

static void answer_export(void *ctx, const struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = fault ? NULL : noted(ctx);
	const struct sluiced_export *export =
		d ? sluiced_exporting_find(d, sluiced_call_notes(ctx)->kind) : NULL;

	if (fault)
		sluiced_call_fail(ctx, fault);
	else
		reply_one(ctx, "export",
			  export ? sluiced_export_describe(export, d->record.uuid) : NULL);
}

static void note(struct sluiced_call *call, const char *name, const char *kind)
{
	struct sluiced_call_notes *notes = sluiced_call_notes(call);

	snprintf(notes->name, sizeof(notes->name), "%s", name);
	snprintf(notes->kind, sizeof(notes->kind), "%s", kind);
}

/* The methods. One that returns false has a fault and has not answered. */

static bool parse_size(struct json_object *p, struct sluiced_deploy_request *r,
		       struct sluiced_fault *fault)
{
	const char *size = "max";

	if (!text(p, "size", 64, false, &size, fault))
		return false;
	if (sluice_parse_size(size, &r->bytes))
		return bad(fault, "size", "is neither max, image nor a number of bytes");
	if (r->bytes)
		r->size = SLUICED_SIZE_BYTES;
	else
		r->size = strcmp(size, "max") ? SLUICED_SIZE_IMAGE : SLUICED_SIZE_MAX;
	return true;
}

static bool check_source(const char *source, const char *local, struct sluiced_fault *fault)
{
	char why[SLUICE_URI_WHY_LEN];
	struct sluice_uri uri;

	if (sluice_uri_parse(source, &uri, why, sizeof(why)))
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER, "%s", why);
	if (uri.kind == SLUICE_URI_FILE && !strcmp(uri.path, local))
		return bad(fault, "source", "is the local disk itself");
	return true;
}

static bool add_source(struct sluiced_record *r, const char *source,
		       struct sluiced_fault *fault)
{
	if (!check_source(source, r->local, fault))
		return false;
	switch (sluiced_paths_add(&r->paths, source)) {
	case 0:
		return true;
	case -EEXIST:
		return bad(fault, "source", "is there twice");
	case -ENOSPC:
		return bad(fault, "source", "names more than four sources");
	default:
		return bad(fault, "source", "is too long");
	}
}

/* One as text, or several as an array of texts. */
static bool parse_sources(struct json_object *p, struct sluiced_record *r,
			  struct sluiced_fault *fault)
{
	struct json_object *value, *one;
	size_t i, n;

	if (!json_object_object_get_ex(p, "source", &value))
		return bad(fault, "source", "is missing");
	if (json_object_is_type(value, json_type_string))
		return add_source(r, json_object_get_string(value), fault);
	n = json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
	for (i = 0; i < n; i++) {
		one = json_object_array_get_idx(value, i);
		if (!json_object_is_type(one, json_type_string))
			return bad(fault, "source", "is no text");
		if (!add_source(r, json_object_get_string(one), fault))
			return false;
	}
	return n || bad(fault, "source", "is no text and no array of them");
}

static bool parse_places(struct json_object *p, struct sluiced_record *r,
			 struct sluiced_fault *fault)
{
	const char *name = NULL, *local = NULL;

	if (!text(p, "name", PATH_MAX, true, &name, fault) ||
	    !text(p, "local", sizeof(r->local), true, &local, fault))
		return false;
	if (!sluice_name_is_valid(name))
		return bad(fault, "name",
			   "is no name: use up to 63 letters, digits, \".\", \"_\" and \"-\", and begin with a letter, a digit or \"_\"");
	if (local[0] != '/')
		return bad(fault, "local", "is no absolute path");
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(r->local, sizeof(r->local), "%s", local);
	return parse_sources(p, r, fault);
}

static bool parse_rates(struct json_object *p, uint64_t *min_rate, uint64_t *max_rate,
			struct sluiced_fault *fault)
{
	return number(p, "min_rate", INT64_MAX, min_rate, fault) &&
	       number(p, "max_rate", INT64_MAX, max_rate, fault);
}

static bool parse_profile(struct json_object *p, struct sluice_profile *profile,
			  struct sluiced_fault *fault)
{
	char why[SLUICE_PROFILE_WHY_LEN];
	const char *value = NULL;
	unsigned int line;
	int err;

	if (!text(p, "profile", SLUICE_PROFILE_MAX, false, &value, fault))
		return false;
	if (!value)
		return true;
	err = sluice_profile_parse(profile, value, strlen(value), &line, why);
	if (err == -EINVAL)
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The profile cannot be used, line %u: %s", line, why);
	return !err || sluiced_fault(fault, SLUICED_FAILED, "There is no memory for the profile.");
}

static bool deploy(struct sluiced_call *call, struct json_object *p,
		   struct sluiced_fault *fault)
{
	struct sluiced_deploy_request r = {
		.record.min_rate = SLUICED_DEFAULT_MIN_RATE,
		.record.max_rate = SLUICED_DEFAULT_MAX_RATE,
	};
	struct json_object *options = NULL;
	const char *kind = NULL;
	uint64_t deadline = 0;

	if (!parse_places(p, &r.record, fault) || !parse_size(p, &r, fault) ||
	    !flag(p, "format", &r.format, fault) || !flag(p, "force", &r.force, fault) ||
	    !flag(p, "paused", &r.record.paused, fault) ||
	    !number(p, "deadline_ms", MAX_DEADLINE_MS, &deadline, fault) ||
	    !parse_rates(p, &r.record.min_rate, &r.record.max_rate, fault) ||
	    !text(p, "export", 32, false, &kind, fault))
		return false;
	r.record.deadline_ms = deadline;
	if (r.force && !r.format)
		return bad(fault, "force", "goes with format only");
	json_object_object_get_ex(p, "export_options", &options);
	if (kind && !sluiced_export_parse(&r.export, kind, options, fault))
		return false;
	r.has_export = kind;
	if (!parse_profile(p, &r.profile, fault))
		return false;
	note(call, r.record.name, "");
	sluiced_deploy_start(sluiced_call_daemon(call), &r, answer_deployment, call);
	return true;
}

static void answer_findings(void *ctx, struct json_object *findings)
{
	struct sluiced_fault fault;

	if (findings)
		return reply_one(ctx, "findings", findings);
	sluiced_fault(&fault, SLUICED_FAILED, "There is no memory left to check anything.");
	sluiced_call_fail(ctx, &fault);
}

static bool parse_export(struct json_object *one, struct sluiced_check_request *r,
			 struct sluiced_fault *fault)
{
	struct json_object *options = NULL;
	const char *kind = "";

	if (!json_object_is_type(one, json_type_object) ||
	    r->export_count == SLUICED_MAX_EXPORTS)
		return bad(fault, "exports", "is no array of up to three objects");
	if (!text(one, "kind", 32, true, &kind, fault))
		return false;
	json_object_object_get_ex(one, "options", &options);
	return sluiced_export_parse(&r->exports[r->export_count++], kind, options, fault);
}

static bool parse_check(struct json_object *p, struct sluiced_check_request *r,
			struct sluiced_fault *fault)
{
	struct sluiced_record record = { 0 };
	struct json_object *value;
	const char *local = "";
	bool format = true;
	size_t i;

	if (!text(p, "local", sizeof(r->local), false, &local, fault) ||
	    !flag(p, "format", &format, fault))
		return false;
	r->must_hold = !format;
	snprintf(r->local, sizeof(r->local), "%s", local);
	snprintf(record.local, sizeof(record.local), "%s", local);
	if (json_object_object_get_ex(p, "source", &value) && !parse_sources(p, &record, fault))
		return false;
	r->sources = record.paths;
	if (!json_object_object_get_ex(p, "exports", &value))
		return true;
	if (!json_object_is_type(value, json_type_array))
		return bad(fault, "exports", "is no array");
	for (i = 0; i < json_object_array_length(value); i++)
		if (!parse_export(json_object_array_get_idx(value, i), r, fault))
			return false;
	return true;
}

static bool check(struct sluiced_call *call, struct json_object *p, struct sluiced_fault *fault)
{
	struct sluiced_check_request r = { 0 };

	if (!parse_check(p, &r, fault))
		return false;
	sluiced_checking_start(sluiced_call_daemon(call), &r, answer_findings, call);
	return true;
}

static bool status(struct sluiced_call *call, struct json_object *p,
		   struct sluiced_fault *fault)
{
	struct json_object *list, *value;
	struct sluiced_deployment *d, *only = NULL;

	if (p && json_object_object_get_ex(p, "name", &value) && value) {
		only = named(call, p, fault);
		if (!only)
			return false;
	}
	list = json_object_new_array();
	for (d = sluiced_call_daemon(call)->deployments; d; d = d->next)
		if (!only || d == only)
			json_object_array_add(list, sluiced_report(d));
	reply_one(call, "deployments", list);
	return true;
}

static bool events(struct sluiced_call *call, struct json_object *p,
		   struct sluiced_fault *fault)
{
	struct sluiced_deployment *only = NULL;
	struct json_object *value;

	if (p && json_object_object_get_ex(p, "name", &value) && value) {
		only = named(call, p, fault);
		if (!only)
			return false;
	}
	return sluiced_events_start(call, only) ||
	       sluiced_fault(fault, SLUICED_FAILED,
			     "There are %d readers of events already: end one first.",
			     SLUICED_MAX_STREAMS);
}

static bool set_paused(struct sluiced_call *call, struct json_object *p, bool paused,
		       struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_open(call, p, fault);

	if (!d)
		return false;
	sluiced_deployment_pause(d, paused);
	reply_deployment(call, d);
	return true;
}

static bool pause_copy(struct sluiced_call *call, struct json_object *p,
		       struct sluiced_fault *fault)
{
	return set_paused(call, p, true, fault);
}

static bool resume_copy(struct sluiced_call *call, struct json_object *p,
			struct sluiced_fault *fault)
{
	return set_paused(call, p, false, fault);
}

static bool limit(struct sluiced_call *call, struct json_object *p, struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_open(call, p, fault);
	uint64_t min_rate, max_rate, deadline;

	if (!d)
		return false;
	min_rate = d->record.min_rate;
	max_rate = d->record.max_rate;
	deadline = d->record.deadline_ms;
	if (!parse_rates(p, &min_rate, &max_rate, fault) ||
	    !number(p, "deadline_ms", MAX_DEADLINE_MS, &deadline, fault))
		return false;
	if (deadline != d->record.deadline_ms) {
		d->record.deadline_ms = deadline;
		sluiced_exporting_deadline(d);
	}
	sluiced_deployment_limit(d, min_rate, max_rate);
	reply_deployment(call, d);
	return true;
}

static bool source_add(struct sluiced_call *call, struct json_object *p,
		       struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_idle(call, p, fault);
	const char *source = "";

	if (!d || !text(p, "source", SLUICED_URI_LEN, true, &source, fault) ||
	    !check_source(source, d->record.local, fault))
		return false;
	if (sluiced_paths_find(&d->record.paths, source))
		return sluiced_fault(fault, SLUICED_EXISTS, "%s is a source of %s already.",
				     source, d->record.name);
	if (d->record.paths.count == SLUICED_MAX_PATHS)
		return sluiced_fault(fault, SLUICED_FAILED,
				     "The deployment %s has %d sources: remove one first.",
				     d->record.name, SLUICED_MAX_PATHS);
	note(call, d->record.name, "");
	sluiced_rerouting_add(d, source, answer_deployment, call);
	return true;
}

static bool source_remove(struct sluiced_call *call, struct json_object *p,
			  struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_idle(call, p, fault);
	const char *source = "";
	struct sluiced_path *path;

	if (!d || !text(p, "source", SLUICED_URI_LEN, true, &source, fault))
		return false;
	path = sluiced_paths_find(&d->record.paths, source);
	if (!path)
		return sluiced_fault(fault, SLUICED_NOT_FOUND, "%s is no source of %s.", source,
				     d->record.name);
	if (d->record.paths.count == 1)
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "%s is the only source of %s: add another one first.",
				     source, d->record.name);
	sluiced_rerouting_remove(d, path);
	reply_deployment(call, d);
	return true;
}

static bool detach(struct sluiced_call *call, struct json_object *p,
		   struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_idle(call, p, fault);

	if (!d)
		return false;
	sluiced_detaching_start(d, answer_empty, call);
	return true;
}

static bool export(struct sluiced_call *call, struct json_object *p,
		   struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_idle(call, p, fault);
	struct json_object *options = NULL;
	struct sluiced_export wanted;
	const char *kind = "";

	if (!d || !text(p, "kind", 32, true, &kind, fault))
		return false;
	json_object_object_get_ex(p, "options", &options);
	if (!sluiced_export_parse(&wanted, kind, options, fault))
		return false;
	if (!d->known)
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "The deployment %s has no device yet: see its status.",
				     d->record.name);
	note(call, d->record.name, kind);
	sluiced_exporting_add(d, &wanted, answer_export, call);
	return true;
}

static bool unexport(struct sluiced_call *call, struct json_object *p,
		     struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_idle(call, p, fault);
	const char *kind = NULL;

	if (!d || !text(p, "kind", 32, false, &kind, fault))
		return false;
	if (kind && !sluiced_exporting_find(d, kind))
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The deployment %s is not exported over %.31s.",
				     d->record.name, kind);
	sluiced_exporting_remove(d, kind, answer_empty, call);
	return true;
}

static bool admit(struct sluiced_call *call, struct json_object *p, struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_idle(call, p, fault);
	struct sluiced_export policy;

	/* Who may connect is of all exports but those over pci. */
	if (!d || !sluiced_export_parse(&policy, sluiced_export_loop.name, p, fault))
		return false;
	if (!policy.policy_given)
		return bad(fault, "allow", "is missing");
	note(call, d->record.name, "");
	sluiced_exporting_admit(d, &policy, answer_deployment, call);
	return true;
}

static bool fail_parked(struct sluiced_call *call, struct json_object *p,
			struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named(call, p, fault);
	int fd, err;

	if (!d)
		return false;
	fd = sluice_control_open();
	err = fd < 0 ? fd : -ENODEV;
	if (fd >= 0 && d->known)
		err = sluice_control_fail_parked(fd, d->index);
	if (fd >= 0)
		close(fd);
	if (err)
		return sluiced_fault(fault, SLUICED_FAILED,
				     "The requests waiting at %s cannot be ended: %s.",
				     d->record.name, strerror(-err));
	sluiced_call_reply(call, NULL);
	return true;
}

static bool record_profile(struct sluiced_call *call, struct json_object *p,
			   struct sluiced_fault *fault)
{
	uint64_t quiet = 0, limit = SLUICED_RECORDING_MAX_MS;
	struct sluiced_deployment *d = named_open(call, p, fault);

	if (!d || !number(p, "quiet_ms", SLUICED_RECORDING_MAX_MS, &quiet, fault) ||
	    !number(p, "limit_ms", SLUICED_RECORDING_MAX_MS, &limit, fault) ||
	    !sluiced_recording_begin(d, quiet, limit, fault))
		return false;
	reply_deployment(call, d);
	return true;
}

static bool profile(struct sluiced_call *call, struct json_object *p,
		    struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named(call, p, fault);
	struct json_object *reply = d ? sluiced_recording_reply(d, fault) : NULL;

	if (reply)
		sluiced_call_reply(call, reply);
	return reply;
}

static bool use_profile(struct sluiced_call *call, struct json_object *p,
			struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_open(call, p, fault);
	const char *dir = sluiced_call_daemon(call)->state_dir;
	struct sluice_profile wanted = { 0 };
	int err;

	if (!d)
		return false;
	if (!json_object_object_get_ex(p, "profile", NULL))
		return bad(fault, "profile", "is missing");
	if (!parse_profile(p, &wanted, fault))
		return false;
	err = sluiced_recording_save(dir, d->record.name, &wanted);
	if (err) {
		sluice_profile_free(&wanted);
		return sluiced_fault(fault, SLUICED_FAILED,
				     "The boot profile of %s cannot be saved in %s: %s; nothing was changed.",
				     d->record.name, dir, strerror(-err));
	}
	sluiced_recording_use(d, &wanted);
	reply_deployment(call, d);
	return true;
}

static bool mark(struct sluiced_call *call, struct json_object *p, struct sluiced_fault *fault)
{
	struct sluiced_deployment *d = named_open(call, p, fault);
	const char *what = "";

	if (!d || !text(p, "mark", 32, true, &what, fault))
		return false;
	if (strcmp(what, "up"))
		return bad(fault, "mark", "is nothing that can be marked: there is \"up\"");
	sluiced_log(LOG_NOTICE, d->record.name, "Marked: the host is up.");
	sluiced_recording_end(d, "mark");
	reply_deployment(call, d);
	return true;
}

static bool version(struct sluiced_call *call, struct json_object *p,
		    struct sluiced_fault *fault)
{
	struct json_object *reply = json_object_new_object();
	struct json_object *module_abi = NULL;
	struct sluice_module module;
	int fd, err;

	(void)p;
	(void)fault;
	fd = sluice_control_open();
	if (fd >= 0) {
		err = sluice_control_info(fd, &module);
		if (!err || err == -EPROTO)
			module_abi = json_object_new_int64(module.abi_version);
		close(fd);
	}
	json_object_object_add(reply, "version", json_object_new_string(SLUICE_VERSION));
	json_object_object_add(reply, "abi_version", json_object_new_int(SLUICE_ABI_VERSION));
	json_object_object_add(reply, "module_abi_version", module_abi);
	sluiced_call_reply(call, reply);
	return true;
}

static const struct {
	const char *name;
	bool (*function)(struct sluiced_call *call, struct json_object *p,
			 struct sluiced_fault *fault);
	bool reads;			/* changes nothing: others than root may, too */
} methods[] = {
	{ "Deploy", deploy, false },
	{ "Status", status, true },
	{ "Events", events, true },
	{ "Pause", pause_copy, false },
	{ "Resume", resume_copy, false },
	{ "Limit", limit, false },
	{ "AddSource", source_add, false },
	{ "RemoveSource", source_remove, false },
	{ "Detach", detach, false },
	{ "Export", export, false },
	{ "Unexport", unexport, false },
	{ "Admit", admit, false },
	{ "FailParked", fail_parked, false },
	{ "RecordProfile", record_profile, false },
	{ "Profile", profile, true },
	{ "UseProfile", use_profile, false },
	{ "Mark", mark, false },
	{ "Version", version, true },
	{ "Check", check, false },
};

void sluiced_method_call(struct sluiced_call *call, const char *method,
			 struct json_object *parameters)
{
	struct sluiced_fault fault;
	const char *name = method;
	size_t i;

	if (!strncmp(name, PREFIX, strlen(PREFIX)))
		name += strlen(PREFIX);
	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (name != method && !strcmp(methods[i].name, name))
			break;
	if (i == sizeof(methods) / sizeof(methods[0]))
		sluiced_fault(&fault, SLUICED_INVALID_PARAMETER, "There is no method %.64s.",
			      method);
	else if (!methods[i].reads && !sluiced_call_is_root(call))
		sluiced_fault(&fault, SLUICED_NOT_PERMITTED, "Only root may call %s.", name);
	else if (methods[i].function(call, parameters, &fault))
		return;
	sluiced_call_fail(call, &fault);
}
