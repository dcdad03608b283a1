/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas as external memory of EAL, for devices and for none, and mbuf pools on
 * them.
 */
#include "tests/dpdk/rig.h"

#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

/* ---- arenas ---- */

static void arena_in_eal(uint64_t size, uint32_t no_huge)
{
	struct sluice_arena_info info;
	struct sluice_dpdk_info mine;
	struct sluice_arena *arena;

	up(0, 0);
	arena = new_arena(size, no_huge);
	sluice_arena_get_info(arena, &info);
	assert_true(eal_iova(info.va) == RTE_BAD_IOVA);
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, NULL), 0);
	for (uint64_t at = 0; at < info.len; at += PAGE)
		assert_int_equal(eal_iova((char *)info.va + at),
		                 info.iova + at);
	sluice_dpdk_get_info(rig.dpdk, &mine);
	assert_int_equal(mine.nr_arenas, 1);
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, NULL),
	                 -EEXIST);
	assert_int_equal(sluice_dpdk_arena_unregister(rig.dpdk, arena), 0);
	assert_true(eal_iova(info.va) == RTE_BAD_IOVA);
	assert_int_equal(sluice_dpdk_arena_unregister(rig.dpdk, arena),
	                 -ENOENT);
	sluice_dpdk_get_info(rig.dpdk, &mine);
	assert_int_equal(mine.nr_arenas, 0);
	/* And once more: nothing was left behind. */
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, NULL), 0);
	assert_int_equal(sluice_dpdk_arena_destroy(rig.dpdk, arena), 0);
	assert_true(eal_iova(info.va) == RTE_BAD_IOVA);
	assert_int_equal(dma.nr, 0);
	assert_int_equal(sluice_dpdk_arena_destroy(rig.dpdk, NULL), 0);
	down();
}

static void small_pages(void **state)
{
	(void)state;
	arena_in_eal(37 * PAGE, 1);
}

static void large_pages(void **state)
{
	(void)state;
	arena_in_eal(3 * M2, 0);
}

static void arena_for_a_device(void **state)
{
	struct rte_device *dev = null_dev();
	struct sluice_arena_info info;
	struct sluice_arena *arena;

	(void)state;
	up(0, 0);
	arena = new_arena(16 * PAGE, 1);
	sluice_arena_get_info(arena, &info);
	/* A refusal leaves nothing in EAL. */
	dma.error = ENOTSUP;
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, dev),
	                 -ENOTSUP);
	says("net_null0");
	assert_true(eal_iova(info.va) == RTE_BAD_IOVA);
	dma.error = 0;
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, dev), 0);
	assert_int_equal(dma.nr, 1);
	assert_ptr_equal(dma.va, info.va);
	assert_int_equal(dma.iova, info.iova);
	assert_int_equal(dma.len, info.len);
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, dev),
	                 -EEXIST);
	/* What cannot be unmapped stays registered, and the domain open. */
	dma.error = EIO;
	assert_int_equal(sluice_dpdk_arena_destroy(rig.dpdk, arena), -EIO);
	assert_int_equal(sluice_dpdk_close(rig.dpdk), -EIO);
	assert_int_equal(eal_iova(info.va), info.iova);
	dma.error = 0;
	assert_int_equal(sluice_dpdk_arena_destroy(rig.dpdk, arena), 0);
	assert_int_equal(dma.nr, 0);
	/* Closing unregisters the rest. */
	arena = new_arena(16 * PAGE, 1);
	sluice_arena_get_info(arena, &info);
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, NULL), 0);
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, dev), 0);
	assert_int_equal(dma.nr, 1);
	assert_int_equal(sluice_dpdk_close(rig.dpdk), 0);
	assert_int_equal(dma.nr, 0);
	assert_true(eal_iova(info.va) == RTE_BAD_IOVA);
	assert_int_equal(sluice_dpdk_open(rig.domain, NULL, &rig.dpdk), 0);
	sluice_arena_destroy(arena);
	down();
}

