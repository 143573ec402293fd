// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <unistd.h>

#include "puppet.h"

#define RING_EVENTS 64

const char *puppet_test = "";
unsigned int slack = 1;
unsigned int puppet_sqe_flags;

/* The ring and the first pool blocks are shared by a test and its server. */
static pthread_mutex_t commit_lock = PTHREAD_MUTEX_INITIALIZER;

/* Stamps of 16 bytes: where, and who wrote it. */
static void stamp(uint8_t *out, uint64_t off, uint32_t who)
{
	uint64_t w[2] = { off ^ 0x5a5a5a5a00000000ULL, who * 0x9e3779b97f4a7c15ULL ^ off };

	memcpy(out, w, sizeof(w));
}

static void fill(void *buf, uint64_t off, size_t len, uint32_t who)
{
	for (size_t i = 0; i < len; i += 16)
		stamp((uint8_t *)buf + i, off + i, who);
}

static bool is(const void *buf, uint64_t off, size_t len, uint32_t who)
{
	uint8_t want[16];

	for (size_t i = 0; i < len; i += 16) {
		stamp(want, off + i, who);
		if (memcmp((const uint8_t *)buf + i, want, 16))
			return false;
	}
	return true;
}

void image_fill(void *buf, uint64_t off, size_t len)
{
	fill(buf, off, len, 0);
}

void host_fill(void *buf, uint64_t off, size_t len, uint32_t version)
{
	fill(buf, off, len, version);
}

bool image_is(const void *buf, uint64_t off, size_t len)
{
	return is(buf, off, len, 0);
}

bool host_is(const void *buf, uint64_t off, size_t len, uint32_t version)
{
	return is(buf, off, len, version);
}

bool all_is(const void *buf, size_t len, uint8_t value)
{
	const uint8_t *b = buf;

	for (size_t i = 0; i < len; i++)
		if (b[i] != value)
			return false;
	return true;
}

void *buffer(size_t len)
{
	void *p;

	CHECK(!posix_memalign(&p, 4096, len));
	memset(p, 0xee, len);
	return p;
}

void sysfs_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK(write(fd, value, strlen(value)) == (ssize_t)strlen(value));
	close(fd);
}

void puppet_init(struct puppet *p, const char *local, uint64_t image_bytes)
{
	memset(p, 0, sizeof(*p));
	p->local = local;
	p->image_bytes = image_bytes;
	p->lbs = 512;
	p->dev = -1;
	p->fd = -1;
	p->ctl = open("/dev/" SLUICE_CONTROL_NODE, O_RDWR | O_CLOEXEC);
	CHECK(p->ctl >= 0);
}

int puppet_open(struct puppet *p, uint32_t flags)
{
	struct sluice_open o = { .flags = flags, .abi_version = SLUICE_ABI_VERSION };
	struct stat st;
	int res;

	CHECK(!stat(p->local, &st) && S_ISBLK(st.st_mode));
	o.local_major = major(st.st_rdev);
	o.local_minor = minor(st.st_rdev);
	strcpy(o.name, "test");
	o.identity.image_bytes = p->image_bytes;
	o.identity.logical_block_size = p->lbs;
	strcpy(o.identity.image_name, "stamps");
	strcpy(o.identity.image_id, p->image_id);
	strcpy(o.local_id, p->local_id);
	o.namespace_bytes = p->namespace_bytes;
	o.deadline_ms = p->deadline_ms ?: SLUICE_DEADLINE_MS * slack;
	memcpy(o.uuid, p->uuid, 16);
	res = ioctl(p->ctl, SLUICE_IOC_OPEN, &o) ? -errno : 0;
	p->refusal = o.refusal;
	if (!res) {
		p->index = o.index;
		p->namespace_bytes = o.namespace_bytes;
		memcpy(p->uuid, o.uuid, 16);
	}
	return res;
}

int puppet_close(struct puppet *p)
{
	struct sluice_close c = { .index = p->index };

	return ioctl(p->ctl, SLUICE_IOC_CLOSE, &c) ? -errno : 0;
}

int puppet_attach(struct puppet *p)
{
	struct sluice_attach a = {
		.index = p->index,
		.abi_version = SLUICE_ABI_VERSION,
		.pool_blocks = PUPPET_POOL_BLOCKS,
		.ring_events = RING_EVENTS,
		.watchdog_ms = p->watchdog_ms ?: 2000,
	};
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 };
	int fd = open("/dev/" SLUICE_CONTROL_NODE, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	if (ioctl(fd, SLUICE_IOC_ATTACH, &a)) {
		int err = -errno;

		close(fd);
		return err;
	}
	p->fd = fd;
	p->gen = a.generation;
	CHECK(a.pool_bytes - PUPPET_POOL_BLOCKS * BLK < (size_t)sysconf(_SC_PAGESIZE));
	p->ring_bytes = a.ring_bytes;
	p->pool_bytes = a.pool_bytes;
	p->map_bytes = a.map_bytes;
	p->ring = mmap(NULL, a.ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, SLUICE_MMAP_RING);
	p->pool = mmap(NULL, a.pool_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, SLUICE_MMAP_POOL);
	p->map = mmap(NULL, a.map_bytes, PROT_READ, MAP_SHARED, fd, SLUICE_MMAP_MAP);
	CHECK(p->ring != MAP_FAILED && p->pool != MAP_FAILED && p->map != MAP_FAILED);
	CHECK(!io_uring_queue_init_params(64, &p->uring, &params));
	return 0;
}

