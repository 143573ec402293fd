/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of deployments. */
#ifndef SLUICE_NAME_H
#define SLUICE_NAME_H

#include <stdbool.h>

/*
 * Letters, digits, ".", "_", "-"; not first "." or "-"; 1 to 63 bytes: also the name of a
 * file, and part of names of devices.
 */
bool sluice_name_is_valid(const char *name);

#endif /* SLUICE_NAME_H */
