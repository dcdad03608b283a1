/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes that call at random and write down what they called and were told: on
 * soft domains, one strict and one lazy, and on a kernel that exists only in
 * this process and refuses a call now and then. The judge (history_check.c)
 * then says whether every promise was kept.
 *
 * Arguments: soft|kernel, steps of all lanes, seed. Every step is remembered,
 * so SLUICE_STRESS_OPS, which counts what leaves no trace, does not apply.
 * 0: kept, 1: a promise was broken, or nothing was exercised.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/engine/history_play.h"
#include "tests/engine/krig.h"

struct world world;

static struct krig krig;

static void set_up(void)
{
	static const struct fake_vfio_cfg vfio = {.nr_groups = 2};
	struct sluice_domain_cfg cfg = {.log_records = 64,
	                                .tlb_entries = 64,
	                                .lazy_entries = 16,
	                                .max_inflight = 64};

	if (world.kernel) {
		krig_open(&krig, &vfio, &cfg, 0);
		assert_int_equal(
		        sluice_domain_attach(krig.r.domain, &krig.group[0]), 0);
		assert_int_equal(sluice_lane_close(krig.r.lane), 0);
		world.engine = krig.r.engine;
		world.domain[0] = krig.r.domain;
		world.nr_domains = 1;
		return;
	}
	world.nr_domains = 2;
	assert_int_equal(sluice_engine_open(NULL, &world.engine), 0);
	for (uint32_t d = 0; d < 2; d++) {
		cfg.mode = d ? SLUICE_MODE_LAZY : SLUICE_MODE_STRICT;
		assert_int_equal(sluice_domain_create(world.engine, &cfg,
		                                      &world.domain[d]),
		                 0);
	}
}

/* Every lane has left. */
static void tear_down(void)
{
	for (uint32_t d = 0; d < world.nr_domains; d++) {
		struct sluice_domain_stats st;
		uint64_t maps = 0, unmaps = 0;

		for (uint32_t i = 0; i < LANES; i++) {
			maps += world.worker[i].win[d].maps;
			unmaps += world.worker[i].win[d].unmaps;
		}
		sluice_domain_get_stats(world.domain[d], &st);
		if (st.maps != maps || st.unmaps != unmaps)
			broken("the domain has counted otherwise", 0);
		if (sluice_domain_destroy(world.domain[d]))
			broken("domain destroy", -EBUSY);
	}
	if (sluice_engine_close(world.engine))
		broken("engine close", -EBUSY);
}

static int verdict(void)
{
	uint64_t dones = 0, maps = 0, unmaps = 0;
	unsigned lane;
	size_t at;
	const char *wrong = history_check(world.lane, LANES, &lane, &at);

	if (wrong)
		fprintf(stderr, "history: lane %u, event %zu: %s\n", lane, at,
		        wrong);
	for (uint32_t i = 0; i < LANES; i++) {
		dones += world.worker[i].dones;
		maps += world.worker[i].refused_maps;
		unmaps += world.worker[i].refused_unmaps;
	}
	if (!wrong && !ld_rlx(&world.failed))
		tear_down();
	printf("%llu completions, %llu maps and %llu unmaps refused\n",
	       (unsigned long long)dones, (unsigned long long)maps,
	       (unsigned long long)unmaps);
	if (dones == 0 || (world.kernel && maps + unmaps == 0)) {
		fprintf(stderr, "history: nothing was exercised\n");
		return 1;
	}
	return wrong || ld_rlx(&world.failed);
}

int main(int argc, char **argv)
{
	uint64_t ops = argc > 2 ? strtoull(argv[2], NULL, 0) : 300000;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;

	world.kernel = argc > 1 && strcmp(argv[1], "kernel") == 0;
	set_up();
	for (uint32_t i = 0; i < LANES; i++) {
		struct worker *w = &world.worker[i];

		w->id = i;
		w->ops = ops / LANES;
		w->rng = seed * 0x9e3779b97f4a7c15u + i + 1;
		if (pthread_create(&w->thread, NULL, lane_main, w))
			abort();
	}
	for (uint32_t i = 0; i < LANES; i++)
		pthread_join(world.worker[i].thread, NULL);
	return verdict();
}
