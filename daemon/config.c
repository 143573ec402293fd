// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "log.h"

/* As the kernel's own default: beyond it a target is taken for gone. */
#define CTRL_LOSS_S	600

/* A disk comes within seconds of a boot; one that does not shall not hold all others up. */
#define READY_S		30

#define MAX_SECONDS	86400

static int set_path(void *field, const char *value, const char **why)
{
	*why = "is no absolute path";
	if (value[0] != '/' || strlen(value) >= PATH_MAX)
		return -EINVAL;
	memcpy(field, value, strlen(value) + 1);
	return 0;
}

static int set_socket(void *field, const char *value, const char **why)
{
	if (strlen(value) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		*why = "is longer than the 107 bytes that a socket's path may have";
		return -EINVAL;
	}
	return set_path(field, value, why);
}

static int set_metrics_file(void *field, const char *value, const char **why)
{
	size_t len = strlen(value);

	if (len < 5 || strcmp(value + len - 5, ".prom")) {
		*why = "does not end in .prom, and no collector would read it";
		return -EINVAL;
	}
	return set_path(field, value, why);
}

static int set_group(void *field, const char *value, const char **why)
{
	*why = "is too long for a group";
	if (strlen(value) >= sizeof(((struct sluiced_config *)0)->group))
		return -EINVAL;
	memcpy(field, value, strlen(value) + 1);
	return 0;
}

static int set_level(void *field, const char *value, const char **why)
{
	int level = sluiced_log_level(value);

	*why = "is no log level: take err, warning, notice, info or debug";
	if (level < 0)
		return level;
	*(int *)field = level;
	return 0;
}

static int set_number(void *field, const char *value, long min, long max)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end || errno || number < min || number > max)
		return -EINVAL;
	*(int *)field = number;
	return 0;
}

static int set_seconds(void *field, const char *value, const char **why)
{
	*why = "is no number of seconds from 1 to 86400";
	return set_number(field, value, 1, MAX_SECONDS);
}

static int set_port(void *field, const char *value, const char **why)
{
	*why = "is no port from 1 to 65535, nor 0 for none";
	return set_number(field, value, 0, 65535);
}

#define FIELD(name)	offsetof(struct sluiced_config, name)

static const struct {
	const char *key;
	size_t field;
	int (*set)(void *field, const char *value, const char **why);
} settings[] = {
	{ "state-dir", FIELD(state_dir), set_path },
	{ "socket", FIELD(socket), set_socket },
	{ "credentials", FIELD(credentials), set_path },
	{ "group", FIELD(group), set_group },
	{ "log-level", FIELD(log_level), set_level },
	{ "ctrl-loss-tmo", FIELD(ctrl_loss_s), set_seconds },
	{ "ready-timeout", FIELD(ready_s), set_seconds },
	{ "metrics-file", FIELD(metrics_file), set_metrics_file },
	{ "metrics-port", FIELD(metrics_port), set_port },
};

void sluiced_config_default(struct sluiced_config *config)
{
	*config = (struct sluiced_config){
		.state_dir = "/var/lib/sluice",
		.socket = "/run/sluice/control.sock",
		.group = "sluice",
		.log_level = LOG_INFO,
		.ctrl_loss_s = CTRL_LOSS_S,
		.ready_s = READY_S,
	};
}

int sluiced_config_set(struct sluiced_config *config, const char *key, const char *value,
		       const char **why)
{
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (!strcmp(settings[i].key, key))
			return settings[i].set((char *)config + settings[i].field, value, why);
	return -ENOENT;
}

/* Without the blanks around it. */
static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	for (end = text + strlen(text); end > text && isspace((unsigned char)end[-1]); end--)
		;
	*end = '\0';
	return text;
}

static int take_line(struct sluiced_config *config, char *line, const char *where)
{
	char *key = trim(line), *value;
	const char *why;
	int err;

	if (!*key || *key == '#' || *key == ';')
		return 0;
	value = strchr(key, '=');
	if (!value) {
		sluiced_log(LOG_ERR, where, "\"%.100s\" is no line \"key = value\".", key);
		return -EINVAL;
	}
	*value++ = '\0';
	key = trim(key);
	value = trim(value);
	err = sluiced_config_set(config, key, value, &why);
	if (err == -ENOENT) {
		/* A newer or older release may know it. */
		sluiced_log(LOG_WARNING, where, "There is no setting \"%.100s\"; it is ignored.",
			    key);
		return 0;
	}
	if (err)
		sluiced_log(LOG_ERR, where, "%s: \"%.100s\" %s.", key, value, why);
	return err;
}

static int load_file(struct sluiced_config *config, const char *path)
{
	FILE *file = fopen(path, "re");
	char where[PATH_MAX + 16], *line = NULL;
	unsigned int number = 0;
	size_t room = 0;
	int err = 0;

	if (!file)
		return -errno;
	/* To the end: all that is wrong is said at once. */
	while (errno = 0, getline(&line, &room, file) >= 0) {
		snprintf(where, sizeof(where), "%s:%u", path, ++number);
		err = take_line(config, line, where) ?: err;
	}
	if (ferror(file))
		err = errno ? -errno : -EIO;
	free(line);
	fclose(file);
	return err;
}

static int is_drop_in(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && !strcmp(entry->d_name + len - 5, ".conf");
}

static int load_and_tell(struct sluiced_config *config, const char *path)
{
	int err = load_file(config, path);

	if (err && err != -EINVAL && err != -ENOENT)
		sluiced_log(LOG_ERR, path, "The file cannot be read: %s.", strerror(-err));
	return err;
}

int sluiced_config_load(struct sluiced_config *config, const char *path)
{
	char dir[PATH_MAX], drop_in[PATH_MAX + 256];
	struct dirent **entries;
	int err, other, count, i;

	err = load_and_tell(config, path);
	if (snprintf(dir, sizeof(dir), "%s.d", path) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	/* In the C locale, which the daemon keeps to, this is the order of bytes. */
	count = scandir(dir, &entries, is_drop_in, alphasort);
	if (count < 0 && errno != ENOENT && errno != ENOTDIR) {
		err = -errno;
		sluiced_log(LOG_ERR, dir, "The directory cannot be read: %s.", strerror(-err));
	}
	for (i = 0; i < count; i++) {
		snprintf(drop_in, sizeof(drop_in), "%s/%s", dir, entries[i]->d_name);
		other = load_and_tell(config, drop_in);
		if (other && other != -ENOENT)
			err = other;
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return err;
}
