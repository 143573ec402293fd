// SPDX-License-Identifier: GPL-2.0-or-later
#include "deployment.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "command.h"

static const char *string_of(struct json_object *obj, const char *key)
{
	const char *text;

	return sluice_json_string(obj, key, &text) ? "" : text;
}

static uint64_t number_of(struct json_object *obj, const char *key)
{
	struct json_object *value;

	/* The daemon's rates may be fractional; a fraction of a byte says nothing. */
	if (!json_object_object_get_ex(obj, key, &value))
		return 0;
	if (json_object_is_type(value, json_type_double)) {
		double number = json_object_get_double(value);

		return number > 0 && number < 1e18 ? (uint64_t)number : 0;
	}
	return json_object_is_type(value, json_type_int) ? json_object_get_uint64(value) : 0;
}

void sluice_deployment_read(struct json_object *obj, struct sluice_deployment *dep)
{
	struct json_object *value;

	*dep = (struct sluice_deployment){
		.name = string_of(obj, "name"),
		.uuid = string_of(obj, "uuid"),
		.state = string_of(obj, "state"),
		.error = string_of(obj, "error"),
		.device = string_of(obj, "device"),
		.source = string_of(obj, "source"),
		.local = string_of(obj, "local"),
		.image_name = string_of(obj, "image_name"),
		.image_id = string_of(obj, "image_id"),
		.image_bytes = number_of(obj, "image_bytes"),
		.namespace_bytes = number_of(obj, "namespace_bytes"),
		.local_bytes = number_of(obj, "local_bytes"),
		.fetched_bytes = number_of(obj, "fetched_bytes"),
		.demand_bytes = number_of(obj, "demand_bytes"),
		.zero_bytes = number_of(obj, "zero_bytes"),
		.skipped_bytes = number_of(obj, "skipped_bytes"),
		.phase = string_of(obj, "phase"),
		.profile_bytes = number_of(obj, "profile_bytes"),
		.readahead_bytes = number_of(obj, "readahead_bytes"),
		.readahead_unused_bytes = number_of(obj, "readahead_unused_bytes"),
		.waiting = number_of(obj, "waiting"),
		.expired = number_of(obj, "expired"),
		.generation = number_of(obj, "generation"),
		.deadline_ms = number_of(obj, "deadline_ms"),
		.rate = number_of(obj, "rate"),
		.min_rate = number_of(obj, "min_rate"),
		.max_rate = number_of(obj, "max_rate"),
		.eta_s = number_of(obj, "eta_s"),
	};
	dep->has_eta = json_object_object_get_ex(obj, "eta_s", &value) && value;
	if (json_object_object_get_ex(obj, "percent", &value))
		dep->percent = json_object_get_double(value);
	/* Also turns NaN into something to print. */
	if (!(dep->percent >= 0))
		dep->percent = 0;
	if (dep->percent > 100)
		dep->percent = 100;
	if (json_object_object_get_ex(obj, "exports", &value) &&
	    json_object_is_type(value, json_type_array))
		dep->exports = value;
}

char *sluice_deployment_percent(const struct sluice_deployment *dep, char *buf, size_t len)
{
	/* The small part makes up for tenths that are not exact in binary. */
	int tenths = (int)(dep->percent * 10 + 1e-6);

	snprintf(buf, len, "%d.%d %%", tenths / 10, tenths % 10);
	return buf;
}

enum sluice_colour sluice_deployment_colour(const struct sluice_deployment *dep)
{
	if (!strcmp(dep->state, "complete"))
		return SLUICE_GREEN;
	if (!strcmp(dep->state, "failed"))
		return SLUICE_RED;
	if (!strcmp(dep->state, "stalled") || !strcmp(dep->state, "paused"))
		return SLUICE_YELLOW;
	return SLUICE_PLAIN;
}

static int list(struct sluice_ctl *ctl, const char *name, struct json_object **reply,
		struct json_object **deployments)
{
	struct json_object *parameters = json_object_new_object();
	int status;

