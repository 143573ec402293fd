// SPDX-License-Identifier: GPL-2.0-or-later
/* LINK: kmod/map.c */
/*
 * The map under random operations, against models.
 *
 * First under threads that play the parts of the module: host writes that claim
 * or wait, fills that take what is free, readers without a lock, and the round
 * that makes bits durable. Arrays beside the map say what must never happen.
 * Most telling when built with -fsanitize=thread: the data below a block is a
 * plain variable, ordered by nothing but the map.
 *
 * Then one operation after the other, each answer compared with a model's.
 */
#include "map.h"

#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#include <check.h>

#include "../fuzz/locked-map.h"
#include "../fuzz/must.h"
#include "../fuzz/random.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define REGION		SLUICE_REGION_BLOCKS

/* More than there are cores on small machines: threads shall be preempted. */
#define WRITERS		4
#define FILLERS		2
#define READERS		2

/* Longest extent of a writer or filler. 200 is arbitrary: three regions or more. */
#define EXTENT_MAX	200

/* Blocks that threads prefer. 300 is arbitrary: five regions. */
#define HOT		300

/* A waiter that nobody wakes within this was forgotten. */
#define PATIENCE_S	20

/* Somebody asleep on part of a region; on its thread's stack. */
struct sleeper {
	struct sluice_waiter waiter;
	sem_t wake;
};

static bool stop;
static unsigned int luck;

/* What each block knows beside the map. */
static struct {
	u32 owner;	/* who holds the claim, atomic */
	u32 sets;	/* how often its bit was set, atomic */
	u64 data;	/* plain: the claim and the bit must order it */
} *oracle;

/* What the round wrote to media, a word each, atomic. */
static u64 *durable;

static u64 content(u64 block)
{
	return ~block * 0x9e3779b97f4a7c15;
}

static bool stopping(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* The region is claimed: nobody else may be at these blocks. */
static void enter(u64 region, u64 mask, u32 me)
{
	for (; mask; mask &= mask - 1) {
		u64 b = region * REGION + __ffs64(mask);

		must(b < map.blocks);
		must(!__atomic_exchange_n(&oracle[b].owner, me, __ATOMIC_RELAXED));
		must(!__atomic_load_n(&oracle[b].sets, __ATOMIC_RELAXED));
		/* Half a write, which nobody may see. */
		oracle[b].data = me;
	}
}

static void leave(u64 region, u64 mask, u64 set, u32 me)
{
	for (; mask; mask &= mask - 1) {
		u64 b = region * REGION + __ffs64(mask);

		must(oracle[b].data == me);
		if (set & mask & -mask) {
			oracle[b].data = content(b);
			must(!__atomic_fetch_add(&oracle[b].sets, 1, __ATOMIC_RELAXED));
		}
		must(__atomic_exchange_n(&oracle[b].owner, 0, __ATOMIC_RELAXED) == me);
	}
}

static void wake(struct list_head *woken, const struct sluice_claim *claims, unsigned int n)
{
	struct sluice_waiter *waiter, *next;
	unsigned int i;

	list_for_each_entry_safe(waiter, next, woken, node) {
		struct sleeper *sleeper = container_of(waiter, struct sleeper, waiter);
		bool overlaps = false;

		for (i = 0; i < n; i++)
			overlaps |= claims[i].mask && claims[i].region == waiter->region &&
				    (claims[i].mask & waiter->mask);
		must(overlaps);
		list_del_init(&waiter->node);
		/* From here on it may be gone. */
		sem_post(&sleeper->wake);
	}
}

static void sleep_on(struct sleeper *sleeper)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_S;
	while (sem_timedwait(&sleeper->wake, &deadline))
		must(errno == EINTR);
}

static u64 some_extent(u64 *len)
{
	u64 block = below(map.blocks);

	/* Most where others are: in front, or in regions with the same locks. */
	if (below(4)) {
		block %= HOT;
		if (map.blocks > 256 * REGION + HOT && below(2))
			block += 256 * REGION;
	}
	*len = 1 + below(min(map.blocks - block, EXTENT_MAX));
	return block;
}

/*
 * Which of the claimed blocks the local disk took. The worse the luck of a race,
 * the longer there are missing blocks to race for.
 */
static u64 outcome(u64 mask)
{
	if (below(64) >= luck)
		return 0;
	return below(2) ? mask : mask & rnd();
}

