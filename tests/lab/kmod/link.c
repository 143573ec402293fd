// SPDX-License-Identifier: GPL-2.0-only
/*
 * The link to the host, as the wire reports it. Everything happens in one work
 * item, because endpoint functions sleep in the link events and call back into
 * the controller; and because one place that compares what is with what should
 * be needs no history of doorbells.
 */
#include "lab-epc.h"

void lab_link_ring(struct lab_epc *lab)
{
	lab_ring(lab, 0);
}

static void link_down(struct lab_epc *lab)
{
	if (!lab->link_up)
		return;
	lab->link_up = false;
	pci_epc_linkdown(lab->epc);
}

static void link_work(struct work_struct *work)
{
	struct lab_epc *lab = container_of(work, struct lab_epc, link_work);
	struct lab_mailbox __iomem *box = lab->mailbox;
	u32 request = readl(&box->request);

	if (request != readl(&box->answer) || !READ_ONCE(lab->started))
		link_down(lab);
	if (!lab->link_up && READ_ONCE(lab->started) && readl(&box->link)) {
		lab->link_up = true;
		pci_epc_linkup(lab->epc);
	}
	/* Only now may the host touch the BAR: a CC written earlier is lost. */
	writel(request, &box->answer);
	lab_link_ring(lab);
}

void lab_link_init(struct lab_epc *lab)
{
	INIT_WORK(&lab->link_work, link_work);
}

void lab_link_kick(struct lab_epc *lab)
{
	schedule_work(&lab->link_work);
}

void lab_link_settle(struct lab_epc *lab)
{
	lab_link_kick(lab);
	flush_work(&lab->link_work);
}
