// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A local disk that fails some requests, by kind: errors stay where they belong,
 * nothing is taken for local that is not, and all goes on once the disk does.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kmod-test.h"

/* Small: much of a test is copying and comparing. */
#define SIZE (4 * MIB)
/* Before the map and after a namespace of SIZE there is room. */
#define GAP (SIZE / 512)

static uint64_t total(void)
{
	return disk_bytes(disk) / 512;
}

static uint64_t super_sector(int which)
{
	uint64_t end = disk_bytes(disk) / MIB * MIB;

	return (which ? end - BLK : end - MIB) / 512;
}

/* One map page in two slots: see inv13_map_damage. */
static uint64_t slot_sector(int slot)
{
	return super_sector(0) - (slot ? 8 : 16);
}

static void start_bad(struct puppet *p, const char *target)
{
	dm_create(0, total(), target);
	puppet_init(p, BAD, SIZE);
	p->namespace_bytes = SIZE;
	p->deadline_ms = 60000;
	puppet_start(p);
}

/* Fills, completes and looks at every byte; host: a block that holds version 1. */
static void finish(struct puppet *p, uint64_t host)
{
	struct sluice_generation g = { .generation = p->gen };
	uint8_t *buf = buffer(BLK * 64);

	puppet_fill_all(p);
	CHECK(puppet_stat(p).resident_blocks == puppet_map_count(p));
	CHECK(!ioctl(p->fd, SLUICE_IOC_COMPLETE, &g));
	CHECK(puppet_stat(p).state == SLUICE_STATE_COMPLETE);
	for (uint64_t at = 0; at < SIZE; at += 64 * BLK) {
		CHECK(io_do(p->dev, IO_READ, at, 64 * BLK, buf) == 64 * BLK);
		for (uint64_t b = at / BLK; b < at / BLK + 64; b++) {
			uint8_t *have = buf + (b * BLK - at);

			CHECK(b == host ? host_is(have, b * BLK, BLK, 1) :
			      image_is(have, b * BLK, BLK));
		}
	}
	puppet_stop(p);
	free(buf);
}

static int open_again(struct puppet *p)
{
	puppet_init(p, BAD, SIZE);
	p->namespace_bytes = SIZE;
	return puppet_open(p, SLUICE_OPEN_IDENTITY);
}

/* Opens what a failed device left, on a disk that works again. */
static void reopen(struct puppet *p)
{
	CHECK(!open_again(p) && !puppet_attach(p));
	puppet_open_bdev(p);
}

static void inv6_unreadable_block(void)
{
	uint8_t *buf = buffer(20 * BLK);
	struct sluice_event e;
	struct puppet p;
	struct io io;

	start_bad(&p, "dust");
	CHECK(puppet_commit(&p, 0, 16) == 16);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	dust_bad(3);
	CHECK(io_do(p.dev, IO_READ, 0, 8 * BLK, buf) == -EIO);
	CHECK(io_do(p.dev, IO_READ, 4 * BLK, 8 * BLK, buf) == 8 * BLK);
	CHECK(image_is(buf, 4 * BLK, 8 * BLK));
	/* One completion, when the last piece ends; the first error wins. */
	io_start(&io, p.dev, IO_READ, 0, 20 * BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 16 && e.blocks == 4);
	CHECK(!io_done(&io, 100));
	CHECK(puppet_commit(&p, 16, 4) == 4);
	CHECK(io_wait(&io) == -EIO);
	/* Missing: nothing of it is read from the local disk. */
	dust_bad(30);
	io_start(&io, p.dev, IO_READ, 30 * BLK, BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 30);
	CHECK(puppet_commit(&p, 30, 1) == 1);
	CHECK(io_wait(&io) == BLK && image_is(buf, 30 * BLK, BLK));
	/* A disk replaces what is written. */
	host_fill(buf, 3 * BLK, BLK, 1);
	CHECK(io_do(p.dev, IO_WRITE, 3 * BLK, BLK, buf) == BLK);
	CHECK(puppet_stat(&p).state == SLUICE_STATE_DEPLOYING);
	finish(&p, 3);
	dm_remove();
}

