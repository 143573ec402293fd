/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of where an image is zero, so that it need not be read: the last
 * two answers of a source, and what to ask for next. No I/O. Blocks are those of
 * the image, the last of which may be partial.
 */
#ifndef SLUICED_HOLES_H
#define SLUICED_HOLES_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler.h"
#include "source.h"

/*
 * For the kinds: the next @bytes of the answer. False when there is no room for
 * more, or all was answered.
 */
bool sluiced_survey_add(struct sluiced_survey *survey, uint64_t bytes, bool zero);

struct sluiced_holes {
	uint64_t image_bytes;
	bool able;			/* there is a source that knows */
	bool asking;
	struct sluiced_survey answers[2];
	unsigned int newest;
	bool wanted;
	uint64_t wanted_at;		/* bytes */
	uint64_t not_before;
	unsigned int failures;		/* in a row */
};

void sluiced_holes_init(struct sluiced_holes *holes, uint64_t image_bytes);

/* Whether there is a source now that can be asked; what is known stays. */
void sluiced_holes_source(struct sluiced_holes *holes, bool able);

/*
 * As sluiced_content_t of the scheduler. With @ask, what is unknown is asked for
 * next; without a source that knows, all is data.
 */
enum sluiced_content sluiced_holes_content(void *ctx, uint64_t block, uint32_t *blocks,
					   bool ask);

/*
 * What to ask for now: the survey to use, with offset and length; NULL for nothing.
 * It is asked for once; sluiced_holes_answered() must follow.
 */
struct sluiced_survey *sluiced_holes_ask(struct sluiced_holes *holes, uint64_t now,
					 uint64_t *offset, uint64_t *len);

/* @err as of struct sluiced_survey. What fails repeatedly is taken for data. */
void sluiced_holes_answered(struct sluiced_holes *holes, struct sluiced_survey *survey,
			    int err, uint64_t now);

/* When a question that failed may be asked again; UINT64_MAX: none waits. */
uint64_t sluiced_holes_wake_at(const struct sluiced_holes *holes, uint64_t now);

#endif /* SLUICED_HOLES_H */
