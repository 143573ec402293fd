// SPDX-License-Identifier: GPL-2.0-or-later
/* The table that the command line, help, the manual's skeleton and completion are made of. */
#include <string.h>

#include "command.h"

const struct sluice_command sluice_commands[] = {
	{ "deploy", "deploy [NAME] --source URI --local DEVICE [OPTION]...",
	  "Starts a deployment, or resumes the one that the local disk holds. The host can use "
	  "the device at once; the image is copied to the local disk meanwhile.",
	  sluice_deploy_options, sluice_cmd_deploy },
	{ "apply", "apply [FILE] [--dry-run]",
	  "Makes a deployment as a file wants it, or changes one so. A directory stands for all its "
	  "files that end in .json, and is /etc/sluice/deployments.d by default.",
	  sluice_apply_options, sluice_cmd_apply },
	{ "status", "status [NAME]",
	  "Shows all deployments, or everything about one.", NULL, sluice_cmd_status },
	{ "wait", "wait [NAME] [--for complete|PERCENT] [--timeout SECONDS]",
	  "Waits for a deployment and shows its progress. Exits with 0 when the goal is reached, "
	  "1 when the deployment failed, 16 when the time is over.",
	  sluice_wait_options, sluice_cmd_wait },
	{ "watch", "watch [NAME]",
	  "Shows deployments as they go on, on a terminal until q is pressed. Elsewhere the same "
	  "as \"sluicectl events -o json\".", NULL, sluice_cmd_watch },
	{ "events", "events [NAME]",
	  "Prints what happens to deployments, first which there are. One line, or with -o json "
	  "one object, stands for each change of a state, a source or a trouble.", NULL,
	  sluice_cmd_events },
	{ "pause", "pause [NAME]",
	  "Stops the background copy. What the host reads is still fetched.", NULL,
	  sluice_cmd_pause },
	{ "resume", "resume [NAME]",
	  "Lets the background copy go on.", NULL, sluice_cmd_resume },
	{ "limit", "limit [NAME] [--min-rate RATE] [--max-rate RATE] [--deadline MS]",
	  "Changes the rates of the background copy, and how long requests of the host wait. "
	  "What is not given stays.",
	  sluice_limit_options, sluice_cmd_limit },
	{ "source", "source list|add|remove [NAME] [URI]",
	  "Shows where the image of a deployment is read, adds another place of the same image, "
	  "or takes one away. It is read from one place at a time; when that fails, from the "
	  "next.", NULL, sluice_cmd_source },
	{ "profile", "profile record|get [NAME [FILE]] | show FILE | merge FILE... | "
	  "from-paths IMAGE LIST",
	  "Makes boot profiles, which say what to fetch first. \"record\" writes down what the "
	  "host asks for until \"sluicectl mark NAME up\" or an interrupt, \"get\" what was "
	  "recorded last; \"merge\" makes one of several, \"from-paths\" one of a list of files "
	  "in the image's ext4. \"sluicectl deploy --profile\" uses them.",
	  sluice_profile_options, sluice_cmd_profile },
	{ "mark", "mark [NAME] up",
	  "Says that the host is up, which ends the recording of a profile.", NULL,
	  sluice_cmd_mark },
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
	{ "doctor", "doctor [--root PATH]",
	  "Says what this card can do, what it lacks and what helps. Exits with 0, 18 when there "
	  "are warnings, 19 when nothing can be deployed.", sluice_doctor_options,
	  sluice_cmd_doctor },
	{ "version", "version",
	  "Shows the versions of sluicectl, sluiced and the kernel module.", NULL,
	  sluice_cmd_version },
	{ "help", "help [COMMAND] [--man]",
	  "Shows the commands, or how to use one.", sluice_help_options, sluice_cmd_help },
	{ "complete", "complete [WORD]...",
	  "", NULL, sluice_cmd_complete },
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
