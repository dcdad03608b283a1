/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What EAL says of itself: whether it runs, which IOVAs are its own, its
 * default container. Domains in that are made here.
 */
#include "dpdk_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_memory.h>
#include <rte_vfio.h>

int fail(int err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sluice_error_set(err, text);
}

int eal_errno(void)
{
	return rte_errno > 0 ? -rte_errno : -EIO;
}

void eal_log(const char *fmt, ...)
{
	/* Registering a name again gives the same number. */
	int type = rte_log_register("lib.sluice");
	va_list ap;

	va_start(ap, fmt);
	rte_vlog(RTE_LOG_ERR, type < 0 ? RTE_LOGTYPE_USER1 : (unsigned int)type,
	         fmt, ap);
	va_end(ap);
}

int eal_check(void)
{
	/* Set by rte_eal_init(), which needs one at least. */
	if (rte_lcore_count() == 0)
		return fail(-EOPNOTSUPP,
		            "EAL does not run: call rte_eal_init() first");
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return fail(-EOPNOTSUPP, "this is a secondary process of "
		                         "DPDK: work in the primary");
	return 0;
}

/* ---- IOVAs that are EAL's ---- */

struct list {
	struct sluice_range *out;
	uint32_t max;
	uint32_t nr;
};

/* Ranges that continue each other become one. */
static void list_add(struct list *l, uint64_t first, uint64_t last)
{
	struct sluice_range *prev =
	        l->nr && l->nr <= l->max ? &l->out[l->nr - 1] : NULL;

	if (prev && prev->last + 1 == first) {
		prev->last = last;
		return;
	}
	if (l->nr < l->max)
		l->out[l->nr] = (struct sluice_range){first, last};
	l->nr++;
}

/* A list covers the addresses that were set aside for it, allocated or not. */
static int add_list(const struct rte_memseg_list *msl, void *arg)
{
	uint64_t base = (uintptr_t)msl->base_va;

	if (!msl->external && msl->len)
		list_add(arg, base, base + msl->len - 1);
	return 0;
}

/* Of external memory only heaps are mapped by EAL, at the IOVAs that came with
 * them. */
static int add_heap(const struct rte_memseg_list *msl,
                    const struct rte_memseg *ms, void *arg)
{
	if (msl->external && msl->heap && ms->iova != RTE_BAD_IOVA && ms->len)
		list_add(arg, ms->iova, ms->iova + ms->len - 1);
	return 0;
}

/* "100000000-53fffffff : System RAM"; zeroes for those who may not know. */
static int highest_ram(uint64_t *ret_last)
{
	FILE *f = fopen("/proc/iomem", "re");
	uint64_t first = 0, last = 0, top = 0;
	char line[128];

	if (!f)
		return fail(-ENOENT, "IOVA is PA, and there is no /proc/iomem "
		                     "to tell where RAM ends: start EAL with "
		                     "--iova-mode=va");
	while (fgets(line, sizeof(line), f))
		if (strstr(line, " : System RAM") &&
		    sscanf(line, " %" SCNx64 "-%" SCNx64, &first, &last) == 2 &&
		    last > top)
			top = last;
	fclose(f);
	if (top == 0)
		return fail(-EPERM, "IOVA is PA, and /proc/iomem tells "
		                    "addresses to root only: run as root, or "
		                    "start EAL with --iova-mode=va");
	*ret_last = top | (SLUICE_PAGE_SIZE - 1);
	return 0;
}

int sluice_dpdk_reserved(struct sluice_range *out, uint32_t max)
{
	struct list l = {.out = out, .max = max};
	int rc = eal_check();

	if (rc)
		return rc;
	if (rte_eal_iova_mode() == RTE_IOVA_VA) {
		rte_memseg_list_walk(add_list, &l);
	} else {
		uint64_t last = 0;

		rc = highest_ram(&last);
		if (rc)
			return rc;
		list_add(&l, 0, last);
	}
	rte_memseg_walk(add_heap, &l);
	return (int)l.nr;
}

/* ---- its container ---- */

/* The caller's ranges, then EAL's; freed by the caller. */
static int join_reserved(const struct sluice_domain_cfg *cfg,
                         struct sluice_range **ret_all, uint32_t *ret_nr)
{
	struct sluice_range *all = NULL;
	uint32_t mine = cfg->nr_reserved, room = 64;
	int n;

	if (mine && !cfg->reserved)
		return fail(-EINVAL, "nr_reserved is set and reserved is NULL");
	for (;;) {
		all = calloc((size_t)mine + room, sizeof(*all));
		if (!all)
			return fail(-ENOMEM, "no memory for EAL's ranges");
		n = sluice_dpdk_reserved(all + mine, room);
		if (n < 0 || (uint32_t)n <= room)
			break;
		room = (uint32_t)n;
		free(all);
	}
	if (n < 0) {
		free(all);
		return n;
	}
	if (mine)
		memcpy(all, cfg->reserved, mine * sizeof(*all));
	*ret_all = all;
	*ret_nr = mine + (uint32_t)n;
	return 0;
}

int sluice_dpdk_domain_create(struct sluice_engine *engine,
                              const struct sluice_domain_cfg *cfg,
                              struct sluice_domain **ret_domain)
{
	struct sluice_domain_cfg c = {0};
	struct sluice_range *all = NULL;
	int rc = eal_check();

	if (rc)
		return rc;
	if (cfg)
		c = *cfg;
	c.backend = SLUICE_BACKEND_VFIO_TYPE1;
	c.flags |= SLUICE_DOMAIN_ADOPT;
	c.container_fd = rte_vfio_get_container_fd();
	if (c.container_fd < 0)
		return fail(-ENODEV,
		            "EAL has no VFIO container: load vfio-pci before "
		            "rte_eal_init(), and bind a port to it");
	rc = join_reserved(&c, &all, &c.nr_reserved);
	if (rc)
		return rc;
	c.reserved = all;
	rc = sluice_domain_create(engine, &c, ret_domain);
	free(all);
	return rc;
}
