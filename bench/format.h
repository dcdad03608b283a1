/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations on a bare table, the same for every format, through the public
 * API. Timing cases and instruction counts share them, so that both speak of
 * one thing. Knows neither clock nor harness.
 *
 * "Page" is the smallest leaf of the format; OAs are a page off, so that no
 * larger leaf fits where pages are wanted.
 */
#ifndef SLUICE_BENCH_FORMAT_H
#define SLUICE_BENCH_FORMAT_H

#include <sluice/pagetable.h>

#include <stdbool.h>

struct fmt_geometry {
	const char *name;
	bool nine_bits; /* tables of 512 slots: the bars are about these */
	struct sluice_pt_config cfg;
};

extern const struct fmt_geometry fmt_geometries[];
extern const unsigned nr_fmt_geometries;

#define FMT_WALKS 256u  /* pages that walks go through */
#define FMT_PIECES 16u  /* of a scatter list */
#define FMT_LISTS 64u   /* scatter lists at most */
#define FMT_EXTENTS 16u /* room of an unmap that asks for extents */

struct fmt_set {
	const struct fmt_geometry *geo;
	struct sluice_pt *pt;
	struct sluice_pt *cold; /* made by a bulk map */
	uint64_t page;
	uint64_t large; /* what one leaf above the pages covers; 0: no such */
	uint64_t base;
	uint64_t done; /* adds up what the operations returned */
	sluice_iova_t walk[FMT_WALKS];
	struct sluice_pt_seg seg[FMT_LISTS][FMT_PIECES];
};

/* What is measured is run() alone. All three make n operations. */
struct fmt_op {
	const char *name;
	uint64_t batch; /* the n that suits a clock */
	uint64_t few, many;
	void (*before)(struct fmt_set *s, uint64_t n);
	int (*run)(struct fmt_set *s, uint64_t n);
	void (*after)(struct fmt_set *s, uint64_t n);
	bool large; /* needs fmt_set.large */
};

extern const struct fmt_op fmt_ops[];
extern const unsigned nr_fmt_ops;

/* Ends the program when there is no memory. */
struct fmt_set *fmt_open(const struct fmt_geometry *geo);
void fmt_close(struct fmt_set *s);
bool fmt_has(const struct fmt_set *s, const struct fmt_op *op);

/* run() with what belongs around it; tick() is called before and after it. */
void fmt_once(struct fmt_set *s, const struct fmt_op *op, uint64_t n,
              void (*tick)(void *ctx), void *ctx);

#endif
