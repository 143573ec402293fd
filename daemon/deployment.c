// SPDX-License-Identifier: GPL-2.0-or-later
#include "deployment.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exporting.h"
#include "log.h"

/* How often the kernel's counters are looked at: a quarter of throttle's window. */
#define TICK_MS			250

/*
 * A daemon that was killed lets go within milliseconds. One that hangs is given up
 * by the kernel's watchdog, which takes longer and is said once.
 */
#define ATTACH_RETRY_MS		20
#define ATTACH_PATIENCE_MS	2000
#define ATTACH_SLOW_MS		1000

/* Reads that go on failing on a source that does not look lost: open it anew. */
#define INSIST_MS		15000

/* The same where another path may have what this one cannot read. */
#define INSIST_OTHER_MS		1000

/* Of a request's deadline, then the next path has the rest; and how often at most. */
#define SLOW_PART		4
#define SLOW_AGAIN_MS		30000

/* The oldest read for the host: longer than one takes, and short of SLOW_PART. */
#define HANGS_MS		1000

static void attach(struct sluiced_deployment *d);

static const char *name_of(const struct sluiced_deployment *d)
{
	return d->record.name;
}

static const char *source_of(struct sluiced_deployment *d)
{
	return sluiced_paths_active(&d->record.paths)->uri;
}

struct sluiced_deployment *sluiced_deployment_find(struct sluiced_daemon *daemon,
						   const char *name)
{
	struct sluiced_deployment *d;

	for (d = daemon->deployments; d; d = d->next)
		if (!strcmp(name_of(d), name))
			return d;
	return NULL;
}

void sluiced_deployment_save(struct sluiced_deployment *d)
{
	int err = sluiced_state_save(d->daemon->state_dir, &d->record);

	if (err)
		sluiced_log(LOG_ERR, name_of(d),
			    "The state cannot be saved in %s (%s): a restarted daemon will not know the latest.",
			    d->daemon->state_dir, strerror(-err));
}

void sluiced_deployment_trouble(struct sluiced_deployment *d, const char *format, ...)
{
	char why[SLUICED_WHY_LEN];
	va_list args;

	if (sluiced_deployment_has_failed(d))
		return;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	if (!d->stalled || strcmp(d->error, why))
		sluiced_log(LOG_WARNING, name_of(d), "%s", why);
	if (!d->stalled) {
		d->stalled_at = sluiced_now_ms();
		d->insisted_at = d->stalled_at;
	}
	d->stalled = true;
	snprintf(d->error, sizeof(d->error), "%s", why);
}

static void end_trouble(struct sluiced_deployment *d)
{
	if (sluiced_deployment_has_failed(d))
		return;
	if (d->stalled)
		sluiced_log(LOG_NOTICE, name_of(d), "The trouble is over.");
	d->stalled = false;
	d->error[0] = '\0';
}

void sluiced_deployment_fail(struct sluiced_deployment *d, bool keep, const char *format, ...)
{
	va_list args;

	if (d->stage == SLUICED_STAGE_FAILED)
		return;
	d->stage = SLUICED_STAGE_FAILED;
	va_start(args, format);
	vsnprintf(d->error, sizeof(d->error), format, args);
	va_end(args);
	sluiced_log(LOG_ERR, name_of(d), "%s", d->error);
	sluiced_timer_stop(&d->retry);
	if (d->copying)
		sluiced_copier_stop(&d->copier, true);
	sluiced_recording_end(d, "a failure");
	sluiced_supply_stop(&d->supply);
	if (keep) {
		snprintf(d->record.failed, sizeof(d->record.failed), "%s", d->error);
		sluiced_deployment_save(d);
	}
}

int sluiced_deployment_stat(const struct sluiced_deployment *d, struct sluice_counters *out)
{
	int fd, err;

	if (!d->known)
		return -ENODEV;
	if (d->attached)
		return sluice_control_stat(d->device.att.fd, d->index, out);
	/* Not kept open: a descriptor would keep the module from being replaced. */
	fd = sluice_control_open();
	if (fd < 0)
		return fd;
	err = sluice_control_stat(fd, d->index, out);
	close(fd);
	return err;
}