/* Makes one region's part of an extent resident, or waits for who does. */
static void write_region(u64 region, u64 mask, u32 me)
{
	struct sluice_map_bucket *bucket = sluice_map_bucket(&map, region);

	for (;;) {
		u64 missing, busy, set;
		struct sluice_claim claim;
		LIST_HEAD(woken);

		spin_lock(&bucket->lock);
		missing = mask & sluice_map_missing(&map, region);
		if (!missing) {
			spin_unlock(&bucket->lock);
			return;
		}
		busy = missing & sluice_map_claimed(&map, region);
		if (busy) {
			struct sleeper sleeper;

			sem_init(&sleeper.wake, 0, 0);
			sluice_map_wait(&map, &sleeper.waiter, region, busy);
			sleeper.waiter.asked = busy & ~sluice_map_asked(&map, region);
			spin_unlock(&bucket->lock);
			sleep_on(&sleeper);
			sem_destroy(&sleeper.wake);
			continue;
		}
		sluice_map_claim(&map, &claim, region, missing);
		must((sluice_map_claimed(&map, region) & mask) == missing);
		spin_unlock(&bucket->lock);
		enter(region, missing, me);
		if (!below(16))
			sched_yield();
		set = outcome(missing);
		leave(region, missing, set, me);
		sluice_map_release(&map, &claim, set, &woken);
		wake(&woken, &claim, 1);
	}
}

struct thread {
	pthread_t id;
	u64 seed;
	u32 me;
};

static struct thread *start_thread(struct thread *t)
{
	rng = t->seed;
	return t;
}

static void *writer(void *arg)
{
	struct thread *t = start_thread(arg);
	u64 block, len, b, region;

	while (!stopping()) {
		block = some_extent(&len);
		for (region = sluice_region(block); region <= sluice_region(block + len - 1);
		     region++)
			write_region(region, sluice_region_mask(region, block, len),
				     t->me);
		must(sluice_map_resident(&map, block, len));
		for (b = block; b < block + len; b++)
			must(oracle[b].data == content(b));
	}
	return NULL;
}

/* As a commit: claims of all regions at once, what is taken is left out. */
static void *filler(void *arg)
{
	struct sluice_claim claims[EXTENT_MAX / REGION + 2];
	struct thread *t = start_thread(arg);
	u64 block, len, region, set;
	unsigned int n, i;

	while (!stopping()) {
		LIST_HEAD(woken);

		block = some_extent(&len);
		n = 0;
		for (region = sluice_region(block); region <= sluice_region(block + len - 1);
		     region++) {
			struct sluice_map_bucket *bucket = sluice_map_bucket(&map, region);
			u64 mask = sluice_region_mask(region, block, len);

			claims[n].mask = 0;
			spin_lock(&bucket->lock);
			mask &= sluice_map_missing(&map, region) &
				~sluice_map_claimed(&map, region);
			if (mask)
				sluice_map_claim(&map, &claims[n], region, mask);
			spin_unlock(&bucket->lock);
			enter(region, mask, t->me);
			n++;
		}
		sched_yield();
		for (i = 0; i < n; i++) {
			if (!claims[i].mask)
				continue;
			set = outcome(claims[i].mask);
			leave(claims[i].region, claims[i].mask, set, t->me);
			sluice_map_release(&map, &claims[i], set, &woken);
		}
		wake(&woken, claims, n);
	}
	return NULL;
}

static void *reader(void *arg)
{
	u64 block, len, b;
	bool resident;

	start_thread(arg);
	while (!stopping()) {
		block = some_extent(&len);
		if (below(2)) {
			u64 run = sluice_map_run(&map, block, len, &resident);

			must(run && run <= len);
			len = run;
		} else {
			resident = sluice_map_resident(&map, block, len);
		}
		if (!resident)
			continue;
		/* What is set is written, and stays set. */
		for (b = block; b < block + len; b++)
			must(oracle[b].data == content(b));
		must(sluice_map_resident(&map, block, len));
		if (sluice_map_volatile(&map, block, len))
			continue;
		/* inv10: what is said to be durable is. */
		for (b = block; b < block + len; b++)
			must(__atomic_load_n(&durable[sluice_region(b)], __ATOMIC_RELAXED) >>
			     b % REGION & 1);
	}
	return NULL;
}

static void sync_round(void)
{
	u64 words[SLUICE_PAGE_WORDS], pages[3], from = 0, i;
	unsigned int n, p;

	while ((n = sluice_map_take_dirty(&map, &from, pages, 1 + below(3)))) {
		for (p = 0; p < n; p++) {
			must(!p || pages[p] > pages[p - 1]);
			must(sluice_map_volatile(&map, pages[p] * SLUICE_PAGE_BLOCKS, 1));
			sluice_map_copy_page(&map, pages[p], words);
			for (i = 0; i < SLUICE_PAGE_WORDS; i++) {
				u64 region = pages[p] * SLUICE_PAGE_WORDS + i, before;

				if (region >= map.regions)
					break;
				before = __atomic_exchange_n(&durable[region], words[i],
							     __ATOMIC_RELAXED);
				must(!(before & ~words[i]));
			}
		}
		sluice_map_put_dirty(&map, pages, n);
	}
}

