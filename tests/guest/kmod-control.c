// SPDX-License-Identifier: GPL-2.0-or-later
/* The daemon's side: attachments, deadlines, malformed commands; and all at once. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <time.h>
#include <unistd.h>

#include "kmod-test.h"

static void inv22_inv23_deadline(void)
{
	struct puppet p;
	struct io r, w;
	uint8_t *buf = buffer(BLK), *data = buffer(512);
	struct sluice_index i = { };
	int t;

	puppet_init(&p, disk, IMAGE);
	p.deadline_ms = 500;
	puppet_start(&p);
	i.index = p.index;
	t = now_ms();
	io_start(&r, p.dev, IO_READ, 0, BLK, buf);
	io_start(&w, p.dev, IO_WRITE, 100 * BLK, 512, data);
	/* BLK_STS_MEDIUM */
	CHECK(io_wait(&r) == -ENODATA && io_wait(&w) == -ENODATA);
	t = now_ms() - t;
	CHECK(t >= 500 && t < 10000);
	CHECK(puppet_stat(&p).expired == 2 && puppet_stat(&p).parked == 0);
	/* Late data is welcome all the same. */
	CHECK(puppet_commit(&p, 0, 1) == 1);
	CHECK(io_do(p.dev, IO_READ, 0, BLK, buf) == BLK && image_is(buf, 0, BLK));
	/* On demand. */
	sysfs_write("/sys/block/sluice0/sluice/deadline_ms", "60000");
	io_start(&r, p.dev, IO_READ, 200 * BLK, BLK, buf);
	CHECK(!io_done(&r, 300));
	CHECK(!ioctl(p.ctl, SLUICE_IOC_FAIL_PARKED, &i));
	CHECK(io_wait(&r) == -ENODATA);
	puppet_stop(&p);
}

static void inv25_attachment(void)
{
	struct puppet p, q;
	struct sluice_event e;
	struct sluice_commit c;
	struct io io;
	uint8_t *buf = buffer(BLK);
	int status;
	pid_t pid;

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	q = p;
	CHECK(puppet_attach(&q) == -EBUSY);
	c = (struct sluice_commit){ .generation = p.gen + 1, .block = 0, .blocks = 1 };
	CHECK(puppet_commit_raw(&p, &c) == -ESTALE);
	c.generation = p.gen - 1;
	CHECK(puppet_commit_raw(&p, &c) == -ESTALE);

	/* A child with a copy of the descriptor neither commits nor holds on. */
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct io_uring_params params = { .flags = IORING_SETUP_SQE128 };

		CHECK(!io_uring_queue_init_params(4, &p.uring, &params));
		c.generation = p.gen;
		CHECK(puppet_commit_raw(&p, &c) == -EPERM);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	/* Nor from a worker thread of its ring. */
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct io_uring_params params = { .flags = IORING_SETUP_SQE128 };

		CHECK(!io_uring_queue_init_params(4, &p.uring, &params));
		c.generation = p.gen;
		puppet_sqe_flags = IOSQE_ASYNC;
		CHECK(puppet_commit_raw(&p, &c) == -EPERM);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(puppet_commit(&p, 0, 1) == 1);
	puppet_sqe_flags = IOSQE_ASYNC;
	CHECK(puppet_commit(&p, 1, 1) == 1);
	puppet_sqe_flags = 0;
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	io_start(&io, p.dev, IO_READ, 9 * BLK, BLK, buf);
	CHECK(puppet_event(&p, &e, 5000));
	close(p.fd);
	/* A parked request is offered again to the next one. */
	q = p;
	CHECK(!puppet_attach(&q));
	CHECK(q.gen > p.gen);
	CHECK(puppet_event(&q, &e, 5000) && e.block == 9);
	c.generation = p.gen;
	CHECK(puppet_commit_raw(&q, &c) == -ESTALE);
	CHECK(puppet_commit(&q, 9, 1) == 1);
	CHECK(io_wait(&io) == BLK && image_is(buf, 9 * BLK, BLK));
	kill(pid, 9);
	waitpid(pid, &status, 0);

	/* Silence past the watchdog (2 s here) lets another one in. */
	p = q;
	CHECK(puppet_attach(&p) == -EBUSY);
	p.fd = -1;
	sleep(3);
	CHECK(!puppet_attach(&p));
	CHECK(puppet_commit(&q, 11, 1) == -ENOLINK);
	close(q.fd);
	CHECK(puppet_commit(&p, 11, 1) == 1);
	puppet_stop(&p);
}

