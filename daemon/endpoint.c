// SPDX-License-Identifier: GPL-2.0-or-later
#include "endpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "modprobe.h"
#include "sysfs.h"

#define CLASS		"/sys/class/pci_epc"
#define PCI_EP		"/sys/kernel/config/pci_ep"
#define CONTROLLERS	PCI_EP "/controllers"
#define DRIVER		"nvmet_pci_epf"
#define FUNCTIONS	PCI_EP "/functions/" DRIVER

/* The function's own directory appears from a work item on some kernels. */
#define NVME_DIR_MS	2000

#define MAX_MSI		32	/* PCIe base specification, 7.7.1 */

static bool failed(struct sluiced_fault *fault, const char *step, int err)
{
	return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
			     "The export failed in the kernel's PCI endpoint framework at %s: %s.",
			     step, strerror(-err));
}

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* Whether @dir has an entry; @names gets all of them, with commas. */
static bool entries(const char *dir, char *names, size_t len)
{
	struct dirent *entry;
	size_t used = 0;
	DIR *d;

	names[0] = '\0';
	d = opendir(dir);
	if (!d)
		return false;
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' && used < len)
			used += snprintf(names + used, len - used, "%s%s", used ? ", " : "",
					 entry->d_name);
	closedir(d);
	return used;
}

bool sluiced_endpoint_require(struct sluiced_fault *fault)
{
	char names[256];

	if (!entries(CLASS, names, sizeof(names)))
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "This machine has no PCI endpoint controller (" CLASS
				     " is empty): export over tcp, or hand the device to the card vendor's NVMe emulation.");
	if (exists(FUNCTIONS))
		return true;
	sluiced_modprobe("nvmet-pci-epf");
	if (exists(FUNCTIONS))
		return true;
	if (!exists(PCI_EP))
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "The kernel has no " PCI_EP
				     ": it needs CONFIG_PCI_ENDPOINT_CONFIGFS, and configfs mounted at /sys/kernel/config.");
	return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
			     "The kernel has no NVMe function for PCI endpoints: it needs Linux 6.14 or newer with CONFIG_NVME_TARGET_PCI_EPF, the module nvmet-pci-epf.");
}

/* The patch brings the parameter: a version would not tell who has applied it. */
bool sluiced_endpoint_ends_failed_reads(void)
{
	char text[4];

	return !sluiced_sysfs_read_at("/sys/module/" DRIVER "/parameters", "ends_failed_reads",
				      text, sizeof(text)) && text[0] == 'Y';
}

/* What is linked to the controller: "" when nothing is. */
static void shown_by(const char *controller, char *function, size_t len)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *d;

	function[0] = '\0';
	if (sluiced_sysfs_path(path, sizeof(path), CONTROLLERS "/%s", controller))
		return;
	d = opendir(path);
	if (!d)
		return;
	while (!function[0] && (entry = readdir(d)))
		if (!fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISLNK(st.st_mode))
			snprintf(function, len, "%s", entry->d_name);
	closedir(d);
}

static bool named(const char *wanted, char *controller, size_t len, struct sluiced_fault *fault)
{
	char path[PATH_MAX], other[256];

	if (sluiced_sysfs_path(path, sizeof(path), CONTROLLERS "/%s", wanted) || !exists(path)) {
		entries(CONTROLLERS, other, sizeof(other));
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "There is no PCI endpoint controller %s; there is: %s.",
				     wanted, other[0] ? other : "none");
	}
	shown_by(wanted, other, sizeof(other));
	if (other[0])
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "The PCI endpoint controller %s already shows the function %s to its host: unexport that first.",
				     wanted, other);
	snprintf(controller, len, "%s", wanted);
	return true;
}

bool sluiced_endpoint_choose(const char *wanted, char *controller, size_t len,
			     struct sluiced_fault *fault)
{
	char names[256], function[256];
	struct dirent *entry;
	size_t free_ones = 0;
	DIR *d;

