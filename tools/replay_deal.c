/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds the chains of a plan (ranges of one domain that overlap, and what
 * overlaps those), balances them over the lanes and writes each lane's steps.
 */
#include "tools/replay_deal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A leaf entry is 8 bytes for a page of 4 KiB, and processors fetch 64-byte
 * lines in pairs: 16 entries. They fetch further ahead, too; hence stretches.
 */
#define NEAR_LINES (UINT64_C(16) << 12)
#define NEAR_PAGES (UINT64_C(1) << 12)

static int by_place(const void *a, const void *b)
{
	const struct replay_span *x = a, *y = b;

	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int by_weight(const void *a, const void *b)
{
	const struct replay_span *const *x = a, *const *y = b;

	if ((*x)->weight != (*y)->weight)
		return (*x)->weight > (*y)->weight ? -1 : 1;
	return *x < *y ? -1 : *x > *y; /* the same on every machine */
}

/* Overlapping spans, widened to whole granules, become one. They stay sorted.
 * Returns how many are left. */
static size_t join(struct replay_span *s, size_t nr, uint64_t granule)
{
	size_t n = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t first = s[i].first & ~(granule - 1);
		uint64_t last = s[i].last | (granule - 1);
		struct replay_span *p = n ? &s[n - 1] : NULL;

		if (p && p->domain == s[i].domain && first <= p->last) {
			p->last = last > p->last ? last : p->last;
			p->weight += s[i].weight;
			continue;
		}
		s[n++] = (struct replay_span){.first = first,
		                              .last = last,
		                              .weight = s[i].weight,
		                              .domain = s[i].domain};
	}
	return n;
}

static const struct replay_span *find(const struct replay_span *s, size_t nr,
                                      uint32_t domain, uint64_t iova)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s[mid].domain < domain ||
		    (s[mid].domain == domain && s[mid].last < iova))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == nr || s[low].domain != domain || s[low].first > iova)
		return NULL;
	return &s[low];
}

/* The heaviest first, each to whoever has least: no part exceeds the best
 * possible by more than a third. */
static int balance(struct replay_deal *d)
{
	uint64_t load[REPLAY_MAX_LANES] = {0};
	struct replay_span **order = calloc(d->nr_spans + 1, sizeof(*order));

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < d->nr_spans; i++)
		order[i] = &d->span[i];
	qsort(order, d->nr_spans, sizeof(*order), by_weight);
	for (size_t i = 0; i < d->nr_spans; i++) {
		uint32_t best = 0;

		for (uint32_t p = 1; p < d->nr_parts; p++)
			if (load[p] < load[best])
				best = p;
		order[i]->part = best;
		load[best] += order[i]->weight;
		if (load[best] > d->fullest)
			d->fullest = load[best];
	}
	free(order);
	return 0;
}

/* Cuts the spans, in order, where a part would exceed most. Returns how many
 * parts that makes; numbers them when told to. */
static uint64_t cut(struct replay_deal *d, uint64_t most, int number)
{
	uint64_t load = 0, parts = 0;

	for (size_t i = 0; i < d->nr_spans; i++) {
		struct replay_span *s = &d->span[i];

		if (parts == 0 || load + s->weight > most) {
			parts++;
			load = 0;
		}
		load += s->weight;
		if (number)
			s->part = (uint32_t)(parts - 1);
	}
	return parts;
}

/* Stretches of the address space, the fullest as small as can be; unless that
 * is much worse than what balance() has found. */
static void stretches(struct replay_deal *d)
{
	uint64_t low = 1, high = d->nr;

	for (size_t i = 0; i < d->nr_spans; i++)
		low = d->span[i].weight > low ? d->span[i].weight : low;
	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (cut(d, mid, 0) <= d->nr_parts)
			high = mid;
		else
			low = mid + 1;
	}
	if (high > d->fullest + d->fullest / 20)
		return;
	d->fullest = high;
	(void)cut(d, high, 1);
}

