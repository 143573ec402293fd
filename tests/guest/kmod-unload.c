// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module is in use, in every state a deployment can be in; and then it is not.
 * Last of all tests: whose memory a leak is, is known only while it is loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kmod-test.h"

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

/* Of all tests so far. kmemleak has to be on: see guest.sh. */
static void inv23_leaks(void)
{
	char line[512], object[512] = "";
	int ours = 0;
	FILE *f;

	if (left_out())
		return;
	/* It leaves out what is younger than 5 s, or changed since the last look. */
	sysfs_write(KMEMLEAK, "scan");
	sleep(6);
	sysfs_write(KMEMLEAK, "scan");
	f = fopen(KMEMLEAK, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "unreferenced", 12))
			strcpy(object, line);
		if (!strstr(line, "[sluice]"))
			continue;
		fprintf(stderr, "%s%s", object, line);
		object[0] = '\0';
		ours++;
	}
	fclose(f);
	CHECK(!ours);
}

static bool busy(void)
{
	return syscall(SYS_delete_module, "sluice", O_NONBLOCK) && errno == EWOULDBLOCK;
}

static void unload_and_load(void)
{
	CHECK(!syscall(SYS_delete_module, "sluice", O_NONBLOCK));
	CHECK(!system("insmod \"$SLUICE_KO\""));
}

/* So that it is a state's own hold that is seen, and not this descriptor's. */
static void drop_control(struct puppet *p)
{
	close(p->ctl);
	p->ctl = -1;
}

static void take_control(struct puppet *p)
{
	p->ctl = open("/dev/" SLUICE_CONTROL_NODE, O_RDWR | O_CLOEXEC);
	CHECK(p->ctl >= 0);
}

static void *complete(void *arg)
{
	struct puppet *p = arg;
	struct sluice_generation g = { .generation = p->gen };

	return (void *)(long)ioctl(p->fd, SLUICE_IOC_COMPLETE, &g);
}

static void *closing(void *arg)
{
	return (void *)(long)puppet_close(arg);
}

static void inv32_unload_in_every_state(void)
{
	uint8_t *buf = buffer(BLK);
	struct sluice_event e;
	struct puppet p;
	pthread_t t;
	struct io io;
	void *res;

	/* The control node alone. */
	puppet_init(&p, slow, MIB);
	CHECK(busy());
	drop_control(&p);
	unload_and_load();
	take_control(&p);

	p.namespace_bytes = MIB;
	CHECK(!puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY));
	drop_control(&p);
	CHECK(busy());
	CHECK(!puppet_attach(&p));
	CHECK(busy());
	puppet_open_bdev(&p);
	CHECK(busy());
	/* A parked request, a fill under way. */
	io_start(&io, p.dev, IO_READ, 9 * BLK, BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 9);
	CHECK(busy());
	puppet_commit_start(&p, 9, 1);
	CHECK(busy());
	CHECK(puppet_reap(&p) == 1 && io_wait(&io) == BLK);
	/* An attachment of which only a mapping is left, beside a parked request. */
	io_start(&io, p.dev, IO_READ, 20 * BLK, BLK, buf);
	CHECK(puppet_event(&p, &e, 5000) && e.block == 20);
	io_uring_queue_exit(&p.uring);
	close(p.fd);
	CHECK(busy());
	munmap(p.ring, p.ring_bytes);
	munmap(p.pool, p.pool_bytes);
	munmap((void *)p.map, p.map_bytes);
	CHECK(busy());
	CHECK(!puppet_attach(&p));
	CHECK(puppet_event(&p, &e, 5000) && e.block == 20 && puppet_commit(&p, 20, 1) == 1);
	CHECK(io_wait(&io) == BLK && image_is(buf, 20 * BLK, BLK));
	/* Completing, complete, closing. */
	puppet_fill_all(&p);
	CHECK(!pthread_create(&t, NULL, complete, &p));
	usleep(20000);
	CHECK(busy());
	pthread_join(t, &res);
	CHECK(!res && busy());
	puppet_close_bdev(&p);
	CHECK(busy());
	puppet_detach(&p);
	CHECK(busy());
	take_control(&p);
	CHECK(puppet_stat(&p).state == SLUICE_STATE_COMPLETE);
	CHECK(!puppet_close(&p));
	CHECK(busy());
	drop_control(&p);
	unload_and_load();

	/* Closing with a sync to do, which takes its time; opening, too. */
	puppet_init(&p, slow, MIB);
	CHECK(!puppet_open(&p, SLUICE_OPEN_FORMAT | SLUICE_OPEN_IDENTITY));
	puppet_open_bdev(&p);
	CHECK(io_do(p.dev, IO_WRITE, 0, BLK, buf) == BLK);
	puppet_close_bdev(&p);
	CHECK(!pthread_create(&t, NULL, closing, &p));
	usleep(20000);
	CHECK(busy());
	pthread_join(t, &res);
	CHECK(!res);
	drop_control(&p);
	unload_and_load();
}

/* After its metadata failed; and after its disk was lost: see kmod-faults.c. */
static void inv32_unload_failed(void)
{
	uint8_t *w = buffer(BLK);
	struct puppet p;

	dm_create(0, disk_bytes(disk) / 512, "linear");
	puppet_init(&p, BAD, MIB);
	p.namespace_bytes = MIB;
	puppet_start(&p);
	dm_swap(MIB / 512, 8, "flakey");
	CHECK(io_do(p.dev, IO_WRITE, 0, BLK, w) == BLK);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == -EIO);
	CHECK(busy());
	puppet_stop(&p);
	unload_and_load();
	dm_remove();
}

const struct kmod_test unload_tests[] = {
#define T(x) { #x, x }
	T(inv23_leaks),
	T(inv32_unload_in_every_state),
	T(inv32_unload_failed),
#undef T
	{ NULL, NULL }
};
