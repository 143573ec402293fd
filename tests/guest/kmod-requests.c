// SPDX-License-Identifier: GPL-2.0-or-later
/* Every kind of request over every kind of range. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <time.h>
#include <unistd.h>

#include "kmod-test.h"

static void read_missing(void)
{
	struct puppet p;
	struct sluice_event e;
	struct io io;
	void *buf = buffer(8 * BLK);

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	io_start(&io, p.dev, IO_READ, 5 * BLK, 2 * BLK, buf);
	CHECK(puppet_event(&p, &e, 5000));
	CHECK(e.block == 5 && e.blocks == 2 && e.kind == SLUICE_EVENT_READ);
	CHECK(!io_done(&io, 100));
	CHECK(puppet_stat(&p).parked == 1);
	CHECK(puppet_commit(&p, 5, 2) == 2);
	CHECK(io_wait(&io) == 2 * BLK && image_is(buf, 5 * BLK, 2 * BLK));
	CHECK(puppet_resident(&p, 5) && puppet_resident(&p, 6) && !puppet_resident(&p, 7));
	/* Again: from the local disk, without an event. */
	CHECK(io_do(p.dev, IO_READ, 5 * BLK, 2 * BLK, buf) == 2 * BLK);
	CHECK(image_is(buf, 5 * BLK, 2 * BLK));
	CHECK(!puppet_event(&p, &e, 50));
	CHECK(puppet_stat(&p).parked == 0);
	puppet_stop(&p);
}

/* A read waits, the host writes over half of it, the fill brings all. */
static void inv7_write_before_fill(void)
{
	uint8_t *buf = buffer(2 * BLK), *w = buffer(BLK);
	struct sluice_event e;
	struct puppet p;
	struct io io;

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	io_start(&io, p.dev, IO_READ, 8 * BLK, 2 * BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 8);
	host_fill(w, 8 * BLK, BLK, 1);
	CHECK(io_do(p.dev, IO_WRITE, 8 * BLK, BLK, w) == BLK);
	CHECK(!io_done(&io, 50));
	CHECK(puppet_commit(&p, 8, 2) == 1);
	CHECK(io_wait(&io) == 2 * BLK);
	CHECK(host_is(buf, 8 * BLK, BLK, 1) && image_is(buf + BLK, 9 * BLK, BLK));
	puppet_stop(&p);
}

static void reads_join(void)
{
	struct puppet p;
	struct sluice_event e;
	struct io io[4];
	void *buf[4];

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	for (int i = 0; i < 4; i++) {
		buf[i] = buffer(4 * BLK);
		io_start(&io[i], p.dev, IO_READ, 64 * BLK, 4 * BLK, buf[i]);
	}
	CHECK(puppet_event(&p, &e, 5000));
	CHECK(e.block == 64 && e.blocks == 4);
	CHECK(!puppet_event(&p, &e, 300));
	/* In two halves: each read is answered once both are there. */
	CHECK(puppet_commit(&p, 64, 2) == 2);
	CHECK(!io_done(&io[0], 100));
	CHECK(puppet_commit(&p, 66, 2) == 2);
	for (int i = 0; i < 4; i++)
		CHECK(io_wait(&io[i]) == 4 * BLK && image_is(buf[i], 64 * BLK, 4 * BLK));
	CHECK(puppet_commit(&p, 64, 4) == 0);
	puppet_stop(&p);
}

/* Resident and missing, unaligned, over region borders. */
static void inv6_mixed(void)
{
	struct puppet p;
	const size_t len = 300 * BLK;
	uint8_t *buf = buffer(len), *w = buffer(len);

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	for (int b = 0; b < 300; b += 7)
		CHECK(puppet_commit(&p, b, 3) >= 0);
	puppet_serve(&p);
	CHECK(io_do(p.dev, IO_READ, 512, len - 1024, buf) == (int)len - 1024);
	CHECK(image_is(buf, 512, len - 1024));
	/* Write over an unaligned mixed range, read around it. */
	for (int b = 1000; b < 1300; b += 5)
		CHECK(puppet_commit(&p, b, 2) >= 0);
	host_fill(w, 1000 * BLK + 1536, 200 * BLK, 7);
	CHECK(io_do(p.dev, IO_WRITE, 1000 * BLK + 1536, 200 * BLK, w) == 200 * BLK);
	CHECK(io_do(p.dev, IO_READ, 1000 * BLK, 202 * BLK, buf) == 202 * BLK);
	CHECK(image_is(buf, 1000 * BLK, 1536));
	CHECK(host_is(buf + 1536, 1000 * BLK + 1536, 200 * BLK, 7));
	CHECK(image_is(buf + 1536 + 200 * BLK, 1200 * BLK + 1536, 2 * BLK - 1536));
	puppet_stop(&p);
}

