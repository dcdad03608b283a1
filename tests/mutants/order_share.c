/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two tables hold a subtree, each with its own thread, and let it go without
 * meeting in between: one copies what both hold, the other finds itself the
 * last holder, takes the tables over and frees them, and whoever leaves the
 * family last frees everything. Nothing but the counters orders the two, so
 * ThreadSanitizer judges them: in most rounds one is told by a word without
 * order how far the other is, and comes after it, table by table or with all.
 *
 * Arguments: rounds. 0: fine, 1: a page is wrong or lost.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "pagetable/pt_public.h"

#define PAGE UINT64_C(4096)
#define G1 (UINT64_C(1) << 30)
#define M2 (UINT64_C(1) << 21)
#define TABLES 4u

/* What hold() does one after the other: tables, the way out, the end. */
enum { LEFT = TABLES, GONE, NR_STEPS };

/* Who comes late in a round, behind what of the other. */
enum late { NOBODY, STEP_BY_STEP, AFTER_TABLES, AFTER_ALL, NR_LATE };

static struct {
	struct sluice_pt *pt[2];
	uint64_t rounds;
	au64 begun, done;
	au64 steps[2]; /* done by each, in all rounds; no order */
	au32 wrong;
} world;

static void expect(bool fine)
{
	if (!fine)
		st_rlx(&world.wrong, 1);
}

static void before(unsigned id, uint64_t round, unsigned step)
{
	enum late late = (enum late)(round % NR_LATE);
	uint64_t behind = step;

	if (late == NOBODY || (round / NR_LATE & 1) != id)
		return;
	if (late == AFTER_TABLES)
		behind = TABLES - 1;
	else if (late == AFTER_ALL)
		behind = GONE;
	for (unsigned i = 0;
	     ld_rlx(&world.steps[!id]) <= round * NR_STEPS + behind; i++)
		if (i % 64 == 63)
			sched_yield();
}

static void after(unsigned id, uint64_t round, unsigned step)
{
	st_rlx(&world.steps[id], round * NR_STEPS + step + 1);
}

/* Every table is changed, so each is copied or taken over; then all goes. */
static void hold(unsigned id, uint64_t round)
{
	struct sluice_pt *pt = world.pt[id];
	struct sluice_pt_extent e;

	for (uint64_t i = 0; i < round * (5 + id * 2) % 97; i++)
		cpu_relax();
	for (unsigned t = 0; t < TABLES; t++) {
		before(id, round, t);
		uint64_t at = G1 + t * M2 + (8 + id) * PAGE;

		expect(sluice_pt_map(pt, at, at + id * G1, PAGE, SLUICE_RW) ==
		       0);
		expect(sluice_pt_walk(pt, at, &e) == 0 && e.oa == at + id * G1);
		expect(sluice_pt_walk(pt, at + PAGE - 2 * id * PAGE, &e) != 0);
		expect(sluice_pt_walk(pt, G1 + t * M2, &e) == 0 &&
		       e.oa == t * PAGE);
		after(id, round, t);
	}
	before(id, round, LEFT);
	expect(sluice_pt_detach(pt, G1, G1) == 0);
	expect(sluice_pt_reclaim(pt, G1, G1) >= 0);
	expect(sluice_pt_walk(pt, G1, &e) != 0);
	after(id, round, LEFT);
	before(id, round, GONE);
	sluice_pt_destroy(pt);
	after(id, round, GONE);
}

static void *other(void *arg)
{
	(void)arg;
	for (uint64_t r = 0; r < world.rounds; r++) {
		/* Pairs with one_round: the tables are there. */
		for (unsigned i = 0; ld_acq(&world.begun) != r + 1; i++)
			if (i % 64 == 63)
				sched_yield();
		hold(1, r);
		/* Pairs with one_round. */
		st_rel(&world.done, r + 1);
	}
	return NULL;
}

static void one_round(uint64_t r)
{
	const struct sluice_pt_config cfg = {.format = SLUICE_PT_X86_64,
	                                     .max_bytes = M2};

	if (sluice_pt_create(&cfg, &world.pt[0]) ||
	    sluice_pt_create_beside(world.pt[0], NULL, &world.pt[1]))
		abort();
	for (unsigned t = 0; t < TABLES; t++)
		expect(sluice_pt_map(world.pt[0], G1 + t * M2, t * PAGE, PAGE,
		                     SLUICE_RW) == 0);
	expect(sluice_pt_attach(world.pt[1], world.pt[0], G1, G1) == 0);
	/* Pairs with other. */
	st_rel(&world.begun, r + 1);
	hold(0, r);
	/* Pairs with other: its handles are closed. */
	for (unsigned i = 0; ld_acq(&world.done) != r + 1; i++)
		if (i % 64 == 63)
			sched_yield();
}

int main(int argc, char **argv)
{
	pthread_t thread;

	world.rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 2000;
	if (pthread_create(&thread, NULL, other, NULL))
		abort();
	for (uint64_t r = 0; r < world.rounds; r++)
		one_round(r);
	pthread_join(thread, NULL);
	if (ld_rlx(&world.wrong)) {
		fprintf(stderr, "order_share: a page is wrong\n");
		return 1;
	}
	return 0;
}
