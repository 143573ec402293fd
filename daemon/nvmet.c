// SPDX-License-Identifier: GPL-2.0-or-later
#include "nvmet.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "modprobe.h"
#include "sysfs.h"

#define CONFIGFS	"/sys/kernel/config"
#define NVMET		CONFIGFS "/nvmet"

#define MODEL		"Sluice"

/* Directories of other tools are numbered from 1 on too: we take free ones. */
#define MAX_PORTS	1024

static bool failed(struct sluiced_fault *fault, const char *step, int err)
{
	return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
			     "The export failed in the kernel's NVMe target at %s: %s.", step,
			     strerror(-err));
}

/* An attribute of the directory at @path; nothing for empty values. */
static bool set(const char *path, const char *name, const char *value,
		struct sluiced_fault *fault)
{
	char step[PATH_MAX];
	int err;

	if (!value || !value[0])
		return true;
	err = sluiced_sysfs_write_at(path, name, value);
	if (!err)
		return true;
	snprintf(step, sizeof(step), "setting %s to \"%.300s\"", name, value);
	return failed(fault, step, err);
}

bool sluiced_nvmet_require(struct sluiced_fault *fault)
{
	struct stat st;

	if (!stat(NVMET "/subsystems", &st))
		return true;
	if (stat(CONFIGFS, &st))
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "The kernel has no configfs at " CONFIGFS ": mount it there.");
	sluiced_modprobe("nvmet");
	if (!stat(NVMET "/subsystems", &st))
		return true;
	return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
			     "The kernel's NVMe target is missing: load the module nvmet, and mount configfs at "
			     CONFIGFS " if it is not.");
}

static bool same(const char *dir, const char *name, const char *value)
{
	char found[300];

	return !value[0] || (!sluiced_sysfs_read_at(dir, name, found, sizeof(found)) &&
			     !strcmp(found, value));
}

bool sluiced_nvmet_has_subsystem(const char *nqn, const char *device)
{
	char dir[PATH_MAX];

	return !sluiced_sysfs_path(dir, sizeof(dir), NVMET "/subsystems/%s/namespaces/1", nqn) &&
	       same(dir, "enable", "1") && same(dir, "device_path", device);
}

static bool allow_host(const char *subsystem, const char *host, struct sluiced_fault *fault)
{
	char path[PATH_MAX], link[PATH_MAX];
	int err;

	err = sluiced_sysfs_path(path, sizeof(path), NVMET "/hosts/%s", host);
	if (!err)
		err = sluiced_sysfs_path(link, sizeof(link), "%s/allowed_hosts/%s", subsystem, host);
	if (!err && mkdir(path, 0755) < 0 && errno != EEXIST)
		err = -errno;
	if (!err && symlink(path, link) < 0 && errno != EEXIST)
		err = -errno;
	return !err || failed(fault, "allowing a host", err);
}

typedef int (*visit_t)(const char *path, void *ctx);

/* Calls @visit for the path of every entry of @dir but "." and ".."; the first error. */
static int each_entry(const char *dir, visit_t visit, void *ctx)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int err = 0;
	DIR *entries;

	entries = opendir(dir);
	if (!entries)
		return -errno;
	while (!err && (entry = readdir(entries)))
		if (entry->d_name[0] != '.')
			err = sluiced_sysfs_path(path, sizeof(path), "%s/%s", dir, entry->d_name) ?:
			      visit(path, ctx);
	closedir(entries);
	return err;
}

static const char *last_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

static bool is_listed(const struct sluiced_hosts *hosts, const char *host)
{
	size_t i;

	for (i = 0; i < hosts->count; i++)
		if (!strcmp(hosts->nqn[i], host))
			return true;
	return false;
}

/* The host's directory goes too, unless it is in use or holds a key. */
static int remove_host(const char *path, void *ctx)
{
	char dir[PATH_MAX], key[16];

	(void)ctx;
	if (unlink(path) < 0)
		return -errno;
	if (!sluiced_sysfs_path(dir, sizeof(dir), NVMET "/hosts/%s", last_of(path)) &&
	    (sluiced_sysfs_read_at(dir, "dhchap_key", key, sizeof(key)) || !key[0]))
		rmdir(dir);
	return 0;
}

static int remove_unlisted(const char *path, void *hosts)
{
	return is_listed(hosts, last_of(path)) ? 0 : remove_host(path, NULL);
}

struct host_count {
	const struct sluiced_hosts *hosts;
	size_t listed;
};

static int count_listed(const char *path, void *ctx)
{
	struct host_count *count = ctx;

	if (!is_listed(count->hosts, last_of(path)))
		return -EEXIST;
	count->listed++;
	return 0;
}

