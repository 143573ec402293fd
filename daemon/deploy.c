// SPDX-License-Identifier: GPL-2.0-or-later
#include "deploy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "detaching.h"
#include "exporting.h"
#include "localdisk.h"
#include "log.h"
#include "modprobe.h"

/* Of one request, until it is answered. */
struct deploy {
	struct sluiced_job job;
	struct sluiced_deployment *d;
	struct sluiced_deploy_request request;
	sluiced_answer_t answer;
	void *ctx;

	/* The job's. */
	const char *state_dir;
	const struct sluiced_source_options *options;
	struct sluiced_source *source;
	struct sluice_opening opening;
	bool ok;
	struct sluiced_fault fault;
};

int sluiced_deploy_module(struct sluiced_fault *fault)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000000 };
	struct sluice_module module = { 0 };
	unsigned int i;
	int fd, err;

	fd = sluice_control_open();
	if (fd < 0) {
		sluiced_modprobe("sluice");
		/* devtmpfs may be a moment behind. */
		for (i = 0; i < 10 && (fd = sluice_control_open()) < 0; i++)
			nanosleep(&pause, NULL);
	}
	if (fd < 0) {
		sluiced_fault(fault, SLUICED_MODULE,
			      "The kernel module is not loaded (" SLUICE_CONTROL_PATH
			      ": %s): load it with \"modprobe sluice\".", strerror(-fd));
		return fd;
	}
	err = sluice_control_info(fd, &module);
	if (!err)
		return fd;
	close(fd);
	if (err == -EPROTO)
		sluiced_fault(fault, SLUICED_MODULE,
			      "The kernel module speaks version %u of the interface and sluiced version %d: install the two of one release.",
			      module.abi_version, SLUICE_ABI_VERSION);
	else
		sluiced_fault(fault, SLUICED_MODULE, "The kernel module does not answer: %s.",
			      strerror(-err));
	return err;
}

bool sluiced_deploy_refused(struct sluiced_fault *fault, const char *local,
			    enum sluice_refusal refusal, int err)
{
	static const struct {
		enum sluiced_fault_kind kind;
		const char *remedy;
	} meanings[] = {
		[SLUICE_REFUSED_TOO_SMALL] = {
			SLUICED_LOCAL_UNUSABLE, "choose a larger disk" },
		[SLUICE_REFUSED_NO_SUPERBLOCK] = {
			SLUICED_NOT_FORMATTED, "deploy with --format to start one" },
		[SLUICE_REFUSED_SUPERBLOCK] = {
			SLUICED_DAMAGED, "start anew with --format --force" },
		[SLUICE_REFUSED_MAP] = {
			SLUICED_DAMAGED, "start anew with --format --force" },
		[SLUICE_REFUSED_VERSION] = {
			SLUICED_MODULE, "load the module of that release" },
		[SLUICE_REFUSED_IMAGE] = {
			SLUICED_MISMATCH,
			"give the source it was made from, or start anew with --format --force" },
		[SLUICE_REFUSED_UUID] = {
			SLUICED_MISMATCH, "check that it is the disk you mean" },
		[SLUICE_REFUSED_DISK] = {
			SLUICED_MISMATCH, "start anew with --format --force" },
		[SLUICE_REFUSED_BLOCK_SIZE] = {
			SLUICED_IMAGE_UNUSABLE,
			"use an image with blocks as large, or another disk" },
		[SLUICE_REFUSED_BUSY] = {
			SLUICED_LOCAL_UNUSABLE, "unmount it or stop what holds it" },
	};
	const char *text = sluice_refusal_text(refusal);

	if (text)
		return sluiced_fault(fault, meanings[refusal].kind,
				     "The local disk %s %s: %s.", local, text,
				     meanings[refusal].remedy);
	if (err == -EEXIST)
		return sluiced_fault(fault, SLUICED_EXISTS,
				     "The kernel has a device of that name already: detach it first.");
	return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
			     "The kernel cannot use the local disk %s: %s.", local,
			     strerror(-err));
}

static const char *source_of(struct deploy *deploy)
{
	return sluiced_paths_active(&deploy->request.record.paths)->uri;
}