static void inv6_short_last_block(void)
{
	struct puppet p;
	uint8_t *buf = buffer(4 * BLK);
	const uint64_t size = 2 * MIB + 3 * 512;

	puppet_init(&p, disk, size);
	p.namespace_bytes = size;
	puppet_start(&p);
	CHECK(p.namespace_bytes == size);
	/* The end of the namespace is the end of its last block. */
	host_fill(buf, 2 * MIB, 3 * 512, 9);
	CHECK(io_do(p.dev, IO_WRITE, 2 * MIB, 3 * 512, buf) == 3 * 512);
	CHECK(puppet_resident(&p, 512));
	puppet_serve(&p);
	CHECK(io_do(p.dev, IO_READ, 2 * MIB - BLK, BLK + 3 * 512, buf) == BLK + 3 * 512);
	CHECK(image_is(buf, 2 * MIB - BLK, BLK) && host_is(buf + BLK, 2 * MIB, 3 * 512, 9));
	CHECK(io_do(p.dev, IO_READ, size, 512, buf) == 0);
	puppet_serve_stop(&p);
	puppet_fill_all(&p);
	CHECK(puppet_stat(&p).resident_blocks == 513);
	CHECK(puppet_map_count(&p) == 513);
	puppet_stop(&p);

	puppet_init(&p, disk, size);
	p.namespace_bytes = size;
	puppet_start(&p);
	CHECK(puppet_commit(&p, 511, 2) == 2);
	CHECK(io_do(p.dev, IO_READ, 2 * MIB, 3 * 512, buf) == 3 * 512);
	CHECK(image_is(buf, 2 * MIB, 3 * 512));
	puppet_stop(&p);
}

/* A fill's local write is in flight when the host writes. */
static void inv1_inv2_fill_then_write(void)
{
	struct puppet p;
	struct io io;
	uint8_t *buf = buffer(2 * BLK), *w = buffer(BLK);
	int since;

	puppet_init(&p, slow, IMAGE);
	puppet_start(&p);
	host_fill(w, 8 * BLK, BLK, 3);
	since = now_ms();
	puppet_commit_start(&p, 8, 2);
	io_start(&io, p.dev, IO_WRITE, 8 * BLK, BLK, w);
	CHECK(!io_done(&io, 100));
	CHECK(puppet_reap(&p) == 2);
	CHECK(io_wait(&io) == BLK);
	/* One after the other, each its 300 ms: the delay counts in ticks. */
	CHECK(now_ms() - since >= 590);
	CHECK(io_do(p.dev, IO_READ, 8 * BLK, 2 * BLK, buf) == 2 * BLK);
	CHECK(host_is(buf, 8 * BLK, BLK, 3) && image_is(buf + BLK, 9 * BLK, BLK));
	puppet_stop(&p);
}

/* The host's write is in flight when the fill comes. */
static void inv1_write_then_fill(void)
{
	struct puppet p;
	struct io io;
	uint8_t *buf = buffer(2 * BLK), *w = buffer(BLK);

	puppet_init(&p, slow, IMAGE);
	puppet_start(&p);
	host_fill(w, 8 * BLK, BLK, 3);
	io_start(&io, p.dev, IO_WRITE, 8 * BLK, BLK, w);
	usleep(100000);
	CHECK(!io_done(&io, 0));
	CHECK(puppet_commit(&p, 8, 2) == 1);
	CHECK(io_wait(&io) == BLK);
	CHECK(io_do(p.dev, IO_READ, 8 * BLK, 2 * BLK, buf) == 2 * BLK);
	CHECK(host_is(buf, 8 * BLK, BLK, 3) && image_is(buf + BLK, 9 * BLK, BLK));
	puppet_stop(&p);
}

