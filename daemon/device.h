/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One attachment of the daemon to one device: what the host waits for comes out,
 * commits go in, the residency map is looked at. Of the loop's thread, except
 * where noted.
 */
#ifndef SLUICED_DEVICE_H
#define SLUICED_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "loop.h"

struct sluiced_device_ops {
	/* The host waits for an extent, which lies within the namespace. */
	void (*wanted)(void *ctx, const struct sluice_wanted *wanted);
	/* All events there are have been handed over. */
	void (*drained)(void *ctx);
	/* The attachment is not ours any more: -ENOLINK, -ESTALE. */
	void (*lost)(void *ctx, int err);
};

struct sluiced_device {
	struct sluiced_loop *loop;
	struct sluice_attachment att;
	uint64_t blocks;		/* of the namespace; the last may be partial */
	const struct sluiced_device_ops *ops;
	void *ctx;
	char name[SLUICE_NAME_LEN];	/* for the log */
	struct sluiced_op poll;
	bool polling;
	struct sluiced_timer heartbeat;
	void (*detached)(void *ctx);
	unsigned int bad_events;
};

/* Of one commit; embedded in its caller's object until done(). */
struct sluiced_commit {
	struct sluiced_op op;
	/* @res: blocks that became resident, or -errno as in the uapi header. */
	void (*done)(struct sluiced_commit *commit, int32_t res);
};

/* Pool and ring of an attachment made by this daemon. */
#define SLUICED_POOL_BYTES	(UINT32_C(32) << 20)

/*
 * Attaches to /dev/sluice@index as the deployment @name. -EBUSY while another
 * daemon's attachment is not yet gone; -ENODEV.
 */
int sluiced_device_attach(struct sluiced_device *dev, struct sluiced_loop *loop,
			  const char *name, uint32_t index, uint64_t max_pool_bytes,
			  const struct sluiced_device_ops *ops, void *ctx);

/*
 * Ends the attachment at once and then calls @detached from the loop, after
 * which @dev may be freed or attached again. No commit and no read into the pool
 * may be under way. Without an attachment @detached is called right here.
 */
void sluiced_device_detach(struct sluiced_device *dev, void (*detached)(void *ctx));

/* Hands over the events that are there now. */
void sluiced_device_drain(struct sluiced_device *dev);

/* Has the kernel raise the events of every waiting request again. */
void sluiced_device_offer(struct sluiced_device *dev);

/* As sluiced_missing_t of the scheduler, with the device as @ctx. */
uint32_t sluiced_device_missing(void *ctx, uint64_t from, uint64_t end, uint32_t max,
				uint64_t *start);

/* Memory of a pool block; as many bytes follow as the pool has. */
void *sluiced_device_buffer(struct sluiced_device *dev, uint32_t pool_block);

/* Makes blocks resident with data from the pool, or with zeroes. */
void sluiced_device_commit(struct sluiced_device *dev, struct sluiced_commit *commit,
			   uint64_t block, uint32_t blocks, uint32_t pool_block, bool zero);

#endif /* SLUICED_DEVICE_H */
