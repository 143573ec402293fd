// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's loop transport: this machine is the host. For tests and demos. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "export.h"
#include "modprobe.h"

static bool parse(struct sluiced_export *export, struct sluiced_fault *fault)
{
	if (export->address[0])
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "A loop export has no address: leave it out.");
	return true;
}

static bool require(struct sluiced_fault *fault)
{
	struct stat st;

	if (stat("/sys/module/nvme_loop", &st))
		sluiced_modprobe("nvme-loop");
	(void)fault;
	return true;
}

static void address(const struct sluiced_export *export, struct sluiced_port_address *port)
{
	(void)export;
	snprintf(port->trtype, sizeof(port->trtype), "loop");
}

const struct sluiced_export_kind sluiced_export_loop = {
	.name = "loop",
	.any_by_default = true,
	.parse = parse,
	.require = require,
	.address = address,
};
