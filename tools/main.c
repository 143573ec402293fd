// SPDX-License-Identifier: GPL-2.0-or-later
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "command.h"

/* So that an error in front of "-o json" is printed as JSON, too. */
static bool wants_json(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "-ojson") || !strcmp(argv[i], "--output=json"))
			return true;
		if ((!strcmp(argv[i], "-o") || !strcmp(argv[i], "--output")) && i + 1 < argc &&
		    !strcmp(argv[i + 1], "json"))
			return true;
	}
	return false;
}

static int run(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_args args = {
		.ctl = ctl, .argc = argc - 1, .argv = argv + 1, .first_word_ends = true,
	};
	const char *value, *name = "status";

	if (sluice_args_next(&args, &value) == SLUICE_ARGS_STOP)
		return args.status;
	if (args.next < args.argc)
		name = args.argv[args.next++];
	ctl->command = sluice_command_find(name);
	if (!ctl->command)
		return sluice_usage(ctl, "There is no command \"%s\".", name);
	return ctl->command->run(ctl, args.argc - args.next, args.argv + args.next);
}

int main(int argc, char **argv)
{
	struct sluice_ctl ctl = {
		.socket = SLUICE_SOCKET,
		.json = wants_json(argc, argv),
		.client = { .fd = -1 },
	};
	int status;

	/* For the width of characters; numbers keep their decimal point. */
	setlocale(LC_CTYPE, "");
	status = run(&ctl, argc, argv);
	sluice_client_close(&ctl);
	if (fflush(stdout) || ferror(stdout)) {
		/* Some statuses are no errors, but say how the output is to be taken. */
		if (status <= 0 || !ctl.error.exit)
			status = sluice_fail(&ctl, SLUICE_EXIT_FAILED,
					     "The output could not be written.");
	}
	if (status > 0)
		sluice_error_print(&ctl);
	sluice_error_clear(&ctl);
	return status > 0 ? status : SLUICE_EXIT_OK;
}
