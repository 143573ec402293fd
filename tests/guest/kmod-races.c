// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything at once, for the race detectors: hosts, daemons with commits in flight
 * that come and go, control and sysfs from the side, devices that open, complete and
 * close, and a local disk that is pulled. What hosts read is checked all the same.
 *
 * Any request may fail here: deadlines are short, and everybody fails what waits.
 * Takes a minute or two, and so runs only where it is named.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <unistd.h>

#include "kmod-test.h"

enum {
	ROUND_MS = 2500,
	HOSTS = 3,
	OBSERVERS = 2,
	/* Of the namespace; the image is shorter, so that there are zeroes to commit. */
	BLOCKS = 8192,
	IMAGE_BLOCKS = 7680,
	/* Slots that share blocks, so that nobody writes a whole one. */
	PARTIAL_SLOTS = 1000,
	PARTIAL_BYTES = 3 * 512,
	/* Behind these, slots of whole blocks; each region has those of all hosts. */
	WHOLE_SLOTS = 1000,
	WHOLE_FIRST = 1280,
	WHOLE_BYTES = 2 * BLK,
	/* Commits in flight at once, each with its part of the pool. */
	COMMITS = 6,
	COMMIT_BLOCKS = 64,
};

/* What a host finds in a slot; the versions it wrote itself are above. */
enum { OF_IMAGE = 0, ZEROES = -1, ANYTHING = -2 };

struct race {
	struct puppet p;
	volatile bool over;
	unsigned int seed;
	/* of the daemon */
	struct io_uring uring;
	unsigned int busy;		/* parts of the pool */
};

struct host {
	pthread_t thread;
	struct race *race;
	int id;
	unsigned int seed;
	int version[PARTIAL_SLOTS + WHOLE_SLOTS];
};

static void host_step(struct host *h, uint8_t *buf, int step)
{
	int fd = h->race->p.dev, slot = rand_r(&h->seed) % (PARTIAL_SLOTS + WHOLE_SLOTS);
	int *v = &h->version[slot], written = step + 1;
	uint64_t off, range[2];
	size_t len;

	if (slot < PARTIAL_SLOTS) {
		len = PARTIAL_BYTES;
		off = (uint64_t)(slot * HOSTS + h->id) * len;
	} else {
		len = WHOLE_BYTES;
		off = WHOLE_FIRST * BLK + (uint64_t)((slot - PARTIAL_SLOTS) * HOSTS + h->id) * len;
	}
	range[0] = off;
	range[1] = len;
	/* What fails may have been written, in part too. */
	switch (rand_r(&h->seed) % 10) {
	case 0:
	case 1:
	case 2:
		host_fill(buf, off, len, written);
		*v = pwrite(fd, buf, len, off) == (ssize_t)len ? written : ANYTHING;
		break;
	case 3:
		host_fill(buf, off, len, written);
		*v = write_fua(fd, buf, len, off) == (int)len ? written : ANYTHING;
		break;
	case 4:
		*v = ioctl(fd, BLKZEROOUT, range) ? ANYTHING : ZEROES;
		break;
	case 5:
		ioctl(fd, BLKDISCARD, range);
		*v = ANYTHING;
		break;
	case 6:
		fsync(fd);
		break;
	default:
		if (pread(fd, buf, len, off) != (ssize_t)len || *v == ANYTHING)
			break;
		CHECK(*v == OF_IMAGE ? image_is(buf, off, len) :
		      *v == ZEROES ? all_is(buf, len, 0) : host_is(buf, off, len, *v));
	}
}

static void *host(void *arg)
{
	struct host *h = arg;
	uint8_t *buf = buffer(WHOLE_BYTES);

	for (int step = 0; !h->race->over; step++)
		host_step(h, buf, step);
	free(buf);
	return NULL;
}

/* Takes the results of commits; at most `left` are in flight then. */
static void reap(struct race *r, int left)
{
	struct io_uring_cqe *cqe;

	while (__builtin_popcount(r->busy) > left) {
		CHECK(!io_uring_wait_cqe(&r->uring, &cqe));
		r->busy &= ~(1U << cqe->user_data);
		io_uring_cqe_seen(&r->uring, cqe);
	}
}

