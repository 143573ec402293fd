// SPDX-License-Identifier: GPL-2.0-or-later
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "deployment.h"
#include "progress.h"

enum {
	OPT_TIMEOUT = 1,
	OPT_FOR,
};

const struct sluice_option sluice_wait_options[] = {
	{ OPT_TIMEOUT, "timeout", "SECONDS", "How long to wait at most; 0 only looks. Without it "
	  "there is no end." },
	{ OPT_FOR, "for", "complete|PERCENT", "What to wait for: the recorded end of the "
	  "deployment (the default), or that much of the device being local." },
	{ 0 },
};

/* Two looks a second are enough for eyes and cost the daemon nothing. */
#define POLL_MS		500

/* A restart of the daemon is no end of the deployment; systemd needs less. */
#define RECONNECT_MS	10000

struct goal {
	bool percent;		/* otherwise: complete */
	double at_least;
	int64_t deadline;	/* of sluice_client_now(); 0: none */
};

static int take_goal(struct sluice_ctl *ctl, struct goal *goal, const char *text)
{
	size_t digits = strspn(text, "0123456789.");
	char *end;

	goal->percent = strcmp(text, "complete");
	if (!goal->percent)
		return 0;
	goal->at_least = strtod(text, &end);
	if (!digits || end != text + digits || (*end && strcmp(end, "%")) ||
	    goal->at_least > 100)
		return sluice_usage(ctl, "\"%s\" is nothing to wait for; write complete or a per "
				    "cent from 0 to 100.", text);
	return 0;
}

static bool reached(const struct goal *goal, const struct sluice_deployment *dep)
{
	if (!strcmp(dep->state, "complete"))
		return true;
	return goal->percent && dep->percent >= goal->at_least;
}

static void sleep_ms(int64_t ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* Sleeps until the next look; false when the deadline has come. */
static bool pause_until_next(const struct goal *goal)
{
	int64_t ms = POLL_MS;

	if (goal->deadline) {
		int64_t left = goal->deadline - sluice_client_now();

		if (left <= 0)
			return false;
		if (left < ms)
			ms = left;
	}
	sleep_ms(ms);
	return true;
}

static int timed_out(struct sluice_ctl *ctl, const char *name, const struct goal *goal)
{
	if (goal->percent)
		return sluice_fail(ctl, SLUICE_EXIT_TIMEOUT, "Deployment %s is not %g %% local "
				   "yet; it goes on.", name, goal->at_least);
	return sluice_fail(ctl, SLUICE_EXIT_TIMEOUT, "Deployment %s is not complete yet; it goes "
			   "on.", name);
}

/* *@last is the newest state seen, also on errors, or NULL. */
static int watch(struct sluice_ctl *ctl, const char *name, const struct goal *goal,
		 struct sluice_progress *progress, struct json_object **last)
{
	struct sluice_deployment dep;
	struct json_object *obj;
	int64_t lost_at = 0;
	int status;

	for (;;) {
		status = sluice_deployment_get(ctl, name, &obj);
		if (status == SLUICE_EXIT_NO_DAEMON && *last) {
			if (!lost_at)
				lost_at = sluice_client_now();
			if (sluice_client_now() - lost_at > RECONNECT_MS)
				return status;
		} else if (status == SLUICE_EXIT_TIMEOUT) {
			return timed_out(ctl, name, goal);
		} else if (status) {
			return status;
		} else {
			lost_at = 0;
			sluice_error_clear(ctl);
			json_object_put(*last);
			*last = obj;
			sluice_deployment_read(obj, &dep);
			if (progress)
				sluice_progress_show(progress, &dep);
			if (reached(goal, &dep))
				return SLUICE_EXIT_OK;
			if (!strcmp(dep.state, "failed"))
				return sluice_fail(ctl, SLUICE_EXIT_FAILED,
						   "Deployment %s failed: %s", name,
						   *dep.error ? dep.error :
						   "sluiced did not say why.");
		}
		if (!pause_until_next(goal))
			return timed_out(ctl, name, goal);
	}
}

int sluice_cmd_wait(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_args args = {
		.ctl = ctl, .options = sluice_wait_options, .argc = argc, .argv = argv,
	};
	struct json_object *last = NULL;
	struct sluice_progress progress;
	struct goal goal = { 0 };
	const char *value, *given;
	uint64_t seconds;
	char *name;
	int id, status;

	while ((id = sluice_args_next(&args, &value)) > 0) {
		if (id == OPT_FOR) {
			status = take_goal(ctl, &goal, value);
		} else {
			status = sluice_args_number(&args, "timeout", value, 0, INT_MAX, &seconds);
			if (!status)
				goal.deadline = sluice_client_now() + (int64_t)seconds * 1000;
		}
		if (status)
			return status;
	}
	if (id == SLUICE_ARGS_STOP)
		return args.status;
	status = sluice_args_name(&args, &given);
	if (status)
		return status;
	/* Even a timeout of 0 leaves the daemon time for one answer. */
	if (goal.deadline)
		ctl->client.deadline = goal.deadline + 2 * POLL_MS;
	status = sluice_deployment_name(ctl, given, &name);
	if (status)
		return status;

	sluice_progress_init(&progress);
	status = watch(ctl, name, &goal, ctl->json ? NULL : &progress, &last);
	sluice_progress_end(&progress);
	if (ctl->json && last)
		sluice_output_json(stdout, last);
	json_object_put(last);
	free(name);
	return status;
}
