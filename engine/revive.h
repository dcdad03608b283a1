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

/* One unmap that may come back. */
struct revive_slot {
	uint64_t key; /* va | prot; 0: none */
	uint64_t pend;
};

/* By va, one each: a later unmap takes the place of an older one. */
#define REVIVE_LG2 10
struct revive {
	struct revive_slot slot[1 << REVIVE_LG2];
};

/* The multiplier is 2^64 over the golden ratio: buffers at any stride spread
 * (Knuth, TAOCP vol. 3, 6.4). */
static inline struct revive_slot *revive_slot(struct revive *r, uint64_t va)
{
	return &r->slot[va * UINT64_C(0x9e3779b97f4a7c15) >> (64 - REVIVE_LG2)];
}

/* The unmap of this memory whose number is at least passed, or NULL, which is
 * the answer for nearly every map. */
static inline struct revive_slot *revive_find(struct revive *r, uint64_t va,
                                              uint32_t prot, uint64_t passed)
{
	struct revive_slot *s = revive_slot(r, va);

	return s->key == (va | prot) && s->pend >= passed ? s : NULL;
}

/* The flags of a configuration: 0 or -EINVAL. */
int revive_check(const struct sluice_domain_cfg *cfg);
/* NULL when views of this domain revive nothing. -ENOMEM. */
int revive_create(const struct sluice_domain *domain,
                  struct revive **ret_revive);

/* unmap_leaves() that notes what was there for the unmap that is retired
 * next, if it was one mapping alone. */
int64_t revive_unmap(struct sluice_view *view, uint64_t iova, uint64_t last);
/* False: nothing can come back, map as ever. */
bool revive_map(struct sluice_view *view, const struct sluice_map_req *req,
                sluice_iova_t *ret_iova);

#endif
