/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Subtrees that tables hold in common: three tables beside each other, each
 * with its model, played at random; what one does the others must not see.
 * Then the size that the feature is for. SLUICE_PLAY_OPS as in test_play.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "play.h"

#define TABLES 3u

struct party {
	struct game game[TABLES];
	uint64_t seed;
	bool can_share;
};

/* A range of whole tables in units. */
static bool random_range(struct party *p, uint64_t *ret_i, uint64_t *ret_n)
{
	const struct game *g = &p->game[0];
	uint64_t reach = sluice_pt_table_reach(g->pt);
	uint64_t units = reach >> g->m.unit_lg2;
	uint64_t slots;

	if (units == 0)
		units = 1;
	slots = UNITS / units;
	if (slots == 0)
		return false;
	*ret_n = 1 + rnd_below(&p->seed, slots < 40 ? slots : 40);
	/* Whole tables of the level above, too. */
	if (slots > 512 && rnd_below(&p->seed, 3) == 0)
		*ret_n = 512 * (1 + rnd_below(&p->seed, slots / 512));
	*ret_i = rnd_below(&p->seed, slots - *ret_n + 1) * units;
	if (*ret_n >= 512)
		*ret_i = *ret_i / 512 * 512;
	*ret_n *= units;
	/* The window may begin inside a table's reach. */
	return ((model_iova(&g->m, *ret_i) | (*ret_n << g->m.unit_lg2)) &
	        (reach - 1)) == 0;
}

static bool cut(const struct game *g, uint64_t i, uint64_t n)
{
	uint64_t units;

	if (g->m.unit[i].prot && model_leaf(&g->m, i, &units) != i)
		return true;
	i += n - 1;
	return g->m.unit[i].prot &&
	       model_leaf(&g->m, i, &units) + units > i + 1;
}

static void attach(struct party *p)
{
	unsigned a = (unsigned)rnd_below(&p->seed, TABLES);
	unsigned b =
	        (a + 1 + (unsigned)rnd_below(&p->seed, TABLES - 1)) % TABLES;
	struct game *g = &p->game[b];
	struct game *from = &p->game[a];
	bool taken = false;
	uint64_t i;
	uint64_t n;
	int want = 0;

	if (!random_range(p, &i, &n))
		return;
	if (!cut(g, i, n) && rnd_below(&p->seed, 8)) {
		CHECK(sluice_pt_detach(g->pt, model_iova(&g->m, i),
		                       n << g->m.unit_lg2) == 0);
		model_clear(&g->m, i, n);
	}
	for (uint64_t k = i; k < i + n; k++)
		taken |= g->m.unit[k].prot != 0;
	if (!p->can_share)
		want = -EOPNOTSUPP;
	else if (cut(from, i, n))
		want = -ERANGE;
	else if (taken)
		want = -EEXIST;
	CHECK(sluice_pt_attach(g->pt, from->pt, model_iova(&g->m, i),
	                       n << g->m.unit_lg2) == want);
	if (!want)
		memcpy(&g->m.unit[i], &from->m.unit[i], n * sizeof(*g->m.unit));
}

/* A reach of many tables that the whole window lies in: what is shared then has
 * levels of tables below it. */
static void attach_all(struct party *p)
{
	unsigned a = (unsigned)rnd_below(&p->seed, TABLES);
	struct game *g = &p->game[(a + 1) % TABLES];
	struct game *from = &p->game[a];
	unsigned lg2 =
	        63u - (unsigned)__builtin_clzll(sluice_pt_table_reach(g->pt));
	uint64_t bytes = UNITS << g->m.unit_lg2;
	uint64_t len;
	uint64_t iova;

	lg2 += 8 + (unsigned)rnd_below(&p->seed, 20);
	if (!p->can_share || lg2 > 62)
		return;
	len = (uint64_t)1 << lg2;
	iova = g->m.base & ~(len - 1);
	if (g->m.base + bytes - 1 > iova + len - 1 ||
	    len - 1 > g->info.max_iova)
		return;
	CHECK(sluice_pt_detach(g->pt, g->m.base, bytes) == 0);
	model_clear(&g->m, 0, UNITS);
	CHECK(sluice_pt_attach(g->pt, from->pt, iova, len) == 0);
	memcpy(g->m.unit, from->m.unit, UNITS * sizeof(*g->m.unit));
}

