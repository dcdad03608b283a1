/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two things that must never be missing. marks: a walker marks a page dirty
 * just when its leaf is split, joined or given permissions; the harvest that
 * follows both counts it. grow: a page stays mapped while its table gets one
 * level after another.
 *
 * Arguments: marks, format, how many marks are to come amid a change; grow,
 * format, rounds. 0: fine, 1: missed, 2: usage, 77: no mark came amid a change.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "tests/mutants/marks.h"
#include "util/clock.h"

/* From the word that a change comes until it comes: the marker is there. */
#define LEAD_NS UINT64_C(1000)
/* Far above need: where nothing else runs, a tenth of a second does. */
#define LIMIT_NS UINT64_C(10000000000)

static struct {
	struct sluice_pt *pt;
	uint64_t len;
	uint64_t wanted; /* rounds, or marks that came amid a change */
	uint64_t hits;   /* such marks: the marker's */
	au64 nr;         /* rounds begun */
	au64 begins;     /* when the change does */
	au64 span;       /* how long one takes, in ns */
	au64 over;       /* changes made */
	au64 walked;     /* marks made, or who walks */
	au32 stop, wrong;
} world;

static uint64_t next_random(uint64_t *x)
{
	*x = *x * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *x >> 33;
}

/* Once in each round, at any moment of the change; again when the leaf is just
 * absent (Arm) or has become a table on the way to it. */
static void *marker(void *arg)
{
	uint64_t done = 0, idle = 0, x = 1;

	(void)arg;
	while (!ld_rlx(&world.stop)) {
		/* Pairs with one_round: the mapping is there. */
		uint64_t nr = ld_acq(&world.nr);
		uint64_t when;
		int err;

		if (nr == done) {
			/* The other may be waiting for this processor. */
			if (++idle % 4096 == 0)
				sched_yield();
			continue;
		}
		when = ld_rlx(&world.begins) +
		       next_random(&x) % (ld_rlx(&world.span) + 1);
		while (clock_ns() < when)
			cpu_relax();
		do {
			err = pt_set_dirty(world.pt->pt, PAGE);
		} while (err == -ENOENT || err == -EBUSY);
		if (err)
			st_rlx(&world.wrong, 1);
		world.hits += ld_rlx(&world.over) != nr &&
		              clock_ns() >= ld_rlx(&world.begins);
		done = nr;
		/* Pairs with one_round: the mark is made and counted. */
		st_rel(&world.walked, done);
	}
	return NULL;
}

/* A change that was interrupted says little about the next. */
static void learn_span(uint64_t ns)
{
	uint64_t span = ld_rlx(&world.span);

	if (ns < span)
		span -= (span - ns) / 8;
	else
		span += min_u64(ns - span, span) / 8 + 1;
	st_rlx(&world.span, span);
}

static void one_round(uint64_t r)
{
	unsigned what = marks_change(r, world.len);
	uint64_t begins;

	marks_map(world.pt, world.len, what);
	begins = clock_ns() + LEAD_NS;
	st_rlx(&world.begins, begins);
	/* Pairs with the marker. */
	st_rel(&world.nr, r + 1);
	while (clock_ns() < begins)
		cpu_relax();
	marks_disturb(world.pt, world.len, what);
	st_rlx(&world.over, r + 1);
	learn_span(clock_ns() - begins);
	for (unsigned i = 0; ld_acq(&world.walked) != r + 1; i++)
		if (i % 64 == 63)
			sched_yield();
	if (!marks_harvest(world.pt, world.len))
		st_rlx(&world.wrong, 1);
}

/* False: never did a mark come while a change was on, as may be where one
 * processor is all there is. */
static bool marks(void)
{
	uint64_t start = clock_ns(), r = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, marker, NULL))
		die("thread");
	while (world.hits < world.wanted && !ld_rlx(&world.wrong) &&
	       clock_ns() - start < LIMIT_NS)
		one_round(r++);
	st_rlx(&world.stop, 1);
	pthread_join(thread, NULL);
	printf("%llu rounds, %llu marks amid a change\n", (unsigned long long)r,
	       (unsigned long long)world.hits);
	return world.hits > 0;
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
	for (uint64_t r = 0; r < world.wanted && !ld_rlx(&world.wrong); r++) {
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
	struct sluice_pt_config cfg;
	bool is_grow = argc > 1 && strcmp(argv[1], "grow") == 0, ran = true;

	if (argc < 4 || !marks_config(argv[2], &cfg)) {
		fprintf(stderr, "usage: order_marks marks|grow FORMAT "
		                "NUMBER\n");
		return 2;
	}
	if (is_grow)
		cfg.iova_bits = 64;
	world.wanted = strtoull(argv[3], NULL, 0);
	world.len = marks_len(&cfg);
	if (sluice_pt_create(&cfg, &world.pt))
		die("set-up");
	if (is_grow)
		grow(&cfg);
	else
		ran = marks();
	sluice_pt_destroy(world.pt);
	if (ld_rlx(&world.wrong)) {
		fprintf(stderr, is_grow ? "order_marks: a page was missing\n"
		                        : "order_marks: a mark was lost\n");
		return 1;
	}
	if (!ran) {
		fprintf(stderr, "skipped: no mark came amid a change\n");
		return 77;
	}
	return 0;
}
