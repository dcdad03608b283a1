/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Domains: creation, groups in and out, statistics. Control path.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LOG 4096
#define DEFAULT_TLB 1024
#define DEFAULT_WALK 8192
#define DEFAULT_INFLIGHT 1024
#define MAX_BATCH_US 1000000u
#define MAX_BATCH 256u
#define DOMAIN_FLAGS                                                           \
	(SLUICE_DOMAIN_CALLER_IOVA | SLUICE_DOMAIN_VA_LOOKUP |                 \
	 SLUICE_DOMAIN_REVIVE | SLUICE_DOMAIN_NO_REVIVE | SLUICE_DOMAIN_ADOPT)

void domain_log(struct sluice_domain *domain, enum sluice_log_level level,
                const char *fmt, ...)
{
	const struct sluice_engine_cfg *cfg = &domain->engine->cfg;
	char text[256];
	va_list ap;

	if (!cfg->log)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cfg->log(cfg->log_ctx, level, text);
}

static int check_pow2(const char *what, uint32_t *v, uint32_t dflt,
                      uint32_t min, uint32_t max)
{
	if (*v == 0)
		*v = dflt;
	if (*v < min || *v > max || *v & (*v - 1))
		return msg_fmt(-EINVAL,
		               "%s is %u; use a power of two from %u to %u",
		               what, *v, min, max);
	return 0;
}

static int check_batch(const struct sluice_domain_cfg *cfg)
{
	if (cfg->batch_us > MAX_BATCH_US &&
	    cfg->batch_us != SLUICE_BATCH_NO_WAIT)
		return msg_fmt(-EINVAL,
		               "batch_us is %u; at most %u, or "
		               "SLUICE_BATCH_NO_WAIT",
		               cfg->batch_us, MAX_BATCH_US);
	if (cfg->batch_max > MAX_BATCH)
		return msg_fmt(-EINVAL, "batch_max is %u; at most %u",
		               cfg->batch_max, MAX_BATCH);
	return 0;
}

static int check_cfg(struct sluice_domain_cfg *cfg)
{
	int rc;

	if (!sluice_backend_name(cfg->backend))
		return msg_fmt(-EINVAL, "unknown backend %d",
		               (int)cfg->backend);
	if (cfg->mode != SLUICE_MODE_STRICT && cfg->mode != SLUICE_MODE_LAZY)
		return msg_fmt(-EINVAL, "unknown mode %d", (int)cfg->mode);
	if (cfg->flags & ~DOMAIN_FLAGS)
		return msg_fmt(-EINVAL, "unknown domain flags 0x%x",
		               cfg->flags);
	if (cfg->flags & SLUICE_DOMAIN_ADOPT &&
	    (cfg->backend != SLUICE_BACKEND_VFIO_TYPE1 ||
	     cfg->container_fd < 0))
		return msg_lit(-EINVAL, "SLUICE_DOMAIN_ADOPT needs "
		                        "SLUICE_BACKEND_VFIO_TYPE1 and the "
		                        "descriptor of a container");
	rc = revive_check(cfg);
	if (rc)
		return rc;
	if (cfg->first > cfg->last ||
	    !aligned_lg2(cfg->first, SLUICE_PAGE_LG2) ||
	    (cfg->last && !aligned_lg2(cfg->last + 1, SLUICE_PAGE_LG2)))
		return msg_lit(-EINVAL, "the aperture must be whole 4 KiB "
		                        "pages with first <= last (last is "
		                        "the last byte)");
	if (cfg->nr_reserved && !cfg->reserved)
		return msg_lit(-EINVAL, "nr_reserved is set and reserved is "
		                        "NULL");
	rc = check_pow2("log_records", &cfg->log_records, DEFAULT_LOG, 64,
	                1u << 20);
	if (rc == 0)
		rc = check_pow2("tlb_entries", &cfg->tlb_entries, DEFAULT_TLB,
		                16, 65536);
	if (rc == 0)
		rc = check_pow2("walk_entries", &cfg->walk_entries,
		                DEFAULT_WALK, 16, 1u << 20);
	if (rc)
		return rc;
	if (cfg->max_inflight == 0)
		cfg->max_inflight = DEFAULT_INFLIGHT;
	if (cfg->max_inflight > 1u << 15)
		return msg_fmt(-EINVAL, "max_inflight is %u; at most 32768",
		               cfg->max_inflight);
	cfg->max_inflight = 1u << lg2_ceil(cfg->max_inflight);
	if (cfg->lazy_entries == 0)
		cfg->lazy_entries = 256;
	if (cfg->lazy_bytes == 0)
		cfg->lazy_bytes = 16u << 20;
	if (cfg->lazy_us == 0)
		cfg->lazy_us = 1000;
	return check_batch(cfg);
}

