/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps a source of one deployment open: opens it in a job, makes sure that it has
 * the image it should, opens it again, or that of the next path, when it is lost,
 * and closes it without pulling it from under reads. Of the loop's thread.
 */
#ifndef SLUICED_SUPPLY_H
#define SLUICED_SUPPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "job.h"
#include "loop.h"
#include "paths.h"
#include "source.h"

struct sluiced_supply_ops {
	/* There is a source, or, with NULL, none for now: stop using the last one. */
	void (*source)(void *ctx, struct sluiced_source *source);
	/* The source does not come; goes on trying. A sentence. */
	void (*trouble)(void *ctx, const char *why);
	/* It has another image; nothing of it may be used. A sentence. */
	void (*changed)(void *ctx, const char *why);
	/* What sluiced_supply_verify() asked for: it is what it was. */
	void (*verified)(void *ctx);
	/* Stopped, and now closed with no read under way. */
	void (*idle)(void *ctx);
};

enum sluiced_supply_task {
	SLUICED_SUPPLY_OPEN,
	SLUICED_SUPPLY_CLOSE,
	SLUICED_SUPPLY_LOOK,		/* a quick check, without reading */
	SLUICED_SUPPLY_SAMPLE,		/* the same with a new sample, now and then */
	SLUICED_SUPPLY_VERIFY,		/* as that, because it was asked for */
};

/* Whether a more wanted path than the active one has the image again. */
struct sluiced_probe {
	uint64_t at, pause_ms;		/* the next one, and between two */
	uint64_t since;			/* when the source in use was opened */

	/* The job's while it runs. */
	struct sluiced_job job;
	struct sluiced_path path;
	struct sluice_image was;
	int err;
};

struct sluiced_supply {
	struct sluiced_loop *loop;
	const struct sluiced_supply_ops *ops;
	void *ctx;
	const struct sluiced_source_options *options;
	struct sluiced_paths *paths;	/* these two live as long as the supply */
	const struct sluice_image *image;

	struct sluiced_source *source;
	struct sluiced_source *retired;	/* not used any more, but not gone yet */
	bool retired_closed;
	bool wanted;			/* started and not stopped */
	bool renew;
	bool verify;
	struct sluiced_timer timer;
	uint64_t retry_at, look_at;
	unsigned int looks;
	unsigned int tries;
	size_t round;			/* paths that failed one after the other */

	/* The job's while it runs. */
	struct sluiced_job job;
	enum sluiced_supply_task task;
	struct sluiced_source *subject;	/* of the job; the result of OPEN */
	struct sluiced_path path;	/* the subject's, as it was */
	struct sluice_image was;	/* with the id as that path has it */
	bool ran;
	int err;
	char why[SLUICED_WHY_LEN];

	struct sluiced_probe probe;
};

/*
 * @paths and @image are of the caller's record. What it learns of a path is noted
 * there before ops->source(). Not started.
 */
void sluiced_supply_init(struct sluiced_supply *s, struct sluiced_loop *loop,
			 const struct sluiced_source_options *options,
			 struct sluiced_paths *paths, const struct sluice_image *image,
			 const struct sluiced_supply_ops *ops, void *ctx);

/*
 * Opens the source, trying until it comes or the supply is stopped. @source, when
 * not NULL, is taken over instead: it is open and has the image.
 */
void sluiced_supply_start(struct sluiced_supply *s, struct sluiced_source *source);

/*
 * Reads fail: opens a source anew if it is lost, or if @insist; that of the next
 * path where there is one.
 */
void sluiced_supply_suspect(struct sluiced_supply *s, bool insist);

/* The active path was taken away: leaves it. */
void sluiced_supply_leave(struct sluiced_supply *s);

/* Verifies the image once more, waiting for the source if it must. */
void sluiced_supply_verify(struct sluiced_supply *s);

/* Now and then, while copying: sees a change early, and goes back to a better path. */
void sluiced_supply_tick(struct sluiced_supply *s);

/* Closes the source. ops->idle follows, unless it is idle now. */
void sluiced_supply_stop(struct sluiced_supply *s);

/* Whether there is no source, no read of one and no job. */
bool sluiced_supply_is_idle(const struct sluiced_supply *s);

#endif /* SLUICED_SUPPLY_H */
