/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas as external memory of EAL, mapped for the devices that do not reach
 * them yet, and mbuf pools on them.
 */
#include "dpdk_int.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <rte_mempool.h>
#include <unistd.h>

#define M2 (2u << 20)
#define CACHELINE 64u

static struct extmem **find(struct sluice_dpdk *d,
                            const struct sluice_arena *arena)
{
	struct extmem **at = &d->arenas;

	while (*at && (*at)->arena != arena)
		at = &(*at)->next;
	return at;
}

static bool has_dev(const struct extmem *e, const struct rte_device *dev)
{
	const struct dev_map *m = e->devs;

	while (m && m->dev != dev)
		m = m->next;
	return m != NULL;
}

/* Is the device bound to vfio-pci? Then it is in EAL's container. Drivers that
 * share their device with the kernel have a way of mapping of their own. */
static bool is_vfio(const struct rte_device *dev)
{
	char path[PATH_MAX], to[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver",
	         rte_dev_name(dev));
	n = readlink(path, to, sizeof(to) - 1);
	if (n < 0)
		return false;
	to[n] = '\0';
	return strcmp(strrchr(to, '/') ? strrchr(to, '/') + 1 : to,
	              "vfio-pci") == 0;
}

/* ---- EAL's list of external memory ---- */

/* EAL keeps an entry for each page: as few as the arena's place allows. */
static int extmem_in(const struct extmem *e)
{
	uint64_t bits = (uintptr_t)e->va | e->iova | e->len;
	size_t page = bits % M2 ? SLUICE_PAGE_SIZE : M2;
	size_t nr = e->len / page;
	rte_iova_t *iova;
	int rc = 0;

	if (nr > UINT_MAX)
		return fail(-ENOSPC, "the arena is too large for EAL");
	iova = malloc(nr * sizeof(*iova));
	if (!iova)
		return fail(-ENOMEM, "no memory to register an arena");
	for (size_t i = 0; i < nr; i++)
		iova[i] = e->iova + i * page;
	if (rte_extmem_register(e->va, e->len, iova, (unsigned int)nr, page))
		rc = eal_errno();
	free(iova);
	if (rc == -ENOSPC)
		return fail(rc, "EAL holds no more external memory "
		                "(RTE_MAX_MEMSEG_LISTS): use fewer, larger "
		                "arenas");
	return rc ? fail(rc, "rte_extmem_register: %s", sluice_errname(rc)) : 0;
}

static int extmem_out(const struct extmem *e)
{
	int rc;

	if (rte_extmem_unregister(e->va, e->len) == 0)
		return 0;
	rc = eal_errno();
	return fail(rc, "rte_extmem_unregister: %s", sluice_errname(rc));
}

/* ---- devices ---- */

/* In an address space that EAL fills, too, its IOVAs must be others. */
static int check_apart(const struct extmem *e)
{
	struct sluice_range r[64];
	int n = sluice_dpdk_reserved(r, 64);

	for (int i = 0; i < n && i < 64; i++)
		if (e->iova <= r[i].last &&
		    e->iova + (e->len - 1) >= r[i].first)
			return fail(-EBUSY,
			            "the arena lies at IOVA 0x%llx, where EAL "
			            "has memory of its own: create the domain "
			            "with the ranges of sluice_dpdk_reserved()",
			            (unsigned long long)e->iova);
	return n < 0 ? n : 0;
}

static int dev_in(struct sluice_dpdk *d, struct extmem *e,
                  struct rte_device *dev)
{
	struct dev_map *m = calloc(1, sizeof(*m));
	int rc = 0;

	if (!m)
		return fail(-ENOMEM, "no memory to map for a device");
	m->dev = dev;
	m->mapped = dev && !(d->adopted && is_vfio(dev));
	if (m->mapped)
		rc = check_apart(e);
	if (rc == 0 && m->mapped &&
	    rte_dev_dma_map(dev, e->va, e->iova, e->len)) {
		rc = eal_errno();
		fail(rc, "rte_dev_dma_map for %s: %s", rte_dev_name(dev),
		     sluice_errname(rc));
	}
	if (rc) {
		free(m);
		return rc;
	}
	m->next = e->devs;
	e->devs = m;
	return 0;
}

static int devs_out(struct extmem *e)
{
	while (e->devs) {
		struct dev_map *m = e->devs;

		if (m->mapped &&
		    rte_dev_dma_unmap(m->dev, e->va, e->iova, e->len)) {
			int rc = eal_errno();

			return fail(rc, "rte_dev_dma_unmap for %s: %s",
			            rte_dev_name(m->dev), sluice_errname(rc));
		}
		e->devs = m->next;
		free(m);
	}
	return 0;
}

/* ---- register and unregister ---- */

static void count_arenas(struct sluice_dpdk *d, int n)
{
	pthread_mutex_lock(&d->lock);
	d->info.nr_arenas += (uint32_t)n;
	pthread_mutex_unlock(&d->lock);
}

static int register_new(struct sluice_dpdk *d, struct sluice_arena *arena,
                        const struct sluice_arena_info *info,
                        struct rte_device *dev)
{
	struct extmem *e = calloc(1, sizeof(*e));
	int rc;

