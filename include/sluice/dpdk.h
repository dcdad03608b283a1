/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sluice beside DPDK's EAL: one address space for DPDK's ports and sluice's
 * devices, mbuf pools on arenas, statistics through rte_telemetry. A library of
 * its own, libsluice-dpdk (pkg-config sluice-dpdk); libsluice needs no EAL.
 * Errors are read by sluice_last_error(). All calls: after rte_eal_init(), in
 * the primary process (-EOPNOTSUPP otherwise), and not from EAL's callbacks.
 */
#ifndef SLUICE_DPDK_H
#define SLUICE_DPDK_H

#include <sluice/arena.h>
#include <sluice/base.h>
#include <sluice/domain.h>
#include <sluice/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rte_device;
struct rte_mempool;
struct sluice_dpdk;

/**
 * sluice_dpdk_reserved() - IOVAs that EAL uses or may come to use.
 * @out: room for max ranges; may be NULL when max is 0
 *
 * For a domain that is to share an address space with EAL's memory: its
 * sluice_domain_cfg.reserved. With IOVA as VA these are the addresses that EAL
 * has set aside for its memory, whether allocated or not; with IOVA as PA all
 * up to the highest RAM; memory of external heaps as far as it is there now.
 * What users of EAL map by rte_vfio_container_dma_map() EAL tells nobody.
 *
 * Thread: control. Returns: how many there are (may exceed max), -EOPNOTSUPP,
 * -EPERM (IOVA as PA, and /proc/iomem tells addresses to root only), -ENOENT
 * (no /proc/iomem).
 */
SLUICE_API int sluice_dpdk_reserved(struct sluice_range *out, uint32_t max);

/**
 * sluice_dpdk_domain_create() - a domain in EAL's default container.
 * @cfg: NULL, or as for sluice_domain_create(); backend, container_fd and
 *       SLUICE_DOMAIN_ADOPT are filled in, EAL's ranges are added to reserved
 *
 * What is mapped in it is reached by DPDK's ports at the same IOVA, and the
 * other way round: one address space. EAL's ranges stay out of its allocator;
 * a mapping that EAL makes counts against the budget of both. At least one port
 * has to be bound to vfio-pci and probed before, and one has to stay until the
 * domain is destroyed: with the last one the kernel drops every mapping. Then
 * rte_eal_cleanup().
 *
 * Thread: control. Owns: the caller, until sluice_domain_destroy().
 * Returns: 0, -ENODEV (EAL has no container, or no port in it), errors of
 * sluice_dpdk_reserved() and of sluice_domain_create().
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_dpdk_domain_create(
        struct sluice_engine *engine, const struct sluice_domain_cfg *cfg,
        struct sluice_domain **ret_domain);

/* sluice_va_to_iova() of the domain answers for EAL's memory, too, and keeps
 * pace with what EAL allocates and frees. Needs SLUICE_DOMAIN_VA_LOOKUP. True
 * where the domain's devices reach that memory: in EAL's container. */
#define SLUICE_DPDK_MEMORY 0x1u

struct sluice_dpdk_cfg {
	uint32_t flags; /* SLUICE_DPDK_* */
};

/**
 * sluice_dpdk_open() - make a domain known to EAL.
 * @domain: any; of sluice_dpdk_domain_create() to share EAL's address space
 * @cfg:    NULL or zeroes for defaults
 *
 * Its counters can be read through rte_telemetry: /sluice/domains lists the
 * ids of domains, /sluice/stats,ID answers with struct sluice_domain_stats and
 * the budget of one. An external heap whose IOVAs the domain has handed out
 * already is an error in EAL's log (lib.sluice) and counted there as
 * eal_conflicts: EAL cannot be kept from it.
 *
 * Thread: control. Owns: the caller, until sluice_dpdk_close(), which comes
 * before the domain's end.
 * Returns: 0, -EINVAL (unknown flag, no VA side), -ENOSPC (64 are open),
 * -ENOMEM, -EEXIST (the domain is open already).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_dpdk_open(
        struct sluice_domain *domain, const struct sluice_dpdk_cfg *cfg,
        struct sluice_dpdk **ret_dpdk);

/**
 * sluice_dpdk_close() - unregister what is registered, and forget the domain.
 *
 * Pools on its arenas must have been freed. Thread: control. NULL is fine.
 * Returns: 0, or the error of the arena that could not be unregistered; it and
 * those after it stay registered, and all stays open.
 */
