/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What map.c, media.c and validate.c need of the kernel, for their user-space
 * build: unit, model, fuzz and crash tests run the very code of the module.
 * Only what these files use is here.
 */
#ifndef SLUICE_USER_H
#define SLUICE_USER_H

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define __must_check __attribute__((warn_unused_result))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define min(a, b) ((a) < (b) ? (a) : (b))
#define min_t(t, a, b) ((t)(a) < (t)(b) ? (t)(a) : (t)(b))
#define max_t(t, a, b) ((t)(a) > (t)(b) ? (t)(a) : (t)(b))
#define DIV_ROUND_UP_ULL(n, d) (((u64)(n) + (d) - 1) / (d))
#define round_up(x, y) ((((x) - 1) | ((__typeof__(x))((y) - 1))) + 1)
#define round_down(x, y) ((x) & ~((__typeof__(x))((y) - 1)))
#define GENMASK_ULL(h, l) ((~0ULL >> (63 - (h))) & (~0ULL << (l)))
#define BIT_ULL(n) (1ULL << (n))
#define hweight64(x) ((unsigned int)__builtin_popcountll(x))
#define __ffs64(x) ((unsigned long)__builtin_ctzll(x))
#define container_of(p, t, m) ((t *)((char *)(p)-offsetof(t, m)))
#define WARN_ON_ONCE(c) ({ bool __c = (c); assert(!__c); __c; })
#define lockdep_assert_held(l) ((void)(l))

/* Nobody looks for races there. */
#define data_race(x) (x)
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
/* barriers: the compiler's own, which sanitizers understand */
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
/* as above */
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)

typedef pthread_mutex_t spinlock_t;
#define spin_lock_init(l) pthread_mutex_init(l, NULL)
#define spin_lock(l) pthread_mutex_lock(l)
#define spin_unlock(l) pthread_mutex_unlock(l)
#define spin_lock_irqsave(l, f) do { (f) = 0; pthread_mutex_lock(l); } while (0)
#define spin_unlock_irqrestore(l, f) do { (void)(f); pthread_mutex_unlock(l); } while (0)

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD(name) struct list_head name = { &(name), &(name) }

static inline void INIT_LIST_HEAD(struct list_head *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list_head *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list_head *n, struct list_head *h)
{
	n->prev = h->prev;
	n->next = h;
	h->prev->next = n;
	h->prev = n;
}

static inline void list_del_init(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	INIT_LIST_HEAD(n);
}

static inline void list_move_tail(struct list_head *n, struct list_head *h)
{
	list_del_init(n);
	list_add_tail(n, h);
}

#define list_entry(p, t, m) container_of(p, t, m)
#define list_first_entry(h, t, m) list_entry((h)->next, t, m)
#define list_for_each_entry(p, h, m) \
	for (p = list_entry((h)->next, __typeof__(*p), m); &p->m != (h); \
	     p = list_entry(p->m.next, __typeof__(*p), m))
#define list_for_each_entry_safe(p, n, h, m) \
	for (p = list_entry((h)->next, __typeof__(*p), m), \
	     n = list_entry(p->m.next, __typeof__(*p), m); &p->m != (h); \
	     p = n, n = list_entry(n->m.next, __typeof__(*n), m))

static inline bool test_bit(u64 n, const unsigned long *w)
{
	return w[n / 64] >> (n % 64) & 1;
}

static inline void __set_bit(u64 n, unsigned long *w)
{
	w[n / 64] |= 1UL << (n % 64);
}

static inline void __clear_bit(u64 n, unsigned long *w)
{
	w[n / 64] &= ~(1UL << (n % 64));
}

static inline unsigned long find_next_bit(const unsigned long *w, unsigned long size,
					  unsigned long from)
{
	for (; from < size; from++)
		if (test_bit(from, w))
			return from;
	return size;
}

#define BITS_TO_LONGS(n) (((n) + 63) / 64)

/* CRC-32C (Castagnoli), as the kernel's crc32c(): no pre- or post-inversion. */
static inline u32 crc32c(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static inline void *vmalloc_user(size_t n)
{
	return calloc(1, n);
}

static inline void *kvzalloc(size_t n, int gfp)
{
	(void)gfp;
	return calloc(1, n);
}

#define GFP_KERNEL 0
#define vfree(p) free(p)
#define kvfree(p) free(p)
#define PAGE_ALIGN(n) (((n) + 4095) & ~4095ULL)

#endif /* SLUICE_USER_H */
