// SPDX-License-Identifier: GPL-2.0-or-later
#include "source_remote.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

/*
 * A server that owes an answer and says nothing for this long is taken for hung. Its
 * kernel may be well, so that TCP notices nothing; hosts wait 20 s and ask again.
 */
#define PATIENCE_MS	30000
#define LOOK_MS		1000

/* Samples for an opening: without progress it is tried anew. */
#define GATHER_MS	5000

/*
 * A peer that is gone: what is left of a host's 20 s is enough for another try. Less
 * takes a card that is out of breath for a dead server.
 */
#define TCP_GONE_MS	8000

/* How much longer a connection may take to make once there is a sign of life. */
#define PARTS		4

/* Turns of a library between two looks at everything else. */
#define TURNS		64

/* What a job wants read, for the loop. */
struct sluiced_asked {
	struct sluiced_remote *remote;
	struct sluiced_read *reads;
	struct sluiced_piece *pieces;
	size_t count, left;
	struct sluiced_asked *next;
};

struct piece_read {
	struct sluiced_read read;
	struct sluiced_asked *asked;
	struct sluiced_piece *piece;
};

static void kicked(struct sluiced_timer *timer);

int sluiced_remote_init(struct sluiced_remote *remote, const struct sluiced_link_ops *ops,
			const char *name)
{
	remote->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (remote->event < 0)
		return -errno;
	remote->ops = ops;
	snprintf(remote->name, sizeof(remote->name), "%s", name);
	remote->ended_tail = &remote->ended;
	pthread_mutex_init(&remote->lock, NULL);
	pthread_cond_init(&remote->answered, NULL);
	return 0;
}

void sluiced_remote_exit(struct sluiced_remote *remote)
{
	sluiced_timer_stop(&remote->kick);
	sluiced_timer_stop(&remote->patience);
	pthread_mutex_destroy(&remote->lock);
	pthread_cond_destroy(&remote->answered);
	close(remote->event);
}

void sluiced_remote_add(struct sluiced_remote *remote, struct sluiced_link *link)
{
	link->remote = remote;
	remote->links[remote->link_count++] = link;
}

void sluiced_tcp_guard(int fd)
{
	int domain, on = 1, idle = 3, interval = 1, count = 5, gone = TCP_GONE_MS;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
	    (domain != AF_INET && domain != AF_INET6))
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone, sizeof(gone));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* Commands. */

void sluiced_command_end(struct sluiced_command *command, int err)
{
	struct sluiced_link *link = command->link;
	struct sluiced_remote *remote = link->remote;

	*command->prev = command->next;
	if (command->next)
		command->next->prev = command->prev;
	link->in_flight--;
	command->err = err;
	command->next = NULL;
	*remote->ended_tail = command;
	remote->ended_tail = &command->next;
}

/* Not from within a library: what follows may ask it for more. */
static void flush(struct sluiced_remote *remote)
{
	struct sluiced_command *command;

	while ((command = remote->ended)) {
		remote->ended = command->next;
		if (!remote->ended)
			remote->ended_tail = &remote->ended;
		command->finish(command, command->err);
	}
}

static void kicked(struct sluiced_timer *timer)
{
	flush(container_of(timer, struct sluiced_remote, kick));
}

static void kick(struct sluiced_remote *remote)
{
	if (remote->source.loop && remote->ended)
		sluiced_timer_start(remote->source.loop, &remote->kick, 0);
}

static void link_command(struct sluiced_link *link, struct sluiced_command *command)
{
	if (!link->in_flight++)
		link->heard_ms = sluiced_now_ms();
	command->link = link;
	command->next = link->commands;
	command->prev = &link->commands;
	if (command->next)
		command->next->prev = &command->next;
	link->commands = command;
}

