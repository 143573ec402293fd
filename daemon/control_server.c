// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_server.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include "log.h"
#include "message.h"
#include "methods.h"

#define RECEIVE_BYTES	8192

/*
 * What others than root may call has a name at most. Memory is locked, and parsing 1 MiB
 * takes longer than a host should wait for.
 */
#define GUEST_MAX	16384

/* After each of their calls, so many times as long is without: they may ask all the time. */
#define GUEST_PAUSE	3

#define NO_GROUP	((gid_t)-1)

/* Accepting failed for want of descriptors: others may end meanwhile. */
#define ACCEPT_RETRY_MS	1000

/* A connection; it is a call too, for it has one at a time. */
struct sluiced_call {
	struct sluiced_call *next, **prev;
	int fd;
	struct sluiced_op receive, send;
	bool receiving, sending, calling, closing, root;
	bool stream;
	bool held;			/* until others than root may call again */
	uint64_t called_at;
	struct sluice_inbuf in;
	char buf[RECEIVE_BYTES];
	char *out;
	size_t out_len, out_done;
	char *queue;			/* of a stream: what follows out */
	size_t queue_len;
	struct sluiced_call_notes notes;
};

static struct {
	struct sluiced_daemon *daemon;
	struct sluiced_call *clients;
	unsigned int count, guests, streams;
	int fd;
	struct sluiced_op accept;
	struct sluiced_timer retry;
	struct sluiced_timer guests_turn;
	uint64_t guests_at;		/* others than root may call again */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	gid_t gid;
	bool stopped;
} server = { .fd = -1 };

static struct sluiced_loop *loop_of_server(void)
{
	return &server.daemon->loop;
}

static void free_client(struct sluiced_call *client)
{
	*client->prev = client->next;
	if (client->next)
		client->next->prev = client->prev;
	server.count--;
	server.guests -= !client->root;
	server.streams -= client->stream;
	close(client->fd);
	sluice_inbuf_free(&client->in);
	free(client->out);
	free(client->queue);
	free(client);
}

/* Ends the connection once nothing of it is under way. */
static void end_client(struct sluiced_call *client)
{
	if (!client->closing)
		shutdown(client->fd, SHUT_RDWR);
	client->closing = true;
	if (!client->receiving && !client->sending && !client->calling)
		free_client(client);
}

static void start_receive(struct sluiced_call *client)
{
	client->receiving = true;
	sluiced_loop_recv(loop_of_server(), &client->receive, client->fd, client->buf,
			  sizeof(client->buf));
}

static void start_send(struct sluiced_call *client)
{
	client->sending = true;
	sluiced_loop_send(loop_of_server(), &client->send, client->fd,
			  client->out + client->out_done, client->out_len - client->out_done);
}

static void answer(struct sluiced_call *client, struct json_object *message)
{
	int err = -ENOMEM;

	client->calling = false;
	if (message)
		err = sluice_message_frame(message, &client->out, &client->out_len);
	json_object_put(message);
	if (err || client->closing) {
		/* The peer sees the end of the connection instead of an answer. */
		if (err)
			sluiced_log(LOG_ERR, "sluiced", "An answer cannot be sent: %s.",
				    strerror(-err));
		return end_client(client);
	}
	client->out_done = 0;
	start_send(client);
}

void sluiced_call_reply(struct sluiced_call *call, struct json_object *parameters)
{
	struct json_object *message = json_object_new_object();

	if (!parameters)
		parameters = json_object_new_object();
	json_object_object_add(message, "parameters", parameters);
	answer(call, message);
}

void sluiced_call_fail(struct sluiced_call *call, const struct sluiced_fault *fault)
{
	struct json_object *message = json_object_new_object();
	struct json_object *parameters = json_object_new_object();

	json_object_object_add(parameters, "message", json_object_new_string(fault->text));
	json_object_object_add(message, "error",
			       json_object_new_string(sluiced_fault_name(fault->kind)));
	json_object_object_add(message, "parameters", parameters);
	answer(call, message);
}

bool sluiced_call_stream(struct sluiced_call *call, const char *name)
{
	if (server.streams >= SLUICED_MAX_STREAMS)
		return false;
	server.streams++;
	call->stream = true;
	snprintf(call->notes.name, sizeof(call->notes.name), "%s", name);
	/* So that its end is seen; there is nothing to be said to a stream. */
	start_receive(call);
	return true;
}

/* A message follows what is being sent; false when that is too much or no memory. */
static bool enqueue(struct sluiced_call *stream, const char *text, size_t len)
{
	char *queue;

	if (stream->queue_len + len > SLUICE_MESSAGE_MAX)
		return false;
	queue = realloc(stream->queue, stream->queue_len + len);
	if (!queue)
		return false;
	memcpy(queue + stream->queue_len, text, len);
	stream->queue = queue;
	stream->queue_len += len;
	return true;
}

static void send_queue(struct sluiced_call *stream)
{
	stream->out = stream->queue;
	stream->out_len = stream->queue_len;
	stream->out_done = 0;
	stream->queue = NULL;
	stream->queue_len = 0;
	start_send(stream);
}

