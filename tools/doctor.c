// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "args.h"
#include "command.h"
#include "output.h"

enum {
	OPT_ROOT = 1,
};

const struct sluice_option sluice_doctor_options[] = {
	{ OPT_ROOT, "root", "PATH", "Look at the system whose /proc, /sys, /lib and /boot are "
	  "below this directory." },
	{ 0 },
};

static const struct {
	const char *name;
	enum sluice_colour colour;
	int exit;
} levels[] = {
	[SLUICE_LEVEL_OK] = { "ok", SLUICE_GREEN, SLUICE_EXIT_OK },
	[SLUICE_LEVEL_NOTE] = { "note", SLUICE_PLAIN, SLUICE_EXIT_OK },
	[SLUICE_LEVEL_WARNING] = { "warning", SLUICE_YELLOW, SLUICE_EXIT_WARNED },
	[SLUICE_LEVEL_ERROR] = { "error", SLUICE_RED, SLUICE_EXIT_UNFIT },
};

static void print_finding(enum sluice_level level, const char *check, const char *message,
			  const char *remedy)
{
	printf("%s%-8s%s", sluice_output_colour(levels[level].colour), levels[level].name,
	       sluice_output_colour_end());
	sluice_output_text(stdout, "%-15s%s\n", check, message);
	if (remedy)
		printf("%23s%s\n", "", remedy);
}

void sluice_doctor_find(struct sluice_doctor *doctor, enum sluice_level level,
			const char *check, const char *remedy, const char *fmt, ...)
{
	struct json_object *finding = json_object_new_object();
	char *message;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&message, fmt, args);
	va_end(args);
	if (len < 0)
		message = NULL;
	if (level > doctor->worst)
		doctor->worst = level;
	if (!doctor->ctl->json)
		print_finding(level, check, message ? message : "", remedy);
	json_object_object_add(finding, "check", json_object_new_string(check));
	json_object_object_add(finding, "level", json_object_new_string(levels[level].name));
	json_object_object_add(finding, "message",
			       json_object_new_string(message ? message : ""));
	json_object_object_add(finding, "remedy",
			       remedy ? json_object_new_string(remedy) : NULL);
	json_object_array_add(doctor->findings, finding);
	free(message);
}

static void make_path(const struct sluice_doctor *doctor, char *path, size_t len,
		      const char *fmt, va_list args)
{
	size_t n = snprintf(path, len, "%s", doctor->root);

	if (n < len)
		vsnprintf(path + n, len - n, fmt, args);
}

void sluice_doctor_path(const struct sluice_doctor *doctor, char *path, size_t len,
			const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	make_path(doctor, path, len, fmt, args);
	va_end(args);
}

bool sluice_doctor_read(const struct sluice_doctor *doctor, char *buf, size_t len,
			const char *fmt, ...)
{
	char path[512];
	va_list args;
	FILE *file;
	bool ok;

	va_start(args, fmt);
	make_path(doctor, path, sizeof(path), fmt, args);
	va_end(args);
	*buf = '\0';
	file = fopen(path, "re");
	if (!file)
		return false;
	ok = fgets(buf, len, file);
	fclose(file);
	buf[strcspn(buf, "\n")] = '\0';
	return ok;
}

bool sluice_doctor_grep(const struct sluice_doctor *doctor, const char *text, const char *fmt,
			...)
{
	char *line = NULL, path[512];
	bool found = false;
	size_t cap = 0;
	va_list args;
	FILE *file;

	va_start(args, fmt);
	make_path(doctor, path, sizeof(path), fmt, args);
	va_end(args);
	file = fopen(path, "re");
	while (file && !found && getline(&line, &cap, file) >= 0)
		found = strstr(line, text);
	free(line);
	if (file)
		fclose(file);
	return found;
}

bool sluice_doctor_has_module(const struct sluice_doctor *doctor, const char *module)
{
	char path[256], plain[64], dashed[64];
	size_t i;

	snprintf(plain, sizeof(plain), "%s", module);
	snprintf(dashed, sizeof(dashed), "/%s.ko", module);
	for (i = 0; plain[i]; i++)
		if (plain[i] == '-')
			plain[i] = '_';
	sluice_doctor_path(doctor, path, sizeof(path), "/sys/module/%s", plain);
	if (!access(path, F_OK))
		return true;
	for (i = 0; i < 2; i++) {
		const char *list = i ? "builtin" : "dep";

		/* Files are named either way. */
		if (sluice_doctor_grep(doctor, dashed, "/lib/modules/%s/modules.%s",
				       doctor->release, list))
			return true;
		snprintf(path, sizeof(path), "/%s.ko", plain);
		if (sluice_doctor_grep(doctor, path, "/lib/modules/%s/modules.%s",
				       doctor->release, list))
			return true;
	}
	return false;
}

bool sluice_doctor_each(struct sluice_doctor *doctor, const char *directory,
			bool (*look)(struct sluice_doctor *doctor, const char *name))
{
	struct dirent **entries;
	bool any = false;
	char path[256];
	int n, i;

	sluice_doctor_path(doctor, path, sizeof(path), "%s", directory);
	n = scandir(path, &entries, NULL, alphasort);
	for (i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.')
			any |= look(doctor, entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return any;
}

int sluice_cmd_doctor(struct sluice_ctl *ctl, int argc, char **argv)
{
	struct sluice_doctor doctor = { .ctl = ctl, .root = "" };
	struct sluice_args args = {
		.ctl = ctl, .options = sluice_doctor_options, .argc = argc, .argv = argv,
	};
	struct json_object *report;
	const char *value;
	int id;

	while ((id = sluice_args_next(&args, &value)) > 0)
		doctor.root = value;
	if (id == SLUICE_ARGS_STOP)
		return args.status;
	if (args.words)
		return sluice_usage(ctl, "\"%s\" is one word too many.", argv[0]);

	doctor.findings = json_object_new_array();
	sluice_doctor_read(&doctor, doctor.release, sizeof(doctor.release),
			   "/proc/sys/kernel/osrelease");
	sluice_doctor_kernel(&doctor);
	sluice_doctor_versions(&doctor);
	sluice_doctor_hardware(&doctor);

	report = json_object_new_object();
	json_object_object_add(report, "worst",
			       json_object_new_string(levels[doctor.worst].name));
	json_object_object_add(report, "findings", doctor.findings);
	if (ctl->json)
		sluice_output_json(stdout, report);
	json_object_put(report);
	return levels[doctor.worst].exit;
}