bool sluiced_nvmet_hosts_are(const char *nqn, const struct sluiced_hosts *hosts)
{
	struct host_count count = { .hosts = hosts };
	char path[PATH_MAX], dir[PATH_MAX];

	return !sluiced_sysfs_path(path, sizeof(path), NVMET "/subsystems/%s", nqn) &&
	       !sluiced_sysfs_path(dir, sizeof(dir), "%s/allowed_hosts", path) &&
	       same(path, "attr_allow_any_host", hosts->any ? "1" : "0") &&
	       !each_entry(dir, count_listed, &count) && count.listed == hosts->count;
}

bool sluiced_nvmet_set_hosts(const char *nqn, const struct sluiced_hosts *hosts,
			     struct sluiced_fault *fault)
{
	char path[PATH_MAX], dir[PATH_MAX];
	size_t i;
	int err;

	err = sluiced_sysfs_path(path, sizeof(path), NVMET "/subsystems/%s", nqn) ?:
	      sluiced_sysfs_path(dir, sizeof(dir), "%s/allowed_hosts", path);
	if (err)
		return failed(fault, "allowing hosts", err);
	/* The kernel takes no list while any host may, and the reverse. */
	if (!hosts->any && !same(path, "attr_allow_any_host", "0") &&
	    !set(path, "attr_allow_any_host", "0", fault))
		return false;
	for (i = 0; i < hosts->count; i++)
		if (!allow_host(path, hosts->nqn[i], fault))
			return false;
	err = each_entry(dir, remove_unlisted, (void *)hosts);
	if (err)
		return failed(fault, "removing allowed hosts", err);
	return !hosts->any || set(path, "attr_allow_any_host", "1", fault);
}

static bool set_number(const char *path, const char *name, uint32_t value,
		       struct sluiced_fault *fault)
{
	char text[16] = "";

	if (value)
		snprintf(text, sizeof(text), "%u", value);
	return set(path, name, text, fault);
}

static bool add_namespace(const char *path, const struct sluiced_subsystem *s,
			  struct sluiced_fault *fault)
{
	char dir[PATH_MAX];

	if (sluiced_sysfs_path(dir, sizeof(dir), "%s/namespaces/1", path) || mkdir(dir, 0755) < 0)
		return failed(fault, "creating the namespace", -errno);
	return set(dir, "device_path", s->device, fault) &&
	       set(dir, "device_uuid", s->uuid, fault) &&
	       set(dir, "device_nguid", s->uuid, fault) && set(dir, "enable", "1", fault);
}

static bool fill_subsystem(const char *path, const struct sluiced_subsystem *s,
			   struct sluiced_fault *fault)
{
	/* Who may connect last: nobody must see it half made. */
	if (!set(path, "attr_model", MODEL, fault) ||
	    !set(path, "attr_serial", s->serial, fault) ||
	    !set_number(path, "attr_vendor_id", s->vendor_id, fault) ||
	    !set_number(path, "attr_subsys_vendor_id", s->vendor_id, fault) ||
	    !set_number(path, "attr_qid_max", s->queues, fault) ||
	    !set(path, "attr_allow_any_host", "0", fault) || !add_namespace(path, s, fault))
		return false;
	return sluiced_nvmet_set_hosts(s->nqn, &s->hosts, fault);
}

bool sluiced_nvmet_add_subsystem(const struct sluiced_subsystem *s, struct sluiced_fault *fault)
{
	struct sluiced_fault ignored;
	char path[PATH_MAX];
	int err;

	err = sluiced_sysfs_path(path, sizeof(path), NVMET "/subsystems/%s", s->nqn);
	if (!err && mkdir(path, 0755) < 0)
		err = -errno;
	if (err)
		return failed(fault, "creating the subsystem", err);
	if (fill_subsystem(path, s, fault))
		return true;
	sluiced_nvmet_remove_subsystem(s->nqn, &ignored);
	return false;
}

/* A directory that is not there has none. */
static int remove_entries(const char *dir, visit_t remove)
{
	if (access(dir, F_OK) < 0 && errno == ENOENT)
		return 0;
	return each_entry(dir, remove, NULL);
}

static int remove_namespace(const char *path, void *ctx)
{
	int err = sluiced_sysfs_write_at(path, "enable", "0");

	(void)ctx;
	if (err)
		return err;
	return rmdir(path) < 0 ? -errno : 0;
}

static int take_off_port(const char *port, void *nqn)
{
	char path[PATH_MAX];
	int err;

	err = sluiced_sysfs_path(path, sizeof(path), "%s/subsystems/%s", port, (const char *)nqn);
	if (!err && unlink(path) < 0 && errno != ENOENT)
		err = -errno;
	return err;
}

