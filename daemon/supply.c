// SPDX-License-Identifier: GPL-2.0-or-later
#include "supply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Hosts wait 20 s: a source that is back should not wait long to be noticed. */
#define RETRY_MS	100
#define RETRY_MAX_MS	1000

/*
 * A changed image is better seen before all of it is copied. A look is one
 * fstat(); every sixth takes samples too, 376 KiB each half minute, for targets
 * that come back with another disk behind the same names.
 */
#define LOOK_MS		5000
#define LOOKS_A_SAMPLE	6

/*
 * A more wanted path is tried beside the one in use: leaving that to find the other
 * still gone would let a host wait for nothing. Ever less often, until one source has
 * been good for longer than that.
 */
#define PROBE_MS	15000
#define PROBE_MAX_MS	480000

/* How often the end of reads on a closed source is looked for. */
#define REAP_MS		20

/* Of @path, when it has the image @was. Blocks. */
static int open_path(struct sluiced_supply *s, struct sluiced_source **source,
		     const struct sluiced_path *path, const struct sluice_image *was,
		     char why[SLUICED_WHY_LEN])
{
	int err = sluiced_source_open(source, path->uri, path->hint, s->options, why,
				      SLUICED_WHY_LEN);

	if (err)
		return err;
	err = sluiced_source_recognise(*source, path->uri, was, path->stamp, why,
				       SLUICED_WHY_LEN);
	if (err) {
		sluiced_source_drop(*source);
		*source = NULL;
	}
	return err;
}

static void work(struct sluiced_job *job)
{
	struct sluiced_supply *s = container_of(job, struct sluiced_supply, job);

	s->ran = true;
	switch (s->task) {
	case SLUICED_SUPPLY_OPEN:
		s->err = open_path(s, &s->subject, &s->path, &s->was, s->why);
		break;
	case SLUICED_SUPPLY_CLOSE:
		sluiced_source_close(s->subject);
		s->err = 0;
		break;
	case SLUICED_SUPPLY_LOOK:
		s->err = sluiced_source_check(s->subject, s->path.uri, s->why, sizeof(s->why));
		break;
	case SLUICED_SUPPLY_SAMPLE:
	case SLUICED_SUPPLY_VERIFY:
		s->err = sluiced_source_verify(s->subject, s->path.uri, &s->was, s->path.stamp,
					       s->why, sizeof(s->why));
		break;
	}
}

static void start_job(struct sluiced_supply *s, enum sluiced_supply_task task,
		      struct sluiced_source *subject)
{
	s->task = task;
	s->subject = subject;
	/* Of a source that is open it is the path it was opened by. */
	if (task == SLUICED_SUPPLY_OPEN)
		s->path = *sluiced_paths_active(s->paths);
	s->was = *s->image;
	memcpy(s->was.id, s->path.id, sizeof(s->was.id));
	s->ran = false;
	s->err = -EAGAIN;
	snprintf(s->why, sizeof(s->why), "No thread can be started to open the source %.900s.",
		 s->path.uri);
	sluiced_job_start(&s->job);
}

static void retire(struct sluiced_supply *s)
{
	s->retired = s->source;
	s->retired_closed = false;
	s->source = NULL;
	if (sluiced_now_ms() - s->probe.since > PROBE_MAX_MS)
		s->probe.pause_ms = PROBE_MS;
	sluiced_source_retire(s->retired);
	s->ops->source(s->ctx, NULL);
}

static void wait_ms(struct sluiced_supply *s, uint64_t ms)
{
	sluiced_timer_start(s->loop, &s->timer, ms ? ms : 1);
}

/* Gets rid of the retired source; true when it is gone. */
static bool dispose(struct sluiced_supply *s)
{
	if (!s->retired_closed) {
		start_job(s, SLUICED_SUPPLY_CLOSE, s->retired);
		return false;
	}
	if (s->retired->reads) {
		wait_ms(s, REAP_MS);
		return false;
	}
	sluiced_source_free(s->retired);
	s->retired = NULL;
	return true;
}

static bool probes_active(const struct sluiced_supply *s)
{
	return s->probe.job.running &&
	       !strcmp(s->probe.path.uri, sluiced_paths_active(s->paths)->uri);
}

/* Whether it is stopped and nothing of it is left; says so, and may be gone then. */
static bool ended(struct sluiced_supply *s)
{
	if (s->wanted || !sluiced_supply_is_idle(s))
		return false;
	sluiced_timer_stop(&s->timer);
	s->ops->idle(s->ctx);
	return true;
}

