/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of boot profiles, sluice-profile(5). */
#ifndef SLUICE_TOOLS_PROFILE_FILE_H
#define SLUICE_TOOLS_PROFILE_FILE_H

#include "profile.h"

struct json_object;
struct sluice_ctl;

/*
 * Reads the file, "-" being standard input, into @p, which is empty. 0 or an exit
 * status; an error names file and line.
 */
int sluice_profile_read(struct sluice_ctl *ctl, const char *path, struct sluice_profile *p);

/* Prints @p with @comment, or without where that is NULL, on stdout. */
int sluice_profile_write(struct sluice_ctl *ctl, const struct sluice_profile *p,
			 const char *comment);

/* Adds @p, unless it is empty, to the parameters of Deploy. */
void sluice_profile_put(struct json_object *parameters, const struct sluice_profile *p);

/* "sluicectl profile from-paths IMAGE LIST". */
int sluice_profile_from_paths(struct sluice_ctl *ctl, const char *image, const char *list,
			      uint64_t partition);

#endif /* SLUICE_TOOLS_PROFILE_FILE_H */
