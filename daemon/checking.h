/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether something could be deployed: looks at sources, the local disk, the module
 * and exports as a deployment would, and changes nothing but what modules are loaded.
 */
#ifndef SLUICED_CHECKING_H
#define SLUICED_CHECKING_H

#include "daemon.h"
#include "export.h"
#include "fault.h"
#include "paths.h"
#include "state.h"

struct json_object;

/* What is not set is not looked at. */
struct sluiced_check_request {
	struct sluiced_paths sources;
	char local[PATH_MAX];
	bool must_hold;			/* a deployment: the disk would not be formatted */
	struct sluiced_export exports[SLUICED_MAX_EXPORTS];
	size_t export_count;
};

/*
 * Calls @answer with an array of findings, {subject, object, error, message}, which it
 * owns; error is null where all is well. @request is copied. NULL: there was no thread
 * or no memory.
 */
void sluiced_checking_start(struct sluiced_daemon *daemon,
			    const struct sluiced_check_request *request,
			    void (*answer)(void *ctx, struct json_object *findings), void *ctx);

#endif /* SLUICED_CHECKING_H */