static void *closer(void *arg)
{
	struct puppet *p = arg;

	return (void *)(long)puppet_close(p);
}

/* Two closings at once, both waiting behind a slow sync: one of them closes. */
static void inv23_two_closers(void)
{
	struct sluice_index i = { };
	struct puppet p;
	uint8_t *w = buffer(BLK);
	pthread_t t[2];
	void *res[2];
	pid_t pid;
	int status;

	puppet_init(&p, slow, IMAGE);
	CHECK(!puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY));
	puppet_open_bdev(&p);
	CHECK(io_do(p.dev, IO_WRITE, 0, BLK, w) == BLK);
	puppet_close_bdev(&p);
	i.index = p.index;
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		ioctl(p.ctl, SLUICE_IOC_SYNC, &i);
		_exit(0);
	}
	usleep(50000);
	for (int n = 0; n < 2; n++)
		CHECK(!pthread_create(&t[n], NULL, closer, &p));
	for (int n = 0; n < 2; n++)
		pthread_join(t[n], &res[n]);
	waitpid(pid, &status, 0);
	CHECK((!res[0] && (long)res[1] == -ENODEV) || (!res[1] && (long)res[0] == -ENODEV));
	close(p.ctl);
}

/* A program that closes the disk waits for what is read ahead of it, and nobody for him. */
static void inv23_close_beside_closing(void)
{
	char path[64];
	struct puppet p;
	pid_t pid;
	int fd, status, from;

	puppet_init(&p, disk, IMAGE);
	p.deadline_ms = 60000;
	CHECK(!puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY));
	/* There once it is. */
	puppet_open_bdev(&p);
	puppet_close_bdev(&p);
	snprintf(path, sizeof(path), "/dev/sluice%u", p.index);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || posix_fadvise(fd, 100 * BLK, 4 * BLK, POSIX_FADV_WILLNEED))
			_exit(1);
		close(fd);
		_exit(0);
	}
	while (!puppet_stat(&p).parked)
		usleep(10000);
	usleep(200000);
	from = now_ms();
	CHECK(puppet_close(&p) == -EBUSY);
	CHECK(now_ms() - from < 5000);
	CHECK(!puppet_attach(&p));
	puppet_serve(&p);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	puppet_stop(&p);
}

/* Closing waits for what the disk is still writing, and keeps it. */
static void inv23_close_with_fills(void)
{
	struct puppet p, q;

	puppet_init(&p, slow, IMAGE);
	CHECK(!puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY) && !puppet_attach(&p));
	puppet_commit_start(&p, 100, 64);
	usleep(50000);
	/* Ends the attachment; the command goes on. */
	close(p.fd);
	CHECK(!puppet_close(&p));
	CHECK(puppet_reap(&p) == 64);
	puppet_init(&q, slow, IMAGE);
	CHECK(!puppet_open(&q, SLUICE_OPEN_IDENTITY));
	CHECK(puppet_stat(&q).resident_blocks == 64);
	CHECK(!puppet_close(&q));
}