/* Tasks. */

static void maybe_quiet(struct sluiced_deployment *d);

static void task_work(struct sluiced_job *job)
{
	struct sluiced_task *task = container_of(job, struct sluiced_task, job);

	task->ok = task->work(task);
}

static void task_done(struct sluiced_job *job)
{
	struct sluiced_task *task = container_of(job, struct sluiced_task, job);
	struct sluiced_deployment *d = container_of(task, struct sluiced_deployment, task);

	d->busy = false;
	maybe_quiet(d);
	/* Last: it may free the deployment. */
	task->done(d, task);
}

void sluiced_deployment_task(struct sluiced_deployment *d,
			     bool (*work)(struct sluiced_task *task),
			     void (*done)(struct sluiced_deployment *d,
					  struct sluiced_task *task))
{
	struct sluiced_task *task = &d->task;

	d->busy = true;
	task->job.work = task_work;
	task->job.done = task_done;
	task->work = work;
	task->done = done;
	task->ok = false;
	task->err = -EAGAIN;
	sluiced_fault(&task->fault, SLUICED_FAILED, "No thread can be started for %s.",
		      name_of(d));
	sluiced_job_start(&task->job);
}

/* Quiescing. */

static void forget_hints(struct sluiced_deployment *d)
{
	size_t i;

	for (i = 0; i < d->record.paths.count; i++)
		d->record.paths.path[i].hint[0] = '\0';
}

static void detached(void *ctx)
{
	struct sluiced_deployment *d = ctx;
	void (*then)(struct sluiced_deployment *d) = d->then;

	d->then = NULL;
	then(d);
}

static void look_quiet(struct sluiced_timer *timer)
{
	struct sluiced_deployment *d = container_of(timer, struct sluiced_deployment, quiet);

	if (!d->then || d->task.job.running || !sluiced_supply_is_idle(&d->supply) ||
	    (d->copying && d->copier.in_flight))
		return;
	if (d->copying)
		sluiced_copier_exit(&d->copier);
	d->copying = false;
	/* The source is closed and its connection gone: the name may get others. */
	forget_hints(d);
	if (!d->attached)
		return detached(d);
	d->attached = false;
	sluiced_device_detach(&d->device, detached);
}

/* Not from where it was noticed: callers are in the middle of their own work. */
static void maybe_quiet(struct sluiced_deployment *d)
{
	if (d->then)
		sluiced_timer_start(&d->daemon->loop, &d->quiet, 0);
}

void sluiced_deployment_quiesce(struct sluiced_deployment *d,
				void (*then)(struct sluiced_deployment *d))
{
	struct sluiced_source *unused = d->initial;

	d->then = then;
	sluiced_timer_stop(&d->tick);
	sluiced_timer_stop(&d->retry);
	sluiced_timer_stop(&d->exports_timer);
	d->initial = NULL;
	if (unused)
		sluiced_supply_start(&d->supply, unused);
	if (d->copying)
		sluiced_copier_stop(&d->copier, false);
	sluiced_supply_stop(&d->supply);
	maybe_quiet(d);
}

/* Completing. */

static void quiet_complete(struct sluiced_deployment *d)
{
	sluiced_log(LOG_NOTICE, name_of(d), "Complete: every block is local.");
	sluiced_deployment_save(d);
	if (!d->busy)
		sluiced_exporting_restore(d, NULL);
}

static void become_complete(struct sluiced_deployment *d)
{
	d->stage = SLUICED_COMPLETE;
	d->record.phase = SLUICED_PHASE_COMPLETE;
	end_trouble(d);
	sluiced_deployment_save(d);
	sluiced_deployment_quiesce(d, quiet_complete);
	sluiced_recording_end(d, "the end of the deployment");
}

