/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B7, IOVA alternately allocated and freed on one lane, and B18, a slot of an
 * arena: get, use its two addresses, put.
 */
#include "bench/rig.h"

#include "yardstick/yardstick.h"

#include <stdlib.h>

#define SLOT 2048u
#define SLOTS 1024u

struct set {
	struct rig rig;
	struct sluice_arena *arena;
	struct naive *naive;
	struct naive_slots *slots;
	char *mem;
};

static struct set *new_set(void)
{
	struct set *s = calloc(1, sizeof(*s));

	rig_check(s ? 0 : -1, "memory");
	return s;
}

static void *ours(void)
{
	struct set *s = new_set();
	struct sluice_arena_cfg cfg = {.size = SLOT * SLOTS, .slot_size = SLOT};

	rig_check(rig_open(&s->rig, 0), "rig");
	rig_check(sluice_arena_create(s->rig.domain, &cfg, &s->arena), "arena");
	return s;
}

static void *naive(void)
{
	struct set *s = new_set();

	s->naive = naive_new();
	s->mem = malloc(SLOT * SLOTS);
	rig_check(s->naive && s->mem ? 0 : -1, "memory");
	s->slots = naive_slots_new(s->mem, 1 << 30, SLOT, SLOTS);
	rig_check(s->slots ? 0 : -1, "memory");
	return s;
}

static void done(void *ctx)
{
	struct set *s = ctx;

	sluice_arena_destroy(s->arena);
	if (s->rig.engine)
		rig_close(&s->rig);
	naive_free(s->naive);
	naive_slots_free(s->slots);
	free(s->mem);
	free(s);
}

static void iova_ours(void *ctx, uint64_t n)
{
	struct sluice_view *view = ((struct set *)ctx)->rig.view;

	for (uint64_t i = 0; i < n; i++) {
		sluice_iova_t iova = 0;
		int rc = sluice_iova_alloc(view, PAGE, 0, 0, &iova);

		if (rc < 0)
			rig_check(rc, "iova_alloc");
		gb_use(iova);
		sluice_iova_free(view, iova, PAGE);
	}
}

static void iova_naive(void *ctx, uint64_t n)
{
	struct naive *v = ((struct set *)ctx)->naive;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t iova = naive_iova_alloc(v, PAGE);

		gb_use(iova);
		naive_iova_free(v, iova, PAGE);
	}
}

static void arena_ours(void *ctx, uint64_t n)
{
	struct set *s = ctx;

	for (uint64_t i = 0; i < n; i++) {
		struct sluice_buf buf;
		int rc = sluice_arena_get(s->rig.lane, s->arena, &buf);

		if (rc < 0)
			rig_check(rc, "arena_get");
		gb_use(buf.iova);
		sluice_arena_put(s->rig.lane, s->arena, buf.va);
	}
}

static void arena_naive(void *ctx, uint64_t n)
{
	struct set *s = ctx;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t iova = 0;
		void *va = naive_slots_get(s->slots, &iova);

		gb_use(iova);
		naive_slots_put(s->slots, va);
	}
}

#define CASE(label, up, fn)                                                    \
	{                                                                      \
		.name = label, .batch = 4096, .setup = up, .teardown = done,   \
		.run = fn                                                      \
	}

void cases_alloc(void)
{
	static const struct gb_case cases[] = {
	        CASE("B7/sluice", ours, iova_ours),
	        CASE("B7/naive", naive, iova_naive),
	        CASE("B18/sluice", ours, arena_ours),
	        CASE("B18/naive", naive, arena_naive),
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}
