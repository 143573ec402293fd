// SPDX-License-Identifier: GPL-2.0-or-later
#include "source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "holes.h"
#include "sysfs.h"

/* Every alignment that O_DIRECT asks for on disks we know is a divisor of it. */
#define ALIGN		4096
#define ALIGN_UP(n)	(((n) + ALIGN - 1) & ~(uint64_t)(ALIGN - 1))

/* Largest aligned piece that a pread() of the sampling is made of. */
#define BOUNCE		(128 * 1024)

static void stamp_of(const struct stat *st, char *stamp)
{
	snprintf(stamp, SLUICED_STAMP_LEN, "%lld.%09ld", (long long)st->st_mtim.tv_sec,
		 st->st_mtim.tv_nsec);
}

static int size_of(int fd, const struct stat *st, uint64_t *bytes)
{
	if (S_ISREG(st->st_mode)) {
		*bytes = st->st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0;
}

/* Some file systems take the flag and then refuse the reads. */
static bool direct_works(int fd)
{
	void *buf;
	ssize_t n;

	if (posix_memalign(&buf, ALIGN, ALIGN))
		return false;
	n = pread(fd, buf, ALIGN, 0);
	free(buf);
	return n >= 0;
}

static int open_best(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT | O_NOCTTY);

	if (fd >= 0 && direct_works(fd))
		return fd;
	if (fd >= 0)
		close(fd);
	else if (errno != EINVAL)
		return -errno;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static int describe(struct sluiced_file *file, const struct stat *st)
{
	struct sluice_image *image = &file->source.image;
	char copy[PATH_MAX];
	int block = 512, err;

	err = size_of(file->fd, st, &image->bytes);
	if (err)
		return err;
	file->block_device = S_ISBLK(st->st_mode);
	if (file->block_device) {
		if (ioctl(file->fd, BLKSSZGET, &block) < 0)
			return -errno;
	} else {
		stamp_of(st, file->source.stamp);
	}
	image->logical_block = block;
	snprintf(copy, sizeof(copy), "%s", file->path);
	snprintf(image->name, sizeof(image->name), "%.*s", SLUICE_IMAGE_NAME_LEN - 1,
		 basename(copy));
	return 0;
}

int sluiced_file_open(struct sluiced_file *file, const char *path, char *why, size_t why_len)
{
	struct stat st;
	int err;

	/* Before open(): opening a tape or a pipe would do things. */
	if (stat(path, &st) < 0) {
		err = -errno;
		snprintf(why, why_len, "The source %s cannot be opened: %s.", path,
			 strerror(-err));
		return err;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		snprintf(why, why_len,
			 "The source %s is neither a regular file nor a block device.", path);
		return -EINVAL;
	}
	file->fd = open_best(path);
	if (file->fd < 0) {
		snprintf(why, why_len, "The source %s cannot be opened: %s.", path,
			 strerror(-file->fd));
		return file->fd;
	}
	snprintf(file->path, sizeof(file->path), "%s", path);
	err = fstat(file->fd, &st) < 0 ? -errno : describe(file, &st);
	if (err) {
		snprintf(why, why_len, "The source %s does not tell its size: %s.", path,
			 strerror(-err));
		close(file->fd);
		file->fd = -1;
	}
	return err;
}

bool sluiced_file_lost(struct sluiced_source *source)
{
	struct sluiced_file *file = (struct sluiced_file *)source;
	uint64_t bytes;

	return file->block_device && (ioctl(file->fd, BLKGETSIZE64, &bytes) < 0 || !bytes);
}

/* The image ends before its size; a disk that is being removed looks like it. */
static int end_of_file(struct sluiced_source *source)
{
	return sluiced_file_lost(source) ? -ENODEV : -ESTALE;
}

static int read_aligned(struct sluiced_file *file, uint8_t *buf, size_t len, size_t needed,
			uint64_t offset)
{
	size_t got = 0;
	ssize_t n;

	while (got < needed) {
		n = pread(file->fd, buf + got, len - got, offset + got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (got + n < needed)
			n &= ~(ssize_t)(ALIGN - 1);
		if (!n)
			return end_of_file(&file->source);
		got += n;
	}
	return 0;
}

int sluiced_file_pread(struct sluiced_source *source, void *buf, size_t len, uint64_t offset)
{
	struct sluiced_file *file = (struct sluiced_file *)source;
	uint8_t *to = buf;
	void *bounce;
	int err = 0;

	if (posix_memalign(&bounce, ALIGN, BOUNCE))
		return -ENOMEM;
	while (len && !err) {
		uint64_t start = offset & ~(uint64_t)(ALIGN - 1);
		size_t lead = offset - start;
		size_t part = len < BOUNCE - ALIGN ? len : BOUNCE - ALIGN;

		err = read_aligned(file, bounce, ALIGN_UP(lead + part), lead + part, start);
		if (err)
			break;
		memcpy(to, (uint8_t *)bounce + lead, part);
		to += part;
		offset += part;
		len -= part;
	}
	free(bounce);
	return err;
}

/* By @fd, which is @file's own or a copy of it. */
static int check_by(const struct sluiced_file *file, int fd)
{
	const struct sluiced_source *source = &file->source;
	char stamp[SLUICED_STAMP_LEN];
	uint64_t bytes;
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	err = size_of(fd, &st, &bytes);
	if (err)
		return err;
	/* A disk that is being unplugged reads as empty first. */
	if (file->block_device && !bytes)
		return -ENODEV;
	if (bytes != source->image.bytes)
		return -ESTALE;
	if (!file->block_device) {
		stamp_of(&st, stamp);
		if (strcmp(stamp, source->stamp))
			return -ESTALE;
	}
	return 0;
}

int sluiced_file_check(struct sluiced_source *source)
{
	struct sluiced_file *file = (struct sluiced_file *)source;

	return check_by(file, file->fd);
}

static void read_done(struct sluiced_op *op, int32_t res, uint32_t flags)
{
	struct sluiced_read *read = container_of(op, struct sluiced_read, op);
	struct sluiced_source *source = read->source;

	(void)flags;
	if (res < 0 && res != -EINTR)
		return sluiced_source_read_end(read, res);
	if (res > 0 && (uint32_t)res >= read->len - read->got)
		return sluiced_source_read_end(read, 0);
	if (source->retired)
		return sluiced_source_read_end(read, -ENOLINK);
	/* Direct reads go on from aligned offsets only. */
	if (res > 0)
		read->got += res & ~(ALIGN - 1);
	if (res >= 0 && res < ALIGN && read->stuck++)
		return sluiced_source_read_end(read, end_of_file(source));
	source->ops->read(source, read);
}

/*
 * Asks for whole blocks: direct reads need aligned lengths, and a device or file
 * that ends within the last block gives a short read that still has all of it.
 */
void sluiced_file_read(struct sluiced_source *source, struct sluiced_read *read)
{
	struct sluiced_file *file = (struct sluiced_file *)source;

	read->op.done = read_done;
	sluiced_loop_read(source->loop, &read->op, file->fd, read->buf + read->got,
			  ALIGN_UP(read->len) - read->got, read->offset + read->got);
}

void sluiced_file_close(struct sluiced_source *source)
{
	struct sluiced_file *file = (struct sluiced_file *)source;

	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

static void disk_id(int fd, char *id, size_t len)
{
	struct stat st;
	char dir[64];

	id[0] = '\0';
	if (fstat(fd, &st) < 0)
		return;
	snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	sluiced_sysfs_disk_id(dir, id, len);
}

static int look_for_holes(int fd, struct sluiced_survey *survey)
{
	bool room = true;

	while (room && survey->known < survey->len) {
		uint64_t at = survey->offset + survey->known;
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		/* Behind the last data. */
		if (data < 0 && errno == ENXIO) {
			sluiced_survey_add(survey, survey->len - survey->known, true);
			return 0;
		}
		if (data < 0)
			return -errno;
		if ((uint64_t)data > at && !sluiced_survey_add(survey, data - at, true))
			return 0;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		room = sluiced_survey_add(survey, hole - data, false);
	}
	return 0;
}

static void survey_work(struct sluiced_job *job)
{
	struct sluiced_file *file = container_of(job, struct sluiced_file, survey.job);

	file->survey.err = file->survey.fd < 0 ? -EMFILE :
						 look_for_holes(file->survey.fd, file->survey.of);
	/* One that is being written anew is all hole at first: nothing reads those. */
	if (!file->survey.err)
		file->survey.err = check_by(file, file->survey.fd);
}

static void survey_done(struct sluiced_job *job)
{
	struct sluiced_file *file = container_of(job, struct sluiced_file, survey.job);

	if (file->survey.fd >= 0)
		close(file->survey.fd);
	sluiced_source_survey_end(file->survey.of, file->survey.err);
}

/* A job: on a network file system a look for holes waits for a server. */
static void file_survey(struct sluiced_source *source, struct sluiced_survey *survey)
{
	struct sluiced_file *file = (struct sluiced_file *)source;

	file->survey.of = survey;
	file->survey.err = -ENOMEM;
	/* Its own, since close() does not wait for it. */
	file->survey.fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);
	file->survey.job.work = survey_work;
	file->survey.job.done = survey_done;
	sluiced_job_start(&file->survey.job);
}

static int file_open(struct sluiced_source **out, const struct sluice_uri *uri,
		     const char *hint, const struct sluiced_source_options *options, char *why,
		     size_t why_len)
{
	struct sluiced_file *file = calloc(1, sizeof(*file));
	int err;

	(void)options;
	if (!file) {
		snprintf(why, why_len, "There is no memory for the source %s.", uri->path);
		return -ENOMEM;
	}
	file->source.ops = &sluiced_source_file_ops;
	err = sluiced_file_open(file, uri->path, why, why_len);
	if (err) {
		free(file);
		return err;
	}
	if (file->block_device)
		disk_id(file->fd, file->source.image.id, sizeof(file->source.image.id));
	/* The time it was changed names a file's content well enough. */
	snprintf(file->source.hint, sizeof(file->source.hint), "%s", file->source.stamp);
	file->source.surveys = !file->block_device;
	file->source.resumed = hint[0] && !strcmp(hint, file->source.hint);
	*out = &file->source;
	return 0;
}

static void file_free(struct sluiced_source *source)
{
	free(source);
}

const struct sluiced_source_ops sluiced_source_file_ops = {
	.open = file_open,
	.pread = sluiced_file_pread,
	.check = sluiced_file_check,
	.lost = sluiced_file_lost,
	.read = sluiced_file_read,
	.survey = file_survey,
	.close = sluiced_file_close,
	.free = file_free,
};
