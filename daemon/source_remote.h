/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What sources have in common that a library reads over connections (links) of its
 * own. The job that opens one drives the library itself; from adopt() on the loop
 * alone does, polling the links' descriptors, and jobs hand it what they want read.
 * So libraries need not be safe for threads.
 *
 * A link that fails, or that is silent for too long while it owes an answer, is
 * dead for good, and its commands end with a retryable error: connections are made
 * anew by opening the source again, in a job, since names are looked up then and
 * the image may be another one behind the same name.
 */
#ifndef SLUICED_SOURCE_REMOTE_H
#define SLUICED_SOURCE_REMOTE_H

#include <pthread.h>

#include "source.h"

/* 4 is what nbdcopy uses: with it a core's worth of TCP is no longer the limit. */
#define SLUICED_MAX_LINKS	4

struct sluiced_remote;

struct sluiced_link {
	struct sluiced_remote *remote;
	struct sluiced_op poll;
	unsigned int events;		/* what poll waits for */
	bool polling;
	bool dead;
	struct sluiced_command *commands;
	unsigned int in_flight;
	uint64_t heard_ms;		/* when it last made progress, or had nothing to do */
};

/* What a kind says of its library. No function blocks. */
struct sluiced_link_ops {
	int (*fd)(struct sluiced_link *link);
	/* POLLIN and POLLOUT as the library wants them now. */
	unsigned int (*events)(struct sluiced_link *link);
	/*
	 * Lets the library go on; @revents of poll(). Commands that end are told to
	 * sluiced_command_end(). -errno: the link is dead.
	 */
	int (*service)(struct sluiced_link *link, unsigned int revents);
	/*
	 * Starts reading some of what is left of @read, and says how much in *@part;
	 * or -errno, with nothing started.
	 */
	int (*read)(struct sluiced_link *link, struct sluiced_read *read, uint32_t *part);
	int (*survey)(struct sluiced_link *link, struct sluiced_survey *survey);
	/* Closes it; nothing of the library touches a command or a buffer from here. */
	void (*hang_up)(struct sluiced_link *link);
};

struct sluiced_remote {
	struct sluiced_source source;	/* first */
	const struct sluiced_link_ops *ops;
	char name[64];			/* for the log */
	struct sluiced_link *links[SLUICED_MAX_LINKS];
	unsigned int link_count;
	struct sluiced_command *ended, **ended_tail;
	struct sluiced_timer kick;	/* what ended outside of the loop's own turn */
	struct sluiced_timer patience;

	/* What jobs want read. */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct sluiced_asked *asked;
	struct sluiced_op wake;
	int event;
	bool waking;
};

/* Before anything else; the kind fills in source.ops, links are added. -errno. */
int sluiced_remote_init(struct sluiced_remote *remote, const struct sluiced_link_ops *ops,
			const char *name);

/* Adds @link, which is connected. */
void sluiced_remote_add(struct sluiced_remote *remote, struct sluiced_link *link);

/* From within service(), read() or survey(), once for each command. */
void sluiced_command_end(struct sluiced_command *command, int err);

/*
 * For jobs, before adopt(): polls @link until @ready(). -ETIMEDOUT after @ms without
 * progress; where no command is under way, after @ms without any and after four times
 * as long in all. Or what service() returned.
 */
int sluiced_link_drive(struct sluiced_link *link, const struct sluiced_link_ops *ops,
		       bool (*ready)(struct sluiced_link *link), unsigned int ms);

/*
 * Notices within some 8 s that nobody is at the other end of a TCP connection, also
 * while there is nothing to send. Others are left as they are.
 */
void sluiced_tcp_guard(int fd);

/* As the functions of struct sluiced_source_ops. */
int sluiced_remote_gather(struct sluiced_source *source, struct sluiced_piece *pieces,
			  size_t count);
int sluiced_remote_check(struct sluiced_source *source);
bool sluiced_remote_lost(struct sluiced_source *source);
void sluiced_remote_adopt(struct sluiced_source *source, struct sluiced_loop *loop);
void sluiced_remote_read(struct sluiced_source *source, struct sluiced_read *read);
void sluiced_remote_survey(struct sluiced_source *source, struct sluiced_survey *survey);
void sluiced_remote_retire(struct sluiced_source *source);
void sluiced_remote_close(struct sluiced_source *source);
/* Of a kind whose object, which begins with the remote, is one allocation. */
void sluiced_remote_free(struct sluiced_source *source);
/* Frees what init() made, not @source itself or its links. */
void sluiced_remote_exit(struct sluiced_remote *remote);

#endif /* SLUICED_SOURCE_REMOTE_H */
