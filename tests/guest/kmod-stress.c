// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything at once: hosts that read and write the same blocks with every kind of
 * request, fills held open by a slow disk, a slow source, a daemon that is killed
 * and comes again; and an oracle that knows what each sector may hold.
 *
 * SLUICE_STRESS in the environment is how many times as long as in the check.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmod-oracle.h"
#include "kmod-test.h"

enum { HOSTS = 4, STEPS = 120, BLOCKS = 1024, MAX_SECTORS = 96, SLOTS = 16, SLOT = 64 };

struct host {
	pthread_t thread;
	int dev;
	unsigned int id;
	unsigned int seed;
	unsigned int steps;
	bool may_fail;
	unsigned int failed;
};

/* Shared with the daemons. */
struct shared {
	bool stop;
	bool may_fail;
	uint64_t commits;
	uint64_t lives;
};

static struct shared *shared;
static uint32_t last_version;
static int running;

static void one(struct host *h, uint8_t *buf)
{
	uint64_t sector, n, write;
	enum io_kind kind;
	uint32_t version = ORACLE_ZERO;
	int res, want;

	n = rand_r(&h->seed) % 4 ? 1 + rand_r(&h->seed) % MAX_SECTORS : 8 * (1 + rand_r(&h->seed) % 8);
	sector = rand_r(&h->seed) % (BLOCKS * 8 - n);
	if (rand_r(&h->seed) % 2)
		sector = sector / 8 * 8;
	kind = (enum io_kind[]){ IO_READ, IO_READ, IO_READ, IO_READ, IO_READ, IO_WRITE, IO_WRITE,
				 IO_WRITE, IO_WRITE, IO_WRITE, IO_FUA, IO_ZERO, IO_ZERO, IO_DISCARD,
				 IO_SYNC, IO_WRITE }[rand_r(&h->seed) % 16];
	want = kind == IO_READ || kind == IO_WRITE || kind == IO_FUA ? (int)n * 512 : 0;
	if (kind == IO_READ) {
		oracle_read(h->id);
		res = io_do(h->dev, kind, sector * 512, n * 512, buf);
		if (res == want)
			CHECK(oracle_is(h->id, sector, n, buf));
		else
			oracle_forget(h->id);
	} else if (kind == IO_SYNC) {
		res = io_do(h->dev, kind, 0, 0, NULL);
	} else {
		if (kind == IO_WRITE || kind == IO_FUA) {
			version = __atomic_add_fetch(&last_version, 1, __ATOMIC_RELAXED);
			host_fill(buf, sector * 512, n * 512, version);
		}
		write = oracle_begin(sector, n, version, kind == IO_DISCARD);
		res = io_do(h->dev, kind, sector * 512, n * 512, buf);
		oracle_end(write, sector, n, res == want);
	}
	if (res == want)
		return;
	h->failed++;
	if (!h->may_fail || res != -EIO)
		fprintf(stderr, "%s: request %d of %llu sectors at %llu gave %d\n", puppet_test, kind,
			(unsigned long long)n, (unsigned long long)sector, res);
	CHECK(h->may_fail && res == -EIO);
}

static void *host(void *arg)
{
	uint8_t *buf = buffer(MAX_SECTORS * 512);
	struct host *h = arg;

	while (h->steps--)
		one(h, buf);
	free(buf);
	__atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Provides blocks from a pool slot of its own; false: none is free. */
static bool provide(struct puppet *p, uint32_t *busy, uint64_t block, uint32_t blocks)
{
	struct sluice_commit c = { .generation = p->gen, .block = block, .blocks = blocks };
	unsigned int slot;

	if (*busy == (1U << SLOTS) - 1)
		return false;
	slot = __builtin_ctz(~*busy);
	*busy |= 1U << slot;
	c.pool_block = slot * SLOT;
	image_fill(p->pool + c.pool_block * BLK, block * BLK, (size_t)blocks * BLK);
	puppet_submit(p, &c);
	return true;
}

static void reap(struct puppet *p, uint32_t *busy)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&p->uring, &cqe)) {
		CHECK(cqe->res >= 0 || (shared->may_fail && cqe->res == -EIO));
		*busy &= ~(1U << (cqe->user_data / SLOT));
		io_uring_cqe_seen(&p->uring, cqe);
		__atomic_add_fetch(&shared->commits, 1, __ATOMIC_RELAXED);
	}
}

/* A life of a daemon: ends by SIGKILL. */
static void life(struct puppet p, unsigned int seed)
{
	struct sluice_event e;
	uint32_t busy = 0;

	for (int i = 0; puppet_attach(&p); i++) {
		CHECK(i < 2000);
		usleep(5000);
	}
	for (;;) {
		if (p.ring->flags & SLUICE_RING_OVERFLOW) {
			struct sluice_generation g = { .generation = p.gen };

			p.ring->flags = 0;
			CHECK(!ioctl(p.fd, SLUICE_IOC_OFFER, &g));
		}
		if (puppet_event(&p, &e, 2)) {
			uint32_t half = rand_r(&seed) % 2 ? e.blocks / 2 : 0;

			usleep(rand_r(&seed) % 8000);
			CHECK(e.blocks && e.blocks <= SLOT && e.block + e.blocks <= BLOCKS);
			while (!provide(&p, &busy, e.block + half, e.blocks - half))
				reap(&p, &busy);
			while (half && !provide(&p, &busy, e.block, half))
				reap(&p, &busy);
		} else {
			uint32_t n = 1 + rand_r(&seed) % 24;

			/* In no order, over what is there and what is not. */
			provide(&p, &busy, rand_r(&seed) % (BLOCKS - n), n);
		}
		reap(&p, &busy);
	}
}