/* A host that fills the quota with misses is held back, and can still write. */
static void inv28_quota(void)
{
	enum { N = 4600 };
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	struct puppet p;
	struct io io;
	uint8_t *buf = buffer(BLK), *w = buffer(BLK);
	struct sluice_index i = { };

	puppet_init(&p, disk, 64 * MIB);
	p.deadline_ms = 600000;
	puppet_start(&p);
	i.index = p.index;
	CHECK(!io_uring_queue_init(8192, &ring, 0));
	for (int n = 0; n < N; n++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		/* All into one buffer: nobody looks at it. */
		io_uring_prep_read(sqe, p.dev, buf, BLK, (uint64_t)(n * 3) * BLK);
		sqe->flags = IOSQE_ASYNC;
		if (n % 64 == 63)
			io_uring_submit(&ring);
	}
	io_uring_submit(&ring);
	for (int n = 0; n < 6000 && puppet_stat(&p).parked < 1000; n++)
		usleep(10000);
	/* A fill in between must not lift the limit. */
	CHECK(puppet_commit(&p, 16000, 1) == 1);
	usleep(200000);
	CHECK(puppet_stat(&p).parked <= 4096 - 512);
	io_start(&io, p.dev, IO_WRITE, 16002 * BLK, BLK, w);
	CHECK(io_done(&io, 10000) && io_wait(&io) == BLK);
	for (int n = 0; n < N; ) {
		ioctl(p.ctl, SLUICE_IOC_FAIL_PARKED, &i);
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			io_uring_cqe_seen(&ring, cqe);
			n++;
		}
		usleep(1000);
	}
	io_uring_queue_exit(&ring);
	puppet_stop(&p);
}

/* The attached process dies with commits in flight: no claim survives it. */
static void inv26_death(void)
{
	struct puppet p;
	struct io io;
	uint8_t *w = buffer(BLK);
	int status;
	pid_t pid;

	puppet_init(&p, slow, IMAGE);
	CHECK(!puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY));
	for (int i = 0; i < 3; i++) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid) {
			for (int n = 0; puppet_attach(&p) && n < 200; n++)
				usleep(10000);
			puppet_commit_start(&p, i * 100, 64);
			usleep(20000);
			kill(getpid(), SIGKILL);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	}
	puppet_open_bdev(&p);
	for (int i = 0; i < 3; i++) {
		io_start(&io, p.dev, IO_WRITE, (i * 100 + 5) * BLK, BLK, w);
		CHECK(io_done(&io, 5000) && io_wait(&io) == BLK);
	}
	CHECK(!puppet_attach(&p));
	CHECK(puppet_commit(&p, 500, 1) == 1);
	puppet_stop(&p);
}

static void inv27_malformed(void)
{
	struct puppet p;
	const uint64_t blocks = 4096 + 2048;	/* of the namespace */
	struct {
		struct sluice_commit c;
		int want;
	} bad[] = {
		{ { .blocks = 0 }, -EINVAL },
		{ { .blocks = 1, .flags = 2 }, -EINVAL },
		{ { .blocks = 1, .reserved = { 1 } }, -EINVAL },
		{ { .blocks = 1, .reserved = { 0, 0, 0, 0, 1 } }, -EINVAL },
		{ { .blocks = 1025 }, -EINVAL },
		{ { .blocks = ~0U }, -EINVAL },
		{ { .block = blocks, .blocks = 1 }, -ERANGE },
		{ { .block = blocks - 1, .blocks = 2 }, -ERANGE },
		{ { .block = ~0ULL, .blocks = 1 }, -ERANGE },
		{ { .block = ~0ULL - 1, .blocks = 1024 }, -ERANGE },
		{ { .blocks = 2, .pool_block = PUPPET_POOL_BLOCKS - 1 }, -ERANGE },
		{ { .blocks = 1, .pool_block = ~0U }, -ERANGE },
		{ { .blocks = 1, .pool_block = 1, .flags = SLUICE_COMMIT_ZERO }, -EINVAL },
		{ { .blocks = (1 << 18) + 1, .flags = SLUICE_COMMIT_ZERO }, -EINVAL },
	};
	struct sluice_open *o = calloc(1, sizeof(*o));
	struct sluice_attach a = { .abi_version = SLUICE_ABI_VERSION, .pool_blocks = 16,
				   .ring_events = 16 };
	struct sluice_set_index s = { .set.deadline_ms = ~0U };
	struct sluice_generation g = { .reserved = 1 };
	struct sluice_close cl = { .reserved = { 0, 1 } };
	void *m;

	puppet_init(&p, disk, IMAGE);
	p.namespace_bytes = blocks * BLK;
	puppet_start(&p);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int res;

		bad[i].c.generation = p.gen;
		res = puppet_commit_raw(&p, &bad[i].c);
		if (res != bad[i].want)
			fprintf(stderr, "malformed commit %zu gave %d\n", i, res);
		CHECK(res == bad[i].want);
	}
	/* A ring whose entries are too small for the payload. */
	{
		struct io_uring ring;
		struct io_uring_cqe *cqe;
		struct io_uring_sqe *sqe;

		CHECK(!io_uring_queue_init(4, &ring, 0));
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_nop(sqe);
		sqe->opcode = IORING_OP_URING_CMD;
		sqe->fd = p.fd;
		sqe->cmd_op = SLUICE_CMD_COMMIT;
		io_uring_submit(&ring);
		CHECK(!io_uring_wait_cqe(&ring, &cqe) && cqe->res == -EINVAL);
		io_uring_queue_exit(&ring);
	}
	/* The pool's blocks are the kernel's while a commit runs. */
	CHECK(puppet_stat(&p).resident_blocks == 0);

