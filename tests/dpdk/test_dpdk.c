/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libsluice-dpdk on an EAL without hugepages and devices: arenas as external
 * memory, mbuf pools on them, EAL's memory in a domain's answers. Calls of EAL
 * that need hardware are replaced at link time, and checked there.
 */
#include "tests/dpdk/eal.h"

#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <rte_mempool.h>

static struct sluice_engine *engine;
static struct sluice_domain *domain;
static struct sluice_lane *lane;
static struct sluice_view *view;
static struct sluice_dpdk *dpdk;

/* ---- EAL's hardware side ---- */

static struct {
	struct rte_device *dev;
	void *va;
	uint64_t iova;
	size_t len;
	int nr; /* mapped now */
	int error;
} dma;

int __wrap_rte_dev_dma_map(struct rte_device *dev, void *va, uint64_t iova,
                           size_t len);
int __wrap_rte_dev_dma_unmap(struct rte_device *dev, void *va, uint64_t iova,
                             size_t len);
int __wrap_rte_mem_event_callback_register(const char *name,
                                           rte_mem_event_callback_t clb,
                                           void *arg);
int __wrap_rte_mem_event_callback_unregister(const char *name, void *arg);

int __wrap_rte_dev_dma_map(struct rte_device *dev, void *va, uint64_t iova,
                           size_t len)
{
	if (dma.error) {
		rte_errno = dma.error;
		return -1;
	}
	/* EAL's own condition: only what it knows can be mapped. */
	assert_non_null(rte_mem_virt2memseg_list(va));
	dma.dev = dev;
	dma.va = va;
	dma.iova = iova;
	dma.len = len;
	dma.nr++;
	return 0;
}

int __wrap_rte_dev_dma_unmap(struct rte_device *dev, void *va, uint64_t iova,
                             size_t len)
{
	if (dma.error) {
		rte_errno = dma.error;
		return -1;
	}
	assert_ptr_equal(dev, dma.dev);
	assert_ptr_equal(va, dma.va);
	assert_int_equal(iova, dma.iova);
	assert_int_equal(len, dma.len);
	dma.nr--;
	return 0;
}

static rte_mem_event_callback_t event;
static void *event_arg;
static int event_error, nr_events;

int __wrap_rte_mem_event_callback_register(const char *name,
                                           rte_mem_event_callback_t clb,
                                           void *arg)
{
	assert_true(strncmp(name, "sluice-", 7) == 0);
	if (event_error) {
		rte_errno = event_error;
		return -1;
	}
	nr_events++;
	if (!event) { /* that of the rig */
		event = clb;
		event_arg = arg;
	}
	return 0;
}

int __wrap_rte_mem_event_callback_unregister(const char *name, void *arg)
{
	(void)name;
	nr_events--;
	if (arg == event_arg)
		event = NULL;
	return 0;
}

/* ---- rig ---- */

static void up(uint32_t flags, uint32_t dpdk_flags)
{
	struct sluice_range reserved[16];
	const struct sluice_domain_cfg cfg = {
	        .flags = flags,
	        .reserved = reserved,
	        .nr_reserved = (uint32_t)sluice_dpdk_reserved(reserved, 16),
	};
	const struct sluice_dpdk_cfg dcfg = {.flags = dpdk_flags};

	assert_true(cfg.nr_reserved > 0 && cfg.nr_reserved <= 16);
	memset(&dma, 0, sizeof(dma));
	assert_int_equal(sluice_engine_open(NULL, &engine), 0);
	assert_int_equal(sluice_domain_create(engine, &cfg, &domain), 0);
	assert_int_equal(sluice_lane_open(engine, NULL, &lane), 0);
	assert_int_equal(sluice_view_open(lane, domain, &view), 0);
	assert_int_equal(sluice_dpdk_open(domain, &dcfg, &dpdk), 0);
}

