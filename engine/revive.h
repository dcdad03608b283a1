/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing back a mapping whose unmap still waits for its ticket. All calls by
 * the view's lane.
 */
#ifndef SLUICE_ENGINE_REVIVE_H
#define SLUICE_ENGINE_REVIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/domain.h>
#include <sluice/map.h>
#include "pagetable/pt.h"

/* One unmap that may come back. When it did, it says what is mapped now. */
struct revive_slot {
	uint64_t va;
	uint64_t seq; /* its ticket; 0: none */
	/* Of one page whose table was remembered: where its leaf was, and what.
	 * Of others: two words that are never 0, and 0. */
	au64 *leaf;
	uint64_t word;
	uint64_t iova; /* of such a page */
	uint64_t prot;
	uint64_t room[2]; /* a shift finds it */
};

#define REVIVE_LG2 10
#define REVIVE_SLOTS (1u << REVIVE_LG2)

struct revive {
	/* Tickets up to it are looked at the long way: the backend may have
	 * them, or the tables were forgotten since. */
	uint64_t from;
	/* The bit by which the next word begins another mapping of a kernel
	 * backend, or 0. */
	uint64_t head;
	bool near; /* not on all domains */
	/* The slots of pages, by IOVA: where a page was seen last. None that
	 * leads to tables that were forgotten. */
	uint16_t at_iova[REVIVE_SLOTS];
	/* By va; when its four slots are taken, a later unmap takes the place
	 * of an older one. Behind them one that is for nobody. */
	struct revive_slot slot[REVIVE_SLOTS + 1];
};

#define REVIVE_WAYS 4u

/* This memory is in the slots of this number, exclusive or 0 to 3. Any ten bits
 * in a row of the number of a page tell as many buffers apart, whatever power
 * of two their distance is. */
static inline uint64_t revive_at(uint64_t va)
{
	uint64_t page = va >> SLUICE_PAGE_LG2;

	return (page ^ page >> REVIVE_LG2) % REVIVE_SLOTS;
}

/* The unmap of this memory whose ticket has not passed, or NULL, which is the
 * answer for nearly every map. */
static inline struct revive_slot *revive_find(struct revive *r, uint64_t va,
                                              uint32_t prot, uint64_t passed)
{
	uint64_t at = revive_at(va);

	for (unsigned way = 0; way < REVIVE_WAYS; way++) {
		struct revive_slot *s = &r->slot[at ^ way];

		if (s->va == va && s->prot == prot && s->seq > passed)
			return s;
	}
	return NULL;
}

/* Where its next unmap is noted: a slot that no other needs, or the first. */
struct revive_slot *revive_room(struct revive *r, uint64_t va, uint64_t passed);

/* The flags of a configuration: 0 or -EINVAL. */
int revive_check(const struct sluice_domain_cfg *cfg);
/* NULL when views of this domain revive nothing. near: the view's. -ENOMEM. */
int revive_create(const struct sluice_domain *domain,
                  const struct pt_near *near, struct revive **ret_revive);

/* Tables were forgotten. tail: of the view. */
void revive_forget(struct revive *r, uint64_t tail);

/* unmap_leaves() that notes what was there for the unmap that is retired
 * next, if it was one mapping alone. */
int64_t revive_unmap(struct sluice_view *view, uint64_t iova, uint64_t last);
/* False: nothing can come back, map as ever. */
bool revive_map(struct sluice_view *view, const struct sluice_map_req *req,
                sluice_iova_t *ret_iova);

#endif
