// SPDX-License-Identifier: GPL-2.0-or-later
/* An NVMe function on the card's PCI endpoint. */
#include <dirent.h>
#include <stdio.h>

#include "export.h"

#define CONTROLLERS	"/sys/class/pci_epc"

static bool has_controller(void)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	dir = opendir(CONTROLLERS);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.';
	closedir(dir);
	return found;
}

static bool parse(struct sluiced_export *export, struct sluiced_fault *fault)
{
	if (export->address[0])
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "A pci export has no address: leave it out.");
	return true;
}

static bool require(struct sluiced_fault *fault)
{
	if (!has_controller())
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "This machine has no PCI endpoint controller (" CONTROLLERS
				     " is empty): export over tcp, or hand the device to the card vendor's NVMe emulation.");
	return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
			     "This version of sluiced exports over tcp and loop only: set the kernel's nvmet_pci_epf function up by hand on the device.");
}

static void address(const struct sluiced_export *export, struct sluiced_port_address *port)
{
	(void)export;
	snprintf(port->trtype, sizeof(port->trtype), "pci");
}

const struct sluiced_export_kind sluiced_export_pci = {
	.name = "pci",
	.any_by_default = true,
	.parse = parse,
	.require = require,
	.address = address,
};
