/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arithmetic of a log-linear histogram. Knows no unit.
 */
#include "tools/hist.h"

#include <math.h>

#define STEPS (1u << HIST_STEP_LG2)

static unsigned bucket_of(uint64_t v)
{
	unsigned msb, range;

	if (v < STEPS)
		return (unsigned)v;
	msb = 63u - (unsigned)__builtin_clzll(v);
	range = msb - HIST_STEP_LG2 + 1;
	/* The top bit is implied by the range; the next six are the step. */
	return (range << HIST_STEP_LG2) +
	       (unsigned)((v >> (msb - HIST_STEP_LG2)) & (STEPS - 1));
}

uint64_t hist_bucket_first(unsigned bucket)
{
	unsigned range = bucket >> HIST_STEP_LG2;
	uint64_t step = bucket & (STEPS - 1);

	if (!range)
		return step;
	return (STEPS + step) << (range - 1);
}

uint64_t hist_bucket_last(unsigned bucket)
{
	if (bucket + 1 >= HIST_BUCKETS)
		return UINT64_MAX;
	return hist_bucket_first(bucket + 1) - 1;
}

void hist_add(struct hist *h, uint64_t value, uint64_t n)
{
	double v = (double)value, times = (double)n;

	if (!n)
		return;
	if (!h->count || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->count += n;
	h->sum += v * times;
	h->squares += v * v * times;
	h->bucket[bucket_of(value)] += n;
}

void hist_merge(struct hist *to, const struct hist *from)
{
	if (!from->count)
		return;
	if (!to->count || from->min < to->min)
		to->min = from->min;
	if (from->max > to->max)
		to->max = from->max;
	to->count += from->count;
	to->sum += from->sum;
	to->squares += from->squares;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t hist_percentile(const struct hist *h, double share)
{
	uint64_t want = (uint64_t)ceil(share * (double)h->count);
	uint64_t seen = 0;

	if (!h->count)
		return 0;
	if (!want)
		want = 1;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		uint64_t top = hist_bucket_last(i);

		seen += h->bucket[i];
		if (seen < want)
			continue;
		top = top > h->max ? h->max : top;
		return top < h->min ? h->min : top;
	}
	return h->max;
}

double hist_mean(const struct hist *h)
{
	return h->count ? h->sum / (double)h->count : 0.0;
}

double hist_stddev(const struct hist *h)
{
	double n = (double)h->count, mean, var;

	if (h->count < 2)
		return 0.0;
	mean = h->sum / n;
	var = h->squares / n - mean * mean;
	return var > 0.0 ? sqrt(var) : 0.0;
}