static pid_t daemons(struct puppet *p)
{
	unsigned int seed = 99;
	pid_t keeper = fork(), pid;
	int status;

	CHECK(keeper >= 0);
	if (keeper)
		return keeper;
	/* Neither outlives a test that fails. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE)) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			life(*p, seed);
		}
		rand_r(&seed);
		for (int ms = 200 + rand_r(&seed) % 800; ms > 0 && !shared->stop; ms -= 10)
			usleep(10000);
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
		      WTERMSIG(status) == SIGKILL);
		shared->lives++;
	}
	_exit(0);
}

static void check_all(int fd)
{
	uint8_t *buf = buffer(64 * BLK);

	for (uint64_t b = 0; b < BLOCKS; b += 64) {
		oracle_read(0);
		CHECK(io_do(fd, IO_READ, b * BLK, 64 * BLK, buf) == 64 * BLK);
		CHECK(oracle_is(0, b * 8, 64 * 8, buf));
	}
	free(buf);
}

static void stress(bool errors)
{
	const char *times = getenv("SLUICE_STRESS");
	struct sluice_generation g = { };
	struct host hosts[HOSTS];
	unsigned int seed = 5, failed = 0;
	struct puppet p;
	int status, raw;
	pid_t keeper;

	stale(disk, BLOCKS * BLK);
	dm_create(0, disk_bytes(disk) / 512, errors ? "linear" : "delay");
	puppet_init(&p, BAD, BLOCKS * BLK);
	p.namespace_bytes = BLOCKS * BLK;
	/* A life may find the one before not buried yet. */
	p.deadline_ms = 600000;
	CHECK(!puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY));
	puppet_open_bdev(&p);
	oracle_init(BLOCKS * 8);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	CHECK(shared != MAP_FAILED);
	shared->may_fail = errors;
	keeper = daemons(&p);
	running = HOSTS;
	for (unsigned int i = 0; i < HOSTS; i++) {
		hosts[i] = (struct host){
			.dev = p.dev, .id = i, .seed = 100 + i, .may_fail = errors,
			.steps = (errors ? STEPS / 3 : STEPS) * (times ? atoi(times) : 1),
		};
		CHECK(!pthread_create(&hosts[i].thread, NULL, host, &hosts[i]));
	}
	/* A part of the disk goes bad, and well again, until the hosts are done. */
	while (errors && __atomic_load_n(&running, __ATOMIC_ACQUIRE)) {
		uint64_t n = 8 * (1 + rand_r(&seed) % 200);

		dm_swap(rand_r(&seed) % (BLOCKS * 8 - n), n, "error");
		usleep(rand_r(&seed) % 60000);
		dm_swap(0, 8, "linear");
		usleep(rand_r(&seed) % 60000);
	}
	for (int i = 0; i < HOSTS; i++) {
		pthread_join(hosts[i].thread, NULL);
		failed += hosts[i].failed;
	}
	/* With blocks missing still, then with none. */
	check_all(p.dev);
	shared->stop = true;
	CHECK(waitpid(keeper, &status, 0) == keeper && !status);
	printf("%llu commits in %llu lives, %u requests failed\n",
	       (unsigned long long)shared->commits, (unsigned long long)shared->lives, failed);
	CHECK(errors ? failed > 0 : !failed);
	CHECK(puppet_stat(&p).state == SLUICE_STATE_DEPLOYING && !puppet_stat(&p).parked);
	CHECK(!puppet_attach(&p));
	puppet_fill_all(&p);
	CHECK(puppet_stat(&p).resident_blocks == BLOCKS && puppet_map_count(&p) == BLOCKS);
	g.generation = p.gen;
	CHECK(!ioctl(p.fd, SLUICE_IOC_COMPLETE, &g));
	check_all(p.dev);
	puppet_stop(&p);
	raw = open(disk, O_RDONLY | O_DIRECT);
	CHECK(raw >= 0);
	check_all(raw);
	close(raw);
	dm_remove();
}

/* Invariants 1 to 7, 17, 18, 26, 33. */
static void inv7_overlapping_hosts(void)
{
	stress(false);
}

/* And 3, 5, 21 with a disk that fails now and then. */
static void inv21_failing_disk(void)
{
	stress(true);
}

const struct kmod_test stress_tests[] = {
#define T(x) { #x, x }
	T(inv7_overlapping_hosts),
	T(inv21_failing_disk),
#undef T
	{ NULL, NULL }
};