static bool complete_work(struct sluiced_task *task)
{
	task->err = sluice_attachment_complete(task->att);
	return !task->err;
}

static void complete_done(struct sluiced_deployment *d, struct sluiced_task *task)
{
	if (d->stage != SLUICED_COMPLETING || d->then)
		return;
	if (task->ok) {
		become_complete(d);
	} else if (task->err == -EAGAIN) {
		d->stage = SLUICED_RUNNING;
		sluiced_copier_pump(&d->copier);
	} else {
		sluiced_deployment_fail(d, false,
					"Recording on %s that the deployment is complete failed: %s.",
					d->record.local, strerror(-task->err));
	}
}

static void verified(void *ctx)
{
	struct sluiced_deployment *d = ctx;

	if (d->stage != SLUICED_COMPLETING || d->then)
		return;
	if (d->busy) {
		/* A request is under way: the next tick asks again. */
		d->stage = SLUICED_RUNNING;
		return;
	}
	d->task.att = &d->device.att;
	sluiced_deployment_task(d, complete_work, complete_done);
}

static void finished(void *ctx)
{
	struct sluiced_deployment *d = ctx;

	if (d->stage != SLUICED_RUNNING || d->sealed || d->busy || d->then)
		return;
	d->stage = SLUICED_COMPLETING;
	sluiced_log(LOG_INFO, name_of(d), "Every block is local: verifying the source.");
	sluiced_supply_verify(&d->supply);
}

/* The copier's and the supply's reports. */

static void source_failed(void *ctx, int err)
{
	struct sluiced_deployment *d = ctx;
	bool insist;

	if (sluiced_source_classify(err) == SLUICED_SOURCE_CHANGED) {
		sluiced_deployment_fail(d, true,
					"The image at %s ended before its size: it changed while it was being deployed. Deploy the new one from the start.",
					source_of(d));
		return;
	}
	sluiced_deployment_trouble(d, "The source %s cannot be read (%s); trying on.",
				   source_of(d), strerror(-err));
	insist = sluiced_now_ms() - d->insisted_at >=
		 (sluiced_paths_usable(&d->record.paths) > 1 ? INSIST_OTHER_MS : INSIST_MS);
	if (insist)
		d->insisted_at = sluiced_now_ms();
	sluiced_supply_suspect(&d->supply, insist);
}

static void works_again(void *ctx)
{
	end_trouble(ctx);
}

/* What is not local is still read, so that a host can be saved from: it never gets local. */
static void seal(struct sluiced_deployment *d)
{
	sluiced_copier_serve_only(&d->copier);
	if (d->sealed)
		return;
	sluiced_deployment_trouble(d,
				   "Sluice's metadata on %s cannot be written, so that nothing gets local any more and flushes fail: save what is needed, replace the disk, then deploy again.",
				   d->record.local);
	/* From now on there is no other trouble, and no end of it. */
	d->sealed = true;
	sluiced_recording_end(d, "a failure");
}

static void commit_failed(void *ctx, int err)
{
	struct sluiced_deployment *d = ctx;

	switch (err) {
	case -EROFS:
		seal(d);
		break;
	case -ENOLINK:
	case -ESTALE:
		sluiced_deployment_fail(d, false,
					"Another process attached to /dev/sluice%u: stop it and restart sluiced.",
					d->index);
		break;
	case -EBADFD:
		/* Complete already: the tick finds out. */
		break;
	default:
		sluiced_deployment_trouble(d, "Writing to %s failed (%s); trying on.",
					   d->record.local, strerror(-err));
	}
}

static void copier_idle(void *ctx)
{
	maybe_quiet(ctx);
}

static const struct sluiced_copier_ops copier_ops = {
	.source_failed = source_failed,
	.source_works = works_again,
	.commit_failed = commit_failed,
	.commit_works = works_again,
	.finished = finished,
	.idle = copier_idle,
};

