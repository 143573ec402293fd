/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SLUICE_LAB_EPC_H
#define SLUICE_LAB_EPC_H

#include <linux/io.h>
#include <linux/pci.h>
#include <linux/pci-epc.h>
#include <linux/workqueue.h>

#include "mailbox.h"

struct lab_dma;

struct lab_epc {
	struct pci_dev *pdev;
	struct pci_epc *epc;
	struct lab_dma *dma;

	void __iomem *doorbells;	/* the ivshmem device's registers */
	void __iomem *host;		/* the host's memory, host_bytes of it */
	phys_addr_t host_phys;
	u64 host_bytes;
	u64 window_bytes;		/* what the host's memory is rounded up to */
	struct lab_mailbox __iomem *mailbox;

	struct work_struct link_work;
	bool started;			/* under epc->lock; link_work only reads it */
	bool link_up;			/* link_work's alone */
	bool has_header;		/* under epc->lock */
	bool has_bar;
};

/* controller.c: what the endpoint framework calls. */
int lab_controller_create(struct lab_epc *lab);
/* The framework has forgotten every function when this returns. */
void lab_controller_destroy(struct lab_epc *lab);

/* dma.c: the channels an endpoint function asks its controller's parent for. */
int lab_dma_create(struct lab_epc *lab);
void lab_dma_destroy(struct lab_epc *lab);

/* link.c: the mailbox. */
void lab_link_init(struct lab_epc *lab);
/* The mailbox has news for the wire. Any context. */
void lab_link_ring(struct lab_epc *lab);
/* Any context. */
void lab_link_kick(struct lab_epc *lab);
/*
 * Sleeps until no link event is under way. The caller holds no lock that an
 * endpoint function takes, epc->lock included.
 */
void lab_link_settle(struct lab_epc *lab);

static inline void lab_ring(struct lab_epc *lab, u16 vector)
{
	/* ivshmem's doorbell register: peer and vector. */
	writel(LAB_PEER_WIRE << 16 | vector, lab->doorbells + 12);
}

/* Written so that no garbage from the host can wrap around. */
static inline bool lab_host_range_valid(const struct lab_epc *lab, u64 address, u64 bytes)
{
	return address <= lab->host_bytes && bytes <= lab->host_bytes - address;
}

#endif
