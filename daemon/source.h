/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where an image comes from. A kind is one file and one row in source.c's table.
 *
 * open(), sample(), check() and close() block and are for jobs; one at a time for
 * one source. Everything else is of the loop's thread.
 */
#ifndef SLUICED_SOURCE_H
#define SLUICED_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.h"
#include "loop.h"
#include "uri.h"

struct sluiced_source;

/* Holds every sentence about a source. */
#define SLUICED_WHY_LEN		1024
#define SLUICED_HINT_LEN	128
#define SLUICED_STAMP_LEN	64

/* What to do about an error of a source. */
enum sluiced_source_error {
	SLUICED_SOURCE_RETRY,		/* it may pass */
	SLUICED_SOURCE_FATAL,		/* it will not: of another kind than told */
	SLUICED_SOURCE_CHANGED,		/* not the image it was; nothing of it may be used */
};

/* Settings of the daemon, not of one source. */
struct sluiced_source_options {
	const char *state_dir;		/* may hold a generated host NQN */
	int ctrl_loss_s;		/* seconds the kernel tries to reconnect */
	const char *credentials;	/* file: see credentials.h */
};

struct sluiced_link;

/* What a library was asked for over one connection: see source_remote.h. */
struct sluiced_command {
	void (*finish)(struct sluiced_command *command, int err);
	struct sluiced_link *link;
	struct sluiced_command *next, **prev;
	int err;
};

/* Of one read; embedded in its caller's object until done(). */
struct sluiced_read {
	union {
		struct sluiced_op op;
		struct sluiced_command command;
	};
	void (*done)(struct sluiced_read *read, int err);
	struct sluiced_source *source;
	uint8_t *buf;
	uint64_t offset;
	uint32_t len;
	uint32_t got;
	uint32_t part;			/* of what is left, under way: of some kinds */
	unsigned int stuck;		/* times it made no progress */
};

/* One piece of an image that a job reads; @err is of it alone. */
struct sluiced_piece {
	uint64_t offset;
	size_t len;
	void *data;
	int err;
};

/*
 * What a source knows of zeroes without reading them; embedded in its caller's
 * object until done(). 512 runs are enough that asking for more costs nothing
 * beside what is fetched between two answers.
 */
#define SLUICED_SURVEY_RUNS	512

struct sluiced_survey {
	struct sluiced_command command;
	void (*done)(struct sluiced_survey *survey, int err);
	struct sluiced_source *source;
	void *ctx;			/* the caller's */
	uint64_t offset, len;		/* what is asked about */
	uint64_t known;			/* bytes of it, from its start on, that were answered */
	struct {
		uint64_t offset, len;
	} zero[SLUICED_SURVEY_RUNS];	/* in order, not touching each other */
	unsigned int count;
};

struct sluiced_source_ops {
	/*
	 * A new source, its image filled but for the digest. @hint is what an earlier
	 * one of the same deployment left, or empty. On error a sentence in @why.
	 */
	int (*open)(struct sluiced_source **out, const struct sluice_uri *uri,
		    const char *hint, const struct sluiced_source_options *options, char *why,
		    size_t why_len);
	/* Lets go of what a dead daemon left behind for @uri. May be NULL. */
	void (*forget)(const struct sluice_uri *uri,
		       const struct sluiced_source_options *options);
	/*
	 * Reads all of [offset, offset + len), any alignment; in many threads at once.
	 * Kinds have this or gather().
	 */
	int (*pread)(struct sluiced_source *source, void *buf, size_t len, uint64_t offset);
	/* Reads the pieces side by side; 0, or the first error of one. */
	int (*gather)(struct sluiced_source *source, struct sluiced_piece *pieces,
		      size_t count);
	/* 0 when it is what it was when opened, -ESTALE when not, or -errno. */
	int (*check)(struct sluiced_source *source);
	/* Whether reads can only succeed after opening anew. Does not block. */
	bool (*lost)(struct sluiced_source *source);
	/*
	 * Whether reads wait for somebody else to make the connection anew: not lost, but
	 * another place has the image now. Does not block. May be NULL.
	 */
	bool (*away)(struct sluiced_source *source);
	/* Opened, and from now on the loop's; once, with no job. May be NULL. */
	void (*adopt)(struct sluiced_source *source, struct sluiced_loop *loop);
	/* Starts or, after a short read, goes on with @read. */
	void (*read)(struct sluiced_source *source, struct sluiced_read *read);
	/* Starts @survey; NULL where a source never knows. */
	void (*survey)(struct sluiced_source *source, struct sluiced_survey *survey);
	/* No read goes on from here; in the loop's thread, after adopt(). May be NULL. */
	void (*retire)(struct sluiced_source *source);
	/* Lets go of everything but memory; reads under way end soon after. */
	void (*close)(struct sluiced_source *source);
	void (*free)(struct sluiced_source *source);
};