/* dm-clone's first: a fill in flight, then discard + write + fsync. */
static void inv1_fill_discard_write_fsync(void)
{
	struct puppet p;
	struct io d, w;
	uint8_t *buf = buffer(4 * BLK), *data = buffer(BLK);

	puppet_init(&p, slow, IMAGE);
	puppet_start(&p);
	host_fill(data, 17 * BLK, BLK, 5);
	puppet_commit_start(&p, 16, 4);
	io_start(&d, p.dev, IO_DISCARD, 16 * BLK, 4 * BLK, NULL);
	usleep(50000);
	io_start(&w, p.dev, IO_WRITE, 17 * BLK, BLK, data);
	CHECK(io_wait(&d) == 0);
	CHECK(io_wait(&w) == BLK);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	CHECK(puppet_reap(&p) == 4);
	CHECK(io_do(p.dev, IO_READ, 17 * BLK, BLK, buf) == BLK);
	/* Discard and write may pass each other: what must not show is the image. */
	CHECK(host_is(buf, 17 * BLK, BLK, 5) || all_is(buf, BLK, 0));
	puppet_stop(&p);
}

static void inv3_bit_after_data(void)
{
	struct puppet p;
	uint8_t *w = buffer(BLK);
	struct io io;

	puppet_init(&p, slow, IMAGE);
	puppet_start(&p);
	io_start(&io, p.dev, IO_WRITE, 3 * BLK, BLK, w);
	puppet_commit_start(&p, 70, 1);
	usleep(120000);
	CHECK(!puppet_resident(&p, 3) && !puppet_resident(&p, 70));
	CHECK(io_wait(&io) == BLK && puppet_resident(&p, 3));
	CHECK(puppet_reap(&p) == 1 && puppet_resident(&p, 70));
	puppet_stop(&p);
}

static void inv4_two_partial_writers(void)
{
	struct puppet p;
	struct sluice_event e;
	struct io a, b;
	uint8_t *wa = buffer(1024), *wb = buffer(512), *buf = buffer(BLK);

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	host_fill(wa, 20 * BLK, 1024, 1);
	host_fill(wb, 20 * BLK + 2048, 512, 2);
	io_start(&a, p.dev, IO_WRITE, 20 * BLK, 1024, wa);
	io_start(&b, p.dev, IO_WRITE, 20 * BLK + 2048, 512, wb);
	CHECK(puppet_event(&p, &e, 5000));
	CHECK(e.block == 20 && e.blocks == 1 && e.kind == SLUICE_EVENT_WRITE);
	CHECK(!puppet_event(&p, &e, 300));
	CHECK(!io_done(&a, 0) && !io_done(&b, 0));
	CHECK(puppet_commit(&p, 20, 1) == 1);
	CHECK(io_wait(&a) == 1024 && io_wait(&b) == 512);
	CHECK(io_do(p.dev, IO_READ, 20 * BLK, BLK, buf) == BLK);
	CHECK(host_is(buf, 20 * BLK, 1024, 1));
	CHECK(image_is(buf + 1024, 20 * BLK + 1024, 1024));
	CHECK(host_is(buf + 2048, 20 * BLK + 2048, 512, 2));
	CHECK(image_is(buf + 2560, 20 * BLK + 2560, BLK - 2560));
	puppet_stop(&p);
}

/* Whole missing blocks are written and synced while nobody serves. */
static void write_needs_no_daemon(void)
{
	struct puppet p;
	uint8_t *w = buffer(64 * BLK), *buf = buffer(64 * BLK);

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	puppet_detach(&p);
	host_fill(w, 30 * BLK, 64 * BLK, 4);
	CHECK(io_do(p.dev, IO_WRITE, 30 * BLK, 64 * BLK, w) == 64 * BLK);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	CHECK(io_do(p.dev, IO_READ, 30 * BLK, 64 * BLK, buf) == 64 * BLK);
	CHECK(host_is(buf, 30 * BLK, 64 * BLK, 4));
	CHECK(puppet_stat(&p).host_blocks == 64 && puppet_stat(&p).dirty_pages == 0);
	puppet_stop(&p);
}

/* dm-clone's second: a discarded missing block shows the previous tenant. */
static void inv17_discard_of_missing(void)
{
	uint64_t sent;
	struct puppet p;
	uint8_t *buf = buffer(8 * BLK);

	stale(disk, IMAGE);
	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	/* A hint would do on this disk, but not on each. */
	sent = disk_stat(disk, DISCARDS);
	CHECK(io_do(p.dev, IO_DISCARD, 40 * BLK, 4 * BLK, NULL) == 0);
	CHECK(disk_stat(disk, DISCARDS) == sent);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	CHECK(puppet_commit(&p, 40, 8) == 4);
	CHECK(io_do(p.dev, IO_READ, 40 * BLK, 8 * BLK, buf) == 8 * BLK);
	CHECK(all_is(buf, 4 * BLK, 0) && image_is(buf + 4 * BLK, 44 * BLK, 4 * BLK));
	/* And over a crash. */
	crash_copy();
	puppet_stop(&p);
	puppet_init(&p, copy, IMAGE);
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY) && !puppet_attach(&p));
	puppet_open_bdev(&p);
	CHECK(puppet_resident(&p, 40) && puppet_resident(&p, 43));
	CHECK(io_do(p.dev, IO_READ, 40 * BLK, 4 * BLK, buf) == 4 * BLK && all_is(buf, 4 * BLK, 0));
	puppet_stop(&p);
}

