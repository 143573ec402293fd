/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading a kernel module, for jobs: blocks until modprobe ends. */
#ifndef SLUICED_MODPROBE_H
#define SLUICED_MODPROBE_H

/* 0, or -ENOENT when there is no such module or no modprobe. Prints nothing. */
int sluiced_modprobe(const char *module);

#endif /* SLUICED_MODPROBE_H */
