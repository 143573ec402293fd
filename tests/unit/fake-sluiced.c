// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: libcommon/message.c */
/*
 * fake-sluiced SOCKET SCRIPT LOG: answers calls with what SCRIPT says, one
 * connection at a time, and appends each call to LOG.
 *
 * A line of SCRIPT is "METHOD ANSWER". The n-th call of a method gets the n-th
 * answer, the last one for ever. An answer is sent as it is with a NUL, except
 *
 *	@close		closes the connection instead
 *	@silent		says nothing
 *	@huge		sends more than a message may have
 *	@split ANSWER	sends it in two parts
 *	@stream ANSWER@@ANSWER...	sends them one after the other, then closes
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "message.h"

/* 64 is arbitrary: more than any one test needs. */
#define LINES_MAX	64

static struct line {
	char *method;
	char *answer;
	bool used;
} lines[LINES_MAX];

static const char unknown[] = "{\"error\":\"org.sluice.InvalidParameter\",\"parameters\":"
			      "{\"message\":\"The script has no answer to this.\"}}";

static void fatal(const char *what)
{
	fprintf(stderr, "fake-sluiced: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_script(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t cap = 0, n = 0;

	if (!file)
		fatal(path);
	while (n < LINES_MAX && getline(&text, &cap, file) > 0) {
		char *blank;

		text[strcspn(text, "\n")] = '\0';
		blank = strchr(text, ' ');
		if (!blank)
			continue;
		lines[n].answer = strdup(blank + 1);
		*blank = '\0';
		lines[n++].method = strdup(text);
	}
	free(text);
	fclose(file);
}

static const char *answer_to(const char *method)
{
	struct line *last = NULL;
	size_t i;

	for (i = 0; i < LINES_MAX && lines[i].method; i++) {
		if (strcmp(lines[i].method, method))
			continue;
		last = &lines[i];
		if (!last->used)
			break;
	}
	if (!last)
		return unknown;
	last->used = true;
	return last->answer;
}

static void send_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n < 0)
			return;
		buf += n;
		len -= n;
	}
}

static void send_huge(int fd)
{
	char buf[4096];
	int i;

	memset(buf, 'x', sizeof(buf));
	for (i = 0; i <= SLUICE_MESSAGE_MAX / (int)sizeof(buf); i++)
		send_all(fd, buf, sizeof(buf));
}

static void send_stream(int fd, const char *answers)
{
	while (*answers) {
		const char *end = strstr(answers, "@@");
		size_t len = end ? (size_t)(end - answers) : strlen(answers);

		send_all(fd, answers, len);
		send_all(fd, "", 1);
		answers += len + (end ? 2 : 0);
	}
}

/* False ends the connection. */
static bool reply(int fd, const char *answer)
{
	size_t half;

	if (!strcmp(answer, "@close"))
		return false;
	if (!strcmp(answer, "@silent"))
		return true;
	if (!strcmp(answer, "@huge")) {
		send_huge(fd);
		return true;
	}
	if (!strncmp(answer, "@stream ", 8)) {
		send_stream(fd, answer + 8);
		return false;
	}
	if (!strncmp(answer, "@split ", 7)) {
		answer += 7;
		half = strlen(answer) / 2;
		send_all(fd, answer, half);
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
		answer += half;
	}
	send_all(fd, answer, strlen(answer) + 1);
	return true;
}

static bool serve_call(int fd, const char *text, size_t len, FILE *log)
{
	const char *method, *why;
	struct json_object *call;
	bool go_on;

	fprintf(log, "%s\n", text);
	fflush(log);
	call = sluice_message_parse(text, len, &why);
	if (!call || sluice_json_string(call, "method", &method) ||
	    strncmp(method, "org.sluice.", 11)) {
		json_object_put(call);
		return false;
	}
	go_on = reply(fd, answer_to(method + 11));
	json_object_put(call);
	return go_on;
}

static void serve(int fd, FILE *log)
{
	struct sluice_inbuf in = { 0 };
	bool go_on = true;
	char buf[4096];
	ssize_t n;

	while (go_on && (n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		size_t len;
		char *text;

		if (sluice_inbuf_add(&in, buf, n))
			break;
		while (go_on && (text = sluice_inbuf_next(&in, &len))) {
			go_on = serve_call(fd, text, len, log);
			free(text);
		}
	}
	sluice_inbuf_free(&in);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	FILE *log;
	int fd;

	if (argc != 4 || strlen(argv[1]) + 5 > sizeof(addr.sun_path)) {
		fprintf(stderr, "Usage: fake-sluiced SOCKET SCRIPT LOG\n");
		return 2;
	}
	read_script(argv[2]);
	log = fopen(argv[3], "a");
	if (!log)
		fatal(argv[3]);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fatal("socket");
	/* Under its name only once it listens, so that a test can wait for the name. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.new", argv[1]);
	unlink(addr.sun_path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8))
		fatal(addr.sun_path);
	if (rename(addr.sun_path, argv[1]))
		fatal(argv[1]);
	/* Nobody's daemon for longer than a test may take. */
	alarm(120);
	for (;;) {
		int peer = accept(fd, NULL, NULL);

		if (peer >= 0)
			serve(peer, log);
		else if (errno != EINTR)
			fatal("accept");
	}
}
