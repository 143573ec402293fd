// SPDX-License-Identifier: GPL-2.0-or-later
#include "metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deployment.h"
#include "report.h"

/* A deployment with what the kernel counts of it. */
struct row {
	const struct sluiced_deployment *d;
	struct sluice_counters now;
};

struct printer {
	FILE *out;
	bool openmetrics;
	struct row *rows;
	size_t count;
};

/*
 * OpenMetrics names a counter without the "_total" of its samples, Prometheus's text
 * with it.
 */
static void head(struct printer *p, const char *name, const char *type, const char *help)
{
	size_t len = strlen(name);

	if (p->openmetrics && !strcmp(type, "counter"))
		len -= strlen("_total");
	fprintf(p->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, name, help, (int)len, name,
		type);
}

static void label(struct printer *p, const char *name, const char *value)
{
	fprintf(p->out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", p->out);
		else if (*value == '"' || *value == '\\')
			fprintf(p->out, "\\%c", *value);
		else
			fputc(*value, p->out);
	}
	fputc('"', p->out);
}

static void begin(struct printer *p, const char *name, const struct row *row)
{
	fprintf(p->out, "%s{", name);
	label(p, "deployment", row->d->record.name);
}

static uint64_t is_stalled(const struct row *row)
{
	return row->d->stalled;
}

static uint64_t size(const struct row *row)
{
	return row->d->record.namespace_bytes;
}

static uint64_t local(const struct row *row)
{
	uint64_t bytes = row->now.resident_blocks * SLUICE_BLOCK_SIZE;

	return bytes < size(row) ? bytes : size(row);
}

static uint64_t rate(const struct row *row)
{
	return row->d->stage == SLUICED_RUNNING ? sluiced_estimate_rate(&row->d->estimate) : 0;
}

static uint64_t fetched(const struct row *row)
{
	return row->d->copier.fetched_bytes;
}

static uint64_t demand(const struct row *row)
{
	return row->d->copier.demand_bytes;
}

static uint64_t profile(const struct row *row)
{
	return row->d->copier.profile_bytes;
}

static uint64_t zeroed(const struct row *row)
{
	return row->d->copier.zero_bytes;
}

static uint64_t skipped(const struct row *row)
{
	return row->d->copier.skipped_bytes;
}

static uint64_t waiting(const struct row *row)
{
	return row->now.parked;
}

static uint64_t waited(const struct row *row)
{
	return row->now.parked_total;
}

static uint64_t expired(const struct row *row)
{
	return row->now.expired;
}

static const struct {
	const char *name, *type, *help;
	uint64_t (*value)(const struct row *row);
} figures[] = {
	{ "sluice_stalled", "gauge", "1 while the source is lost or the disk fails.", is_stalled },
	{ "sluice_size_bytes", "gauge", "Size of the device.", size },
	{ "sluice_local_bytes", "gauge", "What of the device is local.", local },
	{ "sluice_rate_bytes_per_second", "gauge", "Becoming local, smoothed.", rate },
	{ "sluice_waiting_requests", "gauge", "Host requests that wait for the source.", waiting },
	{ "sluice_fetched_bytes_total", "counter", "Read from the source.", fetched },
	{ "sluice_demand_bytes_total", "counter", "Of them because the host waited.", demand },
	{ "sluice_profile_bytes_total", "counter", "Of them because of a boot profile.", profile },
	{ "sluice_zeroed_bytes_total", "counter", "Made local as zeroes.", zeroed },
	{ "sluice_skipped_bytes_total", "counter", "Of them holes of the image.", skipped },
	{ "sluice_waited_requests_total", "counter", "Host requests that ever waited.", waited },
	{ "sluice_expired_requests_total", "counter", "Of them ended by their deadline.", expired },
};

static void print_figures(struct printer *p)
{
	size_t i, j;

	for (i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		head(p, figures[i].name, figures[i].type, figures[i].help);
		for (j = 0; j < p->count; j++) {
			begin(p, figures[i].name, &p->rows[j]);
			fprintf(p->out, "} %" PRIu64 "\n", figures[i].value(&p->rows[j]));
		}
	}
}

