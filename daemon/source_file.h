/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image in a regular file or on a block device; also what the kinds build on
 * that end in a block device of this kernel.
 */
#ifndef SLUICED_SOURCE_FILE_H
#define SLUICED_SOURCE_FILE_H

#include "job.h"
#include "source.h"

struct sluiced_file {
	struct sluiced_source source;	/* first */
	int fd;
	bool block_device;
	char path[PATH_MAX];
	struct {
		struct sluiced_job job;
		struct sluiced_survey *of;
		int fd, err;
	} survey;			/* one at a time */
};

/*
 * Opens @path into zeroed @file, with O_DIRECT where the file system can. Fills
 * source.image but for digest and id, and source.stamp.
 */
int sluiced_file_open(struct sluiced_file *file, const char *path, char *why,
		      size_t why_len);

/* As the functions of struct sluiced_source_ops. */
int sluiced_file_pread(struct sluiced_source *source, void *buf, size_t len, uint64_t offset);
int sluiced_file_check(struct sluiced_source *source);
bool sluiced_file_lost(struct sluiced_source *source);
void sluiced_file_read(struct sluiced_source *source, struct sluiced_read *read);
void sluiced_file_close(struct sluiced_source *source);

#endif /* SLUICED_SOURCE_FILE_H */
