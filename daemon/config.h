/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings of the daemon: from sluice.conf(5), its drop-ins and the command line,
 * the later winning. What is wrong is said to the log with file and line.
 */
#ifndef SLUICED_CONFIG_H
#define SLUICED_CONFIG_H

#include <limits.h>

#define SLUICED_CONFIG_FILE	"/etc/sluice/sluice.conf"

struct sluiced_config {
	char state_dir[PATH_MAX];
	char socket[PATH_MAX];
	char credentials[PATH_MAX]; /* empty: wherever they are found */
	char group[64];		    /* who may look at the status; empty: nobody but root */
	char metrics_file[PATH_MAX]; /* empty: none */
	int metrics_port; /* of 127.0.0.1; 0: none */
	int log_level;
	int ctrl_loss_s;
	int ready_s; /* how long exports may take before we say ready */
};

void sluiced_config_default(struct sluiced_config *config);

/*
 * One setting. -ENOENT when there is none called @key; -EINVAL with half a sentence in
 * *@why, to follow the key and value, that says what is wrong.
 */
int sluiced_config_set(struct sluiced_config *config, const char *key, const char *value,
		       const char **why);

/*
 * Reads @path and then every file of @path.d that ends in ".conf", by name. All that is
 * wrong is logged: a key that is not known is a warning, -EINVAL is returned for a value
 * that is none and for a line that is none. -errno when a file is there but cannot be read,
 * -ENOENT when @path is not there, its drop-ins having been read.
 */
int sluiced_config_load(struct sluiced_config *config, const char *path);

#endif /* SLUICED_CONFIG_H */