static void *syncer(void *arg)
{
	start_thread(arg);
	while (!stopping())
		sync_round();
	return NULL;
}

/* Everything is quiet: do map, counters and oracles agree? */
static void check_end(void)
{
	u64 b, resident = 0, sets = 0;
	unsigned int i;

	sync_round();
	must(!sluice_map_any_volatile(&map));
	must(!sluice_map_volatile(&map, 0, map.blocks));
	for (i = 0; i < SLUICE_MAP_BUCKETS; i++) {
		must(list_empty(&map.buckets[i].claims));
		must(list_empty(&map.buckets[i].waiters));
	}
	for (b = 0; b < map.blocks; b++) {
		bool set = map.words[b / REGION] >> b % REGION & 1;

		must(!oracle[b].owner);
		must(oracle[b].sets == set);
		must(!set || oracle[b].data == content(b));
		must((durable[b / REGION] >> b % REGION & 1) == set);
		resident += set;
		sets += oracle[b].sets;
	}
	must(sluice_map_resident_blocks(&map) == resident && resident == sets);
}

static void race(u64 size, unsigned int usec)
{
	const struct timespec pause = { .tv_nsec = usec * 1000L };
	struct thread threads[WRITERS + FILLERS + READERS + 1];
	unsigned int i;

	must(!sluice_map_init(&map, size));
	oracle = calloc(size, sizeof(*oracle));
	durable = calloc(map.regions, sizeof(*durable));
	must(oracle && durable);
	stop = false;
	luck = 1 << below(7);
	for (i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
		void *(*run)(void *) = i < WRITERS ? writer :
				       i < WRITERS + FILLERS ? filler :
				       i < WRITERS + FILLERS + READERS ? reader : syncer;

		threads[i].seed = rnd();
		threads[i].me = i + 1;
		must(!pthread_create(&threads[i].id, NULL, run, &threads[i]));
	}
	nanosleep(&pause, NULL);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
		pthread_join(threads[i].id, NULL);
	check_end();
	free(oracle);
	free(durable);
	sluice_map_destroy(&map);
}

/* All threads in one or two regions, over and over from an empty map. */
START_TEST(small_maps)
{
	unsigned int i;

	seed();
	for (i = 0; i < 60; i++)
		race(1 + below(HOT), 10000);
}
END_TEST

/* Several pages of map and shared buckets, until most of it is resident. */
START_TEST(large_maps)
{
	unsigned int i;

	seed();
	for (i = 0; i < 5; i++)
		race(3 * SLUICE_PAGE_BLOCKS + below(2 * SLUICE_PAGE_BLOCKS), 150000);
}
END_TEST

/*
 * The model: what the map should know, one byte a block, and lists of what is
 * held. Operations are drawn at random; everything observable is compared.
 */
#define MODEL_HOLDERS	24

struct held {
	struct sluice_claim claim;
	struct sluice_waiter waiter;
	u64 region, mask;		/* of the claim, 0 when there is none */
	u64 wait_region, wait_mask;	/* of the waiter, likewise */
	u64 wait_asked;
};

static struct model {
	u8 *resident;
	u8 *dirty, *syncing;		/* a page each */
	u8 *durable;			/* resident in what was put last */
	u64 taken[64];
	u8 *copies[64];
	unsigned int ntaken;
	u64 from;
	bool round;
	struct held held[MODEL_HOLDERS];
} model;

static u64 model_missing(u64 region)
{
	u64 mask = 0, b;

	for (b = 0; b < REGION && region * REGION + b < map.blocks; b++)
		mask |= (u64)!model.resident[region * REGION + b] << b;
	return mask;
}

static u64 model_claimed(u64 region)
{
	u64 mask = 0;
	size_t i;

	for (i = 0; i < MODEL_HOLDERS; i++)
		if (model.held[i].mask && model.held[i].region == region)
			mask |= model.held[i].mask;
	return mask;
}

static u64 model_asked(u64 region)
{
	u64 mask = 0;
	size_t i;

	for (i = 0; i < MODEL_HOLDERS; i++)
		if (model.held[i].wait_mask && model.held[i].wait_region == region)
			mask |= model.held[i].wait_asked;
	return mask;
}