/* Copies take turns in the plan and share no page. */
static void by_copy(struct replay_deal *d, const struct plan *p)
{
	for (size_t i = 0; i < p->nr; i++) {
		const struct plan_action *a = &p->act[i];
		const struct replay_span *s =
		        find(d->span, d->nr_spans, a->domain, a->iova);

		d->span[s - d->span].part = (uint32_t)(i % d->nr_parts);
	}
	d->fullest = p->nr / d->nr_parts;
}

static struct replay_step step_of(const struct plan_action *a)
{
	return (struct replay_step){
	        .iova_op = a->iova | a->domain |
	                   (a->op == TRACE_UNMAP ? STEP_UNMAP : 0u),
	        .oa = a->oa,
	        .len = a->len,
	};
}

static int part_room(struct replay_part *part)
{
	/* calloc of nothing may be NULL. */
	part->step = calloc(part->nr + 1, sizeof(*part->step));
	part->line = calloc(part->nr + 1, sizeof(*part->line));
	part->chain = calloc(part->nr + 1, sizeof(*part->chain));
	part->next = calloc(part->nr + 1, sizeof(*part->next));
	part->left = calloc(part->nr_left + 1, sizeof(*part->left));
	if (part->step && part->line && part->chain && part->next && part->left)
		return 0;
	return -ENOMEM;
}

/* Within a part: the step that follows in the same chain, or the number of
 * steps. last: one entry per chain. */
static void link_chains(struct replay_part *part, uint64_t nr_chains,
                        uint32_t *last)
{
	for (uint64_t i = 0; i < nr_chains; i++)
		last[i] = (uint32_t)part->nr;
	for (size_t i = part->nr; i-- > 0;) {
		part->next[i] = last[part->chain[i]];
		last[part->chain[i]] = (uint32_t)i;
	}
}

static int link_all(struct replay_deal *d)
{
	uint32_t *last = calloc(d->nr_chains + 1, sizeof(*last));

	if (!last)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->nr_parts; i++)
		link_chains(&d->part[i], d->nr_chains, last);
	free(last);
	return 0;
}

/* chain: the spans before they were widened. */
static int write_parts(struct replay_deal *d, const struct plan *p,
                       const struct replay_span *chain)
{
	for (size_t i = 0; i < p->nr; i++)
		d->part[replay_deal_owner(d, p->act[i].domain, p->act[i].iova)]
		        .nr++;
	for (size_t i = 0; i < p->nr_left; i++)
		d->part[replay_deal_owner(d, p->left[i].domain,
		                          p->left[i].iova)]
		        .nr_left++;
	for (uint32_t i = 0; i < d->nr_parts; i++) {
		if (part_room(&d->part[i]))
			return -ENOMEM;
		d->part[i].nr = d->part[i].nr_left = 0;
	}
	for (size_t i = 0; i < p->nr; i++) {
		const struct plan_action *a = &p->act[i];
		struct replay_part *to =
		        &d->part[replay_deal_owner(d, a->domain, a->iova)];

		to->line[to->nr] = a->line;
		to->chain[to->nr] = (uint32_t)(find(chain, d->nr_chains,
		                                    a->domain, a->iova) -
		                               chain);
		to->step[to->nr++] = step_of(a);
	}
	for (size_t i = 0; i < p->nr_left; i++) {
		const struct plan_action *a = &p->left[i];
		struct replay_part *to =
		        &d->part[replay_deal_owner(d, a->domain, a->iova)];

		to->left[to->nr_left++] = step_of(a);
	}
	return link_all(d);
}

static void fill_spans(struct replay_deal *d, const struct plan *p)
{
	for (size_t i = 0; i < p->nr; i++) {
		const struct plan_action *a = &p->act[i];

		d->span[i] = (struct replay_span){
		        .first = a->iova,
		        .last = a->iova + a->len - 1,
		        .weight = 1,
		        .domain = a->domain,
		};
	}
	qsort(d->span, p->nr, sizeof(*d->span), by_place);
}