	if (name)
		json_object_object_add(parameters, "name", json_object_new_string(name));
	status = sluice_client_call(ctl, "Status", parameters, reply);
	if (status)
		return status;
	if (json_object_object_get_ex(*reply, "deployments", deployments) &&
	    json_object_is_type(*deployments, json_type_array))
		return 0;
	json_object_put(*reply);
	return sluice_fail(ctl, SLUICE_EXIT_FAILED, "The reply of sluiced lists no deployments.");
}

int sluice_deployment_name(struct sluice_ctl *ctl, const char *given, char **name)
{
	struct json_object *reply, *deployments;
	struct sluice_deployment dep;
	size_t n;
	int status = 0;

	*name = NULL;
	if (given) {
		*name = strdup(given);
	} else {
		status = list(ctl, NULL, &reply, &deployments);
		if (status)
			return status;
		n = json_object_array_length(deployments);
		if (n == 1) {
			sluice_deployment_read(json_object_array_get_idx(deployments, 0), &dep);
			*name = strdup(dep.name);
		} else if (!n) {
			status = sluice_fail(ctl, SLUICE_EXIT_NOT_FOUND, "There is no deployment; "
					     "\"sluicectl deploy\" starts one.");
		} else {
			status = sluice_usage(ctl, "There are %zu deployments; name one of those "
					      "that \"sluicectl status\" lists.", n);
		}
		json_object_put(reply);
	}
	if (!status && !*name)
		status = sluice_fail(ctl, SLUICE_EXIT_FAILED, "There is no memory left.");
	return status;
}

int sluice_deployment_call(struct sluice_ctl *ctl, const char *given, const char *method,
			   struct json_object *parameters, char **used,
			   struct json_object **reply)
{
	char *name;
	int status;

	status = sluice_deployment_name(ctl, given, &name);
	if (status) {
		json_object_put(parameters);
		return status;
	}
	if (!parameters)
		parameters = json_object_new_object();
	json_object_object_add(parameters, "name", json_object_new_string(name));
	status = sluice_client_call(ctl, method, parameters, reply);
	if (!status && used)
		*used = name;
	else
		free(name);
	return status;
}

int sluice_deployment_get(struct sluice_ctl *ctl, const char *name, struct json_object **obj)
{
	struct json_object *reply, *deployments;
	int status;

	status = list(ctl, name, &reply, &deployments);
	if (status)
		return status;
	*obj = json_object_get(json_object_array_get_idx(deployments, 0));
	json_object_put(reply);
	if (!*obj)
		return sluice_fail(ctl, SLUICE_EXIT_NOT_FOUND, "There is no deployment %s.", name);
	return 0;
}

void sluice_deployment_print_export(struct json_object *export)
{
	const char *kind = string_of(export, "kind");
	const char *address = string_of(export, "address");
	const char *nqn = string_of(export, "nqn");

	sluice_output_text(stdout, "It is exported over %s%s%s%s%s.\n", kind,
			   *address ? " at " : "", address, *nqn ? " as " : "", nqn);
}

int sluice_deployment_print(struct sluice_ctl *ctl, struct json_object *reply)
{
	struct sluice_deployment dep;
	struct json_object *obj;
	size_t i;

	if (!json_object_object_get_ex(reply, "deployment", &obj) || !obj)
		return sluice_fail(ctl, SLUICE_EXIT_FAILED,
				   "The reply of sluiced describes no deployment.");
	if (ctl->json) {
		sluice_output_json(stdout, obj);
		return 0;
	}
	sluice_deployment_read(obj, &dep);
	sluice_output_text(stdout, "Deployment %s is %s", dep.name, dep.state);
	if (*dep.device)
		sluice_output_text(stdout, "; its device is %s", dep.device);
	printf(".\n");
	if (*dep.error)
		sluice_output_text(stdout, "%s\n", dep.error);
	for (i = 0; dep.exports && i < json_object_array_length(dep.exports); i++)
		sluice_deployment_print_export(json_object_array_get_idx(dep.exports, i));
	return 0;
}
