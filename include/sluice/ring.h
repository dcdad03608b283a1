/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings: a fixed window of IOVA for the buffers of one device queue. Slot i
 * has its address for ever, so descriptors can be written in advance; its
 * tables are there, so mapping a buffer into a slot is a store; and the slots
 * of a burst are taken back together, with one invalidation and one ticket.
 */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H

#include <sluice/base.h>
#include <sluice/lane.h>
#include <sluice/map.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_ring;

struct sluice_ring_cfg {
	uint64_t stride;   /* bytes from slot to slot, a multiple of 4 KiB */
	uint32_t nr_slots; /* 1 .. 2^24; no power of two needed */
	uint32_t flags;    /* SLUICE_MAP_32BIT or SLUICE_MAP_WINDOW(n) */
};

/**
 * sluice_ring_create() - a window of nr_slots * stride bytes of IOVA.
 *
 * The ring belongs to the view and its lane. All of its page tables are made
 * here (8 bytes for 4 KiB of window), except for strides of 2 MiB and more,
 * whose slots may hold large leaves.
 *
 * Thread: lane; allocates memory. Owns: the caller, until
 * sluice_ring_destroy(); the view cannot be closed before.
 * Returns: 0, -EINVAL, -ENOMEM, -ENOSPC (no free IOVA range of that size),
 * -EOPNOTSUPP on a SLUICE_DOMAIN_CALLER_IOVA domain and on a kernel backend,
 * where each slot would cost a call to the kernel all the same: map bursts
 * there with sluice_map_sg(), or use an arena; -ENETDOWN lane is offline.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_ring_create(
        struct sluice_view *view, const struct sluice_ring_cfg *cfg,
        struct sluice_ring **ret_ring);

/**
 * sluice_ring_destroy() - give the window back.
 *
 * It is used again when the tickets of its slots have passed. Thread: lane.
 * Returns: 0, -EBUSY (a slot is mapped: unmap it first), -EAGAIN (too many
 * unmaps in flight: poll, then try again), -ENETDOWN lane is offline and
 * tickets have not passed. NULL is fine.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_ring_destroy(struct sluice_ring *ring);

/* The address of slot i, for ever: sluice_ring_iova(ring, 0) + i * stride.
 * Thread: any. slot must exist. */
SLUICE_API sluice_iova_t sluice_ring_iova(const struct sluice_ring *ring,
                                          uint32_t slot);

/**
 * sluice_ring_map() - let the device reach memory through a slot.
 * @va, @len: whole pages, len at most the stride
 * @prot: SLUICE_READ, SLUICE_WRITE or both
 * @ret_iova: NULL, or where to put the address of the slot
 *
 * Done at return, without allocating. The memory must stay valid until the
 * slot's unmap has completed. Only sluice_ring_unmap() may unmap it.
 *
 * Thread: lane. Blocks: never. Returns: 0, or
 * -EINVAL no such slot, misaligned or too long, unknown prot
 * -EEXIST the slot is mapped
 * -EBUSY  its last unmap waits for its ticket: poll, then try again
 * -ENOMEM page-table memory limit reached (only with a stride of 2 MiB or
 *         more, or SLUICE_DOMAIN_VA_LOOKUP)
 * -EPERM  (debug builds) wrong thread; -ENETDOWN lane is offline
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_ring_map(struct sluice_ring *ring,
                                                 uint32_t slot, uint64_t va,
                                                 uint64_t len, uint32_t prot,
                                                 sluice_iova_t *ret_iova);

/**
 * sluice_ring_unmap() - take a burst of slots back from the device.
 * @first, @nr: slots first .. first + nr - 1, continued at slot 0 when that is
 *              beyond the last
 * @cookie: returned in the completion
 * @ret_ticket: NULL, or where to put the ticket of the whole burst
 *
 * As sluice_unmap(), once for the burst: one record for the lanes (two when it
 * wraps), one ticket, and in strict mode one completion. Its iova and len are
 * those of the burst's range; when it wraps, of the part that begins at slot 0.
 *
 * Thread: lane. Blocks: never. Returns: how many completions follow (1 strict,
 * 0 lazy), or
 * -EINVAL no such slots
 * -ENOENT one of the slots is not mapped
 * -EAGAIN too many unmaps in flight: poll, then try again
 * -EPERM  (debug builds) wrong thread; -ENETDOWN lane is offline
 * Nothing changes on failure.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_ring_unmap(
        struct sluice_ring *ring, uint32_t first, uint32_t nr, uint64_t cookie,
        struct sluice_ticket *ret_ticket);

#ifdef __cplusplus
}
#endif
#endif