/* The first that can be read; others are looked at when they are needed. */
static bool open_source(struct deploy *deploy)
{
	struct sluiced_paths *paths = &deploy->request.record.paths;
	char why[SLUICED_WHY_LEN];
	size_t i;

	for (i = 0; i < paths->count; i++) {
		paths->active = i;
		if (!sluiced_source_open_sampled(&deploy->source, source_of(deploy),
						 deploy->options, why, sizeof(why)))
			return true;
		/* The most wanted one's trouble is told. */
		if (!i)
			sluiced_fault(&deploy->fault, SLUICED_SOURCE_UNREACHABLE, "%s", why);
	}
	return false;
}

bool sluiced_deploy_check_image(const struct sluice_image *image, const char *source,
				const struct sluiced_localdisk *disk, const char *local,
				struct sluiced_fault *fault)
{
	if (image->logical_block != 512 && image->logical_block != 4096)
		return sluiced_fault(fault, SLUICED_IMAGE_UNUSABLE,
				     "The image %s has logical blocks of %u bytes: only 512 and 4096 can be deployed.",
				     source, image->logical_block);
	if (!image->bytes || image->bytes % image->logical_block)
		return sluiced_fault(fault, SLUICED_IMAGE_UNUSABLE,
				     "The image %s is %llu bytes long, which is %s %u: use a disk image.",
				     source, (unsigned long long)image->bytes,
				     image->bytes ? "no multiple of" : "less than",
				     image->logical_block);
	if (image->logical_block < disk->logical_block)
		return sluiced_fault(fault, SLUICED_IMAGE_UNUSABLE,
				     "The image %s has logical blocks of %u bytes, but the local disk %s of %u: use an image with blocks as large.",
				     source, image->logical_block, local,
				     disk->logical_block);
	if (image->bytes >= disk->bytes)
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s is too small: it has %llu bytes, the image %llu, and Sluice's metadata needs some too.",
				     local, (unsigned long long)disk->bytes,
				     (unsigned long long)image->bytes);
	return true;
}

static bool check_image(struct deploy *deploy, const struct sluiced_localdisk *disk)
{
	const struct sluice_image *image = &deploy->source->image;

	if (!sluiced_deploy_check_image(image, source_of(deploy), disk,
					deploy->request.record.local, &deploy->fault))
		return false;
	if (deploy->request.size == SLUICED_SIZE_BYTES &&
	    (deploy->request.bytes < image->bytes ||
	     deploy->request.bytes % image->logical_block))
		return sluiced_fault(&deploy->fault, SLUICED_INVALID_PARAMETER,
				     "The size %llu is less than the image's %llu bytes or no multiple of %u.",
				     (unsigned long long)deploy->request.bytes,
				     (unsigned long long)image->bytes, image->logical_block);
	return true;
}

static void fill_record(struct deploy *deploy)
{
	struct sluiced_record *r = &deploy->request.record;
	struct sluiced_path *path = sluiced_paths_active(&r->paths);

	r->image = deploy->source->image;
	snprintf(path->hint, sizeof(path->hint), "%s", deploy->source->hint);
	snprintf(path->stamp, sizeof(path->stamp), "%s", deploy->source->stamp);
	snprintf(path->id, sizeof(path->id), "%s", deploy->source->image.id);
	path->known = true;
}

static bool save(struct deploy *deploy)
{
	const struct sluiced_record *r = &deploy->request.record;
	int err = sluiced_state_save(deploy->state_dir, r);

	if (!err)
		return true;
	return sluiced_fault(&deploy->fault, SLUICED_FAILED,
			     "The state of %s cannot be saved in %s: %s; nothing was changed.",
			     r->name, deploy->state_dir, strerror(-err));
}

static bool save_profile(struct deploy *deploy)
{
	const struct sluiced_deploy_request *r = &deploy->request;
	int err = r->profile.count ? sluiced_recording_save(deploy->state_dir, r->record.name,
							    &r->profile) : 0;

	if (!err)
		return true;
	return sluiced_fault(&deploy->fault, SLUICED_FAILED,
			     "The boot profile of %s cannot be saved in %s: %s; nothing was changed.",
			     r->record.name, deploy->state_dir, strerror(-err));
}

