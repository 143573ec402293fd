// SPDX-License-Identifier: GPL-2.0-or-later
#include "rerouting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

static bool look_at_path(struct sluiced_task *task)
{
	struct sluiced_deployment *d = container_of(task, struct sluiced_deployment, task);
	struct sluiced_source *source;
	char why[SLUICED_WHY_LEN];
	struct sluice_image was = task->image;
	int err;

	was.id[0] = '\0';
	err = sluiced_source_open(&source, task->uri, "", &d->daemon->source_options, why,
				  sizeof(why));
	if (!err) {
		err = sluiced_source_recognise(source, task->uri, &was, "", why, sizeof(why));
		sluiced_source_drop(source);
	}
	if (err == -ESTALE)
		return sluiced_fault(&task->fault, SLUICED_MISMATCH,
				     "The source %s does not have the image of %s: detach that, and deploy the other image anew with --format --force.",
				     task->uri, d->record.name);
	if (err)
		return sluiced_fault(&task->fault, SLUICED_SOURCE_UNREACHABLE, "%s", why);
	return true;
}

static void path_looked_at(struct sluiced_deployment *d, struct sluiced_task *task)
{
	sluiced_answer_t answer = d->answer;

	if (task->ok && sluiced_paths_add(&d->record.paths, task->uri))
		task->ok = sluiced_fault(&task->fault, SLUICED_FAILED,
					 "There is no room for another source of %s.",
					 d->record.name);
	if (task->ok) {
		sluiced_log(LOG_NOTICE, d->record.name, "Can be read from %s, too.", task->uri);
		sluiced_deployment_save(d);
	}
	answer(d->answer_ctx, task->ok ? NULL : &task->fault);
}

void sluiced_rerouting_add(struct sluiced_deployment *d, const char *uri,
				 sluiced_answer_t answer, void *ctx)
{
	d->answer = answer;
	d->answer_ctx = ctx;
	d->task.image = d->record.image;
	snprintf(d->task.uri, sizeof(d->task.uri), "%s", uri);
	sluiced_deployment_task(d, look_at_path, path_looked_at);
}

void sluiced_rerouting_remove(struct sluiced_deployment *d, struct sluiced_path *path)
{
	bool active = path == sluiced_paths_active(&d->record.paths);

	sluiced_log(LOG_NOTICE, d->record.name, "Is not read from %s any more.", path->uri);
	sluiced_paths_remove(&d->record.paths, path);
	if (active)
		sluiced_supply_leave(&d->supply);
	sluiced_deployment_save(d);
}
