/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages through page tables. Before each change one thread writes a note
 * beside it, in plain memory, and each note once; others walk, and read the
 * note of whatever they find. Only the order of the table's own words makes
 * that no race, so ThreadSanitizer judges them one by one: leaves of each way
 * to write them, claims, permissions, splits and promotions. A walk that finds
 * anything but what was mapped is wrong in every build.
 *
 * Arguments: the play, rounds. 0: fine, 1: a wrong walk, 2: usage.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pagetable/pt_public.h"

#define READERS 2u
/* Rounds more, of a millisecond or so each, for readers that did not run. */
#define MORE_ROUNDS 10000u
#define BLOCKS 4u
#define BLOCK_LG2 21u
#define PAGE UINT64_C(4096)
#define M2 (UINT64_C(1) << BLOCK_LG2)

enum way { MAP, CLAIM, NEAR, WINDOW };

enum change { NOTHING, PROTECT, SPLIT, PROMOTE };

struct play {
	const char *name;
	enum sluice_pt_format format;
	uint64_t len;   /* bytes of a map call */
	unsigned calls; /* map calls, one behind the other */
	enum way way;
	enum change change;
	bool breaks; /* pages may be absent for a moment */
};

static const struct play plays[] = {
        {"one", SLUICE_PT_X86_64, PAGE, 1, MAP, NOTHING, false},
        {"few", SLUICE_PT_X86_64, 8 * PAGE, 1, MAP, NOTHING, false},
        {"many", SLUICE_PT_X86_64, 100 * PAGE, 1, MAP, NOTHING, false},
        {"large", SLUICE_PT_X86_64, M2, 1, MAP, NOTHING, false},
        {"entry", SLUICE_PT_AMDV1, 16 * PAGE, 1, MAP, NOTHING, false},
        {"near", SLUICE_PT_X86_64, 2 * PAGE, 1, NEAR, NOTHING, false},
        {"near-page", SLUICE_PT_X86_64, PAGE, 1, NEAR, NOTHING, false},
        {"claim", SLUICE_PT_X86_64, 3 * PAGE, 1, CLAIM, NOTHING, false},
        {"protect", SLUICE_PT_X86_64, 4 * PAGE, 1, MAP, PROTECT, false},
        {"protect-break", SLUICE_PT_ARM_LPAE_S1, 16 * PAGE, 1, MAP, PROTECT,
         true},
        {"split", SLUICE_PT_X86_64, M2, 1, MAP, SPLIT, false},
        {"split-entry", SLUICE_PT_AMDV1, 16 * PAGE, 1, MAP, SPLIT, false},
        {"split-break", SLUICE_PT_ARM_LPAE_S1, M2, 1, MAP, SPLIT, true},
        {"promote", SLUICE_PT_X86_64, PAGE, 512, MAP, PROMOTE, false},
        {"promote-entry", SLUICE_PT_AMDV1, PAGE, 16, MAP, PROMOTE, false},
        {"promote-break", SLUICE_PT_ARM_LPAE_S1, PAGE, 16, MAP, PROMOTE, true},
        {"window", SLUICE_PT_X86_64, PAGE, 1, WINDOW, NOTHING, false},
        {"window-fill", SLUICE_PT_X86_64, 4 * PAGE, 1, WINDOW, NOTHING, false},
};

static struct {
	const struct play *play;
	struct sluice_pt *pt;
	struct pt_near near; /* the writer's */
	struct pt_window *window;
	uint64_t rounds; /* and more, where readers did not run */
	uint64_t most;
	uint64_t *map_note, *change_note; /* of each round */
	au32 stop, wrong;
	au64 steady[BLOCKS]; /* round + 1 while a block is mapped; no order */
	au64 seen, changed;  /* walks that found something, or a change */
} world;

static uint64_t play_len(void)
{
	return world.play->len * world.play->calls;
}

/* Rounds are told by the output address; 0 is no round. */
static uint64_t round_oa(uint64_t round)
{
	return (round + 1) << BLOCK_LG2;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "order_pt: %s: %s\n", what, msg_last());
	exit(1);
}

