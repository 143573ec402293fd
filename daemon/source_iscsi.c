// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An image as a logical unit of an iSCSI target: libiscsi logs in and speaks the
 * protocol. Its own reconnecting is off, since the unit behind the name may be
 * another one afterwards: opening anew looks at it again.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <systemd/sd-id128.h>

#include "credentials.h"
#include "holes.h"
#include "source_remote.h"
#include "sysfs.h"

/* Without a sign of life: see source_nbd.c. */
#define CONNECT_MS		2500
#define COMMAND_MS		5000

#define INITIATOR_FILE		"/etc/iscsi/initiatorname.iscsi"

/* Largest read of one command where the target names no limit. */
#define DEFAULT_MAX_BYTES	(UINT32_C(1) << 20)

/* 8 bytes of header and 16 a descriptor: 255 of them. */
#define LBA_STATUS_BYTES	(8 + 255 * 16)

#define ASCQ_LBA_OUT_OF_RANGE	0x2100
#define ASCQ_NO_SUCH_LUN	0x2500
#define ASCQ_CAPACITY_CHANGED	0x2a09
#define ASCQ_INQUIRY_CHANGED	0x3f03
#define ASCQ_LUNS_CHANGED	0x3f0e

struct iscsi_link {
	struct sluiced_link link;	/* first */
	struct iscsi_context *iscsi;
	unsigned int lun;
	bool connected, failed;		/* what full connect said */
	bool stale;			/* the unit may be another one */
	bool mutual, garbled;		/* the target is to prove who it is, and could not */
};

struct iscsi_source {
	struct sluiced_remote remote;	/* first */
	struct iscsi_link link;
	uint32_t block;
	uint32_t max_bytes;
};

/* What one open works with. */
struct target {
	const struct sluice_uri *uri;
	const struct sluiced_source_options *options;
	char name[544];			/* for sentences */
	char *why;
	size_t why_len;
};

#define explain(t, ...) snprintf((t)->why, (t)->why_len, __VA_ARGS__)

static struct iscsi_link *link_of(struct sluiced_link *link)
{
	return (struct iscsi_link *)link;
}

