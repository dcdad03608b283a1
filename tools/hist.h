/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A histogram with logarithmic ranges of 64 linear steps each, so that every
 * percentile is at most 1/64 (1.6 %) too high, and never too low, over the
 * whole 64-bit range; below 128 it is exact. Values are plain numbers;
 * measurements here store picoseconds. Not thread-safe: one per thread, merged
 * at the end.
 */
#ifndef SLUICE_TOOLS_HIST_H
#define SLUICE_TOOLS_HIST_H

#include <stdint.h>

#define HIST_STEP_LG2 6
#define HIST_BUCKETS ((64 - HIST_STEP_LG2 + 1) << HIST_STEP_LG2)

/* Zeroes are an empty histogram. */
struct hist {
	uint64_t count;
	uint64_t min, max;
	double sum, squares;
	uint64_t bucket[HIST_BUCKETS];
};

/* Counts value n times. */
void hist_add(struct hist *h, uint64_t value, uint64_t n);
void hist_merge(struct hist *to, const struct hist *from);
/* Upper end of the bucket that holds the given share (0..1] of the values, at
 * most max; 0 when empty. */
uint64_t hist_percentile(const struct hist *h, double share);
double hist_mean(const struct hist *h);
double hist_stddev(const struct hist *h);

/* The lowest and highest value of a bucket. */
uint64_t hist_bucket_first(unsigned bucket);
uint64_t hist_bucket_last(unsigned bucket);

#endif