static void commit(struct race *r, uint64_t block, uint32_t blocks)
{
	struct puppet *p = &r->p;
	struct sluice_commit c = { .generation = p->gen, .block = block, .blocks = blocks };
	struct io_uring_sqe *sqe;
	unsigned int slot;

	reap(r, COMMITS - 1);
	slot = __builtin_ctz(~r->busy);
	if (block >= IMAGE_BLOCKS) {
		c.flags = SLUICE_COMMIT_ZERO;
	} else {
		if (block + blocks > IMAGE_BLOCKS)
			c.blocks = IMAGE_BLOCKS - block;
		c.pool_block = slot * COMMIT_BLOCKS;
		image_fill(p->pool + (size_t)c.pool_block * BLK, block * BLK,
			   (size_t)c.blocks * BLK);
	}
	sqe = io_uring_get_sqe(&r->uring);
	CHECK(sqe);
	memset(sqe, 0, 128);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = p->fd;
	sqe->cmd_op = SLUICE_CMD_COMMIT;
	sqe->user_data = slot;
	memcpy(sqe->cmd, &c, sizeof(c));
	CHECK(io_uring_submit(&r->uring) == 1);
	r->busy |= 1U << slot;
}

/* One daemon's life: what is asked for, and of the rest what comes to its mind. */
static void serve(struct race *r, int ms)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 };
	struct puppet *p = &r->p;
	struct sluice_event e;
	int start = now_ms();

	CHECK(!io_uring_queue_init_params(2 * COMMITS, &r->uring, &params));
	while (!r->over && now_ms() - start < ms) {
		struct sluice_generation g = { .generation = p->gen };

		if (__atomic_load_n(&p->ring->flags, __ATOMIC_RELAXED) & SLUICE_RING_OVERFLOW) {
			__atomic_store_n(&p->ring->flags, 0, __ATOMIC_RELAXED);
			ioctl(p->fd, SLUICE_IOC_OFFER, &g);
		}
		if (puppet_event(p, &e, rand_r(&r->seed) % 4)) {
			commit(r, e.block, e.blocks);
			continue;
		}
		if (rand_r(&r->seed) % 16 == 0)
			/* EAGAIN, as long as something is missing. */
			ioctl(p->fd, SLUICE_IOC_COMPLETE, &g);
		commit(r, rand_r(&r->seed) % (BLOCKS - 2), 1 + rand_r(&r->seed) % 2);
	}
	/* With commits in flight. */
	ioctl(p->fd, SLUICE_IOC_DETACH);
	reap(r, 0);
	io_uring_queue_exit(&r->uring);
	puppet_detach(p);
}

static void *daemons(void *arg)
{
	struct race *r = arg;

	while (!r->over) {
		/* An observer may have been faster. */
		if (puppet_attach(&r->p))
			usleep(1000);
		else
			serve(r, 100 + rand_r(&r->seed) % 600);
	}
	return NULL;
}

/* One value of sysfs, where there is a device just now. */
static void sysfs_try(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		usleep(100);
	close(fd);
}

static void sysfs_read_all(const char *dir)
{
	char path[512], text[256];
	struct dirent *entry;
	DIR *d = opendir(dir);

	while (d && (entry = readdir(d))) {
		int fd;

		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		if (read(fd, text, sizeof(text)) < 0)
			usleep(100);
		close(fd);
	}
	if (d)
		closedir(d);
}