static void die(struct sluiced_link *link, int err)
{
	if (link->dead)
		return;
	link->dead = true;
	if (err != -ENOLINK)
		sluiced_log(LOG_WARNING, link->remote->name, "A connection failed: %s.",
			    strerror(-err));
	link->remote->ops->hang_up(link);
	while (link->commands)
		sluiced_command_end(link->commands, err);
	if (link->polling)
		sluiced_loop_cancel(link->remote->source.loop, &link->poll);
	kick(link->remote);
}

/* The link with least to do; dead ones only when all are. */
static struct sluiced_link *choose(struct sluiced_remote *remote)
{
	struct sluiced_link *best = remote->links[0], *link;
	unsigned int i;

	for (i = 1; i < remote->link_count; i++) {
		link = remote->links[i];
		if (!link->dead && (best->dead || link->in_flight < best->in_flight))
			best = link;
	}
	return best;
}

static void arm(struct sluiced_link *link);

/* A library that could not send all needs to know when it can. */
static void rearm(struct sluiced_link *link)
{
	struct sluiced_remote *remote = link->remote;

	if (link->polling && !link->dead &&
	    (remote->ops->events(link) & ~link->events))
		sluiced_loop_cancel(remote->source.loop, &link->poll);
}

/* @err is what the library said to a new command. */
static void issued(struct sluiced_link *link, struct sluiced_command *command, int err)
{
	struct sluiced_remote *remote = link->remote;

	if (err)
		sluiced_command_end(command, err);
	/* Sending it may be how the library noticed: nothing would be polled any more. */
	if (!link->dead && remote->ops->fd(link) < 0)
		die(link, -ENOTCONN);
	rearm(link);
	kick(remote);
}

static void read_finished(struct sluiced_command *command, int err);

static void start_read(struct sluiced_read *read)
{
	struct sluiced_remote *remote = (struct sluiced_remote *)read->source;
	struct sluiced_link *link = choose(remote);
	int err;

	read->command.finish = read_finished;
	link_command(link, &read->command);
	err = link->dead ? -ENOTCONN : remote->ops->read(link, read, &read->part);
	issued(link, &read->command, err);
}

static void read_finished(struct sluiced_command *command, int err)
{
	struct sluiced_read *read = container_of(command, struct sluiced_read, command);

	if (!err)
		read->got += read->part;
	if (!err && read->got < read->len && !read->source->retired)
		start_read(read);
	else
		sluiced_source_read_end(read, !err && read->got < read->len ? -ENOLINK : err);
}

void sluiced_remote_read(struct sluiced_source *source, struct sluiced_read *read)
{
	(void)source;
	start_read(read);
}

static void survey_finished(struct sluiced_command *command, int err)
{
	sluiced_source_survey_end(container_of(command, struct sluiced_survey, command), err);
}

void sluiced_remote_survey(struct sluiced_source *source, struct sluiced_survey *survey)
{
	struct sluiced_remote *remote = (struct sluiced_remote *)source;
	struct sluiced_link *link = choose(remote);
	int err;

	survey->command.finish = survey_finished;
	link_command(link, &survey->command);
	err = link->dead ? -ENOTCONN : remote->ops->survey(link, survey);
	issued(link, &survey->command, err);
}

/* In the loop. */

static void turn(struct sluiced_link *link, unsigned int revents)
{
	const struct sluiced_link_ops *ops = link->remote->ops;
	unsigned int turns = 0;
	struct pollfd pfd;
	int err;

	do {
		err = ops->service(link, revents);
		if (err)
			return die(link, err);
		pfd = (struct pollfd){ .fd = ops->fd(link), .events = ops->events(link) };
		revents = ++turns < TURNS && poll(&pfd, 1, 0) == 1 ? pfd.revents : 0;
	} while (revents);
	link->heard_ms = sluiced_now_ms();
}

static void poll_done(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	struct sluiced_link *link = container_of(op, struct sluiced_link, poll);
	struct sluiced_remote *remote = link->remote;

	(void)flags;
	link->polling = false;
	remote->source.reads--;
	if (link->dead)
		return;
	if (res < 0 && res != -ECANCELED && res != -EINTR)
		die(link, res);
	else if (res > 0)
		turn(link, res);
	flush(remote);
	arm(link);
}

