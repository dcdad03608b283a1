/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One engine, one domain, one lane, one view: what most engine tests start
 * from. Brings cmocka with what it wants before it.
 */
#ifndef TESTS_ENGINE_RIG_H
#define TESTS_ENGINE_RIG_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <sluice/sluice.h>

#define PAGE 4096u
#define M2 (2u << 20)
#define RW SLUICE_RW
#define SECOND UINT64_C(1000000000)
/* For what must come, on a machine that is busy with others, too. */
#define PATIENCE (20 * SECOND)

struct rig {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_lane *lane;
	struct sluice_view *view;
};

static const struct sluice_domain_cfg caller_iova = {
        .flags = SLUICE_DOMAIN_CALLER_IOVA};

static inline void rig_up(struct rig *r, const struct sluice_domain_cfg *cfg)
{
	assert_int_equal(sluice_engine_open(NULL, &r->engine), 0);
	assert_int_equal(sluice_domain_create(r->engine, cfg, &r->domain), 0);
	assert_int_equal(sluice_lane_open(r->engine, NULL, &r->lane), 0);
	assert_int_equal(sluice_view_open(r->lane, r->domain, &r->view), 0);
}

static inline void rig_down(struct rig *r)
{
	assert_int_equal(sluice_drain(r->lane, PATIENCE), 0);
	assert_int_equal(sluice_view_close(r->view), 0);
	assert_int_equal(sluice_lane_close(r->lane), 0);
	assert_int_equal(sluice_domain_destroy(r->domain), 0);
	assert_int_equal(sluice_engine_close(r->engine), 0);
}

static inline int map(struct rig *r, uint64_t va, uint64_t len,
                      sluice_iova_t *iova)
{
	struct sluice_map_req req = {.va = va, .len = len, .prot = RW};

	return sluice_map(r->view, &req, iova);
}

static inline int map_fixed(struct rig *r, uint64_t va, uint64_t len,
                            sluice_iova_t iova)
{
	struct sluice_map_req req = {
	        .va = va, .len = len, .prot = RW, .flags = SLUICE_MAP_FIXED};

	return sluice_map(r->view, &req, &iova);
}

static inline int unmap(struct rig *r, sluice_iova_t iova, uint64_t len)
{
	return sluice_unmap(r->view, iova, len, 0, NULL);
}

static inline int64_t xlate(struct rig *r, sluice_iova_t iova, uint64_t len)
{
	sluice_oa_t oa = 0;

	return sluice_translate(r->view, iova, len, SLUICE_READ, &oa);
}

/* Makes the view a reader of the log: only those hold tickets up, and only for
 * them are records posted. The page is nobody's: page 0 is never mapped. */
static inline void start_reading(struct sluice_view *view)
{
	sluice_oa_t oa;

	assert_true(sluice_translate(view, 0, 1, SLUICE_READ, &oa) < 0);
}

static inline void assert_maps(struct rig *r, sluice_iova_t iova,
                               sluice_oa_t want)
{
	sluice_oa_t oa = 0;

	assert_int_equal(sluice_translate(r->view, iova, 1, RW, &oa), 1);
	assert_int_equal(oa, want);
}

#endif
