/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one daemon of a machine: what its parts share. Of the loop's thread. */
#ifndef SLUICED_DAEMON_H
#define SLUICED_DAEMON_H

#include <stdbool.h>

#include "loop.h"
#include "source.h"

struct sluiced_deployment;

/* 64 is arbitrary: a card has a handful of disks, and each costs a 32 MiB pool. */
#define SLUICED_MAX_DEPLOYMENTS	64

struct sluiced_daemon {
	struct sluiced_loop loop;
	const char *state_dir;
	struct sluiced_source_options source_options;
	struct sluiced_deployment *deployments;
	unsigned int deployment_count;
	bool stopping;			/* no request is taken any more */
};

#endif /* SLUICED_DAEMON_H */