/* Once each time: libraries leave data in the socket, which only that reports again. */
static void arm(struct sluiced_link *link)
{
	struct sluiced_remote *remote = link->remote;

	if (link->dead || link->polling)
		return;
	link->events = remote->ops->events(link);
	link->polling = true;
	link->poll.done = poll_done;
	remote->source.reads++;
	sluiced_loop_poll_once(remote->source.loop, &link->poll, remote->ops->fd(link),
			       link->events);
}

static void look(struct sluiced_timer *timer)
{
	struct sluiced_remote *remote = container_of(timer, struct sluiced_remote, patience);
	uint64_t now = sluiced_now_ms();
	unsigned int i;

	for (i = 0; i < remote->link_count; i++) {
		struct sluiced_link *link = remote->links[i];

		if (!link->dead && link->in_flight && now - link->heard_ms >= PATIENCE_MS)
			die(link, -ETIMEDOUT);
	}
	sluiced_timer_start(remote->source.loop, timer, LOOK_MS);
}

static void piece_done(struct sluiced_read *read, int err)
{
	struct piece_read *pr = container_of(read, struct piece_read, read);
	struct sluiced_remote *remote = pr->asked->remote;

	pr->piece->err = err;
	pthread_mutex_lock(&remote->lock);
	if (!--pr->asked->left)
		pthread_cond_broadcast(&remote->answered);
	pthread_mutex_unlock(&remote->lock);
}

static void woken(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	struct sluiced_remote *remote = container_of(op, struct sluiced_remote, wake);
	struct sluiced_asked *asked;
	uint64_t count;
	ssize_t n;

	if (res > 0) {
		n = read(remote->event, &count, sizeof(count));
		(void)n;
	}
	pthread_mutex_lock(&remote->lock);
	asked = remote->asked;
	remote->asked = NULL;
	pthread_mutex_unlock(&remote->lock);
	while (asked) {
		struct piece_read *reads = (struct piece_read *)asked->reads;
		struct sluiced_asked *next = asked->next;
		size_t count_of = asked->count, i;

		/* @asked may be gone once the last of them ends, which is later. */
		for (i = 0; i < count_of; i++)
			sluiced_source_read(&remote->source, &reads[i].read, reads[i].piece->data,
					    reads[i].piece->len, reads[i].piece->offset,
					    piece_done);
		asked = next;
	}
	if (flags & IORING_CQE_F_MORE)
		return;
	remote->waking = false;
	remote->source.reads--;
	if (!remote->source.retired) {
		remote->waking = true;
		remote->source.reads++;
		sluiced_loop_poll(remote->source.loop, op, remote->event, POLLIN);
	}
}

void sluiced_remote_adopt(struct sluiced_source *source, struct sluiced_loop *loop)
{
	struct sluiced_remote *remote = (struct sluiced_remote *)source;
	unsigned int i;

	remote->kick.fire = kicked;
	remote->patience.fire = look;
	sluiced_timer_start(loop, &remote->patience, LOOK_MS);
	remote->wake.done = woken;
	remote->waking = true;
	source->reads++;
	sluiced_loop_poll(loop, &remote->wake, remote->event, POLLIN);
	for (i = 0; i < remote->link_count; i++)
		arm(remote->links[i]);
}

void sluiced_remote_retire(struct sluiced_source *source)
{
	struct sluiced_remote *remote = (struct sluiced_remote *)source;
	unsigned int i;

	sluiced_timer_stop(&remote->patience);
	for (i = 0; i < remote->link_count; i++)
		die(remote->links[i], -ENOLINK);
	if (remote->waking)
		sluiced_loop_cancel(source->loop, &remote->wake);
}

