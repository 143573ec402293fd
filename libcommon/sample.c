// SPDX-License-Identifier: GPL-2.0-or-later
#include "sample.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#define EDGE	65536
#define SAMPLE	4096
#define SAMPLES	62
#define WHOLE	(2 * EDGE + SAMPLES * SAMPLE)

static const char domain[16] = "sluice-sample-1";

struct digestion {
	EVP_MD_CTX *md;
	sluice_sample_read_t read;
	void *ctx;
	uint8_t *buf;			/* EDGE bytes */
};

static int add(struct digestion *d, uint64_t offset, size_t len)
{
	size_t part;
	int err;

	while (len) {
		part = len < EDGE ? len : EDGE;
		err = d->read(d->ctx, d->buf, part, offset);
		if (err)
			return err;
		if (EVP_DigestUpdate(d->md, d->buf, part) != 1)
			return -ENOMEM;
		offset += part;
		len -= part;
	}
	return 0;
}

static int add_samples(struct digestion *d, uint64_t bytes)
{
	uint64_t middle = (bytes - 2 * EDGE) / SAMPLE;
	uint64_t i;
	int err;

	for (i = 0; i < SAMPLES; i++) {
		err = add(d, EDGE + SAMPLE * (i * (middle - 1) / (SAMPLES - 1)), SAMPLE);
		if (err)
			return err;
	}
	return 0;
}

static int add_all(struct digestion *d, uint64_t bytes)
{
	uint64_t size = htole64(bytes);
	int err;

	if (EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(d->md, domain, sizeof(domain)) != 1 ||
	    EVP_DigestUpdate(d->md, &size, sizeof(size)) != 1)
		return -ENOMEM;
	if (bytes <= WHOLE)
		return add(d, 0, bytes);
	err = add(d, 0, EDGE);
	if (!err)
		err = add_samples(d, bytes);
	if (!err)
		err = add(d, bytes - EDGE, EDGE);
	return err;
}

int sluice_sample_digest(uint64_t bytes, sluice_sample_read_t read, void *ctx,
			 uint8_t digest[SLUICE_SAMPLE_LEN])
{
	struct digestion d = { .read = read, .ctx = ctx };
	uint8_t result[SLUICE_SAMPLE_LEN];
	int err = -ENOMEM;

	d.md = EVP_MD_CTX_new();
	d.buf = malloc(EDGE);
	if (d.md && d.buf)
		err = add_all(&d, bytes);
	if (!err && EVP_DigestFinal_ex(d.md, result, NULL) != 1)
		err = -ENOMEM;
	if (!err)
		memcpy(digest, result, sizeof(result));
	free(d.buf);
	EVP_MD_CTX_free(d.md);
	return err;
}
