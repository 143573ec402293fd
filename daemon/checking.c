// SPDX-License-Identifier: GPL-2.0-or-later
#include "checking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "deploy.h"
#include "job.h"
#include "localdisk.h"
#include "source.h"

/* Of one request, until it is answered. */
struct check {
	struct sluiced_job job;
	struct sluiced_check_request request;
	const struct sluiced_source_options *options;
	void (*answer)(void *ctx, struct json_object *findings);
	void *ctx;

	/* The job's. */
	struct json_object *findings;
	struct sluice_image image;	/* of the first source that answers */
	bool has_image;
	struct sluiced_localdisk disk;
	bool has_disk;
};

/* With @fault NULL all is well. */
static void find(struct check *check, const char *subject, const char *object,
		 const struct sluiced_fault *fault, const char *message)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "subject", json_object_new_string(subject));
	json_object_object_add(o, "object", json_object_new_string(object));
	json_object_object_add(o, "error",
			       fault ? json_object_new_string(sluiced_fault_name(fault->kind)) :
				       NULL);
	json_object_object_add(o, "message",
			       json_object_new_string(fault ? fault->text : message));
	json_object_array_add(check->findings, o);
}

static void check_disk(struct check *check, int control)
{
	const char *local = check->request.local;
	struct sluiced_fault fault;
	char message[64];

	if (!sluiced_localdisk_inspect(&check->disk, local, &fault))
		return find(check, "disk", local, &fault, NULL);
	check->has_disk = true;
	snprintf(message, sizeof(message), "It is free and has %llu bytes.",
		 (unsigned long long)check->disk.bytes);
	find(check, "disk", local, NULL, message);
	if (control < 0)
		return;
	if (sluiced_localdisk_deployed(&check->disk, control)) {
		find(check, "content", local, NULL,
		     "It holds a deployment, which goes on if it is of this image.");
	} else if (check->request.must_hold) {
		sluiced_fault(&fault, SLUICED_NOT_FORMATTED,
			      "It holds no deployment, and is not to be formatted: allow that, or choose the disk of the deployment.");
		find(check, "content", local, &fault, NULL);
	} else if (sluiced_localdisk_blank(&check->disk, local, control, &fault)) {
		find(check, "content", local, NULL, "It is blank.");
	} else {
		find(check, "content", local, &fault, NULL);
	}
}

static bool same_image(struct check *check, const struct sluice_image *image,
		       struct sluiced_fault *fault)
{
	const struct sluice_image *first = &check->image;

	if (!check->has_image) {
		check->image = *image;
		check->has_image = true;
		return true;
	}
	if (image->bytes == first->bytes && image->digest_kind == first->digest_kind &&
	    !memcmp(image->digest, first->digest, sizeof(first->digest)))
		return true;
	return sluiced_fault(fault, SLUICED_MISMATCH,
			     "It has another image than the sources before it: give places of one image, or deploy it anew.");
}

static bool fits(struct check *check, const struct sluice_image *image, const char *uri,
		 struct sluiced_fault *fault)
{
	return !check->has_disk ||
	       sluiced_deploy_check_image(image, uri, &check->disk, check->request.local, fault);
}

static void check_source(struct check *check, const char *uri)
{
	char why[SLUICED_WHY_LEN], message[64];
	struct sluiced_source *source;
	struct sluiced_fault fault;

	if (sluiced_source_open_sampled(&source, uri, check->options, why, sizeof(why))) {
		sluiced_fault(&fault, SLUICED_SOURCE_UNREACHABLE, "%s", why);
		return find(check, "source", uri, &fault, NULL);
	}
	if (same_image(check, &source->image, &fault) &&
	    fits(check, &source->image, uri, &fault)) {
		snprintf(message, sizeof(message), "It has an image of %llu bytes.",
			 (unsigned long long)source->image.bytes);
		find(check, "source", uri, NULL, message);
	} else {
		find(check, "source", uri, &fault, NULL);
	}
	sluiced_source_drop(source);
}

static void check_export(struct check *check, const struct sluiced_export *export)
{
	struct sluiced_fault fault;

	if (sluiced_export_possible(export, &fault))
		find(check, "export", export->kind, NULL, "It can be made.");
	else
		find(check, "export", export->kind, &fault, NULL);
}

static void work(struct sluiced_job *job)
{
	struct check *check = container_of(job, struct check, job);
	struct sluiced_fault fault;
	size_t i;
	int fd;

	check->findings = json_object_new_array();
	fd = sluiced_deploy_module(&fault);
	if (fd < 0)
		find(check, "module", "sluice.ko", &fault, NULL);
	else
		find(check, "module", "sluice.ko", NULL, "It is loaded.");
	if (check->request.local[0])
		check_disk(check, fd);
	for (i = 0; i < check->request.sources.count; i++)
		check_source(check, check->request.sources.path[i].uri);
	for (i = 0; i < check->request.export_count; i++)
		check_export(check, &check->request.exports[i]);
	if (fd >= 0)
		close(fd);
}

static void done(struct sluiced_job *job)
{
	struct check *check = container_of(job, struct check, job);

	check->answer(check->ctx, check->findings);
	free(check);
}

void sluiced_checking_start(struct sluiced_daemon *daemon,
			    const struct sluiced_check_request *request,
			    void (*answer)(void *ctx, struct json_object *findings), void *ctx)
{
	struct check *check = calloc(1, sizeof(*check));

	if (!check)
		return answer(ctx, NULL);
	check->request = *request;
	check->options = &daemon->source_options;
	check->answer = answer;
	check->ctx = ctx;
	check->job.work = work;
	check->job.done = done;
	sluiced_job_start(&check->job);
}
