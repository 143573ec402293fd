// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel fails a connection with the same few errors whatever TLS lacks, after up to
 * ten seconds of a host's twenty. So what it needs is looked at first.
 */
#include "nvme_tls.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nvme_ctrl.h"
#include "sysfs.h"

/* The options that the kernel knows, between commas. */
static bool kernel_has_tls(void)
{
	char options[4096];
	ssize_t n;
	int fd;

	fd = open(SLUICED_FABRICS_NODE, O_RDWR | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, options, sizeof(options) - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	options[n] = '\0';
	return strstr(options, ",tls,") || strstr(options, ",tls\n");
}

/* Keys are called "NVMe0R01 HOSTNQN NQN", with other digits, and maybe a digest after it. */
static bool key_is_there(const char *hostnqn, const char *nqn)
{
	char line[1024], names[512];
	bool found = false;
	FILE *keys;
	char *at;

	snprintf(names, sizeof(names), " %s %s", hostnqn, nqn);
	keys = fopen("/proc/keys", "re");
	while (keys && !found && fgets(line, sizeof(line), keys)) {
		at = strstr(line, " psk ") ? strstr(line, names) : NULL;
		found = at && strchr(" :\n", at[strlen(names)]);
	}
	if (keys)
		fclose(keys);
	return found;
}

static bool tlshd_runs(void)
{
	char dir[300], comm[32];
	struct dirent *entry;
	bool found = false;
	DIR *all;

	all = opendir("/proc");
	while (all && !found && (entry = readdir(all))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(dir, sizeof(dir), "/proc/%s", entry->d_name);
		found = !sluiced_sysfs_read_at(dir, "comm", comm, sizeof(comm)) &&
			!strcmp(comm, "tlshd");
	}
	if (all)
		closedir(all);
	return found;
}

int sluiced_nvme_tls_check(const char *hostnqn, const char *nqn, char *why, size_t why_len)
{
	if (!kernel_has_tls()) {
		snprintf(why, why_len,
			 "The kernel's NVMe over TCP initiator has no TLS (CONFIG_NVME_TCP_TLS): use another kernel, or a network of its own without tls=psk.");
		return -EPROTONOSUPPORT;
	}
	if (!key_is_there(hostnqn, nqn)) {
		snprintf(why, why_len,
			 "The kernel's keyring .nvme has no key for TLS between %s and %s: put it there with nvme gen-tls-key or check-tls-key and --insert.",
			 hostnqn, nqn);
		return -ENOKEY;
	}
	if (!tlshd_runs()) {
		snprintf(why, why_len,
			 "Nobody makes the kernel's TLS handshakes: start tlshd (of the package ktls-utils).");
		return -EPROTONOSUPPORT;
	}
	return 0;
}