	if (!e)
		return fail(-ENOMEM, "no memory to register an arena");
	e->arena = arena;
	e->va = info->va;
	e->len = info->len;
	e->iova = info->iova;
	rc = extmem_in(e);
	if (rc == 0) {
		rc = dev_in(d, e, dev);
		if (rc && rte_extmem_unregister(e->va, e->len))
			eal_log("sluice: external memory at %p stays in EAL\n",
			        e->va);
	}
	if (rc) {
		free(e);
		return rc;
	}
	e->next = d->arenas;
	d->arenas = e;
	count_arenas(d, 1);
	return 0;
}

int sluice_dpdk_arena_register(struct sluice_dpdk *d,
                               struct sluice_arena *arena,
                               struct rte_device *dev)
{
	struct sluice_arena_info info;
	struct extmem *e;
	int rc;

	if (!d || !arena)
		return fail(-EINVAL, "dpdk or arena is NULL");
	sluice_arena_get_info(arena, &info);
	if (info.domain != d->domain)
		return fail(-EINVAL, "the arena is another domain's");
	pthread_mutex_lock(&d->arenas_lock);
	e = *find(d, arena);
	if (!e)
		rc = register_new(d, arena, &info, dev);
	else if (has_dev(e, dev))
		rc = fail(-EEXIST, "the arena is registered%s%s already",
		          dev ? " for " : "", dev ? rte_dev_name(dev) : "");
	else
		rc = dev_in(d, e, dev);
	pthread_mutex_unlock(&d->arenas_lock);
	return rc;
}

static int drop(struct sluice_dpdk *d, struct extmem **at)
{
	struct extmem *e = *at;
	int rc = devs_out(e);

	if (rc == 0)
		rc = extmem_out(e);
	if (rc)
		return rc;
	*at = e->next;
	free(e);
	count_arenas(d, -1);
	return 0;
}

int arenas_drop_all(struct sluice_dpdk *d)
{
	int rc = 0;

	pthread_mutex_lock(&d->arenas_lock);
	while (rc == 0 && d->arenas)
		rc = drop(d, &d->arenas);
	pthread_mutex_unlock(&d->arenas_lock);
	return rc;
}

int sluice_dpdk_arena_unregister(struct sluice_dpdk *d,
                                 struct sluice_arena *arena)
{
	struct extmem **at;
	int rc;

	pthread_mutex_lock(&d->arenas_lock);
	at = find(d, arena);
	rc = *at ? drop(d, at) : fail(-ENOENT, "the arena is not registered");
	pthread_mutex_unlock(&d->arenas_lock);
	return rc;
}

int sluice_dpdk_arena_destroy(struct sluice_dpdk *d, struct sluice_arena *arena)
{
	int rc;

	if (!arena)
		return 0;
	rc = sluice_dpdk_arena_unregister(d, arena);
	if (rc && rc != -ENOENT)
		return rc;
	sluice_arena_destroy(arena);
	return 0;
}

/* ---- pools ---- */

static int pool_create(struct sluice_arena *arena,
                       const struct sluice_dpdk_pool_cfg *cfg,
                       struct rte_mempool **ret_pool)
{
	uint16_t room =
	        cfg->data_room ? cfg->data_room : RTE_MBUF_DEFAULT_BUF_SIZE;
	/* Two buffers share no line. */
	uint32_t elt = (room + CACHELINE - 1) & ~(CACHELINE - 1);
	struct rte_pktmbuf_extmem ext = {
	        .buf_len = (size_t)elt * cfg->nr_mbufs,
	        .elt_size = (uint16_t)elt,
	};
	struct rte_mempool *pool;
	struct sluice_buf buf;
	int rc;

	if (elt > UINT16_MAX)
		return fail(-EINVAL, "data_room is %u: at most 65472", room);
	rc = sluice_arena_alloc(arena, ext.buf_len, 0, &buf);
	if (rc)
		return rc;
	ext.buf_ptr = buf.va;
	ext.buf_iova = buf.iova;
	pool = rte_pktmbuf_pool_create_extbuf(cfg->name, cfg->nr_mbufs,
	                                      cfg->cache_size, cfg->priv_size,
	                                      room, cfg->socket, &ext, 1);
	if (!pool) {
		rc = eal_errno();
		return fail(rc, "rte_pktmbuf_pool_create_extbuf: %s",
		            sluice_errname(rc));
	}
	*ret_pool = pool;
	return 0;
}

int sluice_dpdk_pool_create(struct sluice_dpdk *d, struct sluice_arena *arena,
                            const struct sluice_dpdk_pool_cfg *cfg,
                            struct rte_mempool **ret_pool)
{
	int rc;

	if (!d || !arena || !cfg || !ret_pool)
		return fail(-EINVAL, "dpdk, arena, cfg or ret_pool is NULL");
	if (!cfg->name || !cfg->nr_mbufs)
		return fail(-EINVAL, "a pool needs a name and mbufs");
	if (rte_mempool_lookup(cfg->name))
		return fail(-EEXIST, "EAL has a pool named %s", cfg->name);
	pthread_mutex_lock(&d->arenas_lock);
	rc = *find(d, arena) ? pool_create(arena, cfg, ret_pool)
	                     : fail(-EINVAL, "register the arena first: "
	                                     "sluice_dpdk_arena_register()");
	pthread_mutex_unlock(&d->arenas_lock);
	return rc;
}
