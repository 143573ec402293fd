// SPDX-License-Identifier: GPL-2.0-or-later
#include "args.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "help.h"
#include "units.h"

enum {
	OPT_OUTPUT = 1,
	OPT_SOCKET,
	OPT_HELP,
	OPT_VERSION,
};

const struct sluice_option sluice_global_options[] = {
	{ OPT_OUTPUT, "output", "json|text", "Also -o: how results and errors are printed." },
	{ OPT_SOCKET, "socket", "PATH", "The socket of sluiced, " SLUICE_SOCKET " by default." },
	{ OPT_HELP, "help", NULL, "Also -h: prints help, on the command where there is one." },
	{ OPT_VERSION, "version", NULL, "Also -V: prints the version of sluicectl." },
	{ 0 },
};

const struct sluice_option *sluice_option_find(const struct sluice_option *options,
					       const char *name, size_t len)
{
	for (; options && options->id; options++)
		if (strlen(options->name) == len && !memcmp(options->name, name, len))
			return options;
	return NULL;
}

static int stop(struct sluice_args *args, int status)
{
	args->status = status;
	return SLUICE_ARGS_STOP;
}

/* SLUICE_ARGS_END stands for "go on" here. */
static int take_global(struct sluice_args *args, int id, const char *value)
{
	struct sluice_ctl *ctl = args->ctl;

	switch (id) {
	case OPT_OUTPUT:
		if (strcmp(value, "json") && strcmp(value, "text"))
			return stop(args, sluice_usage(ctl, "The output format \"%s\" is unknown; "
						       "there are json and text.", value));
		ctl->json = !strcmp(value, "json");
		break;
	case OPT_SOCKET:
		if (!*value)
			return stop(args, sluice_usage(ctl, "The path after --socket is empty."));
		ctl->socket = value;
		break;
	case OPT_HELP:
		if (ctl->command)
			sluice_help_command(ctl->command);
		else
			sluice_help_all();
		return stop(args, SLUICE_EXIT_HELPED);
	case OPT_VERSION:
		printf("sluicectl %s\n", SLUICE_VERSION);
		return stop(args, SLUICE_EXIT_HELPED);
	}
	return SLUICE_ARGS_END;
}

static int take_option(struct sluice_args *args, const char *name, size_t len,
		       const char *attached, const char **value)
{
	const struct sluice_option *option = sluice_option_find(args->options, name, len);
	bool global = !option;

	if (global)
		option = sluice_option_find(sluice_global_options, name, len);
	if (!option)
		return stop(args, sluice_usage(args->ctl, "The option --%.*s is unknown.",
					       (int)len, name));
	if (!option->value && attached)
		return stop(args, sluice_usage(args->ctl, "The option --%s takes no value.",
					       option->name));
	*value = attached ? attached : "";
	if (option->value && !attached) {
		if (args->next == args->argc)
			return stop(args, sluice_usage(args->ctl, "The option --%s needs a value, "
						       "%s.", option->name, option->value));
		*value = args->argv[args->next++];
	}
	return global ? take_global(args, option->id, *value) : option->id;
}

/* -o, -h and -V are the only short ones: no bundles. */
static int take_short(struct sluice_args *args, const char *arg, const char **value)
{
	const char *attached = arg[2] ? arg + 2 : NULL;

	switch (arg[1]) {
	case 'o':
		return take_option(args, "output", 6, attached, value);
	case 'h':
	case 'V':
		if (!attached)
			return take_global(args, arg[1] == 'h' ? OPT_HELP : OPT_VERSION, "");
		break;
	}
	return stop(args, sluice_usage(args->ctl, "The option %s is unknown.", arg));
}

int sluice_args_next(struct sluice_args *args, const char **value)
{
	const char *arg, *equals;
	int id;

	while (args->next < args->argc) {
		arg = args->argv[args->next];
		if (args->only_words || arg[0] != '-' || !arg[1]) {
			if (args->first_word_ends)
				return SLUICE_ARGS_END;
			args->argv[args->words++] = args->argv[args->next++];
			continue;
		}
		args->next++;
		if (!strcmp(arg, "--")) {
			args->only_words = true;
			continue;
		}
		if (arg[1] == '-') {
			equals = strchrnul(arg + 2, '=');
			id = take_option(args, arg + 2, equals - (arg + 2),
					 *equals ? equals + 1 : NULL, value);
		} else {
			id = take_short(args, arg, value);
		}
		if (id != SLUICE_ARGS_END)
			return id;
	}
	return SLUICE_ARGS_END;
}

int sluice_args_name(struct sluice_args *args, const char **name)
{
	*name = NULL;
	if (args->words > 1)
		return sluice_usage(args->ctl, "\"%s\" is one word too many.", args->argv[1]);
	if (args->words && !*args->argv[0])
		return sluice_usage(args->ctl, "The name of the deployment is empty.");
	if (args->words)
		*name = args->argv[0];
	return 0;
}

int sluice_args_only_name(struct sluice_ctl *ctl, int argc, char **argv, const char **name)
{
	struct sluice_args args = { .ctl = ctl, .argc = argc, .argv = argv };
	const char *value;

	*name = NULL;
	if (sluice_args_next(&args, &value) == SLUICE_ARGS_STOP)
		return args.status;
	return sluice_args_name(&args, name);
}

int sluice_args_rate(struct sluice_args *args, const char *option, const char *text,
		     uint64_t *rate)
{
	if (!strcmp(text, "none")) {
		*rate = 0;
		return 0;
	}
	if (sluice_parse_bytes(text, rate))
		return sluice_usage(args->ctl, "\"%s\" is not a rate for --%s; write bytes a "
				    "second such as 200M, or none.", text, option);
	return 0;
}

int sluice_args_number(struct sluice_args *args, const char *option, const char *text,
		       uint64_t min, uint64_t max, uint64_t *number)
{
	uint64_t value = 0;
	const char *p = text;
	bool bad = !*text;

	for (; *p && !bad; p++)
		bad = !isdigit((unsigned char)*p) ||
		      __builtin_mul_overflow(value, 10, &value) ||
		      __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
	if (bad || value < min || value > max)
		return sluice_usage(args->ctl, "\"%s\" is not a number for --%s from %" PRIu64
				    " to %" PRIu64 ".", text, option, min, max);
	*number = value;
	return 0;
}
