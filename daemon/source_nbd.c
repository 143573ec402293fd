// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An image as an export of an NBD server: libnbd makes the connections and speaks
 * the protocol. Nothing in it identifies an image but its size: samples do.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <libnbd.h>

#include "holes.h"
#include "source_remote.h"

/*
 * Without a sign of life. A server that is there answers a SYN at once; TCP repeats
 * a lost one less and less often, and we try anew every 2.5 s: the host waits.
 */
#define CONNECT_MS		2500

/* Connections beyond the first are an extra: a server may say so and not take them. */
#define EXTRA_CONNECT_MS	1000

/* Servers that say nothing of their largest request must take this; most take more. */
#define DEFAULT_MAX_BYTES	(UINT32_C(32) << 20)

/* One command's answer is counted in 32 bits. */
#define SURVEY_MAX_BYTES	(UINT64_C(1) << 30)

#define CONTEXT			"base:allocation"

struct nbd_link {
	struct sluiced_link link;	/* first */
	struct nbd_handle *h;
	bool ending;			/* the server said so: it takes no more commands */
};

struct nbd_source {
	struct sluiced_remote remote;	/* first */
	struct nbd_link links[SLUICED_MAX_LINKS];
	uint32_t max_bytes;
};

/* What one open works with. */
struct target {
	const struct sluice_uri *uri;
	char name[544];			/* for sentences */
	char *why;
	size_t why_len;
};

#define explain(t, ...) snprintf((t)->why, (t)->why_len, __VA_ARGS__)

static struct nbd_handle *handle_of(struct sluiced_link *link)
{
	return ((struct nbd_link *)link)->h;
}

/* Of the last call in this thread; ESTALE has a meaning of its own here. */
static int last_error(void)
{
	int err = nbd_get_errno();

	return err && err != ESTALE ? -err : -EIO;
}

