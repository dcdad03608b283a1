/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three million random operations over all shapes of aperture, judged by the
 * oracle: no overlap, nothing outside, all of it back at the end. Ranges
 * come back whole, in parts, joined with a neighbour, and through another
 * cache than they came from.
 */
#include "tests/iova/space.h"
#include "yardstick/yardstick.h"

#include <errno.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define OPS 3000000u
#define LIVE 4096u
#define CACHES 2u

struct live {
	uint64_t iova, len;
	bool arena; /* whole granules, straight from the space */
};

struct world {
	const struct shape *shape;
	struct sluice_range window[2];
	struct iova_space *space;
	struct iova_cache *cache[CACHES];
	struct oracle *oracle;
	uint64_t rng, nr_nospc;
	uint32_t nr;
	struct live live[LIVE];
};

static uint64_t rnd(struct world *w, uint64_t below)
{
	return (shape_rnd(&w->rng) >> 11) % below;
}

static uint64_t some_len(struct world *w)
{
	switch (rnd(w, 16)) {
	case 0:
		return PAGE * (1 + rnd(w, 2000));
	case 1:
		return PAGE << rnd(w, 12);
	case 2:
	case 3:
		return PAGE * (1 + rnd(w, 512));
	default:
		return PAGE * (1 + rnd(w, 17));
	}
}

static void check(struct world *w, uint64_t iova, uint64_t len, unsigned align,
                  enum iova_window win)
{
	uint64_t last = iova + len - 1;

	assert_true(shape_holds(w->shape, iova, last));
	assert_true(aligned_lg2(iova, align));
	if (win == IOVA_32BIT)
		assert_true(last <= UINT32_MAX);
	if (win >= IOVA_WINDOW)
		assert_true(iova >= w->window[win - IOVA_WINDOW].first &&
		            last <= w->window[win - IOVA_WINDOW].last);
	assert_int_equal(oracle_map(w->oracle, iova, last, iova, 3), 0);
}

static void alloc_some(struct world *w)
{
	enum iova_window win = rnd(w, 4) ? IOVA_ANY : 1 + (unsigned)rnd(w, 3);
	unsigned align = rnd(w, 8) ? 12 : 12 + (unsigned)rnd(w, 12);
	struct live *l = &w->live[w->nr];
	int rc;

	l->len = some_len(w);
	l->iova = 0;
	l->arena = rnd(w, 64) == 0;
	if (l->arena) {
		l->len = align_up(l->len,
		                  lg2_floor(iova_space_granule(w->space)));
		rc = iova_space_alloc(w->space, l->len, align, win, &l->iova);
	} else if (rnd(w, 4) == 0) {
		align = 12;
		rc = iova_alloc_like(w->cache[rnd(w, CACHES)], l->len,
		                     PAGE * rnd(w, 2048), win, &l->iova);
	} else {
		rc = iova_alloc(w->cache[rnd(w, CACHES)], l->len, align, win,
		                &l->iova);
	}
	if (rc) {
		assert_int_equal(rc, -ENOSPC);
		assert_int_equal(l->iova, 0);
		w->nr_nospc++;
		return;
	}
	check(w, l->iova, l->len, align, win);
	w->nr++;
}

static void give(struct world *w, uint64_t iova, uint64_t len)
{
	assert_int_equal(
	        oracle_unmap(w->oracle, iova, iova + len - 1, NULL, NULL), 0);
	iova_free(w->cache[rnd(w, CACHES)], iova, len);
}

static void drop(struct world *w, uint32_t i)
{
	w->live[i] = w->live[--w->nr];
}

/* With the neighbour behind it, when a few guesses find one. */
static void free_joined(struct world *w, uint32_t i)
{
	struct live *l = &w->live[i];

	for (uint32_t k = 0; k < 64 && w->nr > 1; k++) {
		uint32_t j = (uint32_t)rnd(w, w->nr);
		struct live *m = &w->live[j];

		if (m->arena || m->iova != l->iova + l->len)
			continue;
		l->len += m->len;
		i = i == w->nr - 1 ? j : i; /* where drop(j) moves it */
		drop(w, j);
		break;
	}
	give(w, w->live[i].iova, w->live[i].len);
	drop(w, i);
}

static void free_some(struct world *w)
{
	uint32_t i = (uint32_t)rnd(w, w->nr);
	struct live *l = &w->live[i];
	uint64_t part = PAGE * (1 + rnd(w, l->len / PAGE));

	if (l->arena) {
		assert_int_equal(oracle_unmap(w->oracle, l->iova,
		                              l->iova + l->len - 1, NULL, NULL),
		                 0);
		iova_space_free(w->space, l->iova, l->len);
		drop(w, i);
	} else if (part == l->len || rnd(w, 8)) {
		free_joined(w, i);
	} else if (rnd(w, 2)) {
		give(w, l->iova, part);
		l->iova += part;
		l->len -= part;
	} else {
		give(w, l->iova + l->len - part, part);
		l->len -= part;
	}
}

static void new_caches(struct world *w)
{
	for (uint32_t i = 0; i < CACHES; i++) {
		iova_cache_destroy(w->cache[i]);
		assert_int_equal(iova_cache_create(w->space, &w->cache[i]), 0);
	}
}

static void run(struct world *w, uint32_t ops)
{
	uint64_t first = iova_space_free_bytes(w->space);
	uint32_t target = LIVE / 2;

	new_caches(w);
	for (uint32_t op = 0; op < ops; op++) {
		if (op % 8192 == 0)
			target = 1 + (uint32_t)rnd(w, LIVE - 1);
		if (w->nr < LIVE &&
		    (!w->nr || rnd(w, 2 * LIVE) >= w->nr + LIVE - target))
			alloc_some(w);
		else
			free_some(w);
		if (op % 65536 == 0)
			new_caches(w);
	}
	while (w->nr)
		free_some(w);
	assert_int_equal(oracle_count(w->oracle), 0);
	for (uint32_t i = 0; i < CACHES; i++)
		iova_cache_destroy(w->cache[i]);
	assert_int_equal(iova_space_free_bytes(w->space), first);
}

/* A middle, and an end: they overlap. */
static void some_windows(struct world *w)
{
	const struct shape *s = w->shape;
	uint64_t first = s->r[0].first, last = s->r[s->nr - 1].last;
	uint64_t part = align_down((last - first) / 4, 12);

	w->window[0] =
	        (struct sluice_range){first + part, first + 3 * part - 1};
	w->window[1] = (struct sluice_range){first + 2 * part, last};
}

static void random_ops(void **state)
{
	const struct shape *shape = *state;
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->shape = shape;
	w->rng = 88172645463325252u;
	w->oracle = oracle_new();
	assert_non_null(w->oracle);
	some_windows(w);
	assert_int_equal(iova_space_create_windows(shape->r, shape->nr,
	                                           w->window, 2, &w->space),
	                 0);
	run(w, OPS / NR_OF(shapes) + 1);
	/* The smallest ones must have been used up on the way. */
	if (shape == &shapes[0] || shape == &shapes[1])
		assert_true(w->nr_nospc > 0);
	iova_space_destroy(w->space);
	oracle_free(w->oracle);
	free(w);
}

int main(void)
{
	struct CMUnitTest tests[NR_OF(shapes)];

	for (uint32_t i = 0; i < NR_OF(shapes); i++)
		tests[i] = (struct CMUnitTest){
		        .name = shapes[i].name,
		        .test_func = random_ops,
		        .initial_state = (void *)(uintptr_t)&shapes[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
