// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * oddread DISK OFFSET BYTES: reads with O_DIRECT into a buffer that is aligned to
 * four bytes only, as NVMe hosts may, and writes what it got to stdout. The
 * segments that reach the target's disk are then no whole sectors.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t len = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	uint8_t *buf = NULL;
	ssize_t n;
	int fd;

	if (!len || posix_memalign((void **)&buf, 4096, len + 4096))
		return 2;
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	n = pread(fd, buf + 1028, len, strtoul(argv[2], NULL, 0));
	if (n != (ssize_t)len) {
		perror("pread");
		return 1;
	}
	return write(STDOUT_FILENO, buf + 1028, len) == n ? 0 : 1;
}
