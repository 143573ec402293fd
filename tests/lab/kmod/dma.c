// SPDX-License-Identifier: GPL-2.0-only
/*
 * A DMA engine that is memcpy. Without one nvmet's endpoint function maps each
 * piece of host memory by itself, under one lock and with an ioremap() per
 * segment; with one it maps completion queues only.
 *
 * A transfer is done when it is submitted, by whoever submits it: so two CPUs
 * copy at the same time although they share a channel. Clients that wait for a
 * callback are refused, as ours poll.
 */
#include <linux/dmaengine.h>
#include <linux/slab.h>

#include "lab-epc.h"

#define CHANNELS	2	/* one a direction: a function takes each alone */

struct lab_channel {
	struct dma_chan chan;
	spinlock_t lock;	/* the cookies */
};

struct lab_dma {
	struct dma_device dev;
	struct lab_epc *lab;
	struct lab_channel channels[CHANNELS];
};

struct lab_transfer {
	struct dma_async_tx_descriptor tx;
	enum dma_transfer_direction direction;
	void *memory;
	u64 host_address;
	u32 bytes;
};

static struct lab_channel *to_channel(struct dma_chan *chan)
{
	return container_of(chan, struct lab_channel, chan);
}

static struct lab_epc *to_lab(struct dma_chan *chan)
{
	return container_of(chan->device, struct lab_dma, dev)->lab;
}

static dma_cookie_t transfer_submit(struct dma_async_tx_descriptor *tx)
{
	struct lab_transfer *t = container_of(tx, struct lab_transfer, tx);
	struct lab_channel *channel = to_channel(tx->chan);
	void __iomem *host = to_lab(tx->chan)->host + t->host_address;
	dma_cookie_t cookie;

	if (t->direction == DMA_DEV_TO_MEM)
		memcpy_fromio(t->memory, host, t->bytes);
	else
		memcpy_toio(host, t->memory, t->bytes);
	kfree(t);

	spin_lock(&channel->lock);
	cookie = channel->chan.cookie + 1;
	if (cookie < DMA_MIN_COOKIE)
		cookie = DMA_MIN_COOKIE;
	channel->chan.cookie = cookie;
	channel->chan.completed_cookie = cookie;
	spin_unlock(&channel->lock);
	return cookie;
}

static struct dma_async_tx_descriptor *
prepare(struct dma_chan *chan, struct scatterlist *sgl, unsigned int count,
	enum dma_transfer_direction direction, unsigned long flags,
	struct dma_slave_config *config)
{
	struct lab_transfer *t;
	u64 address;

	if (count != 1 || !config || (flags & DMA_PREP_INTERRUPT))
		return NULL;
	switch (direction) {
	case DMA_DEV_TO_MEM:
		address = config->src_addr;
		break;
	case DMA_MEM_TO_DEV:
		address = config->dst_addr;
		break;
	default:
		return NULL;
	}
	/* Where a host points is the host's choice. */
	if (!lab_host_range_valid(to_lab(chan), address, sg_dma_len(sgl)))
		return NULL;
	/* The framework may hold a spinlock. */
	t = kzalloc_obj(*t, GFP_NOWAIT);
	if (!t)
		return NULL;
	dma_async_tx_descriptor_init(&t->tx, chan);
	t->tx.flags = flags;
	t->tx.tx_submit = transfer_submit;
	t->direction = direction;
	/* No IOMMU, no bounce buffer: the bus address is the physical one. */
	t->memory = phys_to_virt(sg_dma_address(sgl));
	t->host_address = address;
	t->bytes = sg_dma_len(sgl);
	return &t->tx;
}

static enum dma_status status(struct dma_chan *chan, dma_cookie_t cookie,
			      struct dma_tx_state *state)
{
	return dma_async_is_complete(cookie, READ_ONCE(chan->completed_cookie),
				     READ_ONCE(chan->cookie));
}

static void issue_pending(struct dma_chan *chan)
{
}

static int terminate_all(struct dma_chan *chan)
{
	return 0;
}

static void release(struct dma_device *dev)
{
	kfree(container_of(dev, struct lab_dma, dev));
}

int lab_dma_create(struct lab_epc *lab)
{
	struct lab_dma *dma;
	struct dma_device *dev;
	int i, ret;

	dma = kzalloc_obj(*dma);
	if (!dma)
		return -ENOMEM;
	dma->lab = lab;
	dev = &dma->dev;
	dev->dev = &lab->pdev->dev;
	dma_cap_set(DMA_SLAVE, dev->cap_mask);
	dma_cap_set(DMA_PRIVATE, dev->cap_mask);
	dev->directions = BIT(DMA_DEV_TO_MEM) | BIT(DMA_MEM_TO_DEV);
	dev->src_addr_widths = BIT(DMA_SLAVE_BUSWIDTH_8_BYTES);
	dev->dst_addr_widths = BIT(DMA_SLAVE_BUSWIDTH_8_BYTES);
	dev->residue_granularity = DMA_RESIDUE_GRANULARITY_DESCRIPTOR;
	dev->device_prep_config_sg = prepare;
	dev->device_tx_status = status;
	dev->device_issue_pending = issue_pending;
	dev->device_terminate_all = terminate_all;
	dev->device_release = release;
	INIT_LIST_HEAD(&dev->channels);
	for (i = 0; i < CHANNELS; i++) {
		struct lab_channel *channel = &dma->channels[i];

		spin_lock_init(&channel->lock);
		channel->chan.device = dev;
		channel->chan.cookie = DMA_MIN_COOKIE;
		channel->chan.completed_cookie = DMA_MIN_COOKIE;
		list_add_tail(&channel->chan.device_node, &dev->channels);
	}
	ret = dma_async_device_register(dev);
	if (ret) {
		kfree(dma);
		return ret;
	}
	lab->dma = dma;
	return 0;
}

void lab_dma_destroy(struct lab_epc *lab)
{
	dma_async_device_unregister(&lab->dma->dev);
	lab->dma = NULL;
}