static void attach_try(void)
{
	struct sluice_attach a = {
		.abi_version = SLUICE_ABI_VERSION,
		.pool_blocks = 16,
		.ring_events = 16,
		.watchdog_ms = 60000,
	};
	int fd = open("/dev/" SLUICE_CONTROL_NODE, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	ioctl(fd, SLUICE_IOC_ATTACH, &a);
	close(fd);
}

/* Whatever others may do to the first device, whether it is there or not. */
static void *observer(void *arg)
{
	struct race *r = arg;
	unsigned int seed = r->seed ^ (unsigned int)pthread_self();
	int ctl = open("/dev/" SLUICE_CONTROL_NODE, O_RDWR | O_CLOEXEC), fd;
	uint8_t *buf = buffer(BLK);

	CHECK(ctl >= 0);
	while (!r->over) {
		struct sluice_stat_index stat = { };
		struct sluice_index index = { };
		struct sluice_close cl = { };

		switch (rand_r(&seed) % 16) {
		case 0:
			sysfs_read_all("/sys/block/sluice0/sluice");
			break;
		case 1:
			sysfs_try("/sys/block/sluice0/sluice/deadline_ms",
				  rand_r(&seed) % 2 ? "300" : "3000");
			break;
		case 2:
			sysfs_try("/sys/block/sluice0/queue/write_cache",
				  rand_r(&seed) % 4 ? "write back" : "write through");
			break;
		case 3:
			attach_try();
			break;
		case 4:
			ioctl(ctl, SLUICE_IOC_CLOSE, &cl);
			break;
		case 5:
			if (rand_r(&seed) % 4 == 0)
				ioctl(ctl, SLUICE_IOC_FAIL_PARKED, &index);
			break;
		case 6:
			ioctl(ctl, SLUICE_IOC_SYNC, &index);
			break;
		case 7:
			fd = open("/dev/sluice0", O_RDONLY | O_DIRECT);
			if (fd < 0)
				break;
			if (pread(fd, buf, BLK, (rand_r(&seed) % BLOCKS) * BLK) < 0)
				usleep(100);
			close(fd);
			break;
		default:
			/* These need no time, others have to come by: a number of them. */
			for (int i = 0; i < 20; i++) {
				struct sluice_set_index set = {
					.set.deadline_ms = 2000 + rand_r(&seed) % 1000,
				};

				ioctl(ctl, SLUICE_IOC_STAT, &stat);
				ioctl(ctl, SLUICE_IOC_SET, &set);
			}
			usleep(200);
		}
	}
	close(ctl);
	free(buf);
	return NULL;
}

static void race_round(const char *local, bool pulled, unsigned int seed)
{
	struct race *r = calloc(1, sizeof(*r));
	struct host *hosts = calloc(HOSTS, sizeof(*hosts));
	pthread_t daemon, observers[OBSERVERS];
	struct puppet *p = &r->p;
	int err = -EBUSY;

	puppet_init(p, local, IMAGE_BLOCKS * BLK);
	p->namespace_bytes = BLOCKS * BLK;
	p->deadline_ms = 2000;
	p->watchdog_ms = 60000;
	r->seed = seed;
	/* First: what there is of a device while it opens is theirs as well. */
	for (int i = 0; i < OBSERVERS; i++)
		CHECK(!pthread_create(&observers[i], NULL, observer, r));
	/* One of them may close it again before it is held open, and not be done yet. */
	for (int i = 0; i < 2000 && p->dev < 0; i++) {
		err = puppet_open(p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY);
		CHECK(!err || err == -EEXIST || err == -EBUSY);
		if (err)
			usleep(5000);
		else
			p->dev = open("/dev/sluice0", O_RDWR | O_DIRECT | O_CLOEXEC);
	}
	CHECK(p->dev >= 0);
	CHECK(!pthread_create(&daemon, NULL, daemons, r));
	for (int i = 0; i < HOSTS; i++) {
		hosts[i].race = r;
		hosts[i].id = i;
		hosts[i].seed = seed * HOSTS + i;
		CHECK(!pthread_create(&hosts[i].thread, NULL, host, &hosts[i]));
	}
	usleep(ROUND_MS / 2 * 1000);
	if (pulled)
		null_pull();
	usleep(ROUND_MS / 2 * 1000);
	r->over = true;
	pthread_join(daemon, NULL);
	for (int i = 0; i < HOSTS; i++)
		pthread_join(hosts[i].thread, NULL);
	for (int i = 0; i < OBSERVERS; i++)
		pthread_join(observers[i], NULL);
	CHECK(puppet_stat(p).parked == 0);
	if (!pulled) {
		CHECK(!puppet_attach(p));
		CHECK(puppet_stat(p).resident_blocks == puppet_map_count(p));
		puppet_detach(p);
	}
	puppet_close_bdev(p);
	for (unsigned int i = 0; i < 300 * slack && (err = puppet_close(p)) == -EBUSY; i++)
		usleep(10000);
	CHECK(!err);
	close(p->ctl);
	free(hosts);
	free(r);
}

static void all_at_once(void)
{
	for (int round = 0; round < 16; round++)
		race_round(disk, false, 100 + round);
}

static void all_at_once_disk_pulled(void)
{
	for (int round = 0; round < 4; round++) {
		null_create();
		race_round(GONE, true, 200 + round);
		null_remove();
	}
}

const struct kmod_test races_tests[] = {
#define T(x) { #x, x }
	T(all_at_once),
	T(all_at_once_disk_pulled),
#undef T
	{ NULL, NULL }
};