static bool is_changed(const struct sluice_pt_extent *e)
{
	switch (world.play->change) {
	case PROTECT:
		return e->prot == SLUICE_READ;
	case SPLIT:
		return e->len < world.play->len;
	case PROMOTE:
		return e->len > world.play->len;
	default:
		return false;
	}
}

/* The short way first, where the play goes through remembered tables. */
static int walk(struct pt_near *near, uint64_t iova, uint64_t *ret_oa,
                struct sluice_pt_extent *ret)
{
	struct pt_run run;
	uint64_t word;
	int err;

	if (world.play->way != NEAR) {
		err = sluice_pt_walk(world.pt, iova, ret);
		*ret_oa = err ? 0 : ret->oa + (iova - ret->iova);
		return err;
	}
	if (pt_near_find(near, iova, SLUICE_READ, &word)) {
		*ret_oa = pt_near_oa(near, word) | (iova & (PAGE - 1));
		faa_rlx(&world.changed, 1);
		return 0;
	}
	err = pt_walk_near(world.pt->pt, near, iova, &run);
	*ret_oa = err ? 0 : run.oa + (iova - run.iova);
	return err;
}

static void look(struct pt_near *near, uint64_t iova)
{
	au64 *steady = &world.steady[iova >> BLOCK_LG2];
	uint64_t before = ld_rlx(steady);
	struct sluice_pt_extent e;
	uint64_t oa, round;
	int err;

	/* Looks at steady on both sides of the walk, and hands nothing over
	 * that ThreadSanitizer would see. Pairs with one_round. */
	fence_sc();
	err = walk(near, iova, &oa, &e);
	if (err && before && before == ld_rlx(steady) && !world.play->breaks)
		st_rlx(&world.wrong, 1);
	if (err)
		return;
	round = (oa >> BLOCK_LG2) - 1;
	if ((oa & (M2 - 1)) != (iova & (M2 - 1)) || round >= world.most ||
	    round % BLOCKS != iova >> BLOCK_LG2) {
		st_rlx(&world.wrong, 1);
		return;
	}
	if (world.map_note[round] != round)
		st_rlx(&world.wrong, 1);
	faa_rlx(&world.seen, 1);
	if (!is_changed(&e))
		return;
	if (world.change_note[round] != round)
		st_rlx(&world.wrong, 1);
	faa_rlx(&world.changed, 1);
}

static void *reader(void *arg)
{
	uint64_t pages = play_len() / PAGE;
	uint64_t rng = 88172645463325252u + (uintptr_t)arg;
	struct pt_near near;

	if (pt_near_create(world.pt->pt, 16, &near))
		die("near");
	while (!ld_rlx(&world.stop) && !ld_rlx(&world.wrong)) {
		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		look(&near, (rng >> 32) % BLOCKS * M2 + rng % pages * PAGE);
	}
	pt_near_destroy(&near);
	return NULL;
}

static bool map_short(uint64_t round, uint64_t block)
{
	const struct play *p = world.play;
	uint64_t pages = p->len / PAGE, oa = round_oa(round);
	struct pt_run run;

	if (p->way == NEAR)
		return pt_walk_near(world.pt->pt, &world.near, block, &run) &&
		       (pages == 1 ? pt_near_map_page(&world.near, block, oa,
		                                      SLUICE_RW)
		                   : pt_near_map(&world.near, block, oa,
		                                 (unsigned)pages, SLUICE_RW));
	if (p->way == WINDOW && pages == 1)
		return pt_window_set(world.window, block / PAGE, oa, SLUICE_RW);
	return p->way == WINDOW &&
	       pt_window_fill(world.window, block / PAGE, pages, oa, SLUICE_RW);
}

static void do_map(uint64_t round, uint64_t block)
{
	const struct play *p = world.play;

	if (map_short(round, block))
		return;
	for (unsigned i = 0; i < p->calls; i++) {
		uint64_t at = block + i * p->len;
		uint64_t oa = round_oa(round) + i * p->len;
		int err = p->way == CLAIM
		                  ? pt_claim(world.pt->pt, world.pt->pc, at,
		                             at + p->len - 1, oa, SLUICE_RW)
		                  : sluice_pt_map(world.pt, at, oa, p->len,
		                                  SLUICE_RW);

		if (err)
			die("map");
	}
}

