// SPDX-License-Identifier: GPL-2.0-or-later
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "deployment.h"
#include "output.h"
#include "units.h"

/* Below 10 cells a bar shows less than its number does; above 60 no more. */
#define BAR_MIN	10
#define BAR_MAX	60

void sluice_progress_init(struct sluice_progress *progress)
{
	*progress = (struct sluice_progress){
		.bar = sluice_output_is_terminal(),
		.tens = -1,
	};
}

/* Asked anew for every line: windows change. */
int sluice_progress_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	int width;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	width = columns ? atoi(columns) : 0;
	return width > 0 ? width : 80;
}

static void print_bar(int cells, double percent)
{
	int full = cells * percent / 100;
	int i;

	printf("  [");
	for (i = 0; i < cells; i++)
		putchar(i < full ? '#' : i == full ? '>' : ' ');
	putchar(']');
}

/*
 * Name, state, bar, per cent, rate, time to go. As the terminal narrows, first
 * the bar shrinks, then the time, the rate, the bar and the name go. The last
 * column stays empty: some terminals wrap when it is written.
 */
void sluice_progress_draw(const struct sluice_deployment *dep)
{
	char rate[SLUICE_UNITS_LEN + 8], eta[SLUICE_UNITS_LEN + 16], text[SLUICE_UNITS_LEN];
	bool running = strcmp(dep->state, "complete") && strcmp(dep->state, "failed");
	char name[80], state[40], percent[16];
	int width = sluice_progress_width() - 1;
	int need, cells;

	snprintf(name, sizeof(name), "%s  ", dep->name);
	snprintf(state, sizeof(state), "%-10s", dep->state);
	sluice_deployment_percent(dep, percent, sizeof(percent));
	*rate = *eta = '\0';
	if (running)
		snprintf(rate, sizeof(rate), "  %10s/s",
			 sluice_format_bytes(dep->rate, text, sizeof(text)));
	if (running && dep->has_eta)
		snprintf(eta, sizeof(eta), "  %s to go",
			 sluice_format_duration(dep->eta_s, text, sizeof(text)));

	/* "  100.0 %", and the bar's blanks and brackets. */
	need = strlen(name) + strlen(state) + 9 + strlen(rate) + strlen(eta);
	if (need + BAR_MIN + 4 > width) {
		need -= strlen(eta);
		*eta = '\0';
	}
	if (need + BAR_MIN + 4 > width) {
		need -= strlen(rate);
		*rate = '\0';
	}
	cells = width - need - 4;
	if (cells > BAR_MAX)
		cells = BAR_MAX;
	if (need > width)
		*name = '\0';

	putchar('\r');
	sluice_output_text(stdout, "%s", name);
	printf("%s", sluice_output_colour(sluice_deployment_colour(dep)));
	sluice_output_text(stdout, "%s", state);
	printf("%s", sluice_output_colour_end());
	if (cells >= BAR_MIN)
		print_bar(cells, dep->percent);
	printf("  %7s%s%s\033[K", percent, rate, eta);
}

static void print_line(const struct sluice_deployment *dep)
{
	char percent[16], text[SLUICE_UNITS_LEN];

	sluice_output_text(stdout, "%s: %s, %s local", dep->name, dep->state,
			   sluice_deployment_percent(dep, percent, sizeof(percent)));
	if (!strcmp(dep->state, "copying")) {
		printf(", %s/s", sluice_format_bytes(dep->rate, text, sizeof(text)));
		if (dep->has_eta)
			printf(", %s to go",
			       sluice_format_duration(dep->eta_s, text, sizeof(text)));
	}
	if (*dep->error)
		sluice_output_text(stdout, ": %s", dep->error);
	printf("\n");
	fflush(stdout);
}

void sluice_progress_show(struct sluice_progress *progress, const struct sluice_deployment *dep)
{
	int tens = dep->percent / 10;

	if (progress->bar) {
		/* Why it stalls is worth more than a state on the bar. */
		if (!strcmp(dep->state, "stalled") && strcmp(progress->state, dep->state))
			sluice_output_text(stdout, "%s%s\n", progress->drawn ? "\n" : "",
					   dep->error);
		sluice_progress_draw(dep);
		fflush(stdout);
		progress->drawn = true;
	} else if (tens > progress->tens || strcmp(progress->state, dep->state)) {
		print_line(dep);
		progress->tens = tens;
	}
	snprintf(progress->state, sizeof(progress->state), "%s", dep->state);
}

void sluice_progress_end(struct sluice_progress *progress)
{
	if (progress->drawn)
		printf("\n");
	progress->drawn = false;
	fflush(stdout);
}
