/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL's memory in the answers of a domain: what is there at the start, and the
 * events by which it grows and shrinks. Callbacks run with EAL's memory lock
 * held: they take the domain's locks, which never wait for EAL.
 */
#include "dpdk_int.h"

#include <errno.h>
#include <stdio.h>
#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_memory.h>

static uint64_t count(struct sluice_dpdk *d, uint64_t *counter, uint64_t n)
{
	uint64_t now;

	pthread_mutex_lock(&d->lock);
	now = *counter += n;
	pthread_mutex_unlock(&d->lock);
	return now;
}

/* Page by page, as EAL gives them back. */
static void page_add(struct sluice_dpdk *d, const struct rte_memseg *ms)
{
	int rc;

	if (!(d->flags & SLUICE_DPDK_MEMORY))
		return;
	rc = ms->iova == RTE_BAD_IOVA
	             ? fail(-EFAULT, "EAL knows no IOVA of it")
	             : sluice_foreign_add(d->domain, (uintptr_t)ms->addr,
	                                  ms->len, ms->iova);
	if (rc == 0) {
		count(d, &d->info.memory_bytes, ms->len);
		return;
	}
	/* Once: thousands of pages have one reason. */
	if (count(d, &d->info.memory_failures, 1) == 1)
		eal_log("sluice: domain %u has no answer for memory at %p: "
		        "%s\n",
		        d->id, ms->addr, sluice_last_error());
}

static void page_remove(struct sluice_dpdk *d, const struct rte_memseg *ms)
{
	/* One that was refused is not there. */
	if (d->flags & SLUICE_DPDK_MEMORY &&
	    sluice_foreign_remove(d->domain, (uintptr_t)ms->addr, ms->len) == 0)
		count(d, &d->info.memory_bytes, 0 - (uint64_t)ms->len);
}

/* EAL's own memory lies where the domain hands out nothing. A heap that a user
 * adds may lie anywhere. */
static void heap_check(struct sluice_dpdk *d, const struct rte_memseg *ms)
{
	if (!d->adopted || ms->iova == RTE_BAD_IOVA ||
	    sluice_domain_reserve(d->domain, ms->iova, ms->len) != -EBUSY)
		return;
	count(d, &d->info.conflicts, 1);
	eal_log("sluice: an external heap wants IOVA 0x%llx, %llu bytes, which "
	        "domain %u hands out: its devices reach other memory there; "
	        "give the heap IOVAs that sluice_domain_cfg.reserved names\n",
	        (unsigned long long)ms->iova, (unsigned long long)ms->len,
	        d->id);
}

static void on_event(enum rte_mem_event type, const void *addr, size_t len,
                     void *arg)
{
	const struct rte_memseg_list *msl = rte_mem_virt2memseg_list(addr);
	struct sluice_dpdk *d = arg;
	const struct rte_memseg *ms;
	size_t at = 0;

	while (msl && at < len) {
		ms = rte_mem_virt2memseg((const char *)addr + at, msl);
		if (!ms || ms->len == 0)
			return;
		if (type == RTE_MEM_EVENT_FREE) {
			page_remove(d, ms);
		} else {
			if (msl->external)
				heap_check(d, ms);
			page_add(d, ms);
		}
		at += ms->len;
	}
}

static int on_walk(const struct rte_memseg_list *msl,
                   const struct rte_memseg *ms, void *arg)
{
	/* External memory that is no heap is an arena, or a user's. */
	if (!msl->external || msl->heap)
		page_add(arg, ms);
	return 0;
}

int memory_start(struct sluice_dpdk *d)
{
	int rc = 0;

	snprintf(d->event_name, sizeof(d->event_name), "sluice-%u", d->id);
	/* Nothing comes or goes between the events' start and the walk. */
	rte_mcfg_mem_read_lock();
	if (rte_mem_event_callback_register(d->event_name, on_event, d) == 0)
		d->has_events = true;
	else if (rte_errno != ENOTSUP) /* legacy memory stays as it is */
		rc = eal_errno();
	if (rc == 0 && d->flags & SLUICE_DPDK_MEMORY)
		rte_memseg_walk_thread_unsafe(on_walk, d);
	rte_mcfg_mem_read_unlock();
	return rc ? fail(rc, "rte_mem_event_callback_register: %s",
	                 sluice_errname(rc))
	          : 0;
}

static int on_walk_end(const struct rte_memseg_list *msl,
                       const struct rte_memseg *ms, void *arg)
{
	if (!msl->external || msl->heap)
		page_remove(arg, ms);
	return 0;
}

void memory_stop(struct sluice_dpdk *d)
{
	rte_mcfg_mem_read_lock();
	if (d->has_events)
		rte_mem_event_callback_unregister(d->event_name, d);
	d->has_events = false;
	rte_memseg_walk_thread_unsafe(on_walk_end, d);
	rte_mcfg_mem_read_unlock();
}
