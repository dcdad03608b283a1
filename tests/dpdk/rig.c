/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/dpdk/rig.h"

#include <rte_bus_vdev.h>
#include <rte_ethdev.h>

struct rig rig;

/* ---- EAL's hardware side ---- */

struct dma dma;

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

enum rte_iova_mode iova_mode = RTE_IOVA_VA;

enum rte_iova_mode __wrap_rte_eal_iova_mode(void);

enum rte_iova_mode __wrap_rte_eal_iova_mode(void)
{
	return iova_mode;
}

rte_mem_event_callback_t event;
void *event_arg;
int event_error, nr_events;

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

void up(uint32_t flags, uint32_t dpdk_flags)
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
	assert_int_equal(sluice_engine_open(NULL, &rig.engine), 0);
	assert_int_equal(sluice_domain_create(rig.engine, &cfg, &rig.domain),
	                 0);
	assert_int_equal(sluice_lane_open(rig.engine, NULL, &rig.lane), 0);
	assert_int_equal(sluice_view_open(rig.lane, rig.domain, &rig.view), 0);
	assert_int_equal(sluice_dpdk_open(rig.domain, &dcfg, &rig.dpdk), 0);
}

void down(void)
{
	assert_int_equal(sluice_dpdk_close(rig.dpdk), 0);
	assert_int_equal(sluice_drain(rig.lane, PATIENCE), 0);
	assert_int_equal(sluice_view_close(rig.view), 0);
	assert_int_equal(sluice_lane_close(rig.lane), 0);
	assert_int_equal(sluice_domain_destroy(rig.domain), 0);
	assert_int_equal(sluice_engine_close(rig.engine), 0);
	assert_int_equal(dma.nr, 0);
	assert_int_equal(nr_events, 0);
}

struct sluice_arena *new_arena(uint64_t size, uint32_t no_huge)
{
	const struct sluice_arena_cfg cfg = {.size = size, .no_huge = no_huge};
	struct sluice_arena *arena;

	assert_int_equal(sluice_arena_create(rig.domain, &cfg, &arena), 0);
	return arena;
}

struct rte_device *null_dev(void)
{
	struct rte_eth_dev_info info;

	assert_int_equal(rte_eth_dev_info_get(0, &info), 0);
	return info.device;
}

/* EAL's IOVA of an address, as its drivers look it up. */
uint64_t eal_iova(const void *va)
{
	const struct rte_memseg_list *msl = rte_mem_virt2memseg_list(va);
	const struct rte_memseg *ms = msl ? rte_mem_virt2memseg(va, msl) : NULL;

	return ms ? ms->iova + ((uintptr_t)va - (uintptr_t)ms->addr)
	          : RTE_BAD_IOVA;
}

int64_t ask(const void *va, sluice_iova_t *iova)
{
	return sluice_va_to_iova(rig.view, (uintptr_t)va, 1, iova);
}

void poll_once(void)
{
	struct sluice_completion c;

	assert_int_equal(sluice_poll(rig.lane, &c, 1), 0);
}

void says(const char *what)
{
	if (!strstr(sluice_last_error(), what))
		fail_msg("\"%s\" does not say \"%s\"", sluice_last_error(),
		         what);
}