static void inv5_write_error(void)
{
	uint8_t *w = buffer(4 * BLK), *buf = buffer(4 * BLK);
	struct sluice_event e;
	struct puppet p;
	struct io io;

	start_bad(&p, "linear");
	CHECK(puppet_commit(&p, 96, 8) == 8);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	dm_swap(100 * 8, 8, "error");
	host_fill(w, 98 * BLK, 4 * BLK, 1);
	/* Resident: the host's error, and no one else's. */
	CHECK(io_do(p.dev, IO_WRITE, 98 * BLK, 4 * BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_WRITE, 100 * BLK + 512, 512, w) == -EIO);
	CHECK(io_do(p.dev, IO_FUA, 100 * BLK, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	CHECK(io_do(p.dev, IO_READ, 101 * BLK, BLK, buf) == BLK);
	CHECK(puppet_stat(&p).state == SLUICE_STATE_DEPLOYING);

	/* Part of a missing block, whose fill fails: it waits on, and asks again. */
	dm_swap(200 * 8, 8, "error");
	host_fill(w, 200 * BLK + 512, 512, 1);
	io_start(&io, p.dev, IO_WRITE, 200 * BLK + 512, 512, w);
	for (int i = 0; i < 3; i++) {
		CHECK(puppet_event(&p, &e, 5000) && e.block == 200 && e.kind == SLUICE_EVENT_WRITE);
		CHECK(puppet_commit(&p, 200, 1) == -EIO);
		CHECK(!puppet_resident(&p, 200) && !io_done(&io, 0));
	}
	dm_swap(0, 8, "linear");
	CHECK(puppet_event(&p, &e, 5000) && puppet_commit(&p, 200, 1) == 1);
	CHECK(io_wait(&io) == 512);
	CHECK(io_do(p.dev, IO_READ, 200 * BLK, BLK, buf) == BLK);
	CHECK(image_is(buf, 200 * BLK, 512) && host_is(buf + 512, 200 * BLK + 512, 512, 1) &&
	      image_is(buf + 1024, 200 * BLK + 1024, BLK - 1024));
	/* What is read now was there all the time, or is what was written since. */
	CHECK(io_do(p.dev, IO_READ, 98 * BLK, 4 * BLK, buf) == 4 * BLK);
	for (int i = 0; i < 8 * 4; i++)
		CHECK(image_is(buf + i * 512, 98 * BLK + i * 512, 512) ||
		      host_is(buf + i * 512, 98 * BLK + i * 512, 512, 1));
	puppet_stop(&p);
	dm_remove();
}

/* The whole disk refuses, each kind of request in turn; no round is due meanwhile. */
static void inv5_inv17_every_kind(void)
{
	uint8_t *w = buffer(BLK);
	struct puppet p;

	stale(disk, SIZE);
	puppet_init(&p, disk, SIZE);
	p.namespace_bytes = 2 * SIZE;
	puppet_start(&p);
	CHECK(puppet_commit(&p, 0, 64) == 64);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	requests_fail(disk, true);
	CHECK(io_do(p.dev, IO_READ, 0, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_WRITE, 0, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_FUA, BLK, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_ZERO, 2 * BLK, BLK, NULL) == -EIO);
	CHECK(io_do(p.dev, IO_DISCARD, 3 * BLK, BLK, NULL) == -EIO);
	/* Missing */
	CHECK(io_do(p.dev, IO_WRITE, 100 * BLK, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_FUA, 101 * BLK, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_ZERO, 102 * BLK, BLK, NULL) == -EIO);
	CHECK(io_do(p.dev, IO_DISCARD, 103 * BLK, BLK, NULL) == -EIO);
	CHECK(puppet_commit(&p, 104, 8) == -EIO);
	CHECK(puppet_zero(&p, SIZE / BLK, 1000) == -EIO);
	requests_fail(disk, false);
	CHECK(puppet_stat(&p).resident_blocks == 64 && puppet_map_count(&p) == 64);
	CHECK(puppet_stat(&p).state == SLUICE_STATE_DEPLOYING);
	CHECK(puppet_stat(&p).dirty_pages == 0);
	CHECK(puppet_zero(&p, SIZE / BLK, SIZE / BLK) == SIZE / BLK);
	finish(&p, ~0ULL);
}

/* One block of a large fill fails: what is called local is. */
static void inv3_half_a_fill(void)
{
	uint8_t *buf = buffer(BLK);
	int made = 0, again;
	struct puppet p;

	stale(disk, SIZE);
	start_bad(&p, "linear");
	dm_swap(700 * 8, 8, "error");
	CHECK(puppet_commit(&p, 640, 128) == -EIO);
	CHECK(!puppet_resident(&p, 700));
	for (int b = 640; b < 768; b++) {
		if (!puppet_resident(&p, b))
			continue;
		made++;
		raw_read(disk, b * BLK, BLK, buf);
		CHECK(image_is(buf, b * BLK, BLK));
	}
	CHECK(puppet_stat(&p).resident_blocks == (uint64_t)made);
	dm_swap(0, 8, "linear");
	again = puppet_commit(&p, 640, 128);
	CHECK(again == 128 - made);
	finish(&p, ~0ULL);
	dm_remove();
}

static void inv21_failed_zero_fill(void)
{
	uint8_t *buf = buffer(BLK);
	struct sluice_event e;
	struct puppet p;
	struct io io;

	stale(disk, 2 * SIZE);
	dm_create(0, total(), "linear");
	puppet_init(&p, BAD, SIZE);
	p.namespace_bytes = 2 * SIZE;
	puppet_start(&p);
	dm_swap(SIZE / 512 + 80, 8, "error");
	io_start(&io, p.dev, IO_READ, SIZE + 10 * BLK, BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == SIZE / BLK + 10);
	CHECK(puppet_zero(&p, e.block, 1) == -EIO);
	CHECK(io_wait(&io) == BLK && all_is(buf, BLK, 0));
	CHECK(!puppet_resident(&p, e.block));
	dm_swap(0, 8, "linear");
	CHECK(puppet_zero(&p, e.block, 1) == 1);
	puppet_stop(&p);
	dm_remove();
}

/* The disk fails a flush and forgets what was in its cache. */
static void inv20_failed_flush(void)
{
	uint8_t *w = buffer(BLK), *buf = buffer(BLK), *lost = buffer(11 * BLK);
	struct sluice_generation g = { };
	struct puppet p;

	start_bad(&p, "linear");
	g.generation = p.gen;
	host_fill(w, 5 * BLK, BLK, 1);
	CHECK(io_do(p.dev, IO_WRITE, 5 * BLK, BLK, w) == BLK);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	CHECK(puppet_commit(&p, 10, 10) == 10);
	host_fill(w, 30 * BLK, BLK, 1);
	CHECK(io_do(p.dev, IO_WRITE, 30 * BLK, BLK, w) == BLK);
	dm_swap(GAP, 8, "flakey");
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == -EIO);
	dm_swap(0, 8, "linear");
	CHECK(puppet_stat(&p).state == SLUICE_STATE_FAILED);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == -EIO);
	CHECK(io_do(p.dev, IO_WRITE, 31 * BLK, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_ZERO, 31 * BLK, BLK, NULL) == -EIO);
	CHECK(io_do(p.dev, IO_WRITE, 32 * BLK + 512, 512, w) == -EIO);
	/* FUA, also where the bit is durable. */
	CHECK(io_do(p.dev, IO_FUA, 5 * BLK, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_FUA, 30 * BLK, BLK, w) == -EIO);
	CHECK(puppet_commit(&p, 40, 1) == -EROFS);
	CHECK(ioctl(p.fd, SLUICE_IOC_COMPLETE, &g));
	/* What is local is read and written as before. */
	CHECK(io_do(p.dev, IO_READ, 30 * BLK, BLK, buf) == BLK && host_is(buf, 30 * BLK, BLK, 1));
	host_fill(w, 5 * BLK, BLK, 1);
	CHECK(io_do(p.dev, IO_WRITE, 5 * BLK, BLK, w) == BLK);
	puppet_stop(&p);

	memset(lost, STALE, 11 * BLK);
	raw_write(disk, 10 * BLK, 10 * BLK, lost);
	raw_write(disk, 30 * BLK, BLK, lost);
	reopen(&p);
	CHECK(puppet_stat(&p).state == SLUICE_STATE_DEPLOYING);
	CHECK(puppet_resident(&p, 5) && puppet_stat(&p).resident_blocks == 1);
	finish(&p, 5);
	dm_remove();
}

