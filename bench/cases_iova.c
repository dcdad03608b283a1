/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IOVA allocator beyond B7. B8: ranges that one lane allocates and another
 * frees, handed over in batches through a ring; the time is that of the whole
 * round, both lanes at work, per range. iova/<size>: one range of a size taken
 * and given back by one lane, in an empty aperture and in one whose half or
 * nine tenths are live in pieces; "deep" takes many before it gives any back,
 * so that a lane's own store does not suffice.
 */
#include "bench/rig.h"

#include "yardstick/yardstick.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define HAND 32u /* ranges handed over at a time */
#define RING 16u /* hands on the way */

struct hand {
	_Alignas(128) _Atomic uint32_t full;
	uint64_t iova[HAND];
};

struct remote {
	struct rig rig;
	struct naive *naive; /* or the rig */
	pthread_t thread;
	_Atomic int ready; /* 1 running, -1 failed */
	_Atomic int stop;
	_Alignas(128) _Atomic uint64_t freed;
	struct hand ring[RING];
};

static void free_hand(struct remote *r, struct sluice_view *view,
                      const struct hand *h)
{
	for (uint32_t i = 0; i < HAND; i++) {
		if (view)
			sluice_iova_free(view, h->iova[i], PAGE);
		else
			naive_iova_free(r->naive, h->iova[i], PAGE);
	}
}

static void free_all(struct remote *r, struct sluice_view *view)
{
	uint64_t nr = 0;

	for (;;) {
		struct hand *h = &r->ring[nr % RING];

		/* Pairs with the release in remote_run(). */
		while (!atomic_load_explicit(&h->full, memory_order_acquire))
			if (atomic_load_explicit(&r->stop,
			                         memory_order_relaxed))
				return;
		free_hand(r, view, h);
		/* Pairs with the acquire in remote_run(). */
		atomic_store_explicit(&h->full, 0, memory_order_release);
		nr++;
		/* Pairs with the acquire at the end of remote_run(). */
		atomic_store_explicit(&r->freed, nr, memory_order_release);
	}
}

static void *free_main(void *arg)
{
	struct remote *r = arg;
	struct sluice_lane *lane = NULL;
	struct sluice_view *view = NULL;
	int rc = 0;

	rig_pin(1);
	if (!r->naive) {
		rc = sluice_lane_open(r->rig.engine, NULL, &lane);
		if (rc >= 0)
			rc = sluice_view_open(lane, r->rig.domain, &view);
	}
	/* Pairs with the acquire in remote_start(). */
	atomic_store_explicit(&r->ready, rc < 0 ? -1 : 1, memory_order_release);
	if (rc >= 0)
		free_all(r, view);
	(void)sluice_view_close(view);
	(void)sluice_lane_close(lane);
	return NULL;
}

static void *remote_start(struct remote *r)
{
	int ready;

	rig_check(pthread_create(&r->thread, NULL, free_main, r) ? -1 : 0,
	          "thread");
	/* Pairs with the release in free_main(). */
	while (!(ready = atomic_load_explicit(&r->ready, memory_order_acquire)))
		;
	rig_check(ready, "lane");
	return r;
}

static struct remote *remote_new(void)
{
	struct remote *r = aligned_alloc(128, sizeof(*r));

	rig_check(r ? 0 : -1, "memory");
	*r = (struct remote){0};
	return r;
}

static void *remote_ours(void)
{
	struct remote *r;

	if (rig_cpus() < 2)
		return NULL;
	r = remote_new();
	rig_check(rig_open(&r->rig, 0), "rig");
	return remote_start(r);
}

static void *remote_naive(void)
{
	struct remote *r;

	if (rig_cpus() < 2)
		return NULL;
	r = remote_new();
	r->naive = naive_new();
	rig_check(r->naive ? 0 : -1, "memory");
	return remote_start(r);
}

static void remote_done(void *ctx)
{
	struct remote *r = ctx;

	atomic_store_explicit(&r->stop, 1, memory_order_relaxed);
	pthread_join(r->thread, NULL);
	if (r->naive)
		naive_free(r->naive);
	else
		rig_close(&r->rig);
	free(r);
}

static void fill_hand(struct remote *r, struct hand *h)
{
	for (uint32_t i = 0; i < HAND; i++) {
		int rc = 0;

		if (r->naive)
			h->iova[i] = naive_iova_alloc(r->naive, PAGE);
		else
			rc = sluice_iova_alloc(r->rig.view, PAGE, 0, 0,
			                       &h->iova[i]);
		if (rc < 0)
			rig_check(rc, "iova_alloc");
	}
}

/* n is a multiple of a hand, and of the ring: the next call starts anew. */
static void remote_run(void *ctx, uint64_t n)
{
	struct remote *r = ctx;
	uint64_t before = atomic_load_explicit(&r->freed, memory_order_relaxed);
	uint64_t nr = n / HAND;

	for (uint64_t i = 0; i < nr; i++) {
		struct hand *h = &r->ring[i % RING];

		/* Pairs with the release in free_all(). */
		while (atomic_load_explicit(&h->full, memory_order_acquire))
			;
		fill_hand(r, h);
		/* Pairs with the acquire in free_all(). */
		atomic_store_explicit(&h->full, 1, memory_order_release);
	}
	/* Pairs with the release in free_all(). */
	while (atomic_load_explicit(&r->freed, memory_order_acquire) !=
	       before + nr)
		;
}