static int copy_reserved(struct sluice_domain_cfg *cfg)
{
	struct sluice_range *copy;

	if (!cfg->nr_reserved) {
		cfg->reserved = NULL; /* the caller's: not ours to free */
		return 0;
	}
	copy = calloc(cfg->nr_reserved, sizeof(*copy));
	if (!copy)
		return msg_lit(-ENOMEM, "no memory for the reserved ranges");
	memcpy(copy, cfg->reserved, cfg->nr_reserved * sizeof(*copy));
	cfg->reserved = copy;
	return 0;
}

static void domain_free(struct sluice_domain *d)
{
	if (d->be)
		d->be->ops->destroy(d->be);
	domain_reap(d, true);
	pt_destroy(d->pt, &d->pc);
	pt_destroy(d->rev, &d->pc);
	pagecache_drain(&d->pc);
	iova_space_destroy(d->iova);
	invlog_destroy(d->log);
	free(d->views);
	free(d->groups);
	free(d->usable);
	free((void *)(uintptr_t)d->cfg.reserved);
	free((void *)(uintptr_t)d->cfg.windows);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static bool is_adopted(const struct sluice_domain *d)
{
	return d->cfg.flags & SLUICE_DOMAIN_ADOPT;
}

/* The owner's groups count as one that is always there. */
static int adopt(struct sluice_domain *d)
{
	int rc = 0;

	if (!d->be)
		rc = be_type1_adopt(d->cfg.container_fd, d->engine->cfg.log,
		                    d->engine->cfg.log_ctx, &d->be);
	if (rc == 0)
		rc = aperture_init(d);
	if (rc == 0)
		st_rlx(&d->nr_groups, 1);
	return rc;
}

/* Everything but the registration at the engine. */
/* VA -> IOVA. */
static const struct sluice_pt_config rev_table = {.format = SLUICE_PT_X86_64};

/* Lanes have one hand of pages each, and IOVA is handed out in 4 KiB. */
static int table_create(struct sluice_domain *d)
{
	struct sluice_pt_config cfg = {
	        .format = d->cfg.format,
	        .iova_bits = d->cfg.iova_bits,
	        /* A part of a mapping can be unmapped in any format alike. */
	        .flags = SLUICE_PT_NO_CONTIG,
	};
	unsigned lg2[2];
	int rc = pt_table_sizes(&cfg, lg2);

	if (rc)
		return rc;
	if (lg2[0] != PAGEPOOL_LG2 || lg2[1] != PAGEPOOL_LG2)
		return msg_fmt(-EINVAL,
		               "a domain needs a format with tables of 4 KiB, "
		               "which %s has not",
		               sluice_pt_format_name(cfg.format));
	return pt_create(&cfg, &d->pc, &d->pt);
}

static int domain_init(struct sluice_domain *d)
{
	const struct sluice_domain_cfg *cfg = &d->cfg;
	uint32_t lanes = d->engine->cfg.max_lanes;
	int rc;

	d->lazy_ticks = ticks_from_us(cfg->lazy_us);
	d->views = calloc(lanes, sizeof(struct sluice_view *));
	rc = d->views ? 0 : -ENOMEM;
	if (rc == 0)
		rc = table_create(d);
	if (rc == 0 && cfg->flags & SLUICE_DOMAIN_VA_LOOKUP)
		rc = pt_create(&rev_table, &d->pc, &d->rev);
	if (rc == 0)
		rc = invlog_create(cfg->log_records, lanes, &d->log);
	if (rc == -ENOMEM)
		return msg_lit(rc, "no memory for a domain: raise "
		                   "max_table_bytes in sluice_engine_cfg");
	if (rc)
		return rc;
	if (is_adopted(d))
		rc = adopt(d);
	else if (cfg->backend == SLUICE_BACKEND_VFIO_TYPE1 && !d->be)
		rc = be_type1_create(d->engine->cfg.log, d->engine->cfg.log_ctx,
		                     &d->be);
	if (rc)
		return rc;
	if (!d->be)
		return aperture_init(d);
	d->be->ops->tune(d->be, cfg->batch_us, cfg->batch_max,
	                 d->engine->cfg.no_io_uring ? UINT64_MAX
	                                            : cfg->prefault_bytes);
	return 0;
}

/* Nothing depends on the answer yet: no kernel has given it. */
static void ask_uring_cmd(struct sluice_domain *d)
{
	int rc;

	if (!d->be || !d->be->ops->uring_cmd || d->engine->cfg.no_io_uring)
		return;
	rc = d->be->ops->uring_cmd(d->be);
	d->uring_cmd = rc == 0;
	domain_log(d, SLUICE_LOG_INFO,
	           "the container %s IORING_OP_URING_CMD (%s); its calls are "
	           "made by a helper thread",
	           rc ? "does not take" : "takes", rc ? msg_errname(rc) : "ok");
}

int domain_create_on(struct sluice_engine *engine,
                     const struct sluice_domain_cfg *cfg, struct backend *be,
                     struct sluice_domain **ret_domain)
{
	struct sluice_domain *d;
	int rc;

	if (!engine || !ret_domain)
		return msg_lit(-EINVAL, "engine or ret_domain is NULL");
	if (engine_check(engine))
		return -EPERM;
	d = calloc(1, sizeof(*d));
	if (!d)
		return msg_lit(-ENOMEM, "no memory for a domain");
	d->engine = engine;
	if (cfg)
		d->cfg = *cfg;
	rc = check_cfg(&d->cfg);
	if (rc == 0)
		rc = aperture_copy_windows(&d->cfg);
	if (rc == 0) {
		rc = copy_reserved(&d->cfg);
		if (rc)
			free((void *)(uintptr_t)d->cfg.windows);
	}
	if (rc) {
		free(d);
		return rc;
	}
	pthread_mutex_init(&d->lock, NULL);
	pagecache_init(&d->pc, engine->pool);
	d->be = be;
	rc = domain_init(d);
	if (rc) {
		if (be)
			d->be = NULL;
		domain_free(d);
		return rc;
	}
	ask_uring_cmd(d);
	pthread_mutex_lock(&engine->lock);
	engine->nr_domains++;
	pthread_mutex_unlock(&engine->lock);
	*ret_domain = d;
	return 0;
}

int sluice_domain_create(struct sluice_engine *engine,
                         const struct sluice_domain_cfg *cfg,
                         struct sluice_domain **ret_domain)
{
	return domain_create_on(engine, cfg, NULL, ret_domain);
}

static int attach_locked(struct sluice_domain *d, struct sluice_group *group)
{
	uint32_t nr = ld_rlx(&d->nr_groups);
	int rc;

	/* Never shorter: release_groups() reads behind the end. */
	if (nr == d->room_groups) {
		struct sluice_group **list =
		        realloc(d->groups, (nr + 1) * sizeof(*list));

		if (!list)
			return msg_lit(-ENOMEM, "no memory for a group");
		d->groups = list;
		d->room_groups = nr + 1;
	}
	rc = attach_check(d, group);
	if (rc == 0)
		rc = d->be->ops->attach(d->be, group);
	if (rc)
		return rc;
	rc = d->iova || nr ? aperture_shrink(d) : aperture_init(d);
	if (rc) {
		(void)d->be->ops->detach(d->be, group, true);
		return rc;
	}
	grp_set_attached(group, d);
	d->groups[nr] = group;
	st_rlx(&d->nr_groups, nr + 1);
	return 0;
}

int sluice_domain_attach(struct sluice_domain *d, struct sluice_group *group)
{
	int rc;

	if (!d || !group)
		return msg_lit(-EINVAL, "domain or group is NULL");
	if (engine_check(d->engine) || grp_check(group))
		return -EPERM;
	if (!d->be)
		return msg_lit(-EINVAL, "a soft domain takes no group: create "
		                        "the domain with "
		                        "SLUICE_BACKEND_VFIO_TYPE1");
	if (is_adopted(d))
		return msg_lit(-EINVAL, "the domain's container belongs to "
		                        "somebody else, whose business its "
		                        "groups are: attach the group there, "
		                        "or to a domain of its own");
	if (grp_attached(group))
		return msg_fmt(-EBUSY,
		               "group %d is attached to %s domain: detach it "
		               "first",
		               sluice_group_id(group),
		               grp_attached(group) == d ? "this" : "another");
	pthread_mutex_lock(&d->lock);
	rc = attach_locked(d, group);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

static int detach_locked(struct sluice_domain *d, struct sluice_group *group,
                         bool drop)
{
	uint32_t i = 0, nr = ld_rlx(&d->nr_groups);
	int rc = d->be->ops->detach(d->be, group, drop);

	if (rc)
		return rc;
	while (d->groups[i] != group)
		i++;
	d->groups[i] = d->groups[nr - 1];
	st_rlx(&d->nr_groups, nr - 1);
	grp_set_attached(group, NULL);
	return 0;
}

int sluice_domain_detach(struct sluice_domain *d, struct sluice_group *group)
{
	int rc;

	if (!d || !group)
		return msg_lit(-EINVAL, "domain or group is NULL");
	if (engine_check(d->engine))
		return -EPERM;
	if (grp_attached(group) != d)
		return msg_lit(-ENOENT, "the group is not attached to this "
		                        "domain");
	pthread_mutex_lock(&d->lock);
	domain_reap(d, false);
	rc = device_none_open(d, group);
	if (rc == 0)
		rc = detach_locked(d, group, false);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

/* Lets every group go, or none: one whose devices are open stays, and the
 * others come back. From the end, so that the list still names those that have
 * left. */
static int release_groups(struct sluice_domain *d)
{
	uint32_t nr = ld_rlx(&d->nr_groups), i = nr;
	int rc = 0;

	if (is_adopted(d))
		return 0;
	while (i && rc == 0)
		rc = detach_locked(d, d->groups[--i], true);
	for (uint32_t k = i + 1; rc && k < nr; k++) {
		struct sluice_group *group = d->groups[k];

		if (attach_locked(d, group))
			domain_log(d, SLUICE_LOG_ERROR,
			           "group %d did not come back to its domain",
			           sluice_group_id(group));
	}
	/* Set last: coming back may have left another message. */
	return rc ? msg_fmt(rc,
	                    "a group does not leave the domain (%s): close the "
	                    "descriptors of its devices first",
	                    msg_errname(rc))
	          : 0;
}

int sluice_domain_destroy(struct sluice_domain *d)
{
	struct sluice_engine *engine;
	int rc = 0;

	if (!d)
		return 0;
	engine = d->engine;
	if (engine_check(engine))
		return -EPERM;
	pthread_mutex_lock(&d->lock);
	if (d->nr_views || d->nr_arenas || d->nr_carves)
		rc = msg_fmt(-EBUSY,
		             "the domain is in use by %u views, %u arenas and "
		             "%u carves: close and destroy them first",
		             d->nr_views, d->nr_arenas, d->nr_carves);
	else
		rc = device_none_open(d, NULL);
	if (rc == 0)
		rc = release_groups(d);
	pthread_mutex_unlock(&d->lock);
	if (rc)
		return rc;
	domain_free(d);
	pthread_mutex_lock(&engine->lock);
	engine->nr_domains--;
	pthread_mutex_unlock(&engine->lock);
	return 0;
}

void sluice_domain_get_info(struct sluice_domain *d,
                            struct sluice_domain_info *ret_info)
{
	pthread_mutex_lock(&d->lock);
	*ret_info = (struct sluice_domain_info){
	        .backend = d->cfg.backend,
	        .mode = d->cfg.mode,
	        .format = d->cfg.format,
	        .nr_groups = is_adopted(d) ? 0 : ld_rlx(&d->nr_groups),
	        .adopted = is_adopted(d),
	        .first = ld_rlx(&d->first),
	        .last = ld_rlx(&d->last),
	        .granule = d->iova ? iova_space_granule(d->iova) : 0,
	        .mappings_left =
	                d->be ? d->be->ops->mappings_left(d->be) : UINT64_MAX,
	        .uring_cmd = d->uring_cmd,
	};
	aperture_report(d, ret_info);
	pthread_mutex_unlock(&d->lock);
}

void sluice_domain_get_stats(struct sluice_domain *d,
                             struct sluice_domain_stats *ret_stats)
{
	struct be_counters be = {0};

	pthread_mutex_lock(&d->lock);
	*ret_stats = d->closed;
	for (uint32_t i = 0; i < d->engine->cfg.max_lanes; i++)
		if (d->views[i])
			view_stats_add(ret_stats, d->views[i]);
	pthread_mutex_unlock(&d->lock);
	if (d->be)
		d->be->ops->counters(d->be, &be);
	ret_stats->kernel_maps = be.kernel_maps;
	ret_stats->kernel_unmaps = be.kernel_unmaps;
	ret_stats->kernel_errors = be.kernel_errors;
	ret_stats->table_bytes = pagepool_used(d->engine->pool) * PAGEPOOL_PAGE;
	ret_stats->laggard_lane =
	        invlog_laggard(d->log, &ret_stats->laggard_records);
}