/* Few regions, or holders would never meet. */
static u64 some_region(void)
{
	static const u64 offsets[] = { 0, 1, 2, SLUICE_PAGE_WORDS - 1, SLUICE_PAGE_WORDS };

	if (below(8) == 0)
		return below(map.regions);
	if (below(4) == 0)
		return map.regions - 1;
	return offsets[below(ARRAY_SIZE(offsets))] % map.regions;
}

static void model_claim(struct held *h)
{
	u64 region = some_region(), mask = rnd() & (below(2) ? rnd() : ~0ULL);

	must(sluice_map_missing(&map, region) == model_missing(region));
	must(claimed(region) == model_claimed(region));
	mask &= model_missing(region) & ~model_claimed(region);
	if (h->mask || !mask)
		return;
	h->region = region;
	h->mask = mask;
	claim(&h->claim, region, mask);
	must(claimed(region) == model_claimed(region));
}

static void model_wait(struct held *h)
{
	u64 mask = rnd() & rnd() & rnd();

	if (h->wait_mask || !mask)
		return;
	h->wait_region = some_region();
	h->wait_mask = mask;
	h->wait_asked = mask & rnd();
	wait_for(&h->waiter, h->wait_region, mask);
	h->waiter.asked = h->wait_asked;
	must(asked(h->wait_region) == model_asked(h->wait_region));
}

static void model_release(struct held *h)
{
	u64 set = below(3) ? h->mask : h->mask & rnd(), b;
	struct sluice_waiter *w, *next;
	unsigned int expected = 0;
	LIST_HEAD(woken);
	size_t i;

	if (!h->mask)
		return;
	for (i = 0; i < MODEL_HOLDERS; i++)
		if (model.held[i].wait_region == h->region && (model.held[i].wait_mask & h->mask))
			expected++;
	sluice_map_release(&map, &h->claim, set, &woken);
	must(entries(&woken) == expected);
	list_for_each_entry_safe(w, next, &woken, node) {
		struct held *sleeper = container_of(w, struct held, waiter);

		must(sleeper->wait_region == h->region && (sleeper->wait_mask & h->mask));
		list_del_init(&w->node);
		sleeper->wait_mask = 0;
		sleeper->wait_asked = 0;
	}
	for (b = 0; b < REGION; b++)
		if (set >> b & 1)
			model.resident[h->region * REGION + b] = 1;
	if (set)
		model.dirty[h->region / SLUICE_PAGE_WORDS] = 1;
	h->mask = 0;
	must(claimed(h->region) == model_claimed(h->region));
	must(asked(h->region) == model_asked(h->region));
}

static void model_take(void)
{
	unsigned int max = 1 + below(3), i, n = 0;
	u64 pages[3], page, first, b;
	bool all;

	if (model.ntaken + max > ARRAY_SIZE(model.taken))
		return;
	if (!model.round)
		model.from = 0;
	model.round = true;
	first = model.from;
	n = sluice_map_take_dirty(&map, &model.from, pages, max);
	all = n < max;
	page = first;
	for (i = 0; i < n; i++) {
		u64 words[SLUICE_PAGE_WORDS];

		/* The next dirty one, none left out. */
		while (page < map.pages && !model.dirty[page])
			page++;
		must(page == pages[i]);
		model.dirty[page] = 0;
		model.syncing[page] = 1;
		sluice_map_copy_page(&map, page, words);
		model.copies[model.ntaken] = calloc(1, SLUICE_PAGE_BLOCKS);
		for (b = 0; b < SLUICE_PAGE_BLOCKS; b++)
			model.copies[model.ntaken][b] = words[b / 64] >> b % 64 & 1;
		model.taken[model.ntaken++] = page++;
	}
	must(!n || model.from == page || all);
	for (; all && page < map.pages; page++)
		must(!model.dirty[page]);
}

static void model_put(void)
{
	unsigned int i;
	u64 b;

	sluice_map_put_dirty(&map, model.taken, model.ntaken);
	for (i = 0; i < model.ntaken; i++) {
		u64 first = model.taken[i] * SLUICE_PAGE_BLOCKS;

		model.syncing[model.taken[i]] = 0;
		for (b = 0; b < SLUICE_PAGE_BLOCKS && first + b < map.blocks; b++) {
			/* The copy holds no bit that was never set, and loses none. */
			must(!model.copies[i][b] || model.resident[first + b]);
			must(!model.durable[first + b] || model.copies[i][b]);
			model.durable[first + b] = model.copies[i][b];
		}
		free(model.copies[i]);
	}
	model.ntaken = 0;
	model.round = false;
}

