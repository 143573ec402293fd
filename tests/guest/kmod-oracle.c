// SPDX-License-Identifier: GPL-2.0-or-later
#include <pthread.h>
#include <string.h>

#include "kmod-oracle.h"
#include "kmod-test.h"

/* More writes at once, or failed ones in a row, than a test makes to a sector. */
#define CANDIDATES 48

struct candidate {
	uint64_t start;			/* also its number */
	uint64_t end;			/* UINT64_MAX: under way */
	uint32_t version;
	bool sure;			/* replaces what ended before it began */
};

struct sector {
	unsigned int n;
	struct candidate list[CANDIDATES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sector *sectors;
static uint64_t now;
static uint64_t reading[ORACLE_HOSTS];	/* since when; UINT64_MAX: not */

void oracle_init(uint64_t n)
{
	free(sectors);
	sectors = calloc(n, sizeof(*sectors));
	CHECK(sectors);
	now = 1;
	for (uint64_t i = 0; i < n; i++) {
		sectors[i].n = 1;
		sectors[i].list[0].sure = true;
	}
	for (int i = 0; i < ORACLE_HOSTS; i++)
		reading[i] = UINT64_MAX;
}

/* Is c replaced for whoever reads since `since`? */
static bool replaced(const struct sector *s, const struct candidate *c, uint64_t since)
{
	for (unsigned int i = 0; i < s->n; i++)
		if (s->list[i].sure && s->list[i].start > c->end && s->list[i].end < since)
			return true;
	return false;
}

static void prune(struct sector *s)
{
	uint64_t since = now + 1;
	unsigned int kept = 0;
	struct sector old = *s;

	for (int i = 0; i < ORACLE_HOSTS; i++)
		if (reading[i] < since)
			since = reading[i];
	for (unsigned int i = 0; i < old.n; i++)
		if (!replaced(&old, &old.list[i], since))
			s->list[kept++] = old.list[i];
	s->n = kept;
}

uint64_t oracle_begin(uint64_t sector, uint64_t n, uint32_t version, bool maybe)
{
	uint64_t start;

	pthread_mutex_lock(&lock);
	start = ++now;
	for (uint64_t i = sector; i < sector + n; i++) {
		struct sector *s = &sectors[i];

		prune(s);
		CHECK(s->n < CANDIDATES);
		s->list[s->n++] = (struct candidate){
			.start = start, .end = UINT64_MAX, .version = version, .sure = !maybe,
		};
	}
	pthread_mutex_unlock(&lock);
	return start;
}

void oracle_end(uint64_t write, uint64_t sector, uint64_t n, bool ok)
{
	uint64_t end;

	pthread_mutex_lock(&lock);
	end = ++now;
	for (uint64_t i = sector; i < sector + n; i++)
		for (unsigned int k = 0; k < sectors[i].n; k++) {
			struct candidate *c = &sectors[i].list[k];

			if (c->start != write)
				continue;
			c->end = end;
			c->sure &= ok;
		}
	pthread_mutex_unlock(&lock);
}

void oracle_read(unsigned int host)
{
	pthread_mutex_lock(&lock);
	reading[host] = ++now;
	pthread_mutex_unlock(&lock);
}

static bool sector_is(const uint8_t *buf, uint64_t sector, uint32_t version)
{
	if (version == ORACLE_ZERO)
		return all_is(buf, 512, 0);
	return host_is(buf, sector * 512, 512, version);
}

static bool legal(uint64_t sector, const uint8_t *buf, uint64_t since)
{
	const struct sector *s = &sectors[sector];

	for (unsigned int i = 0; i < s->n; i++)
		if (!replaced(s, &s->list[i], since) && sector_is(buf, sector, s->list[i].version))
			return true;
	return false;
}

bool oracle_is(unsigned int host, uint64_t sector, uint64_t n, const void *buf)
{
	const uint8_t *at = buf;
	bool good = true;

	pthread_mutex_lock(&lock);
	for (uint64_t i = 0; i < n && good; i++, at += 512) {
		const struct sector *s = &sectors[sector + i];

		good = legal(sector + i, at, reading[host]);
		if (good)
			continue;
		fprintf(stderr, "sector %llu (block %llu) holds %s, read since %llu; may be:",
			(unsigned long long)(sector + i), (unsigned long long)(sector + i) / 8,
			image_is(at, (sector + i) * 512, 512) ? "the image" :
			all_is(at, 512, 0) ? "zeroes" : "something else",
			(unsigned long long)reading[host]);
		for (unsigned int k = 0; k < s->n; k++)
			fprintf(stderr, " %u[%llu-%llu]%s", s->list[k].version,
				(unsigned long long)s->list[k].start,
				(unsigned long long)s->list[k].end,
				s->list[k].sure ? "" : "?");
		fprintf(stderr, "\n");
	}
	reading[host] = UINT64_MAX;
	pthread_mutex_unlock(&lock);
	return good;
}

void oracle_forget(unsigned int host)
{
	pthread_mutex_lock(&lock);
	reading[host] = UINT64_MAX;
	pthread_mutex_unlock(&lock);
}
