/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Map and unmap: the lane calls that change a domain.
 */
#ifndef SLUICE_MAP_H
#define SLUICE_MAP_H

#include <sluice/base.h>
#include <sluice/lane.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller chooses the IOVA: *iova is read. The range must lie in what
 * sluice_domain_reserve() set aside, or the domain was created with
 * SLUICE_DOMAIN_CALLER_IOVA. It may be used again once the ticket of its last
 * unmap has passed (-EBUSY before, as far as this lane knows; on a soft domain
 * where nobody translates it passes in the call, without a poll). */
#define SLUICE_MAP_FIXED 0x1u
/* An IOVA below 4 GiB, for devices with 32-bit DMA. */
#define SLUICE_MAP_32BIT 0x2u
/* The IOVA need not suit large leaves; see align_lg2. */
#define SLUICE_MAP_COMPACT 0x4u
/* An IOVA in the nth of the domain's windows (sluice_domain_cfg), from 1; not
 * together with SLUICE_MAP_32BIT. Without, any IOVA will do: those of windows
 * are handed out last. */
#define SLUICE_MAP_WINDOW(n) ((uint32_t)(n) << 24)

struct sluice_map_req {
	/* Start of the memory: a host virtual address (what a kernel backend
	 * pins), page-aligned. */
	uint64_t va;
	uint64_t len;   /* bytes, a multiple of 4 KiB */
	uint32_t prot;  /* SLUICE_READ | SLUICE_WRITE */
	uint32_t flags; /* SLUICE_MAP_* */
	/* Alignment of the IOVA. 0: of 4 KiB, and when the memory holds 2 MiB
	 * or 1 GiB that are aligned, they are so in IOVA too, and become one
	 * leaf each: IOVA and va are congruent modulo 1 GiB when the aperture
	 * has such a range at once, else modulo 2 MiB, else (it is that full)
	 * nothing is promised. The pages around the range stay usable. With a
	 * scatter list its largest piece counts. With SLUICE_MAP_COMPACT, or an
	 * align_lg2, the address of the memory is not looked at: denser, and a
	 * part can be unmapped (sluice_unmap()) as no leaf is large, unless
	 * addresses happen to agree. */
	uint32_t align_lg2;
	uint32_t reserved; /* 0 */
	uint64_t cookie;   /* returned in the completion */
};

/**
 * sluice_map() - let devices of the domain reach memory.
 * @iova: out: the address the device uses; in as well with SLUICE_MAP_FIXED
 *
 * Soft domains: done at return. Kernel backends: accepted at return, usable
 * by the device when the completion says 0; if it says an error, the IOVA is
 * already free again (-ENOSPC, -ENOMEM: the kernel's budget of mappings or of
 * locked memory is used up, see sluice_budget_explain()). A mapping that was
 * revived (SLUICE_DOMAIN_REVIVE) is done at return on any backend.
 *
 * The memory must stay valid until the mapping's unmap has completed; what a
 * fork() does to it is said in engine.h.
 *
 * Thread: lane. Blocks: never. Returns: how many completions follow (0: done;
 * 1: wait for sluice_poll()), or
 * -EINVAL zero, misaligned or wrapping length or address, unknown prot, flag
 *         or window
 * -EEXIST a part of a fixed range is mapped already
 * -EBUSY  a part of a fixed range waits for its ticket: poll, then try again
 * -EADDRNOTAVAIL fixed range outside what the caller may choose
 * -ENOSPC no free IOVA of that size and kind
 * -ENOMEM page-table memory limit reached (max_table_bytes)
 * -EAGAIN too many requests in flight: poll, then try again
 * -ENODEV kernel backend without a group: attach one first
 * -EPERM  (debug builds) wrong thread; -ENETDOWN lane is offline
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_map(struct sluice_view *view,
                                            const struct sluice_map_req *req,
                                            sluice_iova_t *iova);

/**
 * sluice_map_sg() - map a scatter list to one contiguous IOVA range.
 * @req: va and len are ignored
 * @iov: nr pieces, each page-aligned in address and length
 *
 * The pieces are one mapping: they must be unmapped together, and on a kernel
 * backend neighbours in VA become one kernel call. Errors as sluice_map(), and
 * -E2BIG for more than 1024 pieces. One completion for the whole.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_map_sg(struct sluice_view *view,
                                               const struct sluice_map_req *req,
                                               const struct iovec *iov,
                                               uint32_t nr,
                                               sluice_iova_t *iova);

/* When a ticket has passed, no lane, no table walker and no device reaches
 * what was unmapped. */
