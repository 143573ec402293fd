/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line: long options with "--name VALUE" or "--name=VALUE", words in
 * between, "--" before words that start with "-". The global options are
 * understood in any place.
 *
 * Not getopt_long(): it takes abbreviations, which become ambiguous with the next
 * option, and its messages cannot be had as JSON.
 */
#ifndef SLUICE_TOOLS_ARGS_H
#define SLUICE_TOOLS_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sluice_ctl;

struct sluice_option {
	int id;			/* positive; 0 ends a list */
	const char *name;
	/* What help calls the value, written as in a synopsis; NULL: takes none. */
	const char *value;
	const char *help;
};

extern const struct sluice_option sluice_global_options[];

/* The one whose name the first @len bytes of @name are, or NULL. @options may be NULL. */
const struct sluice_option *sluice_option_find(const struct sluice_option *options,
					       const char *name, size_t len);

#define SLUICE_ARGS_END		0
#define SLUICE_ARGS_STOP	-1

struct sluice_args {
	struct sluice_ctl *ctl;
	const struct sluice_option *options;	/* may be NULL */
	int argc;
	char **argv;
	bool first_word_ends;		/* then argv[next] is that word */
	/* What follows starts as zeroes. */
	int next;
	int words;			/* after the end: argv[0] to argv[words - 1] */
	bool only_words;
	int status;			/* to exit with, after SLUICE_ARGS_STOP */
};

/*
 * The id of the next option, with its value, or "", in *@value;
 * SLUICE_ARGS_END, or SLUICE_ARGS_STOP after an error or when help was given.
 */
int sluice_args_next(struct sluice_args *args, const char **value);

/* For commands that take options of no kind and at most one word, a NAME or NULL. */
int sluice_args_only_name(struct sluice_ctl *ctl, int argc, char **argv, const char **name);

/* The one word there may be, or NULL; 0 or an exit status. */
int sluice_args_name(struct sluice_args *args, const char **name);

/* Rates: bytes a second, "none" being 0. 0 or an exit status. */
int sluice_args_rate(struct sluice_args *args, const char *option, const char *text,
		     uint64_t *rate);

/* A decimal number from @min to @max. 0 or an exit status. */
int sluice_args_number(struct sluice_args *args, const char *option, const char *text,
		       uint64_t min, uint64_t max, uint64_t *number);

#endif /* SLUICE_TOOLS_ARGS_H */
