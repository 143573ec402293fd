// SPDX-License-Identifier: GPL-2.0-or-later
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of every kind that a URI may be of. */
static const struct sluiced_source_ops *const kinds[] = {
	[SLUICE_URI_NVME_TCP] = &sluiced_source_nvme_ops,
	[SLUICE_URI_ISCSI] = &sluiced_source_iscsi_ops,
	[SLUICE_URI_NBD] = &sluiced_source_nbd_ops,
	[SLUICE_URI_FILE] = &sluiced_source_file_ops,
};

enum sluiced_source_error sluiced_source_classify(int err)
{
	switch (err) {
	case -ESTALE:
		return SLUICED_SOURCE_CHANGED;
	case -EINVAL:
	case -EISDIR:
	case -EACCES:
	case -EPERM:
	case -EPROTONOSUPPORT:
		return SLUICED_SOURCE_FATAL;
	default:
		return SLUICED_SOURCE_RETRY;
	}
}

int sluiced_source_open(struct sluiced_source **out, const char *uri, const char *hint,
			const struct sluiced_source_options *options, char *why,
			size_t why_len)
{
	struct sluice_uri where;
	int err;

	err = sluice_uri_parse(uri, &where, why, why_len);
	if (!err)
		err = kinds[where.kind]->open(out, &where, hint, options, why, why_len);
	if (!err)
		arc4random_buf(&(*out)->mark, sizeof((*out)->mark));
	return err;
}

void sluiced_source_forget(const char *uri, const struct sluiced_source_options *options)
{
	char why[SLUICE_URI_WHY_LEN];
	struct sluice_uri where;

	if (!sluice_uri_parse(uri, &where, why, sizeof(why)) && kinds[where.kind]->forget)
		kinds[where.kind]->forget(&where, options);
}

static const char *difference(const struct sluice_image *was, const struct sluice_image *is)
{
	if (was->bytes != is->bytes)
		return "its size";
	if (was->logical_block != is->logical_block)
		return "its logical block size";
	if (was->id[0] && is->id[0] && strcmp(was->id, is->id))
		return "its id";
	if (was->digest_kind == SLUICE_DIGEST_SAMPLE && is->digest_kind == was->digest_kind &&
	    memcmp(was->digest, is->digest, sizeof(was->digest)))
		return "its content";
	return NULL;
}

static int changed(const char *uri, const char *what, char *why, size_t why_len)
{
	snprintf(why, why_len,
		 "The image at %s changed while it was being deployed (%s differs): deploy the new one from the start.",
		 uri, what);
	return -ESTALE;
}

int sluiced_source_check(struct sluiced_source *source, const char *uri, char *why,
			 size_t why_len)
{
	int err = source->ops->check(source);

	if (err == -ESTALE)
		return changed(uri, "its size or modification time", why, why_len);
	if (err)
		snprintf(why, why_len, "The source %s cannot be looked at: %s.", uri,
			 strerror(-err));
	return err;
}

static int compare(struct sluiced_source *source, bool sample, const char *uri,
		   const struct sluice_image *was, const char *stamp, char *why, size_t why_len)
{
	const char *what;
	int err;

	err = sluiced_source_check(source, uri, why, why_len);
	if (err)
		return err;
	if (stamp[0] && source->stamp[0] && strcmp(stamp, source->stamp))
		return changed(uri, "its modification time", why, why_len);
	/* Size and id first: samples of a shorter image end early. */
	what = difference(was, &source->image);
	if (!what && sample) {
		err = sluiced_source_sample(source, uri, why, why_len);
		if (err == -ESTALE)
			what = "its size";
		else if (err)
			return err;
		else
			what = difference(was, &source->image);
	}
	return what ? changed(uri, what, why, why_len) : 0;
}

int sluiced_source_recognise(struct sluiced_source *source, const char *uri,
			     const struct sluice_image *was, const char *stamp, char *why,
			     size_t why_len)
{
	return compare(source, !source->resumed, uri, was, stamp, why, why_len);
}

