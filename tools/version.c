// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdio.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "output.h"

static void print_text(struct json_object *reply)
{
	const char *version;
	uint64_t abi;

	if (sluice_json_string(reply, "version", &version))
		version = "of an unknown version";
	sluice_output_text(stdout, "sluiced %s", version);
	if (!sluice_json_u64(reply, "abi_version", &abi))
		printf(", ABI %" PRIu64, abi);
	if (sluice_json_u64(reply, "module_abi_version", &abi))
		printf("\nsluice.ko is not loaded\n");
	else
		printf("\nsluice.ko ABI %" PRIu64 "\n", abi);
}

int sluice_cmd_version(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct json_object *reply;
	const char *word;
	int status;

	status = sluice_args_only_name(ctl, argc, argv, &word);
	if (status)
		return status;
	if (word)
		return sluice_usage(ctl, "\"%s\" is one word too many.", word);
	if (!ctl->json)
		printf("sluicectl %s\n", SLUICE_VERSION);
	status = sluice_client_call(ctl, "Version", NULL, &reply);
	if (status)
		return status;
	if (ctl->json) {
		json_object_object_add(reply, "sluicectl", json_object_new_string(SLUICE_VERSION));
		sluice_output_json(stdout, reply);
	} else {
		print_text(reply);
	}
	json_object_put(reply);
	return SLUICE_EXIT_OK;
}
