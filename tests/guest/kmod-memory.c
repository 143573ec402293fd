// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Without memory: what a person asks for fails cleanly, what a host asks for goes
 * on with what was set aside. SLUICE_STRESS in the environment: every allocation,
 * not a choice of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmod-test.h"

/* The first ones each, then ever fewer: most are pages of one large buffer. */
static unsigned int after(unsigned int n)
{
	return getenv("SLUICE_STRESS") || n < 16 ? n + 1 : n + n / 2;
}

/* Whatever allocation it was: the next open finds nothing left of it. */
static void sweep_open(uint32_t flags)
{
	unsigned int n, refused = 0;
	bool failed = true;
	struct puppet p;
	int err;

	for (n = 1; failed; n = after(n)) {
		puppet_init(&p, disk, MIB);
		p.namespace_bytes = MIB;
		memory_fail_nth(n);
		err = puppet_open(&p, flags);
		failed = memory_failed_nth();
		if (err && err != -ENOMEM)
			fprintf(stderr, "%s: allocation %u: %d\n", puppet_test, n, err);
		CHECK(!err || (failed && err == -ENOMEM));
		refused += !!err;
		if (err)
			CHECK(access("/dev/sluice0", F_OK) && p.refusal == SLUICE_REFUSED_NOT);
		else
			CHECK(p.index == 0 && !puppet_close(&p));
		close(p.ctl);
	}
	printf("%s: %u allocations, %u of those tried refuse\n", puppet_test, n, refused);
	/* Which of them matter is chance: most ask again, or for less. */
	CHECK(refused > 1);
}

static void inv29_open_without_memory(void)
{
	struct puppet p;

	if (left_out())
		return;
	sweep_open(SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY);
	puppet_init(&p, disk, MIB);
	p.namespace_bytes = MIB;
	puppet_start(&p);
	CHECK(puppet_commit(&p, 3, 5) == 5);
	puppet_stop(&p);
	sweep_open(SLUICE_OPEN_IDENTITY);
	puppet_init(&p, disk, MIB);
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY));
	CHECK(puppet_stat(&p).resident_blocks == 5);
	CHECK(!puppet_close(&p));
}

static void inv29_attach_without_memory(void)
{
	unsigned int n, refused = 0;
	struct sluice_attach a;
	bool failed = true;
	struct puppet p;

	if (left_out())
		return;
	puppet_init(&p, disk, MIB);
	p.namespace_bytes = MIB;
	CHECK(!puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY));
	for (n = 1; failed; n = after(n)) {
		int fd, err;

		a = (struct sluice_attach){
			.index = p.index, .abi_version = SLUICE_ABI_VERSION, .pool_blocks = 64,
			.ring_events = 64,
		};
		memory_fail_nth(n);
		fd = open("/dev/" SLUICE_CONTROL_NODE, O_RDWR | O_CLOEXEC);
		err = fd < 0 || ioctl(fd, SLUICE_IOC_ATTACH, &a) ? -errno : 0;
		failed = memory_failed_nth();
		CHECK(!err || (failed && err == -ENOMEM));
		CHECK(puppet_stat(&p).attached == !err);
		refused += !!err;
		if (fd >= 0)
			close(fd);
	}
	printf("%s: %u allocations, %u of those tried refuse\n", puppet_test, n, refused);
	CHECK(refused > 1);
	CHECK(!puppet_attach(&p) && puppet_commit(&p, 0, 1) == 1);
	puppet_stop(&p);
}

/* What is all local is recorded without asking for memory. */
static void inv29_complete_without_memory(void)
{
	struct sluice_generation g = { };
	struct puppet p;

	if (left_out())
		return;
	puppet_init(&p, disk, MIB);
	p.namespace_bytes = MIB;
	puppet_start(&p);
	memory_fail();
	puppet_fill_all(&p);
	g.generation = p.gen;
	CHECK(!ioctl(p.fd, SLUICE_IOC_COMPLETE, &g));
	CHECK(puppet_stat(&p).state == SLUICE_STATE_COMPLETE);
	CHECK(memory_recover() > 0);
	puppet_stop(&p);
}

/* Every kind of request while the module gets no memory at all. */
static void inv29_requests_without_memory(void)
{
	const size_t len = 200 * BLK;
	uint8_t *buf = buffer(len), *w = buffer(len);
	struct puppet p;

	if (left_out())
		return;
	puppet_init(&p, disk, IMAGE);
	p.namespace_bytes = IMAGE;
	p.deadline_ms = 100000;
	puppet_start(&p);
	for (int b = 0; b < 300; b += 7)
		CHECK(puppet_commit(&p, b, 3) >= 0);
	memory_fail();
	puppet_serve(&p);
	CHECK(io_do(p.dev, IO_READ, 512, len - 1024, buf) == (int)len - 1024);
	CHECK(image_is(buf, 512, len - 1024));
	host_fill(w, 1000 * BLK + 1536, 100 * BLK, 7);
	CHECK(io_do(p.dev, IO_WRITE, 1000 * BLK + 1536, 100 * BLK, w) == 100 * BLK);
	CHECK(io_do(p.dev, IO_FUA, 1200 * BLK, 100 * BLK, w) == 100 * BLK);
	CHECK(io_do(p.dev, IO_ZERO, 1000 * BLK + 1536, 10 * BLK, NULL) == 0);
	CHECK(io_do(p.dev, IO_DISCARD, 1400 * BLK, 100 * BLK, NULL) == 0);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	/* Nothing volatile: passed on. */
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	CHECK(io_do(p.dev, IO_READ, 1000 * BLK, 102 * BLK, buf) == 102 * BLK);
	CHECK(image_is(buf, 1000 * BLK, 1536) && all_is(buf + 1536, 10 * BLK, 0));
	CHECK(host_is(buf + 1536 + 10 * BLK, 1010 * BLK + 1536, 90 * BLK, 7));
	puppet_serve_stop(&p);
	CHECK(puppet_zero(&p, 2000, 100) == 100);
	CHECK(memory_recover() > 0);
	CHECK(puppet_stat(&p).resident_blocks == puppet_map_count(&p));
	CHECK(!puppet_stat(&p).parked && puppet_stat(&p).state == SLUICE_STATE_DEPLOYING);
	puppet_stop(&p);
}

