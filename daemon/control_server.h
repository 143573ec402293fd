/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: takes calls from root, and those that change nothing from the
 * members of a group, one at a time of each connection, and sends answers
 * (Documentation/control-protocol.rst). Of the loop's thread.
 */
#ifndef SLUICED_CONTROL_SERVER_H
#define SLUICED_CONTROL_SERVER_H

#include <stdbool.h>

#include "daemon.h"
#include "fault.h"

struct json_object;
struct sluiced_call;

/* 64 is arbitrary: people, their scripts and a metrics reader are a handful. */
#define SLUICED_MAX_CLIENTS	64
/* Of them others than root: they cannot keep root out. */
#define SLUICED_MAX_GUESTS	16

/* Streams last: half of the connections stay for calls. */
#define SLUICED_MAX_STREAMS	32

/*
 * Listens at @path, making its directory: mode 0600, or 0660 and of @group where
 * /etc/group has that. -EADDRINUSE when the path is a socket that answers, or no socket.
 */
int sluiced_server_start(struct sluiced_daemon *daemon, const char *path, const char *group);

/* Takes no more connections or calls; pending answers are still sent. */
void sluiced_server_stop(void);

/* Frees everything; only when the loop has ended. */
void sluiced_server_exit(void);

/*
 * Every call is answered exactly once, now or later, and is gone then; @parameters
 * is taken over and may be NULL for {}.
 */
void sluiced_call_reply(struct sluiced_call *call, struct json_object *parameters);
void sluiced_call_fail(struct sluiced_call *call, const struct sluiced_fault *fault);

/* Room for what a method must remember until it answers. */
struct sluiced_call_notes {
	char name[64];
	char kind[8];
};
struct sluiced_call_notes *sluiced_call_notes(struct sluiced_call *call);
/* Whether root asks; of others only what changes nothing may be done. */
bool sluiced_call_is_root(const struct sluiced_call *call);
/*
 * Makes a stream of the call: it is not answered but gets messages until its peer
 * goes, or until it reads too slowly; then the connection ends. False: there are
 * too many streams already. @name: only what is published of that deployment; "":
 * everything.
 */
bool sluiced_call_stream(struct sluiced_call *call, const char *name);

/* A message to one stream, and to all that want what is of @name. Take @parameters. */
void sluiced_stream_send(struct sluiced_call *call, struct json_object *parameters);
void sluiced_server_publish(const char *name, struct json_object *parameters);

bool sluiced_server_has_streams(void);

struct sluiced_daemon *sluiced_call_daemon(struct sluiced_call *call);

#endif /* SLUICED_CONTROL_SERVER_H */