void sluiced_remote_close(struct sluiced_source *source)
{
	struct sluiced_remote *remote = (struct sluiced_remote *)source;
	unsigned int i;

	/* What was adopted was retired, in the loop. */
	for (i = 0; i < remote->link_count && !source->loop; i++)
		die(remote->links[i], -ENOLINK);
}

void sluiced_remote_free(struct sluiced_source *source)
{
	struct sluiced_remote *remote = (struct sluiced_remote *)source;

	sluiced_remote_exit(remote);
	free(remote);
}

bool sluiced_remote_lost(struct sluiced_source *source)
{
	struct sluiced_remote *remote = (struct sluiced_remote *)source;
	unsigned int i;

	for (i = 0; i < remote->link_count; i++)
		if (remote->links[i]->dead)
			return true;
	return false;
}

int sluiced_remote_check(struct sluiced_source *source)
{
	/* A size is told once a connection: it cannot change under us. */
	return sluiced_remote_lost(source) ? -ENOTCONN : 0;
}

/* In jobs. */

int sluiced_link_drive(struct sluiced_link *link, const struct sluiced_link_ops *ops,
		       bool (*ready)(struct sluiced_link *link), unsigned int ms)
{
	uint64_t now = sluiced_now_ms(), deadline = now + ms, last = now + PARTS * ms;
	struct pollfd pfd;
	int n, err;

	while (!ready(link)) {
		now = sluiced_now_ms();
		if (now >= deadline)
			return -ETIMEDOUT;
		pfd = (struct pollfd){ .fd = ops->fd(link), .events = ops->events(link) };
		n = poll(&pfd, 1, deadline - now);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		err = ops->service(link, pfd.revents);
		if (err)
			return err;
		if (link->remote)
			flush(link->remote);
		/*
		 * What trickles in of data is progress, and bounded by what was asked for.
		 * Who took a connection may have to open an image behind it first.
		 */
		deadline = link->in_flight ? sluiced_now_ms() + ms : last;
	}
	return 0;
}

static bool is_idle(struct sluiced_link *link)
{
	return !link->in_flight;
}

/* One link after the other: what waits in the next one's socket is not lost. */
static void drive_all(struct sluiced_remote *remote)
{
	unsigned int i;
	int err;

	flush(remote);
	for (i = 0; i < remote->link_count; i++) {
		struct sluiced_link *link = remote->links[i];

		err = link->dead ? 0 : sluiced_link_drive(link, remote->ops, is_idle, GATHER_MS);
		if (err)
			die(link, err);
		flush(remote);
	}
}

static void ask_loop(struct sluiced_remote *remote, struct sluiced_asked *asked)
{
	uint64_t one = 1;

	pthread_mutex_lock(&remote->lock);
	asked->next = remote->asked;
	remote->asked = asked;
	while (write(remote->event, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	/* For at most the loop's patience: it ends what hangs. */
	while (asked->left)
		pthread_cond_wait(&remote->answered, &remote->lock);
	pthread_mutex_unlock(&remote->lock);
}

int sluiced_remote_gather(struct sluiced_source *source, struct sluiced_piece *pieces,
			  size_t count)
{
	struct sluiced_remote *remote = (struct sluiced_remote *)source;
	struct piece_read *reads = calloc(count, sizeof(*reads));
	struct sluiced_asked asked = {
		.remote = remote, .reads = &reads->read, .pieces = pieces,
		.count = count, .left = count,
	};
	size_t i;

	if (!reads)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		reads[i].asked = &asked;
		reads[i].piece = &pieces[i];
	}
	if (source->loop) {
		ask_loop(remote, &asked);
	} else {
		for (i = 0; i < count; i++)
			sluiced_source_read(source, &reads[i].read, pieces[i].data,
					    pieces[i].len, pieces[i].offset, piece_done);
		/* Pieces that need several commands go on from link to link. */
		while (asked.left)
			drive_all(remote);
	}
	for (i = 0; i < count && !pieces[i].err; i++)
		;
	free(reads);
	return i < count ? pieces[i].err : 0;
}