/* Frees no stream that it ends: callers walk through them. */
static void send_framed(struct sluiced_call *stream, const char *text, size_t len)
{
	if (stream->closing)
		return;
	if (!text || !enqueue(stream, text, len)) {
		/* Its receive is under way, so it stays until that has ended. */
		stream->calling = false;
		return end_client(stream);
	}
	if (!stream->sending)
		send_queue(stream);
}

/* NULL without memory. */
static char *frame(struct json_object *parameters, size_t *len)
{
	struct json_object *message = json_object_new_object();
	char *text = NULL;

	json_object_object_add(message, "parameters", parameters);
	json_object_object_add(message, "continues", json_object_new_boolean(true));
	if (sluice_message_frame(message, &text, len))
		text = NULL;
	json_object_put(message);
	return text;
}

void sluiced_stream_send(struct sluiced_call *call, struct json_object *parameters)
{
	size_t len = 0;
	char *text = frame(parameters, &len);

	send_framed(call, text, len);
	free(text);
}

void sluiced_server_publish(const char *name, struct json_object *parameters)
{
	struct sluiced_call *client;
	size_t len = 0;
	char *text = frame(parameters, &len);

	for (client = server.clients; client; client = client->next)
		if (client->stream &&
		    (!client->notes.name[0] || !strcmp(client->notes.name, name)))
			send_framed(client, text, len);
	free(text);
}

bool sluiced_server_has_streams(void)
{
	return server.streams;
}

struct sluiced_call_notes *sluiced_call_notes(struct sluiced_call *call)
{
	return &call->notes;
}

bool sluiced_call_is_root(const struct sluiced_call *call)
{
	return call->root;
}

struct sluiced_daemon *sluiced_call_daemon(struct sluiced_call *call)
{
	(void)call;
	return server.daemon;
}

static void refuse(struct sluiced_call *client, const char *why)
{
	struct sluiced_fault fault;

	sluiced_fault(&fault, SLUICED_INVALID_PARAMETER, "%s", why);
	sluiced_call_fail(client, &fault);
}

static void call_method(struct sluiced_call *client, const char *text, size_t len)
{
	struct json_object *message, *parameters = NULL;
	const char *why = NULL, *method;

	client->calling = true;
	memset(&client->notes, 0, sizeof(client->notes));
	message = sluice_message_parse(text, len, &why);
	if (!message)
		return refuse(client, why);
	if (sluice_json_string(message, "method", &method)) {
		refuse(client, "The message names no method.");
	} else if (json_object_object_get_ex(message, "parameters", &parameters) &&
		   parameters && !json_object_is_type(parameters, json_type_object)) {
		refuse(client, "The parameters of the message are no object.");
	} else {
		sluiced_method_call(client, method, parameters);
	}
	json_object_put(message);
}

static void call_of_guest(struct sluiced_call *client, const char *text, size_t len)
{
	uint64_t now = sluiced_now_ms(), end;

	client->called_at = now;
	/* It may be gone then. */
	call_method(client, text, len);
	end = sluiced_now_ms();
	server.guests_at = end + 1 + GUEST_PAUSE * (end - now);
}

static bool hold(struct sluiced_call *client)
{
	uint64_t now = sluiced_now_ms();

	client->held = !client->root && client->in.len && now < server.guests_at;
	if (client->held)
		sluiced_timer_start(loop_of_server(), &server.guests_turn,
				    server.guests_at - now);
	return client->held;
}

/* Calls, or receives until there is a call. One at a time, so in order. */
static void go_on(struct sluiced_call *client)
{
	size_t len;
	char *text;

	if (client->calling || client->sending || client->receiving)
		return;
	if (client->closing || server.stopped)
		return end_client(client);
	if (hold(client))
		return;
	text = sluice_inbuf_next(&client->in, &len);
	if (!text)
		return start_receive(client);
	if (client->root)
		call_method(client, text, len);
	else
		call_of_guest(client, text, len);
	free(text);
}

/* Whose last call is the longest ago; the others are held anew, or find that they may. */
static void next_guest(struct sluiced_timer *timer)
{
	struct sluiced_call *client, *first = NULL;
	bool more = false;

	for (client = server.clients; client; client = client->next) {
		if (!client->held)
			continue;
		more = first;
		if (!first || client->called_at < first->called_at)
			first = client;
	}
	if (!first)
		return;
	first->held = false;
	go_on(first);
	if (more)
		sluiced_timer_start(loop_of_server(), timer, 1);
}

static void send_done(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	struct sluiced_call *client = container_of(op, struct sluiced_call, send);

	(void)flags;
	client->sending = false;
	if (res <= 0)
		return end_client(client);
	client->out_done += res;
	if (client->out_done < client->out_len && !client->closing)
		return start_send(client);
	free(client->out);
	client->out = NULL;
	if (client->stream && !client->closing && client->queue_len)
		return send_queue(client);
	go_on(client);
}