int sluiced_source_verify(struct sluiced_source *source, const char *uri,
			  const struct sluice_image *was, const char *stamp, char *why,
			  size_t why_len)
{
	return compare(source, true, uri, was, stamp, why, why_len);
}

int sluiced_source_open_sampled(struct sluiced_source **out, const char *uri,
				const struct sluiced_source_options *options, char *why,
				size_t why_len)
{
	int err;

	err = sluiced_source_open(out, uri, "", options, why, why_len);
	if (err)
		return err;
	err = sluiced_source_sample(*out, uri, why, why_len);
	if (err) {
		sluiced_source_drop(*out);
		*out = NULL;
	}
	return err;
}

void sluiced_source_adopt(struct sluiced_source *source, struct sluiced_loop *loop)
{
	source->loop = loop;
	if (source->ops->adopt)
		source->ops->adopt(source, loop);
}

/*
 * The end of every sector is marked before it is read, and the data replace the mark:
 * libiscsi and libnbd take a read for done of which the server sent only a part.
 */
#define SECTOR	512

static uint64_t mark_of(const struct sluiced_read *read, uint32_t end)
{
	return read->source->mark ^ (read->offset + end);
}

static uint32_t end_of_sector(const struct sluiced_read *read, uint32_t at)
{
	return read->len - at < SECTOR ? read->len : at + SECTOR;
}

static void set_marks(struct sluiced_read *read)
{
	uint32_t at, end;
	uint64_t mark;

	for (at = 0; at < read->len; at = end) {
		end = end_of_sector(read, at);
		mark = mark_of(read, end);
		if (end - at >= sizeof(mark))
			memcpy(read->buf + end - sizeof(mark), &mark, sizeof(mark));
	}
}

static bool marks_are_left(const struct sluiced_read *read)
{
	uint32_t at, end;
	uint64_t mark;

	for (at = 0; at < read->len; at = end) {
		end = end_of_sector(read, at);
		mark = mark_of(read, end);
		if (end - at >= sizeof(mark) &&
		    !memcmp(read->buf + end - sizeof(mark), &mark, sizeof(mark)))
			return true;
	}
	return false;
}

void sluiced_source_read(struct sluiced_source *source, struct sluiced_read *read, void *buf,
			 uint32_t len, uint64_t offset,
			 void (*done)(struct sluiced_read *read, int err))
{
	*read = (struct sluiced_read){
		.done = done,
		.source = source,
		.buf = buf,
		.offset = offset,
		.len = len,
	};
	set_marks(read);
	source->reads++;
	source->ops->read(source, read);
}

void sluiced_source_read_end(struct sluiced_read *read, int err)
{
	read->source->reads--;
	read->done(read, !err && marks_are_left(read) ? -EPROTO : err);
}

void sluiced_source_survey(struct sluiced_source *source, struct sluiced_survey *survey,
			   uint64_t offset, uint64_t len,
			   void (*done)(struct sluiced_survey *survey, int err))
{
	survey->done = done;
	survey->source = source;
	survey->offset = offset;
	survey->len = len;
	survey->known = 0;
	survey->count = 0;
	source->reads++;
	source->ops->survey(source, survey);
}

void sluiced_source_survey_end(struct sluiced_survey *survey, int err)
{
	survey->source->reads--;
	/* One without an answer would be asked again for ever. */
	survey->done(survey, !err && !survey->known ? -EPROTO : err);
}

void sluiced_source_retire(struct sluiced_source *source)
{
	source->retired = true;
	if (source->ops->retire && source->loop)
		source->ops->retire(source);
}

void sluiced_source_close(struct sluiced_source *source)
{
	source->ops->close(source);
}

void sluiced_source_free(struct sluiced_source *source)
{
	if (source)
		source->ops->free(source);
}

void sluiced_source_drop(struct sluiced_source *source)
{
	sluiced_source_close(source);
	sluiced_source_free(source);
}
