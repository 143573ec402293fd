/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Progress of a deployment on stdout: one line redrawn in place on a terminal, a
 * line for every ten per cent and every change of state elsewhere.
 */
#ifndef SLUICE_TOOLS_PROGRESS_H
#define SLUICE_TOOLS_PROGRESS_H

#include <stdbool.h>

struct sluice_deployment;

struct sluice_progress {
	bool bar;
	bool drawn;		/* the cursor is on a bar */
	int tens;		/* of the last line; -1: none yet */
	char state[32];		/* of the last line */
};

/* Columns of the terminal, now. */
int sluice_progress_width(void);

/* The bar of a deployment over the line that the cursor is on. */
void sluice_progress_draw(const struct sluice_deployment *dep);

void sluice_progress_init(struct sluice_progress *progress);
void sluice_progress_show(struct sluice_progress *progress, const struct sluice_deployment *dep);
/* Leaves the bar as it is and goes to a new line. */
void sluice_progress_end(struct sluice_progress *progress);

#endif /* SLUICE_TOOLS_PROGRESS_H */
