// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC		0x6a736677736872ULL
#define VERSION		1

struct disk_super {
	uint64_t magic, version, entries;
	uint32_t sector_bytes;
};

struct disk_entry {
	uint64_t sector, sectors, flags, data_bytes;
};

static int parse(struct log *log, const uint8_t *at, const uint8_t *end)
{
	const struct disk_super *super = (const void *)at;
	size_t step, n, i;

	if (at + 4096 > end || le64toh(super->magic) != MAGIC ||
	    le64toh(super->version) != VERSION)
		return -EINVAL;
	step = le32toh(super->sector_bytes);
	n = le64toh(super->entries);
	/* Numbers are in units of it. */
	if (step != 512 || n > (size_t)(end - at) / step)
		return -EINVAL;
	log->entries = calloc(n ?: 1, sizeof(*log->entries));
	if (!log->entries)
		return -ENOMEM;
	at += step;
	for (i = 0; i < n; i++) {
		const struct disk_entry *d = (const void *)at;
		struct log_entry *e = &log->entries[i];
		size_t bytes;

		if ((size_t)(end - at) < step)
			return -EINVAL;
		e->sector = le64toh(d->sector);
		e->sectors = le64toh(d->sectors);
		e->flags = le64toh(d->flags);
		if (e->flags & LOG_MARK) {
			bytes = le64toh(d->data_bytes);
			if (bytes >= sizeof(e->text) || bytes > step - sizeof(*d))
				return -EINVAL;
			memcpy(e->text, d + 1, bytes);
		}
		at += step;
		bytes = e->flags & (LOG_MARK | LOG_DISCARD) ? 0 : e->sectors * 512;
		if (bytes > (size_t)(end - at))
			return -EINVAL;
		e->data = at;
		at += bytes;
	}
	log->count = n;
	return 0;
}

int log_open(struct log *log, const char *path, uint64_t offset)
{
	struct stat st;
	int fd, err;

	memset(log, 0, sizeof(*log));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size <= offset) {
		close(fd);
		return -EINVAL;
	}
	log->map_bytes = st.st_size;
	log->map = mmap(NULL, log->map_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (log->map == MAP_FAILED) {
		log->map = NULL;
		return -errno;
	}
	err = parse(log, (uint8_t *)log->map + offset, (uint8_t *)log->map + log->map_bytes);
	if (err)
		log_close(log);
	return err;
}

void log_close(struct log *log)
{
	free(log->entries);
	if (log->map)
		munmap(log->map, log->map_bytes);
	memset(log, 0, sizeof(*log));
}
