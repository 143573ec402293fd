// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking the sampled digest of a source. Samples are read side by side: one after
 * the other they cost 64 round trips, and a daemon that was restarted has to
 * verify its source before it can serve who has been waiting since.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"
#include "source.h"

/* Beside the job's own thread: enough to hide the latency, and few locked stacks. */
#define READERS		7
#define STACK		(128 * 1024)
/* 64 extents of a large image; one, in pieces of 64 KiB, of a small. */
#define MAX_EXTENTS	96

struct sampling {
	struct sluiced_source *source;
	struct sluiced_piece extents[MAX_EXTENTS];
	size_t count;
	size_t next;			/* to be read, atomically; then to be digested */
};

/* The digest's own reads say what it is of; what they return does not matter. */
static int note(void *ctx, void *buf, size_t len, uint64_t offset)
{
	struct sampling *s = ctx;

	if (s->count == MAX_EXTENTS)
		return -E2BIG;
	memset(buf, 0, len);
	s->extents[s->count++] = (struct sluiced_piece){ .offset = offset, .len = len };
	return 0;
}

static void *read_some(void *arg)
{
	struct sampling *s = arg;
	size_t i;

	while ((i = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED)) < s->count) {
		struct sluiced_piece *e = &s->extents[i];

		e->err = s->source->ops->pread(s->source, e->data, e->len, e->offset);
	}
	return NULL;
}

static int read_in_threads(struct sampling *s)
{
	pthread_t readers[READERS];
	pthread_attr_t attr;
	size_t n = 0, i;

	/* All memory is locked: a default stack would cost 8 MiB of it. */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	while (n < READERS && n + 1 < s->count &&
	       !pthread_create(&readers[n], &attr, read_some, s))
		n++;
	pthread_attr_destroy(&attr);
	/* Whatever threads could not be had: this one reads too. */
	read_some(s);
	while (n)
		pthread_join(readers[--n], NULL);
	for (i = 0; i < s->count; i++)
		if (s->extents[i].err)
			return s->extents[i].err;
	return 0;
}

static int read_all(struct sampling *s)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		s->extents[i].data = malloc(s->extents[i].len);
		if (!s->extents[i].data)
			return -ENOMEM;
	}
	if (s->source->ops->gather)
		return s->source->ops->gather(s->source, s->extents, s->count);
	return read_in_threads(s);
}

/* The second time round, in the same order. */
static int give(void *ctx, void *buf, size_t len, uint64_t offset)
{
	struct sampling *s = ctx;
	struct sluiced_piece *e = &s->extents[s->next++];

	if (s->next > s->count || e->offset != offset || e->len != len)
		return -EPROTO;
	memcpy(buf, e->data, len);
	return 0;
}

static int sample(struct sampling *s, uint8_t digest[SLUICE_SAMPLE_LEN])
{
	uint64_t bytes = s->source->image.bytes;
	int err;

	err = sluice_sample_digest(bytes, note, s, digest);
	if (!err)
		err = read_all(s);
	s->next = 0;
	return err ? err : sluice_sample_digest(bytes, give, s, digest);
}

int sluiced_source_sample(struct sluiced_source *source, const char *uri, char *why,
			  size_t why_len)
{
	struct sampling *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;
	size_t i;

	source->image.digest_kind = SLUICE_DIGEST_NONE;
	if (s) {
		s->source = source;
		err = sample(s, source->image.digest);
		for (i = 0; i < s->count; i++)
			free(s->extents[i].data);
		free(s);
	}
	if (err) {
		snprintf(why, why_len, "Reading samples of the source %s failed: %s.", uri,
			 strerror(-err));
		return err;
	}
	source->image.digest_kind = SLUICE_DIGEST_SAMPLE;
	return 0;
}
