// SPDX-License-Identifier: GPL-2.0-or-later
#include "device.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

/* One for each block of a full NVMe queue pair's worth of 256 KiB reads. */
#define RING_EVENTS	1024

/*
 * A live daemon is never silent for a tenth of this, whatever the disk does; the
 * kernel lets another one in after it.
 */
#define WATCHDOG_MS	20000
#define HEARTBEAT_MS	2000

/* A kernel gone mad must not fill the log. */
#define MAX_BAD_EVENTS	10

static void poll_done(struct sluiced_op *op, int32_t res, uint32_t flags);

static void start_poll(struct sluiced_device *dev)
{
	dev->poll.done = poll_done;
	dev->polling = true;
	sluiced_loop_poll(dev->loop, &dev->poll, dev->att.fd, POLLIN);
}

static void finish_detach(struct sluiced_device *dev)
{
	void (*detached)(void *ctx) = dev->detached;

	dev->detached = NULL;
	if (detached)
		detached(dev->ctx);
}

static void lost(struct sluiced_device *dev, int err)
{
	sluiced_timer_stop(&dev->heartbeat);
	dev->ops->lost(dev->ctx, err);
}

static void poll_done(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	struct sluiced_device *dev = container_of(op, struct sluiced_device, poll);

	if (!(flags & IORING_CQE_F_MORE))
		dev->polling = false;
	if (dev->att.fd < 0) {
		if (!dev->polling)
			finish_detach(dev);
		return;
	}
	if (res > 0 && (res & (POLLERR | POLLHUP)))
		return lost(dev, -ENOLINK);
	sluiced_device_drain(dev);
	if (dev->polling || dev->att.fd < 0)
		return;
	/* The heartbeat polls anew: one that cannot be had is not the end. */
	if (res >= 0)
		start_poll(dev);
	else
		sluiced_log(LOG_WARNING, dev->name, "Polling for the host's requests failed: %s.",
			    strerror(-res));
}

static void beat(struct sluiced_timer *timer)
{
	struct sluiced_device *dev = container_of(timer, struct sluiced_device, heartbeat);
	int err;

	err = sluice_attachment_heartbeat(&dev->att);
	if (err)
		return lost(dev, err);
	sluiced_timer_start(dev->loop, timer, HEARTBEAT_MS);
	if (!dev->polling)
		start_poll(dev);
	sluiced_device_drain(dev);
}

int sluiced_device_attach(struct sluiced_device *dev, struct sluiced_loop *loop,
			  const char *name, uint32_t index, uint64_t max_pool_bytes,
			  const struct sluiced_device_ops *ops, void *ctx)
{
	uint32_t pool_bytes = SLUICED_POOL_BYTES;
	int err;

	if (pool_bytes > max_pool_bytes)
		pool_bytes = max_pool_bytes;
	*dev = (struct sluiced_device){ .loop = loop, .ops = ops, .ctx = ctx };
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	err = sluice_attach(&dev->att, index, pool_bytes / SLUICE_BLOCK_SIZE, RING_EVENTS,
			    WATCHDOG_MS);
	if (err)
		return err;
	dev->blocks = (dev->att.namespace_bytes - 1) / SLUICE_BLOCK_SIZE + 1;
	dev->heartbeat.fire = beat;
	sluiced_timer_start(loop, &dev->heartbeat, HEARTBEAT_MS);
	start_poll(dev);
	return 0;
}

void sluiced_device_detach(struct sluiced_device *dev, void (*detached)(void *ctx))
{
	sluiced_timer_stop(&dev->heartbeat);
	dev->detached = detached;
	if (dev->polling)
		sluiced_loop_cancel(dev->loop, &dev->poll);
	sluice_detach(&dev->att);
	if (!dev->polling)
		finish_detach(dev);
}

static bool sane(const struct sluiced_device *dev, const struct sluice_wanted *wanted)
{
	return wanted->blocks && wanted->block < dev->blocks &&
	       wanted->blocks <= dev->blocks - wanted->block;
}

void sluiced_device_drain(struct sluiced_device *dev)
{
	struct sluice_wanted wanted;
	unsigned int n = 0;

	/* The kernel refills while we drain: a bound keeps the rest alive. */
	while (n++ < 2 * RING_EVENTS && sluice_attachment_next(&dev->att, &wanted)) {
		if (sane(dev, &wanted))
			dev->ops->wanted(dev->ctx, &wanted);
		else if (dev->bad_events++ < MAX_BAD_EVENTS)
			sluiced_log(LOG_WARNING, dev->name,
				    "The kernel asks for %u blocks at %llu of %llu.",
				    wanted.blocks, (unsigned long long)wanted.block,
				    (unsigned long long)dev->blocks);
	}
	if (sluice_attachment_overflown(&dev->att))
		sluiced_device_offer(dev);
	dev->ops->drained(dev->ctx);
}

void sluiced_device_offer(struct sluiced_device *dev)
{
	int err = sluice_attachment_offer(&dev->att);

	if (err)
		sluiced_log(LOG_WARNING, dev->name,
			    "The kernel does not repeat what the host waits for: %s.",
			    strerror(-err));
}

static uint64_t word_of(const struct sluiced_device *dev, uint64_t word)
{
	/* Acquire: a block seen resident is one whose data is on the disk. */
	return le64toh(__atomic_load_n(&dev->att.map[word], __ATOMIC_ACQUIRE));
}

uint32_t sluiced_device_missing(void *ctx, uint64_t from, uint64_t end, uint32_t max,
				uint64_t *start)
{
	struct sluiced_device *dev = ctx;
	uint64_t block = from, bits;

	if (end > dev->blocks)
		end = dev->blocks;
	while (block < end) {
		bits = ~word_of(dev, block / 64) >> block % 64;
		if (bits) {
			block += __builtin_ctzll(bits);
			break;
		}
		block = (block / 64 + 1) * 64;
	}
	if (block >= end)
		return 0;
	*start = block;
	if (end - block > max)
		end = block + max;
	while (block < end) {
		bits = word_of(dev, block / 64) >> block % 64;
		if (bits) {
			block += __builtin_ctzll(bits);
			break;
		}
		block = (block / 64 + 1) * 64;
	}
	/* The host may have filled the first one between the two looks. */
	if (block == *start)
		block++;
	return (block < end ? block : end) - *start;
}

void *sluiced_device_buffer(struct sluiced_device *dev, uint32_t pool_block)
{
	return dev->att.pool + (size_t)pool_block * SLUICE_BLOCK_SIZE;
}

static void commit_done(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	struct sluiced_commit *commit = container_of(op, struct sluiced_commit, op);

	(void)flags;
	commit->done(commit, res);
}

void sluiced_device_commit(struct sluiced_device *dev, struct sluiced_commit *commit,
			   uint64_t block, uint32_t blocks, uint32_t pool_block, bool zero)
{
	void *cmd;

	commit->op.done = commit_done;
	cmd = sluiced_loop_command(dev->loop, &commit->op, dev->att.fd, SLUICE_CMD_COMMIT);
	sluice_attachment_prep_commit(&dev->att, cmd, SLUICED_CMD_LEN, block, blocks,
				      pool_block, zero);
}
