// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a deployment on a dm-log-writes disk, with hosts that write, flush, zero and
 * discard overlapping ranges and a daemon that fills and restarts, and writes down
 * what a crash at any moment has to be judged by.
 *
 *	crash-record DM_NAME JOURNAL SEED OPS NAMESPACE_MIB [PEER]
 *
 * The disk, /dev/mapper/DM_NAME, is full of CRASH_POISON. A namespace of less than
 * the image's size and 4 MiB is deployed completely at the end. With PEER the hosts
 * have that device, which copies by itself onto the beginning of the disk.
 *
 *	crash-record image DEVICE
 *
 * writes what PEER copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <unistd.h>

#include "crash.h"
#include "marks.h"
#include "../guest/puppet.h"

#define IMAGE		(8 * (uint64_t)MIB)
#define HOSTS		3
#define MAX_BLOCKS	16
/* Blocks on both sides of the boundary between the first two map pages. */
#define BOUNDARY	(504 * 64)
#define NEAR		96
/* Of a session, by themselves; each is a write and a flush. */
#define COMMITS		24
#define MORE_OPS	(64 + 2 * 2 * COMMITS)

/*
 * One flush of the hosts at a time: with two under way dm-log-writes logs a write with
 * the flush that was sent first after it, also when the other one ends before. The
 * module's own rounds follow each other, or are shared.
 */
static pthread_mutex_t flush_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *dm_name;
static struct puppet puppet;
static struct crash_header header;
static struct crash_op *ops;
static atomic_uint next_id = 1;
static atomic_ullong clock_now = 1;
static unsigned int max_ops;

struct host {
	pthread_t thread;
	uint64_t random;
	int fd;
	unsigned int ops;
	uint8_t *buf;
};

static uint64_t seeded(uint64_t n)
{
	uint64_t state = (header.seed + 1) * 0x9e3779b97f4a7c15ULL ^ n << 40;

	for (int i = 0; i < 4; i++)
		crash_draw(&state, 2);
	return state;
}

static struct crash_op *begin(enum crash_kind kind, uint64_t sector, uint64_t sectors)
{
	unsigned int id = atomic_fetch_add(&next_id, 1);
	struct crash_op *op = &ops[id - 1];

	CHECK(id <= max_ops);
	*op = (struct crash_op){
		.id = id, .kind = kind, .sector = sector, .sectors = sectors,
		.submitted = atomic_fetch_add(&clock_now, 1),
	};
	return op;
}

static void end(struct crash_op *op, bool ok)
{
	char text[16];

	if (!ok)
		return;
	op->completed = atomic_fetch_add(&clock_now, 1);
	if (op->kind != CRASH_FUA && op->kind != CRASH_FLUSH)
		return;
	snprintf(text, sizeof(text), "%u", op->id);
	marks_set(dm_name, text);
}

static void pick(struct host *host, uint64_t align, uint64_t *sector, uint64_t *sectors)
{
	const struct crash_window *w = &header.window[crash_draw(&host->random, header.windows)];
	uint64_t first = w->block * 8, n = w->blocks * 8, max = MAX_BLOCKS * 8;

	*sectors = (1 + crash_draw(&host->random, crash_draw(&host->random, 2) ? max / align : 2)) * align;
	*sector = first + crash_draw(&host->random, (n - *sectors) / align) * align;
}

static void write_at(struct host *host, enum crash_kind kind, uint64_t sector, uint64_t sectors)
{
	size_t bytes = sectors * 512;
	struct crash_op *op;
	int res;

	if (kind == CRASH_FUA)
		pthread_mutex_lock(&flush_lock);
	op = begin(kind, sector, sectors);
	host_fill(host->buf, sector * 512, bytes, op->id);
	if (kind == CRASH_FUA)
		res = write_fua(host->fd, host->buf, bytes, sector * 512);
	else
		res = pwrite(host->fd, host->buf, bytes, sector * 512);
	end(op, res == (int)bytes);
	if (kind == CRASH_FUA)
		pthread_mutex_unlock(&flush_lock);
}

