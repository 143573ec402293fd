// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An image in a namespace of an NVMe/TCP target. The kernel's initiator does the
 * transport and the reconnecting; we connect it, find the namespace's block
 * device and read that as a file source does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libnvme.h>

#include "nvme_ctrl.h"
#include "source_file.h"
#include "sysfs.h"

/* The kernel scans namespaces after it connected. */
#define NODE_MS			5000
#define POLL_MS			20

struct nvme_source {
	struct sluiced_file file;	/* first */
	char ctrl[SLUICED_CTRL_LEN];
	char dir[PATH_MAX];		/* of the namespace below the controller's in sysfs */
};

/* What one open works with. */
struct target {
	const struct sluice_uri *uri;
	char *why;
	size_t why_len;
};

#define explain(t, ...) snprintf((t)->why, (t)->why_len, __VA_ARGS__)

static void pause_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static int list_namespaces(struct target *t, const char *ctrl, struct nvme_ns_list *list)
{
	char node[64];
	unsigned int ms;
	int fd = -1, ret;

	snprintf(node, sizeof(node), "/dev/%s", ctrl);
	for (ms = 0; fd < 0 && ms < NODE_MS; ms += POLL_MS) {
		fd = open(node, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			pause_ms(POLL_MS);
	}
	if (fd < 0) {
		explain(t, "The node %s of the source's controller does not appear.", node);
		return -ENODEV;
	}
	ret = nvme_identify_active_ns_list(fd, 0, list);
	close(fd);
	if (ret) {
		explain(t, "The target at %s port %u does not list its namespaces.",
			t->uri->host, t->uri->port);
		return -EIO;
	}
	return 0;
}

static int choose_namespace(struct target *t, const char *ctrl, uint32_t *nsid)
{
	struct nvme_ns_list *list = calloc(1, sizeof(*list));
	uint32_t first, second, i;
	int err = -ENOMEM;

	if (list)
		err = list_namespaces(t, ctrl, list);
	if (err) {
		free(list);
		return err;
	}
	first = le32toh(list->ns[0]);
	second = le32toh(list->ns[1]);
	*nsid = t->uri->nsid ? t->uri->nsid : first;
	for (i = 0; i < 1024 && list->ns[i] && le32toh(list->ns[i]) != *nsid; i++)
		;
	if (!first) {
		explain(t, "The subsystem %s has no namespace.", t->uri->nqn);
		err = -ENXIO;
	} else if (!t->uri->nsid && second) {
		explain(t,
			"The subsystem %s has several namespaces (%u, %u ...): name one with ?nsid=N.",
			t->uri->nqn, first, second);
		err = -EINVAL;
	} else if (i == 1024 || !list->ns[i]) {
		explain(t, "The subsystem %s has no namespace %u.", t->uri->nqn, *nsid);
		err = -ENXIO;
	}
	free(list);
	return err;
}

/*
 * The block device of a namespace, from its directory below the controller's:
 * nvme3n1, or with multipath nvme3c3n1, a path of the node nvme3n1.
 */
static bool namespace_node(const char *entry, char *node, size_t len)
{
	unsigned int subsystem, path, head;
	char rest;

	if (sscanf(entry, "nvme%uc%un%u%c", &subsystem, &path, &head, &rest) == 3 ||
	    sscanf(entry, "nvme%un%u%c", &subsystem, &head, &rest) == 2) {
		snprintf(node, len, "/dev/nvme%un%u", subsystem, head);
		return true;
	}
	return false;
}

/* Whether an id in sysfs, with its dashes and blanks, is @id without. */
static bool has_id(const char *dir, const char *attribute, const char *id)
{
	char value[64], *from, *to;

	if (sluiced_sysfs_read_at(dir, attribute, value, sizeof(value)))
		return false;
	for (from = to = value; *from; from++)
		if (*from != '-' && *from != ' ')
			*to++ = *from;
	*to = '\0';
	return !strcasecmp(value, id);
}

/* By @nsid, or by the id in @uri where that has one. */
static bool is_wanted(const char *dir, const struct sluice_uri *uri, uint32_t nsid)
{
	char value[32];

	if (uri->nguid[0])
		return has_id(dir, "nguid", uri->nguid);
	if (uri->uuid[0])
		return has_id(dir, "uuid", uri->uuid);
	return !sluiced_sysfs_read_at(dir, "nsid", value, sizeof(value)) &&
	       strtoul(value, NULL, 10) == nsid;
}

static bool find_namespace(const char *ctrl, const struct sluice_uri *uri, uint32_t nsid,
			   char *dir, size_t dir_len, char *node, size_t node_len)
{
	char parent[64];
	struct dirent *entry;
	bool found = false;
	DIR *entries;

	sluiced_nvme_dir(ctrl, parent, sizeof(parent));
	entries = opendir(parent);
	if (!entries)
		return false;
	while (!found && (entry = readdir(entries))) {
		if (!namespace_node(entry->d_name, node, node_len))
			continue;
		snprintf(dir, dir_len, "%s/%s", parent, entry->d_name);
		found = is_wanted(dir, uri, nsid);
	}
	closedir(entries);
	return found;
}

/*
 * With asymmetric access (ANA) a live controller need not lead to the namespace. The
 * kernel holds requests for as long as it lives, and makes no block device if none does.
 */
static bool is_shut(const char *dir)
{
	char state[32];

	return !sluiced_sysfs_read_at(dir, "ana_state", state, sizeof(state)) &&
	       strcmp(state, "optimized") && strcmp(state, "non-optimized");
}

static bool is_id(const char *value)
{
	return value[strspn(value, "0- ")];
}

/*
 * NGUID and EUI-64 are assigned. So is a UUID, except by Linux targets, which
 * make up a new one whenever they are configured: the same image would be
 * refused after a restart of its target.
 */
static void namespace_id(const char *ctrl, const char *dir, char *id, size_t len)
{
	char parent[64], value[64];

	if (!sluiced_sysfs_read_at(dir, "nguid", value, sizeof(value)) && is_id(value)) {
		snprintf(id, len, "nguid.%s", value);
		return;
	}
	if (!sluiced_sysfs_read_at(dir, "eui", value, sizeof(value)) && is_id(value)) {
		snprintf(id, len, "eui.%s", value);
		return;
	}
	sluiced_nvme_dir(ctrl, parent, sizeof(parent));
	if (!sluiced_sysfs_read_at(parent, "model", value, sizeof(value)) &&
	    !strcmp(value, "Linux"))
		return;
	if (!sluiced_sysfs_read_at(dir, "uuid", value, sizeof(value)) && is_id(value))
		snprintf(id, len, "uuid.%s", value);
}

static int open_namespace(struct nvme_source *s, struct target *t)
{
	struct sluice_image *image = &s->file.source.image;
	bool by_id = t->uri->nguid[0] || t->uri->uuid[0], found = false;
	char *dir = s->dir, node[64], value[32];
	unsigned int ms;
	uint32_t nsid;
	int err = 0;

	/* Asking the target costs a round trip: only where it is not clear. */
	nsid = t->uri->nsid;
	if (!by_id && (!nsid || !find_namespace(s->ctrl, t->uri, nsid, dir, sizeof(s->dir), node,
						sizeof(node))))
		err = choose_namespace(t, s->ctrl, &nsid);
	if (err)
		return err;
	err = -ENODEV;
	for (ms = 0; err && ms < NODE_MS; ms += POLL_MS) {
		found = find_namespace(s->ctrl, t->uri, nsid, dir, sizeof(s->dir), node,
				       sizeof(node));
		if (found && !is_shut(dir))
			err = sluiced_file_open(&s->file, node, t->why, t->why_len);
		if (!err && !image->bytes) {
			sluiced_file_close(&s->file.source);
			err = -ENODEV;
		}
		if (err)
			pause_ms(POLL_MS);
	}
	if (err && found && is_shut(dir))
		explain(t, "The target at %s port %u gives no access to the namespace of %s on this path (ANA): name another of its addresses, too.",
			t->uri->host, t->uri->port, t->uri->nqn);
	else if (err && by_id)
		explain(t, "The subsystem %s shows no namespace of the %s %s%s.", t->uri->nqn,
			t->uri->uuid[0] ? "UUID" : "NGUID", t->uri->uuid, t->uri->nguid);
	else if (err)
		explain(t, "The block device of namespace %u of %s does not appear.", nsid,
			t->uri->nqn);
	if (err)
		return err;
	if (by_id && !sluiced_sysfs_read_at(dir, "nsid", value, sizeof(value)))
		nsid = strtoul(value, NULL, 10);
	/*
	 * The block layer would make one command of a read that the host waits for and of
	 * those ahead of it, which then end together: what it waits for came last. Where the
	 * kernel does not let itself be told, reading is as right, and slower. A kernel may
	 * have to wait for the reads that are out, and those of a daemon before this one may
	 * be: it told the queue, too.
	 */
	if (sluiced_sysfs_read_at(dir, "queue/nomerges", value, sizeof(value)) ||
	    strcmp(value, "2"))
		sluiced_sysfs_write_at(dir, "queue/nomerges", "2");
	namespace_id(s->ctrl, dir, image->id, sizeof(image->id));
	snprintf(image->name, sizeof(image->name), "%s nsid %u", t->uri->nqn, nsid);
	return 0;
}

static int tcp_open(struct sluiced_source **out, const struct sluice_uri *uri,
		    const char *hint, const struct sluiced_source_options *options, char *why,
		    size_t why_len)
{
	struct target t = { .uri = uri, .why = why, .why_len = why_len };
	struct nvme_source *s = calloc(1, sizeof(*s));
	int err;

	if (!s) {
		explain(&t, "There is no memory for the source.");
		return -ENOMEM;
	}
	s->file.fd = -1;
	s->file.source.ops = &sluiced_source_nvme_ops;
	err = sluiced_nvme_connect(uri, hint, options, s->ctrl, &s->file.source.resumed, why,
				   why_len);
	if (err)
		goto err_free;
	err = open_namespace(s, &t);
	if (err)
		goto err_disconnect;
	sluiced_nvme_hint(s->ctrl, s->file.source.hint, sizeof(s->file.source.hint));
	*out = &s->file.source;
	return 0;

err_disconnect:
	sluiced_nvme_disconnect(s->ctrl);
err_free:
	free(s);
	return err;
}

static bool tcp_lost(struct sluiced_source *source)
{
	struct nvme_source *s = (struct nvme_source *)source;
	char dir[64], state[32];

	sluiced_nvme_dir(s->ctrl, dir, sizeof(dir));
	if (sluiced_sysfs_read_at(dir, "state", state, sizeof(state)) ||
	    !strncmp(state, "deleting", 8) || !strcmp(state, "dead"))
		return true;
	/* While it reconnects, the kernel looks after it. */
	return !strcmp(state, "live") && (is_shut(s->dir) || sluiced_file_lost(source));
}

static bool tcp_away(struct sluiced_source *source)
{
	struct nvme_source *s = (struct nvme_source *)source;
	char dir[64], state[32];

	sluiced_nvme_dir(s->ctrl, dir, sizeof(dir));
	return is_shut(s->dir) || sluiced_sysfs_read_at(dir, "state", state, sizeof(state)) ||
	       strcmp(state, "live");
}

static int tcp_check(struct sluiced_source *source)
{
	struct nvme_source *s = (struct nvme_source *)source;

	return is_shut(s->dir) ? -ENOTCONN : sluiced_file_check(source);
}

static void tcp_close(struct sluiced_source *source)
{
	struct nvme_source *s = (struct nvme_source *)source;

	/* First: it ends reads that are under way, which hold the device open. */
	sluiced_nvme_disconnect(s->ctrl);
	sluiced_file_close(source);
}

static void tcp_free(struct sluiced_source *source)
{
	free(source);
}

const struct sluiced_source_ops sluiced_source_nvme_ops = {
	.open = tcp_open,
	.forget = sluiced_nvme_forget,
	.pread = sluiced_file_pread,
	.check = tcp_check,
	.lost = tcp_lost,
	.away = tcp_away,
	.read = sluiced_file_read,
	.close = tcp_close,
	.free = tcp_free,
};
