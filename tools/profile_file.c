// SPDX-License-Identifier: GPL-2.0-or-later
#include "profile_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "command.h"
#include "output.h"

static int parse(struct sluice_ctl *ctl, const char *path, const char *text, size_t len,
		 struct sluice_profile *p)
{
	char why[SLUICE_PROFILE_WHY_LEN];
	unsigned int line;

	switch (sluice_profile_parse(p, text, len, &line, why)) {
	case 0:
		return 0;
	case -EINVAL:
		return sluice_fail(ctl, SLUICE_EXIT_USAGE, "%s:%u: %s", path, line, why);
	default:
		return sluice_fail(ctl, SLUICE_EXIT_FAILED, "There is no memory left.");
	}
}

int sluice_profile_read(struct sluice_ctl *ctl, const char *path, struct sluice_profile *p)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *text = malloc(SLUICE_PROFILE_MAX);
	size_t len = 0;
	int status;

	if (file && text)
		len = fread(text, 1, SLUICE_PROFILE_MAX, file);
	if (!file || !text || ferror(file))
		status = sluice_fail(ctl, SLUICE_EXIT_FAILED, "The profile %s cannot be read: %s.",
				     path, strerror(errno));
	else if (len == SLUICE_PROFILE_MAX)
		status = sluice_fail(ctl, SLUICE_EXIT_USAGE, "%s is no profile: it is too large.",
				     path);
	else
		status = parse(ctl, path, text, len, p);
	if (file && file != stdin)
		fclose(file);
	free(text);
	return status;
}

int sluice_profile_write(struct sluice_ctl *ctl, const struct sluice_profile *p,
			 const char *comment)
{
	char *text;
	size_t len;

	if (sluice_profile_print(p, comment, &text, &len))
		return sluice_fail(ctl, SLUICE_EXIT_FAILED, "There is no memory left.");
	fwrite(text, 1, len, stdout);
	free(text);
	return 0;
}

void sluice_profile_put(struct json_object *parameters, const struct sluice_profile *p)
{
	char *text;
	size_t len;

	/* Without comments, and so within what a message may have. */
	if (!p->count || sluice_profile_print(p, NULL, &text, &len))
		return;
	json_object_object_add(parameters, "profile", json_object_new_string_len(text, len));
	free(text);
}
