// SPDX-License-Identifier: GPL-2.0-or-later
#include "restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <systemd/sd-id128.h>

#include "deploy.h"
#include "deployment.h"
#include "exporting.h"
#include "log.h"
#include "sysfs.h"

/* A disk or a module that comes late, at boot, comes within seconds. */
#define RETRY_MS	1000

static void restore(struct sluiced_deployment *d);

static void restore_again(struct sluiced_timer *timer)
{
	restore(container_of(timer, struct sluiced_deployment, retry));
}

static bool open_work(struct sluiced_task *task)
{
	struct sluiced_deployment *d = container_of(task, struct sluiced_deployment, task);
	const struct sluiced_record *r = &d->record;
	struct sluice_opening o = {
		.flags = SLUICE_OPEN_IDENTITY | SLUICE_OPEN_UUID,
		.image = r->image,
		.deadline_ms = r->deadline_ms,
	};
	struct stat st;
	int fd;

	task->err = -EAGAIN;
	if (stat(r->local, &st) || !S_ISBLK(st.st_mode))
		return sluiced_fault(&task->fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s is not there; waiting for it.", r->local);
	o.disk = st.st_rdev;
	snprintf(o.name, sizeof(o.name), "%s", r->name);
	snprintf(o.disk_id, sizeof(o.disk_id), "%s", r->local_id);
	memcpy(o.uuid, r->uuid, sizeof(o.uuid));
	fd = sluiced_deploy_module(&task->fault);
	if (fd < 0)
		return false;
	task->err = sluice_control_open_device(fd, &o);
	close(fd);
	task->of.index = o.index;
	if (!task->err)
		return true;
	return sluiced_deploy_refused(&task->fault, r->local, o.refusal, task->err);
}

/* Whether trying again can help: what is on the disk does not change. */
static bool is_final(const struct sluiced_fault *fault, int err)
{
	return err != -EAGAIN &&
	       (fault->kind == SLUICED_NOT_FORMATTED || fault->kind == SLUICED_MISMATCH ||
		fault->kind == SLUICED_DAMAGED || fault->kind == SLUICED_IMAGE_UNUSABLE);
}

static void open_done(struct sluiced_deployment *d, struct sluiced_task *task)
{
	size_t i;

	if (task->ok) {
		/* The machine or the module is new: what has those numbers is not ours. */
		for (i = 0; i < d->record.export_count; i++) {
			d->record.exports[i].port_id = 0;
			d->record.exports[i].own_port = false;
		}
		return sluiced_deployment_begin(d, task->of.index, NULL);
	}
	if (is_final(&task->fault, task->err)) {
		sluiced_deployment_fail(d, false, "%s", task->fault.text);
		return;
	}
	sluiced_deployment_trouble(d, "%s", task->fault.text);
	sluiced_timer_start(&d->daemon->loop, &d->retry, RETRY_MS);
}

static void note_local(struct sluiced_deployment *d)
{
	struct stat st;

	if (!stat(d->record.local, &st) && S_ISBLK(st.st_mode))
		d->local = st.st_rdev;
}

/* A device of a request that the last daemon did not live to finish. */
static bool adopt(struct sluiced_deployment *d, int index)
{
	char dir[64], text[64];
	sd_id128_t uuid;

	snprintf(dir, sizeof(dir), "/sys/block/sluice%d/sluice", index);
	if (sluiced_sysfs_read_at(dir, "uuid", text, sizeof(text)) ||
	    sd_id128_from_string(text, &uuid) < 0)
		return false;
	memcpy(d->record.uuid, uuid.bytes, sizeof(d->record.uuid));
	d->record.phase = SLUICED_PHASE_OPEN;
	sluiced_deployment_save(d);
	return true;
}

/* Letting go of the source of a request that was never finished. */
struct drop {
	struct sluiced_job job;
	const struct sluiced_source_options *options;
	struct sluiced_paths paths;
};

static void drop_work(struct sluiced_job *job)
{
	struct drop *drop = container_of(job, struct drop, job);

	size_t i;

	for (i = 0; i < drop->paths.count; i++)
		sluiced_source_forget(drop->paths.path[i].uri, drop->options);
}

static void drop_done(struct sluiced_job *job)
{
	free(container_of(job, struct drop, job));
}

/* At once, so that the request can be repeated under its name. */
static void drop(struct sluiced_deployment *d)
{
	struct drop *rest = calloc(1, sizeof(*rest));

	sluiced_log(LOG_NOTICE, d->record.name,
		    "The last daemon ended before it was deployed: repeat the request.");
	sluiced_state_remove(d->daemon->state_dir, d->record.name);
	if (rest) {
		rest->job.work = drop_work;
		rest->job.done = drop_done;
		rest->options = &d->daemon->source_options;
		rest->paths = d->record.paths;
		sluiced_job_start(&rest->job);
	}
	sluiced_deployment_free(d);
}

static void restore(struct sluiced_deployment *d)
{
	struct sluiced_record *r = &d->record;
	bool opening = r->phase == SLUICED_PHASE_OPENING;
	int index;

	d->retry.fire = restore_again;
	note_local(d);
	index = sluiced_sysfs_find_device(opening ? NULL : r->uuid, r->name);
	if (opening && (index < 0 || !adopt(d, index)))
		drop(d);
	else if (index >= 0)
		sluiced_deployment_begin(d, index, NULL);
	else
		sluiced_deployment_task(d, open_work, open_done);
}

static void found(void *ctx, const struct sluiced_record *record)
{
	struct sluiced_deployment *d = sluiced_deployment_new(ctx, record);

	if (!d)
		sluiced_log(LOG_ERR, record->name,
			    "There is no room for the deployment: it is left as it is.");
	else
		restore(d);
}

void sluiced_restore(struct sluiced_daemon *daemon)
{
	int err = sluiced_state_load(daemon->state_dir, found, daemon);

	if (err)
		sluiced_log(LOG_ERR, "sluiced", "The state in %s cannot be read: %s.",
			    daemon->state_dir, strerror(-err));
}

static bool is_pending(struct sluiced_deployment *d)
{
	if (!d->known)
		return d->stage != SLUICED_STAGE_FAILED;
	return d->stage == SLUICED_ATTACHING || !sluiced_exporting_is_up(d);
}

const struct sluiced_deployment *sluiced_restore_pending(struct sluiced_daemon *daemon)
{
	struct sluiced_deployment *d;

	for (d = daemon->deployments; d; d = d->next)
		if (is_pending(d))
			return d;
	return NULL;
}
