// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the figures go: a file, and whoever asks over HTTP. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <microhttpd.h>

#include "job.h"
#include "log.h"
#include "metrics.h"

#define TYPE_TEXT		"text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPENMETRICS	"application/openmetrics-text; version=1.0.0; charset=utf-8"

/* A monitoring system, its spare, and somebody who looks. */
#define HTTP_CONNECTIONS	8
#define HTTP_TIMEOUT_S		5

static struct {
	struct sluiced_daemon *daemon;
	const char *path;
	unsigned int interval_ms;
	struct sluiced_timer timer;
	bool stopping;

	/* The job's while it runs. */
	struct sluiced_job job;
	char *text;
	size_t len;
	int err, told;
} file;

static struct {
	struct sluiced_daemon *daemon;
	struct MHD_Daemon *mhd;
	struct sluiced_op poll;
	struct sluiced_timer timer;
	int fd;
} http;

/* Not durable: after a crash of the machine old figures are worth nothing. */
static int write_file(const char *path, const char *text, size_t len)
{
	char temporary[PATH_MAX];
	ssize_t n;
	int fd, err;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	err = n < 0 ? -errno : (size_t)n < len ? -ENOSPC : 0;
	/* For the collector, whatever our mask is. */
	if (!err && fchmod(fd, 0644))
		err = -errno;
	close(fd);
	if (!err && rename(temporary, path))
		err = -errno;
	if (err)
		unlink(temporary);
	return err;
}

static void remove_work(struct sluiced_job *job)
{
	(void)job;
	unlink(file.path);
}

static void remove_done(struct sluiced_job *job)
{
	(void)job;
}

static void start_remove(void)
{
	file.job.work = remove_work;
	file.job.done = remove_done;
	sluiced_job_start(&file.job);
}

static void write_work(struct sluiced_job *job)
{
	(void)job;
	file.err = write_file(file.path, file.text, file.len);
}

static void write_done(struct sluiced_job *job)
{
	(void)job;
	if (file.err && file.err != file.told)
		sluiced_log(LOG_WARNING, "sluiced", "The metrics cannot be written to %s: %s.",
			    file.path, strerror(-file.err));
	file.told = file.err;
	free(file.text);
	if (file.stopping)
		return start_remove();
	sluiced_timer_start(&file.daemon->loop, &file.timer, file.interval_ms);
}

/* In a job: a file system may block for long, and hosts wait for this thread. */
static void write_now(struct sluiced_timer *timer)
{
	file.text = sluiced_metrics_text(file.daemon, false, &file.len);
	file.err = -ENOMEM;
	if (!file.text) {
		sluiced_timer_start(&file.daemon->loop, timer, file.interval_ms);
		return;
	}
	sluiced_job_start(&file.job);
}

void sluiced_metrics_write(struct sluiced_daemon *daemon, const char *path,
			   unsigned int interval_ms)
{
	file.daemon = daemon;
	file.path = path;
	file.interval_ms = interval_ms;
	file.timer.fire = write_now;
	file.job.work = write_work;
	file.job.done = write_done;
	write_now(&file.timer);
}

void sluiced_metrics_stop(void)
{
	if (!file.path)
		return;
	file.stopping = true;
	sluiced_timer_stop(&file.timer);
	if (!file.job.running)
		start_remove();
}

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned int status,
			       const char *type, char *text, size_t len,
			       enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(len, text, mode);
	enum MHD_Result result;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *data_len, void **state)
{
	static char nothing[] = "There is only /metrics.\n", refused[] = "There are only GET and HEAD.\n";
	const char *accept;
	bool openmetrics;
	size_t len = 0;
	char *text;

	(void)cls;
	(void)version;
	(void)data;
	(void)state;
	/* What somebody sends is not read. */
	*data_len = 0;
	/* Of a response to HEAD the library leaves the body out. */
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, TYPE_TEXT, refused,
			       strlen(refused), MHD_RESPMEM_PERSISTENT);
	if (strcmp(url, "/metrics"))
		return respond(connection, MHD_HTTP_NOT_FOUND, TYPE_TEXT, nothing,
			       strlen(nothing), MHD_RESPMEM_PERSISTENT);
	accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	openmetrics = accept && strstr(accept, "application/openmetrics-text");
	text = sluiced_metrics_text(http.daemon, openmetrics, &len);
	if (!text)
		return MHD_NO;
	return respond(connection, MHD_HTTP_OK, openmetrics ? TYPE_OPENMETRICS : TYPE_TEXT, text,
		       len, MHD_RESPMEM_MUST_FREE);
}

/* Its sockets do not block, so it may run in the thread that hosts wait for. */
static void run_http(void)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(http.mhd);
	if (MHD_get_timeout(http.mhd, &ms) == MHD_YES)
		sluiced_timer_start(&http.daemon->loop, &http.timer, ms);
}

static void http_ready(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	(void)res;
	(void)flags;
	run_http();
	sluiced_loop_poll_once(&http.daemon->loop, op, http.fd, POLLIN);
}

static void http_due(struct sluiced_timer *timer)
{
	(void)timer;
	run_http();
}

int sluiced_metrics_listen(struct sluiced_daemon *daemon, unsigned short port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const union MHD_DaemonInfo *info;

	errno = 0;
	http.mhd = MHD_start_daemon(MHD_USE_EPOLL, port, NULL, NULL, handle, NULL,
				    MHD_OPTION_SOCK_ADDR, &address,
				    MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS,
				    MHD_OPTION_CONNECTION_TIMEOUT, HTTP_TIMEOUT_S, MHD_OPTION_END);
	if (!http.mhd)
		return errno ? -errno : -EADDRINUSE;
	info = MHD_get_daemon_info(http.mhd, MHD_DAEMON_INFO_EPOLL_FD);
	http.daemon = daemon;
	http.fd = info->epoll_fd;
	http.poll.done = http_ready;
	http.timer.fire = http_due;
	sluiced_loop_poll_once(&daemon->loop, &http.poll, http.fd, POLLIN);
	return 0;
}
