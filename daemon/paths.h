/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The paths of a deployment: where its one image may be read, most wanted first.
 * One is active; when it fails the next one is, and after the last the first. While a
 * less wanted one is active the most wanted is tried now and then.
 */
#ifndef SLUICED_PATHS_H
#define SLUICED_PATHS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "source.h"

#define SLUICED_URI_LEN		(PATH_MAX + 16)

/* 4 is arbitrary: two storages with two networks each. */
#define SLUICED_MAX_PATHS	4

struct sluiced_path {
	char uri[SLUICED_URI_LEN];
	char hint[SLUICED_HINT_LEN];	/* of its source */
	char stamp[SLUICED_STAMP_LEN];
	char id[SLUICE_ID_LEN];		/* of the image, as this path has it; or empty */
	bool known;			/* it had the image once: another one is a change */
	bool wrong;			/* it has another, and is not tried any more */
};

/* Never empty while in use. */
struct sluiced_paths {
	struct sluiced_path path[SLUICED_MAX_PATHS];
	size_t count, active;
};

/* -EEXIST, -ENOSPC, -ENAMETOOLONG. */
int sluiced_paths_add(struct sluiced_paths *paths, const char *uri);

/* NULL: there is none. */
struct sluiced_path *sluiced_paths_find(struct sluiced_paths *paths, const char *uri);

/* Of those there are; the active one's successor becomes active. */
void sluiced_paths_remove(struct sluiced_paths *paths, struct sluiced_path *path);

/* The next one that is not wrong becomes active; false: that is the same one. */
bool sluiced_paths_next(struct sluiced_paths *paths);

/* How many are not wrong. */
size_t sluiced_paths_usable(const struct sluiced_paths *paths);

struct sluiced_path *sluiced_paths_active(struct sluiced_paths *paths);

/* The most wanted one that is not wrong. */
struct sluiced_path *sluiced_paths_best(struct sluiced_paths *paths);

#endif /* SLUICED_PATHS_H */
