// SPDX-License-Identifier: GPL-2.0-or-later
#include "help.h"

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "command.h"
#include "manual.h"

enum {
	OPT_MAN = 1,
};

const struct sluice_option sluice_help_options[] = {
	{ OPT_MAN, "man", NULL, "Print the skeleton of the manual page, in reStructuredText." },
	{ 0 },
};

/* Columns. 78 leaves room on the 80 of the narrowest terminal still met. */
#define WIDTH	78
#define INDENT	28

/* Breaks @text of @len bytes at blanks; the first line starts at @column. */
static void print_wrapped(const char *text, size_t len, int column, int indent)
{
	const char *end = text + len;

	while (text < end) {
		int word = strcspn(text, " ");

		if (word > end - text)
			word = end - text;
		if (column > indent && column + 1 + word > WIDTH) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", word, text);
		column += word;
		text += word;
		text += strspn(text, " ");
	}
	putchar('\n');
}

size_t sluice_help_first(const char *help)
{
	const char *end = strstr(help, ". ");

	return end ? (size_t)(end + 1 - help) : strlen(help);
}

static void print_options(const struct sluice_option *options)
{
	for (; options && options->id; options++) {
		int column = printf("  --%s%s%s", options->name, options->value ? " " : "",
				    options->value ? options->value : "");

		if (column >= INDENT) {
			putchar('\n');
			column = 0;
		}
		printf("%*s", INDENT - column, "");
		print_wrapped(options->help, strlen(options->help), INDENT, INDENT);
	}
}

void sluice_help_all(void)
{
	const struct sluice_command *command;

	printf("Usage: sluicectl [OPTION]... [COMMAND [ARGUMENT]...]\n\n"
	       "Controls sluiced, which deploys an operating system image to a local disk\n"
	       "while the host already runs from it.\n\nCommands (status is the default):\n");
	for (command = sluice_commands; command->name; command++) {
		int column;

		if (!*command->help)
			continue;
		column = printf("  %-12s ", command->name);
		print_wrapped(command->help, sluice_help_first(command->help), column, column);
	}
	printf("\nOptions, before or after the command:\n");
	print_options(sluice_global_options);
	printf("\n\"sluicectl help COMMAND\" says more, and sluicectl(8) everything.\n");
}

void sluice_help_command(const struct sluice_command *command)
{
	const char *rest = command->synopsis + strlen(command->name);
	int column = printf("Usage: sluicectl %s ", command->name);

	rest += strspn(rest, " ");
	print_wrapped(rest, strlen(rest), column, column);
	putchar('\n');
	print_wrapped(command->help, strlen(command->help), 0, 0);
	if (command->options) {
		printf("\nOptions:\n");
		print_options(command->options);
	}
	printf("\nOptions of every command:\n");
	print_options(sluice_global_options);
}

int sluice_cmd_help(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_args args = {
		.ctl = ctl, .options = sluice_help_options, .argc = argc, .argv = argv,
	};
	const struct sluice_command *command = NULL;
	const char *name, *value;
	bool man = false;
	int id, status;

	while ((id = sluice_args_next(&args, &value)) > 0)
		man = true;
	if (id == SLUICE_ARGS_STOP)
		return args.status;
	status = sluice_args_name(&args, &name);
	if (status)
		return status;
	if (name) {
		command = sluice_command_find(name);
		if (!command)
			return sluice_usage(ctl, "There is no command \"%s\" to give help on.",
					    name);
	}
	if (command && man)
		sluice_manual_command(command);
	else if (command)
		sluice_help_command(command);
	else if (man)
		sluice_manual_all();
	else
		sluice_help_all();
	return SLUICE_EXIT_OK;
}
