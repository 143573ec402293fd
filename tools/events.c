// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"
#include "watch.h"

static const char *text_of(struct json_object *event, const char *key)
{
	const char *text;

	return sluice_json_string(event, key, &text) ? "" : text;
}

static void print_state(const struct sluice_deployment *dep)
{
	printf("%s", sluice_output_colour(sluice_deployment_colour(dep)));
	sluice_output_text(stdout, "%s", dep->state);
	printf("%s", sluice_output_colour_end());
}

static void print_line(struct json_object *event)
{
	const char *kind = text_of(event, "event");
	struct sluice_deployment dep;

	sluice_deployment_read(event, &dep);
	sluice_output_text(stdout, "%s %s: ", text_of(event, "time"), dep.name);
	if (!strcmp(kind, "state"))
		sluice_output_text(stdout, "was %s, is ", text_of(event, "previous"));
	if (!strcmp(kind, "removed"))
		printf("is gone");
	else if (!strcmp(kind, "source"))
		sluice_output_text(stdout, "is read from %s, not from %s", dep.source,
				   text_of(event, "previous"));
	else
		print_state(&dep);
	if (*dep.error)
		sluice_output_text(stdout, ": %s", dep.error);
	printf("\n");
}

int sluice_events_print(struct sluice_ctl *ctl, const char *name, bool json)
{
	struct json_object *parameters = json_object_new_object();
	struct json_object *event;
	int status;

	if (name)
		json_object_object_add(parameters, "name", json_object_new_string(name));
	status = sluice_client_call(ctl, "Events", parameters, &event);
	while (!status) {
		if (json)
			sluice_output_json(stdout, event);
		else
			print_line(event);
		json_object_put(event);
		/* Whoever reads a pipe wants it now; and a pipe without reader is the end. */
		if (fflush(stdout) || ferror(stdout))
			return SLUICE_EXIT_OK;
		status = sluice_client_next(ctl, &event);
	}
	return status;
}

int sluice_cmd_events(struct sluice_ctl *ctl, int argc, char **argv)
{
	const char *name;
	int status = sluice_args_only_name(ctl, argc, argv, &name);

	return status ? status : sluice_events_print(ctl, name, ctl->json);
}