static void do_change(uint64_t block)
{
	int64_t n = 0;

	switch (world.play->change) {
	case PROTECT:
		n = sluice_pt_protect(world.pt, block, play_len(), SLUICE_READ);
		break;
	case SPLIT:
		n = sluice_pt_split(world.pt, block, PAGE);
		break;
	case PROMOTE:
		n = sluice_pt_promote(world.pt, block, play_len());
		break;
	default:
		break;
	}
	if (n < 0)
		die("change");
}

static void dwell(uint64_t round)
{
	if (round % 16 == 0)
		sched_yield();
	for (unsigned i = 0; i < round % 8 * 16; i++)
		cpu_relax();
}

static void one_round(uint64_t round)
{
	uint64_t block = round % BLOCKS * M2;
	au64 *steady = &world.steady[round % BLOCKS];

	st_rlx(steady, 0);
	fence_sc(); /* pairs with look */
	if (round >= BLOCKS &&
	    sluice_pt_unmap(world.pt, block, play_len(), NULL, NULL) !=
	            (int64_t)play_len())
		die("unmap");
	/* Tables go too, at times: links are made anew. */
	if (round % 8 == 0 && world.play->way < NEAR &&
	    sluice_pt_reclaim(world.pt, block, M2) < 0)
		die("reclaim");
	world.map_note[round] = round;
	do_map(round, block);
	fence_sc(); /* pairs with look */
	st_rlx(steady, round + 1);
	dwell(round);
	world.change_note[round] = round;
	do_change(block);
	dwell(round + 3);
}

static bool exercised(void)
{
	bool changes = world.play->change || world.play->way == NEAR;

	return ld_rlx(&world.seen) && (!changes || ld_rlx(&world.changed));
}

static void run(void)
{
	pthread_t thread[READERS];

	for (uintptr_t i = 0; i < READERS; i++)
		if (pthread_create(&thread[i], NULL, reader, (void *)i))
			die("thread");
	for (uint64_t r = 0; r < world.most && !ld_rlx(&world.wrong); r++) {
		if (r >= world.rounds) {
			if (exercised())
				break;
			usleep(1000);
		}
		one_round(r);
	}
	st_rlx(&world.stop, 1);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
}

static bool choose(const char *name)
{
	for (unsigned i = 0; i < NR_OF(plays); i++)
		if (strcmp(plays[i].name, name) == 0)
			world.play = &plays[i];
	return world.play;
}

int main(int argc, char **argv)
{
	struct sluice_pt_config cfg = {0};

	if (argc < 2 || !choose(argv[1])) {
		fprintf(stderr, "usage: order_pt PLAY [ROUNDS]\n");
		return 2;
	}
	world.rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 20000;
	cfg.format = world.play->format;
	world.most = world.rounds + MORE_ROUNDS;
	world.map_note = calloc(world.most, sizeof(uint64_t));
	world.change_note = calloc(world.most, sizeof(uint64_t));
	if (!world.map_note || !world.change_note ||
	    sluice_pt_create(&cfg, &world.pt) ||
	    pt_near_create(world.pt->pt, 16, &world.near))
		die("set-up");
	if (world.play->way == WINDOW &&
	    pt_window_open(world.pt->pt, world.pt->pc, 0, BLOCKS * M2 - 1,
	                   &world.window))
		die("window");
	run();
	pt_window_close(world.window);
	pt_near_destroy(&world.near);
	sluice_pt_destroy(world.pt);
	free(world.map_note);
	free(world.change_note);
	printf("%s: %llu found, %llu of them changed\n", world.play->name,
	       (unsigned long long)ld_rlx(&world.seen),
	       (unsigned long long)ld_rlx(&world.changed));
	if (ld_rlx(&world.wrong)) {
		fprintf(stderr, "order_pt: a walk found what was not mapped\n");
		return 1;
	}
	if (!exercised()) {
		fprintf(stderr, "order_pt: nothing was exercised\n");
		return 1;
	}
	return 0;
}