/* Parts of blocks at a discard's edges are ignored, waiting for nobody. */
static void inv17_partial_discard(void)
{
	struct puppet p;
	uint8_t *buf = buffer(4 * BLK);

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	CHECK(io_do(p.dev, IO_DISCARD, 50 * BLK + 512, 3 * BLK, NULL) == 0);
	CHECK(!puppet_resident(&p, 50) && puppet_resident(&p, 51) && puppet_resident(&p, 52) &&
	      !puppet_resident(&p, 53));
	puppet_serve(&p);
	CHECK(io_do(p.dev, IO_READ, 50 * BLK, 4 * BLK, buf) == 4 * BLK);
	CHECK(image_is(buf, 50 * BLK, BLK) && all_is(buf + BLK, 2 * BLK, 0) &&
	      image_is(buf + 3 * BLK, 53 * BLK, BLK));
	puppet_stop(&p);
}

static void inv18_write_zeroes(void)
{
	struct puppet p;
	uint8_t *buf = buffer(8 * BLK);

	stale(disk, IMAGE);
	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	puppet_serve(&p);
	CHECK(puppet_commit(&p, 62, 1) == 1);
	/* From the middle of a missing block, over a region border, into another. */
	CHECK(io_do(p.dev, IO_ZERO, 61 * BLK + 1024, 5 * BLK, NULL) == 0);
	CHECK(io_do(p.dev, IO_READ, 60 * BLK, 8 * BLK, buf) == 8 * BLK);
	CHECK(image_is(buf, 60 * BLK, BLK + 1024));
	CHECK(all_is(buf + BLK + 1024, 5 * BLK, 0));
	CHECK(image_is(buf + 6 * BLK + 1024, 66 * BLK + 1024, 2 * BLK - 1024));
	puppet_stop(&p);
}

static void zeroes_past_image(void)
{
	struct puppet p;
	uint8_t *buf = buffer(4 * BLK);
	uint64_t first = IMAGE / BLK;

	stale(disk, 3 * IMAGE);
	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	CHECK(p.namespace_bytes > IMAGE);
	CHECK(puppet_zero(&p, first, 4) == 4);
	CHECK(io_do(p.dev, IO_READ, IMAGE, 4 * BLK, buf) == 4 * BLK && all_is(buf, 4 * BLK, 0));
	puppet_serve(&p);
	CHECK(io_do(p.dev, IO_READ, IMAGE + 8 * BLK, 4 * BLK, buf) == 4 * BLK);
	CHECK(all_is(buf, 4 * BLK, 0));
	/* One command over many regions and windows. */
	CHECK(puppet_zero(&p, first + 100, 3000) == 3000);
	puppet_stop(&p);
}

static void inv12_previous_tenant(void)
{
	struct puppet p;
	uint8_t *buf = buffer(BLK);

	stale(disk, IMAGE);
	puppet_init(&p, disk, IMAGE);
	p.deadline_ms = 300;
	puppet_start(&p);
	CHECK(io_do(p.dev, IO_READ, 3 * BLK, BLK, buf) < 0);
	CHECK(all_is(buf, BLK, 0xee));
	puppet_stop(&p);
}

static void nowait(void)
{
	struct puppet p;
	uint8_t *buf = buffer(2 * BLK);
	struct iovec iov = { buf, 2 * BLK };
	ssize_t n;

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	CHECK(puppet_commit(&p, 4, 1) == 1);
	n = preadv2(p.dev, &iov, 1, 4 * BLK, RWF_NOWAIT);
	CHECK(n == -1 && (errno == EAGAIN || errno == EOPNOTSUPP));
	CHECK(puppet_stat(&p).parked_total == 0);
	CHECK(puppet_commit(&p, 5, 1) == 1);
	n = preadv2(p.dev, &iov, 1, 4 * BLK, RWF_NOWAIT);
	CHECK(n == 2 * BLK || (n == -1 && errno == EOPNOTSUPP));
	puppet_stop(&p);
}

