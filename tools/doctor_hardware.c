// SPDX-License-Identifier: GPL-2.0-or-later
/* Endpoint controllers, disks and memory of the card. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "units.h"

/* A pool of 32 MiB a deployment, and room for the kernel to work with. */
#define MEMORY_KB	(256 * 1024)

static bool look_controller(struct sluice_doctor *doctor, const char *name)
{
	sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "endpoint", NULL,
			   "PCI endpoint controller %s.", name);
	return true;
}

/* Disks that something else makes of memory, files or other disks. */
static bool is_virtual(const char *name)
{
	static const char *const prefixes[] = { "loop", "ram", "zram", "dm-", "md", "sluice",
						"nbd", "sr", "fd", "nullb" };
	size_t i;

	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static bool look_disk(struct sluice_doctor *doctor, const char *name)
{
	char sectors[32], transport[32], cache[32], zeroes[32], model[64];
	char size[SLUICE_UNITS_LEN];

	/* With native multipath the disk is its subsystem's, named after a controller. */
	if (!sluice_doctor_read(doctor, transport, sizeof(transport),
				"/sys/block/%s/device/transport", name))
		sluice_doctor_read(doctor, transport, sizeof(transport),
				   "/sys/class/nvme/%.*s/transport",
				   (int)(4 + strspn(name + strcspn(name, "0123456789"),
						    "0123456789")), name);
	/* NVMe over a network is where images are. */
	if (is_virtual(name) || (*transport && strcmp(transport, "pcie")) ||
	    !sluice_doctor_read(doctor, sectors, sizeof(sectors), "/sys/block/%s/size", name) ||
	    !strtoull(sectors, NULL, 10))
		return false;
	sluice_doctor_read(doctor, model, sizeof(model), "/sys/block/%s/device/model", name);
	sluice_doctor_read(doctor, cache, sizeof(cache), "/sys/block/%s/queue/write_cache", name);
	sluice_doctor_read(doctor, zeroes, sizeof(zeroes),
			   "/sys/block/%s/queue/write_zeroes_max_bytes", name);
	sluice_format_bytes(strtoull(sectors, NULL, 10) * 512, size, sizeof(size));
	model[strcspn(model, " ")] = '\0';
	sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "disk", NULL, "%s%s%s: %s, %s.", name,
			   *model ? " " : "", model, size,
			   *transport ? "NVMe" : "no NVMe disk");
	if (!strcmp(cache, "write back"))
		sluice_doctor_find(doctor, SLUICE_LEVEL_NOTE, "disk-cache",
				   "Prefer a disk with power-loss protection for hosts that flush much.",
				   "%s has a volatile write cache: each flush of the host waits for its media.",
				   name);
	if (!strtoull(zeroes, NULL, 10))
		sluice_doctor_find(doctor, SLUICE_LEVEL_NOTE, "disk-zeroes",
				   "Prefer a disk with Write Zeroes for images with holes.",
				   "%s cannot write zeroes by itself: holes of the image are written as data.",
				   name);
	return true;
}

static void look_memory(struct sluice_doctor *doctor)
{
	char path[256], line[128], size[SLUICE_UNITS_LEN];
	unsigned long long kb = 0;
	FILE *file;

	sluice_doctor_path(doctor, path, sizeof(path), "/proc/meminfo");
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu", &kb) == 1)
			break;
	if (file)
		fclose(file);
	sluice_format_bytes(kb * 1024, size, sizeof(size));
	if (kb < MEMORY_KB)
		sluice_doctor_find(doctor, SLUICE_LEVEL_WARNING, "memory",
				   "Leave sluiced 32 MiB for each deployment, and the kernel some for the network.",
				   "Only %s of memory are free.", size);
	else
		sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "memory", NULL,
				   "%s of memory are free.", size);
}

void sluice_doctor_hardware(struct sluice_doctor *doctor)
{
	look_memory(doctor);
	if (!sluice_doctor_each(doctor, "/sys/class/pci_epc", look_controller))
		sluice_doctor_find(doctor, SLUICE_LEVEL_NOTE, "endpoint",
				   "Enable the controller in the card's device tree; Documentation/smartnic.rst names drivers.",
				   "There is no PCI endpoint controller: no pci export.");
	if (!sluice_doctor_each(doctor, "/sys/block", look_disk))
		sluice_doctor_find(doctor, SLUICE_LEVEL_WARNING, "disk",
				   "Put an NVMe SSD into the card, or see lspci for why it is not found.",
				   "There is no local disk to deploy to.");
}
