// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <linux/sluice.h>

#include "args.h"
#include "command.h"
#include "deployment.h"
#include "export.h"
#include "message.h"
#include "profile_file.h"
#include "units.h"
#include "uri.h"

enum {
	OPT_NAME = 1,
	OPT_SOURCE,
	OPT_LOCAL,
	OPT_SIZE,
	OPT_FORMAT,
	OPT_FORCE,
	OPT_DEADLINE,
	OPT_MIN_RATE,
	OPT_MAX_RATE,
	OPT_PROFILE,
	OPT_PAUSED,
};

const struct sluice_option sluice_deploy_options[] = {
	{ OPT_NAME, "name", "NAME", "The name of the deployment, as without the option; by "
	  "default the last part of the local disk's path." },
	{ OPT_SOURCE, "source", "URI", "The image: nvme-tcp://ADDR[:PORT]/NQN[?nsid=N], "
	  "iscsi://[USER@]ADDR[:PORT]/IQN/LUN, nbd://ADDR[:PORT]/EXPORT or file:PATH. "
	  "Required; repeated, further places of the same image." },
	{ OPT_LOCAL, "local", "DEVICE", "The local disk, as an absolute path. Required." },
	{ OPT_SIZE, "size", "max|image|BYTES", "How large the host sees the disk: all but "
	  "Sluice's tail (max, the default), like the image, or so many bytes (K, M, G, T)." },
	{ OPT_FORMAT, "format", NULL, "Start from nothing: without it the deployment that the "
	  "disk holds is resumed." },
	{ OPT_FORCE, "force", NULL, "With --format: overwrite whatever the disk holds." },
	{ SLUICE_EXPORT_KIND, "export", "tcp|loop|pci", "Also export the device, see \"sluicectl help "
	  "export\" for this and the next options." },
	{ SLUICE_EXPORT_ADDRESS, "address", "ADDR[:PORT]", "Where a tcp export listens, 127.0.0.1:4420 by "
	  "default." },
	{ SLUICE_EXPORT_ALLOW, "allow", "HOSTNQN", "A host that may connect. May be repeated." },
	{ SLUICE_EXPORT_ALLOW_ANY, "allow-any", NULL, "Let every host connect." },
	{ SLUICE_EXPORT_CONTROLLER, "controller", "EPC", "The PCI endpoint controller of a pci "
	  "export." },
	{ SLUICE_EXPORT_QUEUES, "queues", "N", "I/O queues of a pci export." },
	{ SLUICE_EXPORT_MDTS, "mdts", "KIB", "The largest transfer of a pci export." },
	{ OPT_DEADLINE, "deadline", "MS", "Milliseconds that a host request may wait for the "
	  "source, 20000 by default and 3500 while it is exported over pci." },
	{ OPT_MIN_RATE, "min-rate", "RATE", "Bytes a second below which the copy does not yield "
	  "to the host." },
	{ OPT_MAX_RATE, "max-rate", "RATE", "Bytes a second above which the copy does not go." },
	{ OPT_PROFILE, "profile", "FILE", "What to fetch first, see \"sluicectl help profile\"." },
	{ OPT_PAUSED, "paused", NULL, "Do not copy before \"sluicectl resume\"." },
	{ 0 },
};

/* The kernel module refuses more than an hour. */
#define DEADLINE_MAX_MS	3600000

struct request {
	const char *name, *local, *size;
	const char *sources[SLUICE_MAX_SOURCES];
	size_t source_count;
	struct sluice_export_request export;
	bool format, force, paused, has_min, has_max;
	struct sluice_profile profile;
	uint64_t deadline_ms, min_rate, max_rate;
	char size_bytes[SLUICE_UNITS_LEN];
	char derived_name[SLUICE_NAME_LEN];
};

static int take_size(struct sluice_ctl *ctl, struct request *req, const char *value)
{
	uint64_t bytes;

	req->size = value;
	if (sluice_parse_size(value, &bytes))
		return sluice_usage(ctl, "\"%s\" is not a size; write max, image or bytes such as "
				    "20G.", value);
	if (!bytes)
		return 0;
	snprintf(req->size_bytes, sizeof(req->size_bytes), "%" PRIu64, bytes);
	req->size = req->size_bytes;
	return 0;
}

static int take(struct sluice_args *args, struct request *req, int id, const char *value)
{
	switch (id) {
	case OPT_NAME:
		req->name = value;
		return 0;
	case OPT_SOURCE:
		if (req->source_count == SLUICE_MAX_SOURCES)
			return sluice_usage(args->ctl, "A deployment has at most %d sources.",
					    SLUICE_MAX_SOURCES);
		req->sources[req->source_count++] = value;
		return 0;
	case OPT_LOCAL:
		req->local = value;
		return 0;
	case OPT_SIZE:
		return take_size(args->ctl, req, value);
	case OPT_FORMAT:
		req->format = true;
		return 0;
	case OPT_FORCE:
		req->force = true;
		return 0;
	case OPT_DEADLINE:
		return sluice_args_number(args, "deadline", value, 1, DEADLINE_MAX_MS,
					  &req->deadline_ms);
	case OPT_MIN_RATE:
		req->has_min = true;
		return sluice_args_rate(args, "min-rate", value, &req->min_rate);
	case OPT_MAX_RATE:
		req->has_max = true;
		return sluice_args_rate(args, "max-rate", value, &req->max_rate);
	case OPT_PROFILE:
		sluice_profile_free(&req->profile);
		return sluice_profile_read(args->ctl, value, &req->profile);
	case OPT_PAUSED:
		req->paused = true;
		return 0;
	default:
		return sluice_export_take(args, &req->export, id, value);
	}
}