/* No host flush was near when the timer's round failed: the next one is told. */
static void inv20_failed_flush_of_timer(void)
{
	uint8_t *w = buffer(BLK);
	struct puppet p;

	start_bad(&p, "linear");
	dm_swap(GAP, 8, "flakey");
	CHECK(io_do(p.dev, IO_WRITE, 0, BLK, w) == BLK);
	for (int i = 0; i < 1000 && puppet_stat(&p).state != SLUICE_STATE_FAILED; i++)
		usleep(10000);
	CHECK(puppet_stat(&p).state == SLUICE_STATE_FAILED);
	dm_swap(0, 8, "linear");
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == -EIO);
	puppet_stop(&p);
	dm_remove();
}

/* With every bit durable a flush is the local disk's own; so is its failure. */
static void inv20_failed_flush_passed_on(void)
{
	uint8_t *w = buffer(BLK);
	struct puppet p;

	puppet_init(&p, disk, SIZE);
	puppet_start(&p);
	CHECK(puppet_commit(&p, 0, 64) == 64);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	CHECK(io_do(p.dev, IO_WRITE, 0, BLK, w) == BLK);
	/* This one and no other: the next would succeed. */
	request_fails(disk);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == -EIO);
	requests_fail(disk, false);
	/* A fill was written, perhaps, into the cache that is lost now. */
	CHECK(puppet_stat(&p).state == SLUICE_STATE_FAILED);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == -EIO);
	/* FUA where the bit is durable, too. */
	CHECK(io_do(p.dev, IO_FUA, 0, BLK, w) == -EIO);
	puppet_stop(&p);
}

