// SPDX-License-Identifier: GPL-2.0-or-later
#include "manual.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "command.h"

static void print_title(const char *title, char line)
{
	size_t i;

	printf("%s\n", title);
	for (i = 0; title[i]; i++)
		putchar(line);
	printf("\n\n");
}

/* What has a meaning in reStructuredText, without it. */
static void print_plain(const char *text)
{
	for (; *text; text++) {
		if (strchr("*`|\\_", *text))
			putchar('\\');
		putchar(*text);
	}
}

static size_t word_len(const char *text)
{
	size_t len = 0;

	while (isalnum((unsigned char)text[len]) || text[len] == '-')
		len++;
	return len;
}

/* Capitals stand for something; all else is written as it is. */
static void print_synopsis(const char *text)
{
	char before = ' ';

	while (*text) {
		size_t len = word_len(text);
		const char *mark = isupper((unsigned char)*text) ? "*" : "**";

		if (len) {
			/* Markup begins and ends at blanks and brackets only. */
			if (!strchr(" [", before))
				printf("\\ ");
			printf("%s%.*s%s", mark, (int)len, text, mark);
			text += len;
			if (*text && !strchr(" ].", *text))
				printf("\\ ");
			before = 'x';
		} else {
			printf("%s%c", *text == '|' ? "\\" : "", *text);
			before = *text++;
		}
	}
	printf("\n\n");
}

static void print_options(const struct sluice_option *options)
{
	for (; options && options->id; options++) {
		printf("--%s%s%s\n  ", options->name, options->value ? " " : "",
		       options->value ? options->value : "");
		print_plain(options->help);
		printf("\n\n");
	}
}

void sluice_manual_command(const struct sluice_command *command)
{
	print_title(command->name, '-');
	print_synopsis(command->synopsis);
	print_plain(command->help);
	printf("\n\n");
	print_options(command->options);
}

void sluice_manual_all(void)
{
	const struct sluice_command *command;
	int status;

	print_title("sluicectl", '=');
	printf(":Manual section: 8\n:Manual group: Sluice\n\n");
	print_title("SYNOPSIS", '=');
	printf("**sluicectl** [*OPTION*]... [*COMMAND* [*ARGUMENT*]...]\n\n");
	print_title("COMMANDS", '=');
	for (command = sluice_commands; command->name; command++)
		if (*command->help)
			sluice_manual_command(command);
	print_title("OPTIONS", '=');
	print_options(sluice_global_options);
	print_title("EXIT STATUS", '=');
	for (status = SLUICE_EXIT_OK; status <= SLUICE_EXIT_LAST; status++) {
		const char *kind = sluice_error_kind(status);

		printf("%d%s%s%s\n  ", status, kind ? " (" : "", kind ? kind : "",
		       kind ? ")" : "");
		print_plain(sluice_error_meaning(status));
		printf("\n\n");
	}
}
