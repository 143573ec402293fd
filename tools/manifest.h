/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a file for "sluicectl apply" wants: sluice-deployment(5). */
#ifndef SLUICE_TOOLS_MANIFEST_H
#define SLUICE_TOOLS_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "profile_file.h"

struct json_object;
struct sluice_ctl;

/* Strings live as long as the file's object; so do the arrays, which may be NULL. */
struct sluice_manifest {
	struct json_object *file;
	const char *name, *local;
	const char *size;			/* NULL: not given */
	struct json_object *sources;		/* texts, at least one */
	struct json_object *exports;		/* in the order in which they can be made */
	bool may_format;			/* a blank disk */
	bool has_min, has_max;
	uint64_t min_rate, max_rate;		/* bytes a second; 0: none */
	uint64_t deadline_ms;			/* 0: not given */
	struct sluice_profile profile;		/* of the file that is named; empty: none */
};

/*
 * Reads and checks all of @path: what is not known or does not belong is an error
 * that names its place in the file. 0, or an exit status.
 */
int sluice_manifest_read(struct sluice_ctl *ctl, const char *path,
			 struct sluice_manifest *manifest);

void sluice_manifest_free(struct sluice_manifest *manifest);

/* The export that says who may connect, to all but pci; NULL: none does. */
struct json_object *sluice_manifest_hosts(struct json_object *exports);

/* Whether those who may connect are the same; of an export as files or as sluiced have it. */
bool sluice_manifest_same_hosts(struct json_object *a, struct json_object *b);

/* The options of the control protocol of one of the exports, a new object. */
struct json_object *sluice_manifest_export_options(struct json_object *export);

#endif /* SLUICE_TOOLS_MANIFEST_H */