static void check_all(struct party *p)
{
	for (unsigned k = 0; k < TABLES; k++) {
		struct game *g = &p->game[k];
		const char *wrong = model_decode(&g->m, g->pt, &g->shape->cfg);

		if (wrong)
			fprintf(stderr, "decoder: %s\n", wrong);
		CHECK(!wrong);
		CHECK(model_agrees(&g->m, g->pt));
	}
}

static bool party_open(struct party *p, const struct play_start *at,
                       uint64_t seed)
{
	p->seed = seed;
	p->can_share = at->shape->cfg.format != SLUICE_PT_TCE &&
	               at->shape->cfg.format != SLUICE_PT_S390;
	for (unsigned k = 0; k < TABLES; k++) {
		struct game *g = &p->game[k];

		if (!play_open(g, at, seed + k))
			return false;
		if (k == 0)
			continue;
		sluice_pt_destroy(g->pt);
		CHECK(sluice_pt_create_beside(p->game[0].pt, g, &g->pt) == 0);
	}
	return true;
}

static void party_close(struct party *p)
{
	struct game *g = &p->game[0];
	struct sluice_pt_stats s;

	/* In any order; the last one alone has nothing shared left once it
	 * owns its tables. */
	for (unsigned k = 0; k < TABLES - 1; k++)
		play_close(&p->game[k]);
	g = &p->game[TABLES - 1];
	check_all(&(struct party){.game = {*g, *g, *g}});
	CHECK(sluice_pt_detach(g->pt, g->m.base, UNITS << g->m.unit_lg2) == 0);
	sluice_pt_get_stats(g->pt, &s);
	for (unsigned lg2 = 0; lg2 < 64; lg2++)
		CHECK(s.leaves[lg2] == 0);
	play_close(g);
}

static void play_format(int format, uint64_t ops)
{
	static struct play_start list[PLAY_GAMES_MAX];
	unsigned games = play_list(format, list, PLAY_GAMES_MAX);

	for (unsigned k = 0; k < games; k++) {
		struct party p;

		if (!party_open(&p, &list[k], 77 + k)) {
			continue;
		}
		for (uint64_t i = 0; i <= ops / games; i++) {
			uint64_t dice = rnd_below(&p.seed, 256);

			if (dice < 6)
				attach(&p);
			else if (dice < 8)
				attach_all(&p);
			else
				play_step(&p.game[rnd_below(&p.seed, TABLES)]);
			if (i % (1u << 14) == 999)
				check_all(&p);
		}
		check_all(&p);
		party_close(&p);
	}
}

static void test_play(void **state)
{
	uint64_t ops = play_number("SLUICE_PLAY_OPS", 4000000);

	(void)state;
	for (int format = 0; format < SLUICE_PT_NR_FORMATS; format++)
		play_format(format, ops / SLUICE_PT_NR_FORMATS);
}

#define TIB ((uint64_t)1 << 40)
#define MIB2 ((uint64_t)1 << 21)
#define TRIES 100
#define DOMAINS 8u

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t hold_all(struct sluice_pt **pt)
{
	uint64_t ns = now_ns();

	for (unsigned k = 1; k < DOMAINS; k++)
		assert_int_equal(sluice_pt_attach(pt[k], pt[0], TIB, TIB), 0);
	return now_ns() - ns;
}

