// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An NVMe function on the card's PCI endpoint: the machine that the card sits in
 * is the host.
 *
 * It has a subsystem of its own. nvmet gives the host on the other side of the slot
 * a new name each time, so a subsystem with a list of hosts, as a tcp export should
 * have, would never let it in.
 */
#include <stdio.h>
#include <string.h>

#include <systemd/sd-id128.h>

#include "endpoint.h"
#include "export.h"
#include "nvmet.h"

#define DEFAULT_QUEUES	4
/* EDK2 makes two of its own and gives up on a disk that has fewer. */
#define MIN_QUEUES	2
#define MAX_QUEUES	127	/* NVMET_NR_QUEUES less that for administration */

/* As much as the kernel's driver sends at once by default on most machines. */
#define DEFAULT_MDTS_KB	512
#define MIN_MDTS_KB	8	/* 4 makes an MDTS of 0, which is no limit */
#define MAX_MDTS_KB	2048	/* nvmet_pci_epf's own limit */

/*
 * Firmware gives up on a request after 5 s (EDK2), and a controller reset, for which
 * drivers wait 7.5 s (nvmet's CAP.TO), waits for every request. Linux asks six times
 * before it gives up.
 */
#define DEADLINE_MS		3500
/* The longest there is: the source may come back, a read that failed does not. */
#define NEVER_FAIL_MS		(3600 * 1000)

/* Names that only depend on the deployment: hosts remember them. */
struct names {
	char nqn[SLUICED_NQN_LEN];
	char uuid[SD_ID128_UUID_STRING_MAX];
	char serial[SD_ID128_STRING_MAX];
	char function[64];
	char device[32];
};

static void fill_names(struct names *names, const struct sluiced_exported *of)
{
	char nqn[SLUICED_NQN_LEN - sizeof(":pci")];
	sd_id128_t id;

	memcpy(id.bytes, of->uuid, sizeof(id.bytes));
	sluiced_export_nqn(of->uuid, nqn, sizeof(nqn));
	snprintf(names->nqn, sizeof(names->nqn), "%s:pci", nqn);
	sd_id128_to_uuid_string(id, names->uuid);
	sluiced_export_serial(of->uuid, names->serial, sizeof(names->serial));
	snprintf(names->function, sizeof(names->function), "sluice-%s", names->uuid);
	snprintf(names->device, sizeof(names->device), "/dev/sluice%u", of->index);
}

static bool parse(struct sluiced_export *export, struct sluiced_fault *fault)
{
	const char *c;

	/* It becomes the name of a directory. */
	for (c = export->address; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '/' || *export->address == '.')
			return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
					     "The PCI endpoint controller \"%s\" is none: names are those in /sys/class/pci_epc.",
					     export->address);
	if (export->allow_count || (export->policy_given && !export->allow_any))
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "A pci export has one host, the machine that the card sits in: leave the list of hosts out.");
	if (!export->queues)
		export->queues = DEFAULT_QUEUES;
	if (export->queues < MIN_QUEUES || export->queues > MAX_QUEUES)
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "A pci export has %d to %d queues, not %u: firmware uses two.",
				     MIN_QUEUES, MAX_QUEUES, export->queues);
	if (!export->mdts_kb)
		export->mdts_kb = DEFAULT_MDTS_KB;
	if (export->mdts_kb < MIN_MDTS_KB || export->mdts_kb > MAX_MDTS_KB ||
	    (export->mdts_kb & (export->mdts_kb - 1)))
		return sluiced_fault(fault, SLUICED_INVALID_PARAMETER,
				     "The largest transfer of a pci export is a power of two from %d to %d KiB, not %u.",
				     MIN_MDTS_KB, MAX_MDTS_KB, export->mdts_kb);
	return true;
}

static bool down(const struct sluiced_export *export, const struct sluiced_exported *of,
		 struct sluiced_fault *fault)
{
	struct names names;

	fill_names(&names, of);
	/* The function first: it holds on to port and subsystem without a reference. */
	if (!sluiced_endpoint_stop(names.function, fault))
		return false;
	if (export->port_id &&
	    !sluiced_nvmet_unlink(export->port_id, names.nqn, export->own_port, fault))
		return false;
	return sluiced_nvmet_remove_subsystem(names.nqn, fault);
}

static bool is_up(const struct sluiced_export *export, const struct sluiced_exported *of)
{
	struct names names;

	fill_names(&names, of);
	return sluiced_nvmet_linked(export->port_id, names.nqn) &&
	       sluiced_nvmet_has_subsystem(names.nqn, names.device) &&
	       sluiced_endpoint_started(names.function, export->address);
}

static bool up(struct sluiced_export *export, const struct sluiced_exported *of,
	       struct sluiced_fault *fault)
{
	const struct sluiced_port port = {
		.trtype = "pci", .traddr = "", .trsvcid = "", .adrfam = "",
	};
	char controller[SLUICED_CONTROLLER_LEN];
	struct sluiced_subsystem subsystem;
	struct sluiced_endpoint endpoint;
	struct sluiced_fault ignored;
	struct names names;
	bool made = false;

	/* Taking it down would pull the host's disk. */
	if (is_up(export, of))
		return true;
	fill_names(&names, of);
	/*
	 * What is there is half of one, of a daemon that died on the way. Its port may
	 * have become someone else's with a restart of the machine.
	 */
	export->own_port = false;
	if (!down(export, of, fault) ||
	    !sluiced_endpoint_choose(export->address, controller, sizeof(controller), fault))
		return false;
	subsystem = (struct sluiced_subsystem){
		.nqn = names.nqn,
		.uuid = names.uuid,
		.serial = names.serial,
		.device = names.device,
		.hosts.any = true,
		.vendor_id = SLUICED_ENDPOINT_VENDOR,
		.queues = export->queues,
	};
	endpoint = (struct sluiced_endpoint){
		.name = names.function,
		.controller = controller,
		.nqn = names.nqn,
		.queues = export->queues,
		.mdts_kb = export->mdts_kb,
	};
	if (!sluiced_nvmet_add_subsystem(&subsystem, fault))
		return false;
	if (sluiced_nvmet_link(&port, names.nqn, &export->port_id, &made, fault)) {
		export->own_port = made || sluiced_exported_owns(of, export->port_id);
		endpoint.port_id = export->port_id;
		if (sluiced_endpoint_start(&endpoint, fault)) {
			snprintf(export->address, sizeof(export->address), "%s", controller);
			return true;
		}
	}
	down(export, of, &ignored);
	return false;
}

static void nqn(const uint8_t *uuid, char *text, size_t len)
{
	struct sluiced_exported of = { 0 };
	struct names names;

	memcpy(of.uuid, uuid, sizeof(of.uuid));
	fill_names(&names, &of);
	snprintf(text, len, "%s", names.nqn);
}

static uint32_t deadline_ms(void)
{
	return sluiced_endpoint_ends_failed_reads() ? DEADLINE_MS : NEVER_FAIL_MS;
}

static bool has_room(const struct sluiced_export *export, struct sluiced_fault *fault)
{
	char controller[SLUICED_CONTROLLER_LEN];

	return sluiced_endpoint_choose(export->address, controller, sizeof(controller), fault);
}

const struct sluiced_export_kind sluiced_export_pci = {
	.name = "pci",
	.any_by_default = true,
	.parse = parse,
	.require = sluiced_endpoint_require,
	.has_room = has_room,
	.deadline_ms = deadline_ms,
	.up = up,
	.is_up = is_up,
	.down = down,
	.nqn = nqn,
};