#define REFUSED(cmd, arg, want) CHECK(ioctl(p.ctl, cmd, arg) == -1 && errno == (want))
	o->flags = SLUICE_OPEN_IDENTITY;
	REFUSED(SLUICE_IOC_OPEN, o, EPROTO);
	o->abi_version = SLUICE_ABI_VERSION + 1;
	REFUSED(SLUICE_IOC_OPEN, o, EPROTO);
	o->abi_version = SLUICE_ABI_VERSION;
	REFUSED(SLUICE_IOC_OPEN, o, EINVAL);
	strcpy(o->name, "../evil");
	REFUSED(SLUICE_IOC_OPEN, o, EINVAL);
	memset(o->name, 'x', sizeof(o->name));
	REFUSED(SLUICE_IOC_OPEN, o, EINVAL);
	strcpy(o->name, "fine");
	o->identity.image_bytes = IMAGE;
	o->identity.logical_block_size = 1024;
	REFUSED(SLUICE_IOC_OPEN, o, EINVAL);
	o->identity.logical_block_size = 512;
	o->reserved[3] = 1;
	REFUSED(SLUICE_IOC_OPEN, o, EINVAL);
	o->reserved[3] = 0;
	o->flags = 1U << 31;
	REFUSED(SLUICE_IOC_OPEN, o, EINVAL);
	o->flags = SLUICE_OPEN_FORMAT;
	REFUSED(SLUICE_IOC_OPEN, o, EINVAL);
	o->flags = SLUICE_OPEN_IDENTITY;
	o->local_major = 4095;
	CHECK(ioctl(p.ctl, SLUICE_IOC_OPEN, o) == -1);
	o->local_major = ~0U;
	CHECK(ioctl(p.ctl, SLUICE_IOC_OPEN, o) == -1);
	REFUSED(SLUICE_IOC_OPEN, (void *)8, EFAULT);
	a.abi_version++;
	REFUSED(SLUICE_IOC_ATTACH, &a, EPROTO);
	a.abi_version--;
	a.ring_events = 17;
	REFUSED(SLUICE_IOC_ATTACH, &a, EINVAL);
	a.ring_events = 1U << 31;
	REFUSED(SLUICE_IOC_ATTACH, &a, EINVAL);
	a.ring_events = 16;
	a.pool_blocks = 0;
	REFUSED(SLUICE_IOC_ATTACH, &a, EINVAL);
	a.pool_blocks = ~0U;
	REFUSED(SLUICE_IOC_ATTACH, &a, EINVAL);
	a.pool_blocks = 16;
	a.index = 999;
	REFUSED(SLUICE_IOC_ATTACH, &a, ENODEV);
	s.of.index = p.index;
	REFUSED(SLUICE_IOC_SET, &s, EINVAL);
	REFUSED(SLUICE_IOC_CLOSE, &cl, EINVAL);
	cl.reserved[1] = 0;
	cl.index = p.index;
	REFUSED(SLUICE_IOC_CLOSE, &cl, EBUSY);
	REFUSED(SLUICE_IOC_DETACH, 0, ENOLINK);
	REFUSED(SLUICE_IOC_HEARTBEAT, &g, ENOLINK);
	CHECK(ioctl(p.fd, SLUICE_IOC_HEARTBEAT, &g) == -1 && errno == EINVAL);
	REFUSED(_IO(SLUICE_IOC_MAGIC, 0x77), 0, ENOTTY);

	/* The map is read-only and stays so; sizes must fit. */
	m = mmap(NULL, p.map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, SLUICE_MMAP_MAP);
	CHECK(m == MAP_FAILED && errno == EPERM);
	CHECK(mprotect((void *)p.map, p.map_bytes, PROT_READ | PROT_WRITE) && errno == EACCES);
	m = mmap(NULL, p.ring_bytes + BLK, PROT_READ, MAP_SHARED, p.fd, SLUICE_MMAP_RING);
	CHECK(m == MAP_FAILED);
	m = mmap(NULL, BLK, PROT_READ, MAP_SHARED, p.fd, SLUICE_MMAP_RING + BLK);
	CHECK(m == MAP_FAILED);
	m = mmap(NULL, p.pool_bytes, PROT_READ, MAP_PRIVATE, p.fd, SLUICE_MMAP_POOL);
	CHECK(m == MAP_FAILED);
	/* A nonsensical head is only the daemon's own loss. */
	p.ring->head = 0x80000000U;
	{
		struct io io;
		uint8_t *buf = buffer(BLK);

		io_start(&io, p.dev, IO_READ, 0, BLK, buf);
		usleep(100000);
		CHECK(p.ring->flags & SLUICE_RING_OVERFLOW);
		CHECK(puppet_commit(&p, 0, 1) == 1);
		CHECK(io_wait(&io) == BLK);
	}
	free(o);
	puppet_stop(&p);
}

