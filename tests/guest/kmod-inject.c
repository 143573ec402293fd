// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Faults, each a part of the kernel: device-mapper targets below the local disk,
 * fail_make_request on it, failslab and fail_page_alloc.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/dm-ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmod-test.h"

#define FAULTS "/sys/kernel/debug/"

/* An ioctl of device-mapper's on BAD, with room for a table or a message. */
union dm {
	struct dm_ioctl head;
	char bytes[2048];
};

static int dm(unsigned long cmd, uint32_t flags, union dm *d)
{
	int ctl = open("/dev/mapper/control", O_RDWR | O_CLOEXEC), err;

	CHECK(ctl >= 0);
	d->head.version[0] = DM_VERSION_MAJOR;
	d->head.data_size = sizeof(*d);
	d->head.data_start = sizeof(d->head);
	d->head.flags = flags;
	strcpy(d->head.name, "bad");
	err = ioctl(ctl, cmd, d) ? -errno : 0;
	close(ctl);
	return err;
}

static size_t target_line(struct dm_target_spec *spec, uint64_t from, uint64_t n,
			  const char *target)
{
	char *args = (char *)(spec + 1);
	unsigned long long f = from;
	int len;

	spec->sector_start = from;
	spec->length = n;
	strcpy(spec->target_type, strstr(target, "-flush") ? "delay" : target);
	if (!strcmp(target, "error"))
		len = sprintf(args, "%s", "");
	else if (!strcmp(target, "dust"))
		len = sprintf(args, "%s %llu %u", disk, f, BLK);
	else if (!strcmp(target, "delay"))
		len = sprintf(args, "%s %llu 0 %s %llu 20", disk, f, disk, f);
	else if (strstr(target, "-flush"))
		len = sprintf(args, "%s %llu 0 %s %llu 0 %s %llu %u", disk, f, disk, f, disk, f,
			      strcmp(target, "held-flush") ? 1000 : 3600000);
	else if (!strcmp(target, "flakey"))
		/* Down for ever. */
		len = sprintf(args, "%s %llu 0 3600 1 error_writes", disk, f);
	else if (!strcmp(target, "striped"))
		len = sprintf(args, "1 64 %s %llu", disk, f);
	else
		len = sprintf(args, "%s %llu", disk, f);
	spec->next = sizeof(*spec) + (len + 8) / 8 * 8;
	return spec->next;
}

static void load(uint64_t from, uint64_t n, const char *target)
{
	uint64_t total = disk_bytes(disk) / 512;
	union dm d = { };
	size_t at = sizeof(d.head);

	if (from) {
		at += target_line((void *)(d.bytes + at), 0, from, "linear");
		d.head.target_count++;
	}
	at += target_line((void *)(d.bytes + at), from, n, target);
	d.head.target_count++;
	if (from + n < total) {
		target_line((void *)(d.bytes + at), from + n, total - from - n, "linear");
		d.head.target_count++;
	}
	CHECK(!dm(DM_TABLE_LOAD, 0, &d));
}

static void resume(void)
{
	union dm d = { };

	CHECK(!dm(DM_DEV_SUSPEND, 0, &d));
}

void dm_create(uint64_t from, uint64_t n, const char *target)
{
	union dm d = { };

	CHECK(!dm(DM_DEV_CREATE, 0, &d));
	/* There is no udev. */
	unlink(BAD);
	CHECK(!mknod(BAD, S_IFBLK | 0600, d.head.dev));
	load(from, n, target);
	resume();
}

void dm_swap(uint64_t from, uint64_t n, const char *target)
{
	union dm d = { };

	load(from, n, target);
	CHECK(!dm(DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG, &d));
	resume();
}

void dm_remove(void)
{
	union dm d = { };
	int err = -EBUSY;

	for (int i = 0; i < 300 && err == -EBUSY; i++) {
		d = (union dm){ };
		err = dm(DM_DEV_REMOVE, 0, &d);
		if (err == -EBUSY)
			usleep(10000);
	}
	CHECK(!err);
	CHECK(!unlink(BAD));
}

static int message(const char *text)
{
	union dm d = { };

	strcpy(d.bytes + sizeof(d.head) + sizeof(struct dm_target_msg), text);
	return dm(DM_TARGET_MSG, 0, &d);
}

void dust_bad(uint64_t block)
{
	char text[64];

	snprintf(text, sizeof(text), "addbadblock %llu", (unsigned long long)block);
	CHECK(!message(text));
	/* An error says that it is enabled already. */
	message("enable");
}

