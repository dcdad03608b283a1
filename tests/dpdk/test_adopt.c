/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A domain in "EAL's container", which is the fake VFIO's: EAL's
 * answer for its container is replaced at link time.
 */
/* Before util/, whose short names DPDK's headers use as words. */
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include <sluice/dpdk.h>
#include "tests/dpdk/eal.h"
#include "tests/engine/owner.h"

static int container = -1, nr_dma;
static rte_mem_event_callback_t event;
static void *event_arg;

int __wrap_rte_vfio_get_container_fd(void);
int __wrap_rte_dev_dma_map(struct rte_device *dev, void *va, uint64_t iova,
                           size_t len);
int __wrap_rte_dev_dma_unmap(struct rte_device *dev, void *va, uint64_t iova,
                             size_t len);
int __wrap_rte_mem_event_callback_register(const char *name,
                                           rte_mem_event_callback_t clb,
                                           void *arg);
int __wrap_rte_mem_event_callback_unregister(const char *name, void *arg);

int __wrap_rte_vfio_get_container_fd(void)
{
	return container;
}

int __wrap_rte_dev_dma_map(struct rte_device *dev, void *va, uint64_t iova,
                           size_t len)
{
	(void)dev, (void)va, (void)iova, (void)len;
	nr_dma++;
	return 0;
}

int __wrap_rte_dev_dma_unmap(struct rte_device *dev, void *va, uint64_t iova,
                             size_t len)
{
	(void)dev, (void)va, (void)iova, (void)len;
	nr_dma--;
	return 0;
}

int __wrap_rte_mem_event_callback_register(const char *name,
                                           rte_mem_event_callback_t clb,
                                           void *arg)
{
	(void)name;
	event = clb;
	event_arg = arg;
	return 0;
}

int __wrap_rte_mem_event_callback_unregister(const char *name, void *arg)
{
	(void)name, (void)arg;
	event = NULL;
	return 0;
}

/* Of the two parties. */
static struct owner owner;
static struct krig k;
static struct sluice_dpdk *dpdk;

/* May the allocator hand out any of it? */
static bool usable(uint64_t first, uint64_t last)
{
	const struct sluice_domain *d = k.r.domain;

	for (uint32_t i = 0; i < d->nr_usable; i++)
		if (ranges_overlap(first, last, d->usable[i].first,
		                   d->usable[i].last))
			return true;
	return false;
}

static void up(void)
{
	static const struct sluice_range mine = {0x200000000, 0x200000fff};
	const struct sluice_domain_cfg cfg = {
	        .flags = SLUICE_DOMAIN_VA_LOOKUP,
	        .reserved = &mine,
	        .nr_reserved = 1,
	};
	const struct sluice_dpdk_cfg dcfg = {.flags = SLUICE_DPDK_MEMORY};

	owner_up(&owner, NULL);
	container = owner.container;
	assert_int_equal(sluice_engine_open(NULL, &k.r.engine), 0);
	assert_int_equal(
	        sluice_dpdk_domain_create(k.r.engine, &cfg, &k.r.domain), 0);
	assert_int_equal(sluice_lane_open(k.r.engine, NULL, &k.r.lane), 0);
	assert_int_equal(sluice_view_open(k.r.lane, k.r.domain, &k.r.view), 0);
	assert_int_equal(sluice_dpdk_open(k.r.domain, &dcfg, &dpdk), 0);
	/* The caller's own range is kept out beside EAL's. */
	assert_true(usable(0x201000000, 0x201000fff));
	assert_false(usable(0x200000000, 0x200000fff));
}

static void down(void)
{
	assert_int_equal(sluice_dpdk_close(dpdk), 0);
	assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
	assert_int_equal(sluice_view_close(k.r.view), 0);
	assert_int_equal(sluice_lane_close(k.r.lane), 0);
	assert_int_equal(sluice_domain_destroy(k.r.domain), 0);
	assert_int_equal(sluice_engine_close(k.r.engine), 0);
	/* The owner's mapping, and nothing else. */
	assert_int_equal(fake_vfio_mappings(NULL, 0), 1);
	assert_int_equal(nr_dma, 0);
	container = -1;
	owner_down(&owner);
}

static struct sluice_arena *new_arena(struct sluice_arena_info *info)
{
	const struct sluice_arena_cfg cfg = {.size = 16 * PAGE, .no_huge = 1};
	struct sluice_arena *arena;

