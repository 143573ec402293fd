// SPDX-License-Identifier: GPL-2.0-only
/*
 * The controller as the PCI endpoint framework sees it.
 *
 * Inbound: BAR 0 is memory the framework allocated in this machine; the wire is
 * told where and gives the host the same bytes of the file behind it. The MSI-X
 * table a function puts into its BAR stays unused, the wire has its own.
 *
 * Outbound: the window is the host's memory itself, so the host's address A is
 * window + A and nothing needs to be translated. To the framework this is an
 * alignment rule: "a mapping begins at address 0".
 */
#include <linux/module.h>
#include <linux/sizes.h>

#include "lab-epc.h"

/*
 * Mappings that may be between allocation and map_addr at the same time. nvmet
 * serializes its own; 4 is more than the CPUs such a guest has.
 */
#define WINDOWS	4

static int write_header(struct pci_epc *epc, u8 func, u8 vfunc, struct pci_epf_header *header)
{
	struct lab_epc *lab = epc_get_drvdata(epc);
	struct lab_mailbox __iomem *box = lab->mailbox;

	/* What a host takes for an empty slot would be a riddle there. */
	if (header->vendorid == 0 || header->vendorid == 0xffff) {
		dev_err(&epc->dev, "vendor %#06x is nobody's\n", header->vendorid);
		return -EINVAL;
	}
	writew(header->vendorid, &box->vendor);
	writew(header->deviceid, &box->device);
	writew(header->subsys_vendor_id, &box->subsystem_vendor);
	writew(header->subsys_id, &box->subsystem);
	writeb(header->revid, &box->revision);
	writeb(header->progif_code, &box->prog_if);
	writeb(header->subclass_code, &box->subclass);
	writeb(header->baseclass_code, &box->base_class);
	lab->has_header = true;
	return 0;
}

static int set_bar(struct pci_epc *epc, u8 func, u8 vfunc, struct pci_epf_bar *bar)
{
	struct lab_epc *lab = epc_get_drvdata(epc);
	struct lab_mailbox __iomem *box = lab->mailbox;

	/* A host maps whole pages of it. */
	if (bar->barno != BAR_0 || !IS_ALIGNED(bar->phys_addr, SZ_4K) ||
	    !IS_ALIGNED(bar->size, SZ_4K))
		return -EINVAL;
	writeq(bar->phys_addr, &box->bar0_address);
	writeq(bar->size, &box->bar0_bytes);
	writel(bar->flags, &box->bar0_flags);
	lab->has_bar = true;
	return 0;
}

static void clear_bar(struct pci_epc *epc, u8 func, u8 vfunc, struct pci_epf_bar *bar)
{
	struct lab_epc *lab = epc_get_drvdata(epc);

	lab->has_bar = false;
	lab->has_header = false;
	writeq(0, &lab->mailbox->bar0_bytes);
	writel(0, &lab->mailbox->vectors);
}

static u64 align_addr(struct pci_epc *epc, u64 address, size_t *size, size_t *offset)
{
	struct lab_epc *lab = epc_get_drvdata(epc);

	/* There is no way to refuse but a mapping that fits no window. */
	*size = lab_host_range_valid(lab, address, *size) ? address + *size : SIZE_MAX;
	*offset = address;
	return 0;
}

/*
 * Mappings that all begin at the same address can share a window without limit,
 * but the framework gives a window's page to one only: take it back at once.
 * More windows would not do, for it finds the window of a mapping by address.
 */
static int map_addr(struct pci_epc *epc, u8 func, u8 vfunc, phys_addr_t phys, u64 address,
		    size_t size)
{
	unsigned int i;

	if (address)
		return -EINVAL;
	for (i = 0; i < epc->num_windows; i++) {
		struct pci_epc_mem *window = epc->windows[i];

		mutex_lock(&window->lock);
		bitmap_zero(window->bitmap, window->pages);
		mutex_unlock(&window->lock);
	}
	return 0;
}

static void unmap_addr(struct pci_epc *epc, u8 func, u8 vfunc, phys_addr_t phys)
{
}

static int set_msix(struct pci_epc *epc, u8 func, u8 vfunc, u16 vectors, enum pci_barno bar,
		    u32 offset)
{
	struct lab_epc *lab = epc_get_drvdata(epc);

	if (vectors > LAB_MSIX_VECTORS) {
		dev_err(&epc->dev, "%u MSI-X vectors asked for, there are %u\n", vectors,
			LAB_MSIX_VECTORS);
		return -ENOSPC;
	}
	writel(vectors, &lab->mailbox->vectors);
	return 0;
}