static int deal(struct replay_deal *d, const struct plan *p,
                enum replay_dealing how, struct replay_span **chain)
{
	d->part = calloc(d->nr_parts, sizeof(*d->part));
	d->span = calloc(p->nr + 1, sizeof(*d->span));
	if (!d->part || !d->span)
		return -ENOMEM;
	fill_spans(d, p);
	d->nr_spans = join(d->span, p->nr, NEAR_PAGES);
	d->nr_chains = d->nr_spans;
	for (size_t i = 0; i < d->nr_spans; i++)
		if (d->span[i].weight > d->largest)
			d->largest = d->span[i].weight;
	*chain = calloc(d->nr_spans + 1, sizeof(**chain));
	if (!*chain)
		return -ENOMEM;
	memcpy(*chain, d->span, d->nr_spans * sizeof(**chain));
	if (how == REPLAY_DEAL_RANGES)
		d->nr_spans = join(d->span, d->nr_spans, NEAR_LINES);
	if (how == REPLAY_DEAL_COPIES)
		by_copy(d, p);
	else if (balance(d))
		return -ENOMEM;
	if (how == REPLAY_DEAL_RANGES)
		stretches(d);
	return write_parts(d, p, *chain);
}

int replay_deal(const struct plan *p, uint32_t parts, enum replay_dealing how,
                struct replay_deal *ret)
{
	struct replay_span *chain = NULL;
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->nr_parts = parts;
	ret->nr = p->nr;
	rc = deal(ret, p, how, &chain);
	free(chain);
	if (rc)
		replay_deal_free(ret);
	return rc;
}

void replay_deal_free(struct replay_deal *d)
{
	for (uint32_t i = 0; d->part && i < d->nr_parts; i++) {
		free(d->part[i].step);
		free(d->part[i].line);
		free(d->part[i].chain);
		free(d->part[i].next);
		free(d->part[i].left);
	}
	free(d->part);
	free(d->span);
	memset(d, 0, sizeof(*d));
}

const char *replay_deal_name(enum replay_dealing how)
{
	static const char *const name[REPLAY_DEALINGS] = {
	        [REPLAY_DEAL_RANGES] = "ranges",
	        [REPLAY_DEAL_CHAINS] = "chains",
	        [REPLAY_DEAL_COPIES] = "copies",
	};

	return name[how];
}

uint32_t replay_deal_owner(const struct replay_deal *d, uint32_t domain,
                           uint64_t iova)
{
	const struct replay_span *s = find(d->span, d->nr_spans, domain, iova);

	return s ? s->part : REPLAY_NOBODY;
}

/* Each of n actions, copies times, in turn. */
static int repeat(const struct plan_action *from, size_t nr, uint32_t copies,
                  unsigned shift_lg2, struct plan_action **ret, size_t *ret_nr)
{
	struct plan_action *to = calloc(nr * copies + 1, sizeof(*to));

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < nr * copies; i++) {
		to[i] = from[i / copies];
		to[i].iova += (uint64_t)(i % copies) << shift_lg2;
	}
	*ret = to;
	*ret_nr = nr * copies;
	return 0;
}

int replay_copies(const struct plan *p, uint32_t copies, struct plan *ret)
{
	unsigned lg2 = 12;
	int rc;

	memset(ret, 0, sizeof(*ret));
	while (p->last_iova >> lg2)
		lg2++;
	if ((uint64_t)(copies - 1) >> (TRACE_IOVA_BITS - lg2))
		return -ERANGE;
	ret->nr_domains = p->nr_domains;
	ret->last_iova = p->last_iova + ((uint64_t)(copies - 1) << lg2);
	rc = repeat(p->act, p->nr, copies, lg2, &ret->act, &ret->nr);
	if (!rc)
		rc = repeat(p->left, p->nr_left, copies, lg2, &ret->left,
		            &ret->nr_left);
	if (rc)
		plan_free(ret);
	return rc;
}