bool sluiced_nvmet_remove_subsystem(const char *nqn, struct sluiced_fault *fault)
{
	char path[PATH_MAX], dir[PATH_MAX];
	struct stat st;
	int err;

	err = sluiced_sysfs_path(path, sizeof(path), NVMET "/subsystems/%s", nqn);
	if (!err && stat(path, &st) < 0)
		return true;
	/* Whoever linked it: a daemon that died may not have come to write it down. */
	err = err ?: each_entry(NVMET "/ports", take_off_port, (void *)nqn);
	if (err)
		return failed(fault, "taking the subsystem off its ports", err);
	err = sluiced_sysfs_path(dir, sizeof(dir), "%s/allowed_hosts", path) ?:
	      remove_entries(dir, remove_host);
	if (err)
		return failed(fault, "removing allowed hosts", err);
	err = sluiced_sysfs_path(dir, sizeof(dir), "%s/namespaces", path) ?:
	      remove_entries(dir, remove_namespace);
	if (err)
		return failed(fault, "removing the namespace", err);
	if (rmdir(path) < 0)
		return failed(fault, "removing the subsystem", -errno);
	return true;
}

/* An address can be listened at once only: deployments share the port. */
static int find_port(const struct sluiced_port *port)
{
	char dir[64];
	int id, found = -ENOENT;
	struct dirent *entry;
	DIR *ports;

	ports = opendir(NVMET "/ports");
	if (!ports)
		return -errno;
	while (found < 0 && (entry = readdir(ports))) {
		id = atoi(entry->d_name);
		if (id <= 0 || id > UINT16_MAX)
			continue;
		snprintf(dir, sizeof(dir), NVMET "/ports/%d", id);
		if (same(dir, "addr_trtype", port->trtype) &&
		    same(dir, "addr_traddr", port->traddr) &&
		    same(dir, "addr_trsvcid", port->trsvcid) &&
		    same(dir, "addr_adrfam", port->adrfam))
			found = id;
	}
	closedir(ports);
	return found;
}

static int new_port(const struct sluiced_port *port, struct sluiced_fault *fault)
{
	char dir[64];
	int id;

	for (id = 1; id <= MAX_PORTS; id++) {
		snprintf(dir, sizeof(dir), NVMET "/ports/%d", id);
		if (!mkdir(dir, 0755))
			break;
		if (errno != EEXIST) {
			failed(fault, "creating a port", -errno);
			return -EIO;
		}
	}
	if (id > MAX_PORTS) {
		failed(fault, "creating a port", -ENOSPC);
		return -ENOSPC;
	}
	if (set(dir, "addr_trtype", port->trtype, fault) &&
	    set(dir, "addr_adrfam", port->adrfam, fault) &&
	    set(dir, "addr_traddr", port->traddr, fault) &&
	    set(dir, "addr_trsvcid", port->trsvcid, fault))
		return id;
	rmdir(dir);
	return -EIO;
}

static bool explain_link(const struct sluiced_port *port, int err, struct sluiced_fault *fault)
{
	switch (err) {
	case -EADDRINUSE:
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "The address %s:%s is in use by something else: export at another one.",
				     port->traddr, port->trsvcid);
	case -EADDRNOTAVAIL:
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "The address %s is none of this machine: export at one that is.",
				     port->traddr);
	default:
		return failed(fault, "enabling the port", err);
	}
}

bool sluiced_nvmet_link(const struct sluiced_port *port, const char *nqn, uint16_t *id,
			bool *made, struct sluiced_fault *fault)
{
	char target[PATH_MAX], link[PATH_MAX], dir[64];
	int number, err;

	number = find_port(port);
	*made = number < 0;
	if (*made)
		number = new_port(port, fault);
	if (number < 0)
		return false;
	snprintf(dir, sizeof(dir), NVMET "/ports/%d", number);
	err = sluiced_sysfs_path(target, sizeof(target), NVMET "/subsystems/%s", nqn) ?:
	      sluiced_sysfs_path(link, sizeof(link), "%s/subsystems/%s", dir, nqn);
	if (!err && symlink(target, link) < 0 && errno != EEXIST)
		err = -errno;
	if (err) {
		if (*made)
			rmdir(dir);
		return explain_link(port, err, fault);
	}
	*id = number;
	return true;
}

bool sluiced_nvmet_linked(uint16_t id, const char *nqn)
{
	char path[PATH_MAX];
	struct stat st;

	return !sluiced_sysfs_path(path, sizeof(path), NVMET "/ports/%u/subsystems/%s", id, nqn) &&
	       !lstat(path, &st);
}

bool sluiced_nvmet_unlink(uint16_t id, const char *nqn, bool remove,
			  struct sluiced_fault *fault)
{
	char path[PATH_MAX];
	int err;

	err = sluiced_sysfs_path(path, sizeof(path), NVMET "/ports/%u/subsystems/%s", id, nqn);
	if (!err && unlink(path) < 0 && errno != ENOENT)
		err = -errno;
	if (err)
		return failed(fault, "taking the subsystem off its port", err);
	if (!remove)
		return true;
	snprintf(path, sizeof(path), NVMET "/ports/%u", id);
	/* With another subsystem on it, the port stays. */
	if (rmdir(path) < 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EBUSY)
		return failed(fault, "removing the port", -errno);
	return true;
}
