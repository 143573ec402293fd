// SPDX-License-Identifier: GPL-2.0-or-later
/* insnprof-mark MS: insnprof.c counts for so long. In the guest. */
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct timespec t = { .tv_nsec = argc > 1 ? atol(argv[1]) * 1000000 : 0 };

	/* What insnprof.c looks for. */
	__asm__ volatile("nopl 0x4d4b0001(%rax,%rax,1)");
	nanosleep(&t, NULL);
	__asm__ volatile("nopl 0x4d4b0002(%rax,%rax,1)");
	return 0;
}
