// SPDX-License-Identifier: GPL-2.0-or-later
/* What a local disk does that is not there any more. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmod-test.h"

static void inv24_hot_removal(void)
{
	struct sluice_generation g = { 0 };
	struct io reads[4], write;
	uint8_t *buf = buffer(8 * BLK), *w = buffer(BLK);
	struct puppet p;

	null_create();
	puppet_init(&p, GONE, IMAGE);
	p.namespace_bytes = IMAGE;
	p.deadline_ms = 60000;
	puppet_start(&p);
	CHECK(puppet_commit(&p, 0, 64) == 64);
	CHECK(io_do(p.dev, IO_WRITE, 0, BLK, w) == BLK);
	for (int i = 0; i < 4; i++)
		io_start(&reads[i], p.dev, IO_READ, (100 + i) * BLK, BLK, buf + i * BLK);
	io_start(&write, p.dev, IO_WRITE, 200 * BLK + 512, 512, w);
	usleep(100000);
	CHECK(puppet_stat(&p).parked == 5);

	null_pull();
	/* Long before their deadline: nobody can fill what they wait for. */
	for (int i = 0; i < 4; i++) {
		CHECK(io_done(&reads[i], 10000));
		CHECK(io_wait(&reads[i]) == -EIO);
	}
	CHECK(io_done(&write, 10000) && io_wait(&write) == -EIO);
	CHECK(io_do(p.dev, IO_READ, 0, BLK, buf) == -EIO);
	CHECK(io_do(p.dev, IO_READ, 300 * BLK, BLK, buf) == -EIO);
	CHECK(io_do(p.dev, IO_WRITE, 301 * BLK, BLK, w) == -EIO);
	CHECK(io_do(p.dev, IO_WRITE, 302 * BLK + 512, 512, w) == -EIO);
	CHECK(io_do(p.dev, IO_SYNC, 0, 0, NULL) == -EIO);
	CHECK(puppet_commit(&p, 400, 1) < 0);
	CHECK(!puppet_resident(&p, 301) && !puppet_resident(&p, 400));
	/* And whatever the map says, it is not complete. */
	g.generation = p.gen;
	CHECK(ioctl(p.fd, SLUICE_IOC_COMPLETE, &g) && errno != 0);
	CHECK(puppet_stat(&p).state != SLUICE_STATE_COMPLETE);
	CHECK(puppet_stat(&p).parked == 0);
	puppet_stop(&p);
	null_remove();
}

/* All is local, but the record of it is not written yet. */
static void inv24_removal_before_complete(void)
{
	struct sluice_generation g = { 0 };
	struct puppet p;

	null_create();
	puppet_init(&p, GONE, 4 * MIB);
	p.namespace_bytes = 4 * MIB;
	puppet_start(&p);
	puppet_fill_all(&p);
	null_pull();
	g.generation = p.gen;
	CHECK(ioctl(p.fd, SLUICE_IOC_COMPLETE, &g) && errno == EIO);
	CHECK(puppet_stat(&p).state != SLUICE_STATE_COMPLETE);
	puppet_stop(&p);
	null_remove();
}

const struct kmod_test faults_tests[] = {
#define T(x) { #x, x }
	T(inv24_hot_removal),
	T(inv24_removal_before_complete),
#undef T
	{ NULL, NULL }
};
