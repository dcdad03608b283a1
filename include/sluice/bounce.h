/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounce: strict protection for buffers that are small, or that share pages
 * with others' data, without a mapping of their own. The device works on a
 * slot of memory that stays mapped; what it may read is copied in on map, what
 * it wrote is copied out on unmap. From where on a mapping is cheaper than a
 * copy is measured on the machine, and such buffers are mapped instead.
 *
 * What is guaranteed, of a buffer that was copied
 *  - No device ever reaches the caller's memory: neither the buffer nor what
 *    shares its pages.
 *  - When sluice_bounce_unmap() returns, none of its bytes is left where a
 *    device could read it: every slot that is not in use is all zeroes but for
 *    what a device writes there without being asked.
 *  - No buffer's bytes reach another: a slot begins as zeroes.
 *  - Slots of different directions lie in different mappings: devices cannot
 *    write to what is only for them to read, nor, where the domain's format has
 *    write-only pages, read what is only for them to write.
 * What is not: between map and unmap the slot is within reach of all devices
 * of the domain, beside all others that are in use at that time in the same
 * direction; and a device may write to a from-device slot at any time, before
 * and after the buffer was there. Who does not trust two devices with each
 * other's buffers gives each a domain.
 */
#ifndef SLUICE_BOUNCE_H
#define SLUICE_BOUNCE_H

#include <sluice/base.h>
#include <sluice/lane.h>
#include <sluice/map.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_bounce;

/* The longest slot that may be asked for, and the shortest there is. */
#define SLUICE_BOUNCE_MAX_LEN (4u << 20)
#define SLUICE_BOUNCE_MIN_SLOT 1024u

/* A set of directions, by prot: 1 << SLUICE_READ and so on. */
#define SLUICE_BOUNCE_TO_DEVICE (1u << SLUICE_READ)
#define SLUICE_BOUNCE_FROM_DEVICE (1u << SLUICE_WRITE)
#define SLUICE_BOUNCE_BOTH (1u << SLUICE_RW)
#define SLUICE_BOUNCE_ALL_DIRECTIONS                                           \
	(SLUICE_BOUNCE_TO_DEVICE | SLUICE_BOUNCE_FROM_DEVICE |                 \
	 SLUICE_BOUNCE_BOTH)

struct sluice_bounce_cfg {
	/* Memory of the slots of each direction, bytes; 0 for 4 MiB. The sizes
	 * of slots, each four times the one before, have equal parts of it. */
	uint64_t bytes;
	/* The longest buffer that can be copied: a power of two from 4 KiB to
	 * SLUICE_BOUNCE_MAX_LEN; 0 for 64 KiB. */
	uint32_t max_len;
	/* Directions that get slots, SLUICE_BOUNCE_*; 0: all three. */
	uint32_t directions;
	/* Buffers of whole pages up to this length are copied, longer ones
	 * mapped; bytes. 0: measured. 1: none is copied, UINT64_MAX: all that
	 * fit are. */
	uint64_t break_even;
	uint32_t flags;   /* SLUICE_MAP_32BIT */
	uint32_t no_huge; /* as in struct sluice_arena_cfg */
};

/**
 * sluice_bounce_create() - slots on a domain, and what copies cost here.
 * @cfg: NULL or zeroes: the defaults
 *
 * One mapping for each direction. Copies of two lengths are timed, and which
 * way of copying is the faster; unless cfg->break_even is given, mapping and
 * unmapping as well: on a kernel backend by doing so, about ten times each,
 * with scratch memory; on a soft domain with an engine of its own. That takes
 * some milliseconds.
 *
 * Thread: control. Blocks: yes. Owns: the caller, until
 * sluice_bounce_destroy(); the domain cannot be destroyed before.
 * Returns: 0, -EINVAL (also for a lazy domain: this is strict protection),
 * -EOPNOTSUPP on a SLUICE_DOMAIN_CALLER_IOVA domain, -ENOMEM, -ENOSPC and
 * -ENODEV as sluice_arena_create().
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_bounce_create(
        struct sluice_domain *domain, const struct sluice_bounce_cfg *cfg,
        struct sluice_bounce **ret_bounce);

/**
 * sluice_bounce_destroy() - give the slots back.
 *
 * Every buffer must have been unmapped. Memory is released as an arena's is.
 * Thread: control. NULL is fine.
 */
SLUICE_API void sluice_bounce_destroy(struct sluice_bounce *bounce);

struct sluice_bounce_info {
	uint64_t break_even; /* in use; UINT64_MAX: a copy is never dearer */
	uint64_t max_len;    /* the longest buffer that can be copied */
	uint64_t bytes;      /* memory of all slots */
	uint32_t directions; /* that have slots */
	/* from-device slots cannot be read by devices */
	uint32_t write_only;
	/* What was measured, there and back: copy in and wiping, map and
	 * unmap. The latter are 0 when cfg->break_even was given, or when the
	 * kernel refused the scratch memory. */
	uint64_t copy_page_ns, copy_max_ns; /* 4 KiB, and max_len */
	uint64_t map_page_ns, map_max_ns;
};