static void model_look(void)
{
	u64 block = below(2) ? below(map.blocks) : some_region() * REGION;
	u64 limit = below(50) ? 200 : map.blocks, b, n = 0, page;
	u64 blocks = 1 + below(min(map.blocks - block, limit));
	bool all = true, any = false, resident;

	for (b = block; b < block + blocks; b++)
		all &= model.resident[b];
	must(sluice_map_resident(&map, block, blocks) == all);
	while (n < blocks && model.resident[block + n] == model.resident[block])
		n++;
	must(sluice_map_run(&map, block, blocks, &resident) == n);
	must(resident == model.resident[block]);
	for (page = block / SLUICE_PAGE_BLOCKS;
	     page <= (block + blocks - 1) / SLUICE_PAGE_BLOCKS; page++)
		any |= model.dirty[page] || model.syncing[page];
	must(sluice_map_volatile(&map, block, blocks) == any);
}

static void model_compare(void)
{
	u64 b, page, ndirty = 0, nsyncing = 0, resident = 0, ones = 0;

	for (b = 0; b < map.blocks; b++) {
		must((map.words[b / 64] >> b % 64 & 1) == model.resident[b]);
		resident += model.resident[b];
	}
	for (b = map.blocks; b < map.regions * REGION; b++)
		must(map.words[b / 64] >> b % 64 & 1);
	for (b = 0; b < map.regions; b++)
		ones += hweight64(map.words[b]);
	for (page = 0; page < map.pages; page++) {
		ndirty += model.dirty[page];
		nsyncing += model.syncing[page];
		must(test_bit(page, map.dirty) == model.dirty[page]);
		must(test_bit(page, map.syncing) == model.syncing[page]);
		/* A page that counts as durable holds nothing else. */
		if (model.dirty[page] || model.syncing[page])
			continue;
		for (b = page * SLUICE_PAGE_BLOCKS;
		     b < (page + 1) * SLUICE_PAGE_BLOCKS && b < map.blocks; b++)
			must(model.durable[b] == model.resident[b]);
	}
	must(map.ndirty == ndirty);
	must(map.nsyncing == nsyncing);
	must(sluice_map_any_volatile(&map) == (ndirty || nsyncing));
	must(sluice_map_resident_blocks(&map) == resident);
	must(ones - (map.regions * REGION - map.blocks) == resident);
}

/* inv33: the counters equal the map, whatever happened before. */
static void model_run(u64 blocks, unsigned int steps)
{
	unsigned int step;
	size_t i;

	memset(&model, 0, sizeof(model));
	must(!sluice_map_init(&map, blocks));
	model.resident = calloc(1, map.blocks);
	model.durable = calloc(1, map.blocks);
	model.dirty = calloc(1, map.pages);
	model.syncing = calloc(1, map.pages);
	for (step = 0; step < steps; step++) {
		struct held *h = &model.held[below(MODEL_HOLDERS)];
		u64 op = below(100);

		if (op < 35)
			model_claim(h);
		else if (op < 50)
			model_wait(h);
		else if (op < 75)
			model_release(h);
		else if (op < 78)
			model_take();
		else if (op < 80)
			model_put();
		else
			model_look();
		if (step % 500 == 0)
			model_compare();
	}
	for (i = 0; i < MODEL_HOLDERS; i++)
		model_release(&model.held[i]);
	for (i = 0; i < SLUICE_MAP_BUCKETS; i++)
		must(list_empty(&map.buckets[i].claims));
	model_put();
	while (sluice_map_any_volatile(&map)) {
		model_take();
		model_put();
	}
	model_compare();
	free(model.resident);
	free(model.durable);
	free(model.dirty);
	free(model.syncing);
	sluice_map_destroy(&map);
}

START_TEST(inv33_random_model)
{
	static const u64 edges[] = {
		1, 63, 64, 65, 200, SLUICE_PAGE_BLOCKS - 1, SLUICE_PAGE_BLOCKS,
		SLUICE_PAGE_BLOCKS + 1, 2 * SLUICE_PAGE_BLOCKS + 33,
	};
	size_t i;

	seed();
	for (i = 0; i < ARRAY_SIZE(edges); i++)
		model_run(edges[i], 20000);
	for (i = 0; i < 20; i++)
		model_run(1 + below(10 * REGION), 10000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("map-race");
	TCase *tcase = tcase_create("map-race");
	SRunner *runner;
	int failed;

	/* 60 s is arbitrary: a loaded emulator may need many times a core's seconds. */
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, small_maps);
	tcase_add_test(tcase, large_maps);
	tcase_add_test(tcase, inv33_random_model);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