static void pool_ownership(void)
{
	struct puppet p;
	struct sluice_commit c;

	puppet_init(&p, slow, IMAGE);
	puppet_start(&p);
	puppet_commit_start(&p, 0, 8);
	usleep(50000);
	c = (struct sluice_commit){ .generation = p.gen, .block = 100, .blocks = 1, .pool_block = 7 };
	CHECK(puppet_commit_raw(&p, &c) == -EBUSY);
	c.pool_block = 8;
	image_fill(p.pool + 8 * BLK, 100 * BLK, BLK);
	CHECK(puppet_commit_raw(&p, &c) >= 0);
	puppet_reap(&p);
	puppet_stop(&p);
}

static void inv28_ring_overflow(void)
{
	enum { N = 100 };
	static struct io io[N];
	static uint8_t *buf[N];
	struct puppet p;

	puppet_init(&p, disk, IMAGE);
	/* A hundred threads take their time on a slow kernel. */
	p.deadline_ms = 120000;
	puppet_start(&p);
	for (int i = 0; i < N; i++) {
		buf[i] = buffer(BLK);
		io_start(&io[i], p.dev, IO_READ, i * 3 * BLK, BLK, buf[i]);
	}
	for (int i = 0; i < 500 && puppet_stat(&p).parked < N; i++)
		usleep(10000);
	CHECK(puppet_stat(&p).parked == N);
	CHECK(p.ring->flags & SLUICE_RING_OVERFLOW);
	puppet_serve(&p);
	for (int i = 0; i < N; i++)
		CHECK(io_wait(&io[i]) == BLK && image_is(buf[i], i * 3 * BLK, BLK));
	puppet_stop(&p);
}

