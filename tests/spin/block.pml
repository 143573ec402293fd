/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One block: fills, whole and partial writers, a discard, rounds of durability, daemon
 * restarts and a crash at any moment. What kmod/fill.c, park.c and store.c do with the
 * lock of a bucket held is atomic here; everything else is not.
 *
 * A block has two halves, so that a write can cover part of it. A value is STALE, what a
 * previous tenant left; IMAGE; or the version of a writer or of the discard. The local
 * disk has a cache, which may write back at any time: what a crash leaves is data_d and
 * bit_d.
 *
 * The variants, one macro each, are bugs that must be found: see run.sh. All actors at
 * once are too many states; which are there is chosen by macros, too.
 */
#define STALE	0
#define IMAGE	1
#define FIRST	3		/* version of the first writer */

byte data_c[2], data_d[2];	/* local disk: cached, durable */
bool bit_c, bit_d;		/* the map: in memory, durable */
bool map_c;			/* the bit in the disk's cache, once written */
bool unflushed;			/* the bit was set on data that only a flush makes durable */
bool claimed;
bool asked;			/* a partial writer waits for the daemon */

/*
 * What the host was told, for each half, as sets of versions: those that have ended,
 * and those that are superseded: they had ended when one that has ended, too, was
 * submitted. Of two that overlapped in time either may be the last.
 */
byte ended[2], superseded[2];
byte flushed[2], flushed_superseded[2];	/* the same, when the last flush began */
byte before[14];			/* of version v and half h: v * 2 + h */

#define BEFORE(v, h)	before[(v) * 2 + (h)]

/* What the host reads of half h, and what it will read after a crash. */
#define SEEN(h)		(bit_c -> data_c[h] : IMAGE)
#define LEFT(h)		(bit_d -> data_d[h] : IMAGE)

/* Halves first to last. */
inline submit(v, first, last)
{
	atomic {
		if
		:: first == 0 -> BEFORE(v, 0) = ended[0]
		:: else
		fi;
		if
		:: last == 1 -> BEFORE(v, 1) = ended[1]
		:: else
		fi
	}
}

inline tell(v, h)
{
	ended[h] = ended[h] | (1 << v);
	superseded[h] = superseded[h] | BEFORE(v, h)
}

inline told(v, first, last)
{
	atomic {
		if
		:: first == 0 -> tell(v, 0)
		:: else
		fi;
		if
		:: last == 1 -> tell(v, 1)
		:: else
		fi
	}
}

/* Sets the bit and ends the claim, as sluice_map_release(). */
inline release(durable)
{
	atomic {
		bit_c = true;
		unflushed = unflushed || !durable;
		claimed = false
	}
}

proctype fill()
{
	atomic {
#ifdef FILL_UNCHECKED
		if
		:: bit_c -> goto over
		:: else -> skip
		fi
#else
		if
		:: bit_c || claimed -> goto over
		:: else -> claimed = true
		fi
#endif
	};
#ifdef BIT_AT_SUBMIT
	bit_c = true;
#endif
	data_c[0] = IMAGE;
	data_c[1] = IMAGE;
	release(false);
over:
	skip
}

/* The daemon: asked or not, it fills; restarted, it does so again. */
active proctype daemon()
{
	run fill();
	if
	:: run fill()
	:: skip
	fi;
	/* Nobody waits for ever: a writer that waits is asked for by every daemon. */
	do
	:: asked && !bit_c && !claimed -> run fill(); asked = false
	:: bit_c -> break
	:: timeout -> break
	od
}

inline write_whole(v)
{
	submit(v, 0, 1);
	atomic {
		if
		:: bit_c -> mine = false
		:: !bit_c && !claimed -> claimed = true; mine = true
		fi
	};
	data_c[0] = v;
	data_c[1] = v;
	if
	:: mine -> release(false)
	/* With FUA. */
	:: mine ->
#ifndef FIRST_NOT_DURABLE
		atomic { data_d[0] = v; data_d[1] = v };
#endif
		release(true)
	:: else
	fi;
	told(v, 0, 1)
}

inline write_half(v)
{
	submit(v, 0, 0);
#ifdef PARTIAL_AS_WHOLE
	atomic {
		if
		:: bit_c -> mine = false
		:: !bit_c && !claimed -> claimed = true; mine = true
		fi
	};
#else
	mine = false;
	asked = true;
	bit_c;
#endif
	data_c[0] = v;
	if
	:: mine -> release(false)
	:: else
	fi;
	told(v, 0, 0)
}

