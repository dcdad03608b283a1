/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table of single pages, kept by sluice or by one of the ways: the same
 * mappings, the same order, so that cases differ in nothing else. No page
 * continues another, so nothing is gained by extents or large leaves. Tables
 * stay from one repetition of a case to the next, because a million mappings
 * take some of them a second.
 */
#ifndef SLUICE_BENCH_PAGES_H
#define SLUICE_BENCH_PAGES_H

#include "bench/rig.h"

#include "yardstick/ways.h"

#define PAGES_BURST 64 /* operations between two polls */

/* The case is about nr pages that way keeps; NULL: sluice. */
struct pages_cfg {
	const struct way *way;
	uint64_t nr; /* a power of two */
};

struct pages {
	struct pages_cfg cfg;
	struct rig rig;  /* sluice */
	void *w;         /* a way */
	uint64_t serial; /* of the next output address */
	uint64_t at;     /* where in iova[] the case goes on */
	pthread_t churner;
	_Atomic int churn; /* 1 go on, 0 stop, -1 has stopped */
	uint64_t iova[];   /* in random order */
};

/* The table of cfg; the calling thread is inside. Ends the benchmark when it
 * cannot be made, NULL when the way cannot work here. */
struct pages *pages_get(const struct pages_cfg *cfg);
/* The calling thread leaves; the table stays. */
void pages_put(struct pages *p);

/* Another thread maps and unmaps a page in the same table, about a million
 * times a second, until pages_calm(). 0, or -1 where there is one processor. */
int pages_churn(struct pages *p);
void pages_calm(struct pages *p);

/* A new mapping of one page at *iova for a way, at an IOVA that is returned
 * for sluice; the caller's own view, NULL for a way. */
void pages_map(struct pages *p, struct sluice_view *view, uint64_t *iova,
               uint64_t serial);
void pages_unmap(struct pages *p, struct sluice_view *view, uint64_t iova);

#endif