static bool open_device(struct deploy *deploy, int fd, const struct sluiced_localdisk *disk)
{
	const struct sluiced_deploy_request *request = &deploy->request;
	struct sluiced_record *r = &deploy->request.record;
	struct sluice_opening *o = &deploy->opening;
	int err;

	*o = (struct sluice_opening){
		.flags = SLUICE_OPEN_IDENTITY | (request->format ? SLUICE_OPEN_FORMAT : 0),
		.disk = disk->device,
		.image = r->image,
		.deadline_ms = r->deadline_ms,
	};
	if (request->size == SLUICED_SIZE_IMAGE)
		o->namespace_bytes = r->image.bytes;
	else if (request->size == SLUICED_SIZE_BYTES)
		o->namespace_bytes = request->bytes;
	snprintf(o->name, sizeof(o->name), "%s", r->name);
	snprintf(o->disk_id, sizeof(o->disk_id), "%s", r->local_id);
	err = sluice_control_open_device(fd, o);
	if (err)
		return sluiced_deploy_refused(&deploy->fault, r->local, o->refusal, err);
	memcpy(r->uuid, o->uuid, sizeof(r->uuid));
	r->namespace_bytes = o->namespace_bytes;
	r->phase = o->state == SLUICE_STATE_COMPLETE ? SLUICED_PHASE_COMPLETE :
						       SLUICED_PHASE_OPEN;
	err = sluiced_state_save(deploy->state_dir, r);
	if (err)
		/* The first one worked: a restarted daemon finds the device by name. */
		sluiced_log(LOG_ERR, r->name, "The state cannot be saved in %s: %s.",
			    deploy->state_dir, strerror(-err));
	return true;
}

/* Only the last step changes anything on the disk. */
static bool prepare(struct deploy *deploy, int fd)
{
	const struct sluiced_deploy_request *request = &deploy->request;
	const char *local = request->record.local;
	struct sluiced_localdisk disk;
	bool opened;

	if (!sluiced_localdisk_inspect(&disk, local, &deploy->fault))
		return false;
	if (request->has_export &&
	    !sluiced_export_possible(&request->export, &deploy->fault))
		return false;
	if (request->format && !request->force &&
	    !sluiced_localdisk_blank(&disk, local, fd, &deploy->fault))
		return false;
	snprintf(deploy->request.record.local_id, SLUICE_ID_LEN, "%s", disk.id);
	deploy->request.record.phase = SLUICED_PHASE_OPENING;
	if (request->has_export) {
		/* For a daemon that has to finish this one's work. */
		deploy->request.record.exports[0] = request->export;
		deploy->request.record.export_count = 1;
	}
	/* Before connecting: if we die now, the next daemon disconnects. */
	if (!save(deploy))
		return false;
	opened = save_profile(deploy) && open_source(deploy) && check_image(deploy, &disk);
	if (opened) {
		fill_record(deploy);
		opened = save(deploy) && open_device(deploy, fd, &disk);
	}
	if (!opened)
		sluiced_state_remove(deploy->state_dir, request->record.name);
	return opened;
}

static void work(struct sluiced_job *job)
{
	struct deploy *deploy = container_of(job, struct deploy, job);
	int fd = sluiced_deploy_module(&deploy->fault);

	if (fd < 0)
		return;
	deploy->ok = prepare(deploy, fd);
	close(fd);
	if (deploy->ok || !deploy->source)
		return;
	sluiced_source_drop(deploy->source);
}

static void finish(struct deploy *deploy, const struct sluiced_fault *fault)
{
	if (fault)
		sluiced_log(LOG_ERR, deploy->request.record.name, "Not deployed: %s",
			    fault->text);
	deploy->answer(deploy->ctx, fault);
	sluice_profile_free(&deploy->request.profile);
	free(deploy);
}

