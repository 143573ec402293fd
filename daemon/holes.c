// SPDX-License-Identifier: GPL-2.0-or-later
#include "holes.h"

#include <errno.h>
#include <string.h>

#include "control.h"
#include "minmax.h"

/* What one question covers: sources answer as much of it as they like. */
#define ASK_BYTES	(UINT64_C(1) << 30)

/*
 * The next question goes out when the copy is this near to the end of what is
 * known: twice what is in flight at most, so that no answer is waited for.
 */
#define AHEAD_BYTES	(UINT64_C(32) << 20)

#define RETRY_MS	1000
#define TRIES		3

/* Taken for data where questions fail: a source that cannot tell can still read. */
#define GIVEN_UP_BYTES	(UINT64_C(64) << 20)

bool sluiced_survey_add(struct sluiced_survey *survey, uint64_t bytes, bool zero)
{
	uint64_t at = survey->offset + survey->known;
	unsigned int n = survey->count;

	/* Answers may reach beyond what was asked. */
	if (bytes > survey->len - survey->known)
		bytes = survey->len - survey->known;
	if (zero && bytes && n && survey->zero[n - 1].offset + survey->zero[n - 1].len == at) {
		survey->zero[n - 1].len += bytes;
	} else if (zero && bytes) {
		if (n == SLUICED_SURVEY_RUNS)
			return false;
		survey->zero[n].offset = at;
		survey->zero[n].len = bytes;
		survey->count++;
	}
	survey->known += bytes;
	return survey->known < survey->len;
}

void sluiced_holes_init(struct sluiced_holes *holes, uint64_t image_bytes)
{
	memset(holes, 0, sizeof(*holes));
	holes->image_bytes = image_bytes;
}

void sluiced_holes_source(struct sluiced_holes *holes, bool able)
{
	holes->able = able;
	holes->failures = 0;
	holes->not_before = 0;
}

static const struct sluiced_survey *covering(const struct sluiced_holes *holes, uint64_t at)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const struct sluiced_survey *s = &holes->answers[i];

		/* The one that is being asked has no answer: known is 0. */
		if (at >= s->offset && at - s->offset < s->known)
			return s;
	}
	return NULL;
}

static void want(struct sluiced_holes *holes, uint64_t at)
{
	holes->wanted = true;
	holes->wanted_at = at;
}

/* The first run of zeroes that does not end at or before @at. */
static unsigned int first_run(const struct sluiced_survey *s, uint64_t at)
{
	unsigned int low = 0, high = s->count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (s->zero[middle].offset + s->zero[middle].len <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void cut(uint32_t *blocks, uint64_t bytes)
{
	/* A part of a block at the end of a run belongs to what follows. */
	uint64_t most = bytes / SLUICE_BLOCK_SIZE;

	if (most && *blocks > most)
		*blocks = most;
	else if (!most)
		*blocks = 1;
}

enum sluiced_content sluiced_holes_content(void *ctx, uint64_t block, uint32_t *blocks,
					   bool ask)
{
	struct sluiced_holes *holes = ctx;
	uint64_t at = block * SLUICE_BLOCK_SIZE, block_end, end, run_end;
	const struct sluiced_survey *s = covering(holes, at);
	unsigned int i;

	if (!s && !holes->able)
		return SLUICED_DATA;
	if (!s) {
		if (ask)
			want(holes, at);
		return SLUICED_UNKNOWN;
	}
	end = s->offset + s->known;
	if (ask && end < holes->image_bytes && end - at < AHEAD_BYTES && !covering(holes, end))
		want(holes, end);
	block_end = sluiced_min64(at + SLUICE_BLOCK_SIZE, holes->image_bytes);
	i = first_run(s, at);
	if (i == s->count) {
		cut(blocks, end - at);
		return SLUICED_DATA;
	}
	run_end = s->zero[i].offset + s->zero[i].len;
	if (s->zero[i].offset > at || run_end < block_end) {
		/* Data, at least the block that the run begins or ends in. */
		if (s->zero[i].offset > at)
			cut(blocks, s->zero[i].offset - at + SLUICE_BLOCK_SIZE - 1);
		else
			*blocks = 1;
		return SLUICED_DATA;
	}
	/* The image's last block is zero when all there is of it is. */
	if (run_end == holes->image_bytes)
		run_end += SLUICE_BLOCK_SIZE - 1;
	cut(blocks, run_end - at);
	return SLUICED_ZERO;
}

struct sluiced_survey *sluiced_holes_ask(struct sluiced_holes *holes, uint64_t now,
					 uint64_t *offset, uint64_t *len)
{
	struct sluiced_survey *survey;

	if (!holes->able || !holes->wanted || holes->asking || now < holes->not_before)
		return NULL;
	holes->wanted = false;
	/* It was wanted while the answer was on its way. */
	if (covering(holes, holes->wanted_at))
		return NULL;
	holes->asking = true;
	holes->newest = !holes->newest;
	survey = &holes->answers[holes->newest];
	survey->known = 0;
	*offset = holes->wanted_at;
	*len = sluiced_min64(ASK_BYTES, holes->image_bytes - *offset);
	return survey;
}

void sluiced_holes_answered(struct sluiced_holes *holes, struct sluiced_survey *survey,
			    int err, uint64_t now)
{
	holes->asking = false;
	if (!err) {
		holes->failures = 0;
		holes->not_before = 0;
		/* Half a block at the end of an answer is known to nobody. */
		if (survey->offset + survey->known < holes->image_bytes &&
		    survey->known >= SLUICE_BLOCK_SIZE)
			survey->known &= ~(uint64_t)(SLUICE_BLOCK_SIZE - 1);
		return;
	}
	survey->known = 0;
	if (err == -EOPNOTSUPP) {
		holes->able = false;
		return;
	}
	holes->failures++;
	holes->not_before = now + RETRY_MS;
	if (holes->failures < TRIES)
		return;
	survey->count = 0;
	survey->known = sluiced_min64(GIVEN_UP_BYTES, holes->image_bytes - survey->offset);
	holes->failures = 0;
	holes->not_before = 0;
}

uint64_t sluiced_holes_wake_at(const struct sluiced_holes *holes, uint64_t now)
{
	return holes->able && holes->wanted && !holes->asking && holes->not_before > now ?
		       holes->not_before : UINT64_MAX;
}
