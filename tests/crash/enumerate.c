// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every disk that a crash may leave of a recording, as far as they can be counted.
 *
 *	crash-enumerate [OPTION]... LOG OFFSET JOURNAL
 *
 *	--states N	at least so many, as far as there are any
 *	--state N	that one alone, and what it consists of
 *	--part I/N	every Nth from the Ith on
 *	--mutant N	with that bug in the on-media code, where it is built with them
 *
 * Between two flushes of the disk, any of the writes may be durable or not; those
 * with FUA are from their own end on. For each such epoch of k writes: all k + 1
 * prefixes; all subsets of up to 8, else each write missing alone and alone there,
 * and random subsets; every write to the tail torn at each sector, and every other
 * one at some. The last line is "states=N violations=N"; the status is 1 when there
 * are violations.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#define ALL_SUBSETS	8
#define SHOWN		5

#ifdef CRASH_MUTANTS
unsigned int sluice_mutant;
#endif

struct run {
	struct log log;
	struct oracle oracle;
	struct disk disk;
	uint64_t random;
	uint64_t only;			/* a state's number, or UINT64_MAX */
	unsigned int part, parts;
	unsigned int subsets;		/* random ones of an epoch */
	bool counting;
	uint64_t states, violations;
	size_t *epoch;			/* entries of the current one */
	size_t k;
	size_t end;			/* position at which the epoch's flush ended */
	bool *chosen;
	unsigned int invariants[64];
};

static void report(struct run *run, const struct violation *v, size_t position)
{
	run->violations++;
	run->invariants[v->invariant]++;
	if (run->violations > SHOWN && run->only == UINT64_MAX)
		return;
	printf("violation of invariant %d: seed %llu, state %llu, sector %llu, crash at entry %zu: %s (content %#x)\n",
	       v->invariant, (unsigned long long)run->oracle.header.seed,
	       (unsigned long long)run->states, (unsigned long long)v->sector, position,
	       v->what, v->tag);
}

static void describe(const struct run *run, size_t torn, uint64_t sectors)
{
	size_t i;

	for (i = 0; i < run->k; i++) {
		const struct log_entry *e = &run->log.entries[run->epoch[i]];

		printf("  entry %zu: sectors %llu+%llu%s: %s\n", run->epoch[i],
		       (unsigned long long)e->sector, (unsigned long long)e->sectors,
		       e->flags & LOG_FUA ? " FUA" : e->flags & LOG_DISCARD ? " discard" : "",
		       i == torn ? "torn" : run->chosen[i] ? "durable" : "lost");
	}
	if (torn < run->k)
		printf("  torn after %llu sectors\n", (unsigned long long)sectors);
}

/*
 * One state: what is chosen, and sectors [0, sectors) of entry number torn. The
 * crash comes as late as it can: right before the end of the first FUA write that
 * is missing, else right before the end of the flush.
 */
static void state(struct run *run, size_t torn, uint64_t sectors, size_t position)
{
	struct violation v;
	size_t i;

	run->states++;
	if (run->counting || run->states % run->parts != run->part ||
	    (run->only != UINT64_MAX && run->states != run->only))
		return;
	for (i = 0; i < run->k; i++)
		if (!run->chosen[i] && (run->log.entries[run->epoch[i]].flags & LOG_FUA) &&
		    run->epoch[i] - 1 < position)
			position = run->epoch[i] - 1;
	disk_note(&run->disk);
	for (i = 0; i < run->k; i++) {
		if (i == torn)
			disk_apply(&run->disk, &run->log, run->epoch[i], 0, sectors);
		else if (run->chosen[i])
			disk_apply(&run->disk, &run->log, run->epoch[i], 0,
				   run->log.entries[run->epoch[i]].sectors);
	}
	if (!disk_check(&run->disk, position, &v))
		report(run, &v, position);
	if (run->states == run->only)
		describe(run, torn, sectors);
	disk_restore(&run->disk);
}

static void whole(struct run *run, size_t position)
{
	state(run, run->k, 0, position);
}

static void prefixes(struct run *run)
{
	size_t j;

	memset(run->chosen, 0, run->k);
	for (j = 0; j <= run->k; j++) {
		whole(run, j < run->k ? run->epoch[j] - 1 : run->end - 1);
		if (j < run->k)
			run->chosen[j] = true;
	}
}

static void subsets(struct run *run)
{
	size_t i, n;

	if (run->k <= ALL_SUBSETS) {
		for (n = 0; n < (size_t)1 << run->k; n++) {
			for (i = 0; i < run->k; i++)
				run->chosen[i] = n >> i & 1;
			whole(run, run->end - 1);
		}
		return;
	}
	for (n = 0; n < run->k; n++) {
		memset(run->chosen, 1, run->k);
		run->chosen[n] = false;
		whole(run, run->end - 1);
		memset(run->chosen, 0, run->k);
		run->chosen[n] = true;
		whole(run, run->end - 1);
	}
	for (n = 0; n < run->subsets; n++) {
		/* Few missing, about half, few there. */
		uint64_t odds = 1 + crash_draw(&run->random, 7);

		for (i = 0; i < run->k; i++)
			run->chosen[i] = crash_draw(&run->random, 8) < odds;
		whole(run, run->end - 1);
	}
}

