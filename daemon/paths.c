// SPDX-License-Identifier: GPL-2.0-or-later
#include "paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int sluiced_paths_add(struct sluiced_paths *paths, const char *uri)
{
	struct sluiced_path *path;

	if (strlen(uri) >= sizeof(path->uri))
		return -ENAMETOOLONG;
	if (sluiced_paths_find(paths, uri))
		return -EEXIST;
	if (paths->count == SLUICED_MAX_PATHS)
		return -ENOSPC;
	path = &paths->path[paths->count++];
	memset(path, 0, sizeof(*path));
	snprintf(path->uri, sizeof(path->uri), "%s", uri);
	return 0;
}

struct sluiced_path *sluiced_paths_find(struct sluiced_paths *paths, const char *uri)
{
	size_t i;

	for (i = 0; i < paths->count; i++)
		if (!strcmp(paths->path[i].uri, uri))
			return &paths->path[i];
	return NULL;
}

void sluiced_paths_remove(struct sluiced_paths *paths, struct sluiced_path *path)
{
	size_t at = path - paths->path;

	memmove(path, path + 1, (--paths->count - at) * sizeof(*path));
	if (paths->active > at)
		paths->active--;
	if (paths->active >= paths->count)
		paths->active = 0;
}

bool sluiced_paths_next(struct sluiced_paths *paths)
{
	size_t i, at;

	for (i = 1; i < paths->count; i++) {
		at = (paths->active + i) % paths->count;
		if (paths->path[at].wrong)
			continue;
		paths->active = at;
		return true;
	}
	return false;
}

size_t sluiced_paths_usable(const struct sluiced_paths *paths)
{
	size_t i, n = 0;

	for (i = 0; i < paths->count; i++)
		n += !paths->path[i].wrong;
	return n;
}

struct sluiced_path *sluiced_paths_active(struct sluiced_paths *paths)
{
	return &paths->path[paths->active];
}

struct sluiced_path *sluiced_paths_best(struct sluiced_paths *paths)
{
	size_t i;

	for (i = 0; i < paths->count; i++)
		if (!paths->path[i].wrong)
			return &paths->path[i];
	return sluiced_paths_active(paths);
}
