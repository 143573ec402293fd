// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

/* Longer sentences are cut: nobody reads on, and the stack of a job is small. */
#define LINE_LEN	1024

static int log_level = LOG_NOTICE;
static bool to_journal;

static const struct {
	const char *name;
	int level;
} levels[] = {
	{ "err", LOG_ERR },
	{ "warning", LOG_WARNING },
	{ "notice", LOG_NOTICE },
	{ "info", LOG_INFO },
	{ "debug", LOG_DEBUG },
};

int sluiced_log_level(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (!strcmp(name, levels[i].name))
			return levels[i].level;
	return -EINVAL;
}

static const char *level_name(int level)
{
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (level <= levels[i].level)
			return levels[i].name;
	return "debug";
}

void sluiced_log_init(int level)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	log_level = level;
	/* The variable is inherited by children whose stderr went elsewhere. */
	to_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		     !fstat(STDERR_FILENO, &st) && st.st_dev == device && st.st_ino == inode;
}

/* The journal has its own. */
static const char *stamp(char *buf, size_t len)
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	n = strftime(buf, len, "%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
	snprintf(buf + n, len - n, ".%03ld", now.tv_nsec / 1000000);
	return buf;
}

void sluiced_log(int level, const char *object, const char *format, ...)
{
	char line[LINE_LEN], when[32];
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (to_journal)
		sd_journal_send("MESSAGE=%s: %s", object, line, "PRIORITY=%d", level,
				"SLUICE_OBJECT=%s", object, "SYSLOG_IDENTIFIER=sluiced", NULL);
	else
		fprintf(stderr, "%s %s %s: %s\n", stamp(when, sizeof(when)), level_name(level),
			object, line);
}
