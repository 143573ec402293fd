// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include <assert.h>
#include <string.h>

#include <linux/pci_regs.h>

/* Where the capabilities lie is free, as long as they do not overlap. */
#define CAP_PM		0x40
#define CAP_MSIX	0x50
#define CAP_EXPRESS	0x60

/* Config space is little endian, and nothing in it is aligned for sure. */
static void put(struct config_space *config, size_t offset, size_t bytes, uint64_t value,
		uint64_t writable)
{
	for (size_t i = 0; i < bytes; i++) {
		config->data[offset + i] = value >> (8 * i);
		config->writable[offset + i] = writable >> (8 * i);
	}
}

static void put_bar(struct config_space *config)
{
	const struct config_identity *id = &config->identity;
	/* What the size masks out reads as zero: so a host finds the size. */
	uint64_t writable = ~(id->bar_bytes - 1);

	put(config, PCI_BASE_ADDRESS_0, 4, id->bar_flags & 0xf, writable & ~0xfull);
	if (id->bar_flags & PCI_BASE_ADDRESS_MEM_TYPE_64)
		put(config, PCI_BASE_ADDRESS_1, 4, 0, writable >> 32);
}

static void put_power(struct config_space *config, uint8_t next)
{
	put(config, CAP_PM, 2, PCI_CAP_ID_PM | next << 8, 0);
	/* Version 3. No soft reset: going to D0 loses nothing. */
	put(config, CAP_PM + PCI_PM_PMC, 2, 3, 0);
	put(config, CAP_PM + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET, PCI_PM_CTRL_STATE_MASK);
}

static void put_msix(struct config_space *config, uint8_t next)
{
	const struct config_identity *id = &config->identity;

	put(config, CAP_MSIX, 2, PCI_CAP_ID_MSIX | next << 8, 0);
	put(config, CAP_MSIX + PCI_MSIX_FLAGS, 2, id->vectors - 1,
	    PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	put(config, CAP_MSIX + PCI_MSIX_TABLE, 4, id->table_offset, 0);
	put(config, CAP_MSIX + PCI_MSIX_PBA, 4, id->pending_offset, 0);
}

static void put_express(struct config_space *config)
{
	put(config, CAP_EXPRESS, 2, PCI_CAP_ID_EXP, 0);
	put(config, CAP_EXPRESS + PCI_EXP_FLAGS, 2, 2 | PCI_EXP_TYPE_ENDPOINT << 4, 0);
	put(config, CAP_EXPRESS + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR, 0);
	/* The bit that resets reads as zero: config_write() has it. */
	put(config, CAP_EXPRESS + PCI_EXP_DEVCTL, 2, 0, 0x7fff);
	/* 8 GT/s, 4 lanes: what such a card would have. */
	put(config, CAP_EXPRESS + PCI_EXP_LNKCAP, 4,
	    PCI_EXP_LNKCAP_SLS_8_0GB | 4 << 4, 0);
	put(config, CAP_EXPRESS + PCI_EXP_LNKSTA, 2,
	    PCI_EXP_LNKSTA_CLS_8_0GB | PCI_EXP_LNKSTA_NLW_X4, 0);
}

void config_init(struct config_space *config, const struct config_identity *identity)
{
	/* A caller may pass the one inside. */
	const struct config_identity id = *identity;

	memset(config, 0, sizeof(*config));
	config->identity = id;
	put(config, PCI_VENDOR_ID, 2, id.vendor, 0);
	put(config, PCI_DEVICE_ID, 2, id.device, 0);
	put(config, PCI_COMMAND, 2, 0,
	    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
	    PCI_COMMAND_INTX_DISABLE);
	put(config, PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
	put(config, PCI_REVISION_ID, 1, id.revision, 0);
	put(config, PCI_CLASS_PROG, 1, id.prog_if, 0);
	put(config, PCI_CLASS_DEVICE, 2, id.subclass | id.base_class << 8, 0);
	put(config, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
	put(config, PCI_SUBSYSTEM_VENDOR_ID, 2, id.subsystem_vendor, 0);
	put(config, PCI_SUBSYSTEM_ID, 2, id.subsystem, 0);
	/* No interrupt pin: for INTx the host's QEMU would trap all of BAR 0. */
	put(config, PCI_INTERRUPT_LINE, 1, 0, 0xff);
	put_bar(config);

	put(config, PCI_CAPABILITY_LIST, 1, CAP_PM, 0);
	put_power(config, id.vectors ? CAP_MSIX : CAP_EXPRESS);
	if (id.vectors)
		put_msix(config, CAP_EXPRESS);
	put_express(config);
}

void config_read(const struct config_space *config, size_t offset, size_t count, uint8_t *data)
{
	assert(offset <= CONFIG_BYTES && count <= CONFIG_BYTES - offset);
	memcpy(data, config->data + offset, count);
}

int config_write(struct config_space *config, size_t offset, size_t count, const uint8_t *data)
{
	const size_t reset = CAP_EXPRESS + PCI_EXP_DEVCTL + 1;

	assert(offset <= CONFIG_BYTES && count <= CONFIG_BYTES - offset);
	if (offset <= reset && reset < offset + count &&
	    data[reset - offset] & (PCI_EXP_DEVCTL_BCR_FLR >> 8)) {
		config_init(config, &config->identity);
		return 1;
	}
	for (size_t i = 0; i < count; i++) {
		uint8_t *byte = &config->data[offset + i], mask = config->writable[offset + i];

		*byte = (*byte & ~mask) | (data[i] & mask);
	}
	return 0;
}
