// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"
#include "units.h"

enum {
	COL_NAME,
	COL_STATE,
	COL_LOCAL,
	COL_RATE,
	COL_ETA,
	COL_SIZE,
	COL_DEVICE,
	COL_DISK,
	COL_EXPORTS,
	COL_SOURCE,
};

static const struct sluice_column list_columns[] = {
	[COL_NAME] = { "NAME", false, false },
	[COL_STATE] = { "STATE", false, false },
	[COL_LOCAL] = { "LOCAL", true, false },
	[COL_RATE] = { "RATE", true, false },
	[COL_ETA] = { "TO GO", true, false },
	[COL_SIZE] = { "SIZE", true, false },
	[COL_DEVICE] = { "DEVICE", false, false },
	[COL_DISK] = { "DISK", false, true },
	[COL_EXPORTS] = { "EXPORTS", false, false },
	[COL_SOURCE] = { "SOURCE", false, true },
	{ NULL, false, false },
};

static const struct sluice_column detail_columns[] = {
	{ "KEY", false, false },
	{ "VALUE", false, false },
	{ NULL, false, false },
};

static void join_kinds(const struct sluice_deployment *dep, char *buf, size_t len)
{
	size_t i, n = 0;

	*buf = '\0';
	for (i = 0; dep->exports && i < json_object_array_length(dep->exports); i++) {
		struct json_object *export = json_object_array_get_idx(dep->exports, i);
		const char *kind;

		if (!sluice_json_string(export, "kind", &kind) && n < len)
			n += snprintf(buf + n, len - n, "%s%s", n ? "," : "", kind);
	}
	if (!n)
		snprintf(buf, len, "-");
}

static void list_row(struct sluice_table *table, const struct sluice_deployment *dep)
{
	char kinds[64], text[SLUICE_UNITS_LEN];

	sluice_table_row(table);
	sluice_table_cell(table, COL_NAME, SLUICE_PLAIN, "%s", dep->name);
	sluice_table_cell(table, COL_STATE, sluice_deployment_colour(dep), "%s", dep->state);
	sluice_table_cell(table, COL_LOCAL, SLUICE_PLAIN, "%s",
			  sluice_deployment_percent(dep, text, sizeof(text)));
	if (strcmp(dep->state, "complete"))
		sluice_table_cell(table, COL_RATE, SLUICE_PLAIN, "%s/s",
				  sluice_format_bytes(dep->rate, text, sizeof(text)));
	else
		sluice_table_cell(table, COL_RATE, SLUICE_PLAIN, "-");
	if (dep->has_eta && strcmp(dep->state, "complete"))
		sluice_table_cell(table, COL_ETA, SLUICE_PLAIN, "%s",
				  sluice_format_duration(dep->eta_s, text, sizeof(text)));
	else
		sluice_table_cell(table, COL_ETA, SLUICE_PLAIN, "-");
	sluice_table_cell(table, COL_SIZE, SLUICE_PLAIN, "%s",
			  sluice_format_bytes(dep->namespace_bytes, text, sizeof(text)));
	sluice_table_cell(table, COL_DEVICE, SLUICE_PLAIN, "%s", *dep->device ? dep->device : "-");
	sluice_table_cell(table, COL_DISK, SLUICE_PLAIN, "%s", dep->local);
	join_kinds(dep, kinds, sizeof(kinds));
	sluice_table_cell(table, COL_EXPORTS, SLUICE_PLAIN, "%s", kinds);
	sluice_table_cell(table, COL_SOURCE, SLUICE_PLAIN, "%s", dep->source);
}

static void print_list(struct json_object *deployments)
{
	size_t n = json_object_array_length(deployments);
	struct sluice_deployment dep;
	struct sluice_table *table;
	size_t i;

	if (!n) {
		printf("There is no deployment.\n");
		return;
	}
	table = sluice_table_new(list_columns, true);
	for (i = 0; i < n; i++) {
		sluice_deployment_read(json_object_array_get_idx(deployments, i), &dep);
		list_row(table, &dep);
	}
	sluice_table_end(table);
	for (i = 0; i < n; i++) {
		sluice_deployment_read(json_object_array_get_idx(deployments, i), &dep);
		if (*dep.error)
			sluice_output_text(stdout, "%s is %s: %s\n", dep.name, dep.state,
					   dep.error);
	}
}

static void key(struct sluice_table *table, const char *name)
{
	sluice_table_row(table);
	sluice_table_cell(table, 0, SLUICE_BOLD, "%s", name);
}

static void string_row(struct sluice_table *table, const char *name, const char *value)
{
	if (!*value)
		return;
	key(table, name);
	sluice_table_cell(table, 1, SLUICE_PLAIN, "%s", value);
}

static void bytes_row(struct sluice_table *table, const char *name, uint64_t bytes)
{
	char text[SLUICE_UNITS_LEN];

	key(table, name);
	sluice_table_cell(table, 1, SLUICE_PLAIN, "%s (%" PRIu64 " bytes)",
			  sluice_format_bytes(bytes, text, sizeof(text)), bytes);
}

static void limit_row(struct sluice_table *table, const char *name, uint64_t rate)
{
	char text[SLUICE_UNITS_LEN];

	key(table, name);
	if (rate)
		sluice_table_cell(table, 1, SLUICE_PLAIN, "%s/s",
				  sluice_format_bytes(rate, text, sizeof(text)));
	else
		sluice_table_cell(table, 1, SLUICE_PLAIN, "none");
}