/* One that was passed on fails beside a round, whose own flush then succeeds. */
static void inv20_failed_flush_beside_round(void)
{
	struct puppet p;
	struct io one, two;

	start_bad(&p, "linear");
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	dm_swap(0, disk_bytes(disk) / 512, "slow-flush");
	io_start(&one, p.dev, IO_SYNC, 0, 0, NULL);
	CHECK(!io_done(&one, 200));
	CHECK(puppet_commit(&p, 100, 1) == 1);
	request_fails(disk);
	io_start(&two, p.dev, IO_SYNC, 0, 0, NULL);
	CHECK(io_wait(&one) == -EIO && io_wait(&two) == -EIO);
	requests_fail(disk, false);
	CHECK(puppet_stat(&p).state == SLUICE_STATE_FAILED);
	dm_swap(0, 8, "linear");
	puppet_stop(&p);
	/* What the failed one was told of may have been the fill's data. */
	reopen(&p);
	CHECK(!puppet_resident(&p, 100));
	puppet_stop(&p);
	dm_remove();
}

/* A flush that has a round of its own; another one, and the timer, come meanwhile. */
static void inv9_flush_beside_own_round(void)
{
	uint64_t rounds;
	struct puppet p;
	struct io one, two;

	start_bad(&p, "linear");
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	dm_swap(0, disk_bytes(disk) / 512, "slow-flush");
	rounds = puppet_stat(&p).flush_rounds;
	CHECK(puppet_commit(&p, 100, 1) == 1);
	usleep(500000);
	io_start(&one, p.dev, IO_SYNC, 0, 0, NULL);
	CHECK(!io_done(&one, 100));
	CHECK(puppet_commit(&p, 200, 1) == 1);
	io_start(&two, p.dev, IO_SYNC, 0, 0, NULL);
	CHECK(io_wait(&one) == 0 && io_wait(&two) == 0);
	CHECK(puppet_stat(&p).dirty_pages == 0 && puppet_stat(&p).flush_rounds >= rounds + 2);
	dm_swap(0, 8, "linear");
	puppet_stop(&p);
	reopen(&p);
	CHECK(puppet_resident(&p, 100) && puppet_resident(&p, 200));
	puppet_stop(&p);
	dm_remove();
}

#define STACKED_FUA "/sys/module/sluice/parameters/stacked_fua"

/* Does a copy of the map on the disk say that the block is there? */
static bool on_medium(uint64_t block)
{
	bool found = false;

	for (int slot = 0; slot < 2; slot++) {
		uint64_t *page = buffer(BLK);

		raw_read(disk, slot_sector(slot) * 512, BLK, page);
		/* Behind 64 bytes: kmod/media.c. */
		found |= page[8 + block / 64] >> block % 64 & 1;
		free(page);
	}
	return found;
}

/*
 * Writes of so many missing blocks, and a flush, which takes until it is let: whether their
 * bits were there before its end. A round that the timer has begun first is no such flush.
 */