/* Starts what is to be done next. One job at a time: its end comes back here. */
static void advance(struct sluiced_supply *s)
{
	uint64_t now = sluiced_now_ms();
	bool was_idle = sluiced_supply_is_idle(s);

	if (s->job.running)
		return;
	if (s->source && (s->renew || !s->wanted || !sluiced_paths_find(s->paths, s->path.uri)))
		retire(s);
	s->renew = false;
	if (s->retired && !dispose(s))
		return;
	if (!s->wanted) {
		sluiced_timer_stop(&s->timer);
		if (!was_idle)
			ended(s);
	} else if (now < s->retry_at) {
		wait_ms(s, s->retry_at - now);
	} else if (!s->source && probes_active(s)) {
		/* Not twice at once: some kinds would find the other's connection. */
		wait_ms(s, REAP_MS);
	} else if (!s->source) {
		start_job(s, SLUICED_SUPPLY_OPEN, NULL);
	} else if (s->verify) {
		start_job(s, SLUICED_SUPPLY_VERIFY, s->source);
	}
}

static void back_off(struct sluiced_supply *s)
{
	uint64_t pause = s->tries < 6 ? RETRY_MS << s->tries : RETRY_MAX_MS;

	if (pause > RETRY_MAX_MS)
		pause = RETRY_MAX_MS;
	s->tries++;
	s->round = 0;
	/* A server that comes back meets all of its cards, but not at once. */
	s->retry_at = sluiced_now_ms() + pause - arc4random_uniform(pause / 2);
}

/* What there is to know of the path for the next opening. */
static void note_path(struct sluiced_supply *s, struct sluiced_path *path)
{
	snprintf(path->hint, sizeof(path->hint), "%s", s->source->hint);
	if (!path->known) {
		snprintf(path->stamp, sizeof(path->stamp), "%s", s->source->stamp);
		snprintf(path->id, sizeof(path->id), "%s", s->source->image.id);
	}
	path->known = true;
	s->path = *path;
}

static void opened(struct sluiced_supply *s)
{
	struct sluiced_path *path = sluiced_paths_find(s->paths, s->path.uri);
	bool verified = s->verify && !s->subject->resumed;

	s->source = s->subject;
	sluiced_source_adopt(s->source, s->loop);
	s->tries = 0;
	s->round = 0;
	s->retry_at = 0;
	s->looks = 0;
	s->look_at = sluiced_now_ms() + LOOK_MS;
	s->probe.since = sluiced_now_ms();
	s->probe.at = s->probe.since + s->probe.pause_ms;
	if (s->source->resumed) {
		/* It was not sampled, for those who wait: the next tick sees to it. */
		s->looks = LOOKS_A_SAMPLE - 1;
		s->look_at = 0;
	}
	/* One that was taken away meanwhile is closed again. */
	if (path) {
		s->paths->active = path - s->paths->path;
		note_path(s, path);
	}
	if (!s->wanted || !path)
		return;
	s->ops->source(s->ctx, s->source);
	if (verified && s->wanted) {
		s->verify = false;
		s->ops->verified(s->ctx);
	}
}

/* Leaves the source for that of the next path, or opens it anew. */
static void move_on(struct sluiced_supply *s)
{
	s->renew = true;
	sluiced_paths_next(s->paths);
}

/* Whether the path alone is at fault: it never had the image, and there are others. */
static bool only_wrong(struct sluiced_supply *s)
{
	struct sluiced_path *path = sluiced_paths_find(s->paths, s->path.uri);

	if (s->task != SLUICED_SUPPLY_OPEN || s->path.known ||
	    sluiced_paths_usable(s->paths) < 2)
		return false;
	if (path)
		path->wrong = true;
	return true;
}

/* Goes to the next path; true while there is one left in this round. */
static bool try_next(struct sluiced_supply *s)
{
	struct sluiced_path *path = sluiced_paths_find(s->paths, s->path.uri);

	/* What was taken away meanwhile is not what failed. */
	if (!path || path != sluiced_paths_active(s->paths))
		return true;
	return sluiced_paths_next(s->paths) && ++s->round < sluiced_paths_usable(s->paths);
}

static void failed(struct sluiced_supply *s)
{
	if (!s->wanted)
		return;
	if (s->err == -ESTALE && !only_wrong(s)) {
		s->wanted = false;
		s->ops->changed(s->ctx, s->why);
		return;
	}
	/* Reads tell more about a source that is open than a look that failed. */
	if (s->task == SLUICED_SUPPLY_LOOK || s->task == SLUICED_SUPPLY_SAMPLE) {
		if (s->source->ops->lost(s->source))
			move_on(s);
		return;
	}
	if (s->task == SLUICED_SUPPLY_VERIFY && s->source->ops->lost(s->source))
		move_on(s);
	if (s->task == SLUICED_SUPPLY_VERIFY || !try_next(s))
		back_off(s);
	s->ops->trouble(s->ctx, s->why);
}

static void forget_hint(struct sluiced_supply *s)
{
	struct sluiced_path *path = sluiced_paths_find(s->paths, s->path.uri);

	if (path)
		path->hint[0] = '\0';
}

