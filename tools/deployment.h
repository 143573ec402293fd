/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The deployment object of the control protocol, as sluicectl reads it. */
#ifndef SLUICE_TOOLS_DEPLOYMENT_H
#define SLUICE_TOOLS_DEPLOYMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "output.h"

struct json_object;
struct sluice_ctl;

/* sluiced takes no more. */
#define SLUICE_MAX_SOURCES	4

/* What the daemon left out is "" or 0; strings live as long as the object. */
struct sluice_deployment {
	const char *name, *uuid, *state, *error, *device, *source, *local;
	const char *image_name, *image_id;
	uint64_t image_bytes, namespace_bytes, local_bytes;
	uint64_t fetched_bytes, demand_bytes, zero_bytes, skipped_bytes;
	uint64_t waiting, expired, generation, deadline_ms;
	uint64_t rate, min_rate, max_rate;	/* bytes a second */
	const char *phase;
	uint64_t profile_bytes, readahead_bytes, readahead_unused_bytes;
	uint64_t eta_s;
	bool has_eta;
	double percent;				/* 0 to 100 */
	struct json_object *exports;		/* an array, or NULL */
};

void sluice_deployment_read(struct json_object *obj, struct sluice_deployment *dep);

/* "42.3 %", rounded down: 100 % is all of it. At least 16 bytes. Returns @buf. */
char *sluice_deployment_percent(const struct sluice_deployment *dep, char *buf, size_t len);

enum sluice_colour sluice_deployment_colour(const struct sluice_deployment *dep);

/*
 * The name to use: a copy of @given, or without one that of the only deployment.
 * 0 with a malloc'ed *@name, or an exit status.
 */
int sluice_deployment_name(struct sluice_ctl *ctl, const char *given, char **name);

/*
 * Calls a method whose parameters take the deployment's name, found as above.
 * Takes @parameters over (may be NULL). *@used, the name, is malloc'ed and set on
 * success; *@reply as from sluice_client_call(). Either may be NULL.
 */
int sluice_deployment_call(struct sluice_ctl *ctl, const char *given, const char *method,
			   struct json_object *parameters, char **used,
			   struct json_object **reply);

/* The present state of deployment @name. 0 and an object to put, or an exit status. */
int sluice_deployment_get(struct sluice_ctl *ctl, const char *name, struct json_object **obj);

/* Prints the deployment in a reply: state, device and exports in sentences, or JSON. */
int sluice_deployment_print(struct sluice_ctl *ctl, struct json_object *reply);

/* One sentence on an export object. */
void sluice_deployment_print_export(struct json_object *export);

#endif /* SLUICE_TOOLS_DEPLOYMENT_H */
