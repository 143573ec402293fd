// SPDX-License-Identifier: GPL-2.0-or-later
/* What is durable when, what a damaged or failing disk leads to. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <time.h>
#include <unistd.h>

#include "kmod-test.h"

static void inv5_failed_write_leaves_missing(void)
{
	struct puppet p;
	uint8_t *w = buffer(4 * BLK), *buf = buffer(4 * BLK);

	dm_create(0, disk_bytes(disk) / 512, "linear");
	puppet_init(&p, BAD, IMAGE);
	puppet_start(&p);
	dm_swap(800, 8, "error");
	host_fill(w, 99 * BLK, 4 * BLK, 6);
	CHECK(io_do(p.dev, IO_WRITE, 99 * BLK, 4 * BLK, w) < 0);
	CHECK(!puppet_resident(&p, 99) && !puppet_resident(&p, 100));
	dm_swap(0, 8, "linear");
	puppet_serve(&p);
	CHECK(io_do(p.dev, IO_READ, 99 * BLK, 4 * BLK, buf) == 4 * BLK);
	for (int i = 0; i < 4; i++)
		CHECK(image_is(buf + i * BLK, (99 + i) * BLK, BLK) ||
		      host_is(buf + i * BLK, (99 + i) * BLK, BLK, 6));
	puppet_stop(&p);
	dm_remove();
}

/* The local write of a fill fails: the reader has its data, the bit stays clear. */
static void inv21_failed_fill_still_serves(void)
{
	struct puppet p;
	struct sluice_event e;
	struct io io;
	uint8_t *buf = buffer(2 * BLK);

	dm_create(0, disk_bytes(disk) / 512, "linear");
	puppet_init(&p, BAD, IMAGE);
	puppet_start(&p);
	dm_swap(800, 8, "error");
	io_start(&io, p.dev, IO_READ, 100 * BLK, 2 * BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 100);
	CHECK(puppet_commit(&p, 100, 2) == -EIO);
	CHECK(io_wait(&io) == 2 * BLK && image_is(buf, 100 * BLK, 2 * BLK));
	CHECK(!puppet_resident(&p, 100));
	dm_swap(0, 8, "linear");
	CHECK(puppet_commit(&p, 100, 2) == 2);
	puppet_stop(&p);
	dm_remove();
}

/* So has one of local blocks besides, amid what fails and behind it. */
static void inv21_failed_fill_amid_local(void)
{
	struct puppet p;
	struct sluice_event e;
	struct io io;
	uint8_t *buf = buffer(4 * BLK), *w = buffer(BLK);

	dm_create(0, disk_bytes(disk) / 512, "linear");
	puppet_init(&p, BAD, IMAGE);
	puppet_start(&p);
	CHECK(puppet_commit(&p, 101, 1) == 1);
	host_fill(w, 103 * BLK, BLK, 4);
	CHECK(io_do(p.dev, IO_WRITE, 103 * BLK, BLK, w) == BLK);
	/* 100 and 102 */
	dm_swap(800, 8, "error");
	io_start(&io, p.dev, IO_READ, 100 * BLK + 512, 3 * BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 100 && e.blocks == 1);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 102 && e.blocks == 1);
	CHECK(puppet_commit(&p, 100, 1) == -EIO);
	CHECK(puppet_commit(&p, 102, 1) == 1);
	CHECK(io_done(&io, 5000) && io_wait(&io) == 3 * BLK);
	CHECK(image_is(buf, 100 * BLK + 512, 3 * BLK - 512));
	CHECK(host_is(buf + 3 * BLK - 512, 103 * BLK, 512, 4));
	CHECK(!puppet_resident(&p, 100) && !puppet_stat(&p).parked);
	/* What is local may fail, too. */
	io_start(&io, p.dev, IO_READ, 100 * BLK, 2 * BLK, buf);
	/* 102 may have been asked for once more. */
	do
		CHECK(puppet_event(&p, &e, 5000));
	while (e.block != 100);
	dm_swap(800, 16, "error");
	CHECK(puppet_commit(&p, 100, 1) == -EIO);
	CHECK(io_done(&io, 5000) && io_wait(&io) == -EIO);
	dm_swap(0, 8, "linear");
	puppet_stop(&p);
	dm_remove();
}

