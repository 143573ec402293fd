// SPDX-License-Identifier: GPL-2.0-or-later
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "command.h"

int64_t sluice_client_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

void sluice_client_close(struct sluice_ctl *ctl)
{
	if (ctl->client.fd >= 0)
		close(ctl->client.fd);
	ctl->client.fd = -1;
	sluice_inbuf_free(&ctl->client.in);
}

static int timed_out(struct sluice_ctl *ctl)
{
	return sluice_fail(ctl, SLUICE_EXIT_TIMEOUT, "sluiced did not answer in time.");
}

static int refuse_socket(struct sluice_ctl *ctl, int err)
{
	switch (err) {
	case EAGAIN:
		return timed_out(ctl);
	case ENOENT:
	case ECONNREFUSED:
		return sluice_fail(ctl, SLUICE_EXIT_NO_DAEMON, "No sluiced answers at %s; start "
				   "it, or name its socket with --socket.", ctl->socket);
	case EACCES:
	case EPERM:
		return sluice_fail(ctl, SLUICE_EXIT_NO_DAEMON, "Only root and the "
				   "members of its group may talk to sluiced at %s; run sluicectl "
				   "as root.", ctl->socket);
	default:
		return sluice_fail(ctl, SLUICE_EXIT_NO_DAEMON, "The socket %s cannot be used: %s.",
				   ctl->socket, strerror(err));
	}
}

/* In ms, from 0 on; -1: for ever. */
static int time_left(const struct sluice_ctl *ctl)
{
	int64_t left;

	if (!ctl->client.deadline)
		return -1;
	left = ctl->client.deadline - sluice_client_now();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : left;
}

/* One that hangs accepts nobody, and once its queue is full connect() waits. */
static void limit_connect(const struct sluice_ctl *ctl)
{
	int left = time_left(ctl);
	struct timeval limit = { left / 1000, left % 1000 * 1000 };

	if (left < 0)
		return;
	/* 0 would be for ever. */
	if (!left)
		limit.tv_usec = 1;
	setsockopt(ctl->client.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static int connect_daemon(struct sluice_ctl *ctl)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(ctl->socket) >= sizeof(addr.sun_path))
		return sluice_fail(ctl, SLUICE_EXIT_USAGE, "The socket path %s is too long.",
				   ctl->socket);
	strcpy(addr.sun_path, ctl->socket);
	ctl->client.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ctl->client.fd < 0)
		return refuse_socket(ctl, errno);
	limit_connect(ctl);
	if (connect(ctl->client.fd, (struct sockaddr *)&addr, sizeof(addr)))
		return refuse_socket(ctl, errno);
	return 0;
}

static int lost(struct sluice_ctl *ctl, const char *why)
{
	return sluice_fail(ctl, SLUICE_EXIT_NO_DAEMON, "The connection to sluiced at %s was lost "
			   "before it answered (%s); its log says more.", ctl->socket, why);
}

/* Waits until the socket is ready for @events. */
static int wait_for(struct sluice_ctl *ctl, short events)
{
	struct pollfd pfd = { .fd = ctl->client.fd, .events = events };
	int ready;

	do {
		ready = poll(&pfd, 1, time_left(ctl));
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return lost(ctl, strerror(errno));
	if (!ready)
		return timed_out(ctl);
	return 0;
}

static int send_call(struct sluice_ctl *ctl, const char *buf, size_t len)
{
	ssize_t n;
	int status;

	while (len) {
		status = wait_for(ctl, POLLOUT);
		if (status)
			return status;
		n = send(ctl->client.fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return lost(ctl, strerror(errno));
		buf += n;
		len -= n;
	}
	return 0;
}

static int receive_reply(struct sluice_ctl *ctl, char **text, size_t *len)
{
	char buf[16384];
	ssize_t n;
	int status;

	while (!(*text = sluice_inbuf_next(&ctl->client.in, len))) {
		status = wait_for(ctl, POLLIN);
		if (status)
			return status;
		n = recv(ctl->client.fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return lost(ctl, strerror(errno));
		if (!n)
			return lost(ctl, "it closed the connection");
		switch (sluice_inbuf_add(&ctl->client.in, buf, n)) {
		case 0:
			break;
		case -EMSGSIZE:
			return sluice_fail(ctl, SLUICE_EXIT_FAILED,
					   "The reply of sluiced is longer than 1 MiB.");
		default:
			return sluice_fail(ctl, SLUICE_EXIT_FAILED,
					   "There is no memory for the reply of sluiced.");
		}
	}
	return 0;
}

static int take_reply(struct sluice_ctl *ctl, const char *text, size_t len,
		      struct json_object **reply)
{
	struct json_object *obj, *parameters = NULL;
	const char *why, *kind, *message;
	int status = 0;

	obj = sluice_message_parse(text, len, &why);
	if (!obj)
		return sluice_fail(ctl, SLUICE_EXIT_FAILED, "The reply of sluiced makes no sense: "
				   "%s", why);
	json_object_object_get_ex(obj, "parameters", &parameters);
	if (!sluice_json_string(obj, "error", &kind)) {
		if (sluice_json_string(parameters, "message", &message))
			message = "sluiced refused without saying why; its log says more.";
		status = sluice_fail_remote(ctl, kind, message);
	} else if (!json_object_is_type(parameters, json_type_object)) {
		status = sluice_fail(ctl, SLUICE_EXIT_FAILED,
				     "The reply of sluiced has no parameters.");
	} else if (reply) {
		*reply = json_object_get(parameters);
	}
	json_object_put(obj);
	return status;
}

int sluice_client_next(struct sluice_ctl *ctl, struct json_object **reply)
{
	char *text;
	size_t len;
	int status;

	status = receive_reply(ctl, &text, &len);
	/* A late reply must not be taken for the next call's. */
	if (status)
		sluice_client_close(ctl);
	else
		status = take_reply(ctl, text, len, reply);
	free(text);
	return status;
}

int sluice_client_call(struct sluice_ctl *ctl, const char *method,
		       struct json_object *parameters, struct json_object **reply)
{
	struct json_object *call = json_object_new_object();
	char name[64];
	char *buf = NULL;
	size_t len;
	int status = 0;

	snprintf(name, sizeof(name), "org.sluice.%s", method);
	json_object_object_add(call, "method", json_object_new_string(name));
	json_object_object_add(call, "parameters",
			       parameters ? parameters : json_object_new_object());
	if (sluice_message_frame(call, &buf, &len)) {
		json_object_put(call);
		return sluice_fail(ctl, SLUICE_EXIT_FAILED, "The call to sluiced is too long.");
	}
	json_object_put(call);

	if (ctl->client.fd < 0)
		status = connect_daemon(ctl);
	if (!status)
		status = send_call(ctl, buf, len);
	free(buf);
	if (status) {
		sluice_client_close(ctl);
		return status;
	}
	return sluice_client_next(ctl, reply);
}