/* ---- by size ---- */
#define APERTURE (256 * GIB)
#define GRANULE (2 * MIB)
#define DEEP 48u

struct by_size {
	uint64_t len;
	uint32_t live; /* per cent of the aperture */
	uint32_t depth;
};

struct sized {
	struct rig rig;
	struct by_size by;
	uint64_t at[DEEP];
};

static uint64_t rnd(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x >> 11;
}

/* Everything is taken in granules; then holes of 2 MiB to 3 GiB are given
 * back, one for each live piece, whose length is so that the share is right. */
static void make_live(struct sized *s)
{
	uint64_t nr = APERTURE / GRANULE, x = 88172645463325252u, n = 0;
	uint64_t *at = malloc(nr * sizeof(*at));
	sluice_iova_t iova;

	rig_check(at ? 0 : -1, "memory");
	while (n < nr && !sluice_iova_alloc(s->rig.view, GRANULE, 0, 0, &iova))
		at[n++] = iova;
	rig_check(n > nr / 2 ? 0 : -1, "aperture");
	for (uint64_t i = 0; i < n;) {
		uint64_t hole = 1 + rnd(&x) % (1ull << (rnd(&x) % 11 + 1));

		for (uint64_t e = i + hole; i < e && i < n; i++)
			sluice_iova_free(s->rig.view, at[i], GRANULE);
		i += hole * s->by.live / (100 - s->by.live);
	}
	free(at);
}

static void *sized_setup(const void *arg)
{
	struct sized *s = calloc(1, sizeof(*s));
	const struct sluice_domain_cfg cfg = {.first = 4 * GIB,
	                                      .last = 4 * GIB + APERTURE - 1};
	struct rig *rig = s ? &s->rig : NULL;

	rig_check(s ? 0 : -1, "memory");
	s->by = *(const struct by_size *)arg;
	rig_check(sluice_engine_open(NULL, &rig->engine), "engine");
	rig_check(sluice_domain_create(rig->engine, &cfg, &rig->domain),
	          "domain");
	rig_check(sluice_lane_open(rig->engine, NULL, &rig->lane), "lane");
	rig_check(sluice_view_open(rig->lane, rig->domain, &rig->view), "view");
	if (s->by.live)
		make_live(s);
	return s;
}

static void sized_done(void *ctx)
{
	struct sized *s = ctx;

	rig_close(&s->rig);
	free(s);
}

static void sized_run(void *ctx, uint64_t n)
{
	struct sized *s = ctx;
	struct sluice_view *view = s->rig.view;
	uint64_t len = s->by.len;

	for (uint64_t i = 0; i < n; i += s->by.depth) {
		for (uint32_t k = 0; k < s->by.depth; k++) {
			int rc = sluice_iova_alloc(view, len, 0, 0, &s->at[k]);

			if (rc < 0)
				rig_check(rc, "iova_alloc");
		}
		for (uint32_t k = 0; k < s->by.depth; k++)
			sluice_iova_free(view, s->at[k], len);
	}
}

static const struct {
	const char *name;
	uint64_t len;
	uint32_t few; /* how many there are surely when nine tenths are live */
} sizes[] = {
        {"4K", 4 * KIB, DEEP},
        {"64K", 64 * KIB, DEEP},
        {"1M", MIB, DEEP},
        {"2M", 2 * MIB, DEEP},
        {"3M", 3 * MIB, DEEP},
        {"16M", 16 * MIB, DEEP},
        {"128M", 128 * MIB, DEEP},
        {"512M", 512 * MIB, 16},
        {"1G", GIB, 6},
};

static const struct {
	const char *name;
	uint32_t live;
	bool deep;
} ways[] = {
        {"iova", 0, false},        {"iova50", 50, false},
        {"iova90", 90, false},     {"iova_deep", 0, true},
        {"iova90_deep", 90, true},
};

#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define NR_WAYS (sizeof(ways) / sizeof(ways[0]))

static void register_sized(unsigned way, unsigned size)
{
	static struct by_size by[NR_WAYS][NR_SIZES];
	static char name[NR_WAYS][NR_SIZES][24];
	static struct gb_case cases[NR_WAYS][NR_SIZES];
	uint32_t depth = !ways[way].deep  ? 1
	                 : ways[way].live ? sizes[size].few
	                                  : DEEP;

	by[way][size] =
	        (struct by_size){sizes[size].len, ways[way].live, depth};
	snprintf(name[way][size], sizeof(name[0][0]), "%s/%s", ways[way].name,
	         sizes[size].name);
	cases[way][size] = (struct gb_case){.name = name[way][size],
	                                    .batch = 4 * DEEP,
	                                    .setup_arg = sized_setup,
	                                    .arg = &by[way][size],
	                                    .teardown = sized_done,
	                                    .run = sized_run};
	gb_register(&cases[way][size]);
}

void cases_iova(void)
{
	static const struct gb_case remote[] = {
	        {.name = "B8/sluice",
	         .batch = 65536,
	         .setup = remote_ours,
	         .teardown = remote_done,
	         .run = remote_run},
	        {.name = "B8/naive",
	         .batch = 65536,
	         .setup = remote_naive,
	         .teardown = remote_done,
	         .run = remote_run},
	};

	for (unsigned i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		gb_register(&remote[i]);
	for (unsigned i = 0; i < NR_WAYS * NR_SIZES; i++)
		register_sized(i / NR_SIZES, i % NR_SIZES);
}
