/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the ways of telling other lanes about an unmap have in common, for
 * docs/decisions/0009: lanes, domains, an IOTLB for each pair of them, and
 * four calls. Every lane has a view on every domain and is online all the
 * time. Knows no way and measures nothing.
 */
#ifndef SLUICE_BENCH_LOGS_LOGS_H
#define SLUICE_BENCH_LOGS_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotlb/iotlb.h"
#include "util/util.h"

#define MAX_LANES 64u
/* As in iotlb/: what different threads write lies two lines apart. */
#define APART (2 * CACHELINE)

struct shape {
	uint32_t lanes, domains;
	uint32_t records;            /* that a ring holds; a power of two */
	struct sluice_view_hot *hot; /* lanes * domains, by lane */
	au64 *flushes;               /* whole IOTLBs dropped, by lane */
};

static inline struct sluice_view_hot *hot_of(const struct shape *s,
                                             uint32_t lane, uint32_t domain)
{
	return &s->hot[(size_t)lane * s->domains + domain];
}

static inline void flush_counted(const struct shape *s, uint32_t lane,
                                 uint32_t domain)
{
	tlb_flush(hot_of(s, lane, domain));
	ctr_add(&s->flushes[lane], 1);
}

/* The promise of all: when passed() says so, each lane has polled since the
 * post and dropped what the records name. A reader that is overtaken by a
 * whole ring flushes. */
struct way {
	const char *name;
	/* Keeps a copy of the shape. */
	void *(*open)(const struct shape *shape);
	void (*close)(void *ctx);
	/* Returns the ticket, good for the passed() of that lane and domain. */
	uint64_t (*post)(void *ctx, uint32_t lane, uint32_t domain,
	                 const struct invlog_rec *rec, uint32_t n);
	/* All domains of the lane. */
	void (*poll)(void *ctx, uint32_t lane);
	bool (*passed)(void *ctx, uint32_t lane, uint32_t domain,
	               uint64_t ticket);
	/* What open() took. */
	size_t (*bytes)(const void *ctx);
};

extern const struct way way_domain, way_domain_sleep;
extern const struct way way_poster, way_poster_packed, way_poster_sleep;
extern const struct way way_inbox;

#define NR_WAYS 6
extern const struct way *const ways[NR_WAYS];

/* Zeroed and APART-aligned; ends the program when there is no memory. */
void *zalloc_lines(size_t size, size_t *sum);

/* The record of one page or more, as invlog_drain() drops it. */
static inline void drop_one(struct sluice_view_hot *hot, uint64_t first,
                            uint64_t last)
{
	struct sluice_tlb_entry *e =
	        &hot->tlb[(first >> SLUICE_PAGE_LG2) & hot->tlb_mask];

	if (unlikely((first ^ last) >> SLUICE_PAGE_LG2))
		tlb_drop(hot, first, last);
	else if (e->first == first)
		e->size[0] = e->size[1] = 0;
}

#endif
