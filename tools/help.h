/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Help, made from the tables of commands and options. Text on stdout. */
#ifndef SLUICE_TOOLS_HELP_H
#define SLUICE_TOOLS_HELP_H

#include <stddef.h>

struct sluice_command;

void sluice_help_all(void);
void sluice_help_command(const struct sluice_command *command);

/* The length of the first sentence. */
size_t sluice_help_first(const char *help);

#endif /* SLUICE_TOOLS_HELP_H */
