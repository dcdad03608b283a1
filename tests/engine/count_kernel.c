/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations on a kernel domain below callgrind, for bench/count, on a VFIO
 * that exists only in this process: buffers in use again and again in lazy
 * mode, as `sluice bench --matrix` uses them. A pair is a map, an unmap and
 * their share of one poll for each burst of 64.
 */
#include "tests/engine/krig.h"

#include <stdio.h>
#include <valgrind/callgrind.h>

#define BURST 64u

struct pairs {
	struct krig k;
	uint64_t len;
	bool scattered; /* every second piece of the memory, in no order */
	sluice_iova_t iova[BURST];
};

static void burst(struct pairs *p, int mapped)
{
	int rc = 0;

	for (uint32_t i = 0; i < BURST; i++) {
		uint64_t at = p->scattered ? 2 * (5 * i % BURST) : i;
		struct sluice_map_req req = {
		        .va = VA + at * p->len, .len = p->len, .prot = RW};

		rc |= sluice_map(p->k.r.view, &req, &p->iova[i]);
	}
	if (mapped)
		assert_int_equal(rc, 0);
	else
		assert_int_equal(sluice_drain(p->k.r.lane, PATIENCE), 0);
	sluice_poll(p->k.r.lane, NULL, 0);
	for (uint32_t i = 0; i < BURST; i++)
		rc |= sluice_unmap(p->k.r.view, p->iova[i], p->len, 0, NULL);
	assert_true(rc >= 0);
}

static uint64_t revived(const struct pairs *p)
{
	struct sluice_domain_stats st;

	sluice_domain_get_stats(p->k.r.domain, &st);
	return st.revived;
}

static void count(struct pairs *p, const char *name, uint64_t nr)
{
	uint64_t before = revived(p);
	char label[64];

	snprintf(label, sizeof(label), "engine/%s %llu", name,
	         (unsigned long long)nr);
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
	for (uint64_t i = 0; i < nr; i += BURST)
		burst(p, 1);
	CALLGRIND_TOGGLE_COLLECT;
	CALLGRIND_DUMP_STATS_AT(label);
	/* Is it what its name says? */
	assert_int_equal(revived(p) - before, nr);
}

static void pairs(const char *name, uint64_t pages, bool scattered)
{
	/* Long: what is counted does not depend on the clock. */
	const struct sluice_domain_cfg cfg = {.backend =
	                                              SLUICE_BACKEND_VFIO_TYPE1,
	                                      .mode = SLUICE_MODE_LAZY,
	                                      .flags = SLUICE_DOMAIN_REVIVE,
	                                      .lazy_us = 60000000,
	                                      .lazy_bytes = UINT64_C(1) << 30,
	                                      .max_inflight = 4096};
	struct pairs p = {.len = pages * PAGE, .scattered = scattered};

	krig_up(&p.k, NULL, &cfg, 0);
	burst(&p, 0);
	/* To where batches are posted, and end, in their turn. */
	for (uint32_t i = 0; i < 16; i++)
		burst(&p, 1);
	count(&p, name, 8 * BURST);
	count(&p, name, 40 * BURST);
	krig_down(&p.k);
}

int main(void)
{
	if (!RUNNING_ON_VALGRIND) {
		fputs("to be run by bench/count\n", stderr);
		return 77;
	}
	pairs("kernel-revived-4k", 1, false);
	pairs("kernel-revived-4k-scattered", 1, true);
	pairs("kernel-revived-64k", 16, false);
	return 0;
}