static void tears(struct run *run)
{
	size_t i, j;
	uint64_t s;

	for (i = 0; i < run->k; i++) {
		const struct log_entry *e = &run->log.entries[run->epoch[i]];

		if (e->sectors < 2 || (e->flags & LOG_DISCARD))
			continue;
		/* Beside all before it, and beside all others. */
		for (j = 0; j < run->k; j++)
			run->chosen[j] = j < i;
		if (disk_is_tail(&run->disk, e))
			for (s = 1; s < e->sectors; s++)
				state(run, i, s, run->epoch[i] - 1);
		else
			state(run, i, 1 + crash_draw(&run->random, e->sectors - 1), run->epoch[i] - 1);
		for (j = 0; j < run->k; j++)
			run->chosen[j] = j != i;
		state(run, i, 1 + crash_draw(&run->random, e->sectors - 1), run->end - 1);
	}
}

static void end_epoch(struct run *run, size_t end)
{
	size_t i;

	run->end = end;
	prefixes(run);
	subsets(run);
	tears(run);
	for (i = 0; i < run->k; i++)
		disk_apply(&run->disk, &run->log, run->epoch[i], 0,
			   run->log.entries[run->epoch[i]].sectors);
	run->k = 0;
}

static void enumerate(struct run *run)
{
	size_t i;

	run->states = 0;
	run->k = 0;
	run->random = (run->oracle.header.seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
	for (i = 0; i < run->log.count; i++) {
		const struct log_entry *e = &run->log.entries[i];

		if (e->flags & LOG_FLUSH)
			end_epoch(run, i);
		if (e->sectors && !(e->flags & LOG_MARK))
			run->epoch[run->k++] = i;
	}
	end_epoch(run, run->log.count);
}

static int open_disk(struct run *run)
{
	disk_destroy(&run->disk);
	return disk_init(&run->disk, &run->oracle, &run->log);
}

/* As many random subsets in each epoch as it takes. */
static int choose_subsets(struct run *run, uint64_t wanted)
{
	uint64_t without;
	int err = open_disk(run);

	if (err)
		return err;
	run->counting = true;
	enumerate(run);
	without = run->states;
	run->subsets = 1;
	enumerate(run);
	if (run->states > without)
		run->subsets = wanted > without ?
			(wanted - without + run->states - without - 1) / (run->states - without) : 0;
	run->counting = false;
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: crash-enumerate [--states N] [--state N] [--part I/N] LOG OFFSET JOURNAL\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "states", required_argument, NULL, 's' },
		{ "state", required_argument, NULL, 'o' },
		{ "part", required_argument, NULL, 'p' },
#ifdef CRASH_MUTANTS
		{ "mutant", required_argument, NULL, 'm' },
#endif
		{ },
	};
	struct run run = { .only = UINT64_MAX, .parts = 1 };
	uint64_t wanted = 0;
	int c, err;
	size_t i;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			wanted = strtoull(optarg, NULL, 0);
		else if (c == 'o')
			run.only = strtoull(optarg, NULL, 0);
#ifdef CRASH_MUTANTS
		else if (c == 'm')
			sluice_mutant = strtoul(optarg, NULL, 0);
#endif
		else if (c != 'p' || sscanf(optarg, "%u/%u", &run.part, &run.parts) != 2 ||
			 run.part >= run.parts)
			return usage();
	}
	if (argc - optind != 3)
		return usage();
	err = log_open(&run.log, argv[optind], strtoull(argv[optind + 1], NULL, 0));
	if (!err)
		err = oracle_init(&run.oracle, argv[optind + 2], &run.log);
	if (!err) {
		run.epoch = calloc(run.log.count + 1, sizeof(*run.epoch));
		run.chosen = calloc(run.log.count + 1, sizeof(*run.chosen));
		err = choose_subsets(&run, wanted);
	}
	if (!err)
		err = open_disk(&run);
	if (err) {
		fprintf(stderr, "crash-enumerate: %s, %s: %s\n", argv[optind], argv[optind + 2],
			strerror(-err));
		return 2;
	}
	enumerate(&run);
	for (i = 0; i < sizeof(run.invariants) / sizeof(run.invariants[0]); i++)
		if (run.invariants[i])
			printf("invariant %zu: %u violations\n", i, run.invariants[i]);
	printf("states=%llu violations=%llu\n", (unsigned long long)run.states,
	       (unsigned long long)run.violations);
	return run.violations ? 1 : 0;
}