void puppet_detach(struct puppet *p)
{
	if (p->fd < 0)
		return;
	ioctl(p->fd, SLUICE_IOC_DETACH);
	io_uring_queue_exit(&p->uring);
	munmap(p->ring, p->ring_bytes);
	munmap(p->pool, p->pool_bytes);
	munmap((void *)p->map, p->map_bytes);
	close(p->fd);
	p->fd = -1;
}

void puppet_open_bdev(struct puppet *p)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/sluice%u", p->index);
	for (int i = 0; i < 200 && (p->dev = open(path, O_RDWR | O_DIRECT | O_CLOEXEC)) < 0; i++)
		usleep(10000);
	CHECK(p->dev >= 0);
}

void puppet_close_bdev(struct puppet *p)
{
	if (p->dev >= 0)
		close(p->dev);
	p->dev = -1;
}

void puppet_start(struct puppet *p)
{
	int err = puppet_open(p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY);

	if (err)
		fprintf(stderr, "%s: open: %d, refusal %u\n", puppet_test, err, p->refusal);
	CHECK(!err);
	CHECK(!puppet_attach(p));
	puppet_open_bdev(p);
}

void puppet_shut(struct puppet *p)
{
	int err = -EBUSY;

	puppet_serve_stop(p);
	puppet_close_bdev(p);
	puppet_detach(p);
	/* udev or a late close may still have it open. */
	for (int i = 0; i < 300 && (err = puppet_close(p)) == -EBUSY; i++)
		usleep(10000);
	CHECK(!err);
}

void puppet_stop(struct puppet *p)
{
	puppet_shut(p);
	close(p->ctl);
}

static bool ring_take(struct puppet *p, struct sluice_event *e)
{
	uint32_t tail = __atomic_load_n(&p->ring->tail, __ATOMIC_ACQUIRE);

	if (p->ring->head == tail)
		return false;
	*e = p->ring->events[p->ring->head & (RING_EVENTS - 1)];
	__atomic_store_n(&p->ring->head, p->ring->head + 1, __ATOMIC_RELEASE);
	return true;
}

bool puppet_event(struct puppet *p, struct sluice_event *e, int ms)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };

	if (ring_take(p, e))
		return true;
	if (poll(&pfd, 1, ms) <= 0)
		return false;
	return ring_take(p, e);
}

void puppet_submit(struct puppet *p, const struct sluice_commit *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&p->uring);

	CHECK(sqe);
	memset(sqe, 0, 128);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = p->fd;
	sqe->flags = puppet_sqe_flags;
	sqe->cmd_op = SLUICE_CMD_COMMIT;
	sqe->user_data = c->pool_block;
	memcpy(sqe->cmd, c, sizeof(*c));
	CHECK(io_uring_submit(&p->uring) == 1);
}

int puppet_reap(struct puppet *p)
{
	struct io_uring_cqe *cqe;
	int res;

	CHECK(!io_uring_wait_cqe(&p->uring, &cqe));
	res = cqe->res;
	io_uring_cqe_seen(&p->uring, cqe);
	return res;
}

int puppet_commit_raw(struct puppet *p, const struct sluice_commit *c)
{
	int res;

	pthread_mutex_lock(&commit_lock);
	puppet_submit(p, c);
	res = puppet_reap(p);
	pthread_mutex_unlock(&commit_lock);
	return res;
}

void puppet_commit_start(struct puppet *p, uint64_t block, uint32_t blocks)
{
	struct sluice_commit c = { .generation = p->gen, .block = block, .blocks = blocks };

	image_fill(p->pool, block * BLK, (size_t)blocks * BLK);
	puppet_submit(p, &c);
}

int puppet_commit(struct puppet *p, uint64_t block, uint32_t blocks)
{
	int res;

	pthread_mutex_lock(&commit_lock);
	puppet_commit_start(p, block, blocks);
	res = puppet_reap(p);
	pthread_mutex_unlock(&commit_lock);
	return res;
}

int puppet_zero(struct puppet *p, uint64_t block, uint32_t blocks)
{
	struct sluice_commit c = { .generation = p->gen, .block = block, .blocks = blocks,
				   .flags = SLUICE_COMMIT_ZERO };

	return puppet_commit_raw(p, &c);
}