/* dm-clone's third: an acknowledged write must not revert on metadata failure. */
static void inv20_sticky_metadata_failure(void)
{
	struct puppet p;
	struct sluice_event e;
	struct io io;
	uint64_t total = disk_bytes(disk) / 512;
	uint8_t *w = buffer(BLK), *buf = buffer(4 * BLK);

	dm_create(0, total, "linear");
	puppet_init(&p, BAD, IMAGE);
	p.namespace_bytes = IMAGE;
	puppet_start(&p);
	/* Past the namespace, up to the super blocks' MiB: the map. */
	dm_swap(IMAGE / 512, total - IMAGE / 512, "error");
	host_fill(w, 10 * BLK, BLK, 1);
	CHECK(io_do(p.dev, IO_WRITE, 10 * BLK, BLK, w) == BLK);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) < 0);
	/* The disk recovers; the device does not pretend. */
	dm_swap(0, 8, "linear");
	CHECK(puppet_stat(&p).state == SLUICE_STATE_FAILED);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) < 0);
	CHECK(io_do(p.dev, IO_WRITE, 11 * BLK, BLK, w) < 0);
	CHECK(puppet_commit(&p, 12, 1) == -EROFS);
	/* Reads go on: served, though nothing gets resident any more. */
	io_start(&io, p.dev, IO_READ, 50 * BLK, BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 50);
	CHECK(puppet_commit(&p, 50, 1) == -EROFS);
	CHECK(io_wait(&io) == BLK && image_is(buf, 50 * BLK, BLK) && !puppet_resident(&p, 50));
	CHECK(io_do(p.dev, IO_READ, 10 * BLK, BLK, buf) == BLK && host_is(buf, 10 * BLK, BLK, 1));
	/* Also of what is partly local. */
	io_start(&io, p.dev, IO_READ, 7 * BLK, 4 * BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 7 && e.blocks == 3);
	CHECK(puppet_commit(&p, 7, 3) == -EROFS);
	CHECK(io_done(&io, 5000) && io_wait(&io) == 4 * BLK);
	CHECK(image_is(buf, 7 * BLK, 3 * BLK) && host_is(buf + 3 * BLK, 10 * BLK, BLK, 1));
	puppet_stop(&p);
	dm_remove();
}

static void inv8_inv9_flush(void)
{
	struct puppet p;
	uint8_t *w = buffer(BLK), *buf = buffer(BLK);

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	host_fill(w, 77 * BLK, BLK, 8);
	CHECK(io_do(p.dev, IO_WRITE, 77 * BLK, BLK, w) == BLK);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	CHECK(puppet_stat(&p).dirty_pages == 0);
	crash_copy();
	puppet_stop(&p);

	puppet_init(&p, copy, IMAGE);
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY) && !puppet_attach(&p));
	puppet_open_bdev(&p);
	CHECK(puppet_resident(&p, 77));
	CHECK(puppet_commit(&p, 77, 1) == 0);
	CHECK(io_do(p.dev, IO_READ, 77 * BLK, BLK, buf) == BLK && host_is(buf, 77 * BLK, BLK, 8));
	puppet_stop(&p);
}