/* As <linux/blkdev.h> since 6.12; the range is where other commands have an address. */
#define URING_DISCARD _IO(0x12, 0)

static int uring_discard(struct puppet *p, uint64_t off, uint64_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&p->uring);

	CHECK(sqe);
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = p->dev;
	sqe->cmd_op = URING_DISCARD;
	sqe->addr = off;
	sqe->addr3 = len;
	CHECK(io_uring_submit(&p->uring) == 1);
	return puppet_reap(p);
}

/* The kernel asks without waiting first, and where it is told to, once more. */
static void nowait_discard(void)
{
	struct puppet p;
	uint64_t asked;
	int res;

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	CHECK(puppet_commit(&p, 8, 16) == 16);
	asked = puppet_stat(&p).host_seq;
	res = uring_discard(&p, 8 * BLK, 8 * BLK);
	if (res != -EOPNOTSUPP && res != -EINVAL) {
		CHECK(!res && puppet_stat(&p).host_seq == asked + 1);
		/* Missing, and half of each. */
		CHECK(!uring_discard(&p, 64 * BLK, 8 * BLK));
		CHECK(puppet_stat(&p).host_seq == asked + 3);
		CHECK(!uring_discard(&p, 20 * BLK, 8 * BLK));
		CHECK(puppet_stat(&p).host_seq == asked + 5);
		CHECK(puppet_resident(&p, 64) && puppet_resident(&p, 27));
	}
	puppet_stop(&p);
}

struct scribbler {
	uint8_t *buf;
	size_t len;
	volatile bool stop;
};

static void *scribble(void *arg)
{
	struct scribbler *s = arg;

	for (uint8_t n = 0; !s->stop; n++) {
		memset(s->buf, n, s->len);
		usleep(500);
	}
	return NULL;
}

/* What the host does to its pages while they are read into is its own affair. */
static void inv31_changing_pages(void)
{
	const size_t len = 16 * BLK;
	uint8_t *buf = buffer(len), *w = buffer(len);
	struct scribbler s = { .buf = w, .len = len };
	struct puppet p;
	pthread_t t;

	puppet_init(&p, disk, MIB);
	p.namespace_bytes = MIB;
	puppet_start(&p);
	puppet_serve(&p);
	CHECK(!pthread_create(&t, NULL, scribble, &s));
	for (uint64_t at = 0; at < MIB; at += len)
		CHECK(io_do(p.dev, IO_READ, at + 512, len - 1024, w) == (int)len - 1024);
	/* Written, it is anything; what lies beside it is as it was. */
	CHECK(io_do(p.dev, IO_WRITE, 64 * BLK + 1536, 512, w) == 512);
	CHECK(io_do(p.dev, IO_WRITE, 66 * BLK, BLK, w) == BLK);
	s.stop = true;
	pthread_join(t, NULL);
	CHECK(puppet_map_count(&p) == MIB / BLK);
	memset(w, 1, len);
	CHECK(io_do(p.dev, IO_WRITE, 64 * BLK + 1536, 512, w) == 512);
	CHECK(io_do(p.dev, IO_WRITE, 66 * BLK, BLK, w) == BLK);
	puppet_stop(&p);
	for (uint64_t at = 0; at < MIB; at += len) {
		raw_read(disk, at, len, buf);
		if (at == 64 * BLK) {
			CHECK(all_is(buf + 1536, 512, 1) && all_is(buf + 2 * BLK, BLK, 1));
			image_fill(buf + 1536, at + 1536, 512);
			image_fill(buf + 2 * BLK, at + 2 * BLK, BLK);
		}
		CHECK(image_is(buf, at, len));
	}
}

const struct kmod_test requests_tests[] = {
#define T(x) { #x, x }
	T(read_missing),
	T(reads_join),
	T(inv7_write_before_fill),
	T(inv6_mixed),
	T(inv6_short_last_block),
	T(inv1_inv2_fill_then_write),
	T(inv1_write_then_fill),
	T(inv1_fill_discard_write_fsync),
	T(inv3_bit_after_data),
	T(inv4_two_partial_writers),
	T(write_needs_no_daemon),
	T(inv17_discard_of_missing),
	T(inv17_partial_discard),
	T(inv18_write_zeroes),
	T(zeroes_past_image),
	T(inv12_previous_tenant),
	T(nowait),
	T(nowait_discard),
	T(inv31_changing_pages),
#undef T
	{ NULL, NULL }
};