#ifdef WRITER
active proctype writer()
{
	bool mine;

	write_whole(3)
}
#endif

#ifdef PARTIAL
active proctype partial_writer()
{
	bool mine;

	write_half(4)
}
#endif

#ifdef LATER
/* Then a later write, by a host that has seen the first end. */
active proctype later_writer()
{
	bool mine;

	ended[0] != 0;
	write_whole(5)
}
#endif

#ifdef DISCARD
/* Of a missing block it writes zeroes, under a claim. */
active proctype discard()
{
	bool mine;

	submit(6, 0, 1);
#ifdef DISCARD_UNCLAIMED
	mine = !bit_c;
#else
	atomic {
		if
		:: bit_c -> mine = false
		:: !bit_c && !claimed -> claimed = true; mine = true
		fi
	};
#endif
	data_c[0] = 6;
	data_c[1] = 6;
	if
	:: mine -> release(false)
	:: else
	fi;
	told(6, 0, 1)
}
#endif

#define WRITE_BACK	data_d[0] = data_c[0]; data_d[1] = data_c[1]; bit_d = map_c
#define WRITTEN		atomic { map_c = copy || map_c; bit_d = map_c }
#define PROMISE		flushed[0] = at_start[0]; flushed[1] = at_start[1]; \
			flushed_superseded[0] = at_start[2]; flushed_superseded[1] = at_start[3]

/* A host flush and its round, twice. */
active proctype flusher()
{
	byte at_start[4];
	bool copy, beside;
	byte n = 0;

	do
	:: n < 2 ->
		n++;
		atomic {
			at_start[0] = ended[0];
			at_start[1] = ended[1];
			at_start[2] = superseded[0];
			at_start[3] = superseded[1]
		};
#ifdef FLUSH_EARLY
		atomic { PROMISE };
#endif
#ifdef ASKED_EARLY
		atomic { beside = !unflushed; unflushed = false };
#endif
#ifndef COPY_LATE
		copy = bit_c;
#endif
#ifdef UNFLUSHED_IGNORED
		beside = true;
#endif
#if !defined(ASKED_EARLY) && !defined(UNFLUSHED_IGNORED)
		atomic { beside = !unflushed; unflushed = false };
#endif
		if
		:: beside ->
			/* The page with FUA and the flush: either may be first. */
			if
			:: WRITTEN; atomic { WRITE_BACK }
			:: atomic { WRITE_BACK }; WRITTEN
			fi
		:: else ->
#ifndef NO_FLUSH
			atomic { WRITE_BACK };
#endif
#ifdef COPY_LATE
			copy = bit_c;
#endif
			map_c = copy || map_c;
#ifndef MAP_NOT_FLUSHED
			atomic { WRITE_BACK }
#else
			skip
#endif
		fi;
#ifndef FLUSH_EARLY
		atomic { PROMISE }
#endif
	:: else -> break
	od
}

/* The disk's cache writes back what it likes: each alone. */
active proctype write_back()
{
	byte n = 0;

	do
	:: n < 2 -> n++;
		if
		:: data_d[0] = data_c[0]
		:: data_d[1] = data_c[1]
		:: bit_d = map_c
		fi
	:: break
	od
}

/* A value that cannot be there any more, given what has ended. */
#define GONE(v, ends, sup)	(v < FIRST -> ends != 0 : ((sup >> v) & 1) != 0)

/* Looked at once, at any moment. */
active proctype observer()
{
	atomic {
		/* 3, 7: what the host can read is not stale. */
		assert(SEEN(0) != STALE && SEEN(1) != STALE);
		/* 8, 12: nor is what a crash leaves. */
		assert(LEFT(0) != STALE && LEFT(1) != STALE);
		/* 1: what was written is not undone, by a fill least of all. */
		assert(!GONE(SEEN(0), ended[0], superseded[0]));
		assert(!GONE(SEEN(1), ended[1], superseded[1]));
		/* 9: nor, once flushed, by a crash. */
		assert(!GONE(LEFT(0), flushed[0], flushed_superseded[0]));
		assert(!GONE(LEFT(1), flushed[1], flushed_superseded[1]))
	}
}
