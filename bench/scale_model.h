/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What misses cost on this machine, measured by chasing pointers, and what an
 * operation of sluice should cost when nothing but its misses grows. Knows
 * which lines an operation touches; runs no operation.
 */
#ifndef SLUICE_BENCH_SCALE_MODEL_H
#define SLUICE_BENCH_SCALE_MODEL_H

#include <stdint.h>

/* Where the lines lie among which one is chosen at random. */
enum touch {
	TOUCH_LINES, /* side by side, huge pages advised: tables */
	TOUCH_PAGES, /* one in each 4 KiB page, same offset: what each domain
	              * has once */
	NR_TOUCHES
};

/* Measures; most_lines bounds the memory that takes (64 bytes each). */
void model_open(uint64_t most_lines);
/* ns from load to use in that many lines, between what was measured. */
double model_touch(enum touch how, double lines);
void model_print(void);

struct model_cell {
	double pages;       /* in all */
	double domains;     /* that have pages */
	double tlb_entries; /* of a view */
	double picks;       /* addresses that come by in turn */
};

/* hit, miss: which of the two bases. Misses cost their latency, although the
 * processor overlaps those of independent translations: the bound is generous
 * there. */
double model_translate(const struct model_cell *c, double hit, double miss);
double model_pair(const struct model_cell *c, double pair);

#endif
