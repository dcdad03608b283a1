/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two things that must never be missing. marks: a walker marks a page dirty
 * just when its leaf is split, joined or given permissions; the harvest that
 * follows both counts it. grow: a page stays mapped while its table gets one
 * level after another.
 *
 * Arguments: marks|grow, format, rounds. 0: fine, 1: missed, 2: usage.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pagetable/pt_public.h"

#define PAGE UINT64_C(4096)
#define LEN (16 * PAGE) /* a contiguous entry where the format has one */
#define M2 (UINT64_C(1) << 21)

static struct {
	struct sluice_pt *pt;
	uint64_t len;
	uint64_t rounds;
	au64 nr;     /* rounds begun */
	au64 walked; /* marks made, or who walks */
	au32 stop, wrong;
} world;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "order_marks: %s: %s\n", what, msg_last());
	exit(1);
}

/* Once in each round; again when the leaf is just absent (Arm) or has become a
 * table on the way to it. */
static void *marker(void *arg)
{
	uint64_t done = 0, idle = 0;

	(void)arg;
	while (!ld_rlx(&world.stop)) {
		/* Pairs with one_round: the mapping is there. */
		uint64_t nr = ld_acq(&world.nr);
		int err;

		if (nr == done) {
			/* The other may be waiting for this processor. */
			if (++idle % 4096 == 0)
				sched_yield();
			continue;
		}
		for (uint64_t i = 0; i < nr * 7 % 64; i++)
			cpu_relax();
		do {
			err = pt_set_dirty(world.pt->pt, PAGE);
		} while (err == -ENOENT || err == -EBUSY);
		if (err)
			st_rlx(&world.wrong, 1);
		done = nr;
		/* Pairs with one_round: the mark is made. */
		st_rel(&world.walked, done);
	}
	return NULL;
}

static void do_map(bool pages)
{
	uint64_t step = pages ? PAGE : world.len;

	for (uint64_t at = 0; at < world.len; at += step)
		if (sluice_pt_map(world.pt, at, at, step, SLUICE_RW))
			die("map");
}

static void disturb(unsigned what)
{
	int64_t n = 0;

	if (what == 0)
		n = sluice_pt_split(world.pt, PAGE, PAGE);
	else if (what == 1)
		n = sluice_pt_promote(world.pt, 0, world.len);
	else
		n = sluice_pt_protect(world.pt, 0, world.len, SLUICE_RW);
	if (n < 0)
		die("change");
}

/* A table that becomes a leaf wants walkers that forget: not on x86. */
static void one_round(uint64_t r)
{
	unsigned what = (unsigned)(r % 3);

	if (what == 1 && world.len == M2)
		what = 2;
	do_map(what == 1);
	/* Pairs with the marker. */
	st_rel(&world.nr, r + 1);
	for (uint64_t i = 0; i < r % 61; i++)
		cpu_relax();
	disturb(what);
	for (unsigned i = 0; ld_acq(&world.walked) != r + 1; i++)
		if (i % 64 == 63)
			sched_yield();
	if (sluice_pt_dirty(world.pt, 0, world.len, 1) <= 0)
		st_rlx(&world.wrong, 1);
	if (sluice_pt_unmap(world.pt, 0, world.len, NULL, NULL) < 0)
		die("unmap");
}

static void marks(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, marker, NULL))
		die("thread");
	for (uint64_t r = 0; r < world.rounds && !ld_rlx(&world.wrong); r++)
		one_round(r);
	st_rlx(&world.stop, 1);
	pthread_join(thread, NULL);
}

static void *watcher(void *arg)
{
	(void)arg;
	while (!ld_rlx(&world.stop)) {
		struct sluice_pt_extent e;
		/* Pairs with the count in grow: there from here on. */
		uint64_t nr = ld_acq(&world.nr);

		if (nr % 2 == 0)
			continue;
		faa_sc(&world.walked, 1);
		/* Again, now that the table cannot go: pairs with grow. */
		if (ld_sc(&world.nr) == nr)
			for (unsigned i = 0; i < 64; i++)
				if (sluice_pt_walk(world.pt, 0, &e) || e.oa)
					st_rlx(&world.wrong, 1);
		faa_acqrel(&world.walked, (uint64_t)-1);
	}
	return NULL;
}

/* A new table in each round, of three levels at first. */
static void grow(struct sluice_pt_config *cfg)
{
	pthread_t thread;

	cfg->iova_bits = 64;
	if (pthread_create(&thread, NULL, watcher, NULL))
		die("thread");
	for (uint64_t r = 0; r < world.rounds && !ld_rlx(&world.wrong); r++) {
		struct sluice_pt *pt = world.pt;

		if (sluice_pt_map(pt, 0, 0, PAGE, SLUICE_RW))
			die("map");
		/* Odd: there is a table. Pairs with watcher. */
		faa_sc(&world.nr, 1);
		for (unsigned i = 0; i < 200 && !ld_rlx(&world.walked); i++)
			sched_yield();
		for (unsigned level = 0; level < 3; level++)
			if (sluice_pt_map(pt, bit64(9 * level + 39), 0, PAGE,
			                  SLUICE_RW))
				die("map");
		/* Even: who has not begun does not; wait for the others. */
		faa_sc(&world.nr, 1);
		while (ld_sc(&world.walked))
			sched_yield();
		sluice_pt_destroy(pt);
		if (sluice_pt_create(cfg, &world.pt))
			die("create");
	}
	st_rlx(&world.stop, 1);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	struct sluice_pt_config cfg = {0};
	int fmt;
	bool is_grow = argc > 1 && strcmp(argv[1], "grow") == 0;

	if (argc < 4 || (fmt = sluice_pt_format_by_name(argv[2])) < 0) {
		fprintf(stderr, "usage: order_marks marks|grow FORMAT "
		                "ROUNDS\n");
		return 2;
	}
	cfg.format = (enum sluice_pt_format)fmt;
	if (cfg.format == SLUICE_PT_ARM_LPAE_S1 ||
	    cfg.format == SLUICE_PT_RISCV)
		cfg.flags = SLUICE_PT_DIRTY;
	if (is_grow)
		cfg.iova_bits = 64;
	world.rounds = strtoull(argv[3], NULL, 0);
	world.len = cfg.format == SLUICE_PT_X86_64 ? M2 : LEN;
	if (sluice_pt_create(&cfg, &world.pt))
		die("set-up");
	if (is_grow)
		grow(&cfg);
	else
		marks();
	sluice_pt_destroy(world.pt);
	if (ld_rlx(&world.wrong)) {
		fprintf(stderr, is_grow ? "order_marks: a page was missing\n"
		                        : "order_marks: a mark was lost\n");
		return 1;
	}
	return 0;
}
