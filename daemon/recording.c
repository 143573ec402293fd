// SPDX-License-Identifier: GPL-2.0-or-later
#include "recording.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "deployment.h"
#include "log.h"
#include "units.h"

bool sluiced_recording_begin(struct sluiced_deployment *d, uint64_t quiet_ms, uint64_t limit_ms,
			     struct sluiced_fault *fault)
{
	struct sluiced_recording *r = &d->recording;
	uint64_t now = sluiced_now_ms();
	struct sluice_counters stat;

	if (r->on)
		return sluiced_fault(fault, SLUICED_FAILED,
				     "A profile of %s is being recorded already: end that with \"sluicectl mark %s up\".",
				     d->record.name, d->record.name);
	if (d->stage == SLUICED_COMPLETE || d->stage == SLUICED_COMPLETING ||
	    sluiced_deployment_has_failed(d))
		return sluiced_fault(fault, SLUICED_FAILED,
				     "Nothing is fetched for the deployment %s any more, so that no profile can be recorded: deploy it anew with --format.",
				     d->record.name);
	sluice_profile_free(&r->profile);
	*r = (struct sluiced_recording){
		.on = true, .since = now, .until = now + limit_ms, .quiet_ms = quiet_ms,
	};
	if (!sluiced_deployment_stat(d, &stat))
		r->local_bytes = stat.resident_blocks * SLUICE_BLOCK_SIZE;
	sluiced_log(LOG_NOTICE, d->record.name,
		    "Recording a boot profile: only what the host asks for is fetched.");
	if (d->copying)
		sluiced_copier_record(&d->copier, true);
	return true;
}

void sluiced_recording_end(struct sluiced_deployment *d, const char *why)
{
	struct sluiced_recording *r = &d->recording;
	char bytes[SLUICE_UNITS_LEN];

	if (!r->on)
		return;
	r->on = false;
	r->ended = why;
	sluice_profile_set_image(&r->profile, &d->record.image);
	/* What is behind the image's end needs no source. */
	sluice_profile_clip(&r->profile, sluiced_image_blocks(d->record.image.bytes));
	sluiced_log(LOG_NOTICE, d->record.name, "A boot profile is recorded: %zu extents, %s%s.",
		    r->profile.count,
		    sluice_format_bytes(r->profile.blocks * SLUICE_BLOCK_SIZE, bytes,
					sizeof(bytes)),
		    r->full ? "; the host asked for more than one can hold" : "");
	if (d->copying)
		sluiced_copier_record(&d->copier, false);
}

void sluiced_recording_miss(struct sluiced_deployment *d, const struct sluice_wanted *what)
{
	struct sluiced_recording *r = &d->recording;

	if (!r->on)
		return;
	r->last = sluiced_now_ms();
	if (sluice_profile_add(&r->profile, what->block, what->blocks))
		r->full = true;
}

void sluiced_recording_tick(struct sluiced_deployment *d)
{
	struct sluiced_recording *r = &d->recording;
	uint64_t now = sluiced_now_ms();

	if (r->on && now >= r->until)
		sluiced_recording_end(d, "time");
	if (r->on && r->quiet_ms && r->last && now - r->last >= r->quiet_ms)
		sluiced_recording_end(d, "quiet");
}

struct json_object *sluiced_recording_reply(struct sluiced_deployment *d,
					    struct sluiced_fault *fault)
{
	const struct sluiced_recording *r = &d->recording;
	char comment[256], local[SLUICE_UNITS_LEN] = "", *text;
	struct json_object *o;
	size_t len;

	if (r->on || !r->ended) {
		sluiced_fault(fault, SLUICED_FAILED, r->on ?
			      "The profile of %s is still being recorded." :
			      "No profile of %s was recorded since sluiced started.",
			      d->record.name);
		return NULL;
	}
	snprintf(comment, sizeof(comment), "recorded with %s, ended by %s%s%s%s",
		 d->record.name, r->ended,
		 r->full ? "; the host asked for more than a profile holds" : "",
		 r->local_bytes ? "; not seen are first uses of what was local before, " : "",
		 r->local_bytes ? sluice_format_bytes(r->local_bytes, local, sizeof(local)) : "");
	if (sluice_profile_print(&r->profile, comment, &text, &len)) {
		sluiced_fault(fault, SLUICED_FAILED, "There is no memory for the profile of %s.",
			      d->record.name);
		return NULL;
	}
	o = json_object_new_object();
	json_object_object_add(o, "profile", json_object_new_string_len(text, len));
	json_object_object_add(o, "ended", json_object_new_string(r->ended));
	json_object_object_add(o, "full", json_object_new_boolean(r->full));
	json_object_object_add(o, "local_bytes", json_object_new_uint64(r->local_bytes));
	free(text);
	return o;
}