void dust_good(uint64_t block)
{
	char text[64];

	snprintf(text, sizeof(text), "removebadblock %llu", (unsigned long long)block);
	CHECK(!message(text));
}

/* null_blk names the disk after its directory. */
#define NULLB	"/sys/kernel/config/nullb/gone"

void null_create(void)
{
	/* Left by a test that failed. */
	rmdir(NULLB);
	CHECK(!mkdir(NULLB, 0755));
	sysfs_write(NULLB "/size", "64");
	sysfs_write(NULLB "/blocksize", "512");
	sysfs_write(NULLB "/memory_backed", "1");
	sysfs_write(NULLB "/cache_size", "8");
	sysfs_write(NULLB "/power", "1");
}

void null_pull(void)
{
	sysfs_write(NULLB "/power", "0");
}

void null_remove(void)
{
	CHECK(!rmdir(NULLB));
}

static void fail_requests(const char *what, bool fail, const char *times)
{
	char path[128], name[64];

	snprintf(name, sizeof(name), "%s", what);
	snprintf(path, sizeof(path), "/sys/block/%s/make-it-fail", basename(name));
	if (fail) {
		sysfs_write(FAULTS "fail_make_request/verbose", "0");
		sysfs_write(FAULTS "fail_make_request/times", times);
		sysfs_write(FAULTS "fail_make_request/probability", "100");
	}
	sysfs_write(path, fail ? "1" : "0");
}

void requests_fail(const char *what, bool fail)
{
	fail_requests(what, fail, "-1");
}

void request_fails(const char *what)
{
	fail_requests(what, true, "1");
}

static const char *const allocators[] = { "failslab", "fail_page_alloc" };

static void attribute(const char *fault, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), FAULTS "%s/%s", fault, name);
	sysfs_write(path, value);
}

/* Where the module's code is. */
static void code(unsigned long *start, unsigned long *end)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[256], type;
	unsigned long at;

	CHECK(f);
	*start = ~0UL;
	*end = 0;
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, "[sluice]") || sscanf(line, "%lx %c", &at, &type) != 2 ||
		    (type != 't' && type != 'T'))
			continue;
		if (at < *start)
			*start = at;
		if (at > *end)
			*end = at;
	}
	fclose(f);
	/* The last function is shorter than this. */
	*end += 4096;
	CHECK(*start < *end);
}

static void arm(const char *probability)
{
	unsigned long start, end;
	char text[32];

	code(&start, &end);
	for (int i = 0; i < 2; i++) {
		attribute(allocators[i], "verbose", "0");
		/* Also those that could wait for memory. */
		attribute(allocators[i], "ignore-gfp-wait", "N");
		snprintf(text, sizeof(text), "0x%lx", start);
		attribute(allocators[i], "require-start", text);
		snprintf(text, sizeof(text), "0x%lx", end);
		attribute(allocators[i], "require-end", text);
		attribute(allocators[i], "times", "1000000");
		attribute(allocators[i], "probability", probability);
	}
	attribute("fail_page_alloc", "ignore-gfp-highmem", "N");
	attribute("fail_page_alloc", "min-order", "0");
}

void memory_fail(void)
{
	arm("100");
}

unsigned long memory_recover(void)
{
	unsigned long failed = 0;

	for (int i = 0; i < 2; i++) {
		char path[128], text[32];
		FILE *f;

		snprintf(path, sizeof(path), FAULTS "%s/times", allocators[i]);
		/* Not every test kernel can do this. */
		if (access(path, F_OK))
			continue;
		attribute(allocators[i], "probability", "0");
		f = fopen(path, "r");
		CHECK(f && fgets(text, sizeof(text), f));
		fclose(f);
		if (atol(text) > 0)
			failed += 1000000 - atol(text);
	}
	return failed;
}

void memory_fail_nth(unsigned int n)
{
	static pid_t armed;
	char text[16];

	/* Once a test: it reads all symbols. */
	if (armed != getpid())
		arm("0");
	armed = getpid();
	snprintf(text, sizeof(text), "%u", n);
	sysfs_write("/proc/thread-self/fail-nth", text);
}

bool memory_failed_nth(void)
{
	FILE *f = fopen("/proc/thread-self/fail-nth", "r");
	unsigned int left;

	CHECK(f && fscanf(f, "%u", &left) == 1);
	fclose(f);
	if (left)
		sysfs_write("/proc/thread-self/fail-nth", "0");
	return !left;
}
