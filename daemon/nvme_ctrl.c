// SPDX-License-Identifier: GPL-2.0-or-later
#include "nvme_ctrl.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libnvme.h>

#include "credentials.h"
#include "log.h"
#include "modprobe.h"
#include "nvme_tls.h"
#include "sysfs.h"

/*
 * A host waits 20 s for a parked request. A lost target is noticed within
 * KEEP_ALIVE, reads fail FAST_IO_FAIL later and are tried again; reconnecting
 * every second costs nothing. The last two are also what we know ours by: the
 * defaults are "off" and 10.
 */
#define KEEP_ALIVE_S		5
#define FAST_IO_FAIL_S		5
#define RECONNECT_S		1

/* A target that is there answers a SYN at once; the kernel would wait minutes. */
#define CONNECT_MS		3000

#define POLL_MS			20

/*
 * Controllers that were there before this daemon made any, and that nobody has
 * looked after since. Only these can be left over; one that a job is making right
 * now must not be mistaken for them.
 */
static char left_over[128][SLUICED_CTRL_LEN];
static size_t left_over_count;

/* Of them, and of making a host NQN. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t listed = PTHREAD_ONCE_INIT;

/* What one connect works with. */
struct target {
	const struct sluice_uri *uri;
	const struct sluiced_source_options *options;
	char addr[INET6_ADDRSTRLEN + 16];	/* numeric */
	char port[8];
	char *hostnqn, *hostid;
	char *why;
	size_t why_len;
};

#define explain(t, ...) snprintf((t)->why, (t)->why_len, __VA_ARGS__)

static void pause_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static int require_initiator(struct target *t)
{
	unsigned int i;

	if (access(SLUICED_FABRICS_NODE, R_OK | W_OK)) {
		sluiced_modprobe("nvme-fabrics");
		/* devtmpfs may be a moment behind. */
		for (i = 0; i < 10 && access(SLUICED_FABRICS_NODE, R_OK | W_OK); i++)
			pause_ms(POLL_MS);
	}
	if (!access(SLUICED_FABRICS_NODE, R_OK | W_OK)) {
		/* Where it is missing, connecting says so. Hosts may be waiting: no vain try. */
		if (access("/sys/module/nvme_tcp", F_OK))
			sluiced_modprobe("nvme-tcp");
		return 0;
	}
	explain(t, "The kernel has no NVMe over TCP initiator (" SLUICED_FABRICS_NODE
		" is missing): load the module nvme-tcp.");
	return -EPROTONOSUPPORT;
}

