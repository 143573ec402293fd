// SPDX-License-Identifier: GPL-2.0-or-later
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "command.h"
#include "output.h"

#define PREFIX	"org.sluice."

static const struct {
	const char *kind;
	int exit;
} kinds[] = {
	{ "Failed", SLUICE_EXIT_FAILED },
	{ "InvalidParameter", SLUICE_EXIT_USAGE },
	{ "NotFound", SLUICE_EXIT_NOT_FOUND },
	{ "Exists", 4 },
	{ "SourceUnreachable", 5 },
	{ "ImageUnusable", 6 },
	{ "LocalUnusable", 7 },
	{ "HoldsData", 8 },
	{ "NotFormatted", SLUICE_EXIT_NOT_FORMATTED },
	{ "Mismatch", SLUICE_EXIT_MISMATCH },
	{ "Damaged", 11 },
	{ "Module", 12 },
	{ "ExportFailed", 13 },
	{ "InUse", 14 },
	{ "NoDaemon", SLUICE_EXIT_NO_DAEMON },
	{ "TimedOut", SLUICE_EXIT_TIMEOUT },
	{ "NotPermitted", 17 },
};

static const char *kind_of(int exit)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].exit == exit)
			return kinds[i].kind;
	return kinds[0].kind;
}

static int exit_of(const char *kind)
{
	size_t i;

	if (strncmp(kind, PREFIX, strlen(PREFIX)))
		return SLUICE_EXIT_FAILED;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].kind, kind + strlen(PREFIX)))
			return kinds[i].exit;
	return SLUICE_EXIT_FAILED;
}

static void __attribute__((format(printf, 3, 0))) record(struct sluice_ctl *ctl, int exit,
							 const char *fmt, va_list args)
{
	sluice_error_clear(ctl);
	ctl->error.exit = exit;
	if (asprintf(&ctl->error.kind, PREFIX "%s", kind_of(exit)) < 0)
		ctl->error.kind = NULL;
	if (vasprintf(&ctl->error.message, fmt, args) < 0)
		ctl->error.message = NULL;
}

int sluice_fail(struct sluice_ctl *ctl, int exit, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	record(ctl, exit, fmt, args);
	va_end(args);
	return exit;
}

int sluice_fail_remote(struct sluice_ctl *ctl, const char *kind, const char *message)
{
	sluice_error_clear(ctl);
	ctl->error.exit = exit_of(kind);
	ctl->error.kind = strdup(kind);
	ctl->error.message = strdup(message);
	return ctl->error.exit;
}

int sluice_usage(struct sluice_ctl *ctl, const char *fmt, ...)
{
	const char *command = ctl->command ? ctl->command->name : NULL;
	char *sentence;
	va_list args;

	va_start(args, fmt);
	record(ctl, SLUICE_EXIT_USAGE, fmt, args);
	va_end(args);
	if (ctl->error.message &&
	    asprintf(&sentence, "%s See \"sluicectl help%s%s\".", ctl->error.message,
		     command ? " " : "", command ? command : "") >= 0) {
		free(ctl->error.message);
		ctl->error.message = sentence;
	}
	return SLUICE_EXIT_USAGE;
}

void sluice_error_print(const struct sluice_ctl *ctl)
{
	const struct sluice_error *error = &ctl->error;
	const char *message = error->message ? error->message : "There is no memory left.";
	struct json_object *obj;

	if (!error->exit)
		return;
	if (!ctl->json) {
		sluice_output_text(stderr, "sluicectl: %s\n", message);
		return;
	}
	obj = json_object_new_object();
	json_object_object_add(obj, "error", json_object_new_string(error->kind ? error->kind :
								    PREFIX "Failed"));
	json_object_object_add(obj, "message", json_object_new_string(message));
	sluice_output_json(stderr, obj);
	json_object_put(obj);
}

void sluice_error_clear(struct sluice_ctl *ctl)
{
	free(ctl->error.kind);
	free(ctl->error.message);
	ctl->error = (struct sluice_error){ 0 };
}