/*
 * More misses than there are reserves: the rest waits outside, and a write that
 * needs nobody does not wait behind them.
 */
static void inv29_misses_without_memory(void)
{
	enum { N = 100 };
	static struct io io[N];
	static uint8_t *buf[N];
	uint8_t *w = buffer(8 * BLK);
	struct puppet p;
	struct io write;

	if (left_out())
		return;
	puppet_init(&p, disk, 2 * IMAGE);
	p.deadline_ms = 40000;
	puppet_start(&p);
	/* Half a region: what follows is split, and waits for the region's edge. */
	CHECK(puppet_commit(&p, 0, 32) == 32);
	memory_fail();
	for (int i = 0; i < N; i++) {
		/* Over the edge of a region: two pieces. */
		buf[i] = buffer(2 * BLK);
		io_start(&io[i], p.dev, IO_READ, (i * 64 + 63) * BLK, 2 * BLK, buf[i]);
	}
	for (int i = 0; i < 1000 && puppet_stat(&p).parked < 64; i++)
		usleep(10000);
	CHECK(puppet_stat(&p).parked >= 64);
	for (int i = 0; i < 3; i++) {
		host_fill(w, (i * 128 + 28) * BLK, 8 * BLK, 3);
		io_start(&write, p.dev, IO_WRITE, (i * 128 + 28) * BLK, 8 * BLK, w);
		CHECK(io_done(&write, 20000));
		CHECK(io_wait(&write) == 8 * BLK);
	}
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	puppet_serve(&p);
	for (int i = 0; i < N; i++)
		CHECK(io_wait(&io[i]) == 2 * BLK && image_is(buf[i], (i * 64 + 63) * BLK, 2 * BLK));
	puppet_serve_stop(&p);
	CHECK(memory_recover() > 0);
	CHECK(!puppet_stat(&p).parked);
	puppet_stop(&p);
}

static long available_kb(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kb = -1;

	CHECK(f);
	while (kb < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "MemAvailable: %ld", &kb);
	fclose(f);
	return kb;
}

/* Takes memory until little is left, again and again: nothing is killed for it. */
static void hog(volatile bool *stop)
{
	const size_t step = 4 * MIB;
	static uint8_t *held[4096];
	int n = 0;

	while (!*stop) {
		if (available_kb() > 96 * 1024 && n < 4096) {
			held[n] = mmap(NULL, step, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			CHECK(held[n] != MAP_FAILED);
			for (size_t at = 0; at < step; at += BLK)
				held[n][at] = 1;
			n++;
		} else {
			/* Below what the kernel wants free: some of it back. */
			for (int i = 0; i < 8 && n && available_kb() < 80 * 1024; i++)
				munmap(held[--n], step);
			usleep(20000);
		}
	}
	_exit(0);
}

/* Dirty pages of the host's, whose way out leads through the module. */
static void memory_pressure(void)
{
	bool *stop = mmap(NULL, BLK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t *w = buffer(MIB), *buf = buffer(MIB);
	struct puppet p;
	char path[64];
	int fd, status;
	pid_t pid;

	CHECK(stop != MAP_FAILED);
	puppet_init(&p, disk, 4 * IMAGE);
	p.deadline_ms = 100000;
	puppet_start(&p);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		hog(stop);
	for (int i = 0; i < 3000 && available_kb() > 128 * 1024; i++)
		usleep(10000);
	CHECK(available_kb() <= 128 * 1024);
	puppet_serve(&p);
	snprintf(path, sizeof(path), "/dev/sluice%u", p.index);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	/* Through the cache; every other MiB off by half a block, which has to be fetched. */
	for (int i = 0; i < 24; i++) {
		uint64_t off = i * MIB + i % 2 * 2048;

		host_fill(w, off, MIB - 8192, 5);
		CHECK(pwrite(fd, w, MIB - 8192, off) == MIB - 8192);
	}
	CHECK(!fsync(fd));
	close(fd);
	for (int i = 0; i < 24; i++) {
		uint64_t off = i * MIB + i % 2 * 2048;

		CHECK(io_do(p.dev, IO_READ, off, MIB - 8192, buf) == MIB - 8192);
		CHECK(host_is(buf, off, MIB - 8192, 5));
	}
	puppet_serve_stop(&p);
	*stop = true;
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	puppet_stop(&p);
}

static void inv29_memory_pressure(void)
{
	/* Half a minute; what is to be seen by then others have seen. */
	if (!getenv("SLUICE_STRESS")) {
		printf("%s is left out\n", puppet_test);
		return;
	}
	memory_pressure();
}

const struct kmod_test memory_tests[] = {
#define T(x) { #x, x }
	T(inv29_open_without_memory),
	T(inv29_attach_without_memory),
	T(inv29_complete_without_memory),
	T(inv29_requests_without_memory),
	T(inv29_misses_without_memory),
	T(inv29_memory_pressure),
#undef T
	{ NULL, NULL }
};