	assert_int_equal(sluice_arena_create(k.r.domain, &cfg, &arena), 0);
	sluice_arena_get_info(arena, info);
	return arena;
}

static void one_address_space(void **state)
{
	struct sluice_range eals[16];
	int nr = sluice_dpdk_reserved(eals, 16);
	struct sluice_arena_info info;
	struct rte_eth_dev_info dev;
	struct sluice_arena *arena;
	sluice_iova_t iova;
	uint64_t va;
	char *mem = rte_malloc(NULL, PAGE, PAGE);

	(void)state;
	assert_non_null(mem);
	assert_true(nr > 0 && nr <= 16);
	up();
	for (int i = 0; i < nr; i++)
		assert_false(usable(eals[i].first, eals[i].last));
	arena = new_arena(&info);
	assert_true(fake_vfio_reach(info.iova + PAGE, &va, NULL));
	assert_int_equal(va, (uintptr_t)info.va + PAGE);
	assert_int_equal(
	        sluice_va_to_iova(k.r.view, (uintptr_t)mem + 3, 1, &iova), 1);
	assert_int_equal(iova, (uintptr_t)mem + 3);
	/* A device that is not of the container is mapped for, by EAL. */
	assert_int_equal(rte_eth_dev_info_get(0, &dev), 0);
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, NULL), 0);
	assert_int_equal(nr_dma, 0);
	assert_int_equal(sluice_dpdk_arena_register(dpdk, arena, dev.device),
	                 0);
	assert_int_equal(nr_dma, 1);
	assert_int_equal(sluice_dpdk_arena_destroy(dpdk, arena), 0);
	down();
	rte_free(mem);
}

/* A user's heap comes with IOVAs of its own: free ones are kept for it, one
 * that is handed out is an error that is told and counted. */
static void heap_on_our_iova(void **state)
{
	char *mem = aligned_alloc(PAGE, 2 * PAGE);
	struct sluice_dpdk_info mine;
	struct sluice_arena_info info;
	struct sluice_arena *arena;
	rte_iova_t at[2] = {0x300000000};

	(void)state;
	assert_non_null(mem);
	up();
	arena = new_arena(&info);
	at[1] = info.iova;
	assert_int_equal(rte_malloc_heap_create("mine"), 0);
	assert_int_equal(
	        rte_malloc_heap_memory_add("mine", mem, 2 * PAGE, at, 2, PAGE),
	        0);
	assert_false(iova_space_is_reserved(k.r.domain->iova, at[0],
	                                    at[0] + PAGE - 1));
	event(RTE_MEM_EVENT_ALLOC, mem, 2 * PAGE, event_arg);
	sluice_dpdk_get_info(dpdk, &mine);
	assert_int_equal(mine.conflicts, 1);
	assert_true(iova_space_is_reserved(k.r.domain->iova, at[0],
	                                   at[0] + PAGE - 1));
	sluice_arena_destroy(arena);
	down();
	assert_int_equal(rte_malloc_heap_memory_remove("mine", mem, 2 * PAGE),
	                 0);
	assert_int_equal(rte_malloc_heap_destroy("mine"), 0);
	free(mem);
}

static void no_container(void **state)
{
	struct sluice_range some = {0};
	struct sluice_domain_cfg cfg = {.nr_reserved = 1};
	struct sluice_domain *d = NULL;
	struct sluice_engine *e;

	(void)state;
	assert_int_equal(sluice_engine_open(NULL, &e), 0);
	container = -1;
	assert_int_equal(sluice_dpdk_domain_create(e, NULL, &d), -ENODEV);
	assert_non_null(strstr(sluice_last_error(), "vfio-pci"));
	/* EAL opens its container before it has a port. */
	owner_open(&owner, NULL);
	container = owner.container;
	assert_int_equal(sluice_dpdk_domain_create(e, NULL, &d), -ENODEV);
	assert_non_null(strstr(sluice_last_error(), "no type1 IOMMU"));
	assert_int_equal(sluice_dpdk_domain_create(e, &cfg, &d), -EINVAL);
	cfg.reserved = &some;
	cfg.flags = 0x40000000;
	assert_int_equal(sluice_dpdk_domain_create(e, &cfg, &d), -EINVAL);
	assert_null(d);
	container = -1;
	owner_down(&owner);
	assert_int_equal(sluice_engine_close(e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_address_space),
	        cmocka_unit_test(heap_on_our_iova),
	        cmocka_unit_test(no_container),
	};
	int rc;

	if (!eal_up())
		return 77;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	eal_down();
	return rc;
}