static void inv10_fua(void)
{
	struct puppet p;
	struct io io;
	uint8_t *w = buffer(BLK);

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	/* A timer would make it durable by and by: what must be now is looked at now. */
	CHECK(io_do(p.dev, IO_FUA, 5 * BLK, BLK, w) == BLK);
	CHECK(puppet_stat(&p).dirty_pages == 0);
	/* FUA on a block that is resident, its bit not durable. */
	CHECK(puppet_commit(&p, 6, 1) == 1);
	CHECK(io_do(p.dev, IO_FUA, 6 * BLK, BLK, w) == BLK);
	CHECK(puppet_stat(&p).dirty_pages == 0);
	/* Partial, on a missing block. */
	io_start(&io, p.dev, IO_FUA, 7 * BLK + 512, 512, w);
	usleep(100000);
	CHECK(!io_done(&io, 0));
	CHECK(puppet_commit(&p, 7, 1) == 1);
	CHECK(io_wait(&io) == 512);
	CHECK(puppet_stat(&p).dirty_pages == 0);
	puppet_stop(&p);
}

/* The disk has FUA: what is durable already is passed on with it. */
static void inv10_fua_of_disk(void)
{
	uint8_t *w = buffer(BLK), *buf = buffer(BLK);
	struct puppet p;

	null_create();
	puppet_init(&p, GONE, IMAGE);
	puppet_start(&p);
	CHECK(puppet_commit(&p, 0, 8) == 8);
	host_fill(w, 3 * BLK, BLK, 1);
	for (int i = 0; i < 2; i++) {
		CHECK(io_do(p.dev, IO_FUA, 3 * BLK, BLK, w) == BLK);
		CHECK(puppet_stat(&p).dirty_pages == 0);
		CHECK(io_do(p.dev, IO_READ, 3 * BLK, BLK, buf) == BLK);
		CHECK(host_is(buf, 3 * BLK, BLK, 1));
	}
	CHECK(io_do(p.dev, IO_FUA, 20 * BLK, BLK, w) == BLK);
	CHECK(puppet_stat(&p).dirty_pages == 0);
	/* Not when the metadata failed: the device has said that nothing is durable. */
	CHECK(puppet_commit(&p, 30, 1) == 1);
	requests_fail(GONE, true);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == -EIO);
	requests_fail(GONE, false);
	CHECK(puppet_stat(&p).state == SLUICE_STATE_FAILED);
	CHECK(io_do(p.dev, IO_FUA, 3 * BLK, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_WRITE, 3 * BLK, BLK, w) == BLK);
	puppet_stop(&p);
	null_remove();
}

static void inv11_write_through(void)
{
	struct puppet p;
	uint8_t *w = buffer(BLK);
	char path[96], text[32];
	FILE *f;

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	snprintf(path, sizeof(path), "/sys/block/sluice%u/queue/write_cache", p.index);
	f = fopen(path, "r");
	CHECK(f && fgets(text, sizeof(text), f) && !strcmp(text, "write back\n"));
	fclose(f);
	CHECK(puppet_commit(&p, 20, 8) == 8);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	sysfs_write(path, "write through");
	CHECK(io_do(p.dev, IO_WRITE, 9 * BLK, BLK, w) == BLK);
	CHECK(puppet_stat(&p).dirty_pages == 0);
	/* What cannot be FUA, over resident and missing blocks. */
	CHECK(io_do(p.dev, IO_ZERO, 20 * BLK, 2 * BLK, NULL) == 0);
	CHECK(io_do(p.dev, IO_DISCARD, 22 * BLK, 2 * BLK, NULL) == 0);
	CHECK(io_do(p.dev, IO_ZERO, 40 * BLK, 2 * BLK, NULL) == 0);
	CHECK(io_do(p.dev, IO_DISCARD, 42 * BLK, 2 * BLK, NULL) == 0);
	CHECK(puppet_stat(&p).dirty_pages == 0);
	/* Over a resident block whose bit is not durable, as that of a commit is not. */
	CHECK(io_do(p.dev, IO_WRITE, 24 * BLK, BLK, w) == BLK);
	CHECK(puppet_commit(&p, 30, 1) == 1);
	CHECK(io_do(p.dev, IO_WRITE, 30 * BLK, BLK, w) == BLK);
	CHECK(puppet_stat(&p).dirty_pages == 0);
	puppet_stop(&p);
}

