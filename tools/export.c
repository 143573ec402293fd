// SPDX-License-Identifier: GPL-2.0-or-later
#include "export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"

const struct sluice_option sluice_export_options[] = {
	{ SLUICE_EXPORT_KIND, "kind", "tcp|loop|pci", "Over the network, to this machine, or to the host "
	  "that the card sits in. The same as the word KIND." },
	{ SLUICE_EXPORT_ADDRESS, "address", "ADDR[:PORT]", "Where a tcp export listens, 127.0.0.1:4420 by "
	  "default." },
	{ SLUICE_EXPORT_ALLOW, "allow", "HOSTNQN", "A host that may connect. May be repeated." },
	{ SLUICE_EXPORT_ALLOW_ANY, "allow-any", NULL, "Let every host connect." },
	{ SLUICE_EXPORT_CONTROLLER, "controller", "EPC", "The PCI endpoint controller of a pci export; needed "
	  "only where the card has several." },
	{ SLUICE_EXPORT_QUEUES, "queues", "N", "I/O queues of a pci export, 4 by default; each needs an "
	  "interrupt vector, and one is for administration." },
	{ SLUICE_EXPORT_MDTS, "mdts", "KIB", "The largest transfer of a pci export, 512 by default; a power "
	  "of two." },
	{ 0 },
};

const struct sluice_option sluice_unexport_options[] = {
	{ SLUICE_EXPORT_KIND, "kind", "tcp|loop|pci", "Only the export of this kind." },
	{ 0 },
};

bool sluice_export_is_kind(const char *word)
{
	return !strcmp(word, "tcp") || !strcmp(word, "loop") || !strcmp(word, "pci");
}

static int take_kind(struct sluice_ctl *ctl, struct sluice_export_request *req, const char *kind)
{
	if (!sluice_export_is_kind(kind))
		return sluice_usage(ctl, "The kind of export \"%s\" is unknown; there are tcp, "
				    "loop and pci.", kind);
	req->kind = kind;
	return 0;
}

static int take_allow(struct sluice_ctl *ctl, struct sluice_export_request *req, const char *nqn)
{
	if (strncmp(nqn, "nqn.", 4) || !nqn[4] || strlen(nqn) > 223)
		return sluice_usage(ctl, "\"%s\" is not the NQN of a host; it starts with "
				    "\"nqn.\" and has at most 223 bytes.", nqn);
	if (!req->allow)
		req->allow = json_object_new_array();
	json_object_array_add(req->allow, json_object_new_string(nqn));
	return 0;
}

int sluice_export_take(struct sluice_args *args, struct sluice_export_request *req, int id,
		       const char *value)
{
	switch (id) {
	case SLUICE_EXPORT_KIND:
		return take_kind(args->ctl, req, value);
	case SLUICE_EXPORT_ADDRESS:
		req->address = value;
		return 0;
	case SLUICE_EXPORT_ALLOW:
		return take_allow(args->ctl, req, value);
	case SLUICE_EXPORT_ALLOW_ANY:
		req->allow_any = true;
		return 0;
	case SLUICE_EXPORT_CONTROLLER:
		req->controller = value;
		return 0;
	case SLUICE_EXPORT_QUEUES:
		return sluice_args_number(args, "queues", value, 2, 127, &req->queues);
	case SLUICE_EXPORT_MDTS:
		return sluice_args_number(args, "mdts", value, 8, 2048, &req->mdts_kb);
	}
	return 0;
}

static bool is_of_pci(const struct sluice_export_request *req)
{
	return req->controller || req->queues || req->mdts_kb;
}

int sluice_export_check(struct sluice_ctl *ctl, const struct sluice_export_request *req,
			bool required)
{
	if (!req->kind) {
		if (required)
			return sluice_usage(ctl, "The kind of export is missing; name it: tcp, "
					    "loop or pci.");
		if (req->address || req->allow || req->allow_any || is_of_pci(req))
			return sluice_usage(ctl, "The options --address, --allow, --allow-any, "
					    "--controller, --queues and --mdts mean something "
					    "only with --export.");
		return 0;
	}
	if (is_of_pci(req) && strcmp(req->kind, "pci"))
		return sluice_usage(ctl, "Only a pci export has --controller, --queues and --mdts.");
	if (req->controller && !*req->controller)
		return sluice_usage(ctl, "The name after --controller is empty.");
	if (!strcmp(req->kind, "pci") && (req->allow || req->allow_any))
		return sluice_usage(ctl, "A pci export has one host, the machine that the card sits "
				    "in; leave --allow and --allow-any out.");
	if (req->address && strcmp(req->kind, "tcp"))
		return sluice_usage(ctl, "Only a tcp export has an --address.");
	if (req->address && !*req->address)
		return sluice_usage(ctl, "The address after --address is empty.");
	if (req->allow && req->allow_any)
		return sluice_usage(ctl, "The options --allow and --allow-any exclude each other.");
	return 0;
}

