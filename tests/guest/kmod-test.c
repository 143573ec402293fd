// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module alone, with a daemon on strings: every kind of request over every
 * kind of range, and the invariants of Documentation/ARCHITECTURE.rst that a
 * running module can show. Tests are named after the invariants they hold up.
 *
 *	kmod-test DISK SLOW COPY [TEST]...
 *
 * DISK is a blank disk, SLOW a dm-delay over it (writes take 300 ms), COPY a
 * disk of DISK's size. Everything on them is overwritten.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <time.h>
#include <unistd.h>

#include "kmod-test.h"

const char *disk, *slow, *copy;

void stale(const char *path, uint64_t bytes)
{
	int fd = open(path, O_WRONLY | O_DIRECT);
	void *buf = buffer(MIB);

	CHECK(fd >= 0);
	memset(buf, STALE, MIB);
	for (uint64_t at = 0; at < bytes; at += MIB)
		CHECK(pwrite(fd, buf, MIB, at) == MIB);
	CHECK(!fsync(fd));
	close(fd);
	free(buf);
}

void raw_read(const char *path, uint64_t off, size_t len, void *buf)
{
	int fd = open(path, O_RDONLY | O_DIRECT);

	CHECK(fd >= 0);
	CHECK(pread(fd, buf, len, off) == (ssize_t)len);
	close(fd);
}

void raw_write(const char *path, uint64_t off, size_t len, const void *buf)
{
	int fd = open(path, O_WRONLY | O_DIRECT);

	CHECK(fd >= 0);
	CHECK(pwrite(fd, buf, len, off) == (ssize_t)len);
	CHECK(!fsync(fd));
	close(fd);
}

uint64_t disk_bytes(const char *path)
{
	int fd = open(path, O_RDONLY);
	uint64_t n;

	CHECK(fd >= 0 && !ioctl(fd, BLKGETSIZE64, &n));
	close(fd);
	return n;
}

uint64_t disk_stat(const char *path, unsigned int field)
{
	unsigned long long n;
	char stats[64];
	struct stat st;
	FILE *f;

	CHECK(!stat(path, &st));
	snprintf(stats, sizeof(stats), "/sys/dev/block/%u:%u/stat", major(st.st_rdev),
		 minor(st.st_rdev));
	f = fopen(stats, "r");
	CHECK(f);
	while (field--)
		CHECK(fscanf(f, "%*u") == 0);
	CHECK(fscanf(f, "%llu", &n) == 1);
	fclose(f);
	return n;
}

/* What a power cut now would leave, on another disk. */
void crash_copy(void)
{
	uint64_t n = disk_bytes(disk);
	int in = open(disk, O_RDONLY | O_DIRECT), out = open(copy, O_WRONLY | O_DIRECT);
	void *buf = buffer(MIB);

	CHECK(in >= 0 && out >= 0);
	for (uint64_t at = 0; at < n; at += MIB) {
		CHECK(pread(in, buf, MIB, at) == MIB);
		CHECK(pwrite(out, buf, MIB, at) == MIB);
	}
	CHECK(!fsync(out));
	close(in);
	close(out);
	free(buf);
}

int now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool left_out(void)
{
	const char *kernel = getenv("SLUICE_KERNEL");

	if (!kernel || !strcmp(kernel, "kasan"))
		return false;
	printf("%s is left out\n", puppet_test);
	return true;
}

static const struct kmod_test *const groups[] = {
	requests_tests, durability_tests, control_tests, faults_tests, disk_tests,
	memory_tests, stress_tests, unload_tests, races_tests
};

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 4; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc <= 4;
}

/* A failed test may leave its device behind. */
static void clean_up(void)
{
	int ctl = open("/dev/" SLUICE_CONTROL_NODE, O_RDWR | O_CLOEXEC);

	for (uint32_t i = 0; i < 4; i++) {
		struct sluice_close c = { .index = i };

		for (int n = 0; n < 100 && ioctl(ctl, SLUICE_IOC_CLOSE, &c) && errno == EBUSY; n++)
			usleep(10000);
	}
	close(ctl);
	requests_fail(disk, false);
	memory_recover();
	if (!access(BAD, F_OK))
		dm_remove();
}

/* A process each: its end releases what a failure left. */
static bool run(const struct kmod_test *test)
{
	int status, t = now_ms();
	pid_t pid;

	puppet_test = test->name;
	pid = fork();
	if (!pid) {
		alarm(120 * slack);
		test->run();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	clean_up();
	printf("%s %s (%d ms)\n", status ? "not ok" : "ok", test->name, now_ms() - t);
	return !status;
}

int main(int argc, char **argv)
{
	const struct kmod_test *test;
	int passed = 0, failed = 0;

	if (argc < 4)
		return 2;
	disk = argv[1];
	slow = argv[2];
	copy = argv[3];
	if (getenv("SLUICE_SLACK"))
		slack = atoi(getenv("SLUICE_SLACK"));
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		if (groups[g] == races_tests && argc <= 4)
			continue;
		for (test = groups[g]; test->name; test++) {
			if (!wanted(test->name, argc, argv))
				continue;
			if (run(test))
				passed++;
			else
				failed++;
		}
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed ? 1 : 0;
}