/* The library's words, parts of which are the target's. */
static void explain_last(struct target *t, struct iscsi_context *iscsi, const char *what)
{
	const char *error = iscsi_get_error(iscsi);
	size_t len;
	char *p;

	explain(t, "The source %s %s: %.300s", t->name, what,
		error && *error ? error : "no reason is given");
	len = strlen(t->why);
	for (p = t->why; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	while (len && (t->why[len - 1] == ' ' || t->why[len - 1] == '.'))
		t->why[--len] = '\0';
	if (len + 1 < t->why_len)
		snprintf(t->why + len, t->why_len - len, ".");
}

static int error_of(struct iscsi_link *l, const struct scsi_task *task, int status)
{
	/* What comes without one of its own is an error of the library. */
	if (!task)
		return -ENOTCONN;
	switch (status) {
	case SCSI_STATUS_GOOD:
		return 0;
	case SCSI_STATUS_BUSY:
	case SCSI_STATUS_TASK_SET_FULL:
	case SCSI_STATUS_TASK_ABORTED:
		return -EAGAIN;
	case SCSI_STATUS_RESERVATION_CONFLICT:
		return -EBUSY;
	case SCSI_STATUS_CANCELLED:
	case SCSI_STATUS_ERROR:
		return -ENOTCONN;
	case SCSI_STATUS_TIMEOUT:
		return -ETIMEDOUT;
	case SCSI_STATUS_CHECK_CONDITION:
		break;
	default:
		return -EIO;
	}
	switch (task->sense.key) {
	case SCSI_SENSE_UNIT_ATTENTION:
		l->stale |= task->sense.ascq == ASCQ_CAPACITY_CHANGED ||
			    task->sense.ascq == ASCQ_INQUIRY_CHANGED ||
			    task->sense.ascq == ASCQ_LUNS_CHANGED;
		return -EAGAIN;
	case SCSI_SENSE_NOT_READY:
		return -EAGAIN;
	case SCSI_SENSE_ILLEGAL_REQUEST:
		if (task->sense.ascq == ASCQ_LBA_OUT_OF_RANGE)
			return -ESTALE;
		l->stale |= task->sense.ascq == ASCQ_NO_SUCH_LUN;
		return task->sense.ascq == ASCQ_NO_SUCH_LUN ? -ENXIO : -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static int link_fd(struct sluiced_link *link)
{
	return iscsi_get_fd(link_of(link)->iscsi);
}

static unsigned int link_events(struct sluiced_link *link)
{
	return iscsi_which_events(link_of(link)->iscsi);
}

static int link_service(struct sluiced_link *link, unsigned int revents)
{
	struct iscsi_link *l = link_of(link);

	/* A session that ended has no descriptor: nothing is reconnected. */
	if (iscsi_service(l->iscsi, revents) < 0 || iscsi_get_fd(l->iscsi) < 0)
		return -ENOTCONN;
	return l->stale ? -ECONNRESET : 0;
}

/* The library only queues: without this the loop would have to poll once more. */
static void push(struct iscsi_link *l)
{
	iscsi_service(l->iscsi, POLLOUT);
}

static void read_done(struct iscsi_context *iscsi, int status, void *data, void *private)
{
	struct sluiced_read *read = private;
	struct scsi_task *task = data;
	int err = error_of(link_of(read->command.link), task, status);

	(void)iscsi;
	/* Less than all of it is none of it. */
	if (!err && task->residual_status != SCSI_RESIDUAL_NO_RESIDUAL && task->residual)
		err = -EIO;
	if (task)
		scsi_free_scsi_task(task);
	sluiced_command_end(&read->command, err);
}

static int link_read(struct sluiced_link *link, struct sluiced_read *read, uint32_t *part)
{
	struct iscsi_source *s = (struct iscsi_source *)read->source;
	struct iscsi_link *l = link_of(link);
	uint32_t left = read->len - read->got;
	struct scsi_task *task;

	*part = left < s->max_bytes ? left : s->max_bytes;
	task = iscsi_read16_task(l->iscsi, l->lun, (read->offset + read->got) / s->block, *part,
				 s->block, 0, 0, 0, 0, 0, read_done, read);
	if (!task)
		return -ENOTCONN;
	if (scsi_task_add_data_in_buffer(task, *part, read->buf + read->got) < 0) {
		/* No way back: the library would give the data to nobody. */
		iscsi_scsi_cancel_task(l->iscsi, task);
		return 0;
	}
	push(l);
	return 0;
}

static void survey_done(struct iscsi_context *iscsi, int status, void *data, void *private)
{
	struct sluiced_survey *survey = private;
	struct iscsi_source *s = (struct iscsi_source *)survey->source;
	struct scsi_task *task = data;
	struct scsi_get_lba_status *all = NULL;
	uint64_t at, end;
	uint32_t i;
	int err = error_of(link_of(survey->command.link), task, status);

	(void)iscsi;
	if (!err)
		all = scsi_datain_unmarshall(task);
	for (i = 0; all && i < all->num_descriptors; i++) {
		const struct scsi_lba_status_descriptor *d = &all->descriptors[i];

		at = (survey->offset + survey->known) / s->block;
		end = d->lba + d->num_blocks;
		if (d->lba > at || end < d->lba)
			break;
		if (end <= at)
			continue;
		if (!sluiced_survey_add(survey, (end - at) * s->block,
					d->provisioning == SCSI_PROVISIONING_TYPE_DEALLOCATED))
			break;
	}
	if (task)
		scsi_free_scsi_task(task);
	sluiced_command_end(&survey->command, err);
}

static int link_survey(struct sluiced_link *link, struct sluiced_survey *survey)
{
	struct iscsi_source *s = (struct iscsi_source *)survey->source;
	struct iscsi_link *l = link_of(link);

	if (!iscsi_get_lba_status_task(l->iscsi, l->lun, survey->offset / s->block,
				       LBA_STATUS_BYTES, survey_done, survey))
		return -ENOTCONN;
	push(l);
	return 0;
}

/* Ends what is under way through its callbacks. */
static void link_hang_up(struct sluiced_link *link)
{
	struct iscsi_link *l = link_of(link);

	if (l->iscsi)
		iscsi_destroy_context(l->iscsi);
	l->iscsi = NULL;
}

static const struct sluiced_link_ops link_ops = {
	.fd = link_fd,
	.events = link_events,
	.service = link_service,
	.read = link_read,
	.survey = link_survey,
	.hang_up = link_hang_up,
};

/* Opening. */

static void initiator_name(char *name, size_t len)
{
	/* Any: it makes this machine's name one that nobody else derives from its id. */
	static const sd_id128_t ours = SD_ID128_MAKE(6f, 1c, 0b, 6e, 5d, 3a, 4e, 0f, 9b, 52, 7a,
						     2d, 41, c8, 90, e3);
	char line[256] = "";
	sd_id128_t id;
	FILE *file;

	file = fopen(INITIATOR_FILE, "re");
	while (file && fgets(line, sizeof(line), file) && strncmp(line, "InitiatorName=", 14))
		line[0] = '\0';
	if (file)
		fclose(file);
	line[strcspn(line, " \t\r\n")] = '\0';
	if (!strncmp(line, "InitiatorName=", 14) && line[14]) {
		snprintf(name, len, "%s", line + 14);
		return;
	}
	if (sd_id128_get_machine_app_specific(ours, &id) < 0)
		memset(&id, 0, sizeof(id));
	snprintf(name, len, "iqn.2026-01.org.sluice:" SD_ID128_FORMAT_STR,
		 SD_ID128_FORMAT_VAL(id));
}

static int set_credentials(struct target *t, struct iscsi_link *l)
{
	struct iscsi_context *iscsi = l->iscsi;
	const struct sluice_uri *uri = t->uri;
	struct sluiced_credentials c;
	int err;

	err = sluiced_credentials_find(&c, t->options->credentials, "iscsi", uri->iqn, uri->user,
				       t->why, t->why_len);
	/* Without a user named, a target may want none. */
	if (err == -ENOENT && !uri->user[0])
		return 0;
	if (err == -ENOENT) {
		explain(t, "The credentials file %s has no secret of the user %s for %s.",
			t->options->credentials, uri->user, uri->iqn);
		return -EACCES;
	}
	/* Neither can fail, and there is room for what fits in @c. */
	if (!err)
		iscsi_set_initiator_username_pwd(iscsi, c.user, c.secret);
	if (!err && c.peer_user[0])
		iscsi_set_target_username_pwd(iscsi, c.peer_user, c.peer_secret);
	l->mutual = c.peer_user[0];
	sluiced_credentials_clear(&c);
	return err;
}

static void connected(struct iscsi_context *iscsi, int status, void *data, void *private)
{
	struct iscsi_link *l = private;

	(void)data;
	l->connected = status == SCSI_STATUS_GOOD;
	l->failed = !l->connected;
	/* Its first words: soon there are others, of the end of the connection. */
	l->garbled = l->failed && !strncmp(iscsi_get_error(iscsi), "NUL not found", 13);
}

static bool is_settled(struct sluiced_link *link)
{
	struct iscsi_link *l = link_of(link);

	return l->connected || l->failed;
}

static int configure(struct target *t, struct iscsi_link *l)
{
	const struct sluice_uri *uri = t->uri;
	struct iscsi_context *iscsi = l->iscsi;

	if (iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL) ||
	    iscsi_set_targetname(iscsi, uri->iqn) ||
	    iscsi_set_header_digest(iscsi, uri->header_digest ?
						   ISCSI_HEADER_DIGEST_CRC32C_NONE :
						   ISCSI_HEADER_DIGEST_NONE)) {
		explain_last(t, iscsi, "cannot be opened");
		return -EINVAL;
	}
	iscsi_set_noautoreconnect(iscsi, 1);
	return set_credentials(t, l);
}

static int log_in(struct target *t, struct iscsi_link *l)
{
	const struct sluice_uri *uri = t->uri;
	bool ipv6 = strchr(uri->host, ':');
	char name[256], portal[300];
	int err;

	initiator_name(name, sizeof(name));
	l->iscsi = iscsi_create_context(name);
	l->lun = uri->lun;
	if (!l->iscsi) {
		explain(t, "There is no memory for the source %s.", t->name);
		return -ENOMEM;
	}
	err = configure(t, l);
	if (err)
		return err;
	snprintf(portal, sizeof(portal), "%s%s%s:%u", ipv6 ? "[" : "", uri->host,
		 ipv6 ? "]" : "", uri->port);
	if (iscsi_full_connect_async(l->iscsi, portal, uri->lun, connected, l)) {
		explain_last(t, l->iscsi, "cannot be opened");
		return -EHOSTUNREACH;
	}
	err = sluiced_link_drive(&l->link, &link_ops, is_settled, CONNECT_MS);
	/*
	 * LIO fills its answer up to four bytes with what was in the buffer, where libiscsi
	 * 1.19 looks for another key. A longer name reaches beyond what was there.
	 */
	if (l->mutual && l->garbled) {
		explain(t,
			"The source %s cannot be opened: libiscsi does not understand how the target proves itself; for the kernel's target (LIO) give it a user of at least 10 characters.",
			t->name);
		return -EPROTO;
	}
	/* Its words for a connection that never was are of another one. */
	if (l->failed && strncmp(iscsi_get_error(l->iscsi), "iscsi_service_reconnect", 23)) {
		explain_last(t, l->iscsi, "cannot be opened");
		return -ECONNREFUSED;
	}
	if (err || l->failed) {
		explain(t,
			"The source %s %s: check the address and that the target runs.", t->name,
			err == -ETIMEDOUT ? "does not answer" : "refuses connections");
		return err ? err : -ECONNREFUSED;
	}
	sluiced_tcp_guard(iscsi_get_fd(l->iscsi));
	return 0;
}

/* One command of an opening and its answer. */
struct question {
	struct iscsi_link *l;
	struct scsi_task *task;
	int err;
	bool done;
};

/* There is one at a time, and drive() has no other way to know. */
static _Thread_local struct question *current;

static void answered(struct iscsi_context *iscsi, int status, void *data, void *private)
{
	struct question *q = private;

	(void)iscsi;
	q->task = data;
	q->err = error_of(q->l, data, status);
	q->done = true;
}

static bool is_answered(struct sluiced_link *link)
{
	(void)link;
	return current->done;
}

/* The answer, unmarshalled, in @q->task, which is then to be freed; or NULL. */
static void *wait_for(struct iscsi_link *l, struct question *q, struct scsi_task *task)
{
	int err;

	if (!task) {
		q->err = -ENOTCONN;
		return NULL;
	}
	current = q;
	err = sluiced_link_drive(&l->link, &link_ops, is_answered, COMMAND_MS);
	if (!q->done) {
		/* Its callback comes from here, while there is something to call. */
		link_hang_up(&l->link);
		q->err = err;
	}
	return q->err || !q->task ? NULL : scsi_datain_unmarshall(q->task);
}

static void forget(struct question *q)
{
	if (q->task)
		scsi_free_scsi_task(q->task);
	q->task = NULL;
}

static int capacity(struct target *t, struct iscsi_source *s)
{
	struct iscsi_link *l = &s->link;
	struct sluice_image *image = &s->remote.source.image;
	struct question q = { .l = l };
	const struct scsi_readcapacity16 *c;
	int err = 0;

	c = wait_for(l, &q, iscsi_readcapacity16_task(l->iscsi, l->lun, answered, &q));
	if (c && c->block_length && c->returned_lba < UINT64_MAX / c->block_length) {
		s->block = c->block_length;
		image->logical_block = c->block_length;
		image->bytes = (c->returned_lba + 1) * c->block_length;
		s->remote.source.surveys = c->lbpme && c->lbprz;
	} else {
		explain(t, "The source %s does not tell its capacity: %s.", t->name,
			strerror(q.err ? -q.err : EPROTO));
		err = q.err ? q.err : -EPROTO;
	}
	forget(&q);
	return err;
}

/* Pages that a target need not have; true when the session lives on. */
static bool limits(struct iscsi_source *s)
{
	struct iscsi_link *l = &s->link;
	struct question q = { .l = l };
	const struct scsi_inquiry_block_limits *b;

	s->max_bytes = DEFAULT_MAX_BYTES;
	b = wait_for(l, &q, iscsi_inquiry_task(l->iscsi, l->lun, 1,
					       SCSI_INQUIRY_PAGECODE_BLOCK_LIMITS, 255, answered,
					       &q));
	if (b && b->max_xfer_len && b->max_xfer_len < s->max_bytes / s->block)
		s->max_bytes = b->max_xfer_len * s->block;
	forget(&q);
	return l->iscsi;
}

/* How good a designator names a unit, and how it is written; 0: not at all. */
static int rank(const struct scsi_inquiry_device_designator *d, const char **prefix)
{
	if (d->association != SCSI_ASSOCIATION_LOGICAL_UNIT || !d->designator ||
	    d->designator_length <= 0)
		return 0;
	switch (d->designator_type) {
	case SCSI_DESIGNATOR_TYPE_NAA:
		*prefix = "naa.";
		return 4;
	case SCSI_DESIGNATOR_TYPE_EUI_64:
		*prefix = "eui.";
		return 3;
	case SCSI_DESIGNATOR_TYPE_SCSI_NAME_STRING:
		*prefix = "";
		return 2;
	case SCSI_DESIGNATOR_TYPE_T10_VENDORT_ID:
		*prefix = "t10.";
		return 1;
	default:
		return 0;
	}
}

static void write_id(const struct scsi_inquiry_device_designator *d, const char *prefix,
		     char *id, size_t len)
{
	size_t n = snprintf(id, len, "%s", prefix);
	int i;

	for (i = 0; i < d->designator_length && n + 3 < len; i++) {
		unsigned char c = d->designator[i];

		if (d->code_set == SCSI_CODESET_BINARY)
			n += snprintf(id + n, len - n, "%02x", c);
		else if (c > ' ' && c < 0x7f)
			n += snprintf(id + n, len - n, "%c", c);
	}
}

static bool identity(struct iscsi_source *s)
{
	struct iscsi_link *l = &s->link;
	struct sluice_image *image = &s->remote.source.image;
	struct question q = { .l = l };
	const struct scsi_inquiry_device_identification *page;
	const struct scsi_inquiry_device_designator *d;
	const char *prefix;
	int best = 0, r;

	page = wait_for(l, &q,
			iscsi_inquiry_task(l->iscsi, l->lun, 1,
					   SCSI_INQUIRY_PAGECODE_DEVICE_IDENTIFICATION, 4096,
					   answered, &q));
	for (d = page ? page->designators : NULL; d; d = d->next) {
		r = rank(d, &prefix);
		if (r > best) {
			best = r;
			write_id(d, prefix, image->id, sizeof(image->id));
		}
	}
	forget(&q);
	return l->iscsi;
}

static int describe(struct target *t, struct iscsi_source *s)
{
	int err = capacity(t, s);

	if (err)
		return err;
	if (!limits(s) || !identity(s)) {
		explain(t, "The source %s stopped answering.", t->name);
		return -ETIMEDOUT;
	}
	snprintf(s->remote.source.image.name, SLUICE_IMAGE_NAME_LEN, "%s lun %u", t->uri->iqn,
		 t->uri->lun);
	return 0;
}

static int source_open(struct sluiced_source **out, const struct sluice_uri *uri,
		       const char *hint, const struct sluiced_source_options *options,
		       char *why, size_t why_len)
{
	struct target t = {
		.uri = uri, .options = options, .why = why, .why_len = why_len,
	};
	struct iscsi_source *s = calloc(1, sizeof(*s));
	int err;

	(void)hint;
	snprintf(t.name, sizeof(t.name), "iscsi://%s:%u/%s/%u", uri->host, uri->port, uri->iqn,
		 uri->lun);
	err = s ? sluiced_remote_init(&s->remote, &link_ops, t.name) : -ENOMEM;
	if (err) {
		explain(&t, "There is no memory for the source %s.", t.name);
		free(s);
		return err;
	}
	s->remote.source.ops = &sluiced_source_iscsi_ops;
	err = log_in(&t, &s->link);
	if (!err)
		err = describe(&t, s);
	if (err) {
		link_hang_up(&s->link.link);
		sluiced_remote_exit(&s->remote);
		free(s);
		return err;
	}
	sluiced_remote_add(&s->remote, &s->link.link);
	*out = &s->remote.source;
	return 0;
}

const struct sluiced_source_ops sluiced_source_iscsi_ops = {
	.open = source_open,
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
