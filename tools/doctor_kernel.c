// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel has, and whether module, daemon and sluicectl belong together. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <json-c/json.h>
#include <linux/io_uring.h>
#include <linux/sluice.h>

#include "command.h"
#include "doctor.h"

/* A daemon that does not say its version within it hangs. */
#define ANSWER_MS	5000

#define TCP_TLS	"CONFIG_NVME_TARGET_TCP_TLS=y"

static bool is_at_least(const char *release, int major, int minor)
{
	int have_major = 0, have_minor = 0;

	return sscanf(release, "%d.%d", &have_major, &have_minor) == 2 &&
	       (have_major > major || (have_major == major && have_minor >= minor));
}

static void look_release(struct sluice_doctor *doctor)
{
	const char *release = doctor->release;

	if (!is_at_least(release, 6, 1))
		sluice_doctor_find(doctor, SLUICE_LEVEL_ERROR, "kernel",
				   "Boot Linux 6.1 or newer.",
				   "Linux %s is too old for the sluice module.",
				   *release ? release : "of an unknown version");
	else
		sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "kernel", NULL, "Linux %s.", release);
}

/* Asking for no entries fails in one way where it is allowed, in others elsewhere. */
static bool allows_io_uring(void)
{
	struct io_uring_params params = { 0 };

	return syscall(SYS_io_uring_setup, 0, &params) < 0 && errno == EINVAL;
}

static void look_io_uring(struct sluice_doctor *doctor)
{
	char disabled[16];

	/* Without the file, of before Linux 6.6, nothing forbids it. */
	sluice_doctor_read(doctor, disabled, sizeof(disabled),
			   "/proc/sys/kernel/io_uring_disabled");
	if (!strcmp(disabled, "2"))
		sluice_doctor_find(doctor, SLUICE_LEVEL_ERROR, "io_uring",
				   "Set kernel.io_uring_disabled=0 in /etc/sysctl.d and run sysctl --system.",
				   "io_uring is forbidden, and sluiced cannot start without it.");
	else if (!*doctor->root && !allows_io_uring())
		sluice_doctor_find(doctor, SLUICE_LEVEL_ERROR, "io_uring",
				   "Use a kernel with CONFIG_IO_URING, and allow io_uring to this process.",
				   "The kernel gives no io_uring, and sluiced cannot start without it.");
	else
		sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "io_uring", NULL,
				   "io_uring is allowed.");
}

static void look_modules(struct sluice_doctor *doctor)
{
	static const struct {
		const char *module;
		enum sluice_level level;
		const char *purpose, *remedy;
	} wanted[] = {
		{ "nvmet", SLUICE_LEVEL_WARNING, "no export",
		  "Use a kernel with CONFIG_NVME_TARGET." },
		{ "nvmet-tcp", SLUICE_LEVEL_NOTE, "no tcp export",
		  "Use a kernel with CONFIG_NVME_TARGET_TCP to export over the network." },
		{ "nvme-loop", SLUICE_LEVEL_NOTE, "no loop export",
		  "Use a kernel with CONFIG_NVME_TARGET_LOOP to export to this machine." },
		{ "nvmet-pci-epf", SLUICE_LEVEL_NOTE, "no pci export",
		  "Use Linux 6.14 or newer with CONFIG_NVME_TARGET_PCI_EPF to export to the host of the card." },
		{ "nvme-tcp", SLUICE_LEVEL_NOTE, "no nvme-tcp source",
		  "Use a kernel with CONFIG_NVME_TCP to read images over NVMe/TCP." },
	};
	size_t i;

	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (sluice_doctor_has_module(doctor, wanted[i].module))
			sluice_doctor_find(doctor, SLUICE_LEVEL_OK, wanted[i].module, NULL,
					   "The kernel has %s.", wanted[i].module);
		else
			sluice_doctor_find(doctor, wanted[i].level, wanted[i].module,
					   wanted[i].remedy, "The kernel has no %s: %s.",
					   wanted[i].module, wanted[i].purpose);
	}
}

static void look_configfs(struct sluice_doctor *doctor)
{
	if (sluice_doctor_grep(doctor, " configfs ", "/proc/mounts"))
		sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "configfs", NULL,
				   "configfs is mounted at /sys/kernel/config.");
	else
		sluice_doctor_find(doctor, SLUICE_LEVEL_WARNING, "configfs",
				   "Run: mount -t configfs none /sys/kernel/config",
				   "configfs is not mounted: no export can be made.");
}

