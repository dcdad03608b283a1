/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translations that hit, and those that miss: answered by a table that the view
 * remembers, by a large extent, or by a walk from the root.
 */
#include "bench/count_engine.h"

#include <stdbool.h>

#define HIT_PAGES 256u
#define MISS_PAGES ENG_PAGES
#define FEW_TLB 16u
#define FAR_TABLES 64u /* four for each table that a view remembers */
#define FAR_ENTRIES 16u
#define WARM_LAPS 4096u

/* At random (xorshift), and so without a common measure with the size of the
 * IOTLB or with how many misses fill it. */
static void shuffle(uint64_t *addr, uint64_t nr)
{
	uint64_t seed = 0x2545f4914f6cdd1d;

	for (uint64_t i = nr - 1; i > 0; i--) {
		uint64_t k, was = addr[i];

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		k = (seed >> 11) % (i + 1);
		addr[i] = addr[k];
		addr[k] = was;
	}
}

/* nr pages, mapped as one range. */
static struct eng_set *with_pages(const struct sluice_domain_cfg *cfg,
                                  uint64_t va, uint64_t nr)
{
	struct eng_set *s = eng_open(cfg);
	bool by_va = cfg && cfg->flags & SLUICE_DOMAIN_VA_LOOKUP;
	struct sluice_map_req req = {
	        .va = va, .len = nr * PAGE, .prot = SLUICE_RW, .align_lg2 = 21};
	sluice_iova_t base = 0;

	rig_check(sluice_map(s->rig.view, &req, &base), "map");
	for (uint64_t i = 0; i < nr; i++)
		s->addr[i] = (by_va ? va : base) + i * PAGE;
	shuffle(s->addr, nr);
	return s;
}

/* Not every miss fills the IOTLB: until a lap has none. */
static void warm(struct eng_set *s, bool by_va)
{
	struct sluice_view *view = s->rig.view;
	struct sluice_domain_stats st;
	uint64_t was = UINT64_MAX, to;
	int64_t rc = 0;

	for (unsigned lap = 0; lap < WARM_LAPS; lap++) {
		for (unsigned i = 0; rc >= 0 && i < HIT_PAGES; i++)
			rc = by_va ? sluice_va_to_iova(view, s->addr[i], 64,
			                               &to)
			           : sluice_translate(view, s->addr[i], 64,
			                              SLUICE_READ, &to);
		rig_check(rc < 0 ? -1 : 0, "translate");
		sluice_domain_get_stats(s->rig.domain, &st);
		if (st.misses == was)
			return;
		was = st.misses;
	}
	rig_check(-1, "the pages do not stay in the IOTLB");
}

static struct eng_set *open_hit(void)
{
	struct eng_set *s = with_pages(NULL, VA, HIT_PAGES);

	warm(s, false);
	return s;
}

static struct eng_set *open_va(void)
{
	struct eng_set *s = with_pages(
	        &(struct sluice_domain_cfg){.flags = SLUICE_DOMAIN_VA_LOOKUP},
	        VA, HIT_PAGES);

	warm(s, true);
	return s;
}

/* Not every miss fills the IOTLB, so with the default size, as in B4, some of
 * these pages would be there when they come back. */
static struct eng_set *open_near(void)
{
	return with_pages(&(struct sluice_domain_cfg){.tlb_entries = FEW_TLB},
	                  VA, MISS_PAGES);
}

static struct eng_set *open_large(void)
{
	return with_pages(NULL, VA_LARGE, MISS_PAGES);
}

/* A page in each of so many tables that none is remembered until its turn. */
static struct eng_set *open_far(void)
{
	struct eng_set *s = eng_open(
	        &(struct sluice_domain_cfg){.walk_entries = FAR_ENTRIES});

	for (unsigned i = 0; i < FAR_TABLES; i++) {
		struct sluice_map_req req = {.va = VA + i * PAGE,
		                             .len = PAGE,
		                             .prot = SLUICE_RW,
		                             .align_lg2 = 21};

		rig_check(sluice_map(s->rig.view, &req, &s->addr[i]), "map");
	}
	return s;
}

static void translate(struct eng_set *s, uint64_t n)
{
	struct sluice_view *view = s->rig.view;

	eng_tick();
	for (uint64_t i = 0; i < n; i++) {
		sluice_oa_t oa = 0;
		int64_t rc = sluice_translate(view, s->addr[i % HIT_PAGES], 64,
		                              SLUICE_READ, &oa);

		gb_use(oa);
		gb_use(rc);
	}
	eng_tick();
}

static void translate_call(struct eng_set *s, uint64_t n)
{
	struct sluice_view *view = s->rig.view;

	eng_tick();
	for (uint64_t i = 0; i < n; i++) {
		sluice_oa_t oa = 0;
		int64_t rc = sluice_translate_call(view, s->addr[i % HIT_PAGES],
		                                   64, SLUICE_READ, &oa);

		gb_use(oa);
		gb_use(rc);
	}
	eng_tick();
}

static void va_to_iova(struct eng_set *s, uint64_t n)
{
	struct sluice_view *view = s->rig.view;

	eng_tick();
	for (uint64_t i = 0; i < n; i++) {
		sluice_iova_t iova = 0;
		int64_t rc = sluice_va_to_iova(view, s->addr[i % HIT_PAGES], 64,
		                               &iova);

		gb_use(iova);
		gb_use(rc);
	}
	eng_tick();
}

static void translate_batch(struct eng_set *s, uint64_t n)
{
	sluice_oa_t oa[ENG_BURST];
	int64_t rc[ENG_BURST];
	uint64_t full = 0;

	eng_tick();
	for (uint64_t i = 0; i < n; i += ENG_BURST)
		full += sluice_translate_batch(
		        s->rig.view, &s->addr[i % MISS_PAGES], ENG_BURST, 64,
		        SLUICE_READ, oa, rc);
	eng_tick();
	rig_check(full == n ? 0 : -1, "translate_batch");
}

/* The next address needs the last answer, as in B4. nr: a power of two. */
static void dependent(struct eng_set *s, uint64_t n, uint64_t nr)
{
	struct sluice_view *view = s->rig.view;
	uint64_t zero = s->zero;
	sluice_oa_t oa = 0;

	eng_tick();
	for (uint64_t i = 0; i < n; i++) {
		uint64_t iova = s->addr[i & (nr - 1)] + (oa & zero);
		int64_t rc = sluice_translate(view, iova, 64, SLUICE_READ, &oa);

		gb_use(rc);
	}
	gb_use(oa);
	eng_tick();
}

static void translate_miss(struct eng_set *s, uint64_t n)
{
	dependent(s, n, MISS_PAGES);
}

static void translate_far(struct eng_set *s, uint64_t n)
{
	dependent(s, n, FAR_TABLES);
}

#define OP(name, open, run, nr, each)                                          \
	{                                                                      \
		name, open, run, nr, 3 * (nr), ENG_STAT(misses), each          \
	}

const struct eng_op eng_translate_ops[] = {
        OP("translate-hit", open_hit, translate, 512, 0),
        OP("translate-call", open_hit, translate_call, 512, 0),
        OP("translate-near", open_near, translate_miss, MISS_PAGES, ENG_BURST),
        OP("translate-large", open_large, translate_miss, MISS_PAGES, 0),
        OP("translate-far", open_far, translate_far, 512, ENG_BURST),
        OP("translate-batch", open_near, translate_batch, MISS_PAGES, 0),
        OP("va-to-iova-hit", open_va, va_to_iova, 512, 0),
        {0},
};