int sluiced_recording_save(const char *dir, const char *name,
			   const struct sluice_profile *profile)
{
	char *text;
	size_t len;
	int err;

	err = sluice_profile_print(profile, NULL, &text, &len);
	if (!err) {
		err = sluiced_state_save_profile(dir, name, text, len);
		free(text);
	}
	return err;
}

static void fit(struct sluiced_deployment *d)
{
	char bytes[SLUICE_UNITS_LEN];
	uint64_t cut;

	if (!d->profile.count)
		return;
	d->profile_other = !sluice_profile_is_of(&d->profile, &d->record.image);
	if (d->profile_other)
		sluiced_log(LOG_WARNING, d->record.name,
			    "The boot profile was made from another image; it is used as far as it fits.");
	cut = sluice_profile_clip(&d->profile, sluiced_image_blocks(d->record.image.bytes));
	d->profile_clipped += cut * SLUICE_BLOCK_SIZE;
	if (cut)
		sluiced_log(LOG_WARNING, d->record.name,
			    "%s of the boot profile are behind the end of the image, and left out.",
			    sluice_format_bytes(cut * SLUICE_BLOCK_SIZE, bytes, sizeof(bytes)));
}

void sluiced_recording_hand_over(struct sluiced_deployment *d)
{
	fit(d);
	sluiced_scheduler_set_profile(&d->copier.scheduler, d->profile.extents,
				      d->profile.count);
}

void sluiced_recording_use(struct sluiced_deployment *d, struct sluice_profile *profile)
{
	struct sluice_profile was = d->profile;

	d->profile = *profile;
	*profile = (struct sluice_profile){ 0 };
	d->profile_clipped = 0;
	/* Without one it is told from every other, and only set again. */
	if (!d->profile.count || sluice_profile_digest(&d->profile, d->profile_digest))
		d->profile_digest[0] = '\0';
	if (d->copying) {
		sluiced_recording_hand_over(d);
		sluiced_copier_pump(&d->copier);
	}
	sluice_profile_free(&was);
}

void sluiced_recording_load(struct sluiced_deployment *d)
{
	char why[SLUICE_PROFILE_WHY_LEN], *text;
	struct sluice_profile profile = { 0 };
	unsigned int line;
	size_t len;
	int err;

	err = sluiced_state_load_profile(d->daemon->state_dir, d->record.name, &text, &len);
	if (err == -ENOENT)
		return;
	snprintf(why, sizeof(why), "%s.", strerror(-err));
	if (!err) {
		err = sluice_profile_parse(&profile, text, len, &line, why);
		free(text);
	}
	if (!err)
		sluiced_recording_use(d, &profile);
	if (err)
		sluiced_log(LOG_ERR, d->record.name,
			    "The boot profile in %s cannot be read, and is not used: %s",
			    d->daemon->state_dir, why);
}

static struct json_object *sizes(const struct sluice_profile *p)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "extents", json_object_new_uint64(p->count));
	json_object_object_add(o, "bytes", json_object_new_uint64(p->blocks * SLUICE_BLOCK_SIZE));
	return o;
}

struct json_object *sluiced_recording_report(const struct sluiced_deployment *d)
{
	return d->recording.on ? sizes(&d->recording.profile) : NULL;
}

struct json_object *sluiced_recording_report_profile(const struct sluiced_deployment *d)
{
	struct json_object *o;

	if (!d->profile.count && !d->profile_clipped)
		return NULL;
	o = sizes(&d->profile);
	json_object_object_add(o, "clipped_bytes", json_object_new_uint64(d->profile_clipped));
	json_object_object_add(o, "digest", json_object_new_string(d->profile_digest));
	json_object_object_add(o, "same_image", json_object_new_boolean(!d->profile_other));
	return o;
}
