// SPDX-License-Identifier: GPL-2.0-or-later
#include "name.h"

#include <string.h>

#include <linux/sluice.h>

bool sluice_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len && len < SLUICE_NAME_LEN && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       len;
}
