/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Help, made from the tables of commands and options. Text on stdout. */
#ifndef SLUICE_TOOLS_HELP_H
#define SLUICE_TOOLS_HELP_H

struct sluice_command;

void sluice_help_all(void);
void sluice_help_command(const struct sluice_command *command);

#endif /* SLUICE_TOOLS_HELP_H */
