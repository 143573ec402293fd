// SPDX-License-Identifier: GPL-2.0-only
/*
 * sluice-lab-epc - a PCI endpoint controller without hardware
 *
 * For the lab's SmartNIC machine only, which is a guest. It drives the guest's
 * ivshmem-doorbell device: the device's shared memory is another guest's memory
 * (the host), its doorbell reaches the process between the two (the wire). See
 * mailbox.h for who says what to whom.
 */
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>

#include "lab-epc.h"

static irqreturn_t lab_interrupt(int irq, void *data)
{
	lab_link_kick(data);
	return IRQ_HANDLED;
}

static int map_memory(struct lab_epc *lab)
{
	struct pci_dev *pdev = lab->pdev;
	struct device *dev = &pdev->dev;

	lab->host_phys = pci_resource_start(pdev, 2);
	lab->window_bytes = pci_resource_len(pdev, 2) / 2;
	lab->doorbells = pcim_iomap(pdev, 0, 0);
	if (!lab->doorbells)
		return -ENOMEM;
	lab->mailbox = devm_ioremap(dev, lab->host_phys + lab->window_bytes,
				    sizeof(*lab->mailbox));
	if (!lab->mailbox)
		return -ENOMEM;
	if (readl(&lab->mailbox->magic) != LAB_MAILBOX_MAGIC ||
	    readl(&lab->mailbox->version) != LAB_MAILBOX_VERSION)
		return dev_err_probe(dev, -ENODEV, "no wire behind this ivshmem device\n");
	lab->host_bytes = readq(&lab->mailbox->host_bytes);
	if (!lab->host_bytes || lab->host_bytes > lab->window_bytes)
		return dev_err_probe(dev, -EINVAL, "a host of %llu bytes behind a window of %llu\n",
				     lab->host_bytes, lab->window_bytes);
	/*
	 * Not memremap(WB): every mapping the framework makes of the same pages
	 * is an ioremap(), and one range has one memory type.
	 */
	lab->host = devm_ioremap(dev, lab->host_phys, lab->host_bytes);
	return lab->host ? 0 : -ENOMEM;
}

static int lab_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct lab_epc *lab;
	int ret;

	lab = devm_kzalloc(&pdev->dev, sizeof(*lab), GFP_KERNEL);
	if (!lab)
		return -ENOMEM;
	lab->pdev = pdev;
	pci_set_drvdata(pdev, lab);
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	pci_set_master(pdev);
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	ret = map_memory(lab);
	if (ret)
		return ret;
	lab_link_init(lab);
	ret = lab_dma_create(lab);
	if (ret)
		return ret;
	ret = lab_controller_create(lab);
	if (ret)
		goto err_dma;
	ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	if (ret < 0)
		goto err_controller;
	ret = request_irq(pci_irq_vector(pdev, 0), lab_interrupt, 0, "sluice-lab-epc", lab);
	if (ret)
		goto err_vectors;
	/* What was rung before is not rung again. */
	lab_link_kick(lab);
	dev_info(&pdev->dev, "endpoint controller of a host with %llu MiB\n",
		 lab->host_bytes >> 20);
	return 0;

err_vectors:
	pci_free_irq_vectors(pdev);
err_controller:
	lab_controller_destroy(lab);
err_dma:
	lab_dma_destroy(lab);
	return ret;
}

static void lab_remove(struct pci_dev *pdev)
{
	struct lab_epc *lab = pci_get_drvdata(pdev);

	free_irq(pci_irq_vector(pdev, 0), lab);
	pci_free_irq_vectors(pdev);
	lab_controller_destroy(lab);
	lab_dma_destroy(lab);
}

static const struct pci_device_id lab_ids[] = {
	{ PCI_DEVICE(0x1af4, 0x1110) },
	{ }
};
MODULE_DEVICE_TABLE(pci, lab_ids);

static struct pci_driver lab_driver = {
	.name = "sluice-lab-epc",
	.id_table = lab_ids,
	.probe = lab_probe,
	.remove = lab_remove,
};
module_pci_driver(lab_driver);

MODULE_DESCRIPTION("PCI endpoint controller over ivshmem, for Sluice's lab");
MODULE_LICENSE("GPL");