static int get_msix(struct pci_epc *epc, u8 func, u8 vfunc)
{
	struct lab_epc *lab = epc_get_drvdata(epc);

	return readl(&lab->mailbox->msix_enabled) ?: -EINVAL;
}

static int raise_irq(struct pci_epc *epc, u8 func, u8 vfunc, unsigned int type, u16 number)
{
	struct lab_epc *lab = epc_get_drvdata(epc);

	if (type != PCI_IRQ_MSIX || !number || number > LAB_MSIX_VECTORS)
		return -EINVAL;
	/* Firmware polls with MSI-X off: hardware drops the interrupt, too. */
	if (readl(&lab->mailbox->msix_enabled))
		lab_ring(lab, number);
	return 0;
}

static int start(struct pci_epc *epc)
{
	struct lab_epc *lab = epc_get_drvdata(epc);

	/*
	 * The framework ignores a function that fails to initialize; the host
	 * would meet a device of zeroes.
	 */
	if (!lab->has_header || !lab->has_bar) {
		dev_err(&epc->dev, "no endpoint function is ready to be started\n");
		return -ENODEV;
	}
	WRITE_ONCE(lab->started, true);
	writel(1, &lab->mailbox->started);
	lab_link_kick(lab);
	return 0;
}

static void stop(struct pci_epc *epc)
{
	struct lab_epc *lab = epc_get_drvdata(epc);

	writel(0, &lab->mailbox->started);
	WRITE_ONCE(lab->started, false);
	/*
	 * When we return, the function may be unbound, and nvmet's does not
	 * survive a link event after that. Waiting with epc->lock held would
	 * wait for ourselves: the event ends in unmap_addr().
	 */
	mutex_unlock(&epc->lock);
	lab_link_settle(lab);
	mutex_lock(&epc->lock);
}

static const struct pci_epc_features features = {
	.linkup_notifier = true,
	.msix_capable = true,
	.align = SZ_4K,
	.bar[BAR_0] = { .type = BAR_PROGRAMMABLE, .only_64bit = true },
	.bar[BAR_1] = { .type = BAR_RESERVED },
	.bar[BAR_2] = { .type = BAR_DISABLED },
	.bar[BAR_3] = { .type = BAR_DISABLED },
	.bar[BAR_4] = { .type = BAR_DISABLED },
	.bar[BAR_5] = { .type = BAR_DISABLED },
};

static const struct pci_epc_features *get_features(struct pci_epc *epc, u8 func, u8 vfunc)
{
	return &features;
}

static const struct pci_epc_ops controller_ops = {
	.write_header = write_header,
	.set_bar = set_bar,
	.clear_bar = clear_bar,
	.align_addr = align_addr,
	.map_addr = map_addr,
	.unmap_addr = unmap_addr,
	.set_msix = set_msix,
	.get_msix = get_msix,
	.raise_irq = raise_irq,
	.start = start,
	.stop = stop,
	.get_features = get_features,
	.owner = THIS_MODULE,
};

int lab_controller_create(struct lab_epc *lab)
{
	struct pci_epc_mem_window windows[WINDOWS];
	int i, ret;

	lab->epc = pci_epc_create(&lab->pdev->dev, &controller_ops);
	if (IS_ERR(lab->epc))
		return PTR_ERR(lab->epc);
	lab->epc->max_functions = 1;
	epc_set_drvdata(lab->epc, lab);
	for (i = 0; i < WINDOWS; i++) {
		windows[i].phys_base = lab->host_phys;
		windows[i].size = lab->window_bytes;
		windows[i].page_size = lab->window_bytes;
	}
	ret = pci_epc_multi_mem_init(lab->epc, windows, WINDOWS);
	if (ret)
		goto err_epc;
	pci_epc_init_notify(lab->epc);
	return 0;

err_epc:
	pci_epc_destroy(lab->epc);
	return ret;
}

void lab_controller_destroy(struct lab_epc *lab)
{
	WRITE_ONCE(lab->started, false);
	writel(0, &lab->mailbox->started);
	lab_link_settle(lab);
	pci_epc_deinit_notify(lab->epc);
	pci_epc_mem_exit(lab->epc);
	pci_epc_destroy(lab->epc);
}
