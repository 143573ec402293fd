// SPDX-License-Identifier: GPL-2.0-or-later
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <systemd/sd-id128.h>

int sluiced_sysfs_path(char *path, size_t len, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(path, len, format, args);
	va_end(args);
	return n < (int)len ? 0 : -ENAMETOOLONG;
}

int sluiced_sysfs_read(const char *path, char *buf, size_t len)
{
	ssize_t n;
	int fd, err;

	buf[0] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	buf[n] = '\0';
	while (n && strchr(" \t\r\n", buf[n - 1]))
		buf[--n] = '\0';
	return 0;
}

int sluiced_sysfs_read_at(const char *dir, const char *name, char *buf, size_t len)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return sluiced_sysfs_read(path, buf, len);
}

int sluiced_sysfs_write_at(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX], line[4096];
	int fd, len, err = 0;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	len = snprintf(line, sizeof(line), "%s\n", text);
	if (len >= (int)sizeof(line))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, line, len) < 0)
		err = -errno;
	close(fd);
	return err;
}

void sluiced_sysfs_disk_id(const char *dir, char *id, size_t len)
{
	static const char *const names[] = { "wwid", "device/wwid", "serial", "device/serial" };
	char whole[256], number[16];
	bool part;
	size_t i;
	char *c;

	part = !sluiced_sysfs_read_at(dir, "partition", number, sizeof(number));
	/* The directory may be a link: ".." is of what it points to. */
	snprintf(whole, sizeof(whole), "%s%s", dir, part ? "/.." : "");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!sluiced_sysfs_read_at(whole, names[i], id, len) && id[0])
			break;
	if (i == sizeof(names) / sizeof(names[0])) {
		id[0] = '\0';
		return;
	}
	/* Some disks report what they please; it goes to JSON and to logs. */
	for (c = id; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (part)
		snprintf(id + strlen(id), len - strlen(id), "-part%s", number);
}

int sluiced_sysfs_reads(dev_t disk, struct sluiced_disk_reads *reads)
{
	uint64_t count, merged, sectors, ms;
	char path[64], text[256];
	int err;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(disk), minor(disk));
	err = sluiced_sysfs_read(path, text, sizeof(text));
	if (err)
		return err;
	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &count, &merged,
		   &sectors, &ms) != 4)
		return -EINVAL;
	*reads = (struct sluiced_disk_reads){ true, count, sectors * 512, ms };
	return 0;
}

int sluiced_sysfs_find_device(const uint8_t *uuid, const char *name)
{
	char dir[300], value[128];
	struct dirent *entry;
	sd_id128_t found;
	int index = -ENOENT;
	DIR *block;

	block = opendir("/sys/block");
	if (!block)
		return -ENOENT;
	while (index < 0 && (entry = readdir(block))) {
		if (strncmp(entry->d_name, "sluice", 6))
			continue;
		snprintf(dir, sizeof(dir), "/sys/block/%s/sluice", entry->d_name);
		if (sluiced_sysfs_read_at(dir, uuid ? "uuid" : "name", value, sizeof(value)))
			continue;
		if (uuid ? sd_id128_from_string(value, &found) >= 0 &&
				   !memcmp(found.bytes, uuid, sizeof(found.bytes)) :
			   !strcmp(value, name))
			index = atoi(entry->d_name + 6);
	}
	closedir(block);
	return index;
}
