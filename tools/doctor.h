/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What "sluicectl doctor" looks at, and what it finds. Blocks as files do. */
#ifndef SLUICE_TOOLS_DOCTOR_H
#define SLUICE_TOOLS_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

struct json_object;
struct sluice_ctl;

enum sluice_level {
	SLUICE_LEVEL_OK,
	SLUICE_LEVEL_NOTE,	/* something cannot be used that may not be wanted */
	SLUICE_LEVEL_WARNING,	/* it works, but not well, or not all of it */
	SLUICE_LEVEL_ERROR,	/* nothing can be deployed */
};

struct sluice_doctor {
	struct sluice_ctl *ctl;
	const char *root;		/* before every path; "" for this machine */
	char release[128];		/* of the kernel, or "" */
	struct json_object *findings;
	enum sluice_level worst;
};

/* A finding on @check: a sentence, and what to do about it, or NULL. */
void sluice_doctor_find(struct sluice_doctor *doctor, enum sluice_level level,
			const char *check, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* The path below the root. */
void sluice_doctor_path(const struct sluice_doctor *doctor, char *path, size_t len,
			const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The first line of a file, cut to @len; false when it cannot be read. */
bool sluice_doctor_read(const struct sluice_doctor *doctor, char *buf, size_t len,
			const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Whether a line of the file has @text in it. */
bool sluice_doctor_grep(const struct sluice_doctor *doctor, const char *text, const char *fmt,
			...) __attribute__((format(printf, 3, 4)));

/* Whether it is loaded, built in, or a file of the running kernel; with "-" or "_". */
bool sluice_doctor_has_module(const struct sluice_doctor *doctor, const char *module);

/* Calls @look with the name of every entry of a directory; false: there is none. */
bool sluice_doctor_each(struct sluice_doctor *doctor, const char *directory,
			bool (*look)(struct sluice_doctor *doctor, const char *name));

/* The checks. */
void sluice_doctor_kernel(struct sluice_doctor *doctor);
void sluice_doctor_versions(struct sluice_doctor *doctor);
void sluice_doctor_hardware(struct sluice_doctor *doctor);

#endif /* SLUICE_TOOLS_DOCTOR_H */
