// SPDX-License-Identifier: GPL-2.0-or-later
#include "profile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

#define MAGIC		"sluice-profile"
#define VERSION		1
#define MAX_BLOCKS	((UINT64_C(1) << 63) / SLUICE_BLOCK_SIZE)

/* Two numbers of 19 digits, a blank and a newline. */
#define LINE_LEN	40

void sluice_profile_free(struct sluice_profile *p)
{
	free(p->extents);
	free(p->taken);
	*p = (struct sluice_profile){ 0 };
}

void sluice_profile_set_image(struct sluice_profile *p, const struct sluice_image *image)
{
	p->image = (struct sluice_image){
		.bytes = image->bytes, .digest_kind = image->digest_kind,
	};
	if (image->digest_kind == SLUICE_DIGEST_SAMPLE)
		memcpy(p->image.digest, image->digest, sizeof(p->image.digest));
	else
		p->image.digest_kind = SLUICE_DIGEST_NONE;
	snprintf(p->image.id, sizeof(p->image.id), "%s", image->id);
}

static uint64_t end_of(const struct sluice_extent *extent)
{
	return extent->block + extent->blocks;
}

/* Room for one more; what is full stays. */
static int grow(struct sluice_profile *p)
{
	size_t room = p->room ? p->room * 2 : 64;
	struct sluice_extent *array;

	if (p->count < p->room || p->count == SLUICE_PROFILE_EXTENTS)
		return 0;
	array = realloc(p->extents, room * sizeof(*array));
	if (!array)
		return -ENOMEM;
	p->extents = array;
	array = realloc(p->taken, room * sizeof(*array));
	if (!array)
		return -ENOMEM;
	p->taken = array;
	p->room = room;
	return 0;
}