static void job_done(struct sluiced_job *job)
{
	struct sluiced_supply *s = container_of(job, struct sluiced_supply, job);

	if (s->task == SLUICED_SUPPLY_CLOSE) {
		s->retired_closed = s->ran;
		/* What it named is gone; the name may come to mean something else. */
		forget_hint(s);
		if (!s->ran) {
			/* Advancing would only try again at once. */
			wait_ms(s, RETRY_MAX_MS);
			return;
		}
	} else if (s->err) {
		failed(s);
	} else if (s->task == SLUICED_SUPPLY_OPEN) {
		opened(s);
	} else if (s->task == SLUICED_SUPPLY_VERIFY) {
		s->verify = false;
		if (s->wanted)
			s->ops->verified(s->ctx);
	}
	/* Not idle just now: so that the end of this job is reported. */
	if (!ended(s))
		advance(s);
}

static void probe_work(struct sluiced_job *job)
{
	struct sluiced_probe *probe = container_of(job, struct sluiced_probe, job);
	struct sluiced_supply *s = container_of(probe, struct sluiced_supply, probe);
	struct sluiced_source *source;
	char why[SLUICED_WHY_LEN];

	probe->err = open_path(s, &source, &probe->path, &probe->was, why);
	/* Opened again to be used, by the one job that does. */
	if (!probe->err)
		sluiced_source_drop(source);
}

/* Goes back to a path that is there again; no word of one that is not. */
static void probe_done(struct sluiced_job *job)
{
	struct sluiced_probe *probe = container_of(job, struct sluiced_probe, job);
	struct sluiced_supply *s = container_of(probe, struct sluiced_supply, probe);
	struct sluiced_path *path = sluiced_paths_find(s->paths, probe->path.uri);

	if (ended(s))
		return;
	if (path && probe->err == -ESTALE)
		/* What is in use has the image: this is not its change. */
		path->wrong = true;
	if (probe->err || !path || !s->source || !s->wanted || s->job.running)
		return;
	s->paths->active = path - s->paths->path;
	s->renew = true;
	advance(s);
}

static void start_probe(struct sluiced_supply *s, uint64_t now)
{
	struct sluiced_probe *probe = &s->probe;

	probe->pause_ms = probe->pause_ms < PROBE_MAX_MS ? 2 * probe->pause_ms : PROBE_MAX_MS;
	probe->at = now + probe->pause_ms;
	probe->path = *sluiced_paths_best(s->paths);
	probe->was = *s->image;
	memcpy(probe->was.id, probe->path.id, sizeof(probe->was.id));
	probe->err = -EAGAIN;
	sluiced_job_start(&probe->job);
}

static void timer_fired(struct sluiced_timer *timer)
{
	advance(container_of(timer, struct sluiced_supply, timer));
}

void sluiced_supply_init(struct sluiced_supply *s, struct sluiced_loop *loop,
			 const struct sluiced_source_options *options,
			 struct sluiced_paths *paths, const struct sluice_image *image,
			 const struct sluiced_supply_ops *ops, void *ctx)
{
	*s = (struct sluiced_supply){
		.loop = loop,
		.ops = ops,
		.ctx = ctx,
		.options = options,
		.paths = paths,
		.image = image,
		.timer.fire = timer_fired,
		.job.work = work,
		.job.done = job_done,
		.probe.pause_ms = PROBE_MS,
		.probe.job.work = probe_work,
		.probe.job.done = probe_done,
	};
}

void sluiced_supply_start(struct sluiced_supply *s, struct sluiced_source *source)
{
	s->wanted = true;
	s->tries = 0;
	s->retry_at = 0;
	if (source) {
		s->subject = source;
		s->path = *sluiced_paths_active(s->paths);
		opened(s);
	}
	advance(s);
}

void sluiced_supply_suspect(struct sluiced_supply *s, bool insist)
{
	if (!s->source || s->job.running)
		return;
	if (!insist && !s->source->ops->lost(s->source))
		return;
	move_on(s);
	advance(s);
}

void sluiced_supply_leave(struct sluiced_supply *s)
{
	if (s->wanted)
		advance(s);
}

void sluiced_supply_verify(struct sluiced_supply *s)
{
	s->verify = true;
	advance(s);
}

void sluiced_supply_tick(struct sluiced_supply *s)
{
	uint64_t now = sluiced_now_ms();

	if (!s->source || s->job.running || !s->wanted)
		return;
	if (now >= s->probe.at && !s->probe.job.running &&
	    sluiced_paths_best(s->paths) != sluiced_paths_active(s->paths))
		start_probe(s, now);
	if (now < s->look_at)
		return;
	s->look_at = now + LOOK_MS;
	start_job(s, ++s->looks % LOOKS_A_SAMPLE ? SLUICED_SUPPLY_LOOK : SLUICED_SUPPLY_SAMPLE,
		  s->source);
}

void sluiced_supply_stop(struct sluiced_supply *s)
{
	s->wanted = false;
	s->verify = false;
	advance(s);
}

bool sluiced_supply_is_idle(const struct sluiced_supply *s)
{
	return !s->source && !s->retired && !s->job.running && !s->probe.job.running;
}
