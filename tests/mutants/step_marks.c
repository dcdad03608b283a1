/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A walker's mark between any two looks of a change at the leaf: after one of
 * the accesses to it the page is marked (steps.h). No other thread, so neither
 * the load of the machine nor the number of its processors matters.
 * order_marks.c has the thread, for other processors and for what more than one
 * of them may see.
 *
 * Arguments: format. 0: fine, 1: missed, 2: usage, 77: no such steps here
 * (another processor, valgrind, ThreadSanitizer).
 */
#include "tests/pagetable/steps.h"

#ifndef HAVE_STEPS
#include <stdio.h>

int main(void)
{
	fprintf(stderr, "skipped: no single steps in this build\n");
	return 77;
}
#else

#include <errno.h>

#include "pagetable/pt_path.h"
#include "tests/mutants/marks.h"

/* What a vector instruction may reach from where it begins. */
#define REACH 64

static struct {
	struct sluice_pt *pt;
	uint64_t len;
	uintptr_t slot;       /* of the leaf */
	volatile uint64_t nr; /* accesses of this change to the slot */
	volatile uint64_t at; /* after which the mark comes */
	volatile int err;     /* 1: not yet asked for */
} world;

static bool is_away(int err)
{
	return err == 1 || err == -ENOENT || err == -EBUSY;
}

/* Again after the next access when the leaf is just absent (Arm) or has become
 * a table on the way to it. */
static void on_access(uintptr_t at)
{
	if (at + REACH <= world.slot || at >= world.slot + 8)
		return;
	if (world.nr++ >= world.at && is_away(world.err))
		world.err = pt_set_dirty(world.pt->pt, PAGE);
}

static void find_slot(void)
{
	const struct pt *pt = world.pt->pt;
	struct pt_path p;

	pt_path_start(pt, &p, PAGE);
	(void)pt_path_settle(pt->fmt, &pt->geo, &p, 0);
	world.slot = (uintptr_t)pt_path_slot(pt->fmt, &pt->geo, &p);
}

/* Was the mark made while the change was on? */
static bool one_round(unsigned what, uint64_t at)
{
	bool inside;

	marks_map(world.pt, world.len, what);
	find_slot();
	world.nr = 0;
	world.at = at;
	world.err = 1;
	steps_begin((void *)world.slot);
	marks_disturb(world.pt, world.len, what);
	steps_end();
	inside = world.err == 0;
	if (is_away(world.err))
		world.err = pt_set_dirty(world.pt->pt, PAGE);
	if (world.err)
		die("mark");
	if (!marks_harvest(world.pt, world.len)) {
		fprintf(stderr,
		        "step_marks: change %u lost the mark after access "
		        "%llu\n",
		        what, (unsigned long long)at);
		exit(1);
	}
	return inside;
}

/* False: no access was noticed. */
static bool all_steps(unsigned what)
{
	uint64_t nr, inside = 0;

	(void)one_round(what, UINT64_MAX);
	nr = world.nr;
	if (!nr)
		return false;
	for (uint64_t at = 0; at < nr; at++)
		inside += one_round(what, at);
	printf("change %u: %llu accesses, %llu marks amid them\n", what,
	       (unsigned long long)nr, (unsigned long long)inside);
	/* A change at least looks and writes. */
	if (inside < 2) {
		fprintf(stderr, "step_marks: the marks came too late\n");
		exit(1);
	}
	return true;
}

int main(int argc, char **argv)
{
	struct sluice_pt_config cfg;
	bool ran = true;

	if (argc < 2 || !marks_config(argv[1], &cfg)) {
		fprintf(stderr, "usage: step_marks FORMAT\n");
		return 2;
	}
	world.len = marks_len(&cfg);
	if (sluice_pt_create(&cfg, &world.pt))
		die("set-up");
	steps_catch(on_access);
	for (unsigned r = 0; r < NR_CHANGES && ran; r++)
		if (marks_change(r, world.len) == r)
			ran = all_steps(r);
	sluice_pt_destroy(world.pt);
	if (!ran) {
		fprintf(stderr, "skipped: the trap flag does nothing here\n");
		return 77;
	}
	return 0;
}
#endif