static void host_write(struct host *host, enum crash_kind kind, uint64_t align)
{
	uint64_t sector, sectors;

	pick(host, align, &sector, &sectors);
	write_at(host, kind, sector, sectors);
}

static void host_range(struct host *host, enum crash_kind kind, unsigned long request)
{
	uint64_t sector, sectors, range[2];
	struct crash_op *op;

	pick(host, 8, &sector, &sectors);
	op = begin(kind, sector, sectors);
	range[0] = sector * 512;
	range[1] = sectors * 512;
	end(op, !ioctl(host->fd, request, range));
}

static void host_flush(struct host *host)
{
	struct crash_op *op;

	pthread_mutex_lock(&flush_lock);
	op = begin(CRASH_FLUSH, 0, 0);
	end(op, !fsync(host->fd));
	pthread_mutex_unlock(&flush_lock);
}

static void *host_thread(void *arg)
{
	struct host *host = arg;

	while (host->ops--) {
		uint64_t what = crash_draw(&host->random, 32);

		if (what < 12)
			host_write(host, CRASH_WRITE, 8);
		else if (what < 20)
			host_write(host, CRASH_WRITE, 1);
		else if (what < 23)
			host_write(host, CRASH_FUA, what == 22 ? 1 : 8);
		else if (what < 25)
			host_range(host, CRASH_ZERO, BLKZEROOUT);
		else if (what < 27)
			host_range(host, CRASH_DISCARD, BLKDISCARD);
		else
			host_flush(host);
	}
	return NULL;
}

/* The background copy: some extents, in no order. */
static void copy(uint64_t *random, unsigned int extents)
{
	while (extents--) {
		const struct crash_window *w = &header.window[crash_draw(random, header.windows)];
		uint64_t blocks = 1 + crash_draw(random, 64), block;
		int res;

		block = w->block + crash_draw(random, w->blocks - blocks);
		if (block * BLK < header.image_bytes && (block + blocks) * BLK > header.image_bytes)
			blocks = header.image_bytes / BLK - block;
		if (block * BLK >= header.image_bytes)
			res = puppet_zero(&puppet, block, blocks);
		else
			res = puppet_commit(&puppet, block, blocks);
		CHECK(res >= 0);
	}
}

static void restart_daemon(void)
{
	puppet_serve_stop(&puppet);
	puppet_detach(&puppet);
	CHECK(!puppet_attach(&puppet));
	puppet_serve(&puppet);
}

static void start_hosts(struct host *hosts, int fd, unsigned int number, unsigned int hosts_ops)
{
	for (unsigned int i = 0; i < HOSTS; i++) {
		hosts[i] = (struct host){
			.random = seeded(number * HOSTS + i),
			.fd = fd,
			.ops = hosts_ops / HOSTS,
			.buf = buffer(MAX_BLOCKS * BLK),
		};
		CHECK(!pthread_create(&hosts[i].thread, NULL, host_thread, &hosts[i]));
	}
}

static void join_hosts(struct host *hosts)
{
	for (unsigned int i = 0; i < HOSTS; i++) {
		pthread_join(hosts[i].thread, NULL);
		free(hosts[i].buf);
	}
}

/*
 * As a log is written: each write of a block has its flush. Alone, for what the module
 * does then is not done beside writes and fills of others.
 */
static void commits(unsigned int number)
{
	struct host host = {
		.random = seeded(200 + number),
		.fd = puppet.dev,
		.buf = buffer(BLK),
	};

	for (int i = 0; i < COMMITS; i++) {
		uint64_t sector, sectors;

		pick(&host, 8, &sector, &sectors);
		write_at(&host, CRASH_WRITE, sector, BLK / 512);
		/* Sometimes there is more to be made durable. */
		if (!crash_draw(&host.random, 4))
			copy(&host.random, 1);
		host_flush(&host);
	}
	free(host.buf);
}

