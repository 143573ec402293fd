// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Completion of command lines. The shells ask each time instead of reading lists
 * made when Sluice was built: so names of deployments complete, too, and a list
 * cannot be of another version than the program.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"
#include "help.h"

/* Longer than this nobody waits for a list of names behind a key. */
#define NAMES_MS	1000

/* 16 is arbitrary: no synopsis comes near. */
#define PLACES_MAX	16

/* The word that is to be completed, and what stands before it. */
struct line {
	struct sluice_ctl *ctl;
	const struct sluice_command *command;	/* NULL: not yet named */
	const struct sluice_option *option;	/* whose value the word is, or NULL */
	int words;				/* behind the command */
	const char *first;			/* of them, if there is one */
	bool only_words;			/* "--" was there */
	const char *prefix;			/* "--option=", of the word, or "" */
	size_t prefix_len;
	const char *word;			/* behind the prefix */
};

/* @text as a candidate, if it goes on from the word. */
static void offer(const struct line *line, const char *text, size_t len, const char *help)
{
	if (strncmp(text, line->word, strlen(line->word)) || len < strlen(line->word))
		return;
	/* A name must not bring lines or tabs of its own. */
	sluice_output_text(stdout, "%.*s%.*s", (int)line->prefix_len, line->prefix, (int)len,
			   text);
	printf("\t%.*s\n", (int)sluice_help_first(help), help);
}

static void offer_commands(const struct line *line)
{
	const struct sluice_command *command;

	for (command = sluice_commands; command->name; command++)
		if (*command->help)
			offer(line, command->name, strlen(command->name), command->help);
}

static void offer_options(const struct line *line, const struct sluice_option *options)
{
	char text[64];

	for (; options && options->id; options++) {
		snprintf(text, sizeof(text), "--%s", options->name);
		offer(line, text, strlen(text), options->help);
	}
}

static void offer_names(const struct line *line)
{
	struct json_object *reply, *list;
	struct sluice_deployment dep;
	size_t i;

	line->ctl->client.deadline = sluice_client_now() + NAMES_MS;
	if (sluice_client_call(line->ctl, "Status", NULL, &reply)) {
		/* A line that cannot be completed is no error of who types it. */
		sluice_error_clear(line->ctl);
		return;
	}
	if (json_object_object_get_ex(reply, "deployments", &list) &&
	    json_object_is_type(list, json_type_array))
		for (i = 0; i < json_object_array_length(list); i++) {
			sluice_deployment_read(json_object_array_get_idx(list, i), &dep);
			offer(line, dep.name, strlen(dep.name), dep.state);
		}
	json_object_put(reply);
}

static void offer_entries(const struct line *line, const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			offer(line, entry->d_name, strlen(entry->d_name), directory);
	if (dir)
		closedir(dir);
}

static void offer_schemes(const struct line *line)
{
	static const char *const schemes[] = {
		"nvme-tcp://", "iscsi://", "nbd://", "nbds://", "nbd+unix:///", "file:",
	};
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		offer(line, schemes[i], strlen(schemes[i]), "A kind of source");
}

/* One alternative of a synopsis: itself, or what its capitals stand for. */
static void offer_alternative(const struct line *line, const char *text, size_t len,
			      const char *help)
{
	char word[32];

	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	if (islower((unsigned char)word[0]))
		offer(line, word, len, help);
	else if (!strcmp(word, "NAME"))
		offer_names(line);
	else if (!strcmp(word, "COMMAND"))
		offer_commands(line);
	else if (!strcmp(word, "URI"))
		offer_schemes(line);
	else if (!strcmp(word, "EPC"))
		offer_entries(line, "/sys/class/pci_epc");
	else if (!strcmp(word, "FILE") || !strcmp(word, "PATH") || !strcmp(word, "DEVICE") ||
		 !strcmp(word, "IMAGE") || !strcmp(word, "LIST"))
		printf(":files\n");
}

static void offer_value(const struct line *line, const char *value, size_t len, const char *help)
{
	const char *end = value + len;

	while (value < end) {
		size_t one = strcspn(value, "|");

		if (one > (size_t)(end - value))
			one = end - value;
		offer_alternative(line, value, one, help);
		value += one + 1;
	}
}

struct place {
	const char *text;
	size_t len;
	bool optional, repeats;
	bool begins;			/* the first of those that a lone "|" parts */
};

