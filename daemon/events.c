// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * States are compared after each round of the loop, while somebody watches. We
 * could tell in each place that changes one, but a place that forgets to would go
 * unnoticed, and there are at most 64 deployments to compare.
 */
#include "events.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "control_server.h"
#include "deployment.h"
#include "report.h"

static const char *source_of(struct sluiced_deployment *d)
{
	return sluiced_paths_active(&d->record.paths)->uri;
}

static struct json_object *now(void)
{
	struct timespec ts;
	struct tm tm;
	char text[40];
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&ts.tv_sec, &tm));
	snprintf(text + n, sizeof(text) - n, ".%03ldZ", ts.tv_nsec / 1000000);
	return json_object_new_string(text);
}

static struct json_object *event_of(struct sluiced_deployment *d, const char *kind)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "event", json_object_new_string(kind));
	json_object_object_add(o, "time", now());
	json_object_object_add(o, "name", json_object_new_string(d->record.name));
	json_object_object_add(o, "state", json_object_new_string(sluiced_report_state(d)));
	json_object_object_add(o, "error",
			       d->error[0] ? json_object_new_string(d->error) : NULL);
	json_object_object_add(o, "source", json_object_new_string(source_of(d)));
	return o;
}

static void see(struct sluiced_deployment *d)
{
	d->seen.state = sluiced_report_state(d);
	snprintf(d->seen.error, sizeof(d->seen.error), "%s", d->error);
	snprintf(d->seen.source, sizeof(d->seen.source), "%s", source_of(d));
}

/* NULL: nothing changed. One event has all that changed at once. */
static struct json_object *change_of(struct sluiced_deployment *d)
{
	struct json_object *o;

	if (!d->seen.state)
		return event_of(d, "deployment");
	if (strcmp(d->seen.state, sluiced_report_state(d))) {
		o = event_of(d, "state");
		json_object_object_add(o, "previous", json_object_new_string(d->seen.state));
		return o;
	}
	if (strcmp(d->seen.source, source_of(d))) {
		o = event_of(d, "source");
		json_object_object_add(o, "previous", json_object_new_string(d->seen.source));
		return o;
	}
	return strcmp(d->seen.error, d->error) ? event_of(d, "error") : NULL;
}

void sluiced_events_look(struct sluiced_loop *loop)
{
	struct sluiced_daemon *daemon = container_of(loop, struct sluiced_daemon, loop);
	struct sluiced_deployment *d;
	struct json_object *event;

	if (!sluiced_server_has_streams())
		return;
	for (d = daemon->deployments; d; d = d->next) {
		event = change_of(d);
		if (!event)
			continue;
		see(d);
		sluiced_server_publish(d->record.name, event);
	}
}

bool sluiced_events_start(struct sluiced_call *call, struct sluiced_deployment *only)
{
	struct sluiced_daemon *daemon = sluiced_call_daemon(call);
	bool first = !sluiced_server_has_streams();
	struct sluiced_deployment *d;

	/* What happened while nobody watched is no news. */
	for (d = daemon->deployments; d && first; d = d->next)
		see(d);
	/* Others are told first of what this one is about to see. */
	sluiced_events_look(&daemon->loop);
	if (!sluiced_call_stream(call, only ? only->record.name : ""))
		return false;
	for (d = daemon->deployments; d; d = d->next)
		if (!only || d == only)
			sluiced_stream_send(call, event_of(d, "deployment"));
	return true;
}

void sluiced_events_removed(struct sluiced_deployment *d)
{
	if (sluiced_server_has_streams() && d->seen.state)
		sluiced_server_publish(d->record.name, event_of(d, "removed"));
}
