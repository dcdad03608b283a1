/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A domain that EAL knows: opening and closing.
 */
#include "dpdk_int.h"

#include <errno.h>
#include <stdlib.h>

static int check(const struct sluice_domain *domain,
                 const struct sluice_dpdk_cfg *cfg,
                 struct sluice_dpdk *const *ret)
{
	if (!domain || !ret)
		return fail(-EINVAL, "domain or ret_dpdk is NULL");
	if (cfg && cfg->flags & ~SLUICE_DPDK_MEMORY)
		return fail(-EINVAL, "unknown flags 0x%x", cfg->flags);
	return eal_check();
}

/* Nobody removes what was never there, so that -EOPNOTSUPP is about the
 * domain. */
static bool has_va_side(struct sluice_domain *domain)
{
	return sluice_foreign_remove(domain, 0, SLUICE_PAGE_SIZE) !=
	       -EOPNOTSUPP;
}

int sluice_dpdk_open(struct sluice_domain *domain,
                     const struct sluice_dpdk_cfg *cfg,
                     struct sluice_dpdk **ret_dpdk)
{
	struct sluice_domain_info info;
	struct sluice_dpdk *d;
	int rc = check(domain, cfg, ret_dpdk);

	if (rc)
		return rc;
	if (cfg && cfg->flags & SLUICE_DPDK_MEMORY && !has_va_side(domain))
		return fail(-EINVAL, "SLUICE_DPDK_MEMORY needs a domain with "
		                     "SLUICE_DOMAIN_VA_LOOKUP");
	d = calloc(1, sizeof(*d));
	if (!d)
		return fail(-ENOMEM, "no memory for a domain of EAL");
	sluice_domain_get_info(domain, &info);
	d->domain = domain;
	d->adopted = info.adopted;
	d->flags = cfg ? cfg->flags : 0;
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->arenas_lock, NULL);
	rc = telemetry_add(d);
	if (rc == 0) {
		rc = memory_start(d);
		if (rc)
			telemetry_remove(d);
	}
	if (rc) {
		free(d);
		return rc;
	}
	*ret_dpdk = d;
	return 0;
}

int sluice_dpdk_close(struct sluice_dpdk *d)
{
	int rc;

	if (!d)
		return 0;
	rc = arenas_drop_all(d);
	if (rc)
		return rc;
	memory_stop(d);
	telemetry_remove(d);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->arenas_lock);
	free(d);
	return 0;
}

uint32_t sluice_dpdk_id(const struct sluice_dpdk *d)
{
	return d->id;
}

void sluice_dpdk_get_info(struct sluice_dpdk *d, struct sluice_dpdk_info *ret)
{
	pthread_mutex_lock(&d->lock);
	*ret = d->info;
	pthread_mutex_unlock(&d->lock);
}