	if (wanted[0])
		return named(wanted, controller, len, fault);
	d = opendir(CONTROLLERS);
	if (!d)
		return failed(fault, "listing " CONTROLLERS, -errno);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		shown_by(entry->d_name, function, sizeof(function));
		if (!function[0] && !free_ones++)
			snprintf(controller, len, "%s", entry->d_name);
	}
	closedir(d);
	if (free_ones == 1)
		return true;
	entries(CONTROLLERS, names, sizeof(names));
	return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
			     free_ones ?
				     "This machine has several PCI endpoint controllers, %s: choose one with --controller." :
				     "Every PCI endpoint controller of this machine, %s, already shows a function to its host: unexport that first.",
			     names[0] ? names : "none of them configurable");
}

static bool set_number(const char *dir, const char *name, uint32_t value,
		       struct sluiced_fault *fault)
{
	char text[16], step[64];
	int err;

	snprintf(text, sizeof(text), "%u", value);
	err = sluiced_sysfs_write_at(dir, name, text);
	if (!err)
		return true;
	snprintf(step, sizeof(step), "setting %s to %s", name, text);
	return failed(fault, step, err);
}

static bool wait_for(const char *path)
{
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int ms;

	for (ms = 0; !exists(path) && ms < NVME_DIR_MS; ms += 10)
		nanosleep(&pause, NULL);
	return exists(path);
}

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

static bool fill(const struct sluiced_endpoint *ep, const char *dir, struct sluiced_fault *fault)
{
	uint32_t vectors = ep->queues + 1, msi = power_of_two(vectors);
	char nvme[PATH_MAX];
	int err;

	if (sluiced_sysfs_path(nvme, sizeof(nvme), "%s/nvme", dir) || !wait_for(nvme))
		return failed(fault, "making the function's nvme directory", -ENOENT);
	/* MSI is for controllers without MSI-X; the function takes what there is. */
	if (!set_number(dir, "deviceid", SLUICED_ENDPOINT_DEVICE, fault) ||
	    !set_number(dir, "msix_interrupts", vectors, fault) ||
	    !set_number(dir, "msi_interrupts", msi < MAX_MSI ? msi : MAX_MSI, fault) ||
	    !set_number(nvme, "portid", ep->port_id, fault) ||
	    !set_number(nvme, "mdts_kb", ep->mdts_kb, fault))
		return false;
	/* The kernel cuts the last character off, and that is our newline. */
	err = sluiced_sysfs_write_at(nvme, "subsysnqn", ep->nqn);
	return !err || failed(fault, "setting subsysnqn", err);
}

/*
 * Binding reports nothing: what keeps the function from coming up is only said to
 * the kernel's log. Positioned at its end.
 */
static int open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* The first error of the function since then; true when there is one. */
static bool complaint(int log, char *text, size_t len)
{
	char record[8192], *message, *colon;
	ssize_t n;

	for (;;) {
		n = read(log, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;	/* overwritten meanwhile: the next one is there */
		if (n <= 0)
			return false;
		record[n] = '\0';
		message = strchr(record, ';');
		if (!message || (atoi(record) & 7) > 3 /* KERN_ERR */)
			continue;
		message++;
		message[strcspn(message, "\n")] = '\0';
		if (strncmp(message, DRIVER " ", strlen(DRIVER " ")))
			continue;
		colon = strstr(message, ": ");
		snprintf(text, len, "%s", colon ? colon + 2 : message);
		return true;
	}
}

/* A function that has its NVMe controller can no longer be changed. */
static bool has_controller(const char *dir, uint16_t port_id)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", port_id);
	return sluiced_sysfs_write_at(dir, "nvme/portid", text) == -EBUSY;
}

static bool refused(const struct sluiced_endpoint *ep, const char *text,
		    struct sluiced_fault *fault)
{
	if (strstr(text, "MSI"))
		return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
				     "The PCI endpoint controller %s has no %u interrupt vectors, one for each of the %u queues and one for administration: ask for fewer with --queues.",
				     ep->controller, ep->queues + 1, ep->queues);
	return sluiced_fault(fault, SLUICED_EXPORT_FAILED,
			     "The PCI endpoint controller %s does not take the NVMe function; the kernel says: %s.",
			     ep->controller, text);
}