/*
 * The name ends up in an NQN and in configfs: what a by-id path may hold besides
 * is replaced rather than refused, since nobody chose it.
 */
static void derive_name(struct request *req)
{
	const char *base = strrchr(req->local, '/') + 1;
	size_t i;

	snprintf(req->derived_name, sizeof(req->derived_name), "%s", base);
	for (i = 0; req->derived_name[i]; i++) {
		unsigned char c = req->derived_name[i];

		if (!isalnum(c) && c != '-' && c != '_' && c != '.')
			req->derived_name[i] = '-';
	}
	req->name = req->derived_name;
}

static int check(struct sluice_ctl *ctl, struct request *req)
{
	char why[SLUICE_URI_WHY_LEN];
	struct sluice_uri uri;
	size_t i;

	if (!req->source_count)
		return sluice_usage(ctl, "The image to deploy is missing; name it with --source.");
	for (i = 0; i < req->source_count; i++)
		if (sluice_uri_parse(req->sources[i], &uri, why, sizeof(why)))
			return sluice_usage(ctl, "The source cannot be used. %s", why);
	if (!req->local)
		return sluice_usage(ctl, "The local disk to deploy to is missing; name it with "
				    "--local.");
	if (req->local[0] != '/' || !strrchr(req->local, '/')[1])
		return sluice_usage(ctl, "\"%s\" does not name a local disk; write its absolute "
				    "path, such as /dev/nvme0n1.", req->local);
	if (!req->name)
		derive_name(req);
	if (!*req->name || strlen(req->name) >= SLUICE_NAME_LEN)
		return sluice_usage(ctl, "The name of a deployment has 1 to %d bytes.",
				    SLUICE_NAME_LEN - 1);
	if (req->min_rate && req->max_rate && req->min_rate > req->max_rate)
		return sluice_usage(ctl, "The rate of --min-rate is above that of --max-rate.");
	return sluice_export_check(ctl, &req->export, false);
}

/* One is a text, as daemons of before there were several want it. */
static struct json_object *sources_of(const struct request *req)
{
	struct json_object *list;
	size_t i;

	if (req->source_count == 1)
		return json_object_new_string(req->sources[0]);
	list = json_object_new_array();
	for (i = 0; i < req->source_count; i++)
		json_object_array_add(list, json_object_new_string(req->sources[i]));
	return list;
}

/* Says so, for people, when the profile does not fit the image. */
static void note_profile(struct sluice_ctl *ctl, struct json_object *reply)
{
	struct json_object *deployment, *profile;
	char bytes[SLUICE_UNITS_LEN];
	uint64_t clipped = 0;
	bool same = true;

	if (ctl->json || !json_object_object_get_ex(reply, "deployment", &deployment) ||
	    !json_object_object_get_ex(deployment, "profile", &profile))
		return;
	sluice_json_bool(profile, "same_image", &same);
	sluice_json_u64(profile, "clipped_bytes", &clipped);
	if (!same)
		sluice_output_text(stderr, "The profile was made from another image; it is used as "
				   "far as it fits.\n");
	if (clipped)
		sluice_output_text(stderr, "%s of the profile are behind the end of the image, and "
				   "left out.\n",
				   sluice_format_bytes(clipped, bytes, sizeof(bytes)));
}

static struct json_object *parameters_of(const struct request *req)
{
	struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "name", json_object_new_string(req->name));
	json_object_object_add(obj, "source", sources_of(req));
	json_object_object_add(obj, "local", json_object_new_string(req->local));
	if (req->size)
		json_object_object_add(obj, "size", json_object_new_string(req->size));
	if (req->format)
		json_object_object_add(obj, "format", json_object_new_boolean(true));
	if (req->force)
		json_object_object_add(obj, "force", json_object_new_boolean(true));
	if (req->paused)
		json_object_object_add(obj, "paused", json_object_new_boolean(true));
	sluice_profile_put(obj, &req->profile);
	if (req->export.kind) {
		json_object_object_add(obj, "export", json_object_new_string(req->export.kind));
		json_object_object_add(obj, "export_options",
				       sluice_export_options_of(&req->export));
	}
	if (req->deadline_ms)
		json_object_object_add(obj, "deadline_ms",
				       json_object_new_uint64(req->deadline_ms));
	if (req->has_min)
		json_object_object_add(obj, "min_rate", json_object_new_uint64(req->min_rate));
	if (req->has_max)
		json_object_object_add(obj, "max_rate", json_object_new_uint64(req->max_rate));
	return obj;
}

static int deploy(struct sluice_ctl *ctl, struct sluice_args *args, struct request *req)
{
	struct json_object *reply;
	const char *value, *name;
	int id, status;

	while ((id = sluice_args_next(args, &value)) > 0) {
		status = take(args, req, id, value);
		if (status)
			return status;
	}
	if (id == SLUICE_ARGS_STOP)
		return args->status;
	status = sluice_args_name(args, &name);
	if (status)
		return status;
	if (name && req->name)
		return sluice_usage(ctl, "The name is there twice, as a word and with --name.");
	if (name)
		req->name = name;
	status = check(ctl, req);
	if (status)
		return status;
	status = sluice_client_call(ctl, "Deploy", parameters_of(req), &reply);
	if (status)
		return status;
	status = sluice_deployment_print(ctl, reply);
	note_profile(ctl, reply);
	json_object_put(reply);
	return status;
}

int sluice_cmd_deploy(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_args args = {
		.ctl = ctl, .options = sluice_deploy_options, .argc = argc, .argv = argv,
	};
	struct request req = { 0 };
	int status;

	status = deploy(ctl, &args, &req);
	if (!status)
		sluice_export_note(ctl, &req.export);
	sluice_export_request_free(&req.export);
	sluice_profile_free(&req.profile);
	return status;
}