struct sluice_ticket {
	uint64_t seq;
};

/**
 * sluice_unmap() - take memory back from devices.
 * @iova, @len: one or more whole mappings. On a soft domain also a part of a
 *              mapping, as long as no large leaf would be split
 * @cookie: returned in the completion
 * @ret_ticket: NULL, or where to put the ticket
 *
 * From the return on, new translations fail. Strict mode: the memory is safe
 * to reuse when the completion arrives or the ticket has passed. Lazy mode: no
 * completion, the ticket still tells.
 *
 * Thread: lane. Blocks: never. Returns: how many completions follow (1 strict,
 * 0 lazy), or
 * -EINVAL zero, misaligned or wrapping range
 * -ENOENT a part of the range is not mapped
 * -ERANGE the range would split a mapping (kernel backend) or a large leaf
 * -EAGAIN too many unmaps in flight: poll, then try again
 * -EPERM  (debug builds) wrong thread; -ENETDOWN lane is offline
 * Nothing changes on failure.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_unmap(struct sluice_view *view,
                                              sluice_iova_t iova, uint64_t len,
                                              uint64_t cookie,
                                              struct sluice_ticket *ret_ticket);

/* Has the ticket passed? Tickets are per view and pass in order. What is true
 * once stays true. Progress is made by sluice_poll(), and by a sluice_map()
 * that needs the range (SLUICE_MAP_FIXED). The ticket of an unmap that the
 * kernel refused never passes: its completion has the error, and devices may
 * still reach the memory. Thread: lane. */
SLUICE_API int sluice_ticket_passed(const struct sluice_view *view,
                                    struct sluice_ticket ticket);

/**
 * sluice_ticket_wait() - poll until a ticket has passed.
 * @timeout_ns: give up after this long
 *
 * Completions met on the way are dropped. Thread: lane. Blocks: up to
 * timeout_ns, spinning. Returns: 0; -ETIMEDOUT with a message that names the
 * lane that is not polling, or the hold or the kernel that it waits for; -EIO
 * when the kernel refused the unmap: the ticket never passes; -EPERM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_ticket_wait(struct sluice_view *view,
                                                    struct sluice_ticket ticket,
                                                    uint64_t timeout_ns);

/**
 * sluice_iova_alloc() - an IOVA range without a mapping.
 *
 * For callers that keep their own tables. @flags: SLUICE_MAP_32BIT or
 * SLUICE_MAP_WINDOW(n). Thread: lane. Blocks: never.
 * Returns: 0, -EINVAL, -ENOSPC, -EOPNOTSUPP on a SLUICE_DOMAIN_CALLER_IOVA
 * domain.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_iova_alloc(struct sluice_view *view,
                                                   uint64_t len,
                                                   uint32_t align_lg2,
                                                   uint32_t flags,
                                                   sluice_iova_t *ret_iova);

/* Gives back what sluice_iova_alloc() returned, same len; any lane of the
 * domain may. The caller makes sure that nothing is mapped there, and frees
 * once: a range that is freed twice is handed out twice. Debug builds refuse
 * that (sluice_last_error(), sluice_domain_info.iova_bogus_frees). */
SLUICE_API void sluice_iova_free(struct sluice_view *view, sluice_iova_t iova,
                                 uint64_t len);

#ifdef __cplusplus
}
#endif
#endif
