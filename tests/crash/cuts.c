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

/* An entry at one of its sectors; the newest first. */
struct node {
	uint32_t version;
	bool floor;			/* what is older cannot be there any more */
	struct node *older;
};

/*
 * The entries of each sector. One write is under way at a time: what was begun before
 * a flush was flushed by it.
 */
static struct node **index_sectors(const struct entry *entries, size_t count)
{
	struct node **newest = calloc(sectors, sizeof(*newest)), *node;
	size_t i, flush = 0;
	uint64_t s;

	CHECK(newest);
	for (i = 0; i < count; i++)
		if (entries[i].kind == FLUSHED)
			flush = i;
	for (i = 0; i < count; i++) {
		const struct entry *e = &entries[i];

		if (e->kind == FLUSHED)
			continue;
		CHECK(e->sector < sectors && e->sectors <= sectors - e->sector);
		for (s = e->sector; s < e->sector + e->sectors; s++) {
			node = malloc(sizeof(*node));
			CHECK(node);
			*node = (struct node){ e->version, e->kind == SEEN || i < flush, newest[s] };
			newest[s] = node;
		}
	}
	return newest;
}

/* The versions that a sector may hold, the newest first; 0: the image. */
static size_t candidates(const struct node *node, uint32_t *versions)
{
	size_t n = 0;

	for (; node; node = node->older) {
		versions[n++] = node->version;
		if (node->floor)
			return n;
	}
	versions[n++] = 0;
	return n;
}

/* The image needs no entry. */
static void put_run(int journal, const struct entry *run)
{
	if (run->version)
		put(journal, SEEN, run->version, run->sector, run->sectors);
}

static int check(const char *path, bool all)
{
	size_t count, wrong = 0, looked = 0, n, at;
	struct entry *entries = read_journal(path, &count);
	struct node **newest = index_sectors(entries, count);
	uint32_t *versions = malloc((count + 1) * sizeof(*versions)), last = 0;
	uint8_t *buf = buffer(BLK);
	struct entry run = { .kind = SEEN };
	uint64_t sector, i;
	char fresh[4096];
	int journal;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	journal = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(versions && journal >= 0);
	for (n = 0; n < count; n++)
		if (entries[n].version > last)
			last = entries[n].version;
	/* No version is used twice. */
	put(journal, FLUSHED, last, 0, 0);
	for (sector = 0; sector < sectors; sector += 8) {
		bool touched = all;

		for (i = 0; i < 8; i++)
			touched = touched || newest[sector + i];
		if (!touched)
			continue;
		CHECK(pread(device, buf, BLK, sector * 512) == BLK);
		for (i = 0; i < 8; i++) {
			if (!all && !newest[sector + i])
				continue;
			n = candidates(newest[sector + i], versions);
			at = stamp_of(buf + i * 512, sector + i, versions, n);
			looked++;
			if (at == n) {
				if (!wrong++)
					fprintf(stderr, "sector %llu: neither version %u, which it has to hold at least, nor one of %zu later ones\n",
						(unsigned long long)(sector + i), versions[n - 1], n - 1);
			} else if (versions[at] == run.version && sector + i == run.sector + run.sectors) {
				run.sectors++;
			} else {
				put_run(journal, &run);
				run = (struct entry){ SEEN, versions[at], sector + i, 1 };
			}
		}
	}
	put_run(journal, &run);
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