static void down(void)
{
	assert_int_equal(sluice_dpdk_close(dpdk), 0);
	assert_int_equal(sluice_drain(lane, SECOND), 0);
	assert_int_equal(sluice_view_close(view), 0);
	assert_int_equal(sluice_lane_close(lane), 0);
	assert_int_equal(sluice_domain_destroy(domain), 0);
	assert_int_equal(sluice_engine_close(engine), 0);
	assert_int_equal(dma.nr, 0);
	assert_int_equal(nr_events, 0);
}

static struct sluice_arena *new_arena(uint64_t size, uint32_t no_huge)
{
	const struct sluice_arena_cfg cfg = {.size = size, .no_huge = no_huge};
	struct sluice_arena *arena;

	assert_int_equal(sluice_arena_create(domain, &cfg, &arena), 0);
	return arena;
}

static struct rte_device *null_dev(void)
{
	struct rte_eth_dev_info info;

	assert_int_equal(rte_eth_dev_info_get(0, &info), 0);
	return info.device;
}

/* EAL's IOVA of an address, as its drivers look it up. */
static uint64_t eal_iova(const void *va)
{
	const struct rte_memseg_list *msl = rte_mem_virt2memseg_list(va);
	const struct rte_memseg *ms = msl ? rte_mem_virt2memseg(va, msl) : NULL;

	return ms ? ms->iova +
	                    ((uintptr_t)va - (uintptr_t)ms->addr)
	          : RTE_BAD_IOVA;
}

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
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, NULL), 0);
	for (uint64_t at = 0; at < info.len; at += PAGE)
		assert_int_equal(eal_iova((char *)info.va + at),
		                 info.iova + at);
	sluice_dpdk_get_info(dpdk, &mine);
	assert_int_equal(mine.nr_arenas, 1);
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, NULL),
	                 -EEXIST);
	assert_int_equal(sluice_dpdk_arena_unregister(dpdk, arena), 0);
	assert_true(eal_iova(info.va) == RTE_BAD_IOVA);
	assert_int_equal(sluice_dpdk_arena_unregister(dpdk, arena), -ENOENT);
	sluice_dpdk_get_info(dpdk, &mine);
	assert_int_equal(mine.nr_arenas, 0);
	/* And once more: nothing was left behind. */
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, NULL), 0);
	assert_int_equal(sluice_dpdk_arena_destroy(dpdk, arena), 0);
	assert_true(eal_iova(info.va) == RTE_BAD_IOVA);
	assert_int_equal(dma.nr, 0);
	assert_int_equal(sluice_dpdk_arena_destroy(dpdk, NULL), 0);
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
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, dev),
	                 -ENOTSUP);
	says("net_null0");
	assert_true(eal_iova(info.va) == RTE_BAD_IOVA);
	dma.error = 0;
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, dev), 0);
	assert_int_equal(dma.nr, 1);
	assert_ptr_equal(dma.va, info.va);
	assert_int_equal(dma.iova, info.iova);
	assert_int_equal(dma.len, info.len);
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, dev),
	                 -EEXIST);
	/* What cannot be unmapped stays registered, and the domain open. */
	dma.error = EIO;
	assert_int_equal(sluice_dpdk_arena_destroy(dpdk, arena), -EIO);
	assert_int_equal(sluice_dpdk_close(dpdk), -EIO);
	assert_int_equal(eal_iova(info.va), info.iova);
	dma.error = 0;
	assert_int_equal(sluice_dpdk_arena_destroy(dpdk, arena), 0);
	assert_int_equal(dma.nr, 0);
	/* Closing unregisters the rest. */
	arena = new_arena(16 * PAGE, 1);
	sluice_arena_get_info(arena, &info);
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, NULL), 0);
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, dev), 0);
	assert_int_equal(dma.nr, 1);
	assert_int_equal(sluice_dpdk_close(dpdk), 0);
	assert_int_equal(dma.nr, 0);
	assert_true(eal_iova(info.va) == RTE_BAD_IOVA);
	assert_int_equal(sluice_dpdk_open(domain, NULL, &dpdk), 0);
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
	assert_int_equal(sluice_domain_create(engine, &cfg, &d), 0);
	assert_int_equal(sluice_arena_create(d, &acfg, &arena), 0);
	assert_int_equal(sluice_dpdk_open(d, NULL, &other), 0);
	assert_int_equal(sluice_dpdk_arena_register(other, arena, null_dev()),
	                 -EBUSY);
	says("sluice_dpdk_reserved");
	/* Another's arena. */
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, NULL),
	                 -EINVAL);
	says("another domain");
	assert_int_equal(sluice_dpdk_arena_register(dpdk, NULL, NULL),
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
	assert_int_equal(sluice_dpdk_pool_create(dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	says("register the arena");
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, NULL), 0);
	assert_int_equal(sluice_dpdk_pool_create(dpdk, arena, &cfg, &pool), 0);
	for (int i = 0; i < 200; i++) {
		m[i] = rte_pktmbuf_alloc(pool);
		assert_non_null(m[i]);
		assert_true(RTE_MBUF_HAS_PINNED_EXTBUF(m[i]));
		assert_int_equal(sluice_arena_iova(arena, m[i]->buf_addr,
		                                   &iova),
		                 0);
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
	assert_int_equal(sluice_dpdk_pool_create(dpdk, arena, &cfg, &pool),
	                 -EEXIST);
	rte_mempool_free(pool);
	cfg.nr_mbufs = 1000;
	assert_int_equal(sluice_dpdk_pool_create(dpdk, arena, &cfg, &pool),
	                 -ENOSPC);
	cfg.nr_mbufs = 0;
	assert_int_equal(sluice_dpdk_pool_create(dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	cfg.nr_mbufs = 1;
	cfg.data_room = 65500;
	assert_int_equal(sluice_dpdk_pool_create(dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	cfg.name = NULL;
	assert_int_equal(sluice_dpdk_pool_create(dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	assert_int_equal(sluice_dpdk_pool_create(dpdk, arena, NULL, &pool),
	                 -EINVAL);
	/* DPDK's own refusal: a cache larger than the pool. */
	cfg = (struct sluice_dpdk_pool_cfg){
	        .name = "c", .nr_mbufs = 2, .cache_size = 500, .socket = -1};
	assert_int_equal(sluice_dpdk_pool_create(dpdk, arena, &cfg, &pool),
	                 -EINVAL);
	says("rte_pktmbuf_pool_create_extbuf");
	assert_int_equal(sluice_dpdk_arena_destroy(dpdk, arena), 0);
	down();
}

/* ---- EAL's memory ---- */

static int64_t ask(const void *va, sluice_iova_t *iova)
{
	return sluice_va_to_iova(view, (uintptr_t)va, 1, iova);
}

static void poll_once(void)
{
	struct sluice_completion c;

	assert_int_equal(sluice_poll(lane, &c, 1), 0);
}

/* EAL never gives pages back without hugepages, so the test tells the events
 * for it; that they come is seen in the VM. */
static void memory_events(void **state)
{
	char *mem = rte_malloc(NULL, 4 * PAGE, PAGE);
	struct sluice_dpdk_info before, info;
	sluice_iova_t iova = 0;

	(void)state;
	assert_non_null(mem);
	up(SLUICE_DOMAIN_VA_LOOKUP, SLUICE_DPDK_MEMORY);
	/* There from the start: IOVA is VA here. */
	assert_int_equal(ask(mem + 5, &iova), 1);
	assert_int_equal(iova, (uintptr_t)mem + 5);
	sluice_dpdk_get_info(dpdk, &before);
	assert_int_equal(before.memory_bytes, 64 * (UINT64_C(1) << 20));
	assert_int_equal(before.memory_failures, 0);
	assert_int_equal(sluice_unmap(view, (uintptr_t)mem, PAGE, 0, NULL),
	                 -ENOENT);
	event(RTE_MEM_EVENT_FREE, mem + PAGE, 2 * PAGE, event_arg);
	poll_once();
	assert_int_equal(ask(mem, &iova), 1);
	assert_int_equal(ask(mem + PAGE, &iova), -EFAULT);
	assert_int_equal(ask(mem + 2 * PAGE, &iova), -EFAULT);
	assert_int_equal(ask(mem + 3 * PAGE, &iova), 1);
	sluice_dpdk_get_info(dpdk, &info);
	assert_int_equal(info.memory_bytes, before.memory_bytes - 2 * PAGE);
	event(RTE_MEM_EVENT_ALLOC, mem + 2 * PAGE, PAGE, event_arg);
	assert_int_equal(ask(mem + PAGE, &iova), -EFAULT);
	assert_int_equal(ask(mem + 2 * PAGE + 7, &iova), 1);
	assert_int_equal(iova, (uintptr_t)mem + 2 * PAGE + 7);
	/* Told twice: counted, and nothing changes. */
	event(RTE_MEM_EVENT_ALLOC, mem + 2 * PAGE, PAGE, event_arg);
	sluice_dpdk_get_info(dpdk, &info);
	assert_int_equal(info.memory_failures, 1);
	assert_int_equal(info.memory_bytes, before.memory_bytes - PAGE);
	/* With the end of the connection its answers end. */
	assert_int_equal(sluice_dpdk_close(dpdk), 0);
	assert_null(event);
	poll_once();
	assert_int_equal(ask(mem, &iova), -EFAULT);
	assert_int_equal(sluice_dpdk_open(domain, NULL, &dpdk), 0);
	/* Not asked for: nothing is told. */
	assert_int_equal(ask(mem, &iova), -EFAULT);
	down();
	rte_free(mem);
}

/* An arena that DPDK knows keeps the domain's own answer. */
static void arena_keeps_its_answer(void **state)
{
	struct sluice_arena_info info;
	struct sluice_arena *arena;
	sluice_iova_t iova = 0;

	(void)state;
	up(SLUICE_DOMAIN_VA_LOOKUP, SLUICE_DPDK_MEMORY);
	arena = new_arena(4 * PAGE, 1);
	sluice_arena_get_info(arena, &info);
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, NULL), 0);
	assert_int_equal(ask(info.va, &iova), 1);
	assert_int_equal(iova, info.iova);
	/* Opened while it is external memory: not EAL's. */
	assert_int_equal(sluice_dpdk_arena_destroy(dpdk, arena), 0);
	poll_once();
	assert_int_equal(ask(info.va, &iova), -EFAULT);
	down();
}

/* A heap of the user's, with IOVAs of his own. */
static void external_heap(void **state)
{
	const uint64_t size = 2 * M2;
	char *mem = aligned_alloc(M2, size);
	rte_iova_t at[2] = {0x7000000000, 0x7100000000};
	sluice_iova_t iova = 0;

	(void)state;
	assert_non_null(mem);
	assert_int_equal(rte_malloc_heap_create("mine"), 0);
	assert_int_equal(
	        rte_malloc_heap_memory_add("mine", mem, size, at, 2, M2), 0);
	up(SLUICE_DOMAIN_VA_LOOKUP, SLUICE_DPDK_MEMORY);
	assert_int_equal(ask(mem, &iova), 1);
	assert_int_equal(iova, at[0]);
	assert_int_equal(ask(mem + M2 + 9, &iova), 1);
	assert_int_equal(iova, at[1] + 9);
	event(RTE_MEM_EVENT_FREE, mem, size, event_arg);
	poll_once();
	assert_int_equal(ask(mem, &iova), -EFAULT);
	event(RTE_MEM_EVENT_ALLOC, mem, size, event_arg);
	assert_int_equal(ask(mem + M2, &iova), 1);
	assert_int_equal(iova, at[1]);
	down();
	assert_int_equal(rte_malloc_heap_memory_remove("mine", mem, size), 0);
	assert_int_equal(rte_malloc_heap_destroy("mine"), 0);
	free(mem);
}

/* ---- opening ---- */

static void refusals(void **state)
{
	const struct sluice_dpdk_cfg bad = {.flags = 0x80};
	const struct sluice_dpdk_cfg memory = {.flags = SLUICE_DPDK_MEMORY};
	struct sluice_domain *d[65];
	struct sluice_dpdk *open[64], *one = NULL;
	struct sluice_range r;

	(void)state;
	up(0, 0);
	assert_int_equal(sluice_dpdk_open(NULL, NULL, &one), -EINVAL);
	assert_int_equal(sluice_dpdk_open(domain, NULL, NULL), -EINVAL);
	assert_int_equal(sluice_dpdk_open(domain, &bad, &one), -EINVAL);
	assert_int_equal(sluice_dpdk_open(domain, NULL, &one), -EEXIST);
	assert_int_equal(sluice_dpdk_close(NULL), 0);
	/* How many, without room to say which. */
	assert_true(sluice_dpdk_reserved(NULL, 0) > 0);
	assert_int_equal(sluice_dpdk_reserved(&r, 1),
	                 sluice_dpdk_reserved(NULL, 0));
	for (int i = 0; i < 64; i++) {
		assert_int_equal(sluice_domain_create(engine, NULL, &d[i]), 0);
		assert_int_equal(sluice_dpdk_open(d[i], NULL, &open[i]),
		                 i < 63 ? 0 : -ENOSPC);
	}
	assert_int_equal(sluice_dpdk_close(open[7]), 0);
	assert_int_equal(sluice_dpdk_open(d[7], &memory, &one), -EINVAL);
	says("SLUICE_DOMAIN_VA_LOOKUP");
	event_error = ENOMEM;
	assert_int_equal(sluice_dpdk_open(d[7], NULL, &one), -ENOMEM);
	event_error = ENOTSUP; /* legacy memory: no events, but all the rest */
	assert_int_equal(sluice_dpdk_open(d[7], NULL, &open[7]), 0);
	event_error = 0;
	assert_int_equal(sluice_dpdk_id(open[7]), 8);
	for (int i = 0; i < 64; i++) {
		if (i < 63)
			assert_int_equal(sluice_dpdk_close(open[i]), 0);
		assert_int_equal(sluice_domain_destroy(d[i]), 0);
	}
	/* No container: EAL found no VFIO, or has no port in it. */
	assert_int_equal(sluice_dpdk_domain_create(engine, NULL, &d[0]),
	                 -ENODEV);
	down();
}

static void before_eal(void)
{
	struct sluice_dpdk *d = NULL;
	struct sluice_domain *dom = NULL;
	struct sluice_range r;

	if (sluice_dpdk_reserved(&r, 1) != -EOPNOTSUPP ||
	    sluice_dpdk_open((void *)&r, NULL, &d) != -EOPNOTSUPP ||
	    sluice_dpdk_domain_create((void *)&r, NULL, &dom) != -EOPNOTSUPP ||
	    !strstr(sluice_last_error(), "rte_eal_init")) {
		printf("FAILED: a call before rte_eal_init() was accepted\n");
		exit(1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(small_pages),
	        cmocka_unit_test(large_pages),
	        cmocka_unit_test(arena_for_a_device),
	        cmocka_unit_test(arena_on_eals_iova),
	        cmocka_unit_test(pool_on_an_arena),
	        cmocka_unit_test(memory_events),
	        cmocka_unit_test(arena_keeps_its_answer),
	        cmocka_unit_test(external_heap),
	        cmocka_unit_test(refusals),
	};
	int rc;

	before_eal();
	if (!eal_up())
		return 77;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	eal_down();
	return rc;
}