/* 1 TiB of 2 MiB leaves, mapped once, held by eight. */
static void test_terabyte(void **state)
{
	struct sluice_pt_config cfg = {.format = SLUICE_PT_VTDSS};
	struct sluice_pt *pt[DOMAINS];
	struct sluice_pt_stats s;
	struct sluice_pt_extent e;
	uint64_t own = 0;
	uint64_t ns;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &pt[0]), 0);
	/* An output address that no larger leaf can have. */
	assert_int_equal(sluice_pt_map(pt[0], TIB, MIB2, TIB, SLUICE_RW), 0);
	for (unsigned k = 1; k < DOMAINS; k++)
		assert_int_equal(sluice_pt_create_beside(pt[0], NULL, &pt[k]),
		                 0);
	ns = hold_all(pt);
	/* Copying would take milliseconds each time; who was preempted, or is
	 * emulated beside others, may try again. */
	for (unsigned i = 0; i < TRIES && ns > 1000000; i++) {
		for (unsigned k = 1; k < DOMAINS; k++)
			assert_int_equal(sluice_pt_detach(pt[k], TIB, TIB), 0);
		ns = hold_all(pt);
	}
	for (unsigned k = 1; k < DOMAINS; k++) {
		sluice_pt_get_stats(pt[k], &s);
		assert_int_equal(s.leaves[21], TIB / MIB2);
		own += s.table_bytes - s.shared_bytes;
	}
	print_message("1 TiB held by %u more: %" PRIu64 " ns, %" PRIu64
	              " bytes\n",
	              DOMAINS - 1, ns, own);
	assert_in_range(ns, 0, 1000000);
	assert_in_range(own, 0, 1u << 20);
	/* A private change copies the path to it, and nothing else. */
	assert_int_equal(
	        sluice_pt_unmap(pt[3], TIB + 7 * MIB2, MIB2, NULL, NULL), MIB2);
	own = 0;
	for (unsigned k = 0; k < DOMAINS; k++) {
		int err = sluice_pt_walk(pt[k], TIB + 7 * MIB2, &e);

		assert_int_equal(err, k == 3 ? -ENOENT : 0);
		assert_int_equal(sluice_pt_walk(pt[k], TIB + 8 * MIB2, &e), 0);
		assert_int_equal(e.oa, MIB2 + 8 * MIB2);
	}
	sluice_pt_get_stats(pt[3], &s);
	assert_int_equal(s.table_bytes - s.shared_bytes, 3 * 4096);
	for (unsigned k = 0; k < DOMAINS; k++)
		sluice_pt_destroy(pt[k]);
}

static void test_refused(void **state)
{
	struct sluice_pt_config cfg = {.format = SLUICE_PT_VTDSS};
	struct sluice_pt *a;
	struct sluice_pt *b;
	struct sluice_pt *other;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &a), 0);
	assert_int_equal(sluice_pt_create_beside(a, NULL, &b), 0);
	assert_int_equal(sluice_pt_create(&cfg, &other), 0);
	assert_int_equal(sluice_pt_table_reach(a), MIB2);
	assert_int_equal(sluice_pt_attach(b, other, 0, MIB2), -EINVAL);
	assert_int_equal(sluice_pt_attach(b, b, 0, MIB2), -EINVAL);
	assert_int_equal(sluice_pt_attach(b, a, 4096, MIB2), -EINVAL);
	assert_int_equal(sluice_pt_attach(b, a, 0, MIB2 + 4096), -EINVAL);
	assert_int_equal(sluice_pt_attach(b, a, 0, 0), -EINVAL);
	assert_int_equal(sluice_pt_map(a, 0, 0, (uint64_t)1 << 30, SLUICE_RW),
	                 0);
	assert_int_equal(sluice_pt_attach(b, a, 0, MIB2), -ERANGE);
	assert_int_equal(sluice_pt_attach(b, a, 0, (uint64_t)1 << 30), 0);
	assert_int_equal(sluice_pt_attach(b, a, 0, (uint64_t)1 << 30), -EEXIST);
	assert_int_equal(sluice_pt_detach(b, MIB2, MIB2), -ERANGE);
	assert_int_equal(sluice_pt_attach(b, a, (uint64_t)1 << 48, MIB2),
	                 -EINVAL);
	sluice_pt_destroy(a);
	sluice_pt_destroy(other);
	sluice_pt_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_refused),
	        cmocka_unit_test(test_terabyte),
	        cmocka_unit_test(test_play),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
