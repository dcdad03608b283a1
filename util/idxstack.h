/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lock-free stack of small numbers, any threads. The links lie in an array
 * beside what the numbers name, so free objects are never touched. Nobody
 * waits: a thread that is preempted in the middle delays no other.
 */
#ifndef SLUICE_UTIL_IDXSTACK_H
#define SLUICE_UTIL_IDXSTACK_H

#include "util/atomics.h"

#define IDXSTACK_NONE UINT32_MAX

/* head packs {tag, top}; the tag makes a pop that slept through a pop and a
 * push of the same number fail. */
struct idxstack {
	au64 head;
	au32 *next; /* caller's array, one for each number */
};

static inline uint64_t idxstack_pack(uint64_t old, uint32_t idx)
{
	return ((old >> 32) + 1) << 32 | idx;
}

static inline void idxstack_init(struct idxstack *s, au32 *next)
{
	s->next = next;
	st_rlx(&s->head, IDXSTACK_NONE);
}

/* IDXSTACK_NONE when empty. */
static inline uint32_t idxstack_pop(struct idxstack *s)
{
	/* Pairs with the release in idxstack_push: the link is visible. */
	uint64_t head = ld_acq(&s->head);

	for (;;) {
		uint32_t idx = (uint32_t)head;

		if (idx == IDXSTACK_NONE)
			return IDXSTACK_NONE;
		if (cas_acqrel(&s->head, &head,
		               idxstack_pack(head, ld_rlx(&s->next[idx]))))
			return idx;
	}
}

/* Up to n at once, for one exchange; idx[0] was on top. Returns how many. Links
 * that change on the way, or belong to a number that left, are never used: the
 * tag has moved then, and the exchange fails. */
static inline uint32_t idxstack_pop_many(struct idxstack *s, uint32_t *idx,
                                         uint32_t n)
{
	/* Pairs with the release in idxstack_push: the links are visible. */
	uint64_t head = ld_acq(&s->head);
	uint32_t k, at;

	do {
		k = 0;
		for (at = (uint32_t)head; k < n && at != IDXSTACK_NONE; k++) {
			idx[k] = at;
			at = ld_rlx(&s->next[at]);
		}
		if (k == 0)
			return 0;
	} while (!cas_acqrel(&s->head, &head, idxstack_pack(head, at)));
	return k;
}

/* All n at once, idx[n - 1] on top; n > 0. */
static inline void idxstack_push(struct idxstack *s, const uint32_t *idx,
                                 uint32_t n)
{
	uint64_t head = ld_rlx(&s->head);

	for (uint32_t i = 1; i < n; i++)
		st_rlx(&s->next[idx[i]], idx[i - 1]);
	do {
		st_rlx(&s->next[idx[0]], (uint32_t)head);
		/* Pairs with the acquire in idxstack_pop. */
	} while (!cas_rel(&s->head, &head, idxstack_pack(head, idx[n - 1])));
}

#endif
