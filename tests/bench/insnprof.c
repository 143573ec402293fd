// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plugin of QEMU's TCG that counts the instructions of each translation block while
 * the guest says so. One processor only (-icount): the counts are added inline.
 *
 * The guest says it with nops that no compiler makes, see insnprof-mark.c. With each
 * "stop" the file out=PATH gets a line "# NUMBER", and "ADDRESS INSTRUCTIONS" for each
 * block that ran.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

/* Blocks that begin at one address; translated again they go on counting. */
struct block {
	struct block *next;
	uint64_t vaddr;
	uint64_t instructions;
};

#define BUCKETS (1U << 16)

static struct block *blocks[BUCKETS];
static FILE *out;
static unsigned int stops;

static struct block *block_of(uint64_t vaddr)
{
	struct block **b = &blocks[vaddr * UINT64_C(0x9e3779b97f4a7c15) >> 48];

	for (; *b; b = &(*b)->next)
		if ((*b)->vaddr == vaddr)
			return *b;
	*b = calloc(1, sizeof(**b));
	if (!*b)
		abort();
	(*b)->vaddr = vaddr;
	return *b;
}

static void start(unsigned int cpu, void *unused)
{
	(void)cpu;
	(void)unused;
	for (unsigned int i = 0; i < BUCKETS; i++)
		for (struct block *b = blocks[i]; b; b = b->next)
			b->instructions = 0;
}

static void stop(unsigned int cpu, void *unused)
{
	(void)cpu;
	(void)unused;
	fprintf(out, "# %u\n", stops++);
	for (unsigned int i = 0; i < BUCKETS; i++)
		for (const struct block *b = blocks[i]; b; b = b->next)
			if (b->instructions)
				fprintf(out, "%" PRIx64 " %" PRIu64 "\n", b->vaddr,
					b->instructions);
	fflush(out);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	static const uint8_t start_insn[] = { 0x0f, 0x1f, 0x84, 0, 1, 0, 0x4b, 0x4d };
	static const uint8_t stop_insn[] = { 0x0f, 0x1f, 0x84, 0, 2, 0, 0x4b, 0x4d };
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline(
		tb, INLINE_ADD_U64, &block_of(qemu_plugin_tb_vaddr(tb))->instructions, n);
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const void *bytes = qemu_plugin_insn_data(insn);

		if (qemu_plugin_insn_size(insn) != sizeof(start_insn))
			continue;
		if (!memcmp(bytes, start_insn, sizeof(start_insn)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, start, CB_NO_REGS, NULL);
		else if (!memcmp(bytes, stop_insn, sizeof(stop_insn)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, stop, CB_NO_REGS, NULL);
	}
}

EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