/* The library's words, parts of which are the server's. */
static void explain_last(struct target *t, const char *what)
{
	const char *error = nbd_get_error();
	char *p;

	explain(t, "The source %s %s: %.300s.", t->name, what, error ? error : "no reason is given");
	for (p = t->why; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
}

static int nbd_fd(struct sluiced_link *link)
{
	return nbd_aio_get_fd(handle_of(link));
}

static unsigned int nbd_events(struct sluiced_link *link)
{
	unsigned int direction = nbd_aio_get_direction(handle_of(link));

	return (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
	       (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0);
}

static int nbd_service(struct sluiced_link *link, unsigned int revents)
{
	struct nbd_handle *h = handle_of(link);
	unsigned int direction = nbd_aio_get_direction(h);
	int err = 0;

	if ((revents & (POLLIN | POLLHUP | POLLERR)) && (direction & LIBNBD_AIO_DIRECTION_READ))
		err = nbd_aio_notify_read(h);
	else if ((revents & (POLLOUT | POLLHUP | POLLERR)) &&
		 (direction & LIBNBD_AIO_DIRECTION_WRITE))
		err = nbd_aio_notify_write(h);
	if (err < 0 && (nbd_aio_is_dead(h) > 0 || nbd_aio_is_closed(h) > 0))
		return last_error();
	if (nbd_aio_is_dead(h) > 0 || nbd_aio_is_closed(h) > 0)
		return -ENOTCONN;
	return ((struct nbd_link *)link)->ending ? -ESHUTDOWN : 0;
}

static int command_done(void *user_data, int *error)
{
	struct sluiced_command *command = user_data;
	int err = *error;

	/* What a server may answer must not be taken for what we say of an image. */
	if (err == ESHUTDOWN)
		((struct nbd_link *)command->link)->ending = true;
	if (err == ESTALE || err == EINVAL || err == EPERM)
		err = EIO;
	sluiced_command_end(command, -err);
	return 1;
}

static int nbd_read(struct sluiced_link *link, struct sluiced_read *read, uint32_t *part)
{
	struct nbd_source *s = (struct nbd_source *)read->source;
	uint32_t left = read->len - read->got;
	nbd_completion_callback done = {
		.callback = command_done, .user_data = &read->command,
	};

	*part = left < s->max_bytes ? left : s->max_bytes;
	if (nbd_aio_pread(handle_of(link), read->buf + read->got, *part,
			  read->offset + read->got, done, 0) < 0)
		return last_error();
	return 0;
}

/* A hole alone may read as anything. */
static int take_extents(void *user_data, const char *context, uint64_t offset,
			uint32_t *entries, size_t nr_entries, int *error)
{
	struct sluiced_survey *survey = user_data;
	size_t i;

	(void)error;
	if (strcmp(context, CONTEXT) || offset != survey->offset || survey->known)
		return 0;
	for (i = 0; i + 1 < nr_entries; i += 2)
		if (!sluiced_survey_add(survey, entries[i], entries[i + 1] & LIBNBD_STATE_ZERO))
			break;
	return 0;
}

static int nbd_survey(struct sluiced_link *link, struct sluiced_survey *survey)
{
	nbd_extent_callback extents = { .callback = take_extents, .user_data = survey };
	nbd_completion_callback done = {
		.callback = command_done, .user_data = &survey->command,
	};

	if (survey->len > SURVEY_MAX_BYTES)
		survey->len = SURVEY_MAX_BYTES;
	if (nbd_aio_block_status(handle_of(link), survey->len, survey->offset, extents, done,
				 0) < 0)
		return last_error();
	return 0;
}

static void nbd_hang_up(struct sluiced_link *link)
{
	struct nbd_link *l = (struct nbd_link *)link;

	nbd_close(l->h);
	l->h = NULL;
}

static const struct sluiced_link_ops link_ops = {
	.fd = nbd_fd,
	.events = nbd_events,
	.service = nbd_service,
	.read = nbd_read,
	.survey = nbd_survey,
	.hang_up = nbd_hang_up,
};

/* Opening. */

static void name_target(struct target *t)
{
	const struct sluice_uri *uri = t->uri;

	if (uri->path[0])
		snprintf(t->name, sizeof(t->name), "nbd+unix:///%s?socket=%.200s", uri->export,
			 uri->path);
	else
		snprintf(t->name, sizeof(t->name), "nbd%s://%s:%u/%s", uri->tls ? "s" : "",
			 uri->host, uri->port, uri->export);
}

static int configure_tls(struct target *t, struct nbd_handle *h)
{
	const struct sluice_uri *uri = t->uri;
	struct stat st;

	if (nbd_supports_tls(h) != 1) {
		explain(t, "The source %s wants TLS, which libnbd was built without.", t->name);
		return -EPROTONOSUPPORT;
	}
	if (uri->psk_file[0] && (stat(uri->psk_file, &st) < 0 || st.st_mode & 077)) {
		explain(t,
			"The file %s with the pre-shared key of %s is missing, or others may read it: make it mode 0600.",
			uri->psk_file, t->name);
		return -EACCES;
	}
	if (nbd_set_tls(h, LIBNBD_TLS_REQUIRE) < 0 || nbd_set_tls_verify_peer(h, true) < 0 ||
	    (uri->user[0] && nbd_set_tls_username(h, uri->user) < 0) ||
	    (uri->psk_file[0] && nbd_set_tls_psk_file(h, uri->psk_file) < 0) ||
	    (uri->certificates[0] && nbd_set_tls_certificates(h, uri->certificates) < 0)) {
		explain_last(t, "cannot be opened");
		return -EINVAL;
	}
	return 0;
}

static int start_connecting(struct target *t, struct nbd_handle *h)
{
	const struct sluice_uri *uri = t->uri;
	char port[8];
	int err = 0;

	/* Reads that succeed are whole: what they are read into needs no clearing. */
	if (nbd_set_export_name(h, uri->export) < 0 || nbd_add_meta_context(h, CONTEXT) < 0 ||
	    nbd_set_pread_initialize(h, false) < 0)
		err = -EINVAL;
	if (!err && uri->tls) {
		err = configure_tls(t, h);
		if (err)
			return err;
	}
	snprintf(port, sizeof(port), "%u", uri->port);
	if (!err)
		err = uri->path[0] ? nbd_aio_connect_unix(h, uri->path) :
				     nbd_aio_connect_tcp(h, uri->host, port);
	if (err)
		explain_last(t, "cannot be opened");
	return err ? last_error() : 0;
}

static bool is_ready(struct sluiced_link *link)
{
	return nbd_aio_is_connecting(handle_of(link)) <= 0;
}

static int connect_link(struct target *t, struct nbd_link *l, unsigned int ms)
{
	int err;

	l->h = nbd_create();
	if (!l->h) {
		explain_last(t, "cannot be opened");
		return -ENOMEM;
	}
	err = start_connecting(t, l->h);
	if (!err) {
		err = sluiced_link_drive(&l->link, &link_ops, is_ready, ms);
		if (!err && nbd_aio_is_ready(l->h) != 1)
			err = -ENOTCONN;
		if (err == -ETIMEDOUT)
			explain(t,
				"The source %s does not answer: check the address and that the server runs.",
				t->name);
		else if (err)
			explain_last(t, "cannot be opened");
	}
	if (err) {
		nbd_hang_up(&l->link);
		return err;
	}
	sluiced_tcp_guard(nbd_aio_get_fd(l->h));
	return 0;
}

static int describe(struct target *t, struct nbd_source *s)
{
	struct sluice_image *image = &s->remote.source.image;
	struct nbd_handle *h = s->links[0].h;
	int64_t size = nbd_get_size(h);
	int64_t least = nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM);
	int64_t most = nbd_get_block_size(h, LIBNBD_SIZE_MAXIMUM);

	if (size < 0) {
		explain_last(t, "does not tell its size");
		return -EIO;
	}
	if (least > SLUICE_BLOCK_SIZE) {
		explain(t,
			"The source %s is read in blocks of at least %lld bytes: only up to 4096 is possible.",
			t->name, (long long)least);
		return -EINVAL;
	}
	s->max_bytes = DEFAULT_MAX_BYTES;
	if (most >= SLUICE_BLOCK_SIZE && most < s->max_bytes)
		s->max_bytes = most & ~(SLUICE_BLOCK_SIZE - 1);
	image->bytes = size;
	/* The protocol does not tell: images are made for 512, as files are. */
	image->logical_block = 512;
	snprintf(image->name, sizeof(image->name), "%.*s", SLUICE_IMAGE_NAME_LEN - 1,
		 t->uri->export[0] ? t->uri->export : t->name);
	s->remote.source.surveys = nbd_can_meta_context(h, CONTEXT) == 1;
	return 0;
}

static int nbd_open(struct sluiced_source **out, const struct sluice_uri *uri, const char *hint,
		    const struct sluiced_source_options *options, char *why, size_t why_len)
{
	struct target t = { .uri = uri, .why = why, .why_len = why_len };
	char ignored[SLUICED_WHY_LEN];
	struct nbd_source *s = calloc(1, sizeof(*s));
	unsigned int i;
	int err;

	(void)hint;
	(void)options;
	name_target(&t);
	err = s ? sluiced_remote_init(&s->remote, &link_ops, t.name) : -ENOMEM;
	if (err) {
		explain(&t, "There is no memory for the source %s.", t.name);
		goto err_free;
	}
	s->remote.source.ops = &sluiced_source_nbd_ops;
	err = connect_link(&t, &s->links[0], CONNECT_MS);
	if (err)
		goto err_exit;
	sluiced_remote_add(&s->remote, &s->links[0].link);
	err = describe(&t, s);
	if (err)
		goto err_close;
	t.why = ignored;
	t.why_len = sizeof(ignored);
	for (i = 1; i < SLUICED_MAX_LINKS && nbd_can_multi_conn(s->links[0].h) == 1; i++) {
		if (connect_link(&t, &s->links[i], EXTRA_CONNECT_MS))
			break;
		sluiced_remote_add(&s->remote, &s->links[i].link);
	}
	*out = &s->remote.source;
	return 0;

err_close:
	sluiced_remote_close(&s->remote.source);
err_exit:
	sluiced_remote_exit(&s->remote);
err_free:
	free(s);
	return err;
}

const struct sluiced_source_ops sluiced_source_nbd_ops = {
	.open = nbd_open,
	.gather = sluiced_remote_gather,
	.check = sluiced_remote_check,
	.lost = sluiced_remote_lost,
	.adopt = sluiced_remote_adopt,
	.read = sluiced_remote_read,
	.survey = sluiced_remote_survey,
	.retire = sluiced_remote_retire,
	.close = sluiced_remote_close,
	.free = sluiced_remote_free,
};
