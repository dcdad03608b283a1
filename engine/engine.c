/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine object: owner of the page pool and the list of lanes. Control
 * path only.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_LANES 64
#define MAX_LANES 256
#define DEFAULT_TABLE_BYTES (UINT64_C(4) << 30)

const char *sluice_version(void)
{
	return "0.1.0";
}

const char *sluice_errname(int err)
{
	return msg_errname(err);
}

int sluice_error_set(int err, const char *text)
{
	return msg_fmt(err, "%s", text ? text : "");
}

const char *sluice_last_error(void)
{
	return msg_last();
}

const char *sluice_backend_name(enum sluice_backend backend)
{
	switch (backend) {
	case SLUICE_BACKEND_SOFT:
		return "soft";
	case SLUICE_BACKEND_VFIO_TYPE1:
		return "type1";
	}
	return NULL;
}

static int check_cfg(struct sluice_engine_cfg *cfg)
{
	if (cfg->max_lanes == 0)
		cfg->max_lanes = DEFAULT_LANES;
	if (cfg->max_table_bytes == 0)
		cfg->max_table_bytes = DEFAULT_TABLE_BYTES;
	if (cfg->max_lanes > MAX_LANES)
		return msg_fmt(-EINVAL, "max_lanes is %u; use at most %u",
		               cfg->max_lanes, MAX_LANES);
	if (cfg->max_table_bytes < 16 * PAGEPOOL_PAGE)
		return msg_lit(-EINVAL,
		               "max_table_bytes is below 64 KiB; a domain "
		               "alone needs several 4 KiB tables");
	return 0;
}

int engine_foreign(void)
{
	return msg_lit(-EPERM, "this engine belongs to another process: it was "
	                       "opened before a fork(). Open one in this "
	                       "process, or use threads instead");
}

static void engine_free(struct sluice_engine *e)
{
	pagepool_destroy(e->pool);
	home_close(e->home);
	pthread_mutex_destroy(&e->lock);
	free(e->lanes);
	free(e);
}

int sluice_engine_open(const struct sluice_engine_cfg *cfg,
                       struct sluice_engine **ret_engine)
{
	struct sluice_engine *e;
	int rc;

	if (!ret_engine)
		return msg_lit(-EINVAL, "ret_engine is NULL");
	e = calloc(1, sizeof(*e));
	if (!e)
		return msg_lit(-ENOMEM, "no memory for an engine");
	if (cfg)
		e->cfg = *cfg;
	pthread_mutex_init(&e->lock, NULL);
	rc = check_cfg(&e->cfg);
	if (rc)
		goto fail;
	ticks_init();
	e->lanes = calloc(e->cfg.max_lanes, sizeof(struct sluice_lane *));
	rc = pagepool_create(e->cfg.max_table_bytes / PAGEPOOL_PAGE,
	                     PAGEPOOL_LG2, &e->pool);
	if (!e->lanes || rc) {
		rc = msg_lit(rc ? rc : -ENOMEM,
		             "cannot reserve address space for page tables; "
		             "lower max_table_bytes or raise ulimit -v");
		goto fail;
	}
	rc = home_open(&e->home);
	if (rc) {
		rc = msg_lit(rc, "no memory for an engine");
		goto fail;
	}
	*ret_engine = e;
	return 0;
fail:
	engine_free(e);
	return rc;
}

int sluice_engine_close(struct sluice_engine *e)
{
	if (!e)
		return 0;
	if (engine_check(e))
		return -EPERM;
	pthread_mutex_lock(&e->lock);
	if (e->nr_lanes || e->nr_domains) {
		int rc = msg_fmt(-EBUSY,
		                 "%u lanes and %u domains are open; close them "
		                 "before the engine",
		                 e->nr_lanes, e->nr_domains);

		pthread_mutex_unlock(&e->lock);
		return rc;
	}
	pthread_mutex_unlock(&e->lock);
	engine_free(e);
	return 0;
}