struct json_object *sluice_export_options_of(const struct sluice_export_request *req)
{
	struct json_object *obj = json_object_new_object();

	if (req->address)
		json_object_object_add(obj, "address", json_object_new_string(req->address));
	/* To sluiced, too, it is where the export is. */
	if (req->controller)
		json_object_object_add(obj, "address", json_object_new_string(req->controller));
	if (req->queues)
		json_object_object_add(obj, "queues", json_object_new_uint64(req->queues));
	if (req->mdts_kb)
		json_object_object_add(obj, "mdts_kb", json_object_new_uint64(req->mdts_kb));
	if (req->allow)
		json_object_object_add(obj, "allow", json_object_get(req->allow));
	if (req->allow_any)
		json_object_object_add(obj, "allow_any", json_object_new_boolean(true));
	return obj;
}

void sluice_export_request_free(struct sluice_export_request *req)
{
	json_object_put(req->allow);
	req->allow = NULL;
}

/* Both commands' options and NAME. */
static int read_request(struct sluice_args *args, struct sluice_export_request *req,
			const char **name)
{
	const char *value;
	int id, status;

	*name = NULL;
	while ((id = sluice_args_next(args, &value)) > 0) {
		status = sluice_export_take(args, req, id, value);
		if (status)
			return status;
	}
	if (id == SLUICE_ARGS_STOP)
		return args->status;
	/* The last word may be the kind; what looks like one is not a NAME. */
	if (!req->kind && args->words && sluice_export_is_kind(args->argv[args->words - 1]))
		req->kind = args->argv[--args->words];
	return sluice_args_name(args, name);
}

void sluice_export_note(struct sluice_ctl *ctl, const struct sluice_export_request *req)
{
	if (!ctl->json && req->kind && !strcmp(req->kind, "tcp") && !req->allow && !req->allow_any)
		sluice_output_text(stdout, "No host may connect yet: name hosts with "
				   "--allow HOSTNQN, or use --allow-any.\n");
}

static int print_export(struct sluice_ctl *ctl, const char *name, struct json_object *reply)
{
	struct json_object *export;

	if (!json_object_object_get_ex(reply, "export", &export) || !export)
		return sluice_fail(ctl, SLUICE_EXIT_FAILED,
				   "The reply of sluiced describes no export.");
	if (ctl->json) {
		sluice_output_json(stdout, export);
		return 0;
	}
	sluice_output_text(stdout, "Deployment %s has a new export. ", name);
	sluice_deployment_print_export(export);
	return 0;
}

static int export(struct sluice_ctl *ctl, struct sluice_args *args,
		  struct sluice_export_request *req)
{
	struct json_object *parameters, *reply;
	const char *given;
	char *name;
	int status;

	status = read_request(args, req, &given);
	if (!status)
		status = sluice_export_check(ctl, req, true);
	if (status)
		return status;
	parameters = json_object_new_object();
	json_object_object_add(parameters, "kind", json_object_new_string(req->kind));
	json_object_object_add(parameters, "options", sluice_export_options_of(req));
	status = sluice_deployment_call(ctl, given, "Export", parameters, &name, &reply);
	if (status)
		return status;
	status = print_export(ctl, name, reply);
	sluice_export_note(ctl, req);
	json_object_put(reply);
	free(name);
	return status;
}

int sluice_cmd_export(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_args args = {
		.ctl = ctl, .options = sluice_export_options, .argc = argc, .argv = argv,
	};
	struct sluice_export_request req = { 0 };
	int status;

	status = export(ctl, &args, &req);
	sluice_export_request_free(&req);
	return status;
}

int sluice_cmd_unexport(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_args args = {
		.ctl = ctl, .options = sluice_unexport_options, .argc = argc, .argv = argv,
	};
	struct sluice_export_request req = { 0 };
	struct json_object *parameters, *reply;
	const char *given;
	char *name;
	int status;

	status = read_request(&args, &req, &given);
	if (status)
		return status;
	parameters = json_object_new_object();
	if (req.kind)
		json_object_object_add(parameters, "kind", json_object_new_string(req.kind));
	status = sluice_deployment_call(ctl, given, "Unexport", parameters, &name, &reply);
	if (status)
		return status;
	if (ctl->json)
		sluice_output_json(stdout, reply);
	else
		sluice_output_text(stdout, "Deployment %s is no longer exported%s%s.\n", name,
				   req.kind ? " over " : "", req.kind ? req.kind : "");
	json_object_put(reply);
	free(name);
	return SLUICE_EXIT_OK;
}
