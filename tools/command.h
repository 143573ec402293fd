/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every command of sluicectl is, and what it gets. A command returns an
 * exit status of error.h; errors it records and leaves to main() to print.
 */
#ifndef SLUICE_TOOLS_COMMAND_H
#define SLUICE_TOOLS_COMMAND_H

#include <stdbool.h>

#include "args.h"
#include "client.h"
#include "error.h"

struct sluice_ctl {
	const char *socket;
	bool json;				/* -o json */
	const struct sluice_command *command;	/* being run; NULL before one is known */
	struct sluice_client client;
	struct sluice_error error;
};

struct sluice_command {
	const char *name;
	/*
	 * What follows "sluicectl ". Completion reads it: brackets are around what may
	 * be left out, capitals stand for something, small letters for themselves.
	 */
	const char *synopsis;
	const char *help;			/* full sentences; "": of no interest to people */
	const struct sluice_option *options;	/* besides the global ones; may be NULL */
	/* @argv starts behind the command's name. */
	int (*run)(struct sluice_ctl *ctl, int argc, char **argv);
};

/* The one table; a NULL name ends it. In commands.c. */
extern const struct sluice_command sluice_commands[];

/* NULL when there is none of that name. */
const struct sluice_command *sluice_command_find(const char *name);

int sluice_cmd_deploy(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_apply(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_status(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_wait(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_watch(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_events(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_pause(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_resume(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_limit(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_source(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_profile(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_mark(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_detach(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_export(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_unexport(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_fail_parked(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_doctor(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_version(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_complete(struct sluice_ctl *ctl, int argc, char **argv);
int sluice_cmd_help(struct sluice_ctl *ctl, int argc, char **argv);

extern const struct sluice_option sluice_deploy_options[];
extern const struct sluice_option sluice_apply_options[];
extern const struct sluice_option sluice_wait_options[];
extern const struct sluice_option sluice_limit_options[];
extern const struct sluice_option sluice_profile_options[];
extern const struct sluice_option sluice_export_options[];
extern const struct sluice_option sluice_unexport_options[];
extern const struct sluice_option sluice_doctor_options[];
extern const struct sluice_option sluice_help_options[];

#endif /* SLUICE_TOOLS_COMMAND_H */