static void supply_source(void *ctx, struct sluiced_source *source)
{
	struct sluiced_deployment *d = ctx;

	if (source) {
		d->had_source = true;
		end_trouble(d);
		sluiced_log(LOG_INFO, name_of(d), "Reading from %s.", source_of(d));
		sluiced_deployment_save(d);
	}
	if (d->copying)
		sluiced_copier_set_source(&d->copier, source);
}

static void supply_trouble(void *ctx, const char *why)
{
	sluiced_deployment_trouble(ctx, "%s", why);
}

static void supply_changed(void *ctx, const char *why)
{
	sluiced_deployment_fail(ctx, true, "%s", why);
}

static const struct sluiced_supply_ops supply_ops = {
	.source = supply_source,
	.trouble = supply_trouble,
	.changed = supply_changed,
	.verified = verified,
	.idle = copier_idle,
};

/* The device's reports. */

static void wanted(void *ctx, const struct sluice_wanted *what)
{
	struct sluiced_deployment *d = ctx;

	sluiced_recording_miss(d, what);
	if (d->copying)
		sluiced_copier_demand(&d->copier, what);
}

static void drained(void *ctx)
{
	struct sluiced_deployment *d = ctx;

	if (d->copying)
		sluiced_copier_pump_soon(&d->copier);
}

static void device_lost(void *ctx, int err)
{
	commit_failed(ctx, err == -ENOLINK ? err : -ESTALE);
}

static const struct sluiced_device_ops device_ops = {
	.wanted = wanted,
	.drained = drained,
	.lost = device_lost,
};

/* The tick. */

/* A path that lets the host wait is left while there is time to try another one. */
static void leave_slow(struct sluiced_deployment *d, uint32_t deadline_ms)
{
	struct sluiced_source *source = d->supply.source;
	uint64_t now = sluiced_now_ms();

	/* While the supply is busy it leaves nothing: the next tick asks again. */
	if (sluiced_paths_usable(&d->record.paths) < 2 || d->supply.job.running)
		return;
	if (source && source->ops->away && source->ops->away(source)) {
		sluiced_deployment_trouble(d, "The source %s is away; trying another one.",
					   source_of(d));
		sluiced_supply_suspect(&d->supply, true);
		return;
	}
	if (now < d->patient_until ||
	    sluiced_copier_waiting_ms(&d->copier) < deadline_ms / SLOW_PART)
		return;
	/* Where all are slow, changing paths would make them slower. */
	d->patient_until = now + SLOW_AGAIN_MS;
	sluiced_deployment_trouble(d, "The source %s lets the host wait; trying another one.",
				   source_of(d));
	sluiced_supply_suspect(&d->supply, true);
}

static void look(struct sluiced_deployment *d, const struct sluice_counters *now)
{
	const struct sluiced_copier *c = &d->copier;
	struct sluiced_look look = {
		.at = sluiced_now_ms(), .behind = c->zero_bytes - c->skipped_bytes,
	};

	/* What the host wrote itself is one thing less to fetch, too. */
	look.image = now->resident_blocks * SLUICE_BLOCK_SIZE - look.behind;
	if (d->stalled || d->sealed || d->record.paused || d->recording.on)
		sluiced_estimate_reset(&d->estimate);
	else
		sluiced_estimate_look(&d->estimate, &look);
}

/* Nobody but the host reads the local disk: what it counts of reads is the host's. */
static void watch_host(struct sluiced_deployment *d, uint64_t host_seq)
{
	struct sluiced_throttle *throttle = &d->copier.throttle;
	struct sluiced_disk_reads reads;
	uint64_t now = sluiced_now_ms();

	sluiced_throttle_host_seq(throttle, host_seq, now);
	if (!sluiced_sysfs_reads(d->local, &reads)) {
		if (d->reads.known && reads.count > d->reads.count)
			sluiced_throttle_read(throttle, reads.count - d->reads.count,
					      reads.bytes - d->reads.bytes,
					      reads.ms - d->reads.ms);
		d->reads = reads;
	}
	sluiced_throttle_adapt(throttle, now);
}

