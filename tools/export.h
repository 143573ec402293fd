/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked of an export, by "sluicectl export" and "sluicectl deploy". */
#ifndef SLUICE_TOOLS_EXPORT_H
#define SLUICE_TOOLS_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

struct json_object;
struct sluice_args;
struct sluice_ctl;

/* All zeroes: none. The strings are the command line's. */
struct sluice_export_request {
	const char *kind;		/* "tcp", "loop", "pci" */
	const char *address;
	struct json_object *allow;	/* array of NQNs */
	bool allow_any;
	const char *controller;
	uint64_t queues, mdts_kb;	/* 0: sluiced's default */
};

/* Whether there is that kind of export. */
bool sluice_export_is_kind(const char *word);

/* Options of exports, beyond those of the commands that have them. */
enum {
	SLUICE_EXPORT_KIND = 100,
	SLUICE_EXPORT_ADDRESS,
	SLUICE_EXPORT_ALLOW,
	SLUICE_EXPORT_ALLOW_ANY,
	SLUICE_EXPORT_CONTROLLER,
	SLUICE_EXPORT_QUEUES,
	SLUICE_EXPORT_MDTS,
};

/* One of them. 0 or an exit status. */
int sluice_export_take(struct sluice_args *args, struct sluice_export_request *req, int id,
		       const char *value);

/* Whether the options belong together. 0 or an exit status. */
int sluice_export_check(struct sluice_ctl *ctl, const struct sluice_export_request *req,
			bool required);

/* The options of the protocol, a new object. */
struct json_object *sluice_export_options_of(const struct sluice_export_request *req);

/* Says so, for people, when a tcp export admits nobody. */
void sluice_export_note(struct sluice_ctl *ctl, const struct sluice_export_request *req);

void sluice_export_request_free(struct sluice_export_request *req);

#endif /* SLUICE_TOOLS_EXPORT_H */
