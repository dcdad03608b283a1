/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The changes of leaves that must not lose a walker's mark: a split, a join,
 * other permissions. Knows nothing of when the walker comes; see order_marks.c
 * (another thread) and step_marks.c (between two instructions).
 */
#ifndef TESTS_MUTANTS_MARKS_H
#define TESTS_MUTANTS_MARKS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pagetable/pt_public.h"

#define PAGE UINT64_C(4096)
#define LEN (16 * PAGE) /* a contiguous entry where the format has one */
#define M2 (UINT64_C(1) << 21)
#define NR_CHANGES 3

static inline _Noreturn void die(const char *what)
{
	fprintf(stderr, "marks: %s: %s\n", what, msg_last());
	exit(1);
}

static inline uint64_t marks_len(const struct sluice_pt_config *cfg)
{
	return cfg->format == SLUICE_PT_X86_64 ? M2 : LEN;
}

/* False: no such format. */
static inline bool marks_config(const char *name, struct sluice_pt_config *cfg)
{
	int fmt = sluice_pt_format_by_name(name);

	if (fmt < 0)
		return false;
	*cfg = (struct sluice_pt_config){.format = (enum sluice_pt_format)fmt};
	if (cfg->format == SLUICE_PT_ARM_LPAE_S1 ||
	    cfg->format == SLUICE_PT_RISCV)
		cfg->flags = SLUICE_PT_DIRTY;
	return true;
}

/* A table that becomes a leaf wants walkers that forget: not on x86. */
static inline unsigned marks_change(uint64_t r, uint64_t len)
{
	unsigned what = (unsigned)(r % NR_CHANGES);

	return what == 1 && len == M2 ? 2 : what;
}

static inline void marks_map(struct sluice_pt *pt, uint64_t len, unsigned what)
{
	uint64_t step = what == 1 ? PAGE : len;

	for (uint64_t at = 0; at < len; at += step)
		if (sluice_pt_map(pt, at, at, step, SLUICE_RW))
			die("map");
}

static inline void marks_disturb(struct sluice_pt *pt, uint64_t len,
                                 unsigned what)
{
	int64_t n = 0;

	if (what == 0)
		n = sluice_pt_split(pt, PAGE, PAGE);
	else if (what == 1)
		n = sluice_pt_promote(pt, 0, len);
	else
		n = sluice_pt_protect(pt, 0, len, SLUICE_RW);
	if (n < 0)
		die("change");
}

/* Takes the mapping down; was the mark there? */
static inline bool marks_harvest(struct sluice_pt *pt, uint64_t len)
{
	bool found = sluice_pt_dirty(pt, 0, len, 1) > 0;

	if (sluice_pt_unmap(pt, 0, len, NULL, NULL) < 0)
		die("unmap");
	return found;
}

#endif
