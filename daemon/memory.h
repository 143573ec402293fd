/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keeps the daemon from waiting for memory: the host's disk may wait for it. */
#ifndef SLUICED_MEMORY_H
#define SLUICED_MEMORY_H

/* Once, before there are threads. What does not work is said in the log. */
void sluiced_memory_lock(void);

#endif /* SLUICED_MEMORY_H */
