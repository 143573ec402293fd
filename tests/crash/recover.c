// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Opens what a crash left with the module that wrote it, reads what the host would
 * read, and brings it to its end.
 *
 *	crash-recover DM_NAME JOURNAL DUMP [PEER]
 *
 * DUMP gets the windows of the journal, one after the other. With PEER they are read
 * of that device, and that is all.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "crash.h"
#include "marks.h"
#include "../guest/puppet.h"

static struct crash_header header;

static size_t windows_bytes(void)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < header.windows; i++)
		bytes += header.window[i].blocks * BLK;
	return bytes;
}

static void read_windows(int fd, uint8_t *to)
{
	for (uint32_t i = 0; i < header.windows; i++) {
		uint64_t at = header.window[i].block * BLK, end = at + header.window[i].blocks * BLK;

		for (; at < end; at += 64 * 1024, to += 64 * 1024) {
			size_t n = end - at < 64 * 1024 ? end - at : 64 * 1024;

			CHECK(pread(fd, to, n, at) == (ssize_t)n);
		}
	}
}

static void write_dump(const char *path, const uint8_t *data)
{
	FILE *f = fopen(path, "w");

	CHECK(f && fwrite(data, windows_bytes(), 1, f) == 1);
	CHECK(!fclose(f));
}

static void recover(const char *dm_name, const char *local, const char *dump)
{
	uint8_t *first = buffer(windows_bytes()), *second = buffer(windows_bytes());
	struct puppet p;

	puppet_init(&p, local, header.image_bytes);
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY));
	CHECK(p.namespace_bytes == header.namespace_bytes);
	puppet_open_bdev(&p);
	if (puppet_stat(&p).state == SLUICE_STATE_DEPLOYING) {
		struct sluice_generation g = { 0 };

		CHECK(!puppet_attach(&p));
		puppet_serve(&p);
		read_windows(p.dev, first);
		puppet_serve_stop(&p);
		write_dump(dump, first);
		if (puppet_stat(&p).total_blocks < 16384) {
			puppet_fill_all(&p);
			g.generation = p.gen;
			CHECK(!ioctl(p.fd, SLUICE_IOC_COMPLETE, &g));
			marks_set(dm_name, CRASH_COMPLETED);
			/* The same, from the local disk alone. */
			read_windows(p.dev, second);
			CHECK(!memcmp(first, second, windows_bytes()));
		}
	} else {
		read_windows(p.dev, first);
		write_dump(dump, first);
		marks_set(dm_name, CRASH_COMPLETED);
	}
	puppet_stop(&p);
}

int main(int argc, char **argv)
{
	char local[64];
	FILE *f;

	if (argc != 4 && argc != 5)
		return 2;
	puppet_test = "crash-recover";
	f = fopen(argv[2], "r");
	CHECK(f && fread(&header, sizeof(header), 1, f) == 1 && header.magic == CRASH_MAGIC);
	fclose(f);
	snprintf(local, sizeof(local), "/dev/mapper/%s", argv[1]);
	if (argc == 5) {
		uint8_t *data = buffer(windows_bytes());
		int fd = open(argv[4], O_RDONLY | O_DIRECT | O_CLOEXEC);

		CHECK(fd >= 0);
		read_windows(fd, data);
		write_dump(argv[3], data);
		close(fd);
	} else {
		recover(argv[1], local, argv[3]);
	}
	return 0;
}
