// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporting.h"

#include <string.h>
#include <unistd.h>

#include "deploy.h"
#include "log.h"

/* What keeps an export down is an address, which comes with the network, or a module. */
#define RETRY_MS	1000

/*
 * From the export to the host's first request: a driver's handshake, or the firmware of
 * a machine that is switched on now.
 */
#define EXPECT_CONNECT_MS	10000
#define EXPECT_FIRMWARE_MS	30000

const struct sluiced_export *sluiced_exporting_find(const struct sluiced_deployment *d,
						    const char *kind)
{
	size_t i;

	for (i = 0; i < d->record.export_count; i++)
		if (!strcmp(d->record.exports[i].kind, kind))
			return &d->record.exports[i];
	return NULL;
}

/*
 * By the time that a host asks for anything: an export that has just come up has
 * none yet.
 */
void sluiced_exporting_deadline(struct sluiced_deployment *d)
{
	uint32_t ms = d->record.deadline_ms;
	size_t i;
	int fd, err;

	if (!d->known)
		return;
	for (i = 0; i < d->record.export_count && !ms; i++)
		ms = sluiced_export_deadline_ms(&d->record.exports[i]);
	fd = sluice_control_open();
	err = fd < 0 ? fd : sluice_control_set_deadline(fd, d->index, ms ?: SLUICE_DEADLINE_MS);
	if (fd >= 0)
		close(fd);
	if (err)
		sluiced_log(LOG_ERR, d->record.name,
			    "The deadline of waiting requests cannot be set: %s.", strerror(-err));
}

/* What a job needs to know, copied: the record stays the loop's. */
static void describe(struct sluiced_deployment *d)
{
	struct sluiced_exported *of = &d->task.of;
	const size_t room = sizeof(of->own_ports) / sizeof(of->own_ports[0]);
	struct sluiced_deployment *other;
	size_t i;

	memset(of, 0, sizeof(*of));
	of->index = d->index;
	memcpy(of->uuid, d->record.uuid, sizeof(of->uuid));
	for (other = d->daemon->deployments; other; other = other->next)
		for (i = 0; i < other->record.export_count && of->own_port_count < room; i++)
			if (other->record.exports[i].own_port)
				of->own_ports[of->own_port_count++] =
					other->record.exports[i].port_id;
}

static void answer(struct sluiced_deployment *d, const struct sluiced_fault *fault)
{
	sluiced_answer_t to = d->answer;

	d->answer = NULL;
	if (to)
		to(d->answer_ctx, fault);
}

/* Restoring. */

static bool restore_work(struct sluiced_task *task)
{
	struct sluiced_fault later;
	bool ok = true;
	size_t i;

	/* One that cannot be must not keep another from its host. */
	for (i = 0; i < task->export_count; i++)
		if (!sluiced_export_up(&task->exports[i], &task->of, ok ? &task->fault : &later))
			ok = false;
	return ok;
}

static void retry(struct sluiced_timer *timer)
{
	struct sluiced_deployment *d =
		container_of(timer, struct sluiced_deployment, exports_timer);

	if (d->busy || d->then)
		sluiced_timer_start(&d->daemon->loop, timer, RETRY_MS);
	else
		sluiced_exporting_restore(d, NULL);
}

static void retry_later(struct sluiced_deployment *d)
{
	d->exports_timer.fire = retry;
	sluiced_timer_start(&d->daemon->loop, &d->exports_timer, RETRY_MS);
}

static void restore_done(struct sluiced_deployment *d, struct sluiced_task *task)
{
	typeof(d->restored) then = d->restored;

	d->restored = NULL;
	if (memcmp(d->record.exports, task->exports, sizeof(task->exports))) {
		memcpy(d->record.exports, task->exports, sizeof(task->exports));
		sluiced_deployment_save(d);
	}
	if (!task->ok) {
		if (!d->exports_down)
			sluiced_log(LOG_ERR, d->record.name, "%s", task->fault.text);
		retry_later(d);
	}
	d->exports_down = !task->ok;
	sluiced_exporting_deadline(d);
	if (then && !d->then)
		then(d);
}

static bool all_up(const struct sluiced_deployment *d)
{
	size_t i;

	for (i = 0; i < d->record.export_count; i++)
		if (!sluiced_export_is_up(&d->record.exports[i], &d->task.of))
			return false;
	return true;
}

bool sluiced_exporting_is_up(struct sluiced_deployment *d)
{
	/* Meanwhile what all_up() looks at belongs to a job. */
	if (d->busy)
		return false;
	describe(d);
	return all_up(d);
}

void sluiced_exporting_restore(struct sluiced_deployment *d,
			       void (*then)(struct sluiced_deployment *d))
{
	struct sluiced_task *task = &d->task;

	describe(d);
	/* The kernel kept them: after a restart of the daemon a job is time lost. */
	if (all_up(d)) {
		d->exports_down = false;
		if (d->record.export_count)
			sluiced_exporting_deadline(d);
		if (then)
			then(d);
		return;
	}
	d->restored = then;
	memcpy(task->exports, d->record.exports, sizeof(task->exports));
	task->export_count = d->record.export_count;
	sluiced_deployment_task(d, restore_work, restore_done);
}

/* Adding. */

static const struct sluiced_export *first_shared(const struct sluiced_deployment *d)
{
	size_t i;

	for (i = 0; i < d->record.export_count; i++)
		if (sluiced_export_shared(&d->record.exports[i]))
			return &d->record.exports[i];
	return NULL;
}

static bool add_work(struct sluiced_task *task)
{
	return sluiced_export_up(&task->exports[0], &task->of, &task->fault);
}

