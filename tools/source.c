// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"
#include "message.h"
#include "uri.h"

static int list(struct sluice_ctl *ctl, struct json_object *deployment)
{
	struct json_object *sources, *one;
	const char *uri, *role;
	size_t i;

	if (!json_object_object_get_ex(deployment, "sources", &sources) ||
	    !json_object_is_type(sources, json_type_array))
		return sluice_fail(ctl, SLUICE_EXIT_FAILED,
				   "The reply of sluiced lists no sources.");
	if (ctl->json) {
		one = json_object_new_object();
		json_object_object_add(one, "sources", json_object_get(sources));
		sluice_output_json(stdout, one);
		json_object_put(one);
		return 0;
	}
	for (i = 0; i < json_object_array_length(sources); i++) {
		one = json_object_array_get_idx(sources, i);
		if (!sluice_json_string(one, "uri", &uri) &&
		    !sluice_json_string(one, "role", &role))
			sluice_output_text(stdout, "%-8s %s\n", role, uri);
	}
	return 0;
}

/* Of the one deployment that Status replied. */
static int list_named(struct sluice_ctl *ctl, struct json_object *reply)
{
	struct json_object *all;

	if (!json_object_object_get_ex(reply, "deployments", &all) ||
	    !json_object_is_type(all, json_type_array) || json_object_array_length(all) != 1)
		return sluice_fail(ctl, SLUICE_EXIT_FAILED,
				   "The reply of sluiced is of no deployment.");
	return list(ctl, json_object_array_get_idx(all, 0));
}

static int call(struct sluice_ctl *ctl, const char *given, const char *method,
		const char *source)
{
	struct json_object *parameters = json_object_new_object();
	struct json_object *reply, *deployment;
	char *name;
	int status;

	if (source)
		json_object_object_add(parameters, "source", json_object_new_string(source));
	status = sluice_deployment_call(ctl, given, method, parameters, &name, &reply);
	if (status)
		return status;
	if (!source)
		status = list_named(ctl, reply);
	else if (json_object_object_get_ex(reply, "deployment", &deployment))
		status = list(ctl, deployment);
	json_object_put(reply);
	free(name);
	return status;
}

int sluice_cmd_source(struct sluice_ctl *ctl, int argc, char **argv)
{
	static const struct {
		const char *verb, *method;
		bool source;
	} verbs[] = {
		{ "list", "Status", false },
		{ "add", "AddSource", true },
		{ "remove", "RemoveSource", true },
	};
	struct sluice_args args = { .ctl = ctl, .argc = argc, .argv = argv };
	char why[SLUICE_URI_WHY_LEN];
	const char *value, *name = NULL, *source = NULL;
	struct sluice_uri uri;
	size_t i;
	int id;

	while ((id = sluice_args_next(&args, &value)) > 0)
		;
	if (id == SLUICE_ARGS_STOP)
		return args.status;
	for (i = 0; i < 3 && (!args.words || strcmp(argv[0], verbs[i].verb)); i++)
		;
	if (i == 3)
		return sluice_usage(ctl, "What to do with sources is missing; write list, add or "
				    "remove.");
	if (verbs[i].source && args.words > 1)
		source = argv[--args.words];
	if (verbs[i].source && (!source || sluice_uri_parse(source, &uri, why, sizeof(why))))
		return sluice_usage(ctl, "The source cannot be used. %s",
				    source ? why : "It is missing.");
	if (args.words > 2)
		return sluice_usage(ctl, "\"%s\" is one word too many.", argv[2]);
	if (args.words == 2)
		name = argv[1];
	return call(ctl, name, verbs[i].method, source);
}
