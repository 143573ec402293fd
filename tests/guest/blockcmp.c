// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blockcmp IMAGE LOCAL [WRITTEN]: compares LOCAL with IMAGE in blocks of 4 KiB
 * over IMAGE's size. WRITTEN lists what the host wrote, "first-sector sectors" a
 * line: those sectors may differ. Prints "differing_blocks=N written_blocks=N"
 * and the first few that differ; status 1 when there are any.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (1U << 20)
#define SECTOR 512U

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static int open_sized(const char *path, uint64_t *size)
{
	/* Direct: neither disk is worth a small guest's page cache. */
	int fd = open(path, O_RDONLY | O_DIRECT);
	off_t end;

	if (fd < 0)
		die(path);
	end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		die(path);
	*size = end;
	return fd;
}

static uint8_t *load_written(const char *path, uint64_t sectors)
{
	uint8_t *map = calloc(1, sectors / 8 + 1);
	FILE *f = fopen(path, "r");
	uint64_t first, n;

	if (!map || !f)
		die(path);
	while (fscanf(f, "%lu %lu", &first, &n) == 2)
		for (; n && first < sectors; n--, first++)
			map[first / 8] |= 1 << (first % 8);
	fclose(f);
	return map;
}

int main(int argc, char **argv)
{
	uint64_t size, local_size, differing = 0, written = 0;
	uint8_t *a = aligned_alloc(4096, PIECE), *b = aligned_alloc(4096, PIECE), *map = NULL;
	int image, local;

	if (argc < 3)
		return 2;
	image = open_sized(argv[1], &size);
	local = open_sized(argv[2], &local_size);
	if (local_size < size) {
		fprintf(stderr, "%s is smaller than %s\n", argv[2], argv[1]);
		return 2;
	}
	if (argc > 3)
		map = load_written(argv[3], size / SECTOR);
	for (uint64_t at = 0; at < size; at += PIECE) {
		size_t len = size - at < PIECE ? size - at : PIECE;

		if (pread(image, a, len, at) != (ssize_t)len)
			die(argv[1]);
		if (pread(local, b, len, at) != (ssize_t)len)
			die(argv[2]);
		for (size_t blk = 0; blk < len; blk += 4096) {
			bool wrote = false, differs = false;

			for (size_t s = blk; s < blk + 4096 && s < len; s += SECTOR) {
				uint64_t sector = (at + s) / SECTOR;
				size_t n = len - s < SECTOR ? len - s : SECTOR;

				if (map && map[sector / 8] >> (sector % 8) & 1)
					wrote = true;
				else if (memcmp(a + s, b + s, n))
					differs = true;
			}
			written += wrote;
			if (differs && differing++ < 8)
				fprintf(stderr, "block %lu differs\n", (at + blk) / 4096);
		}
	}
	printf("differing_blocks=%lu written_blocks=%lu\n", differing, written);
	return differing != 0;
}