/* One is 1 and the others are 0, so that a query can tell for how long. */
static void print_choice(struct printer *p, const struct row *row, const char *name,
			 const char *uri, const char *key, const char *const *choices,
			 const char *chosen)
{
	for (; *choices; choices++) {
		begin(p, name, row);
		if (uri) {
			fputc(',', p->out);
			label(p, "uri", uri);
		}
		fputc(',', p->out);
		label(p, key, *choices);
		fprintf(p->out, "} %d\n", !strcmp(*choices, chosen));
	}
}

static void print_states(struct printer *p)
{
	static const char *const states[] = { "starting", "copying", "paused", "stalled",
					      "completing", "complete", "failed", NULL };
	static const char *const roles[] = { "active", "standby", "wrong", NULL };
	size_t i, j;

	head(p, "sluice_state", "gauge", "1 for the state of the deployment.");
	for (i = 0; i < p->count; i++)
		print_choice(p, &p->rows[i], "sluice_state", NULL, "state", states,
			     sluiced_report_state(p->rows[i].d));
	head(p, "sluice_path", "gauge", "1 for what a source of the deployment is.");
	for (i = 0; i < p->count; i++) {
		const struct sluiced_paths *paths = &p->rows[i].d->record.paths;

		for (j = 0; j < paths->count; j++)
			print_choice(p, &p->rows[i], "sluice_path", paths->path[j].uri, "role",
				     roles, sluiced_report_role(paths, j));
	}
}

static void print_misses(struct printer *p)
{
	const char *name = "sluice_miss_latency_seconds";
	char text[64];
	size_t i, j;

	head(p, name, "histogram", "From a read of the source for the host to its local write.");
	snprintf(text, sizeof(text), "%s_bucket", name);
	for (i = 0; i < p->count; i++) {
		const struct sluiced_histogram *misses = &p->rows[i].d->copier.misses;
		uint64_t count = 0;

		for (j = 0; j < SLUICED_HISTOGRAM_BUCKETS; j++) {
			uint64_t limit = sluiced_histogram_limits[j];

			count += misses->bucket[j];
			begin(p, text, &p->rows[i]);
			/* OpenMetrics wants the point also in whole numbers. */
			fprintf(p->out, ",le=\"%g%s\"} %" PRIu64 "\n", limit / 1e6,
				limit % 1000000 ? "" : ".0", count);
		}
		begin(p, text, &p->rows[i]);
		fprintf(p->out, ",le=\"+Inf\"} %" PRIu64 "\n", misses->count);
		fprintf(p->out, "%s_sum{", name);
		label(p, "deployment", p->rows[i].d->record.name);
		fprintf(p->out, "} %.6f\n", misses->sum_us / 1e6);
		fprintf(p->out, "%s_count{", name);
		label(p, "deployment", p->rows[i].d->record.name);
		fprintf(p->out, "} %" PRIu64 "\n", misses->count);
	}
}

static bool collect(struct printer *p, struct sluiced_daemon *daemon)
{
	const struct sluiced_deployment *d;

	p->rows = calloc(daemon->deployment_count + 1, sizeof(*p->rows));
	for (d = daemon->deployments; p->rows && d; d = d->next) {
		struct row *row = &p->rows[p->count++];

		row->d = d;
		/* Without a device there is nothing to count. */
		if (sluiced_deployment_stat(d, &row->now))
			memset(&row->now, 0, sizeof(row->now));
	}
	return p->rows;
}

char *sluiced_metrics_text(struct sluiced_daemon *daemon, bool openmetrics, size_t *len)
{
	struct printer p = { .openmetrics = openmetrics };
	char *text = NULL;
	bool failed;

	if (!collect(&p, daemon))
		return NULL;
	p.out = open_memstream(&text, len);
	if (!p.out) {
		free(p.rows);
		return NULL;
	}
	head(&p, "sluice_build_info", "gauge", "1, with the version of sluiced.");
	fprintf(p.out, "sluice_build_info{version=\"" SLUICE_VERSION "\"} 1\n");
	head(&p, "sluice_deployments", "gauge", "How many deployments there are.");
	fprintf(p.out, "sluice_deployments %zu\n", p.count);
	print_figures(&p);
	print_states(&p);
	print_misses(&p);
	if (openmetrics)
		fprintf(p.out, "# EOF\n");
	failed = ferror(p.out);
	if (fclose(p.out) || failed) {
		free(text);
		text = NULL;
	}
	free(p.rows);
	return text;
}