/* The first of p->taken that ends behind @block. */
static size_t find(const struct sluice_profile *p, uint64_t block)
{
	size_t low = 0, high = p->taken_count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (end_of(&p->taken[middle]) > block)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Notes that [block, end), which is free, is taken; @at is find()'s answer for it. */
static void take(struct sluice_profile *p, size_t at, uint64_t block, uint64_t end)
{
	bool left = at && end_of(&p->taken[at - 1]) == block;
	bool right = at < p->taken_count && p->taken[at].block == end;

	if (left && right) {
		p->taken[at - 1].blocks = end_of(&p->taken[at]) - p->taken[at - 1].block;
		p->taken_count--;
		memmove(&p->taken[at], &p->taken[at + 1],
			(p->taken_count - at) * sizeof(*p->taken));
	} else if (left) {
		p->taken[at - 1].blocks = end - p->taken[at - 1].block;
	} else if (right) {
		p->taken[at].blocks = end_of(&p->taken[at]) - block;
		p->taken[at].block = block;
	} else {
		memmove(&p->taken[at + 1], &p->taken[at],
			(p->taken_count - at) * sizeof(*p->taken));
		p->taken[at] = (struct sluice_extent){ block, end - block };
		p->taken_count++;
	}
}

static int append(struct sluice_profile *p, size_t at, uint64_t block, uint64_t end)
{
	struct sluice_extent *last;
	int err = grow(p);

	if (err)
		return err;
	last = p->count ? &p->extents[p->count - 1] : NULL;
	if (last && end_of(last) == block)
		last->blocks += end - block;
	else if (p->count == SLUICE_PROFILE_EXTENTS)
		return -ENOSPC;
	else
		p->extents[p->count++] = (struct sluice_extent){ block, end - block };
	p->blocks += end - block;
	/* There are never more of these than of those in order. */
	take(p, at, block, end);
	return 0;
}

int sluice_profile_add(struct sluice_profile *p, uint64_t block, uint64_t blocks)
{
	uint64_t end = block + blocks, stop;
	size_t at;
	int err = 0;

	if (!blocks || blocks > MAX_BLOCKS || block > MAX_BLOCKS - blocks)
		return -ERANGE;
	while (!err && block < end) {
		at = find(p, block);
		if (at < p->taken_count && p->taken[at].block <= block) {
			block = end_of(&p->taken[at]);
			continue;
		}
		stop = at < p->taken_count && p->taken[at].block < end ? p->taken[at].block : end;
		err = append(p, at, block, stop);
		block = stop;
	}
	return err;
}

/* Parsing. */

struct word {
	const char *text;
	size_t len;
};

static bool refuse(char why[SLUICE_PROFILE_WHY_LEN], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool refuse(char why[SLUICE_PROFILE_WHY_LEN], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, SLUICE_PROFILE_WHY_LEN, format, args);
	va_end(args);
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of the line, which ends before a comment; false when there is none. */
static bool next_word(const char **at, const char *end, struct word *word)
{
	while (*at < end && is_blank(**at))
		(*at)++;
	word->text = *at;
	while (*at < end && !is_blank(**at) && **at != '#')
		(*at)++;
	word->len = *at - word->text;
	return word->len;
}

/* As a string; one that does not fit is no number either. */
static bool bytes_of(const struct word *word, uint64_t *bytes)
{
	char text[SLUICE_UNITS_LEN];

	if (word->len >= sizeof(text) || memchr(word->text, '\0', word->len))
		return false;
	memcpy(text, word->text, word->len);
	text[word->len] = '\0';
	return !sluice_parse_bytes(text, bytes);
}

static int hex_of(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? at - digits : -1;
}

static bool take_digest(struct sluice_image *image, const struct word *value)
{
	static const char kind[] = "sample:";
	const char *hex = value->text + sizeof(kind) - 1;
	size_t i;

	if (value->len != sizeof(kind) - 1 + 2 * SLUICE_DIGEST_LEN ||
	    memcmp(value->text, kind, sizeof(kind) - 1))
		return false;
	for (i = 0; i < SLUICE_DIGEST_LEN; i++) {
		int high = hex_of(hex[2 * i]), low = hex_of(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		image->digest[i] = high << 4 | low;
	}
	image->digest_kind = SLUICE_DIGEST_SAMPLE;
	return true;
}

static bool plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '%' && c != '#';
}

/* An id is what a source says: what would not stay one word is %XX. */
static bool take_id(struct sluice_image *image, const struct word *value)
{
	size_t i, n = 0;

	for (i = 0; i < value->len && n < SLUICE_ID_LEN - 1; n++) {
		char c = value->text[i++];

		if (c == '%' && value->len - i >= 2) {
			int high = hex_of(value->text[i]), low = hex_of(value->text[i + 1]);

			if (high < 0 || low < 0 || !(high | low))
				return false;
			c = high << 4 | low;
			i += 2;
		} else if (!plain(c)) {
			return false;
		}
		image->id[n] = c;
	}
	image->id[n] = '\0';
	return n && i == value->len;
}

static bool take_key(struct sluice_profile *p, const struct word *word, char *why)
{
	const char *equals = memchr(word->text, '=', word->len);
	struct word value;
	bool valid, once;
	size_t key;

	if (!equals)
		return refuse(why, "The header has a word without \"=\".");
	key = equals - word->text;
	value = (struct word){ equals + 1, word->len - key - 1 };
	if (key == 5 && !memcmp(word->text, "bytes", key)) {
		once = !p->image.bytes;
		valid = bytes_of(&value, &p->image.bytes) && p->image.bytes;
	} else if (key == 6 && !memcmp(word->text, "digest", key)) {
		once = p->image.digest_kind == SLUICE_DIGEST_NONE;
		valid = take_digest(&p->image, &value);
	} else if (key == 2 && !memcmp(word->text, "id", key)) {
		once = !p->image.id[0];
		valid = take_id(&p->image, &value);
	} else {
		return refuse(why, "The header knows bytes=, digest= and id= only.");
	}
	if (!valid)
		return refuse(why, "The header's value of %.*s= is malformed.", (int)key,
			      word->text);
	return once || refuse(why, "The header has %.*s= twice.", (int)key, word->text);
}

static bool take_header(struct sluice_profile *p, const char *at, const char *end, char *why)
{
	struct word word;
	uint64_t version;

	if (!next_word(&at, end, &word) || word.len != strlen(MAGIC) ||
	    memcmp(word.text, MAGIC, word.len))
		return refuse(why, "It is no profile: the first line does not begin with \"" MAGIC
			      "\".");
	if (!next_word(&at, end, &word) || !bytes_of(&word, &version) || version != VERSION)
		return refuse(why, "The profile is of a version other than %d.", VERSION);
	while (next_word(&at, end, &word))
		if (!take_key(p, &word, why))
			return false;
	return true;
}

/* What is used in part is fetched as a whole. */
static int add_bytes(struct sluice_profile *p, uint64_t offset, uint64_t length)
{
	uint64_t first = offset / SLUICE_BLOCK_SIZE, end = offset + length;

	if (!length || end < offset || end > UINT64_C(1) << 63)
		return -ERANGE;
	end = end / SLUICE_BLOCK_SIZE + !!(end % SLUICE_BLOCK_SIZE);
	return sluice_profile_add(p, first, end - first);
}

static int take_line(struct sluice_profile *p, const char *at, const char *end, char *why)
{
	struct word offset_word, length_word, more;
	uint64_t offset, length;
	int err;

	if (!next_word(&at, end, &offset_word))
		return 0;
	if (!next_word(&at, end, &length_word) || next_word(&at, end, &more)) {
		refuse(why, "An extent is two numbers, OFFSET and LENGTH.");
		return -EINVAL;
	}
	if (!bytes_of(&offset_word, &offset) || !bytes_of(&length_word, &length)) {
		refuse(why, "The %s is no number of bytes.",
		       bytes_of(&offset_word, &offset) ? "length" : "offset");
		return -EINVAL;
	}
	err = add_bytes(p, offset, length);
	if (err == -ERANGE)
		refuse(why, "The extent is %s.", length ? "beyond any image" : "empty");
	else if (err == -ENOSPC)
		refuse(why, "There are more than %d extents.", SLUICE_PROFILE_EXTENTS);
	return err == -ENOMEM ? err : err ? -EINVAL : 0;
}

static int parse(struct sluice_profile *p, const char *text, size_t len, unsigned int *line,
		 char *why)
{
	const char *end = text + len, *stop;
	int err = 0;

	for (*line = 1; !err; (*line)++) {
		stop = memchr(text, '\n', end - text);
		if (!stop)
			stop = end;
		if (*line > 1)
			err = take_line(p, text, stop, why);
		else if (!take_header(p, text, stop, why))
			err = -EINVAL;
		if (err || stop == end)
			break;
		text = stop + 1;
	}
	return err;
}

int sluice_profile_parse(struct sluice_profile *p, const char *text, size_t len,
			 unsigned int *line, char why[SLUICE_PROFILE_WHY_LEN])
{
	int err = parse(p, text, len, line, why);

	if (err)
		sluice_profile_free(p);
	return err;
}

/* Printing. */

static size_t print_header(const struct sluice_profile *p, char *out, size_t size)
{
	const struct sluice_image *image = &p->image;
	size_t i, n;

	n = snprintf(out, size, MAGIC " %d", VERSION);
	if (image->bytes)
		n += snprintf(out + n, size - n, " bytes=%" PRIu64, image->bytes);
	if (image->digest_kind == SLUICE_DIGEST_SAMPLE) {
		n += snprintf(out + n, size - n, " digest=sample:");
		for (i = 0; i < SLUICE_DIGEST_LEN; i++)
			n += snprintf(out + n, size - n, "%02x", image->digest[i]);
	}
	if (image->id[0])
		n += snprintf(out + n, size - n, " id=");
	for (i = 0; image->id[i]; i++)
		n += snprintf(out + n, size - n, plain(image->id[i]) ? "%c" : "%%%02x",
			      (unsigned char)image->id[i]);
	return n + snprintf(out + n, size - n, "\n");
}

int sluice_profile_print(const struct sluice_profile *p, const char *comment, char **text,
			 size_t *len)
{
	/* 1 KiB is more than a header with an id of nothing but %XX. */
	size_t size = 1024 + (comment ? strlen(comment) + 4 : 0) + p->count * LINE_LEN, n, i;
	char *out = malloc(size);

	if (!out)
		return -ENOMEM;
	n = print_header(p, out, size);
	if (comment)
		n += snprintf(out + n, size - n, "# %s\n", comment);
	for (i = 0; i < p->count; i++)
		n += snprintf(out + n, size - n, "%" PRIu64 " %" PRIu64 "\n",
			      p->extents[i].block * SLUICE_BLOCK_SIZE,
			      p->extents[i].blocks * SLUICE_BLOCK_SIZE);
	*text = out;
	*len = n;
	return 0;
}

/* Several and others. */

int sluice_profile_merge(struct sluice_profile *into, const struct sluice_profile *from,
			 size_t count)
{
	struct {
		size_t next;
		uint64_t blocks;	/* before it */
	} *at;
	const struct sluice_extent *extent;
	size_t i, first;
	int err = 0;

	at = calloc(count ? count : 1, sizeof(*at));
	if (!at)
		return -ENOMEM;
	if (count)
		sluice_profile_set_image(into, &from->image);
	while (!err) {
		for (i = 0, first = count; i < count; i++)
			if (at[i].next < from[i].count &&
			    (first == count || at[i].blocks < at[first].blocks))
				first = i;
		if (first == count)
			break;
		extent = &from[first].extents[at[first].next++];
		at[first].blocks += extent->blocks;
		err = sluice_profile_add(into, extent->block, extent->blocks);
	}
	free(at);
	return err;
}

uint64_t sluice_profile_clip(struct sluice_profile *p, uint64_t blocks)
{
	uint64_t before = p->blocks;
	size_t i, n = 0;

	p->blocks = 0;
	p->taken_count = 0;
	for (i = 0; i < p->count; i++) {
		struct sluice_extent extent = p->extents[i];

		if (extent.block >= blocks)
			continue;
		if (extent.blocks > blocks - extent.block)
			extent.blocks = blocks - extent.block;
		p->extents[n++] = extent;
	}
	p->count = 0;
	/* In place: no extent becomes two, and add() writes behind what is read. */
	for (i = 0; i < n; i++)
		sluice_profile_add(p, p->extents[i].block, p->extents[i].blocks);
	return before - p->blocks;
}

bool sluice_profile_is_of(const struct sluice_profile *p, const struct sluice_image *image)
{
	if (p->image.bytes && p->image.bytes != image->bytes)
		return false;
	/* What an id says of a place, the digest says of what is there. */
	if (p->image.digest_kind == SLUICE_DIGEST_SAMPLE &&
	    image->digest_kind == SLUICE_DIGEST_SAMPLE)
		return !memcmp(p->image.digest, image->digest, sizeof(image->digest));
	return !p->image.id[0] || !image->id[0] || !strcmp(p->image.id, image->id);
}
