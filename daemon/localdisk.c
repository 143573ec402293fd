// SPDX-License-Identifier: GPL-2.0-or-later
#include "localdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <blkid/blkid.h>
#include <systemd/sd-id128.h>

#include "sysfs.h"

static bool measure(struct sluiced_localdisk *disk, int fd)
{
	int block;

	if (ioctl(fd, BLKGETSIZE64, &disk->bytes) < 0 || ioctl(fd, BLKSSZGET, &block) < 0)
		return false;
	disk->logical_block = block;
	return true;
}

bool sluiced_localdisk_inspect(struct sluiced_localdisk *disk, const char *path,
			       struct sluiced_fault *fault)
{
	struct stat st;
	char dir[64];
	bool known;
	int fd, ro = 0;

	memset(disk, 0, sizeof(*disk));
	if (stat(path, &st) < 0)
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s cannot be found: %s.", path,
				     strerror(errno));
	if (!S_ISBLK(st.st_mode))
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s is no block device.", path);
	/* O_EXCL on a block device: fails when it is mounted or held by something. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_EXCL);
	if (fd < 0 && errno == EBUSY)
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s is in use: unmount it or stop what holds it.",
				     path);
	if (fd < 0)
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s cannot be opened: %s.", path,
				     strerror(errno));
	known = measure(disk, fd) && ioctl(fd, BLKROGET, &ro) == 0;
	close(fd);
	if (!known)
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s does not tell its size.", path);
	if (ro)
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s is read-only.", path);
	disk->device = st.st_rdev;
	snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	sluiced_sysfs_disk_id(dir, disk->id, sizeof(disk->id));
	return true;
}

/* What is there, in words; NULL for nothing known. */
static const char *probe(int fd, const char **error)
{
	const char *type = NULL;
	blkid_probe pr;
	int ret;

	*error = NULL;
	pr = blkid_new_probe();
	if (!pr || blkid_probe_set_device(pr, fd, 0, 0)) {
		*error = "cannot be examined";
		blkid_free_probe(pr);
		return NULL;
	}
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE);
	blkid_probe_enable_partitions(pr, 1);
	ret = blkid_do_safeprobe(pr);
	/* Documented is -1, but it is the error where a read failed. */
	if (ret == -2)
		type = "several signatures at once";
	else if (ret < 0)
		*error = "cannot be read";
	else if (!ret && !blkid_probe_lookup_value(pr, "TYPE", &type, NULL))
		;
	else if (!ret && !blkid_probe_lookup_value(pr, "PTTYPE", &type, NULL))
		;
	else if (!ret)
		type = "an unknown signature";
	/* Values live in the probe; types are short. */
	if (type) {
		static _Thread_local char copy[64];

		snprintf(copy, sizeof(copy), "%s", type);
		type = copy;
	}
	blkid_free_probe(pr);
	return type;
}

/*
 * Asks the kernel for a deployment with a random uuid: it finds none, and says
 * whether there is another. Opening for real would make a device, which others
 * would look at while we close it again.
 */
static bool holds_deployment(const struct sluiced_localdisk *disk, int control_fd,
			     const char **what, int *err)
{
	struct sluice_opening opening = {
		.flags = SLUICE_OPEN_UUID,
		.disk = disk->device,
	};
	sd_id128_t id;

	*what = NULL;
	*err = sd_id128_randomize(&id);
	if (*err < 0)
		return false;
	/* Names of devices are unique: one that nobody else has. */
	snprintf(opening.name, sizeof(opening.name), "probe-" SD_ID128_FORMAT_STR,
		 SD_ID128_FORMAT_VAL(id));
	memcpy(opening.uuid, id.bytes, sizeof(opening.uuid));
	memcpy(opening.disk_id, disk->id, sizeof(opening.disk_id));
	*err = sluice_control_open_device(control_fd, &opening);
	if (!*err) {
		sluice_control_close_device(control_fd, opening.index);
		return true;
	}
	switch (opening.refusal) {
	case SLUICE_REFUSED_NO_SUPERBLOCK:
	case SLUICE_REFUSED_TOO_SMALL:
		*err = 0;
		return false;
	case SLUICE_REFUSED_SUPERBLOCK:
	case SLUICE_REFUSED_MAP:
	case SLUICE_REFUSED_VERSION:
	case SLUICE_REFUSED_IMAGE:
	case SLUICE_REFUSED_UUID:
	case SLUICE_REFUSED_DISK:
	case SLUICE_REFUSED_BLOCK_SIZE:
		*err = 0;
		*what = opening.refusal == SLUICE_REFUSED_UUID ?
				"holds a deployment" : sluice_refusal_text(opening.refusal);
		return true;
	default:
		return false;
	}
}

bool sluiced_localdisk_deployed(const struct sluiced_localdisk *disk, int control_fd)
{
	const char *what;
	int err;

	return holds_deployment(disk, control_fd, &what, &err);
}

bool sluiced_localdisk_blank(const struct sluiced_localdisk *disk, const char *path,
			     int control_fd, struct sluiced_fault *fault)
{
	const char *found, *error, *what;
	int fd, err;

	if (holds_deployment(disk, control_fd, &what, &err))
		return sluiced_fault(fault, SLUICED_HOLDS_DATA,
				     "The local disk %s %s; nothing was changed. Deploy without --format to go on with it, or with --force to overwrite it.",
				     path, what ? what : "holds a deployment");
	if (err)
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s cannot be examined for a deployment: %s.",
				     path, strerror(-err));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s cannot be opened: %s.", path,
				     strerror(errno));
	found = probe(fd, &error);
	close(fd);
	if (error)
		return sluiced_fault(fault, SLUICED_LOCAL_UNUSABLE,
				     "The local disk %s %s.", path, error);
	if (found)
		return sluiced_fault(fault, SLUICED_HOLDS_DATA,
				     "The local disk %s holds data (%s); nothing was changed. Deploy with --force to overwrite it.",
				     path, found);
	return true;
}
