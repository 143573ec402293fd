// SPDX-License-Identifier: GPL-2.0-or-later
#include "memory.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "log.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#endif

/*
 * Code and variables at once, tables when they are first looked at: one library that
 * comes with libnbd has 30 MiB of them about Unicode, of which nothing here uses any.
 * Our own are few. Arm's linker puts tables into the segment of the code: one that is
 * larger than any library's code is taken for tables.
 */
#define MOST_CODE	((size_t)8 << 20)

static bool is_tables(unsigned int flags, size_t size)
{
	return !(flags & PF_W) && (!(flags & PF_X) || size > MOST_CODE);
}

static int lock_object(struct dl_phdr_info *info, size_t size, void *failed)
{
	uintptr_t page = sysconf(_SC_PAGESIZE), start;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		ElfW(Phdr) segment = info->dlpi_phdr[i];

		if (segment.p_type != PT_LOAD)
			continue;
		if (*info->dlpi_name && is_tables(segment.p_flags, segment.p_memsz))
			continue;
		start = info->dlpi_addr + segment.p_vaddr;
		if (mlock((void *)(start & -page), (start & (page - 1)) + segment.p_memsz) < 0)
			*(int *)failed = errno;
	}
	return 0;
}

void sluiced_memory_lock(void)
{
	int err = 0;

	/* Locked memory is real memory: threads share one arena. */
	mallopt(M_ARENA_MAX, 1);
	if (mlockall(MCL_CURRENT | MCL_ONFAULT) < 0)
		err = errno;
	dl_iterate_phdr(lock_object, &err);
	/* What is yet to come, whole: a second call replaces what the first said of that. */
	if (mlockall(MCL_FUTURE) < 0)
		err = errno;
	if (err)
		sluiced_log(LOG_WARNING, "sluiced", "Memory cannot be locked: %s.", strerror(err));
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
		sluiced_log(LOG_WARNING, "sluiced",
			    "The kernel does not take us for a flusher of I/O: %s.",
			    strerror(errno));
}