/*
 * Some controllers bring functions up only when the host gives power: then there
 * is neither a controller nor a complaint yet. A log that cannot be read must not keep
 * those from being used.
 */
static bool came_up(const struct sluiced_endpoint *ep, const char *dir, int log,
		    struct sluiced_fault *fault)
{
	char text[256];

	if (has_controller(dir, ep->port_id))
		return true;
	if (log < 0 || !complaint(log, text, sizeof(text)))
		return true;
	return refused(ep, text, fault);
}

static bool bind_function(const struct sluiced_endpoint *ep, const char *dir,
			  struct sluiced_fault *fault)
{
	char controller[PATH_MAX], link[PATH_MAX], text[256];
	int log, err;
	bool up;

	err = sluiced_sysfs_path(controller, sizeof(controller), CONTROLLERS "/%s",
				 ep->controller) ?:
	      sluiced_sysfs_path(link, sizeof(link), "%s/%s", controller, ep->name);
	if (err)
		return failed(fault, "naming the function", err);
	log = open_log();
	err = symlink(dir, link) < 0 ? -errno : 0;
	if (!err)
		up = came_up(ep, dir, log, fault);
	else if (log >= 0 && complaint(log, text, sizeof(text)))
		up = refused(ep, text, fault);
	else
		up = failed(fault, "binding the function to its controller", err);
	if (log >= 0)
		close(log);
	if (!up)
		return false;
	err = sluiced_sysfs_write_at(controller, "start", "1");
	return !err || err == -EALREADY || failed(fault, "starting the controller", err);
}

bool sluiced_endpoint_start(const struct sluiced_endpoint *ep, struct sluiced_fault *fault)
{
	struct sluiced_fault ignored;
	char dir[PATH_MAX];

	if (sluiced_sysfs_path(dir, sizeof(dir), FUNCTIONS "/%s", ep->name) ||
	    mkdir(dir, 0755) < 0)
		return failed(fault, "creating the function", -errno);
	if (fill(ep, dir, fault) && bind_function(ep, dir, fault))
		return true;
	sluiced_endpoint_stop(ep->name, &ignored);
	return false;
}

bool sluiced_endpoint_started(const char *name, const char *controller)
{
	char dir[PATH_MAX], link[PATH_MAX], start[4];

	return controller[0] &&
	       !sluiced_sysfs_path(dir, sizeof(dir), CONTROLLERS "/%s", controller) &&
	       !sluiced_sysfs_path(link, sizeof(link), "%s/%s", dir, name) && exists(link) &&
	       !sluiced_sysfs_read_at(dir, "start", start, sizeof(start)) &&
	       !strcmp(start, "1");
}

/* Whichever it is on: a daemon that died may not have come to write it down. */
static int unbind_function(const char *name)
{
	char dir[PATH_MAX], link[PATH_MAX];
	struct dirent *entry;
	int err = 0;
	DIR *d;

	d = opendir(CONTROLLERS);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(d))) {
		if (entry->d_name[0] == '.' ||
		    sluiced_sysfs_path(dir, sizeof(dir), CONTROLLERS "/%s", entry->d_name) ||
		    sluiced_sysfs_path(link, sizeof(link), "%s/%s", dir, name) || !exists(link))
			continue;
		/* Unlinked while started, the kernel warns. */
		err = sluiced_sysfs_write_at(dir, "start", "0");
		if (err == -EALREADY)
			err = 0;
		if (!err && unlink(link) < 0)
			err = -errno;
	}
	closedir(d);
	return err;
}

bool sluiced_endpoint_stop(const char *name, struct sluiced_fault *fault)
{
	char dir[PATH_MAX];
	int err;

	err = unbind_function(name);
	if (err)
		return failed(fault, "taking the function off its controller", err);
	err = sluiced_sysfs_path(dir, sizeof(dir), FUNCTIONS "/%s", name);
	if (!err && rmdir(dir) < 0 && errno != ENOENT)
		err = -errno;
	return !err || failed(fault, "removing the function", err);
}
