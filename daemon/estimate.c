// SPDX-License-Identifier: GPL-2.0-or-later
#include "estimate.h"

void sluiced_estimate_reset(struct sluiced_estimate *e)
{
	e->count = 0;
}

static const struct sluiced_look *look_at(const struct sluiced_estimate *e, unsigned int i)
{
	return &e->looks[(e->first + i) % SLUICED_LOOKS];
}

static void drop_first(struct sluiced_estimate *e)
{
	e->first = (e->first + 1) % SLUICED_LOOKS;
	e->count--;
}

void sluiced_estimate_look(struct sluiced_estimate *e, const struct sluiced_look *look)
{
	const struct sluiced_look *last = e->count ? look_at(e, e->count - 1) : look;

	/* Counters of another device, or a clock that was. */
	if (look->at < last->at || look->image < last->image || look->behind < last->behind)
		e->count = 0;
	if (e->count == SLUICED_LOOKS)
		drop_first(e);
	e->looks[(e->first + e->count++) % SLUICED_LOOKS] = *look;
	while (e->count > 2 && look->at - look_at(e, 0)->at > SLUICED_LOOKS_MS)
		drop_first(e);
}

/* Bytes a second between the first and the last look. */
static void rates(const struct sluiced_estimate *e, double *image, double *behind)
{
	const struct sluiced_look *first, *last;
	double elapsed;

	*image = 0;
	*behind = 0;
	if (e->count < 2)
		return;
	first = look_at(e, 0);
	last = look_at(e, e->count - 1);
	elapsed = last->at - first->at;
	if (elapsed <= 0)
		return;
	*image = (last->image - first->image) * 1000.0 / elapsed;
	*behind = (last->behind - first->behind) * 1000.0 / elapsed;
}

uint64_t sluiced_estimate_rate(const struct sluiced_estimate *e)
{
	double image, behind;

	rates(e, &image, &behind);
	return image + behind;
}

bool sluiced_estimate_end(const struct sluiced_estimate *e, uint64_t image, uint64_t behind,
			  uint64_t *seconds)
{
	double image_rate, behind_rate, one, other;

	rates(e, &image_rate, &behind_rate);
	if ((image && image_rate < 1) || (behind && behind_rate < 1))
		return false;
	one = image ? image / image_rate : 0;
	other = behind ? behind / behind_rate : 0;
	*seconds = (one > other ? one : other) + 0.5;
	return true;
}
