/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much of a view stays within reach after its unmap, and for how long: the
 * distributions behind sluice_domain_get_exposure(). One writer counts, anybody
 * reads. Knows no view and no clock: it is handed ticks.
 *
 * The histograms are log-linear: numbers below 16 have a bucket each, larger
 * ones share eight buckets in each octave. What is reported of a bucket is its
 * last number, which is at most 1/8 above any number in it and never below.
 */
#ifndef SLUICE_ENGINE_EXPOSURE_H
#define SLUICE_ENGINE_EXPOSURE_H

#include <sluice/domain.h>
#include "util/util.h"

#define EXPOSURE_STEP_LG2 3
#define EXPOSURE_BUCKETS ((64 - EXPOSURE_STEP_LG2 + 1) << EXPOSURE_STEP_LG2)

/* Bytes are counted in pages: unmaps are whole pages, and small numbers are
 * kept exactly. */
enum exposure_of {
	EXPOSURE_ENTRIES,
	EXPOSURE_PAGES,
	EXPOSURE_TICKS,
	EXPOSURE_NR
};

/* Zeroes are empty. */
struct exposure {
	au64 max[EXPOSURE_NR];
	/* The writer's own: what was counted last, and where. */
	uint64_t entries, pages;
	uint32_t at[2];
	au64 bucket[EXPOSURE_NR][EXPOSURE_BUCKETS];
};

static inline uint32_t exposure_bucket(uint64_t v)
{
	uint32_t shift = 60u - (uint32_t)__builtin_clzll(v | 8);

	return (shift << EXPOSURE_STEP_LG2) + (uint32_t)(v >> shift);
}

/* The largest number that falls into a bucket. */
static inline uint64_t exposure_bucket_last(uint32_t bucket)
{
	uint32_t octave = bucket >> EXPOSURE_STEP_LG2;
	uint32_t shift = octave ? octave - 1 : 0;
	uint64_t step = bucket - (shift << EXPOSURE_STEP_LG2);

	return ((step + 1) << shift) - 1;
}

/* Counts v, n times. */
static inline void exposure_add(struct exposure *e, enum exposure_of of,
                                uint64_t v, uint64_t n)
{
	ctr_max(&e->max[of], v);
	ctr_add(&e->bucket[of][exposure_bucket(v)], n);
}

/* Another level than last time: sets what exposure_level() counts. */
void exposure_level_new(struct exposure *e, uint64_t entries, uint64_t pages);

/* Each unmap that passes is one sample of each kind. Those that began together
 * and pass together are counted with one addition. */
static inline void exposure_time(struct exposure *e, uint64_t since,
                                 uint64_t now, uint64_t nr)
{
	/* Clocks of two processors may differ by a little. */
	exposure_add(e, EXPOSURE_TICKS, now > since ? now - since : 0, nr);
}

static inline void exposure_level(struct exposure *e, uint64_t entries,
                                  uint64_t pages, uint64_t nr)
{
	/* Mostly as last time: a driver's bursts are all alike. */
	if (unlikely(entries != e->entries || pages != e->pages))
		exposure_level_new(e, entries, pages);
	ctr_add(&e->bucket[EXPOSURE_ENTRIES][e->at[EXPOSURE_ENTRIES]], nr);
	ctr_add(&e->bucket[EXPOSURE_PAGES][e->at[EXPOSURE_PAGES]], nr);
}

/* Adds what `from` counted. `to` is not written by anyone else meanwhile. */
void exposure_merge(struct exposure *to, const struct exposure *from);
/* In entries, bytes and nanoseconds. */
void exposure_report(const struct exposure *e,
                     struct sluice_exposure *ret_exposure);

#endif
