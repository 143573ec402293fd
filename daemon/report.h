/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the control protocol says of a deployment. */
#ifndef SLUICED_REPORT_H
#define SLUICED_REPORT_H

#include "deployment.h"

struct json_object;

/* The deployment object; NULL without memory. Asks the kernel, does not block. */
struct json_object *sluiced_report(const struct sluiced_deployment *d);

/* "copying" and so on. */
const char *sluiced_report_state(const struct sluiced_deployment *d);

/* "active", "standby" or "wrong": of the source @i of @paths. */
const char *sluiced_report_role(const struct sluiced_paths *paths, size_t i);

#endif /* SLUICED_REPORT_H */