static void look_target(struct sluice_doctor *doctor)
{
	char value[8];

	if (!sluice_doctor_has_module(doctor, "nvmet-pci-epf"))
		return;
	if (sluice_doctor_grep(doctor, TCP_TLS, "/boot/config-%s", doctor->release))
		sluice_doctor_find(doctor, SLUICE_LEVEL_WARNING, "pci-tls",
				   "Export over PCIe only with tests/vm/patches/nvmet-no-queue-yet.patch in the kernel, or without " TCP_TLS ".",
				   "This kernel's NVMe target has TLS: unpatched, it dies when it exports over PCIe.");
	if (sluice_doctor_read(doctor, value, sizeof(value),
			       "/sys/module/nvmet_pci_epf/parameters/ends_failed_reads"))
		sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "pci-reads", NULL,
				   "A read that fails ends over PCIe, too.");
	else
		sluice_doctor_find(doctor, SLUICE_LEVEL_NOTE, "pci-reads",
				   "Use a kernel with tests/vm/patches/nvmet-pci-epf-failed-reads.patch.",
				   "A read that fails may block a pci export: hosts wait for a lost source up to an hour.");
}

void sluice_doctor_kernel(struct sluice_doctor *doctor)
{
	look_release(doctor);
	look_io_uring(doctor);
	look_modules(doctor);
	look_configfs(doctor);
	look_target(doctor);
}

static void look_module(struct sluice_doctor *doctor)
{
	char version[64];

	if (sluice_doctor_read(doctor, version, sizeof(version), "/sys/module/sluice/version"))
		sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "module", NULL,
				   "sluice.ko %s is loaded.", version);
	else if (sluice_doctor_has_module(doctor, "sluice"))
		/* sluiced cannot load it: its unit forbids that. */
		sluice_doctor_find(doctor, SLUICE_LEVEL_ERROR, "module",
				   "Run: modprobe sluice. If its key is rejected, run mokutil --import /var/lib/dkms/mok.pub and reboot.",
				   "sluice.ko is there, but not loaded.");
	else
		sluice_doctor_find(doctor, SLUICE_LEVEL_ERROR, "module",
				   "Install sluice-dkms, and the headers of this kernel.",
				   "There is no sluice.ko for Linux %s.", doctor->release);
}

/* That of the process behind the socket. */
static void look_locked_memory(struct sluice_doctor *doctor)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char path[64], line[128] = "";
	FILE *file;

	if (getsockopt(doctor->ctl->client.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)peer.pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file) && strncmp(line, "VmLck:", 6))
		;
	if (file)
		fclose(file);
	if (strncmp(line, "VmLck:", 6))
		return;
	if (strtoul(line + 6, NULL, 10))
		sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "memory-lock", NULL,
				   "The memory of sluiced is locked.");
	else
		sluice_doctor_find(doctor, SLUICE_LEVEL_WARNING, "memory-lock",
				   "Give sluiced CAP_IPC_LOCK, or LimitMEMLOCK=infinity in its unit, and restart it.",
				   "The memory of sluiced is not locked: it may wait for the disk that waits for it.");
}

static void compare_versions(struct sluice_doctor *doctor, struct json_object *reply)
{
	const char *version = "of an unknown version";
	uint64_t daemon_abi, module_abi;
	bool module;

	sluice_json_string(reply, "version", &version);
	if (sluice_json_u64(reply, "abi_version", &daemon_abi))
		daemon_abi = 0;
	module = !sluice_json_u64(reply, "module_abi_version", &module_abi);
	if (strcmp(version, SLUICE_VERSION))
		sluice_doctor_find(doctor, SLUICE_LEVEL_WARNING, "versions",
				   "Restart sluiced: hosts notice nothing of it.",
				   "sluiced is %s and sluicectl " SLUICE_VERSION ".", version);
	else
		sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "versions", NULL,
				   "sluiced and sluicectl are " SLUICE_VERSION ".");
	if (module && module_abi != daemon_abi)
		sluice_doctor_find(doctor, SLUICE_LEVEL_ERROR, "abi",
				   "Install module and daemon of one version; a module in use stays until reboot.",
				   "The module has ABI %" PRIu64 " and sluiced %" PRIu64 ".",
				   module_abi, daemon_abi);
	else if (module)
		sluice_doctor_find(doctor, SLUICE_LEVEL_OK, "abi", NULL,
				   "Module and sluiced have ABI %" PRIu64 ".", module_abi);
}

void sluice_doctor_versions(struct sluice_doctor *doctor)
{
	static const char start[] = "Run: systemctl enable --now sluiced";
	static const char restart[] =
		"See journalctl -u sluiced, and run: systemctl restart sluiced";
	struct json_object *reply;
	int status;

	look_module(doctor);
	/* Another system's daemon cannot be asked. */
	if (*doctor->root)
		return;
	doctor->ctl->client.deadline = sluice_client_now() + ANSWER_MS;
	status = sluice_client_call(doctor->ctl, "Version", NULL, &reply);
	if (status) {
		sluice_doctor_find(doctor, SLUICE_LEVEL_WARNING, "daemon",
				   status == SLUICE_EXIT_TIMEOUT ? restart : start, "%s",
				   doctor->ctl->error.message ? doctor->ctl->error.message : "");
		sluice_error_clear(doctor->ctl);
		return;
	}
	compare_versions(doctor, reply);
	look_locked_memory(doctor);
	json_object_put(reply);
}
