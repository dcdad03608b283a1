/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B1 to B4: translations that hit, independent and dependent, inline and
 * through the shared library; translations that miss. In a dependent case the
 * next address needs the last answer, so the time is a latency.
 */
#include "bench/rig.h"

#include "yardstick/yardstick.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIT_PAGES 256
#define MISS_PAGES 8192             /* tables of 64 KiB: in L2, not in L1 */
#define VA UINT64_C(0x7f0000001000) /* never a large leaf */

struct set {
	struct rig rig;
	struct naive *naive;
	uint64_t zero; /* 0, but the compiler does not know */
	uint64_t nr;
	uint64_t iova[MISS_PAGES]; /* in the order of use */
};

static struct set *new_set(uint64_t nr)
{
	struct set *s = calloc(1, sizeof(*s));

	rig_check(s ? 0 : -1, "memory");
	s->nr = nr;
	return s;
}

/* An order in which neighbours in time are no neighbours in memory and an
 * address comes back only after all others. 2531 is odd, so this is a
 * permutation of any power of two. */
static uint64_t nth(const struct set *s, uint64_t i)
{
	return i * 2531 % s->nr;
}

static void *ours(uint64_t nr)
{
	struct set *s = new_set(nr);
	struct sluice_map_req req = {
	        .va = VA, .len = nr * PAGE, .prot = SLUICE_RW, .align_lg2 = 21};
	sluice_iova_t base = 0;

	rig_check(rig_open(&s->rig, 0), "rig");
	rig_check(sluice_map(s->rig.view, &req, &base), "map");
	for (uint64_t i = 0; i < nr; i++)
		s->iova[i] = base + nth(s, i) * PAGE;
	return s;
}

typedef int64_t (*translate_fn)(struct sluice_view *view, sluice_iova_t iova,
                                uint64_t len, uint32_t access,
                                sluice_oa_t *ret_oa);

/* All else here calls the library that is linked into this program. The shared
 * one is built of the same objects, so its code works on this one's view. */
static translate_fn so_translate;

static void load_shared(void)
{
	void *so, *fn;

	if (so_translate)
		return;
	so = dlopen(LIBSLUICE_SO, RTLD_NOW | RTLD_LOCAL);
	fn = so ? dlsym(so, "sluice_translate_call") : NULL;
	if (!fn) {
		fprintf(stderr, "B3: %s\n", dlerror());
		exit(1);
	}
	memcpy(&so_translate, &fn, sizeof(fn));
}

static void *naive(uint64_t nr)
{
	struct set *s = new_set(nr);
	uint64_t *by_page = calloc(nr, sizeof(*by_page));

	s->naive = naive_new();
	rig_check(s->naive && by_page ? 0 : -1, "memory");
	/* Page by page: buffers of drivers are single pages. */
	for (uint64_t i = 0; i < nr; i++)
		rig_check(naive_map(s->naive, VA + i * PAGE, PAGE, SLUICE_RW,
		                    &by_page[i]),
		          "naive map");
	for (uint64_t i = 0; i < nr; i++)
		s->iova[i] = by_page[nth(s, i)];
	free(by_page);
	return s;
}

static void *ours_hit(void)
{
	return ours(HIT_PAGES);
}

static void *ours_hit_so(void)
{
	load_shared();
	return ours_hit();
}

static void *ours_miss(void)
{
	return ours(MISS_PAGES);
}

static void *naive_hit(void)
{
	return naive(HIT_PAGES);
}

static void *naive_miss(void)
{
	return naive(MISS_PAGES);
}

static void done(void *ctx)
{
	struct set *s = ctx;

	naive_free(s->naive);
	if (s->rig.engine)
		rig_close(&s->rig);
	free(s);
}

static void hit(void *ctx, uint64_t n)
{
	struct set *s = ctx;
	struct sluice_view *view = s->rig.view;

	for (uint64_t i = 0; i < n; i++) {
		sluice_oa_t oa = 0;
		int64_t rc = sluice_translate(view, s->iova[i % HIT_PAGES], 64,
		                              SLUICE_READ, &oa);

		gb_use(oa);
		gb_use(rc);
	}
}

static void hit_dependent(void *ctx, uint64_t n)
{
	struct set *s = ctx;
	struct sluice_view *view = s->rig.view;
	uint64_t zero = s->zero;
	sluice_oa_t oa = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t iova = s->iova[i % HIT_PAGES] + (oa & zero);
		int64_t rc = sluice_translate(view, iova, 64, SLUICE_READ, &oa);

		gb_use(rc);
	}
	gb_use(oa);
}

static void hit_call(void *ctx, uint64_t n)
{
	struct set *s = ctx;

	for (uint64_t i = 0; i < n; i++) {
		sluice_oa_t oa = 0;
		int64_t rc = so_translate(s->rig.view, s->iova[i % HIT_PAGES],
		                          64, SLUICE_READ, &oa);

		gb_use(oa);
		gb_use(rc);
	}
}

static void miss_dependent(void *ctx, uint64_t n)
{
	struct set *s = ctx;
	uint64_t zero = s->zero;
	sluice_oa_t oa = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t iova = s->iova[i % MISS_PAGES] + (oa & zero);
		int64_t rc = sluice_translate(s->rig.view, iova, 64,
		                              SLUICE_READ, &oa);

		gb_use(rc);
	}
	gb_use(oa);
}

/* Serves hits and misses: the naive way has no IOTLB. */
static void naive_run(void *ctx, uint64_t n)
{
	struct set *s = ctx;
	uint64_t zero = s->zero;
	uint64_t oa = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t iova = s->iova[i % s->nr] + (oa & zero);
		int64_t rc =
		        naive_translate(s->naive, iova, 64, SLUICE_READ, &oa);

		gb_use(rc);
	}
	gb_use(oa);
}

#define CASE(label, up, fn)                                                    \
	{                                                                      \
		.name = label, .batch = MISS_PAGES, .setup = up,               \
		.teardown = done, .run = fn                                    \
	}

void cases_translate(void)
{
	static const struct gb_case cases[] = {
	        CASE("B1/sluice", ours_hit, hit),
	        CASE("B1/naive", naive_hit, naive_run),
	        CASE("B2/sluice", ours_hit, hit_dependent),
	        CASE("B2/naive", naive_hit, naive_run),
	        CASE("B3/sluice", ours_hit_so, hit_call),
	        CASE("B3/naive", naive_hit, naive_run),
	        CASE("B4/sluice", ours_miss, miss_dependent),
	        CASE("B4/naive", naive_miss, naive_run),
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}