static void receive_done(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	struct sluiced_call *client = container_of(op, struct sluiced_call, receive);
	int err;

	(void)flags;
	client->receiving = false;
	if (client->stream)
		client->calling = false;
	if (res <= 0 || client->closing || client->stream)
		return end_client(client);
	err = sluice_inbuf_add(&client->in, client->buf, res);
	if (!err && !client->root && client->in.len > GUEST_MAX)
		err = -EMSGSIZE;
	if (!err)
		return go_on(client);
	/* What follows cannot be told apart any more. */
	sluice_inbuf_free(&client->in);
	client->calling = true;
	refuse(client, err != -EMSGSIZE ? "There is no memory for the message." :
		       client->root	 ? "The message is longer than 1 MiB." :
					   "The message is longer than who is not root may send.");
	if (client->sending)
		client->closing = true;
}

static bool is_root(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && peer.uid == 0;
}

static void add_client(int fd)
{
	/* Whoever else could open the socket is of its group. */
	bool root = is_root(fd);
	struct sluiced_call *client;

	if (server.stopped || server.count >= SLUICED_MAX_CLIENTS ||
	    (!root && (server.gid == NO_GROUP || server.guests >= SLUICED_MAX_GUESTS))) {
		close(fd);
		return;
	}
	client = calloc(1, sizeof(*client));
	if (!client) {
		close(fd);
		return;
	}
	client->fd = fd;
	client->root = root;
	client->receive.done = receive_done;
	client->send.done = send_done;
	client->next = server.clients;
	client->prev = &server.clients;
	if (client->next)
		client->next->prev = &client->next;
	server.clients = client;
	server.count++;
	server.guests += !root;
	start_receive(client);
}

static void start_accept(struct sluiced_timer *timer)
{
	(void)timer;
	sluiced_loop_accept(loop_of_server(), &server.accept, server.fd);
}

static void accept_done(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	(void)op;
	(void)flags;
	if (res >= 0)
		add_client(res);
	if (server.stopped)
		return;
	if (res >= 0 || res == -EINTR || res == -ECONNABORTED)
		return start_accept(NULL);
	sluiced_log(LOG_ERR, "sluiced", "The control socket accepts nobody: %s.",
		    strerror(-res));
	sluiced_timer_start(loop_of_server(), &server.retry, ACCEPT_RETRY_MS);
}

/* A socket that a dead daemon left behind goes; anything else stays. */
static int clear_path(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, answered;

	if (lstat(address->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	answered = !connect(fd, (const struct sockaddr *)address, sizeof(*address));
	close(fd);
	if (answered)
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 ? -errno : 0;
}

static void make_directory(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	/* If it cannot be made, bind() says why. */
	mkdir(dirname(copy), 0755);
}

/*
 * Not getgrnam(): that may ask servers on the network, which hosts must not wait for.
 * The group is the machine's own.
 */
static gid_t find_group(const char *name)
{
	struct group *entry;
	gid_t gid = NO_GROUP;
	FILE *file;

	file = name[0] ? fopen("/etc/group", "re") : NULL;
	if (!file)
		return NO_GROUP;
	while (gid == NO_GROUP && (entry = fgetgrent(file)))
		if (!strcmp(entry->gr_name, name))
			gid = entry->gr_gid;
	fclose(file);
	return gid;
}

int sluiced_server_start(struct sluiced_daemon *daemon, const char *path, const char *group)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	make_directory(path);
	err = clear_path(&address);
	if (err)
		return err;
	server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server.fd < 0)
		return -errno;
	server.gid = find_group(group);
	/* By the mask: a chmod() afterwards would leave a moment. */
	mask = umask(server.gid == NO_GROUP ? 0177 : 0117);
	err = bind(server.fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(mask);
	if (!err && server.gid != NO_GROUP && lchown(path, 0, server.gid) < 0) {
		err = -errno;
		unlink(path);
	}
	if (!err && listen(server.fd, SLUICED_MAX_CLIENTS) < 0)
		err = -errno;
	if (err) {
		close(server.fd);
		server.fd = -1;
		return err;
	}
	memcpy(server.path, path, strlen(path) + 1);
	server.daemon = daemon;
	server.accept.done = accept_done;
	server.retry.fire = start_accept;
	server.guests_turn.fire = next_guest;
	start_accept(NULL);
	return 0;
}

void sluiced_server_stop(void)
{
	struct sluiced_call *client, *next;

	if (server.fd < 0)
		return;
	server.stopped = true;
	unlink(server.path);
	sluiced_timer_stop(&server.retry);
	sluiced_timer_stop(&server.guests_turn);
	sluiced_loop_cancel(loop_of_server(), &server.accept);
	for (client = server.clients; client; client = next) {
		next = client->next;
		if (client->stream)
			client->calling = false;
		if (client->stream || (!client->calling && !client->sending))
			end_client(client);
	}
}

void sluiced_server_exit(void)
{
	while (server.clients)
		free_client(server.clients);
	if (server.fd >= 0)
		close(server.fd);
	server.fd = -1;
}
