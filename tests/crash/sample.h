/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One state as a disk that can be opened, and what was then read of it. */
#ifndef CRASH_SAMPLE_H
#define CRASH_SAMPLE_H

#include "disk.h"

/*
 * Writes the whole disk, CRASH_POISON outside the windows, to a new file. -errno;
 * -EINVAL for a state that has a content nobody wrote.
 */
int sample_write(const struct disk *disk, const char *path);

/*
 * The windows as read through the device, one after the other, after a crash at
 * @position. The number of sectors that must not be so, the first in *v; -errno.
 */
long sample_judge(const struct disk *disk, const char *path, size_t position,
		  struct violation *v);

#endif /* CRASH_SAMPLE_H */
