// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every disk that a crash may leave of a recording, as far as they can be counted.
 *
 *	crash-enumerate [OPTION]... LOG OFFSET JOURNAL
 *
 *	--states N	so many, and more when there are more without random ones
 *	--state N	that one alone, and what it consists of
 *	--then OFFSET	with it, the disks that a crash may leave of what was logged at
 *			that offset, which began with that state
 *	--read FILE	with it, what was read of its windows through the device
 *	--sample N	no check: N states as disks PREFIX-0, PREFIX-1, ...
 *	--prefix PREFIX
 *	--part I/N	every Nth from the Ith on
 *	--mutant N	with that bug in the on-media code, where it is built with them
 *
 * Between two flushes of the disk, any of the writes may be durable or not; those
 * with FUA are from their own end on, of data also once a later map page with FUA is.
 * For each such epoch of k writes: all k + 1 prefixes; all subsets of up to 8, else
 * each write missing alone and alone there, and random subsets; every write to the tail
 * torn at each sector, and every other one at some. The last line is
 * "states=N violations=N"; the status is 1 when there are violations.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample.h"

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
	uint64_t wide;			/* epochs of more than ALL_SUBSETS writes */
	uint64_t subsets, more;		/* random ones of each, and of all together */
	bool counting;
	const char *read;		/* judge this instead of the disk */
	bool stay;			/* the only state is not taken back */
	size_t crashed;			/* position, in an earlier log, or NEVER */
	size_t completed;		/* position of that mark in the log */
	uint64_t samples, sampled, every;
	const char *prefix;
	int err;
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

static void judge(struct run *run, size_t position)
{
	struct violation v;
	long wrong;

	wrong = sample_judge(&run->disk, run->read, position, &v);
	if (wrong < 0)
		run->err = wrong;
	else if (wrong)
		report(run, &v, position);
}

/* One of each so many states, at some place. */
static void sample(struct run *run, size_t position)
{
	char path[4096];

	if (run->sampled == run->samples || position < run->oracle.formatted ||
	    run->states < run->every * run->sampled + run->oracle.header.seed % run->every + 1)
		return;
	snprintf(path, sizeof(path), "%s-%llu", run->prefix, (unsigned long long)run->sampled);
	run->err = sample_write(&run->disk, path);
	if (run->err)
		return;
	printf("sample %llu: state %llu\n", (unsigned long long)run->sampled++,
	       (unsigned long long)run->states);
}

static void look(struct run *run, size_t position)
{
	size_t when = run->crashed == NEVER ? position : run->crashed;
	struct violation v;

	if (run->samples)
		sample(run, position);
	else if (run->read)
		judge(run, position);
	else if (!disk_check(&run->disk, when,
			     run->completed != NEVER && position >= run->completed, &v))
		report(run, &v, when);
}

/*
 * A map page with FUA has the bits of data with FUA that ended before it was sent. The log
 * knows ends only, and what ended before the page did may have ended before it was sent: no
 * state has the page without that. Where it did not, there are runs in which it ends later.
 */
static size_t pages_after_data(struct run *run, size_t torn)
{
	bool page = false;
	size_t i;

	for (i = run->k; i-- > 0;) {
		const struct log_entry *e = &run->log.entries[run->epoch[i]];

		if (!(e->flags & LOG_FUA))
			continue;
		if (disk_is_tail(&run->disk, e)) {
			page |= run->chosen[i] || i == torn;
		} else if (page) {
			run->chosen[i] = true;
			if (torn == i)
				torn = run->k;
		}
	}
	return torn;
}

/*
 * One state: what is chosen, and sectors [0, sectors) of entry number torn. The
 * crash comes as late as it can: right before the end of the first FUA write that
 * is missing, else right before the end of the flush.
 */
