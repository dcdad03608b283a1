/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The budget of a domain, as callers ask for it. What the numbers are is the
 * backend's business; a soft domain has no limit.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static uint64_t usable_bytes(const struct sluice_domain *d)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < d->nr_usable; i++) {
		uint64_t len = d->usable[i].last - d->usable[i].first;

		/* The whole of 64 bits has no number. */
		if (len == UINT64_MAX)
			return len;
		sum += len + 1;
	}
	return sum;
}

int sluice_domain_get_budget(struct sluice_domain *d,
                             struct sluice_budget *ret_budget)
{
	struct sluice_budget b = BE_BUDGET_FREE;

	if (!d || !ret_budget)
		return msg_lit(-EINVAL, "domain or ret_budget is NULL");
	b.pid = (uint32_t)getpid();
	pthread_mutex_lock(&d->lock);
	if (d->be)
		d->be->ops->budget(d->be, &b);
	b.usable_bytes = usable_bytes(d);
	b.nr_usable = d->nr_usable;
	pthread_mutex_unlock(&d->lock);
	*ret_budget = b;
	return 0;
}

uint32_t sluice_domain_usable(struct sluice_domain *d, struct sluice_range *out,
                              uint32_t max)
{
	uint32_t nr;

	if (!d)
		return 0;
	pthread_mutex_lock(&d->lock);
	nr = d->nr_usable;
	if (out && nr)
		memcpy(out, d->usable, min_u64(nr, max) * sizeof(*out));
	pthread_mutex_unlock(&d->lock);
	return nr;
}
