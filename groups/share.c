/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may share: a pure function. Linux's type1 container is the measure
 * (drivers/vfio/vfio_iommu_type1.c): it keeps one page table for all groups
 * whose IOMMUs have the same driver and the same answer about snooping, more
 * of them in one container otherwise, and refuses a group that leaves no common
 * page size or aperture.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sluice/share.h>

#include "util/util.h"

struct placing {
	const struct sluice_share_group *g;
	uint32_t nr;
	struct sluice_share_place *place;
};

/* Is group k in the domain, and placed before group i? Groups are placed in
 * order of their numbers. */
static bool is_with(const struct placing *p, uint32_t domain, uint32_t k,
                    uint32_t i)
{
	return p->g[k].id < p->g[i].id && p->place[k].domain == domain;
}

static bool is_power(const struct sluice_share_caps *c)
{
	return !strcmp(c->family, "power");
}

static bool same_table(const struct sluice_share_caps *a,
                       const struct sluice_share_caps *b)
{
	return !strcmp(a->family, b->family) && a->coherent == b->coherent &&
	       a->snoop == b->snoop;
}

/* The end of the highest region of the group that touches the page, or 0. */
static uint64_t taken(const struct sluice_share_group *g, uint64_t page)
{
	uint64_t past = 0;

	for (uint32_t k = 0; k < g->nr_regions; k++) {
		const struct sluice_group_region *r = &g->regions[k];

		if (r->first <= page + (SLUICE_PAGE_SIZE - 1) &&
		    r->last >= page)
			past = max_u64(past, r->last);
	}
	return past;
}

/* Is there a page below 2^bits that no region of the domain's groups, or of
 * group i, takes? What firmware needs mapped to itself is not free either. */
static bool has_room(const struct placing *p, uint32_t domain, uint32_t i,
                     uint32_t bits)
{
	uint64_t last = bits && bits < 64 ? bit64(bits) - 1 : UINT64_MAX;
	uint64_t at = SLUICE_PAGE_SIZE, past;

	/* The first page is not given out. */
	if (last <= at)
		return false;
	do {
		past = taken(&p->g[i], at);
		for (uint32_t k = 0; k < p->nr; k++)
			if (is_with(p, domain, k, i))
				past = max_u64(past, taken(&p->g[k], at));
		if (past >= last - SLUICE_PAGE_SIZE)
			return false;
		if (past)
			at = align_up(past + 1, SLUICE_PAGE_LG2);
	} while (past);
	return at <= last;
}

/* NULL: group i may join. */
static const char *why_not(const struct placing *p, uint32_t domain, uint32_t i)
{
	const struct sluice_share_caps *c = &p->g[i].caps;
	uint64_t sizes = c->page_sizes ? c->page_sizes : UINT64_MAX;
	uint32_t bits = c->iova_bits ? c->iova_bits : 64;

	for (uint32_t k = 0; k < p->nr; k++) {
		const struct sluice_share_caps *o = &p->g[k].caps;

		if (!is_with(p, domain, k, i))
			continue;
		if (is_power(o) != is_power(c))
			return "POWER's groups need a container of another "
			       "kind";
		if (o->page_sizes)
			sizes &= o->page_sizes;
		if (o->iova_bits && o->iova_bits < bits)
			bits = o->iova_bits;
	}
	if (!sizes)
		return "its IOMMU and theirs have no page size in common";
	if (!has_room(p, domain, i, bits))
		return "its reserved regions and theirs leave no address free";
	return NULL;
}

/* The next group by its number, above the last one. */
static uint32_t next_by_id(const struct sluice_share_group *g, uint32_t nr,
                           int64_t above)
{
	uint32_t best = nr;

	for (uint32_t i = 0; i < nr; i++)
		if (g[i].id > above && (best == nr || g[i].id < g[best].id))
			best = i;
	return best;
}

static const char *tables_differ(const struct sluice_share_caps *a,
                                 const struct sluice_share_caps *b)
{
	if (strcmp(a->family, b->family) != 0)
		return "its IOMMU walks tables of another format";
	if (a->coherent != b->coherent)
		return "its IOMMU and theirs do not agree on coherent table "
		       "walks";
	return "its IOMMU and theirs do not agree on enforced snooping";
}

/* The table of a group like it, or a further one. */
static void find_table(const struct placing *p, uint32_t i)
{
	struct sluice_share_place *at = &p->place[i];
	uint32_t first = p->nr, next = 0;

	for (uint32_t k = 0; k < p->nr; k++) {
		if (!is_with(p, at->domain, k, i))
			continue;
		if (same_table(&p->g[k].caps, &p->g[i].caps)) {
			next = p->place[k].table;
			break;
		}
		next = (uint32_t)max_u64(next, p->place[k].table + 1);
	}
	at->table = next;
	for (uint32_t k = 0; k < p->nr; k++)
		if (is_with(p, at->domain, k, i) &&
		    (first == p->nr || p->g[k].id < p->g[first].id))
			first = k;
	if (next && !at->why[0])
		snprintf(at->why, sizeof(at->why), "%s",
		         tables_differ(&p->g[first].caps, &p->g[i].caps));
}

/* The first domain that takes group i. */
static void find_domain(const struct placing *p, uint32_t i, uint32_t *nr)
{
	struct sluice_share_place *at = &p->place[i];
	const char *why = NULL;
	uint32_t d;

	for (d = 0; d < *nr; d++) {
		why = why_not(p, d, i);
		if (!why)
			break;
		/* The reason that counts is the one against the first. */
		if (!at->why[0])
			snprintf(at->why, sizeof(at->why), "%s", why);
	}
	at->domain = d;
	*nr = (uint32_t)max_u64(*nr, d + 1);
}

int sluice_share_partition(const struct sluice_share_group *groups, uint32_t nr,
                           struct sluice_share_place *ret_place)
{
	struct placing p = {groups, nr, ret_place};
	uint32_t nr_domains = 0, placed = 0;
	int64_t last = INT64_MIN;

	if (!groups || !ret_place || nr == 0)
		return msg_lit(-EINVAL, "no groups, or ret_place is NULL");
	memset(ret_place, 0, nr * sizeof(*ret_place));
	for (uint32_t i; (i = next_by_id(groups, nr, last)) < nr; placed++) {
		last = groups[i].id;
		find_domain(&p, i, &nr_domains);
		find_table(&p, i);
	}
	if (placed != nr)
		return msg_lit(-EINVAL, "two groups have one number");
	return (int)nr_domains;
}