/* One address space with EAL's memory: two must not have one IOVA. */
static void arena_on_eals_iova(void **state)
{
	void *eals = rte_malloc(NULL, PAGE, PAGE);
	const uint64_t at = (uintptr_t)eals & ~(uint64_t)(PAGE - 1);
	const struct sluice_domain_cfg cfg = {
	        .first = at,
	        .last = at + 16 * PAGE - 1,
	};
	const struct sluice_arena_cfg acfg = {.size = PAGE, .no_huge = 1};
	struct sluice_arena *arena;
	struct sluice_domain *d;
	struct sluice_dpdk *other;

	(void)state;
	assert_non_null(eals);
	up(0, 0);
	assert_int_equal(sluice_domain_create(rig.engine, &cfg, &d), 0);
	assert_int_equal(sluice_arena_create(d, &acfg, &arena), 0);
	assert_int_equal(sluice_dpdk_open(d, NULL, &other), 0);
	assert_int_equal(sluice_dpdk_arena_register(other, arena, null_dev()),
	                 -EBUSY);
	says("sluice_dpdk_reserved");
	/* Another's arena. */
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, NULL),
	                 -EINVAL);
	says("another domain");
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, NULL, NULL),
	                 -EINVAL);
	assert_int_equal(sluice_dpdk_close(other), 0);
	sluice_arena_destroy(arena);
	assert_int_equal(sluice_domain_destroy(d), 0);
	down();
	rte_free(eals);
}

/* ---- pools ---- */

static void pool_on_an_arena(void **state)
{
	struct sluice_dpdk_pool_cfg cfg = {
	        .name = "on-arena", .nr_mbufs = 200, .socket = -1};
	struct rte_mbuf *m[201];
	struct rte_mempool *pool;
	struct sluice_arena *arena;
	sluice_iova_t iova;
	struct sluice_buf rest;

	(void)state;
	up(0, 0);
	arena = new_arena(M2, 1);
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, NULL), 0);
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, &cfg, &pool),
	                 0);
	for (int i = 0; i < 200; i++) {
		m[i] = rte_pktmbuf_alloc(pool);
		assert_non_null(m[i]);
		assert_true(RTE_MBUF_HAS_PINNED_EXTBUF(m[i]));
		assert_int_equal(
		        sluice_arena_iova(arena, m[i]->buf_addr, &iova), 0);
		assert_int_equal(m[i]->buf_iova, iova);
		assert_int_equal(rte_pktmbuf_iova(m[i]),
		                 iova + RTE_PKTMBUF_HEADROOM);
		assert_int_equal(eal_iova(m[i]->buf_addr), iova);
		assert_int_equal(m[i]->buf_len, RTE_MBUF_DEFAULT_BUF_SIZE);
		memset(m[i]->buf_addr, i, m[i]->buf_len);
	}
	assert_null(rte_pktmbuf_alloc(pool));
	/* No two share a byte, and what is carved later shares none. */
	assert_int_equal(sluice_arena_alloc(arena, PAGE, 0, &rest), 0);
	memset(rest.va, 255, PAGE);
	for (int i = 0; i < 200; i++) {
		const uint8_t *b = m[i]->buf_addr;

		assert_int_equal(b[0], i);
		assert_int_equal(b[m[i]->buf_len - 1], i);
		rte_pktmbuf_free(m[i]);
	}
	rte_mempool_free(pool);
	assert_int_equal(sluice_dpdk_arena_destroy(rig.dpdk, arena), 0);
	down();
}

static void pool_refusals(void **state)
{
	struct sluice_dpdk_pool_cfg cfg = {
	        .name = "refused", .nr_mbufs = 20, .socket = -1};
	struct rte_mempool *pool;
	struct sluice_arena *arena;

	(void)state;
	up(0, 0);
	arena = new_arena(M2, 1);
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	says("register the arena");
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, NULL), 0);
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, &cfg, &pool),
	                 0);
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, &cfg, &pool),
	                 -EEXIST);
	rte_mempool_free(pool);
	cfg.nr_mbufs = 1000;
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, &cfg, &pool),
	                 -ENOSPC);
	cfg.nr_mbufs = 0;
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	cfg.nr_mbufs = 1;
	cfg.data_room = 65500;
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	cfg.name = NULL;
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, NULL, &pool),
	                 -EINVAL);
	/* DPDK's own refusal: a cache larger than the pool. */
	cfg = (struct sluice_dpdk_pool_cfg){
	        .name = "c", .nr_mbufs = 2, .cache_size = 500, .socket = -1};
	assert_int_equal(sluice_dpdk_pool_create(rig.dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	says("rte_pktmbuf_pool_create_extbuf");
	assert_int_equal(sluice_dpdk_arena_destroy(rig.dpdk, arena), 0);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(small_pages),
	        cmocka_unit_test(large_pages),
	        cmocka_unit_test(arena_for_a_device),
	        cmocka_unit_test(arena_on_eals_iova),
	        cmocka_unit_test(pool_on_an_arena),
	        cmocka_unit_test(pool_refusals),
	};
	int rc;

	if (!eal_up())
		return 77;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	eal_down();
	return rc;
}
