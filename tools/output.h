/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What reaches people and scripts: text that cannot steer a terminal, JSON of one
 * line, tables.
 */
#ifndef SLUICE_TOOLS_OUTPUT_H
#define SLUICE_TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

struct json_object;

/*
 * Like fprintf(), with every control character but the newline shown as "?":
 * image names come from the network.
 */
void sluice_output_text(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The object on one line. */
void sluice_output_json(FILE *to, struct json_object *obj);

/* Whether stdout is a terminal that moves its cursor. */
bool sluice_output_is_terminal(void);

enum sluice_colour {
	SLUICE_PLAIN,
	SLUICE_GREEN,
	SLUICE_YELLOW,
	SLUICE_RED,
	SLUICE_BOLD,
};

/* The escape sequence, or "" where NO_COLOR or a missing terminal forbids it. */
const char *sluice_output_colour(enum sluice_colour colour);
const char *sluice_output_colour_end(void);

struct sluice_column {
	const char *name;	/* NULL ends the list */
	bool right;		/* numbers */
	bool shrinks;		/* cut where the terminal is too narrow */
};

struct sluice_table;

/* NULL without memory; the other functions bear a NULL table. */
struct sluice_table *sluice_table_new(const struct sluice_column *columns, bool headings);
void sluice_table_row(struct sluice_table *table);
/* A cell of the newest row. */
void sluice_table_cell(struct sluice_table *table, unsigned int column,
		       enum sluice_colour colour, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Prints on stdout and frees. */
void sluice_table_end(struct sluice_table *table);

#endif /* SLUICE_TOOLS_OUTPUT_H */
