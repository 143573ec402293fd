/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The skeleton of sluicectl(8), made from the tables of commands, options and errors: what
 * the page must have. reStructuredText on stdout. The page itself says more, and is written
 * by hand; tests/unit/test-completion.py holds it against this.
 */
#ifndef SLUICE_TOOLS_MANUAL_H
#define SLUICE_TOOLS_MANUAL_H

struct sluice_command;

void sluice_manual_all(void);
void sluice_manual_command(const struct sluice_command *command);

#endif /* SLUICE_TOOLS_MANUAL_H */