/* Thread: any. */
SLUICE_API void sluice_bounce_get_info(const struct sluice_bounce *bounce,
                                       struct sluice_bounce_info *ret_info);

/* Replaces the break-even. Lanes heed it in their next call. Thread: any. */
SLUICE_API void sluice_bounce_set_break_even(struct sluice_bounce *bounce,
                                             uint64_t break_even);

/* A buffer between map and unmap: the caller's memory, the library's contents.
 * The first three may be read. Clear it before the first use. */
struct sluice_bounce_buf {
	sluice_iova_t iova; /* for the device */
	void *va;
	uint64_t len;
	void *slot;    /* NULL: mapped itself */
	uint32_t prot; /* 0: neither copied nor mapped */
	uint32_t size; /* which of the sizes of slots */
};

/**
 * sluice_bounce_map() - let devices work on a buffer.
 * @va:     any address; @len: any length
 * @prot:   what the device does: SLUICE_READ (to device), SLUICE_WRITE (from
 *          device) or both
 * @cookie: returned in the completion, if one follows
 * @buf:    filled in; stays the caller's, and unmoved is not asked of it
 *
 * Whole pages longer than the break-even, or that no slot is free or large
 * enough for, are mapped as by sluice_map(); the rest is copied, and done at
 * return. The IOVA of a copy is aligned to 1 KiB, or to 4 KiB for more than
 * 1 KiB, whatever va is; no copy of at most 4 KiB crosses a page.
 *
 * With SLUICE_WRITE alone the buffer's bytes are not copied in: what the device
 * does not write arrives as zeroes, but see used in sluice_bounce_unmap(). With
 * SLUICE_RW it arrives as it was.
 *
 * Thread: lane. Blocks: never; a copy makes no system call. Returns: how many
 * completions follow (0: done; 1: wait for sluice_poll()), or
 * -EINVAL no buffer, zero or wrapping length, unknown prot, other domain
 * -EBUSY  buf is in use: unmap it first
 * -E2BIG  longer than max_len, and not whole pages: align it or split it
 * -ENOBUFS every slot that would do is out, and it is not whole pages
 * -EOPNOTSUPP this direction has no slots, and it is not whole pages
 * or what sluice_map() returns. buf is unchanged then.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_bounce_map(
        struct sluice_view *view, struct sluice_bounce *bounce, void *va,
        uint64_t len, uint32_t prot, uint64_t cookie,
        struct sluice_bounce_buf *buf);

#define SLUICE_BOUNCE_USED_ALL UINT64_MAX

/**
 * sluice_bounce_unmap() - take a buffer back from devices.
 * @used: how many bytes from the first on the device may have written: only
 *        those are copied out; SLUICE_BOUNCE_USED_ALL for the whole buffer.
 *        Without SLUICE_WRITE, and for a buffer that was mapped, it says
 *        nothing.
 * @cookie, @ret_ticket: as for sluice_unmap(); the ticket of a copy has passed
 *
 * Any lane of the domain may. A map whose completion has not come cannot be
 * unmapped (-ENOENT); one that completed with an error need not be: clear buf.
 *
 * Thread: lane. Blocks: never; a copy makes no system call. Returns: how many
 * completions follow (0: done; 1), or
 * -EINVAL used is longer than the buffer; other domain
 * -ENOENT buf holds no buffer
 * or what sluice_unmap() returns. Nothing changes then.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_bounce_unmap(
        struct sluice_view *view, struct sluice_bounce *bounce,
        struct sluice_bounce_buf *buf, uint64_t used, uint64_t cookie,
        struct sluice_ticket *ret_ticket);

/**
 * sluice_bounce_sync_for_cpu() - bring what the device wrote, buffer in use.
 * sluice_bounce_sync_for_device() - bring what the caller wrote.
 * @off, @len: a part of the buffer; len 0 is fine
 *
 * For buffers that live longer than one transfer. The device must have finished
 * the part that is synced. Nothing is copied against the direction of the
 * buffer, nor for one that is mapped itself: there both see the same memory.
 *
 * Thread: any, whose buffer it is. Blocks: never. Returns: 0, -EINVAL (beyond
 * the buffer), -ENOENT (buf holds no buffer).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_bounce_sync_for_cpu(
        const struct sluice_bounce *bounce, const struct sluice_bounce_buf *buf,
        uint64_t off, uint64_t len);
SLUICE_API SLUICE_MUST_CHECK int sluice_bounce_sync_for_device(
        const struct sluice_bounce *bounce, const struct sluice_bounce_buf *buf,
        uint64_t off, uint64_t len);

#ifdef __cplusplus
}
#endif
#endif
