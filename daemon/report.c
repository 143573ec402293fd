// SPDX-License-Identifier: GPL-2.0-or-later
#include "report.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>
#include <systemd/sd-id128.h>

const char *sluiced_report_state(const struct sluiced_deployment *d)
{
	if (sluiced_deployment_has_failed(d))
		return "failed";
	if (d->stage == SLUICED_COMPLETE)
		return "complete";
	if (d->stalled)
		return "stalled";
	if (d->stage == SLUICED_COMPLETING)
		return "completing";
	if ((d->record.paused || d->recording.on) && d->stage == SLUICED_RUNNING)
		return "paused";
	return d->stage == SLUICED_RUNNING && d->had_source ? "copying" : "starting";
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_number(struct json_object *o, const char *key, uint64_t number)
{
	json_object_object_add(o, key, json_object_new_uint64(number));
}

const char *sluiced_report_role(const struct sluiced_paths *paths, size_t i)
{
	if (paths->path[i].wrong)
		return "wrong";
	return i == paths->active ? "active" : "standby";
}

static struct json_object *sources_of(const struct sluiced_paths *paths)
{
	struct json_object *list = json_object_new_array(), *o;
	size_t i;

	for (i = 0; i < paths->count; i++) {
		o = json_object_new_object();
		add_text(o, "uri", paths->path[i].uri);
		add_text(o, "role", sluiced_report_role(paths, i));
		json_object_array_add(list, o);
	}
	return list;
}

static void add_names(struct json_object *o, const struct sluiced_deployment *d)
{
	const struct sluiced_record *r = &d->record;
	char uuid[SD_ID128_UUID_STRING_MAX], device[32];
	sd_id128_t id;

	memcpy(id.bytes, r->uuid, sizeof(id.bytes));
	add_text(o, "name", r->name);
	add_text(o, "uuid", sd_id128_to_uuid_string(id, uuid));
	add_text(o, "state", sluiced_report_state(d));
	json_object_object_add(o, "error",
			       d->error[0] ? json_object_new_string(d->error) : NULL);
	snprintf(device, sizeof(device), "/dev/sluice%u", d->index);
	json_object_object_add(o, "device", d->known ? json_object_new_string(device) : NULL);
	json_object_object_add(o, "index", d->known ? json_object_new_int64(d->index) : NULL);
	add_text(o, "source", r->paths.path[r->paths.active].uri);
	json_object_object_add(o, "sources", sources_of(&r->paths));
	add_text(o, "local", r->local);
	add_text(o, "image_name", r->image.name);
	add_text(o, "image_id", r->image.id);
	add_number(o, "image_bytes", r->image.bytes);
	add_number(o, "namespace_bytes", r->namespace_bytes);
}

/* What is copied besides what the host asks for. */
static struct json_object *phase_of(const struct sluiced_deployment *d)
{
	const struct sluiced_scheduler *s = &d->copier.scheduler;

	if (d->stage != SLUICED_RUNNING || d->sealed || d->record.paused || d->recording.on)
		return NULL;
	if (sluiced_scheduler_in_profile(s))
		return json_object_new_string("profile");
	return json_object_new_string(s->floor < s->geo.image_blocks ? "image" : "zeroes");
}

static struct json_object *eta_of(const struct sluiced_deployment *d, uint64_t missing)
{
	uint64_t behind = sluiced_scheduler_behind(&d->copier.scheduler) * SLUICE_BLOCK_SIZE;
	uint64_t seconds;

	if (behind > missing)
		behind = missing;
	return sluiced_estimate_end(&d->estimate, missing - behind, behind, &seconds) ?
		       json_object_new_uint64(seconds) : NULL;
}

static void add_progress(struct json_object *o, const struct sluiced_deployment *d,
			 const struct sluice_counters *now)
{
	const struct sluiced_record *r = &d->record;
	uint64_t local = now->resident_blocks * SLUICE_BLOCK_SIZE;
	uint64_t missing = now->total_blocks - now->resident_blocks;
	struct json_object *percent, *eta = NULL;
	char text[16];
	unsigned int basis_points = 0;

	/* Rounded down: only what is all there is 100. */
	if (now->total_blocks)
		basis_points = (double)now->resident_blocks / now->total_blocks * 10000;
	if (missing && basis_points > 9999)
		basis_points = 9999;
	snprintf(text, sizeof(text), "%u.%02u", basis_points / 100, basis_points % 100);
	percent = json_object_new_double_s(basis_points / 100.0, text);
	if (d->stage == SLUICED_RUNNING && missing)
		eta = eta_of(d, missing * SLUICE_BLOCK_SIZE);
	add_number(o, "local_bytes", local < r->namespace_bytes ? local : r->namespace_bytes);
	json_object_object_add(o, "percent", percent);
	add_number(o, "fetched_bytes", d->copier.fetched_bytes);
	add_number(o, "demand_bytes", d->copier.demand_bytes);
	add_number(o, "profile_bytes", d->copier.profile_bytes);
	add_number(o, "readahead_bytes",
		   d->copier.scheduler.readahead.blocks * SLUICE_BLOCK_SIZE);
	add_number(o, "readahead_unused_bytes",
		   sluiced_readahead_unused(&d->copier.scheduler.readahead) * SLUICE_BLOCK_SIZE);
	add_number(o, "zero_bytes", d->copier.zero_bytes);
	add_number(o, "skipped_bytes", d->copier.skipped_bytes);
	json_object_object_add(o, "phase", phase_of(d));
	json_object_object_add(o, "profile", sluiced_recording_report_profile(d));
	json_object_object_add(o, "recording", sluiced_recording_report(d));
	add_number(o, "waiting", now->parked);
	add_number(o, "expired", now->expired);
	add_number(o, "rate", d->stage == SLUICED_RUNNING ?
				      sluiced_estimate_rate(&d->estimate) : 0);
	json_object_object_add(o, "eta_s", eta);
	add_number(o, "min_rate", r->min_rate);
	add_number(o, "max_rate", r->max_rate);
	add_number(o, "generation", d->generation);
	add_number(o, "deadline_ms", now->deadline_ms ? now->deadline_ms : r->deadline_ms);
}

struct json_object *sluiced_report(const struct sluiced_deployment *d)
{
	struct json_object *o = json_object_new_object();
	struct json_object *exports = json_object_new_array();
	struct sluice_counters now = { 0 };
	size_t i;

	if (!o || !exports) {
		json_object_put(o);
		json_object_put(exports);
		return NULL;
	}
	/* Without a device there is nothing to count. */
	if (sluiced_deployment_stat(d, &now))
		memset(&now, 0, sizeof(now));
	add_names(o, d);
	add_progress(o, d, &now);
	for (i = 0; i < d->record.export_count; i++)
		json_object_array_add(exports, sluiced_export_describe(&d->record.exports[i],
								       d->record.uuid));
	json_object_object_add(o, "exports", exports);
	return o;
}
