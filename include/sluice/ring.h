/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings: a fixed window of IOVA for the buffers of one device queue. Slot i
 * has its address for ever, so descriptors can be written in advance; its
 * tables are there, so mapping a buffer into a slot is a store; and the slots
 * of a burst are taken back together, with one invalidation and one ticket.
 *
 * On a kernel backend each mapping is a call to the kernel as well, which the
 * lane does not wait for: a completion tells. There are two ways to map, for
 * what the kernel has mapped in one call dies only whole. Slots mapped one by
 * one, with sluice_ring_map(), die one by one: a call each, and one for a burst
 * of neighbours that are taken back. Slots mapped together, with
 * sluice_ring_map_burst(), take one call both ways when their memory is one
 * piece, but must be taken back together.
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
 * -EOPNOTSUPP on a SLUICE_DOMAIN_CALLER_IOVA domain; -ENETDOWN lane is offline.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_ring_create(
        struct sluice_view *view, const struct sluice_ring_cfg *cfg,
        struct sluice_ring **ret_ring);

/**
 * sluice_ring_destroy() - give the window back.
 *
 * It is used again when the tickets of its slots have passed; on a kernel
 * backend never, if the kernel refused to take one of them back. Thread: lane.
 * Returns: 0, -EBUSY (a slot is mapped, or its map has not completed: unmap it
 * first), -EAGAIN (too many unmaps in flight, or, on a kernel backend, tickets
 * of its slots have not passed: poll, then try again), -ENETDOWN lane is
 * offline and tickets have not passed. NULL is fine.
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
 * Soft domains: done at return, without allocating. Kernel backends: usable by
 * the device when the completion (SLUICE_OP_MAP; its cookie is the slot, its
 * iova and len those of the mapping) says 0; if it says an error, the slot is
 * free again. The memory must stay valid until the slot's unmap has completed.
 * Only sluice_ring_unmap() may unmap it.
 *
 * Thread: lane. Blocks: never. Returns: how many completions follow (0: done;
 * 1: wait for sluice_poll()), or
 * -EINVAL no such slot, misaligned or too long, unknown prot
 * -EEXIST the slot is mapped, or is being mapped
 * -EBUSY  its last unmap waits for its ticket: poll, then try again
 * -ENOMEM page-table memory limit reached (only with a stride of 2 MiB or
 *         more, or SLUICE_DOMAIN_VA_LOOKUP)
 * -EPERM  (debug builds) wrong thread; -ENETDOWN lane is offline
 * and on a kernel backend
 * -EAGAIN too many requests or unmaps in flight: poll, then try again
 * -ENODEV the domain has no group any more
 * -EIO    the kernel refused the slot's last unmap: it is out of use, for a
 *         device may still reach what was there
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_ring_map(struct sluice_ring *ring,
                                                 uint32_t slot, uint64_t va,
                                                 uint64_t len, uint32_t prot,
                                                 sluice_iova_t *ret_iova);

/**
 * sluice_ring_map_burst() - map slots that will be taken back together.
 * @first, @nr: slots first .. first + nr - 1; not beyond the last
 * @va: nr addresses, of stride bytes of memory each
 * @prot: as above, of all
 * @cookie: returned in the completion, if one follows
 *
 * On a kernel backend memory that is contiguous over several slots becomes one
 * kernel mapping: a pool's neighbours cost one call. sluice_ring_unmap() must
 * then take all slots of the burst together (and may take others with them).
 * One completion for the burst, with its range; if it says an error, all of its
 * slots are free again. On a soft domain as sluice_ring_map() nr times: done at
 * return, all or none, and slots may be taken back alone.
 *
 * Thread: lane. Blocks: never. Returns as sluice_ring_map(), the errors of the
 * first slot that has one, and
 * -EINVAL a burst over the end of the ring: map it as two; va is NULL
 * -E2BIG  kernel backend: memory in more than 1024 pieces: map several bursts
 * -EAGAIN too many requests or unmaps in flight: poll, then try again
 * Nothing is mapped on failure.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_ring_map_burst(
        struct sluice_ring *ring, uint32_t first, uint32_t nr,
        const uint64_t *va, uint32_t prot, uint64_t cookie);

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
 * On a kernel backend neighbours without a hole between them are one call;
 * where mappings do not fill their slots each run has one, and the completion
 * has the range of the last run and the first error of all. When it has one,
 * the ticket never passes and the slots of the burst are out of use.
 *
 * Thread: lane. Blocks: never. Returns: how many completions follow (1 strict,
 * 0 lazy), or
 * -EINVAL no such slots
 * -ENOENT one of the slots is not mapped
 * -EAGAIN too many unmaps in flight: poll, then try again
 * -EPERM  (debug builds) wrong thread; -ENETDOWN lane is offline
 * and on a kernel backend
 * -EBUSY  the map of one of the slots has not completed: poll, then try again
 * -ERANGE a part of what sluice_ring_map_burst() mapped together
 * -E2BIG  more runs with holes between than the domain's max_inflight
 * Nothing changes on failure.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_ring_unmap(
        struct sluice_ring *ring, uint32_t first, uint32_t nr, uint64_t cookie,
        struct sluice_ticket *ret_ticket);

#ifdef __cplusplus
}
#endif
#endif