static bool beside_flush(struct puppet *p, uint64_t block, uint64_t blocks)
{
	uint8_t *w = buffer(BLK);
	bool beside = false;
	struct io io;

	for (uint64_t b = block; b < block + blocks; b++) {
		host_fill(w, b * BLK, BLK, 1);
		CHECK(io_do(p->dev, IO_WRITE, b * BLK, BLK, w) == BLK);
		CHECK(!on_medium(b));
	}
	io_start(&io, p->dev, IO_SYNC, 0, 0, NULL);
	for (int i = 0; i < 10 && !beside; i++) {
		CHECK(!io_done(&io, 50));
		beside = on_medium(block);
	}
	dm_swap(0, 8, "linear");
	CHECK(io_wait(&io) == 0 && on_medium(block) && on_medium(block + blocks - 1));
	dm_swap(0, total(), "held-flush");
	free(w);
	return beside;
}

/* The same of one of several blocks, one after the other: they were written beside it. */
static bool one_beside_flush(struct puppet *p, uint64_t block)
{
	for (uint64_t b = block; b < block + 8; b++)
		if (beside_flush(p, b, 1))
			return true;
	return false;
}

/* The page is written beside a flush only where all data below its bits is durable without. */
static void inv8_page_beside_flush(void)
{
	const char *without = disk;
	struct puppet p;

	/* On a disk with FUA. */
	null_create();
	disk = GONE;
	sysfs_write(STACKED_FUA, "1");
	start_bad(&p, "linear");
	dm_swap(0, total(), "held-flush");
	CHECK(!beside_flush(&p, 1, 1));
	CHECK(!beside_flush(&p, 2, 1));
	/* Those were writes and their flushes; the next one is written with FUA. */
	CHECK(one_beside_flush(&p, 10));
	/* Beside a fill, which is not. */
	CHECK(puppet_commit(&p, 3, 1) == 1);
	CHECK(!beside_flush(&p, 4, 1));
	CHECK(on_medium(3));
	CHECK(one_beside_flush(&p, 20));
	/* Of two writes the second one is not, and then none until two flushes later. */
	CHECK(!beside_flush(&p, 5, 2));
	CHECK(!beside_flush(&p, 7, 1));
	CHECK(!beside_flush(&p, 8, 1));
	CHECK(one_beside_flush(&p, 30));
	/* Not by a disk's word that has others below. */
	sysfs_write(STACKED_FUA, "0");
	CHECK(!beside_flush(&p, 9, 1));
	dm_swap(0, 8, "linear");
	puppet_stop(&p);
	reopen(&p);
	for (uint64_t block = 1; block < 11; block++)
		CHECK(puppet_resident(&p, block));
	puppet_stop(&p);
	dm_remove();
	disk = without;
	null_remove();
}

static void inv20_failed_map_write(void)
{
	uint8_t *w = buffer(BLK);
	struct puppet p;

	for (int slot = 0; slot < 2; slot++) {
		start_bad(&p, "linear");
		host_fill(w, 10 * BLK, BLK, 1);
		CHECK(io_do(p.dev, IO_WRITE, 10 * BLK, BLK, w) == BLK);
		/* Sequence 3 goes to slot 1, then 4 to slot 0. */
		CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
		if (slot) {
			CHECK(puppet_commit(&p, 20, 1) == 1);
			CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
		}
		dm_swap(slot_sector(slot), 8, "error");
		CHECK(puppet_commit(&p, 30, 1) == 1);
		CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == -EIO);
		CHECK(puppet_stat(&p).state == SLUICE_STATE_FAILED);
		dm_swap(0, 8, "linear");
		puppet_stop(&p);
		/* Once more, from what was durable; the failed page may be there too. */
		reopen(&p);
		CHECK(puppet_resident(&p, 10) && puppet_resident(&p, 20) == (slot == 1));
		finish(&p, 10);
		dm_remove();
	}
}

static void inv16_failed_superblock(void)
{
	struct sluice_generation g = { };
	struct puppet p;

	for (int i = 0; i < 2; i++) {
		start_bad(&p, "linear");
		g.generation = p.gen;
		puppet_fill_all(&p);
		dm_swap(super_sector(i), 8, "error");
		CHECK(ioctl(p.fd, SLUICE_IOC_COMPLETE, &g) && errno == EIO);
		CHECK(puppet_stat(&p).state != SLUICE_STATE_COMPLETE);
		dm_swap(0, 8, "linear");
		puppet_stop(&p);
		/* Whichever copy counts: every bit was durable before. */
		reopen(&p);
		CHECK(puppet_stat(&p).resident_blocks == SIZE / BLK);
		finish(&p, ~0ULL);
		dm_remove();
	}
}

