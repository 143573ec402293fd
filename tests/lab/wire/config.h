/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI configuration space the host sees. Knows neither sockets nor files.
 */
#ifndef LAB_CONFIG_H
#define LAB_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#define CONFIG_BYTES	4096

struct config_identity {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision, prog_if, subclass, base_class;
	uint32_t bar_flags;		/* low bits of BAR 0 */
	uint64_t bar_bytes;		/* a power of two, 16 or more */
	unsigned int vectors;		/* MSI-X; 0: no such capability */
	uint32_t table_offset;		/* in BAR 0, as is the next */
	uint32_t pending_offset;
};

struct config_space {
	struct config_identity identity;
	uint8_t data[CONFIG_BYTES];
	uint8_t writable[CONFIG_BYTES];	/* a mask per byte */
};

/* As after power-on. */
void config_init(struct config_space *config, const struct config_identity *identity);

/* Both take only what lies within CONFIG_BYTES. */
void config_read(const struct config_space *config, size_t offset, size_t count, uint8_t *data);

/* True if this write asked for a function level reset, which is done then. */
int config_write(struct config_space *config, size_t offset, size_t count, const uint8_t *data);

#endif