static void append(const char *path, const void *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	CHECK(fd >= 0 && write(fd, buf, len) == (ssize_t)len && !fsync(fd));
	close(fd);
}

/*
 * A file system's journal ends a transaction with a write that is to be behind a flush
 * (REQ_PREFLUSH), which no request of user space is.
 */
static void inv8_inv9_flush_with_data(void)
{
	const char *at = "/tmp/ext4", *file = "/tmp/ext4/file";
	uint8_t *w = buffer(BLK), *buf = buffer(BLK);
	char path[64], command[128];
	struct puppet p;
	uint64_t flushes;
	int fd;

	null_create();
	puppet_init(&p, GONE, IMAGE);
	p.namespace_bytes = IMAGE;
	puppet_start(&p);
	puppet_serve(&p);
	snprintf(path, sizeof(path), "/dev/sluice%u", p.index);
	snprintf(command, sizeof(command), "mke2fs -q -F -t ext4 -b 4096 -E lazy_itable_init=0 %s 12M", path);
	CHECK(!system(command));
	/* A write of a missing block would be flushed, too. */
	puppet_serve_stop(&p);
	puppet_fill_all(&p);
	/* A kernel may refuse to mount what somebody else may write to. */
	puppet_close_bdev(&p);
	CHECK(!mkdir(at, 0700) || errno == EEXIST);
	CHECK(!mount(path, at, "ext4", 0, NULL));
	append(file, w, BLK);
	sync();
	flushes = disk_stat(GONE, FLUSHES);
	host_fill(w, BLK, BLK, 1);
	append(file, w, BLK);
	CHECK(disk_stat(GONE, FLUSHES) > flushes);
	CHECK(!umount(at));
	CHECK(!mount(path, at, "ext4", 0, NULL));
	fd = open(file, O_RDONLY | O_DIRECT);
	CHECK(fd >= 0 && pread(fd, buf, BLK, BLK) == BLK && host_is(buf, BLK, BLK, 1));
	close(fd);
	CHECK(!umount(at));
	puppet_stop(&p);
	null_remove();
}

static void resume(void)
{
	struct puppet p;
	uint8_t *w = buffer(BLK), *buf = buffer(BLK);

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	host_fill(w, 33 * BLK, BLK, 2);
	CHECK(io_do(p.dev, IO_WRITE, 33 * BLK, BLK, w) == BLK);
	CHECK(puppet_commit(&p, 100, 50) == 50);
	puppet_stop(&p);

	/* Closing made everything durable. */
	puppet_init(&p, disk, IMAGE);
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY) && !puppet_attach(&p));
	puppet_open_bdev(&p);
	CHECK(puppet_stat(&p).resident_blocks == 51 && puppet_map_count(&p) == 51);
	CHECK(io_do(p.dev, IO_READ, 33 * BLK, BLK, buf) == BLK && host_is(buf, 33 * BLK, BLK, 2));
	CHECK(io_do(p.dev, IO_READ, 149 * BLK, BLK, buf) == BLK && image_is(buf, 149 * BLK, BLK));
	puppet_stop(&p);
}