static void unwound(void *ctx, const struct sluiced_fault *fault)
{
	struct deploy *deploy = ctx;

	if (fault)
		sluiced_log(LOG_ERR, deploy->request.record.name,
			    "The device stays, for it cannot be removed: %s", fault->text);
	finish(deploy, &deploy->fault);
}

static void exported(void *ctx, const struct sluiced_fault *fault)
{
	struct deploy *deploy = ctx;
	size_t len;

	if (!fault)
		return finish(deploy, NULL);
	deploy->fault = *fault;
	len = strlen(deploy->fault.text);
	snprintf(deploy->fault.text + len, sizeof(deploy->fault.text) - len,
		 " The local disk %s holds the deployment now: deploy again without --format.",
		 deploy->request.record.local);
	sluiced_detaching_start(deploy->d, unwound, deploy);
}

static void done(struct sluiced_job *job)
{
	struct deploy *deploy = container_of(job, struct deploy, job);
	struct sluiced_deployment *d = deploy->d;

	d->busy = false;
	if (!deploy->ok) {
		sluiced_deployment_free(d);
		return finish(deploy, &deploy->fault);
	}
	d->record = deploy->request.record;
	d->record.export_count = 0;
	memset(d->record.exports, 0, sizeof(d->record.exports));
	/* There may be one that an earlier deployment of the name left. */
	sluiced_recording_use(d, &deploy->request.profile);
	sluiced_log(LOG_NOTICE, d->record.name, "%s %s from %s as /dev/sluice%u.",
		    deploy->request.format ? "Deploying" : "Resuming", d->record.local,
		    sluiced_paths_active(&d->record.paths)->uri, deploy->opening.index);
	sluiced_deployment_begin(d, deploy->opening.index, deploy->source);
	if (deploy->request.has_export)
		sluiced_exporting_add(d, &deploy->request.export, exported, deploy);
	else
		finish(deploy, NULL);
}

static bool is_free(struct sluiced_daemon *daemon, const struct sluiced_record *r, dev_t local,
		    struct sluiced_fault *fault)
{
	struct sluiced_deployment *d;

	if (sluiced_deployment_find(daemon, r->name))
		return sluiced_fault(fault, SLUICED_EXISTS,
				     "There is a deployment %s: detach it or choose another name.",
				     r->name);
	for (d = daemon->deployments; d; d = d->next)
		if ((local && d->local == local) || !strcmp(d->record.local, r->local))
			return sluiced_fault(fault, SLUICED_EXISTS,
					     "The local disk %s is that of the deployment %s: detach that first.",
					     r->local, d->record.name);
	return true;
}

void sluiced_deploy_start(struct sluiced_daemon *daemon,
			  const struct sluiced_deploy_request *request,
			  sluiced_answer_t answer, void *ctx)
{
	struct sluice_profile profile = request->profile;
	struct sluiced_fault fault;
	struct deploy *deploy;
	struct stat st;
	dev_t local = 0;

	if (!stat(request->record.local, &st) && S_ISBLK(st.st_mode))
		local = st.st_rdev;
	if (!is_free(daemon, &request->record, local, &fault)) {
		sluice_profile_free(&profile);
		return answer(ctx, &fault);
	}
	deploy = calloc(1, sizeof(*deploy));
	if (deploy)
		deploy->d = sluiced_deployment_new(daemon, &request->record);
	if (!deploy || !deploy->d) {
		sluice_profile_free(&profile);
		free(deploy);
		sluiced_fault(&fault, SLUICED_FAILED,
			      "There is no room for the deployment %s: detach another first.",
			      request->record.name);
		return answer(ctx, &fault);
	}
	/* From here on the name and the disk are taken. */
	deploy->d->busy = true;
	deploy->d->local = local;
	deploy->request = *request;
	deploy->answer = answer;
	deploy->ctx = ctx;
	deploy->state_dir = daemon->state_dir;
	deploy->options = &daemon->source_options;
	sluiced_fault(&deploy->fault, SLUICED_FAILED, "No thread can be started for %s.",
		      request->record.name);
	deploy->job.work = work;
	deploy->job.done = done;
	sluiced_job_start(&deploy->job);
}