SLUICE_API int sluice_dpdk_close(struct sluice_dpdk *dpdk);

/* Number of the domain in telemetry. Thread: any. */
SLUICE_API uint32_t sluice_dpdk_id(const struct sluice_dpdk *dpdk);

struct sluice_dpdk_info {
	uint64_t memory_bytes;    /* EAL's memory with answers in the domain */
	uint64_t memory_failures; /* pages without: see EAL's log */
	uint64_t conflicts;       /* external heaps on IOVAs of the domain */
	uint32_t nr_arenas;       /* registered */
};

/* Thread: any. */
SLUICE_API void sluice_dpdk_get_info(struct sluice_dpdk *dpdk,
                                     struct sluice_dpdk_info *ret_info);

/**
 * sluice_dpdk_arena_register() - let DPDK use an arena as external memory.
 * @arena: of the same domain
 * @dev:   a device that shall reach it; NULL for those in EAL's container
 *         when the domain adopted that
 *
 * The arena becomes external memory of EAL with the domain's IOVAs. For dev it
 * is mapped by rte_dev_dma_map() at these, unless it is reached already: the
 * domain adopted EAL's container and dev is bound to vfio-pci. May be called
 * again with further devices.
 *
 * Thread: control. Returns: 0; -EINVAL (another domain's arena); -EEXIST
 * (registered, and for this device); -EBUSY (its IOVAs are among EAL's own:
 * create the domain with the ranges of sluice_dpdk_reserved()); -ENOSPC (EAL
 * holds no more external memory); -ENOMEM; what rte_dev_dma_map() left in
 * rte_errno.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_dpdk_arena_register(
        struct sluice_dpdk *dpdk, struct sluice_arena *arena,
        struct rte_device *dev);

/**
 * sluice_dpdk_arena_unregister() - the reverse, for all devices.
 *
 * No mbuf of it may be in use. Thread: control. Returns: 0, -ENOENT, what
 * rte_dev_dma_unmap() left in rte_errno: then it stays registered.
 */
SLUICE_API int sluice_dpdk_arena_unregister(struct sluice_dpdk *dpdk,
                                            struct sluice_arena *arena);

/**
 * sluice_dpdk_arena_destroy() - unregister, then sluice_arena_destroy().
 *
 * An arena that is not registered is destroyed. Thread: control. NULL is fine.
 * Returns: 0, or what sluice_dpdk_arena_unregister() does: nothing is destroyed
 * then.
 */
SLUICE_API int sluice_dpdk_arena_destroy(struct sluice_dpdk *dpdk,
                                         struct sluice_arena *arena);

struct sluice_dpdk_pool_cfg {
	const char *name; /* of the mempool, unique in EAL */
	uint32_t nr_mbufs;
	uint32_t cache_size; /* mbufs each lcore keeps; 0: none */
	uint16_t priv_size;  /* application's bytes in each mbuf */
	uint16_t data_room;  /* headroom included; 0 for 2176 */
	int socket;          /* of the mbufs themselves; -1: any */
};

/**
 * sluice_dpdk_pool_create() - an mbuf pool whose data lies in an arena.
 *
 * The mbufs are EAL's; the buffers are carved from the registered arena by
 * sluice_arena_alloc() and go only with it. rte_mempool_free() the pool before
 * the arena is unregistered.
 * Thread: control. Owns: the caller. Returns: 0, -EINVAL (no name, no mbufs, an
 * arena that is not registered), -ENOSPC (the arena has no room for them),
 * -EEXIST (the name is in use), -ENOMEM, what DPDK left in rte_errno. After an
 * error of DPDK's the piece of the arena stays carved.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_dpdk_pool_create(
        struct sluice_dpdk *dpdk, struct sluice_arena *arena,
        const struct sluice_dpdk_pool_cfg *cfg, struct rte_mempool **ret_pool);

#ifdef __cplusplus
}
#endif
#endif