/* dm-clone's fourth and fifth among them. */
static void inv14_inv15_refusals(void)
{
	uint64_t end = disk_bytes(disk) / MIB * MIB;
	uint8_t *page = buffer(BLK), *zero = buffer(2 * MIB);
	struct puppet p;
	int fd;

	memset(zero, 0, 2 * MIB);
	raw_write(disk, end - 2 * MIB, 2 * MIB, zero);
	puppet_init(&p, disk, IMAGE);
	CHECK(puppet_open(&p, SLUICE_OPEN_IDENTITY) == -ENODATA);
	CHECK(p.refusal == SLUICE_REFUSED_NO_SUPERBLOCK);
	strcpy(p.image_id, "one");
	puppet_start(&p);
	CHECK(puppet_commit(&p, 1, 1) == 1);
	/* Held: nobody else may have it. */
	fd = open(disk, O_RDWR | O_EXCL);
	CHECK(fd < 0 && errno == EBUSY);
	CHECK(puppet_open(&p, 0) == -EEXIST);
	puppet_stop(&p);

	puppet_init(&p, disk, IMAGE + BLK);
	CHECK(puppet_open(&p, SLUICE_OPEN_IDENTITY) == -ESTALE);
	CHECK(p.refusal == SLUICE_REFUSED_IMAGE);
	p.image_bytes = IMAGE;
	strcpy(p.image_id, "two");
	CHECK(puppet_open(&p, SLUICE_OPEN_IDENTITY) == -ESTALE);
	CHECK(p.refusal == SLUICE_REFUSED_IMAGE);
	memset(p.uuid, 7, 16);
	CHECK(puppet_open(&p, SLUICE_OPEN_UUID) == -ESTALE && p.refusal == SLUICE_REFUSED_UUID);

	/* One copy lost: the other counts, and the lost one is mended. */
	raw_write(disk, end - MIB, BLK, zero);
	CHECK(!puppet_open(&p, 0) && !puppet_close(&p));
	raw_write(disk, end - BLK, BLK, zero);
	CHECK(!puppet_open(&p, 0) && !puppet_close(&p));
	/* Both damaged. */
	raw_read(disk, end - MIB, BLK, page);
	page[200] ^= 1;
	raw_write(disk, end - MIB, BLK, page);
	page[300] ^= 1;
	raw_write(disk, end - BLK, BLK, page);
	CHECK(puppet_open(&p, 0) == -EUCLEAN && p.refusal == SLUICE_REFUSED_SUPERBLOCK);
	/* Both zeroed: not a deployment, and never formatted by itself. */
	raw_write(disk, end - MIB, BLK, zero);
	raw_write(disk, end - BLK, BLK, zero);
	CHECK(puppet_open(&p, 0) == -ENODATA);
	raw_read(disk, end - MIB, BLK, page);
	CHECK(all_is(page, BLK, 0));

	/* Too large an image, an odd size, a busy disk. */
	puppet_init(&p, disk, end);
	CHECK(puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY) == -ENOSPC);
	CHECK(p.refusal == SLUICE_REFUSED_TOO_SMALL);
	p.image_bytes = IMAGE + 100;
	CHECK(puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY) == -EINVAL);
	CHECK(p.refusal == SLUICE_REFUSED_IMAGE_SIZE);
	fd = open(disk, O_RDWR | O_EXCL);
	CHECK(fd >= 0);
	p.image_bytes = IMAGE;
	CHECK(puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY) == -EBUSY);
	CHECK(p.refusal == SLUICE_REFUSED_BUSY);
	close(fd);
	raw_read(disk, end - MIB, BLK, page);
	CHECK(all_is(page, BLK, 0));
}

static void inv15_other_disk(void)
{
	struct puppet p;

	puppet_init(&p, disk, IMAGE);
	strcpy(p.local_id, "serial 1");
	CHECK(!puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY) && !puppet_close(&p));
	strcpy(p.local_id, "serial 2");
	CHECK(puppet_open(&p, SLUICE_OPEN_IDENTITY) == -ESTALE);
	CHECK(p.refusal == SLUICE_REFUSED_DISK);
	strcpy(p.local_id, "serial 1");
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY) && !puppet_close(&p));
}

