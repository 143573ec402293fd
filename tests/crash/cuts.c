// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A host whose machine loses its power again and again.
 *
 *	crash-cuts write DEVICE JOURNAL SEED
 *		writes and flushes until it is killed, and notes in JOURNAL what it
 *		begins and what was flushed
 *	crash-cuts check DEVICE JOURNAL [all]
 *		after a cut: whether each sector holds what was flushed last or
 *		something newer, which from then on is what it has to hold. What nobody
 *		wrote is read with "all" only.
 *
 * JOURNAL is on a disk that outlives the cuts. The image is that of puppet.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <unistd.h>

#include "crash.h"
#include "../guest/puppet.h"

#define MOST		(64 * 1024)	/* bytes of a write */
#define EVERY		6		/* one flush in so many operations */

enum { BEGUN = 1, FLUSHED, SEEN };

struct entry {
	uint32_t kind, version;
	uint64_t sector, sectors;	/* not of FLUSHED: all up to version */
};

static int device;
static uint64_t sectors;

static void put(int journal, uint32_t kind, uint32_t version, uint64_t sector, uint64_t count)
{
	struct entry e = { kind, version, sector, count };

	CHECK(write(journal, &e, sizeof(e)) == sizeof(e));
}

static struct entry *read_journal(const char *path, size_t *count)
{
	struct entry *entries;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t bytes;

	CHECK(fd >= 0);
	bytes = lseek(fd, 0, SEEK_END);
	*count = bytes / sizeof(*entries);
	entries = malloc(bytes + 1);
	CHECK(entries && pread(fd, entries, bytes, 0) == bytes);
	close(fd);
	return entries;
}

static void host(const char *path, uint64_t seed)
{
	uint64_t random = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
	int journal = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	size_t count;
	struct entry *entries = read_journal(path, &count);
	uint32_t version = 0;
	void *buf = buffer(MOST);

	CHECK(journal >= 0);
	/* What a cut left of an entry never began. */
	CHECK(!ftruncate(journal, count * sizeof(*entries)));
	while (count--)
		if (entries[count].version > version)
			version = entries[count].version;
	for (;;) {
		uint64_t align = crash_draw(&random, 3) ? 8 : 1;
		uint64_t n = (1 + crash_draw(&random, crash_draw(&random, 4) ? 2 : MOST / 512 / align)) * align;
		uint64_t sector = crash_draw(&random, (sectors - n) / align + 1) * align;
		bool fua = !crash_draw(&random, 8);

		if (!crash_draw(&random, EVERY)) {
			CHECK(!fsync(device));
			put(journal, FLUSHED, version, 0, 0);
		}
		put(journal, BEGUN, ++version, sector, n);
		host_fill(buf, sector * 512, n * 512, version);
		if (!fua) {
			CHECK(pwrite(device, buf, n * 512, sector * 512) == (ssize_t)(n * 512));
			continue;
		}
		CHECK(write_fua(device, buf, n * 512, sector * 512) == (ssize_t)(n * 512));
		/* No older write is, but whoever reads the journal need not know. */
		put(journal, SEEN, version, sector, n);
	}
}

/* Which of the versions it is; n: none. */
static size_t stamp_of(const uint8_t *data, uint64_t sector, const uint32_t *versions, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (versions[i] ? host_is(data, sector * 512, 512, versions[i]) :
		    image_is(data, sector * 512, 512))
			return i;
	return n;
}

/* The versions that a sector may hold, oldest first. One write is under way at a time. */
static size_t candidates(const struct entry *entries, size_t count, uint64_t sector,
			 uint32_t *versions)
{
	size_t i, k, n = 1;

	versions[0] = 0;
	for (i = 0; i < count; i++) {
		const struct entry *e = &entries[i];

		if (e->kind == FLUSHED) {
			for (k = n - 1; k && versions[k] > e->version; k--)
				;
			n -= k;
			memmove(versions, versions + k, n * sizeof(*versions));
			continue;
		}
		if (sector < e->sector || sector >= e->sector + e->sectors)
			continue;
		if (e->kind == SEEN)
			n = 0;
		versions[n++] = e->version;
	}
	return n;
}

static int check(const char *path, bool all)
{
	size_t count, wrong = 0, looked = 0, n, at;
	struct entry *entries = read_journal(path, &count);
	uint32_t *versions = malloc((count + 2) * sizeof(*versions));
	uint8_t *touched = calloc(sectors + 8, 1), *buf = buffer(BLK);
	uint64_t sector, i;
	uint32_t last = 0;
	char fresh[4096];
	int journal;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	journal = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(versions && touched && journal >= 0);
	for (n = 0; n < count; n++) {
		if (entries[n].version > last)
			last = entries[n].version;
		if (entries[n].kind == FLUSHED)
			continue;
		CHECK(entries[n].sector + entries[n].sectors <= sectors);
		memset(touched + entries[n].sector, 1, entries[n].sectors);
	}
	/* No version is used twice. */
	put(journal, FLUSHED, last, 0, 0);
	for (sector = 0; sector < sectors; sector += 8) {
		if (!all && !memchr(touched + sector, 1, 8))
			continue;
		CHECK(pread(device, buf, BLK, sector * 512) == BLK);
		for (i = 0; i < 8; i++) {
			if (!all && !touched[sector + i])
				continue;
			n = candidates(entries, count, sector + i, versions);
			at = stamp_of(buf + i * 512, sector + i, versions, n);
			looked++;
			if (at == n) {
				if (!wrong++)
					fprintf(stderr, "sector %llu: neither version %u, which it has to hold at least, nor one of %zu later ones\n",
						(unsigned long long)(sector + i), versions[0], n - 1);
			} else if (versions[at]) {
				put(journal, SEEN, versions[at], sector + i, 1);
			}
		}
	}
	/* What is there now is on the disk: it was read from it, or from the image. */
	CHECK(!fsync(journal) && !close(journal) && !rename(fresh, path));
	printf("%zu sectors looked at, %zu wrong\n", looked, wrong);
	return wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	uint64_t bytes;

	puppet_test = "crash-cuts";
	if (argc < 4)
		return 2;
	device = open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC);
	CHECK(device >= 0 && !ioctl(device, BLKGETSIZE64, &bytes));
	sectors = bytes / 512;
	if (!strcmp(argv[1], "write") && argc == 5)
		host(argv[3], strtoull(argv[4], NULL, 0));
	else if (!strcmp(argv[1], "check"))
		return check(argv[3], argc == 5);
	return 2;
}