/* The words of a synopsis: neither its options nor their values. */
static size_t places_of(const struct sluice_command *command, struct place *places)
{
	const char *p = command->synopsis + strlen(command->name);
	const struct sluice_option *option = NULL;
	bool in_option = false, begins = true;
	size_t n = 0;

	while (*(p += strspn(p, " ")) && n < PLACES_MAX) {
		size_t len = strcspn(p, " ");
		bool opens = *p == '[';
		bool closes = memchr(p, ']', len);
		const char *text = p + opens;
		size_t text_len = strcspn(text, " ].");

		p += len;
		if (len == 1 && *text == '|') {
			begins = true;
		} else if (!strncmp(text, "--", 2)) {
			option = sluice_option_find(command->options, text + 2, text_len - 2);
			/* Up to its value, or to the end of the brackets. */
			in_option = opens ? !closes : option && option->value;
		} else if (in_option) {
			in_option = false;
		} else if (strncmp(text, "OPTION", text_len)) {
			places[n++] = (struct place){
				.text = text, .len = text_len, .optional = opens,
				.repeats = memchr(text, '.', p - text), .begins = begins,
			};
			begins = false;
		}
	}
	return n;
}

/* Whether @word may be there: capitals stand for anything. */
static bool takes(const struct place *place, const char *word)
{
	const char *p = place->text, *end = p + place->len;
	size_t len;

	if (!islower((unsigned char)*p))
		return true;
	for (; p < end; p += len + 1) {
		len = strcspn(p, "| ].");
		if (len == strlen(word) && !strncmp(p, word, len))
			return true;
	}
	return false;
}

/* What may stand where the word does, as places before may have been left out. */
static void offer_words(const struct line *line)
{
	struct place places[PLACES_MAX];
	size_t n = places_of(line->command, places);
	int required = 0, at = 0;
	bool meant = true;
	size_t i;

	for (i = 0; i < n; i++, at++) {
		if (places[i].begins) {
			required = at = 0;
			meant = !line->words || takes(&places[i], line->first);
		}
		if (meant && required <= line->words &&
		    (line->words <= at || places[i].repeats))
			offer_value(line, places[i].text, places[i].len, "");
		required += !places[i].optional;
	}
}

static const struct sluice_option *find_option(const struct line *line, const char *word,
					       size_t len)
{
	const struct sluice_option *option = NULL;

	if (len == 2 && !strncmp(word, "-o", 2))
		return sluice_option_find(sluice_global_options, "output", 6);
	if (len < 2 || strncmp(word, "--", 2))
		return NULL;
	if (line->command)
		option = sluice_option_find(line->command->options, word + 2, len - 2);
	return option ? option : sluice_option_find(sluice_global_options, word + 2, len - 2);
}

static void pass_value(struct line *line, const char *value)
{
	if (!strcmp(line->option->name, "socket"))
		line->ctl->socket = value;
	line->option = NULL;
}

/* A word before the one to complete. False: nothing can follow it. */
static bool pass(struct line *line, const char *word)
{
	size_t len = strcspn(word, "=");

	if (line->option) {
		/* bash makes three words of "--option=value". */
		if (strcmp(word, "="))
			pass_value(line, word);
	} else if (!line->only_words && word[0] == '-' && word[1]) {
		line->only_words = !strcmp(word, "--");
		line->option = find_option(line, word, len);
		if (line->option && !line->option->value)
			line->option = NULL;
		else if (line->option && word[len])
			pass_value(line, word + len + 1);
	} else if (line->command) {
		if (!line->words++)
			line->first = word;
	} else {
		line->command = sluice_command_find(word);
		return line->command;
	}
	return true;
}

int sluice_cmd_complete(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct line line = { .ctl = ctl, .prefix = "", .word = argc ? argv[argc - 1] : "" };
	const char *equals = strchr(line.word, '=');
	int i;

	for (i = 0; i < argc - 1; i++)
		if (!pass(&line, argv[i]))
			return SLUICE_EXIT_OK;
	if (line.option && !strcmp(line.word, "=")) {
		line.word = "";
	} else if (!line.option && !line.only_words && equals) {
		line.option = find_option(&line, line.word, equals - line.word);
		line.prefix = line.word;
		line.prefix_len = equals + 1 - line.word;
		line.word = equals + 1;
	}

	if (line.option && line.option->value) {
		offer_value(&line, line.option->value, strlen(line.option->value),
			    line.option->help);
	} else if (!line.only_words && line.word[0] == '-') {
		offer_options(&line, line.command ? line.command->options : NULL);
		offer_options(&line, sluice_global_options);
	} else if (line.command) {
		offer_words(&line);
	} else {
		offer_commands(&line);
	}
	return SLUICE_EXIT_OK;
}
