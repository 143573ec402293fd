// SPDX-License-Identifier: GPL-2.0-or-later
#include "output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>

/* Also the C1 controls, which are two bytes in UTF-8. */
static void tame(char *text)
{
	unsigned char *p;

	for (p = (unsigned char *)text; *p; p++) {
		if ((*p < ' ' && *p != '\n') || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
}

void sluice_output_text(FILE *to, const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		return;
	tame(text);
	fputs(text, to);
	free(text);
}

void sluice_output_json(FILE *to, struct json_object *obj)
{
	fprintf(to, "%s\n", json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
}

bool sluice_output_is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb");
}

static bool has_colours(void)
{
	const char *no_color = getenv("NO_COLOR");

	return sluice_output_is_terminal() && (!no_color || !*no_color);
}

static const char *sequence_of(enum sluice_colour colour)
{
	switch (colour) {
	case SLUICE_GREEN:
		return "\033[32m";
	case SLUICE_YELLOW:
		return "\033[33m";
	case SLUICE_RED:
		return "\033[31m";
	case SLUICE_BOLD:
		return "\033[1m";
	case SLUICE_PLAIN:
		break;
	}
	return "";
}

const char *sluice_output_colour(enum sluice_colour colour)
{
	return has_colours() ? sequence_of(colour) : "";
}

const char *sluice_output_colour_end(void)
{
	return has_colours() ? "\033[0m" : "";
}

struct sluice_table {
	struct libscols_table *scols;
	struct libscols_line *row;
};

struct sluice_table *sluice_table_new(const struct sluice_column *columns, bool headings)
{
	struct sluice_table *table = calloc(1, sizeof(*table));
	const struct sluice_column *column;

	if (!table)
		return NULL;
	scols_init_debug(0);
	table->scols = scols_new_table();
	if (!table->scols) {
		free(table);
		return NULL;
	}
	scols_table_enable_noheadings(table->scols, !headings);
	scols_table_enable_colors(table->scols, has_colours());
	scols_table_set_column_separator(table->scols, "  ");
	for (column = columns; column->name; column++)
		scols_table_new_column(table->scols, column->name, 0,
				       (column->right ? SCOLS_FL_RIGHT : 0) |
				       (column->shrinks ? SCOLS_FL_TRUNC : 0));
	return table;
}

void sluice_table_row(struct sluice_table *table)
{
	if (table)
		table->row = scols_table_new_line(table->scols, NULL);
}

void sluice_table_cell(struct sluice_table *table, unsigned int column,
		       enum sluice_colour colour, const char *fmt, ...)
{
	struct libscols_cell *cell;
	va_list args;
	char *text;
	int len;

	if (!table || !table->row)
		return;
	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		return;
	tame(text);
	cell = scols_line_get_cell(table->row, column);
	if (!cell || scols_cell_refer_data(cell, text)) {
		free(text);
		return;
	}
	if (colour != SLUICE_PLAIN)
		scols_cell_set_color(cell, sequence_of(colour));
}

void sluice_table_end(struct sluice_table *table)
{
	if (!table)
		return;
	scols_print_table(table->scols);
	scols_unref_table(table->scols);
	free(table);
}
