// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Profiles from lists of paths, for images that nobody has booted yet: where in the
 * image's ext2, ext3 or ext4 file system the files are, by libext2fs, without mounting.
 * Not for XFS: its library is not made for others, and a mount would need root.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <blkid/blkid.h>
#include <ext2fs/ext2fs.h>

#include "command.h"
#include "output.h"
#include "profile_file.h"
#include "sample.h"

/* Larger ones are no lists of paths. */
#define PATH_LEN	4096

struct resolver {
	struct sluice_ctl *ctl;
	const char *image;
	ext2_filsys fs;
	uint64_t start;			/* of the file system in the image, in bytes */
	struct sluice_profile profile;
	bool full;
	unsigned int found;
};

static void add(struct resolver *r, uint64_t block)
{
	uint64_t size = r->fs->blocksize, offset = r->start + block * size;
	uint64_t first = offset / SLUICE_BLOCK_SIZE;
	uint64_t end = (offset + size + SLUICE_BLOCK_SIZE - 1) / SLUICE_BLOCK_SIZE;

	if (sluice_profile_add(&r->profile, first, end - first) == -ENOSPC)
		r->full = true;
}

static int add_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t at, blk64_t reference,
		     int offset, void *ctx)
{
	(void)fs;
	(void)at;
	(void)reference;
	(void)offset;
	add(ctx, *block);
	return 0;
}

/* The inode's place in its table: nobody finds a file without reading it. */
static void add_inode_table(struct resolver *r, ext2_ino_t ino)
{
	ext2_filsys fs = r->fs;
	dgrp_t group = ext2fs_group_of_ino(fs, ino);
	uint64_t offset = (ino - 1) % EXT2_INODES_PER_GROUP(fs->super) *
			  (uint64_t)EXT2_INODE_SIZE(fs->super);

	add(r, ext2fs_inode_table_loc(fs, group) + offset / fs->blocksize);
}

static bool add_inode(struct resolver *r, ext2_ino_t ino)
{
	struct ext2_inode inode;

	add_inode_table(r, ino);
	if (ext2fs_read_inode(r->fs, ino, &inode))
		return false;
	/* Data in the inode, devices and short links have no blocks. */
	if (!ext2fs_inode_has_valid_blocks2(r->fs, &inode) ||
	    (inode.i_flags & EXT4_INLINE_DATA_FL))
		return true;
	return !ext2fs_block_iterate3(r->fs, ino, BLOCK_FLAG_READ_ONLY, NULL, add_block, r);
}

/* The directories of @path, one after the other, then what it is of. */
static bool add_path(struct resolver *r, char *path)
{
	ext2_ino_t ino = EXT2_ROOT_INO;
	bool all = add_inode(r, ino);
	char *slash = path, kept;

	while (all && *slash) {
		slash += strspn(slash, "/");
		slash += strcspn(slash, "/");
		kept = *slash;
		*slash = '\0';
		all = !ext2fs_namei_follow(r->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino) &&
		      add_inode(r, ino);
		*slash = kept;
	}
	return all;
}

static int add_list(struct resolver *r, const char *list)
{
	FILE *file = strcmp(list, "-") ? fopen(list, "re") : stdin;
	char path[PATH_LEN];
	bool failed;

	if (!file)
		return sluice_fail(r->ctl, SLUICE_EXIT_FAILED, "The list %s cannot be read: %s.",
				   list, strerror(errno));
	while (fgets(path, sizeof(path), file)) {
		path[strcspn(path, "\r\n")] = '\0';
		if (!path[0] || path[0] == '#')
			continue;
		if (add_path(r, path))
			r->found++;
		else
			sluice_output_text(stderr, "%s: %s is not in the image.\n", list, path);
	}
	failed = ferror(file);
	if (file != stdin)
		fclose(file);
	if (failed)
		return sluice_fail(r->ctl, SLUICE_EXIT_FAILED, "The list %s cannot be read.", list);
	return 0;
}

/* The image. */

