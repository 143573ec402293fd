/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connection to sluiced, made when the first call needs it. */
#ifndef SLUICE_TOOLS_CLIENT_H
#define SLUICE_TOOLS_CLIENT_H

#include <stdint.h>

#include "message.h"

#define SLUICE_SOCKET	"/run/sluice/control.sock"

struct sluice_client {
	int fd;			/* -1: not connected */
	int64_t deadline;	/* of a call, in ms of sluice_client_now(); 0: none */
	struct sluice_inbuf in;
};

struct sluice_ctl;
struct json_object;

/* Milliseconds of a clock that nobody sets. */
int64_t sluice_client_now(void);

/*
 * Calls org.sluice.@method and waits for its reply. Takes @parameters over, which
 * may be NULL. 0 with *@reply being the reply's parameters, an object the caller
 * puts back; otherwise the exit status of the error recorded. @reply may be NULL.
 * After SLUICE_EXIT_NO_DAEMON a new call connects again.
 */
int sluice_client_call(struct sluice_ctl *ctl, const char *method,
		       struct json_object *parameters, struct json_object **reply);

/* The next reply of a call that has several, in the same way. */
int sluice_client_next(struct sluice_ctl *ctl, struct json_object **reply);

void sluice_client_close(struct sluice_ctl *ctl);

#endif /* SLUICE_TOOLS_CLIENT_H */
