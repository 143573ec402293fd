// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linked into the module that the race detector watches: each of the module's plain
 * accesses counts as WEIGHT when KCSAN looks which one to watch next. The block layer
 * below makes a hundred accesses for one of ours, and would get all the watchpoints.
 * With 200 the module spends about half of its time watching.
 *
 * The linker's --wrap leads the compiler's calls here. The way on is a jump: KCSAN
 * takes the access to be where its caller will return to.
 */
#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/percpu.h>
#include <linux/sched.h>

#define WEIGHT 200

static long __percpu *skip;

/* The detector's countdown is its own, so it is found by its name. */
static void __used __attribute__((constructor)) find_skip(void)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long (*lookup)(const char *name);

	if (register_kprobe(&probe))
		return;
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);
	skip = (long __percpu *)lookup("kcsan_skip");
	pr_info("sluice: accesses weigh %d%s\n", WEIGHT, skip ? "" : ", but cannot");
}

static __always_inline void weigh(void)
{
	if (skip)
		this_cpu_sub(*skip, WEIGHT - 1);
}

/*
 * Not looked at are a task's own flags, which memalloc_noio_save() changes inline: the
 * scheduler clears one of the block layer's when it takes the processor away.
 */
#define WRAP(access)						\
	void __real___tsan_##access(void *at);			\
	void __wrap___tsan_##access(void *at);			\
	void __wrap___tsan_##access(void *at)			\
	{							\
		if (at == &current->flags)			\
			return;					\
		weigh();					\
		__real___tsan_##access(at);			\
	}

WRAP(read1)
WRAP(read2)
WRAP(read4)
WRAP(read8)
WRAP(read16)
WRAP(write1)
WRAP(write2)
WRAP(write4)
WRAP(write8)
WRAP(write16)