static void inv13_map_damage(void)
{
	uint64_t end = disk_bytes(disk) / MIB * MIB;
	uint8_t *page = buffer(BLK);
	uint64_t slot[2], map_bytes;
	struct puppet p;

	puppet_init(&p, disk, IMAGE);
	p.namespace_bytes = IMAGE;
	puppet_start(&p);
	map_bytes = 2 * BLK;	/* one page in two slots */
	slot[0] = end - MIB - map_bytes;
	slot[1] = end - MIB - map_bytes / 2;
	CHECK(puppet_commit(&p, 10, 1) == 1);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);	/* sequence 3, slot 1 */
	CHECK(puppet_commit(&p, 20, 1) == 1);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);	/* sequence 4, slot 0 */
	puppet_stop(&p);

	/* Slot 0 torn: the subset of slot 1. */
	raw_read(disk, slot[0], BLK, page);
	memset(page + 512, 0xff, 512);
	raw_write(disk, slot[0], BLK, page);
	puppet_init(&p, disk, IMAGE);
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY) && !puppet_attach(&p));
	CHECK(puppet_resident(&p, 10) && !puppet_resident(&p, 20));
	puppet_stop(&p);

	raw_read(disk, slot[1], BLK, page);
	page[100] ^= 0x10;
	raw_write(disk, slot[1], BLK, page);
	puppet_init(&p, disk, IMAGE);
	CHECK(puppet_open(&p, SLUICE_OPEN_IDENTITY) == -EUCLEAN);
	CHECK(p.refusal == SLUICE_REFUSED_MAP);
}

static void inv16_complete(void)
{
	struct puppet p;
	struct sluice_generation g = { };
	uint8_t *buf = buffer(MIB);

	puppet_init(&p, disk, IMAGE);
	p.namespace_bytes = IMAGE;
	puppet_start(&p);
	g.generation = p.gen;
	CHECK(puppet_commit(&p, 0, 256) == 256);
	CHECK(ioctl(p.fd, SLUICE_IOC_COMPLETE, &g) && errno == EAGAIN);
	puppet_fill_all(&p);
	CHECK(!ioctl(p.fd, SLUICE_IOC_COMPLETE, &g));
	CHECK(puppet_stat(&p).state == SLUICE_STATE_COMPLETE);
	CHECK(puppet_commit(&p, 0, 1) == -EBADFD);
	CHECK(!ioctl(p.fd, SLUICE_IOC_COMPLETE, &g));
	for (int i = 0; i < 16; i++) {
		CHECK(io_do(p.dev, IO_READ, i * MIB, MIB, buf) == MIB);
		CHECK(image_is(buf, i * MIB, MIB));
	}
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	puppet_stop(&p);
	/* The local disk less its tail is the image. */
	for (int i = 0; i < 16; i++) {
		raw_read(disk, i * MIB, MIB, buf);
		CHECK(image_is(buf, i * MIB, MIB));
	}
	puppet_init(&p, disk, IMAGE);
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY));
	CHECK(puppet_stat(&p).state == SLUICE_STATE_COMPLETE);
	CHECK(!puppet_close(&p));
}

/* The word that all is local beside an older map: it would show what was there. */
static void inv16_complete_with_a_hole(void)
{
	uint64_t slots = disk_bytes(disk) / MIB * MIB - MIB - 2 * BLK;
	struct sluice_generation g = { };
	uint8_t *old = buffer(2 * BLK);
	struct puppet p;

	puppet_init(&p, disk, MIB);
	p.namespace_bytes = MIB;
	puppet_start(&p);
	g.generation = p.gen;
	CHECK(puppet_commit(&p, 0, 255) == 255);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	raw_read(disk, slots, 2 * BLK, old);
	puppet_fill_all(&p);
	CHECK(!ioctl(p.fd, SLUICE_IOC_COMPLETE, &g));
	puppet_stop(&p);
	raw_write(disk, slots, 2 * BLK, old);
	puppet_init(&p, disk, MIB);
	CHECK(puppet_open(&p, SLUICE_OPEN_IDENTITY) == -EUCLEAN);
	CHECK(p.refusal == SLUICE_REFUSED_MAP);
}

