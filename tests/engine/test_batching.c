/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many unmaps share a call to a kernel whose calls take long, with and
 * without waiting for company, and what waiting costs a lane that only waits.
 * Lanes are threads; the kernel exists only in this process.
 */
#include "tests/engine/krig.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define BUFS 256u
#define CALL_US 30
#define MAX_LANES 4u
#define ROUND_NS (SECOND / 50)
#define TURNS 16
#define LOOKS 8
#define LONG_US 1000000u
/* A pair that takes longer was not alone here: unmaps that wait for 16 calls
 * meet nobody then. */
#define CALM_US (16 * CALL_US / 2)

struct worker {
	pthread_t thread;
	struct krig *k;
	uint64_t id;
	uint32_t depth;
	bool waits; /* for its unmaps, before it goes on */
	uint64_t until;
	uint64_t least; /* pairs */
	uint64_t due, maps_due, pairs;
};

struct outcome {
	double share; /* unmaps of each call */
	double pair_us;
};

static void reap(struct worker *w, struct sluice_lane *lane)
{
	struct sluice_completion c[64];
	uint32_t n = sluice_poll(lane, c, 64);

	for (uint32_t i = 0; i < n; i++) {
		if (c[i].result)
			abort();
		w->maps_due -= c[i].op == SLUICE_OP_MAP;
	}
	w->due -= n;
	if (n == 0)
		sched_yield();
}

static void one_round(struct worker *w, struct sluice_lane *lane,
                      struct sluice_view *view)
{
	sluice_iova_t iova[64];
	uint64_t at = VA + w->id * (UINT64_C(1) << 30);

	for (uint32_t i = 0; i < w->depth; i++) {
		struct sluice_map_req req = {
		        .va = at + (w->pairs + i) % BUFS * PAGE,
		        .len = PAGE,
		        .prot = RW,
		};

		while (sluice_map(view, &req, &iova[i]) != 1)
			reap(w, lane);
		w->due++;
		w->maps_due++;
	}
	while (w->maps_due)
		reap(w, lane);
	for (uint32_t i = 0; i < w->depth; i++) {
		while (sluice_unmap(view, iova[i], PAGE, 0, NULL) != 1)
			reap(w, lane);
		w->due++;
	}
	w->pairs += w->depth;
	do
		reap(w, lane);
	while (w->waits && w->due);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct sluice_lane *lane;
	struct sluice_view *view;

	if (sluice_lane_open(w->k->r.engine, NULL, &lane) ||
	    sluice_view_open(lane, w->k->r.domain, &view))
		abort();
	do
		one_round(w, lane, view);
	while (clock_ns() < w->until || w->pairs < w->least);
	if (sluice_drain(lane, PATIENCE) || sluice_view_close(view) ||
	    sluice_lane_close(lane))
		abort();
	return NULL;
}

static struct outcome measure(uint32_t batch_us, uint32_t lanes, uint32_t depth,
                              bool waits, uint64_t least)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        .flags = SLUICE_DOMAIN_NO_REVIVE,
	        .batch_us = batch_us,
	};
	struct worker w[MAX_LANES] = {{0}};
	uint64_t start, pairs = 0;
	struct outcome o;
	struct krig k;

	krig_up(&k, NULL, &cfg, 0);
	fake_vfio_slow(CALL_US, CALL_US);
	start = clock_ns();
	for (uint32_t i = 0; i < lanes; i++) {
		w[i] = (struct worker){.k = &k,
		                       .id = i,
		                       .depth = depth,
		                       .waits = waits,
		                       .least = least,
		                       .until = start + ROUND_NS};
		assert_int_equal(
		        pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (uint32_t i = 0; i < lanes; i++) {
		pthread_join(w[i].thread, NULL);
		pairs += w[i].pairs;
	}
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	o.share = (double)pairs / fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA);
	o.pair_us = (double)(clock_ns() - start) / 1e3 / (double)pairs;
	krig_down(&k);
	return o;
}

/* Without waiting and with, in turns; of each the fastest, which others on this
 * machine disturbed least. */
static void compare(uint32_t lanes, uint32_t depth, bool waits,
                    struct outcome best[2])
{
	static const uint32_t batch_us[] = {SLUICE_BATCH_NO_WAIT, 0};

	for (int n = 0; n < TURNS; n++) {
		for (int i = 0; i < 2; i++) {
			struct outcome o =
			        measure(batch_us[i], lanes, depth, waits, 0);

			if (n == 0 || o.pair_us < best[i].pair_us)
				best[i] = o;
		}
	}
	printf("%u lanes, depth %2u%s: %.1f unmaps a call at once, %.1f with "
	       "company; %.1f and %.1f us a pair\n",
	       lanes, depth, waits ? ", each waits" : "", best[0].share,
	       best[1].share, best[0].pair_us, best[1].pair_us);
}

/* Told to wait long, unmaps meet however busy the machine is. */
static void shares_if_told(void **state)
{
	double alone, met;

	(void)state;
	alone = measure(SLUICE_BATCH_NO_WAIT, 1, 1, false, 64).share;
	met = measure(LONG_US, 1, 1, false, 64).share;
	printf("%.1f unmaps a call at once, %.1f after a second at most\n",
	       alone, met);
	assert_true(met > 4 * alone);
}

/* By themselves they wait for as long as a few calls take. */
static void shares(void **state)
{
	struct outcome best[2];
	bool meet = false, calm = false;

	(void)state;
	for (int i = 0; i < LOOKS && !meet; i++) {
		compare(1, 1, false, best);
		meet = best[1].share > 1.4 * best[0].share;
		calm |= best[0].pair_us < CALM_US && best[1].pair_us < CALM_US;
	}
	if (!meet && !calm)
		print_message("not judged: this machine is too busy\n");
	assert_true(meet || !calm);
	/* Of many some meet anyway. */
	compare(1, 64, false, best);
	compare(4, 1, false, best);
	compare(4, 64, false, best);
}

/* A lane that waits for each of its unmaps loses nothing. */
static void alone_is_not_slower(void **state)
{
	struct outcome best[2];

	(void)state;
	/* Where the machine is busy this takes a few looks. */
	for (int i = 0; i < LOOKS; i++) {
		compare(1, 1, true, best);
		if (best[1].pair_us < 1.1 * best[0].pair_us)
			return;
	}
	fail_msg("a lane alone is slower");
}

static void knobs_are_checked(void **state)
{
	struct sluice_domain_cfg cfg = {.batch_us = 1000001};
	struct sluice_domain *d;
	struct rig r;

	(void)state;
	assert_int_equal(sluice_engine_open(NULL, &r.engine), 0);
	assert_int_equal(sluice_domain_create(r.engine, &cfg, &d), -EINVAL);
	cfg.batch_us = SLUICE_BATCH_NO_WAIT;
	cfg.batch_max = 257;
	assert_int_equal(sluice_domain_create(r.engine, &cfg, &d), -EINVAL);
	assert_non_null(strstr(sluice_last_error(), "batch_max"));
	cfg.batch_max = 256;
	assert_int_equal(sluice_domain_create(r.engine, &cfg, &d), 0);
	assert_int_equal(sluice_domain_destroy(d), 0);
	assert_int_equal(sluice_engine_close(r.engine), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(shares_if_told),
	        cmocka_unit_test(shares),
	        cmocka_unit_test(alone_is_not_slower),
	        cmocka_unit_test(knobs_are_checked),
	};

	/* Many engines, little in them. */
	krig_table_bytes = 16u << 20;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