static void progress_rows(struct sluice_table *table, const struct sluice_deployment *dep)
{
	char one[SLUICE_UNITS_LEN], two[SLUICE_UNITS_LEN], percent[16];

	key(table, "Local");
	sluice_table_cell(table, 1, SLUICE_PLAIN, "%s, %s of %s",
			  sluice_deployment_percent(dep, percent, sizeof(percent)),
			  sluice_format_bytes(dep->local_bytes, one, sizeof(one)),
			  sluice_format_bytes(dep->namespace_bytes, two, sizeof(two)));
	key(table, "Fetched");
	sluice_table_cell(table, 1, SLUICE_PLAIN, "%s, %s of them on demand",
			  sluice_format_bytes(dep->fetched_bytes, one, sizeof(one)),
			  sluice_format_bytes(dep->demand_bytes, two, sizeof(two)));
	if (dep->profile_bytes) {
		key(table, "Boot profile");
		sluice_table_cell(table, 1, SLUICE_PLAIN, "%s of them",
				  sluice_format_bytes(dep->profile_bytes, one, sizeof(one)));
	}
	key(table, "Read ahead");
	sluice_table_cell(table, 1, SLUICE_PLAIN, "%s of them, %s not asked for since",
			  sluice_format_bytes(dep->readahead_bytes, one, sizeof(one)),
			  sluice_format_bytes(dep->readahead_unused_bytes, two, sizeof(two)));
	key(table, "Zeroed");
	sluice_table_cell(table, 1, SLUICE_PLAIN, "%s, %s of them holes of the image",
			  sluice_format_bytes(dep->zero_bytes, one, sizeof(one)),
			  sluice_format_bytes(dep->skipped_bytes, two, sizeof(two)));
	string_row(table, "Phase", dep->phase);
	key(table, "Rate");
	sluice_table_cell(table, 1, SLUICE_PLAIN, "%s/s",
			  sluice_format_bytes(dep->rate, one, sizeof(one)));
	if (dep->has_eta)
		string_row(table, "To go", sluice_format_duration(dep->eta_s, one, sizeof(one)));
	limit_row(table, "Least rate", dep->min_rate);
	limit_row(table, "Highest rate", dep->max_rate);
	key(table, "Host waits");
	sluice_table_cell(table, 1, dep->waiting ? SLUICE_YELLOW : SLUICE_PLAIN,
			  "%" PRIu64 " requests, for at most %" PRIu64 " ms; %" PRIu64
			  " ended unserved", dep->waiting, dep->deadline_ms, dep->expired);
}

static void export_rows(struct sluice_table *table, const struct sluice_deployment *dep)
{
	size_t i;

	for (i = 0; dep->exports && i < json_object_array_length(dep->exports); i++) {
		struct json_object *export = json_object_array_get_idx(dep->exports, i);
		const char *kind = "", *address = "", *nqn = "";

		sluice_json_string(export, "kind", &kind);
		sluice_json_string(export, "address", &address);
		sluice_json_string(export, "nqn", &nqn);
		key(table, "Export");
		sluice_table_cell(table, 1, SLUICE_PLAIN, "%s%s%s%s%s", kind,
				  *address ? " at " : "", address, *nqn ? " as " : "", nqn);
	}
}

static void print_details(struct json_object *obj)
{
	struct sluice_table *table = sluice_table_new(detail_columns, false);
	struct sluice_deployment dep;

	sluice_deployment_read(obj, &dep);
	string_row(table, "Name", dep.name);
	string_row(table, "UUID", dep.uuid);
	key(table, "State");
	sluice_table_cell(table, 1, sluice_deployment_colour(&dep), "%s", dep.state);
	string_row(table, "Reason", dep.error);
	string_row(table, "Device", dep.device);
	bytes_row(table, "Device size", dep.namespace_bytes);
	string_row(table, "Local disk", dep.local);
	string_row(table, "Source", dep.source);
	string_row(table, "Image", dep.image_name);
	string_row(table, "Image id", dep.image_id);
	bytes_row(table, "Image size", dep.image_bytes);
	progress_rows(table, &dep);
	export_rows(table, &dep);
	sluice_table_end(table);
}

int sluice_cmd_status(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct json_object *parameters, *reply, *deployments;
	const char *name;
	int status;

	status = sluice_args_only_name(ctl, argc, argv, &name);
	if (status)
		return status;
	parameters = json_object_new_object();
	if (name)
		json_object_object_add(parameters, "name", json_object_new_string(name));
	status = sluice_client_call(ctl, "Status", parameters, &reply);
	if (status)
		return status;
	if (!json_object_object_get_ex(reply, "deployments", &deployments) ||
	    !json_object_is_type(deployments, json_type_array))
		status = sluice_fail(ctl, SLUICE_EXIT_FAILED,
				     "The reply of sluiced lists no deployments.");
	else if (ctl->json)
		sluice_output_json(stdout, reply);
	else if (name && json_object_array_length(deployments) == 1)
		print_details(json_object_array_get_idx(deployments, 0));
	else
		print_list(deployments);
	json_object_put(reply);
	return status;
}