static void tick(struct sluiced_timer *timer)
{
	struct sluiced_deployment *d = container_of(timer, struct sluiced_deployment, tick);
	struct sluice_counters now;
	int err;

	sluiced_timer_start(&d->daemon->loop, timer, TICK_MS);
	sluiced_device_drain(&d->device);
	err = sluiced_deployment_stat(d, &now);
	if (err || d->stage == SLUICED_STAGE_FAILED)
		return;
	look(d, &now);
	if (now.state == SLUICE_STATE_FAILED)
		seal(d);
	if (now.state == SLUICE_STATE_COMPLETE && !d->busy && !d->then)
		return become_complete(d);
	watch_host(d, now.host_seq);
	sluiced_recording_tick(d);
	/* The kernel knows best who waits: forget the gone, ask for the forgotten. */
	if (!now.parked)
		sluiced_scheduler_forget_demand(&d->copier.scheduler);
	else if (!sluiced_scheduler_has_demand(&d->copier.scheduler))
		sluiced_device_offer(&d->device);
	leave_slow(d, now.deadline_ms);
	/* A look at a source that hangs would hang, too, and keep it from being left. */
	if (sluiced_copier_waiting_ms(&d->copier) < HANGS_MS)
		sluiced_supply_tick(&d->supply);
	sluiced_copier_pump(&d->copier);
}

/* Attaching. */

static void run(struct sluiced_deployment *d)
{
	struct sluiced_source *source = d->initial;

	/* It may have failed while exports came up. */
	if (d->stage != SLUICED_ATTACHING)
		return;
	d->initial = NULL;
	d->stage = SLUICED_RUNNING;
	sluiced_estimate_reset(&d->estimate);
	sluiced_timer_start(&d->daemon->loop, &d->tick, TICK_MS);
	sluiced_supply_start(&d->supply, source);
	/* Zeroes behind the image need no source. */
	sluiced_copier_pump(&d->copier);
}

static void retry_attach(struct sluiced_timer *timer)
{
	attach(container_of(timer, struct sluiced_deployment, retry));
}

static void attach_failed(struct sluiced_deployment *d, int err)
{
	uint64_t waited = sluiced_now_ms() - d->attach_since;

	if (err == -EBUSY && waited < ATTACH_PATIENCE_MS) {
		sluiced_timer_start(&d->daemon->loop, &d->retry, ATTACH_RETRY_MS);
		return;
	}
	sluiced_deployment_trouble(d, "/dev/sluice%u cannot be attached (%s); trying on.",
				   d->index,
				   err == -EBUSY  ? "another daemon holds it" :
				   err == -EPROTO ? "the module that is loaded is of another release than sluiced: reboot, or reload it when its devices are detached" :
						    strerror(-err));
	sluiced_timer_start(&d->daemon->loop, &d->retry, ATTACH_SLOW_MS);
}

static int attach_device(struct sluiced_deployment *d, struct sluice_module *module)
{
	int fd, err;

	fd = sluice_control_open();
	if (fd < 0)
		return fd;
	err = sluice_control_info(fd, module);
	close(fd);
	if (err)
		return err;
	return sluiced_device_attach(&d->device, &d->daemon->loop, name_of(d), d->index,
				     module->max_pool_bytes, &device_ops, d);
}

