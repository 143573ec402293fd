/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A daemon on strings: opens and attaches a device through the raw uapi, and
 * commits exactly what and when a test says. The image is a function of the
 * block number, so that every byte read can be checked.
 *
 * Fails the test program (with file and line) on anything unexpected; tests
 * check the rest with CHECK().
 */
#ifndef PUPPET_H
#define PUPPET_H

#include <liburing.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/sluice.h>

#define BLK 4096U
/* Ends amid a page, where pages are larger than blocks. */
#define PUPPET_POOL_BLOCKS 2041
#define MIB (1024U * 1024)

#define CHECK(cond) do {								\
	if (!(cond)) {									\
		fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__,	\
			puppet_test, #cond);						\
		exit(1);								\
	}										\
} while (0)

extern const char *puppet_test;
/* How many times longer than usual to wait for what must come. */
extern unsigned int slack;
/* IOSQE_* of commits. */
extern unsigned int puppet_sqe_flags;

struct puppet {
	const char *local;		/* path of the local disk */
	uint64_t image_bytes;
	uint64_t namespace_bytes;	/* 0: max; set by opening */
	uint32_t lbs;
	uint32_t deadline_ms;
	uint32_t watchdog_ms;		/* 0: 2 s */
	char image_id[SLUICE_ID_LEN];
	char local_id[SLUICE_ID_LEN];
	int ctl;			/* unattached control file */
	uint32_t index;
	uint32_t refusal;
	uint8_t uuid[16];
	int dev;			/* /dev/sluiceN, O_DIRECT */
	/* while attached */
	int fd;
	uint64_t gen;
	struct sluice_ring *ring;
	size_t ring_bytes;
	uint8_t *pool;
	size_t pool_bytes;
	const uint64_t *map;
	size_t map_bytes;
	struct io_uring uring;
	/* the server thread */
	pthread_t server;
	volatile bool serving;
	volatile uint64_t served;	/* events answered */
};

/* Contents */
void image_fill(void *buf, uint64_t off, size_t len);		/* of the image */
void host_fill(void *buf, uint64_t off, size_t len, uint32_t version);
bool image_is(const void *buf, uint64_t off, size_t len);
bool host_is(const void *buf, uint64_t off, size_t len, uint32_t version);
bool all_is(const void *buf, size_t len, uint8_t value);

void puppet_init(struct puppet *p, const char *local, uint64_t image_bytes);
/* 0 or -errno; refusal is set. */
int puppet_open(struct puppet *p, uint32_t flags);
int puppet_close(struct puppet *p);
int puppet_attach(struct puppet *p);
void puppet_detach(struct puppet *p);
void puppet_open_bdev(struct puppet *p);
void puppet_close_bdev(struct puppet *p);
/* format, attach, open the disk */
void puppet_start(struct puppet *p);
/* close, detach, close the device; it can be opened again */
void puppet_shut(struct puppet *p);
/* and for good */
void puppet_stop(struct puppet *p);

/* The next event, waiting at most ms; false: none. */
bool puppet_event(struct puppet *p, struct sluice_event *e, int ms);
/* Raw commit; the result of the CQE. */
int puppet_commit_raw(struct puppet *p, const struct sluice_commit *c);
/* Raw, without waiting: the CQE on uring has pool_block as its user data. */
void puppet_submit(struct puppet *p, const struct sluice_commit *c);
/* Commits image data; the result of the CQE. */
int puppet_commit(struct puppet *p, uint64_t block, uint32_t blocks);
int puppet_zero(struct puppet *p, uint64_t block, uint32_t blocks);
/* The same without waiting; puppet_reap() gives the result. */
void puppet_commit_start(struct puppet *p, uint64_t block, uint32_t blocks);
int puppet_reap(struct puppet *p);
/* Commits everything missing. */
void puppet_fill_all(struct puppet *p);
/* A thread that answers events until stopped. */
void puppet_serve(struct puppet *p);
void puppet_serve_stop(struct puppet *p);

bool puppet_resident(struct puppet *p, uint64_t block);
struct sluice_stat puppet_stat(struct puppet *p);
uint64_t puppet_map_count(struct puppet *p);

/* A host request in a thread of its own. */
enum io_kind { IO_READ, IO_WRITE, IO_FUA, IO_SYNC, IO_DISCARD, IO_ZERO };

struct io {
	pthread_t thread;
	int fd;
	enum io_kind kind;
	uint64_t off;
	size_t len;
	void *buf;
	volatile bool done;
	int res;			/* bytes, 0 or -errno */
};

void io_start(struct io *io, int fd, enum io_kind kind, uint64_t off, size_t len, void *buf);
bool io_done(struct io *io, int ms);
int io_wait(struct io *io);
/* Start and wait. */
int io_do(int fd, enum io_kind kind, uint64_t off, size_t len, void *buf);

/*
 * A write with FUA and nothing else: after a synchronous one with O_DSYNC the kernel
 * flushes. fd is O_DIRECT. Bytes or -errno.
 */
int write_fua(int fd, const void *buf, size_t len, uint64_t off);

/* Page-aligned. */
void *buffer(size_t len);

void sysfs_write(const char *path, const char *value);

#endif /* PUPPET_H */
