// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands that change a running deployment. */
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"

enum {
	OPT_MIN_RATE = 1,
	OPT_MAX_RATE,
	OPT_DEADLINE,
};

const struct sluice_option sluice_limit_options[] = {
	{ OPT_MIN_RATE, "min-rate", "RATE", "Bytes a second (K, M, G) below which the copy does "
	  "not yield to the host, or none." },
	{ OPT_MAX_RATE, "max-rate", "RATE", "Bytes a second above which the copy does not go, or "
	  "none." },
	{ OPT_DEADLINE, "deadline", "MS", "Milliseconds that a host request may wait for the "
	  "source." },
	{ 0 },
};

/* For methods that answer with the deployment. */
static int change(struct sluice_ctl *ctl, const char *given, const char *method,
		  struct json_object *parameters)
{
	struct json_object *reply;
	int status;

	status = sluice_deployment_call(ctl, given, method, parameters, NULL, &reply);
	if (status)
		return status;
	status = sluice_deployment_print(ctl, reply);
	json_object_put(reply);
	return status;
}

/* For methods that answer with nothing; the name goes between two texts. */
static int act(struct sluice_ctl *ctl, int argc, char **argv, const char *method,
	       const char *before, const char *after)
{
	struct json_object *reply;
	const char *given;
	char *name;
	int status;

	status = sluice_args_only_name(ctl, argc, argv, &given);
	if (!status)
		status = sluice_deployment_call(ctl, given, method, NULL, &name, &reply);
	if (status)
		return status;
	if (ctl->json)
		sluice_output_json(stdout, reply);
	else
		sluice_output_text(stdout, "%s%s%s\n", before, name, after);
	json_object_put(reply);
	free(name);
	return SLUICE_EXIT_OK;
}

int sluice_cmd_pause(struct sluice_ctl *ctl, int argc, char **argv)
{
	const char *given;
	int status = sluice_args_only_name(ctl, argc, argv, &given);

	return status ? status : change(ctl, given, "Pause", NULL);
}

int sluice_cmd_resume(struct sluice_ctl *ctl, int argc, char **argv)
{
	const char *given;
	int status = sluice_args_only_name(ctl, argc, argv, &given);

	return status ? status : change(ctl, given, "Resume", NULL);
}

int sluice_cmd_detach(struct sluice_ctl *ctl, int argc, char **argv)
{
	return act(ctl, argc, argv, "Detach", "Deployment ",
		   " is detached; its local disk keeps what it holds.");
}

int sluice_cmd_fail_parked(struct sluice_ctl *ctl, int argc, char **argv)
{
	return act(ctl, argc, argv, "FailParked", "Every waiting host request of deployment ",
		   " was told to try again.");
}

int sluice_cmd_limit(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_args args = {
		.ctl = ctl, .options = sluice_limit_options, .argc = argc, .argv = argv,
	};
	bool has_min = false, has_max = false;
	uint64_t min_rate = 0, max_rate = 0, deadline = 0;
	struct json_object *parameters;
	const char *value, *given;
	int id, status;

	while ((id = sluice_args_next(&args, &value)) > 0) {
		if (id == OPT_DEADLINE) {
			status = sluice_args_number(&args, "deadline", value, 1, 3600000,
						    &deadline);
		} else if (id == OPT_MIN_RATE) {
			status = sluice_args_rate(&args, "min-rate", value, &min_rate);
			has_min = true;
		} else {
			status = sluice_args_rate(&args, "max-rate", value, &max_rate);
			has_max = true;
		}
		if (status)
			return status;
	}
	if (id == SLUICE_ARGS_STOP)
		return args.status;
	status = sluice_args_name(&args, &given);
	if (status)
		return status;
	if (!has_min && !has_max && !deadline)
		return sluice_usage(ctl, "There is nothing to set; use --min-rate, --max-rate or "
				    "--deadline.");
	if (min_rate && max_rate && min_rate > max_rate)
		return sluice_usage(ctl, "The rate of --min-rate is above that of --max-rate.");

	parameters = json_object_new_object();
	if (has_min)
		json_object_object_add(parameters, "min_rate", json_object_new_uint64(min_rate));
	if (has_max)
		json_object_object_add(parameters, "max_rate", json_object_new_uint64(max_rate));
	if (deadline)
		json_object_object_add(parameters, "deadline_ms", json_object_new_uint64(deadline));
	return change(ctl, given, "Limit", parameters);
}
