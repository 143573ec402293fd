// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "profile.h"

int sluice_profile_digest(const struct sluice_profile *p, char hex[SLUICE_PROFILE_DIGEST_LEN])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0, i;
	size_t text_len;
	char *text;
	int err, ok;

	err = sluice_profile_print(p, NULL, &text, &text_len);
	if (err)
		return err;
	ok = EVP_Digest(text, text_len, digest, &len, EVP_sha256(), NULL);
	free(text);
	if (ok != 1 || len * 2 >= SLUICE_PROFILE_DIGEST_LEN)
		return -EIO;
	for (i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return 0;
}