static void add_done(struct sluiced_deployment *d, struct sluiced_task *task)
{
	struct sluiced_record *r = &d->record;

	if (task->ok)
		r->exports[r->export_count - 1] = task->exports[0];
	else
		memset(&r->exports[--r->export_count], 0, sizeof(r->exports[0]));
	sluiced_deployment_save(d);
	if (task->ok) {
		sluiced_exporting_deadline(d);
		sluiced_throttle_expect(&d->copier.throttle, sluiced_now_ms(),
					sluiced_export_shared(&task->exports[0]) ?
						EXPECT_CONNECT_MS : EXPECT_FIRMWARE_MS);
		sluiced_log(LOG_NOTICE, d->record.name, "Exported over %s%s%s.",
			    task->exports[0].kind, task->exports[0].address[0] ? " at " : "",
			    task->exports[0].address);
	}
	answer(d, task->ok ? NULL : &task->fault);
}

void sluiced_exporting_add(struct sluiced_deployment *d, const struct sluiced_export *export,
			   sluiced_answer_t to, void *ctx)
{
	struct sluiced_task *task = &d->task;
	const struct sluiced_export *other;
	struct sluiced_fault fault;

	if (sluiced_exporting_find(d, export->kind)) {
		sluiced_fault(&fault, SLUICED_EXPORT_FAILED,
			      "The deployment %s is already exported over %s: unexport that first.",
			      d->record.name, export->kind);
		return to(ctx, &fault);
	}
	task->exports[0] = *export;
	other = first_shared(d);
	if (other && sluiced_export_shared(export) &&
	    !sluiced_export_agree(&task->exports[0], other, &fault))
		return to(ctx, &fault);
	d->answer = to;
	d->answer_ctx = ctx;
	describe(d);
	task->of.first = !other;
	/* Before: if we die on the way, the next daemon finishes it. */
	d->record.exports[d->record.export_count++] = task->exports[0];
	sluiced_deployment_save(d);
	sluiced_deployment_task(d, add_work, add_done);
}

/* Changing who may connect. */

static bool admit_work(struct sluiced_task *task)
{
	return sluiced_export_admit(&task->exports[0], &task->of, &task->fault);
}

static void admit(struct sluiced_deployment *d, const struct sluiced_export *policy)
{
	size_t i;

	for (i = 0; i < d->record.export_count; i++)
		if (sluiced_export_shared(&d->record.exports[i]))
			sluiced_export_take_policy(&d->record.exports[i], policy);
	sluiced_deployment_save(d);
}

static void admit_done(struct sluiced_deployment *d, struct sluiced_task *task)
{
	if (task->ok) {
		sluiced_log(LOG_NOTICE, d->record.name, "Other hosts may connect now.");
	} else {
		/* What changed half way is changed back. */
		admit(d, &task->exports[1]);
		retry_later(d);
	}
	answer(d, task->ok ? NULL : &task->fault);
}

void sluiced_exporting_admit(struct sluiced_deployment *d, const struct sluiced_export *policy,
			     sluiced_answer_t to, void *ctx)
{
	const struct sluiced_export *shared = first_shared(d);
	struct sluiced_fault fault;

	if (!shared) {
		sluiced_fault(&fault, SLUICED_EXPORT_FAILED,
			      "The deployment %s has no export with a list of hosts: export it over tcp.",
			      d->record.name);
		return to(ctx, &fault);
	}
	d->answer = to;
	d->answer_ctx = ctx;
	describe(d);
	d->task.exports[0] = *policy;
	d->task.exports[1] = *shared;
	/* Before: if we die on the way, the next daemon finishes it. */
	admit(d, policy);
	sluiced_deployment_task(d, admit_work, admit_done);
}

/* Removing. */

static bool remove_work(struct sluiced_task *task)
{
	size_t i, shared = task->shared_left;

	for (i = 0; i < task->export_count; i++)
		shared += sluiced_export_shared(&task->exports[i]);
	for (i = 0; i < task->export_count; i++) {
		shared -= sluiced_export_shared(&task->exports[i]);
		if (!sluiced_export_down(&task->exports[i], &task->of, !shared, &task->fault))
			return false;
	}
	return true;
}

static void forget(struct sluiced_record *record, const char *kind)
{
	size_t i;

	for (i = 0; i < record->export_count; i++)
		if (!strcmp(record->exports[i].kind, kind))
			break;
	if (i == record->export_count)
		return;
	record->export_count--;
	memmove(&record->exports[i], &record->exports[i + 1],
		(record->export_count - i) * sizeof(record->exports[0]));
	memset(&record->exports[record->export_count], 0, sizeof(record->exports[0]));
}

static void remove_done(struct sluiced_deployment *d, struct sluiced_task *task)
{
	size_t i;

	for (i = 0; task->ok && i < task->export_count; i++)
		forget(&d->record, task->exports[i].kind);
	if (task->ok) {
		sluiced_exporting_deadline(d);
		sluiced_deployment_save(d);
	}
	if (!task->ok)
		/* What came down half way goes up again. */
		retry_later(d);
	answer(d, task->ok ? NULL : &task->fault);
}

void sluiced_exporting_remove(struct sluiced_deployment *d, const char *kind,
			      sluiced_answer_t to, void *ctx)
{
	struct sluiced_task *task = &d->task;
	size_t i;

	task->export_count = task->shared_left = 0;
	for (i = 0; i < d->record.export_count; i++)
		if (!kind || !strcmp(d->record.exports[i].kind, kind))
			task->exports[task->export_count++] = d->record.exports[i];
		else
			task->shared_left += sluiced_export_shared(&d->record.exports[i]);
	if (!task->export_count)
		return to(ctx, NULL);
	d->answer = to;
	d->answer_ctx = ctx;
	describe(d);
	sluiced_deployment_task(d, remove_work, remove_done);
}
