/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Controllers of the kernel's NVMe/TCP initiator. Functions block and are for
 * jobs, several at once.
 *
 * A controller outlives the daemon that made it. Those that an earlier daemon
 * left are told by their target and by settings that nobody else uses, and taken
 * over instead of being left behind; no two sources share one.
 */
#ifndef SLUICED_NVME_CTRL_H
#define SLUICED_NVME_CTRL_H

#include <stdbool.h>
#include <stddef.h>

#include "source.h"
#include "uri.h"

#define SLUICED_FABRICS_NODE	"/dev/nvme-fabrics"

/* "nvme3". */
#define SLUICED_CTRL_LEN	32

/*
 * A live controller for the target of @uri: the one that @hint names, another one
 * left over, or a new one. It is the caller's until sluiced_nvme_disconnect().
 * *@resumed: it is that of @hint, and was never lost. On error a sentence in @why.
 */
int sluiced_nvme_connect(const struct sluice_uri *uri, const char *hint,
			 const struct sluiced_source_options *options,
			 char ctrl[SLUICED_CTRL_LEN], bool *resumed, char *why,
			 size_t why_len);

void sluiced_nvme_disconnect(const char *ctrl);

/* Disconnects what earlier daemons left for the target of @uri. */
void sluiced_nvme_forget(const struct sluice_uri *uri,
			 const struct sluiced_source_options *options);

/* For a later sluiced_nvme_connect() on @ctrl, also by another daemon. */
void sluiced_nvme_hint(const char *ctrl, char *hint, size_t len);

/* Its directory in sysfs. */
void sluiced_nvme_dir(const char *ctrl, char *dir, size_t len);

#endif /* SLUICED_NVME_CTRL_H */
