/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading side of the exposure histograms: merges views and finds percentiles.
 * Not for lane paths.
 */
#include "engine/engine_int.h"

void exposure_merge(struct exposure *to, const struct exposure *from)
{
	for (int of = 0; of < EXPOSURE_NR; of++) {
		ctr_max(&to->max[of], ld_rlx(&from->max[of]));
		for (uint32_t i = 0; i < EXPOSURE_BUCKETS; i++)
			ctr_add(&to->bucket[of][i],
			        ld_rlx(&from->bucket[of][i]));
	}
}

void exposure_level_new(struct exposure *e, uint64_t entries, uint64_t pages)
{
	e->entries = entries;
	e->pages = pages;
	e->at[EXPOSURE_ENTRIES] = exposure_bucket(entries);
	e->at[EXPOSURE_PAGES] = exposure_bucket(pages);
	ctr_max(&e->max[EXPOSURE_ENTRIES], entries);
	ctr_max(&e->max[EXPOSURE_PAGES], pages);
}

static uint64_t count(const struct exposure *e, enum exposure_of of)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < EXPOSURE_BUCKETS; i++)
		n += ld_rlx(&e->bucket[of][i]);
	return n;
}

/* The smallest number that at least per_cent of all numbers do not exceed,
 * rounded up to the end of its bucket, but not over the largest number seen. */
static uint64_t percentile(const struct exposure *e, enum exposure_of of,
                           uint32_t per_cent)
{
	uint64_t n = count(e, of), seen = 0;
	/* n - n * (100 - per_cent) / 100, without the overflow. */
	uint64_t left =
	        n / 100 * (100 - per_cent) + n % 100 * (100 - per_cent) / 100;

	for (uint32_t i = 0; n && i < EXPOSURE_BUCKETS; i++) {
		seen += ld_rlx(&e->bucket[of][i]);
		if (seen >= n - left)
			return min_u64(exposure_bucket_last(i),
			               ld_rlx(&e->max[of]));
	}
	return 0;
}

void exposure_report(const struct exposure *e,
                     struct sluice_exposure *ret_exposure)
{
	struct sluice_exposure r = {
	        .entries = {percentile(e, EXPOSURE_ENTRIES, 50),
	                    percentile(e, EXPOSURE_ENTRIES, 99),
	                    ld_rlx(&e->max[EXPOSURE_ENTRIES])},
	        .bytes = {percentile(e, EXPOSURE_PAGES, 50) << SLUICE_PAGE_LG2,
	                  percentile(e, EXPOSURE_PAGES, 99) << SLUICE_PAGE_LG2,
	                  ld_rlx(&e->max[EXPOSURE_PAGES]) << SLUICE_PAGE_LG2},
	        .ns = {ticks_to_ns(percentile(e, EXPOSURE_TICKS, 50)),
	               ticks_to_ns(percentile(e, EXPOSURE_TICKS, 99)),
	               ticks_to_ns(ld_rlx(&e->max[EXPOSURE_TICKS]))},
	        .samples = count(e, EXPOSURE_TICKS),
	};

	*ret_exposure = r;
}

void sluice_domain_get_exposure(struct sluice_domain *domain,
                                struct sluice_exposure *ret_exposure)
{
	struct exposure sum = {0};

	pthread_mutex_lock(&domain->lock);
	exposure_merge(&sum, &domain->closed_exposure);
	for (uint32_t i = 0; i < domain->engine->cfg.max_lanes; i++)
		if (domain->views[i])
			exposure_merge(&sum, &domain->views[i]->exposure);
	pthread_mutex_unlock(&domain->lock);
	exposure_report(&sum, ret_exposure);
}