static void attach(struct sluiced_deployment *d)
{
	struct sluice_module module;
	struct sluice_counters now;
	int err;

	d->retry.fire = retry_attach;
	if (d->busy) {
		/* Exports of it are being changed, and attaching looks at them. */
		sluiced_timer_start(&d->daemon->loop, &d->retry, ATTACH_RETRY_MS);
		return;
	}
	if (!sluiced_deployment_stat(d, &now) && now.state == SLUICE_STATE_COMPLETE)
		return become_complete(d);
	err = attach_device(d, &module);
	if (err)
		return attach_failed(d, err);
	d->attached = true;
	d->generation = d->device.att.generation;
	if (memcmp(d->device.att.uuid, d->record.uuid, sizeof(d->record.uuid))) {
		sluiced_deployment_fail(d, false, "/dev/sluice%u is of another deployment.",
					d->index);
		return;
	}
	/* What the disk says counts, also when the record is of an adopted device. */
	d->record.image = d->device.att.image;
	d->record.namespace_bytes = d->device.att.namespace_bytes;
	err = sluiced_copier_init(&d->copier, &d->daemon->loop, &d->device, &module,
				  d->record.min_rate, d->record.max_rate, &copier_ops, d);
	if (err) {
		sluiced_deployment_fail(d, false, "The copy cannot be set up: %s.",
					strerror(-err));
		return;
	}
	d->copying = true;
	d->copier.paused = d->record.paused;
	d->copier.recording = d->recording.on;
	sluiced_recording_hand_over(d);
	end_trouble(d);
	sluiced_log(LOG_INFO, name_of(d), "Attached to /dev/sluice%u, generation %llu.",
		    d->index, (unsigned long long)d->generation);
	sluiced_exporting_restore(d, run);
}

void sluiced_deployment_begin(struct sluiced_deployment *d, uint32_t index,
			      struct sluiced_source *source)
{
	d->index = index;
	d->known = true;
	d->initial = source;
	d->stage = SLUICED_ATTACHING;
	d->attach_since = sluiced_now_ms();
	if (!d->record.failed[0])
		return attach(d);
	/* It failed for good under an earlier daemon; resident blocks go on. */
	sluiced_deployment_fail(d, false, "%s", d->record.failed);
	sluiced_exporting_restore(d, NULL);
}

/* Requests. */

void sluiced_deployment_pause(struct sluiced_deployment *d, bool paused)
{
	d->record.paused = paused;
	if (d->copying)
		sluiced_copier_pause(&d->copier, paused);
	sluiced_deployment_save(d);
}

void sluiced_deployment_limit(struct sluiced_deployment *d, uint64_t min_rate,
			      uint64_t max_rate)
{
	d->record.min_rate = min_rate;
	d->record.max_rate = max_rate;
	sluiced_estimate_reset(&d->estimate);
	if (d->copying) {
		sluiced_throttle_limit(&d->copier.throttle, min_rate, max_rate);
		sluiced_copier_pump(&d->copier);
	}
	sluiced_deployment_save(d);
}

struct sluiced_deployment *sluiced_deployment_new(struct sluiced_daemon *daemon,
						  const struct sluiced_record *record)
{
	struct sluiced_deployment *d;

	if (daemon->deployment_count >= SLUICED_MAX_DEPLOYMENTS)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->daemon = daemon;
	d->record = *record;
	sluiced_recording_load(d);
	d->device.att.fd = -1;
	d->tick.fire = tick;
	d->quiet.fire = look_quiet;
	sluiced_supply_init(&d->supply, &daemon->loop, &daemon->source_options,
			    &d->record.paths, &d->record.image, &supply_ops, d);
	d->next = daemon->deployments;
	d->prev = &daemon->deployments;
	if (d->next)
		d->next->prev = &d->next;
	daemon->deployments = d;
	daemon->deployment_count++;
	return d;
}

void sluiced_deployment_free(struct sluiced_deployment *d)
{
	sluiced_timer_stop(&d->tick);
	sluiced_timer_stop(&d->retry);
	sluiced_timer_stop(&d->quiet);
	sluiced_timer_stop(&d->exports_timer);
	sluiced_timer_stop(&d->supply.timer);
	sluiced_events_removed(d);
	*d->prev = d->next;
	if (d->next)
		d->next->prev = d->prev;
	d->daemon->deployment_count--;
	sluice_profile_free(&d->profile);
	sluice_profile_free(&d->recording.profile);
	free(d);
}