static void state(struct run *run, size_t torn, uint64_t sectors, size_t position)
{
	size_t i;

	if (run->err)
		return;
	run->states++;
	if (run->counting || run->states % run->parts != run->part ||
	    (run->only != UINT64_MAX && run->states != run->only))
		return;
	torn = pages_after_data(run, torn);
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
	look(run, position);
	if (run->states == run->only && !run->stay)
		describe(run, torn, sectors);
	if (run->states == run->only && run->stay) {
		run->crashed = position;
		run->err = -ECANCELED;
		return;
	}
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
	uint64_t n;
	size_t i;

	if (run->k <= ALL_SUBSETS) {
		for (n = 0; n < 1ULL << run->k; n++) {
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
	if (run->counting)
		run->wide++;
	for (n = run->subsets + (run->more ? 1 : 0); n; n--) {
		/* Few missing, about half, few there. */
		uint64_t odds = 1 + crash_draw(&run->random, 7);

		for (i = 0; i < run->k; i++)
			run->chosen[i] = crash_draw(&run->random, 8) < odds;
		whole(run, run->end - 1);
	}
	if (run->more)
		run->more--;
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
	for (i = 0; i < run->k && !run->counting; i++)
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

/* As many random subsets as it takes; tells how many states there are then. */
static uint64_t choose_subsets(struct run *run, uint64_t wanted)
{
	uint64_t random;

	run->counting = true;
	enumerate(run);
	run->counting = false;
	if (wanted <= run->states || !run->wide)
		return run->states;
	random = wanted - run->states;
	run->subsets = random / run->wide;
	run->more = random % run->wide;
	return wanted;
}

/* The state that was stopped at, and what came after it. */
static int recover(struct run *run, const char *path, uint64_t offset)
{
	size_t i;
	int err;

	log_close(&run->log);
	err = log_open(&run->log, path, offset);
	if (err)
		return err;
	run->completed = NEVER;
	for (i = 0; i < run->log.count; i++)
		if ((run->log.entries[i].flags & LOG_MARK) &&
		    !strcmp(run->log.entries[i].text, CRASH_COMPLETED))
			run->completed = i;
	run->disk.noting = false;
	run->epoch = reallocarray(run->epoch, run->log.count + 1, sizeof(*run->epoch));
	run->chosen = reallocarray(run->chosen, run->log.count + 1, sizeof(*run->chosen));
	if (!run->epoch || !run->chosen)
		return -ENOMEM;
	run->err = 0;
	run->only = UINT64_MAX;
	run->subsets = run->more = 0;
	return disk_recovered(&run->disk, &run->log);
}

static int usage(void)
{
	fprintf(stderr, "usage: crash-enumerate [--states N] [--state N [--then OFFSET | --read FILE]] [--sample N --prefix PREFIX] [--part I/N] LOG OFFSET JOURNAL\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "states", required_argument, NULL, 's' },
		{ "state", required_argument, NULL, 'o' },
		{ "then", required_argument, NULL, 't' },
		{ "read", required_argument, NULL, 'r' },
		{ "sample", required_argument, NULL, 'n' },
		{ "prefix", required_argument, NULL, 'x' },
		{ "part", required_argument, NULL, 'p' },
#ifdef CRASH_MUTANTS
		{ "mutant", required_argument, NULL, 'm' },
#endif
		{ },
	};
	struct run run = { .only = UINT64_MAX, .parts = 1, .crashed = NEVER };
	uint64_t wanted = 0, then = 0;
	int c, err;
	size_t i;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			wanted = strtoull(optarg, NULL, 0);
		else if (c == 'o')
			run.only = strtoull(optarg, NULL, 0);
		else if (c == 'r')
			run.read = optarg;
		else if (c == 'n')
			run.samples = strtoull(optarg, NULL, 0);
		else if (c == 'x')
			run.prefix = optarg;
#ifdef CRASH_MUTANTS
		else if (c == 'm')
			sluice_mutant = strtoul(optarg, NULL, 0);
#endif
		else if (c == 't') {
			then = strtoull(optarg, NULL, 0);
			run.stay = true;
		} else if (c != 'p' || sscanf(optarg, "%u/%u", &run.part, &run.parts) != 2 ||
			   run.part >= run.parts)
			return usage();
	}
	if (argc - optind != 3 || !run.samples != !run.prefix ||
	    ((run.stay || run.read) && run.only == UINT64_MAX))
		return usage();
	err = log_open(&run.log, argv[optind], strtoull(argv[optind + 1], NULL, 0));
	if (!err)
		err = oracle_init(&run.oracle, argv[optind + 2], &run.log);
	/* Of another module's disks only what is read through it can be judged. */
	if (!err && run.oracle.header.peer && !run.samples && !run.read)
		err = -EINVAL;
	if (!err) {
		run.completed = run.oracle.completed;
		run.epoch = calloc(run.log.count + 1, sizeof(*run.epoch));
		run.chosen = calloc(run.log.count + 1, sizeof(*run.chosen));
		err = run.epoch && run.chosen ? disk_init(&run.disk, &run.oracle, &run.log) : -ENOMEM;
	}
	if (!err) {
		uint64_t states = choose_subsets(&run, wanted);

		run.every = states / (run.samples + 1) + 1;
		enumerate(&run);
		err = run.err;
	}
	if (run.stay && err == -ECANCELED) {
		err = recover(&run, argv[optind], then);
		if (!err)
			enumerate(&run);
	}
	if (!err && (run.sampled != run.samples || (run.stay && run.only != UINT64_MAX)))
		err = -ERANGE;
	if (err) {
		fprintf(stderr, "crash-enumerate: %s, %s: %s\n", argv[optind], argv[optind + 2],
			strerror(-err));
		return 2;
	}
	for (i = 0; i < sizeof(run.invariants) / sizeof(run.invariants[0]); i++)
		if (run.invariants[i])
			printf("invariant %zu: %u violations\n", i, run.invariants[i]);
	printf("states=%llu violations=%llu\n", (unsigned long long)run.states,
	       (unsigned long long)run.violations);
	return run.violations ? 1 : 0;
}
