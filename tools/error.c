// SPDX-License-Identifier: GPL-2.0-or-later
#include "error.h"

#include <assert.h>
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
	const char *meaning;
	bool lasts;
} statuses[] = {
	[SLUICE_EXIT_OK] = { NULL, "Done.", false },
	[SLUICE_EXIT_FAILED] = { "Failed", "Anything not below.", false },
	[SLUICE_EXIT_USAGE] = { "InvalidParameter", "Wrong usage, or a parameter is malformed.",
				true },
	[SLUICE_EXIT_NOT_FOUND] = { "NotFound", "No deployment of that name.", false },
	[4] = { "Exists", "A deployment of that name, or on that disk, exists.", true },
	[5] = { "SourceUnreachable", "The source does not answer or refuses.", false },
	[6] = { "ImageUnusable", "Size or block size of the image does not fit.", true },
	[7] = { "LocalUnusable", "The disk is too small, busy or no block device.", false },
	[8] = { "HoldsData", "The disk holds data; nothing was changed.", true },
	[SLUICE_EXIT_NOT_FORMATTED] = { "NotFormatted", "The disk holds no deployment.", true },
	[SLUICE_EXIT_MISMATCH] = { "Mismatch", "The disk holds another deployment or image.",
				   true },
	[11] = { "Damaged", "The metadata on the disk is damaged.", true },
	[12] = { "Module", "The kernel module is missing or of another version.", false },
	[13] = { "ExportFailed", "The export could not be made.", false },
	[14] = { "InUse", "The device is open.", false },
	[SLUICE_EXIT_NO_DAEMON] = { "NoDaemon", "No sluiced is behind the socket, or it went away.",
				    false },
	[SLUICE_EXIT_TIMEOUT] = { "TimedOut", "The time is over; the deployment goes on.", false },
	[17] = { "NotPermitted", "Only root may do that.", true },
	[SLUICE_EXIT_WARNED] = { NULL, "The doctor has warnings.", false },
	[SLUICE_EXIT_UNFIT] = { NULL, "The doctor has errors.", false },
};

static_assert(sizeof(statuses) / sizeof(statuses[0]) == SLUICE_EXIT_LAST + 1,
	      "each status has a meaning");

const char *sluice_error_kind(int exit)
{
	return statuses[exit].kind;
}

const char *sluice_error_meaning(int exit)
{
	return statuses[exit].meaning;
}

bool sluice_error_lasts(int exit)
{
	return statuses[exit].lasts;
}

static int exit_of(const char *kind)
{
	int i;

	if (strncmp(kind, PREFIX, strlen(PREFIX)))
		return SLUICE_EXIT_FAILED;
	for (i = 0; i <= SLUICE_EXIT_LAST; i++)
		if (statuses[i].kind && !strcmp(statuses[i].kind, kind + strlen(PREFIX)))
			return i;
	return SLUICE_EXIT_FAILED;
}

static void __attribute__((format(printf, 3, 0))) record(struct sluice_ctl *ctl, int exit,
							 const char *fmt, va_list args)
{
	sluice_error_clear(ctl);
	ctl->error.exit = exit;
	if (asprintf(&ctl->error.kind, PREFIX "%s", sluice_error_kind(exit)) < 0)
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

void sluice_error_at(struct sluice_ctl *ctl, const char *where)
{
	char *message;

	if (!ctl->error.message || asprintf(&message, "%s: %s", where, ctl->error.message) < 0)
		return;
	free(ctl->error.message);
	ctl->error.message = message;
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