/* Discards go to the local disk for what has its bit; the bit stays, crash or not. */
static void inv19_passdown(void)
{
	uint8_t *before = buffer(4 * BLK), *after = buffer(4 * BLK);
	struct puppet p;
	struct io io;

	puppet_init(&p, slow, IMAGE);
	puppet_start(&p);
	/* Beside a fill: the block's content is one thing or the other, and stays that. */
	puppet_commit_start(&p, 16, 4);
	io_start(&io, p.dev, IO_DISCARD, 16 * BLK, 4 * BLK, NULL);
	CHECK(io_wait(&io) == 0 && puppet_reap(&p) == 4);
	CHECK(puppet_resident(&p, 16) && puppet_resident(&p, 19));
	CHECK(io_do(p.dev, IO_READ, 16 * BLK, 4 * BLK, before) == 4 * BLK);
	for (int i = 0; i < 4; i++)
		CHECK(image_is(before + i * BLK, (16 + i) * BLK, BLK) ||
		      all_is(before + i * BLK, BLK, 0));
	puppet_stop(&p);

	puppet_init(&p, disk, IMAGE);
	puppet_start(&p);
	CHECK(puppet_commit(&p, 8, 4) == 4);
	/* Of a missing one: its bit comes with it. */
	CHECK(io_do(p.dev, IO_DISCARD, 40 * BLK, BLK, NULL) == 0 && puppet_resident(&p, 40));
	CHECK(io_do(p.dev, IO_DISCARD, 8 * BLK, 4 * BLK, NULL) == 0);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	CHECK(io_do(p.dev, IO_READ, 8 * BLK, 4 * BLK, before) == 4 * BLK);
	crash_copy();
	puppet_stop(&p);
	puppet_init(&p, copy, IMAGE);
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY) && !puppet_attach(&p));
	puppet_open_bdev(&p);
	CHECK(puppet_commit(&p, 8, 4) == 0);
	CHECK(io_do(p.dev, IO_READ, 8 * BLK, 4 * BLK, after) == 4 * BLK);
	CHECK(!memcmp(before, after, 4 * BLK));
	puppet_stop(&p);
}

/* What is counted is what the map has, whoever set it, and after an opening. */
static void inv33_counters(void)
{
	uint8_t *w = buffer(3 * BLK);
	struct sluice_stat st;
	struct puppet p;

	puppet_init(&p, disk, IMAGE);
	p.namespace_bytes = IMAGE;
	puppet_start(&p);
	CHECK(puppet_stat(&p).resident_blocks == 0);
	CHECK(puppet_commit(&p, 10, 6) == 6 && puppet_commit(&p, 12, 8) == 4);
	CHECK(io_do(p.dev, IO_WRITE, 18 * BLK, 3 * BLK, w) == 3 * BLK);
	CHECK(io_do(p.dev, IO_ZERO, 100 * BLK, BLK, NULL) == 0);
	CHECK(puppet_zero(&p, 200, 100) == 100);
	st = puppet_stat(&p);
	CHECK(st.resident_blocks == 112 && st.resident_blocks == puppet_map_count(&p));
	CHECK(st.fill_blocks == 110 && st.host_blocks == 2);
	puppet_shut(&p);
	CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY) && !puppet_attach(&p));
	puppet_open_bdev(&p);
	CHECK(puppet_stat(&p).resident_blocks == 112 && puppet_map_count(&p) == 112);
	puppet_stop(&p);
}

const struct kmod_test durability_tests[] = {
#define T(x) { #x, x }
	T(inv5_failed_write_leaves_missing),
	T(inv21_failed_fill_still_serves),
	T(inv21_failed_fill_amid_local),
	T(inv20_sticky_metadata_failure),
	T(inv8_inv9_flush),
	T(inv10_fua),
	T(inv10_fua_of_disk),
	T(inv11_write_through),
	T(inv8_inv9_flush_with_data),
	T(resume),
	T(inv14_inv15_refusals),
	T(inv15_other_disk),
	T(inv13_map_damage),
	T(inv16_complete),
	T(inv16_complete_with_a_hole),
	T(inv19_passdown),
	T(inv33_counters),
#undef T
	{ NULL, NULL }
};