static int read_image(void *ctx, void *buf, size_t len, uint64_t offset)
{
	ssize_t n = pread(*(int *)ctx, buf, len, offset);

	return n < 0 ? -errno : (size_t)n == len ? 0 : -EIO;
}

static int identify(struct resolver *r)
{
	struct sluice_image image = { .digest_kind = SLUICE_DIGEST_SAMPLE };
	int fd = open(r->image, O_RDONLY | O_CLOEXEC), err;
	off_t end;

	end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	err = end < 0 ? -errno : sluice_sample_digest(end, read_image, &fd, image.digest);
	if (fd >= 0)
		close(fd);
	if (err)
		return sluice_fail(r->ctl, SLUICE_EXIT_FAILED, "The image %s cannot be read: %s.",
				   r->image, strerror(-err));
	image.bytes = end;
	sluice_profile_set_image(&r->profile, &image);
	return 0;
}

static bool open_at(struct resolver *r, uint64_t start)
{
	char options[32];

	snprintf(options, sizeof(options), "offset=%" PRIu64, start);
	r->start = start;
	return !ext2fs_open2(r->image, options, EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES |
			     EXT2_FLAG_IGNORE_CSUM_ERRORS, 0, 0, unix_io_manager, &r->fs);
}

/* The one that is wanted, or the only one that there is. */
static int open_partition(struct resolver *r, blkid_partlist partitions, uint64_t wanted)
{
	int i, found = 0, count = blkid_partlist_numof_partitions(partitions);
	uint64_t start = 0;

	for (i = 0; i < count; i++) {
		blkid_partition one = blkid_partlist_get_partition(partitions, i);

		if (wanted && (uint64_t)blkid_partition_get_partno(one) != wanted)
			continue;
		if (!open_at(r, blkid_partition_get_start(one) * UINT64_C(512)))
			continue;
		ext2fs_close_free(&r->fs);
		start = r->start;
		found++;
	}
	if (found == 1 && open_at(r, start))
		return 0;
	if (found)
		return sluice_usage(r->ctl, "%s has %d partitions with an ext file system; choose "
				    "with --partition.", r->image, found);
	return sluice_fail(r->ctl, SLUICE_EXIT_FAILED, wanted ?
			   "Partition %2$" PRIu64 " of %1$s holds no ext2, ext3 or ext4, and others "
			   "are not understood." :
			   "%1$s holds no ext2, ext3 or ext4, and others are not understood.",
			   r->image, wanted);
}

static int open_image(struct resolver *r, uint64_t partition)
{
	blkid_probe probe;
	blkid_partlist partitions;
	int status;

	if (!partition && open_at(r, 0))
		return 0;
	probe = blkid_new_probe_from_filename(r->image);
	if (!probe)
		return sluice_fail(r->ctl, SLUICE_EXIT_FAILED, "The image %s cannot be read: %s.",
				   r->image, strerror(errno));
	partitions = blkid_probe_get_partitions(probe);
	if (partitions)
		status = open_partition(r, partitions, partition);
	else
		status = sluice_fail(r->ctl, SLUICE_EXIT_FAILED, "%s has neither partitions nor an "
				     "ext2, ext3 or ext4 file system; others are not understood.",
				     r->image);
	blkid_free_probe(probe);
	return status;
}

int sluice_profile_from_paths(struct sluice_ctl *ctl, const char *image, const char *list,
			      uint64_t partition)
{
	struct resolver r = { .ctl = ctl, .image = image };
	int status = identify(&r);

	if (!status)
		status = open_image(&r, partition);
	if (!status) {
		status = add_list(&r, list);
		ext2fs_close_free(&r.fs);
	}
	if (r.full)
		sluice_output_text(stderr, "There are more than %d extents: the last are left "
				   "out.\n", SLUICE_PROFILE_EXTENTS);
	if (!status && !r.found)
		status = sluice_fail(ctl, SLUICE_EXIT_NOT_FOUND, "None of the paths of %s is in "
				     "the image %s.", list, image);
	if (!status)
		status = sluice_profile_write(ctl, &r.profile, "from a list of paths");
	sluice_profile_free(&r.profile);
	return status;
}