static uint64_t total(struct puppet *p)
{
	return (p->namespace_bytes + BLK - 1) / BLK;
}

/* Image data or zeroes past it, as a daemon would. */
static int provide(struct puppet *p, uint64_t block, uint32_t blocks)
{
	uint64_t image_blocks = (p->image_bytes + BLK - 1) / BLK;

	if (block >= image_blocks)
		return puppet_zero(p, block, blocks);
	if (block + blocks > image_blocks)
		blocks = image_blocks - block;
	return puppet_commit(p, block, blocks);
}

void puppet_fill_all(struct puppet *p)
{
	uint64_t n = total(p), b = 0;

	while (b < n) {
		uint32_t run = 1;

		if (puppet_resident(p, b)) {
			b++;
			continue;
		}
		while (b + run < n && run < 256 && !puppet_resident(p, b + run))
			run++;
		CHECK(provide(p, b, run) >= 0);
		if (puppet_resident(p, b))
			b++;
	}
}

static void *server(void *arg)
{
	struct puppet *p = arg;
	struct sluice_event e;

	while (p->serving) {
		if (p->ring->flags & SLUICE_RING_OVERFLOW) {
			struct sluice_generation g = { .generation = p->gen };

			p->ring->flags = 0;
			CHECK(!ioctl(p->fd, SLUICE_IOC_OFFER, &g));
		}
		if (!puppet_event(p, &e, 20))
			continue;
		for (uint32_t i = 0; i < e.blocks; i++)
			CHECK(provide(p, e.block + i, 1) >= 0);
		p->served++;
	}
	return NULL;
}

void puppet_serve(struct puppet *p)
{
	p->serving = true;
	CHECK(!pthread_create(&p->server, NULL, server, p));
}

void puppet_serve_stop(struct puppet *p)
{
	if (!p->serving)
		return;
	p->serving = false;
	pthread_join(p->server, NULL);
}

bool puppet_resident(struct puppet *p, uint64_t block)
{
	return __atomic_load_n(&p->map[block / 64], __ATOMIC_ACQUIRE) >> (block % 64) & 1;
}

struct sluice_stat puppet_stat(struct puppet *p)
{
	struct sluice_stat_index s = { .of.index = p->index };

	CHECK(!ioctl(p->ctl, SLUICE_IOC_STAT, &s));
	return s.stat;
}

uint64_t puppet_map_count(struct puppet *p)
{
	uint64_t n = 0;

	for (uint64_t b = 0; b < total(p); b++)
		n += puppet_resident(p, b);
	return n;
}

int write_fua(int fd, const void *buf, size_t len, uint64_t off)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int res;

	CHECK(!io_uring_queue_init(1, &ring, 0));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, fd, buf, len, off);
	sqe->rw_flags = RWF_DSYNC;
	CHECK(io_uring_submit(&ring) == 1);
	CHECK(!io_uring_wait_cqe(&ring, &cqe));
	res = cqe->res;
	io_uring_queue_exit(&ring);
	return res;
}

static void *io_thread(void *arg)
{
	struct io *io = arg;
	uint64_t range[2] = { io->off, io->len };

	switch (io->kind) {
	case IO_READ:
		io->res = pread(io->fd, io->buf, io->len, io->off);
		break;
	case IO_WRITE:
		io->res = pwrite(io->fd, io->buf, io->len, io->off);
		break;
	case IO_FUA:
		io->res = write_fua(io->fd, io->buf, io->len, io->off);
		errno = io->res < 0 ? -io->res : 0;
		break;
	case IO_SYNC:
		io->res = fsync(io->fd);
		break;
	case IO_DISCARD:
		io->res = ioctl(io->fd, BLKDISCARD, range);
		break;
	case IO_ZERO:
		io->res = ioctl(io->fd, BLKZEROOUT, range);
		break;
	}
	if (io->res < 0)
		io->res = -errno;
	__atomic_store_n(&io->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void io_start(struct io *io, int fd, enum io_kind kind, uint64_t off, size_t len, void *buf)
{
	*io = (struct io){ .fd = fd, .kind = kind, .off = off, .len = len, .buf = buf };
	CHECK(!pthread_create(&io->thread, NULL, io_thread, io));
}

bool io_done(struct io *io, int ms)
{
	for (int i = 0; i <= ms; i += 5) {
		if (__atomic_load_n(&io->done, __ATOMIC_ACQUIRE))
			return true;
		usleep(5000);
	}
	return false;
}

int io_wait(struct io *io)
{
	pthread_join(io->thread, NULL);
	return io->res;
}

int io_do(int fd, enum io_kind kind, uint64_t off, size_t len, void *buf)
{
	struct io io;

	io_start(&io, fd, kind, off, len, buf);
	return io_wait(&io);
}
