// SPDX-License-Identifier: GPL-2.0-or-later
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "command.h"
#include "output.h"

const struct sluice_command sluice_commands[] = {
	{ "deploy", "deploy [NAME] --source URI --local DEVICE [OPTION]...",
	  "Starts a deployment, or resumes the one that the local disk holds. The host can use "
	  "the device at once; the image is copied to the local disk meanwhile.",
	  sluice_deploy_options, sluice_cmd_deploy },
	{ "status", "status [NAME]",
	  "Shows all deployments, or everything about one.", NULL, sluice_cmd_status },
	{ "wait", "wait [NAME] [--for complete|PERCENT] [--timeout SECONDS]",
	  "Waits for a deployment and shows its progress. Exits with 0 when the goal is reached, "
	  "1 when the deployment failed, 16 when the time is over.",
	  sluice_wait_options, sluice_cmd_wait },
	{ "pause", "pause [NAME]",
	  "Stops the background copy. What the host reads is still fetched.", NULL,
	  sluice_cmd_pause },
	{ "resume", "resume [NAME]",
	  "Lets the background copy go on.", NULL, sluice_cmd_resume },
	{ "limit", "limit [NAME] [--min-rate RATE] [--max-rate RATE]",
	  "Changes the rates of the background copy. One that is not given stays.",
	  sluice_limit_options, sluice_cmd_limit },
	{ "source", "source list|add|remove [NAME] [URI]",
	  "Shows where the image of a deployment is read, adds another place of the same image, "
	  "or takes one away. It is read from one place at a time; when that fails, from the "
	  "next.", NULL, sluice_cmd_source },
	{ "detach", "detach [NAME]",
	  "Ends the exports, makes everything durable, removes the device and forgets the "
	  "deployment. The local disk keeps it, and \"sluicectl deploy\" resumes it.", NULL,
	  sluice_cmd_detach },
	{ "export", "export [NAME] tcp|loop|pci [OPTION]...",
	  "Offers the device as an NVMe namespace. A tcp export admits only the hosts named.",
	  sluice_export_options, sluice_cmd_export },
	{ "unexport", "unexport [NAME] [tcp|loop|pci]",
	  "Ends the exports of a deployment.", sluice_unexport_options, sluice_cmd_unexport },
	{ "fail-parked", "fail-parked [NAME]",
	  "Ends every waiting host request with a status that the host retries.", NULL,
	  sluice_cmd_fail_parked },
	{ "version", "version",
	  "Shows the versions of sluicectl, sluiced and the kernel module.", NULL,
	  sluice_cmd_version },
	{ "help", "help [COMMAND]",
	  "Shows the commands, or how to use one.", NULL, sluice_cmd_help },
	{ 0 },
};

const struct sluice_command *sluice_command_find(const char *name)
{
	const struct sluice_command *command;

	for (command = sluice_commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}

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
		if (status <= 0)
			status = sluice_fail(&ctl, SLUICE_EXIT_FAILED,
					     "The output could not be written.");
	}
	if (status > 0)
		sluice_error_print(&ctl);
	sluice_error_clear(&ctl);
	return status > 0 ? status : SLUICE_EXIT_OK;
}