struct sluiced_source {
	const struct sluiced_source_ops *ops;
	struct sluiced_loop *loop;	/* since sluiced_source_adopt() */
	struct sluice_image image;
	char hint[SLUICED_HINT_LEN];	/* for the next open, also of another daemon */
	char stamp[SLUICED_STAMP_LEN];	/* changes with the image; empty: nothing to tell by */
	/* What the hint named, never gone since: need not be sampled before its use. */
	bool resumed;
	bool surveys;			/* knows of zeroes */
	uint64_t mark;			/* what is not read looks like it */
	unsigned int reads;		/* under way, and what else ends before free() */
	bool retired;
};

enum sluiced_source_error sluiced_source_classify(int err);

/* Opens what @uri means. -EINVAL for a malformed one; a sentence in @why. */
int sluiced_source_open(struct sluiced_source **out, const char *uri, const char *hint,
			const struct sluiced_source_options *options, char *why,
			size_t why_len);

/*
 * Lets go of what a daemon that died left open for @uri, when nobody will open it
 * again. For jobs.
 */
void sluiced_source_forget(const char *uri, const struct sluiced_source_options *options);

/* Fills the digest of source->image. A sentence in @why on error. */
int sluiced_source_sample(struct sluiced_source *source, const char *uri, char *why,
			  size_t why_len);

/*
 * A quick look whether it is what it was when opened: 0, -ESTALE or -errno, with
 * a sentence in @why.
 */
int sluiced_source_check(struct sluiced_source *source, const char *uri, char *why,
			 size_t why_len);

/*
 * For a source just opened: 0 when it has the image @was, -ESTALE when it has not;
 * else -errno. One that is resumed is not sampled: verify that later.
 */
int sluiced_source_recognise(struct sluiced_source *source, const char *uri,
			     const struct sluice_image *was, const char *stamp, char *why,
			     size_t why_len);

/*
 * 0 when the source still has the image @was, by size, id, stamp and digest;
 * -ESTALE when it has not; else -errno. @stamp may be empty. Samples it anew.
 */
int sluiced_source_verify(struct sluiced_source *source, const char *uri,
			  const struct sluice_image *was, const char *stamp, char *why,
			  size_t why_len);

/* Opens and samples it; there is none on error. */
int sluiced_source_open_sampled(struct sluiced_source **out, const char *uri,
				const struct sluiced_source_options *options, char *why,
				size_t why_len);

/* From now on it is read in @loop. With no job; once. */
void sluiced_source_adopt(struct sluiced_source *source, struct sluiced_loop *loop);

/*
 * Reads @len bytes of the image at @offset, a multiple of a block, into @buf,
 * which is page-aligned and has room up to the next multiple of a block. done():
 * 0, -ESTALE when the image ends early, -EPROTO when some of it was not sent, or
 * another -errno.
 */
void sluiced_source_read(struct sluiced_source *source, struct sluiced_read *read, void *buf,
			 uint32_t len, uint64_t offset,
			 void (*done)(struct sluiced_read *read, int err));

/* Ends a read that a kind's read() started: done() is called right here. */
void sluiced_source_read_end(struct sluiced_read *read, int err);

/*
 * Asks what of [offset, offset + len) reads as zeroes. done(): 0 with some of it
 * known, -EOPNOTSUPP where the source turns out not to know, or another -errno.
 * Only where source->surveys.
 */
void sluiced_source_survey(struct sluiced_source *source, struct sluiced_survey *survey,
			   uint64_t offset, uint64_t len,
			   void (*done)(struct sluiced_survey *survey, int err));

/* Ends a survey that a kind's survey() started: done() is called right here. */
void sluiced_source_survey_end(struct sluiced_survey *survey, int err);

/* No read goes on from here; those under way end with an error. Before close. */
void sluiced_source_retire(struct sluiced_source *source);

/* Blocks. The memory stays until sluiced_source_free(). */
void sluiced_source_close(struct sluiced_source *source);

/* Closed, with no read under way. NULL is fine. */
void sluiced_source_free(struct sluiced_source *source);

/* Closes and frees one that no loop has adopted. Blocks. */
void sluiced_source_drop(struct sluiced_source *source);

extern const struct sluiced_source_ops sluiced_source_file_ops;
extern const struct sluiced_source_ops sluiced_source_nvme_ops;
extern const struct sluiced_source_ops sluiced_source_iscsi_ops;
extern const struct sluiced_source_ops sluiced_source_nbd_ops;

#endif /* SLUICED_SOURCE_H */
