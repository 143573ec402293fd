/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sampled digest of an image, SLUICE_DIGEST_SAMPLE: what tells one image
 * from another without reading all of it. It is recorded on disks, so this is a
 * format:
 *
 * SHA-256 over, in this order and with nothing in between,
 *
 *   1. the 16 bytes "sluice-sample-1" and NUL,
 *   2. the image's size in bytes S as a 64-bit little-endian number,
 *   3. when S <= 385024 (94 * 4096): the whole image;
 *      otherwise
 *      a. the bytes [0, 65536),
 *      b. for i = 0 ... 61 the 4096 bytes from 65536 + 4096 * floor(i * (M - 1) / 61)
 *         on, where M = floor((S - 131072) / 4096),
 *      c. the bytes [S - 65536, S).
 *
 * It covers the partition table at both ends and spreads the rest evenly. It
 * notices another image or a rebuilt one, not one changed block: an image that
 * must be protected needs a digest of everything.
 */
#ifndef SLUICE_SAMPLE_H
#define SLUICE_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#define SLUICE_SAMPLE_LEN	32

/* Reads all @len bytes at @offset, of any alignment, or returns -errno. */
typedef int (*sluice_sample_read_t)(void *ctx, void *buf, size_t len, uint64_t offset);

/*
 * The digest of the @bytes long image behind @read, which may block. 0, what
 * @read returned, or -ENOMEM; @digest is written on success only.
 */
int sluice_sample_digest(uint64_t bytes, sluice_sample_read_t read, void *ctx,
			 uint8_t digest[SLUICE_SAMPLE_LEN]);

#endif /* SLUICE_SAMPLE_H */