/* From open to close, with the daemon restarted in between. */
static void session(unsigned int number, unsigned int hosts_ops)
{
	uint64_t random = seeded(100 + number);
	struct host hosts[HOSTS];

	puppet_serve(&puppet);
	commits(number);
	start_hosts(hosts, puppet.dev, number, hosts_ops);
	copy(&random, 12);
	restart_daemon();
	copy(&random, 12);
	join_hosts(hosts);
}

static void reopen(void)
{
	puppet_shut(&puppet);
	CHECK(!puppet_open(&puppet, SLUICE_OPEN_IDENTITY | SLUICE_OPEN_UUID));
	CHECK(!puppet_attach(&puppet));
	puppet_open_bdev(&puppet);
}

static void record_sluice(const char *local, unsigned int hosts_ops, bool complete)
{
	struct sluice_generation g = { 0 };

	puppet_init(&puppet, local, header.image_bytes);
	puppet.namespace_bytes = header.namespace_bytes;
	puppet_start(&puppet);
	marks_set(dm_name, CRASH_FORMATTED);
	session(0, hosts_ops / 2);
	reopen();
	session(1, hosts_ops / 2);
	if (complete) {
		puppet_fill_all(&puppet);
		g.generation = puppet.gen;
		/* Of a mutant that has lost count it does not end: what is there counts. */
		if (!ioctl(puppet.fd, SLUICE_IOC_COMPLETE, &g))
			marks_set(dm_name, CRASH_COMPLETED);
		else
			fprintf(stderr, "crash-record: not completed: %s\n", strerror(errno));
	}
	puppet_stop(&puppet);
}

static void record_peer(const char *device, unsigned int hosts_ops)
{
	int fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	struct host hosts[HOSTS];

	CHECK(fd >= 0);
	/* What it wrote when it was made is no format before this. */
	CHECK(!fsync(fd));
	marks_set(dm_name, CRASH_FORMATTED);
	start_hosts(hosts, fd, 0, hosts_ops);
	join_hosts(hosts);
	close(fd);
}

static void write_journal(const char *path)
{
	FILE *f = fopen(path, "w");

	CHECK(f);
	header.ops = atomic_load(&next_id) - 1;
	CHECK(fwrite(&header, sizeof(header), 1, f) == 1);
	CHECK(fwrite(ops, sizeof(*ops), header.ops, f) == header.ops);
	CHECK(!fclose(f));
}

static int write_image(const char *path)
{
	void *buf = buffer(IMAGE);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	image_fill(buf, 0, IMAGE);
	CHECK(fd >= 0 && pwrite(fd, buf, IMAGE, 0) == IMAGE && !fsync(fd));
	close(fd);
	free(buf);
	return 0;
}

int main(int argc, char **argv)
{
	char local[64];
	bool complete;
	int fd;

	puppet_test = "crash-record";
	if (argc == 3 && !strcmp(argv[1], "image"))
		return write_image(argv[2]);
	if (argc != 6 && argc != 7)
		return 2;
	dm_name = argv[1];
	header.magic = CRASH_MAGIC;
	header.seed = strtoull(argv[3], NULL, 0);
	max_ops = strtoul(argv[4], NULL, 0) + MORE_OPS;
	header.image_bytes = IMAGE;
	header.namespace_bytes = strtoull(argv[5], NULL, 0) * MIB;
	complete = header.namespace_bytes < IMAGE + 4 * (uint64_t)MIB;
	header.window[header.windows++] = (struct crash_window){
		0, (complete ? header.namespace_bytes : IMAGE) / BLK };
	if (!complete)
		header.window[header.windows++] = (struct crash_window){ BOUNDARY - NEAR, 2 * NEAR };
	ops = calloc(max_ops, sizeof(*ops));
	CHECK(ops);
	snprintf(local, sizeof(local), "/dev/mapper/%s", dm_name);
	fd = open(local, O_RDONLY);
	CHECK(fd >= 0 && !ioctl(fd, BLKGETSIZE64, &header.disk_bytes));
	close(fd);

	header.peer = argc == 7;
	if (header.peer)
		record_peer(argv[6], max_ops - MORE_OPS);
	else
		record_sluice(local, max_ops - MORE_OPS, complete);
	write_journal(argv[2]);
	return 0;
}