/* Connects and hangs up: tells an absent target from one that refuses us. */
static int knock(const struct addrinfo *ai)
{
	struct pollfd pfd = { .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	pfd.fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (pfd.fd < 0)
		return -errno;
	if (connect(pfd.fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		if (errno != EINPROGRESS)
			err = errno;
		else if (poll(&pfd, 1, CONNECT_MS) != 1)
			err = ETIMEDOUT;
		else if (getsockopt(pfd.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
			err = errno;
	}
	close(pfd.fd);
	return -err;
}

static int resolve(struct target *t, struct addrinfo **list)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	int ret;

	snprintf(t->port, sizeof(t->port), "%u", t->uri->port);
	ret = getaddrinfo(t->uri->host, t->port, &hints, list);
	if (!ret)
		return 0;
	explain(t, "The name %s of the source cannot be resolved: %s.", t->uri->host,
		gai_strerror(ret));
	return -EHOSTUNREACH;
}

static int use_address(struct target *t, const struct addrinfo *ai)
{
	return getnameinfo(ai->ai_addr, ai->ai_addrlen, t->addr, sizeof(t->addr), NULL, 0,
			   NI_NUMERICHOST) ? -EHOSTUNREACH : 0;
}

static int find_address(struct target *t)
{
	struct addrinfo *list, *ai;
	int err, tries = 0;

	err = resolve(t, &list);
	if (err)
		return err;
	/* 4 is arbitrary: addresses of one target beyond it do not help. */
	err = -EHOSTUNREACH;
	for (ai = list; ai && err && tries < 4; ai = ai->ai_next, tries++) {
		err = knock(ai);
		if (!err)
			err = use_address(t, ai);
	}
	freeaddrinfo(list);
	if (err)
		explain(t,
			"The source at %s port %s does not answer (%s): check the address and that the target runs.",
			t->uri->host, t->port, strerror(-err));
	return err;
}

/* A host NQN that stays: targets list those they allow. Under the lock. */
static char *kept_hostnqn(const char *state_dir)
{
	char nqn[256], path[PATH_MAX];
	char *fresh;
	FILE *file;

	if (!sluiced_sysfs_read_at(state_dir, "hostnqn", nqn, sizeof(nqn)) && nqn[0])
		return strdup(nqn);
	fresh = nvmf_hostnqn_generate();
	if (!fresh || snprintf(path, sizeof(path), "%s/hostnqn", state_dir) >= (int)sizeof(path))
		return fresh;
	file = fopen(path, "we");
	if (file) {
		fprintf(file, "%s\n", fresh);
		fclose(file);
	}
	return fresh;
}

static int find_host(struct target *t)
{
	const char *uuid;

	t->hostnqn = nvmf_hostnqn_from_file();
	t->hostid = nvmf_hostid_from_file();
	if (!t->hostnqn) {
		free(t->hostid);
		t->hostid = NULL;
		pthread_mutex_lock(&lock);
		t->hostnqn = kept_hostnqn(t->options->state_dir);
		pthread_mutex_unlock(&lock);
	}
	if (!t->hostnqn) {
		explain(t, "There is no memory for an NVMe host NQN.");
		return -ENOMEM;
	}
	/* The kernel wants one id for one NQN: take the one inside. */
	uuid = strstr(t->hostnqn, "uuid:");
	if (!t->hostid && uuid && strlen(uuid + 5) == 36)
		t->hostid = strdup(uuid + 5);
	return 0;
}

void sluiced_nvme_dir(const char *ctrl, char *dir, size_t len)
{
	snprintf(dir, len, "/sys/class/nvme/%.*s", SLUICED_CTRL_LEN - 1, ctrl);
}

static void list_left_over(void)
{
	const size_t room = sizeof(left_over) / sizeof(left_over[0]);
	struct dirent *entry;
	DIR *all;

	all = opendir("/sys/class/nvme");
	if (!all)
		return;
	while (left_over_count < room && (entry = readdir(all)))
		if (!strncmp(entry->d_name, "nvme", 4))
			snprintf(left_over[left_over_count++], SLUICED_CTRL_LEN, "%.31s",
				 entry->d_name);
	closedir(all);
}

/* Whoever takes a controller off the list has it for himself. */
static bool take(const char *ctrl)
{
	bool found = false;
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < left_over_count && !found; i++) {
		found = !strcmp(left_over[i], ctrl);
		if (found)
			memmove(left_over[i], left_over[--left_over_count],
				SLUICED_CTRL_LEN);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

void sluiced_nvme_disconnect(const char *ctrl)
{
	char dir[64];
	int err;

	sluiced_nvme_dir(ctrl, dir, sizeof(dir));
	err = sluiced_sysfs_write_at(dir, "delete_controller", "1");
	if (err && err != -ENOENT)
		sluiced_log(LOG_WARNING, ctrl, "The controller cannot be disconnected: %s.",
			    strerror(-err));
}

/* Names of controllers are only good for this boot. */
static void boot_id(char *id, size_t len)
{
	char full[40];

	if (sluiced_sysfs_read("/proc/sys/kernel/random/boot_id", full, sizeof(full)))
		full[0] = '\0';
	snprintf(id, len, "%.8s", full);
}

void sluiced_nvme_hint(const char *ctrl, char *hint, size_t len)
{
	char boot[16];

	boot_id(boot, sizeof(boot));
	snprintf(hint, len, "%s %s", boot, ctrl);
}

static bool is(const char *ctrl, const char *attribute, const char *wanted)
{
	char dir[64], value[512];

	sluiced_nvme_dir(ctrl, dir, sizeof(dir));
	return !sluiced_sysfs_read_at(dir, attribute, value, sizeof(value)) &&
	       !strcmp(value, wanted);
}

/* Whether a daemon of ours made it for this target. */
static bool is_ours(const struct target *t, const char *ctrl)
{
	char dir[64], value[512], address[160], number[16];
	size_t len;

	snprintf(number, sizeof(number), "%d", FAST_IO_FAIL_S);
	if (!is(ctrl, "transport", "tcp") || !is(ctrl, "subsysnqn", t->uri->nqn) ||
	    !is(ctrl, "hostnqn", t->hostnqn) || !is(ctrl, "fast_io_fail_tmo", number))
		return false;
	snprintf(number, sizeof(number), "%d", RECONNECT_S);
	if (!is(ctrl, "reconnect_delay", number))
		return false;
	/* The kernel may say more: "traddr=...,trsvcid=...,src_addr=...". */
	len = snprintf(address, sizeof(address), "traddr=%s,trsvcid=%s", t->addr, t->port);
	sluiced_nvme_dir(ctrl, dir, sizeof(dir));
	return !sluiced_sysfs_read_at(dir, "address", value, sizeof(value)) &&
	       !strncmp(value, address, len) && (!value[len] || value[len] == ',');
}

static bool wait_live(const char *ctrl)
{
	unsigned int ms;

	for (ms = 0; ms < 2 * RECONNECT_S * 1000 && !is(ctrl, "state", "live"); ms += POLL_MS)
		pause_ms(POLL_MS);
	return is(ctrl, "state", "live");
}

/* The names as they are now: the list changes under those who walk it. */
static size_t copy_left_over(char names[][SLUICED_CTRL_LEN])
{
	size_t n;

	pthread_mutex_lock(&lock);
	n = left_over_count;
	memcpy(names, left_over, n * SLUICED_CTRL_LEN);
	pthread_mutex_unlock(&lock);
	return n;
}

/* Takes @name over, if it is ours and there is life in it. */
static bool take_over(const struct target *t, const char *name)
{
	if (!is_ours(t, name) || !take(name))
		return false;
	if (wait_live(name))
		return true;
	sluiced_nvme_disconnect(name);
	return false;
}

/*
 * The controller of the deployment's last daemon, if it is connected right now.
 * Without knocking first: hosts have been waiting since that daemon died.
 */
static bool resume(struct target *t, const char *hint, char *ctrl)
{
	char boot[16], now[16], name[SLUICED_CTRL_LEN];
	struct addrinfo *list, *ai;
	bool found = false;

	boot_id(now, sizeof(now));
	if (sscanf(hint, "%15s %31s", boot, name) != 2 || strcmp(boot, now) ||
	    !is(name, "state", "live") || resolve(t, &list))
		return false;
	for (ai = list; ai && !found; ai = ai->ai_next)
		found = !use_address(t, ai) && is_ours(t, name) && take(name);
	freeaddrinfo(list);
	if (found)
		snprintf(ctrl, SLUICED_CTRL_LEN, "%s", name);
	return found;
}

static void disconnect_left_over(const struct target *t)
{
	char names[sizeof(left_over) / sizeof(left_over[0])][SLUICED_CTRL_LEN];
	size_t n, i;

	n = copy_left_over(names);
	for (i = 0; i < n; i++)
		if (is_ours(t, names[i]) && take(names[i]))
			sluiced_nvme_disconnect(names[i]);
}

static bool reuse(const struct target *t, char *ctrl)
{
	char names[sizeof(left_over) / sizeof(left_over[0])][SLUICED_CTRL_LEN];
	size_t n, i;

	/* Nothing tells whether one that was left over is protected as this one is to be. */
	if (t->uri->header_digest || t->uri->data_digest || t->uri->tls) {
		disconnect_left_over(t);
		return false;
	}
	n = copy_left_over(names);
	for (i = 0; i < n && !take_over(t, names[i]); i++)
		;
	if (i < n)
		snprintf(ctrl, SLUICED_CTRL_LEN, "%s", names[i]);
	return i < n;
}

static void explain_connect(struct target *t, int error)
{
	switch (error) {
	case ENVME_CONNECT_OPEN:
		explain(t, "The kernel's NVMe initiator cannot be used (" SLUICED_FABRICS_NODE ").");
		break;
	case ENVME_CONNECT_OPNOTSUPP:
		explain(t,
			"The kernel has no NVMe over TCP initiator: load the module nvme-tcp.");
		break;
	case ENVME_CONNECT_ADDRINUSE:
		explain(t,
			"The host NQN %s is in use with another host id: give both in /etc/nvme.",
			t->hostnqn);
		break;
	case ENVME_CONNECT_CONNREFUSED:
		explain(t,
			"The source at %s port %s refuses connections: check that the target runs.",
			t->uri->host, t->port);
		break;
	default:
		explain(t,
			"The target at %s port %s does not give us %s%s: check the NQN, the keys if it wants some, and that the target allows the host %s.",
			t->uri->host, t->port, t->uri->nqn, t->uri->tls ? " with TLS" : "",
			t->hostnqn);
	}
}

/* The library and the kernel keep copies; the kernel's is root's in sysfs. */
static int set_keys(struct target *t, nvme_ctrl_t c)
{
	struct sluiced_credentials keys;
	int err;

	err = sluiced_credentials_find(&keys, t->options->credentials, "nvme", t->uri->nqn, "",
				       t->why, t->why_len);
	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	if (strncmp(keys.secret, "DHHC-1:", 7) ||
	    (keys.peer_secret[0] && strncmp(keys.peer_secret, "DHHC-1:", 7))) {
		explain(t, "A key for %s in the credentials file does not begin with DHHC-1: and is none.",
			t->uri->nqn);
		err = -EINVAL;
	} else {
		nvme_ctrl_set_dhchap_host_key(c, keys.secret);
		if (keys.peer_secret[0])
			nvme_ctrl_set_dhchap_key(c, keys.peer_secret);
	}
	sluiced_credentials_clear(&keys);
	return err;
}

static int connect_new(struct target *t, char *ctrl)
{
	struct nvme_fabrics_config cfg;
	nvme_root_t root;
	nvme_host_t host;
	nvme_ctrl_t c = NULL;
	int error = 0, err;

	/* Below LOG_EMERG: the library prints nothing, we say it in one sentence. */
	root = nvme_create_root(NULL, -1);
	host = root ? nvme_lookup_host(root, t->hostnqn, t->hostid) : NULL;
	if (host)
		c = nvme_create_ctrl(root, t->uri->nqn, "tcp", t->addr, NULL, NULL, t->port);
	if (!c) {
		explain(t, "There is no memory to connect to the source.");
		if (root)
			nvme_free_tree(root);
		return -ENOMEM;
	}
	err = set_keys(t, c);
	if (err) {
		nvme_free_ctrl(c);
		nvme_free_tree(root);
		return err;
	}
	nvmf_default_config(&cfg);
	cfg.keep_alive_tmo = KEEP_ALIVE_S;
	cfg.fast_io_fail_tmo = FAST_IO_FAIL_S;
	cfg.reconnect_delay = RECONNECT_S;
	cfg.ctrl_loss_tmo = t->options->ctrl_loss_s;
	/* Somebody else's connection to the same target is not ours to share. */
	cfg.duplicate_connect = true;
	cfg.hdr_digest = t->uri->header_digest;
	cfg.data_digest = t->uri->data_digest;
	cfg.tls = t->uri->tls;
	if (nvmf_add_ctrl(host, c, &cfg) < 0) {
		error = errno ? errno : EIO;
		explain_connect(t, error);
		/* Connected, but the library could not read its attributes. */
		if (nvme_ctrl_get_name(c))
			sluiced_nvme_disconnect(nvme_ctrl_get_name(c));
		nvme_free_ctrl(c);
	} else {
		snprintf(ctrl, SLUICED_CTRL_LEN, "%s", nvme_ctrl_get_name(c));
		/* The name of one that ended may have come back. */
		take(ctrl);
	}
	nvme_free_tree(root);
	return error ? -ECONNREFUSED : 0;
}

static void free_host(struct target *t)
{
	free(t->hostnqn);
	free(t->hostid);
}

int sluiced_nvme_connect(const struct sluice_uri *uri, const char *hint,
			 const struct sluiced_source_options *options,
			 char ctrl[SLUICED_CTRL_LEN], bool *resumed, char *why,
			 size_t why_len)
{
	struct target t = { .uri = uri, .options = options, .why = why, .why_len = why_len };
	int err;

	pthread_once(&listed, list_left_over);
	err = require_initiator(&t);
	if (!err)
		err = find_host(&t);
	*resumed = !err && resume(&t, hint, ctrl);
	if (!err && !*resumed) {
		err = find_address(&t);
		if (!err && uri->tls)
			err = sluiced_nvme_tls_check(t.hostnqn, uri->nqn, why, why_len);
		if (!err && !reuse(&t, ctrl))
			err = connect_new(&t, ctrl);
	}
	free_host(&t);
	return err;
}

void sluiced_nvme_forget(const struct sluice_uri *uri,
			 const struct sluiced_source_options *options)
{
	char why[SLUICED_WHY_LEN];
	struct target t = {
		.uri = uri, .options = options, .why = why, .why_len = sizeof(why),
	};
	char names[sizeof(left_over) / sizeof(left_over[0])][SLUICED_CTRL_LEN];
	struct addrinfo *list = NULL, *ai;

	pthread_once(&listed, list_left_over);
	if (copy_left_over(names) && !find_host(&t) && resolve(&t, &list))
		list = NULL;
	for (ai = list; ai; ai = ai->ai_next)
		if (!use_address(&t, ai))
			disconnect_left_over(&t);
	if (list)
		freeaddrinfo(list);
	free_host(&t);
}