/* The one copy that is whole is not written before the other one is. */
static void inv16_only_superblock(void)
{
	uint8_t *before = buffer(BLK), *after = buffer(BLK);
	struct puppet p;

	for (int i = 0; i < 2; i++) {
		start_bad(&p, "linear");
		puppet_stop(&p);
		raw_read(disk, super_sector(!i) * 512, BLK, before);
		dm_swap(super_sector(i), 8, "error");
		CHECK(open_again(&p) == -EIO);
		close(p.ctl);
		raw_read(disk, super_sector(!i) * 512, BLK, after);
		CHECK(!memcmp(before, after, BLK));
		dm_swap(0, 8, "linear");
		reopen(&p);
		finish(&p, ~0ULL);
		dm_remove();
	}
}

/* Formatting that fails leaves no deployment, or the one before. */
static void inv14_failed_format(void)
{
	const uint64_t at[] = { super_sector(0), super_sector(1), slot_sector(0) };
	uint8_t before[16];
	struct puppet p;
	int err;

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		start_bad(&p, "linear");
		CHECK(puppet_commit(&p, 7, 1) == 1);
		memcpy(before, p.uuid, 16);
		puppet_stop(&p);
		dm_swap(at[i], 8, "error");
		puppet_init(&p, BAD, SIZE);
		p.namespace_bytes = SIZE;
		CHECK(puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY) == -EIO);
		dm_swap(0, 8, "linear");
		err = puppet_open(&p, SLUICE_OPEN_IDENTITY);
		CHECK(err == -ENODATA || !err);
		if (!err) {
			CHECK(!memcmp(p.uuid, before, 16));
			CHECK(puppet_stat(&p).resident_blocks == 1);
			CHECK(!puppet_close(&p));
		}
		close(p.ctl);
		dm_remove();
	}
}

/* Metadata that cannot be read is not metadata that is not there. */
static void inv14_unreadable_metadata(void)
{
	const uint64_t super[] = { super_sector(0) / 8, super_sector(1) / 8 };
	struct puppet p;

	start_bad(&p, "dust");
	CHECK(puppet_commit(&p, 7, 1) == 1);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == 0);
	puppet_stop(&p);
	puppet_init(&p, BAD, SIZE);
	for (int i = 0; i < 2; i++) {
		dust_bad(super[i]);
		/* The other counts; this one is written anew, which mends it. */
		CHECK(!puppet_open(&p, SLUICE_OPEN_IDENTITY));
		CHECK(puppet_stat(&p).resident_blocks == 1 && !puppet_close(&p));
	}
	dust_bad(super[0]);
	dust_bad(super[1]);
	CHECK(puppet_open(&p, SLUICE_OPEN_IDENTITY) == -EIO);
	dust_good(super[0]);
	dust_good(super[1]);
	for (int slot = 0; slot < 2; slot++) {
		dust_bad(slot_sector(slot) / 8);
		CHECK(puppet_open(&p, SLUICE_OPEN_IDENTITY) == -EIO);
		dust_good(slot_sector(slot) / 8);
	}
	close(p.ctl);
	reopen(&p);
	CHECK(puppet_resident(&p, 7) && puppet_stat(&p).resident_blocks == 1);
	finish(&p, ~0ULL);
	dm_remove();
}

const struct kmod_test disk_tests[] = {
#define T(x) { #x, x }
	T(inv6_unreadable_block),
	T(inv5_write_error),
	T(inv5_inv17_every_kind),
	T(inv3_half_a_fill),
	T(inv21_failed_zero_fill),
	T(inv20_failed_flush),
	T(inv20_failed_flush_of_timer),
	T(inv20_failed_flush_passed_on),
	T(inv20_failed_flush_beside_round),
	T(inv9_flush_beside_own_round),
	T(inv8_page_beside_flush),
	T(inv20_failed_map_write),
	T(inv16_failed_superblock),
	T(inv16_only_superblock),
	T(inv14_failed_format),
	T(inv14_unreadable_metadata),
#undef T
	{ NULL, NULL }
};