static uint64_t sysfs_u64(struct puppet *p, const char *group, const char *name)
{
	char path[128], text[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/block/sluice%u/%s/%s", p->index, group, name);
	f = fopen(path, "r");
	CHECK(f && fgets(text, sizeof(text), f));
	fclose(f);
	return strtoull(text, NULL, 10);
}

static void inv30_limits(void)
{
	struct puppet p;

	puppet_init(&p, disk, IMAGE);
	p.lbs = 4096;
	puppet_start(&p);
	CHECK(sysfs_u64(&p, "queue", "logical_block_size") == 4096);
	CHECK(sysfs_u64(&p, "queue", "physical_block_size") >= 4096);
	CHECK(sysfs_u64(&p, "queue", "dax") == 0);
	CHECK(sysfs_u64(&p, "queue", "discard_granularity") >= 4096);
	CHECK(sysfs_u64(&p, "queue", "fua") == 1);
	CHECK(sysfs_u64(&p, "sluice", "total_blocks") == p.namespace_bytes / BLK);
	CHECK(sysfs_u64(&p, "sluice", "image_bytes") == IMAGE);
	puppet_stop(&p);

	/* A disk's chunks are its own affair. */
	dm_create(0, disk_bytes(disk) / 512, "striped");
	puppet_init(&p, BAD, IMAGE);
	puppet_start(&p);
	CHECK(sysfs_u64(&p, "queue", "chunk_sectors") == 0);
	puppet_stop(&p);
	dm_remove();
}

struct worker {
	pthread_t thread;
	struct puppet *p;
	int id;
	unsigned int seed;
};

enum { STRESS_WORKERS = 4, STRESS_BLOCKS = 512, STRESS_SECTORS = STRESS_BLOCKS * 8 };

/*
 * Each worker owns every fourth stripe of 3 sectors, so that neighbours share
 * blocks; the oracle holds each sector's version (0 image, -1 zeroes, -2
 * discarded: image of nobody, zeroes or the last version).
 */
static void *stress_worker(void *arg)
{
	struct worker *w = arg;
	uint8_t *buf = buffer(3 * 512 * 8);
	static int version[STRESS_WORKERS][STRESS_SECTORS / 12 + 1];
	int *v = version[w->id];

	for (int step = 0; step < 700; step++) {
		int slot = rand_r(&w->seed) % (STRESS_SECTORS / 12 - 1);
		uint64_t off = (uint64_t)(slot * 12 + w->id * 3) * 512;
		size_t len = 3 * 512;

		switch (rand_r(&w->seed) % 8) {
		case 0:
		case 1:
		case 2:
			v[slot] = step + 1;
			host_fill(buf, off, len, v[slot]);
			CHECK(io_do(w->p->dev, IO_WRITE, off, len, buf) == (int)len);
			break;
		case 3:
			v[slot] = -1;
			CHECK(io_do(w->p->dev, IO_ZERO, off, len, NULL) == 0);
			break;
		case 4:
			CHECK(io_do(w->p->dev, IO_SYNC, 0, 0, NULL) == 0);
			break;
		default:
			CHECK(io_do(w->p->dev, IO_READ, off, len, buf) == (int)len);
			CHECK(v[slot] == 0 ? image_is(buf, off, len) :
			      v[slot] == -1 ? all_is(buf, len, 0) :
			      host_is(buf, off, len, v[slot]));
		}
	}
	free(buf);
	return NULL;
}

static void inv7_stress(void)
{
	struct worker w[STRESS_WORKERS];
	struct puppet p;

	puppet_init(&p, disk, IMAGE);
	p.namespace_bytes = IMAGE;
	p.deadline_ms = 120000;
	puppet_start(&p);
	puppet_serve(&p);
	for (int i = 0; i < STRESS_WORKERS; i++) {
		w[i] = (struct worker){ .p = &p, .id = i, .seed = 1000 + i };
		CHECK(!pthread_create(&w[i].thread, NULL, stress_worker, &w[i]));
	}
	for (int i = 0; i < STRESS_WORKERS; i++)
		pthread_join(w[i].thread, NULL);
	/* Counters equal the map. */
	CHECK(puppet_stat(&p).resident_blocks == puppet_map_count(&p));
	CHECK(puppet_stat(&p).parked == 0);
	puppet_stop(&p);
}

const struct kmod_test control_tests[] = {
#define T(x) { #x, x }
	T(inv22_inv23_deadline),
	T(inv25_attachment),
	T(inv23_two_closers),
	T(inv23_close_beside_closing),
	T(inv23_close_with_fills),
	T(inv28_quota),
	T(inv26_death),
	T(inv27_malformed),
	T(pool_ownership),
	T(inv28_ring_overflow),
	T(inv30_limits),
	T(inv7_stress),
#undef T
	{ NULL, NULL }
};
