// SPDX-License-Identifier: GPL-2.0-or-later
#include "sample.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int sample_write(const struct disk *disk, const char *path)
{
	const struct oracle *o = disk->oracle;
	FILE *f = fopen(path, "wx");
	uint8_t data[512];
	uint64_t sector;
	int err = 0;

	if (!f)
		return -errno;
	for (sector = 0; sector < disk->tail_sector && !err; sector++) {
		int64_t index = oracle_index(o, sector);
		uint32_t tag = index < 0 ? TAG_POISON : disk->tags[index];

		if (tag == TAG_OTHER)
			err = -EINVAL;
		else
			oracle_content(sector, tag, data);
		if (!err && fwrite(data, sizeof(data), 1, f) != 1)
			err = -EIO;
	}
	if (!err && fwrite(disk->tail, disk->tail_bytes, 1, f) != 1)
		err = -EIO;
	if (fclose(f) && !err)
		err = -errno;
	return err;
}

long sample_judge(const struct disk *disk, const char *path, size_t position,
		  struct violation *v)
{
	const struct oracle *o = disk->oracle;
	FILE *f = fopen(path, "r");
	struct violation found;
	uint8_t data[512];
	long wrong = 0;
	size_t i;

	if (!f)
		return -errno;
	for (i = 0; i < o->sectors; i++) {
		if (fread(data, sizeof(data), 1, f) != 1) {
			wrong = -EIO;
			break;
		}
		if (!disk_check_sector(disk, i, oracle_tag(oracle_sector(o, i), data), position,
				       &found) && !wrong++)
			*v = found;
	}
	fclose(f);
	return wrong;
}
