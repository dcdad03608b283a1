/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A domain: one I/O address space, shared by any number of groups, and one
 * table for both directions (IOVA -> OA, and VA -> IOVA when asked for).
 */
#ifndef SLUICE_DOMAIN_H
#define SLUICE_DOMAIN_H

#include <sluice/backend.h>
#include <sluice/base.h>
#include <sluice/engine.h>
#include <sluice/group.h>
#include <sluice/pagetable.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_domain;

enum sluice_mode {
	/* An unmap completes when nothing can reach the memory any more. */
	SLUICE_MODE_STRICT = 0,
	/* An unmap is complete at return; the device may reach the memory for
	 * a bounded time longer (lazy_* below). The IOVA is not reused
	 * earlier than in strict mode. */
	SLUICE_MODE_LAZY = 1
};

/* The caller chooses every IOVA (a VMM relaying a guest); there is no
 * allocator. */
#define SLUICE_DOMAIN_CALLER_IOVA 0x1u
/* Keep the VA -> IOVA direction for sluice_va_to_iova(). */
#define SLUICE_DOMAIN_VA_LOOKUP 0x2u
/* A sluice_map() of memory that this view has just unmapped (same va, len and
 * prot) brings the mapping back at its old IOVA, as long as the ticket of the
 * unmap has not passed: no IOVA is taken and no call to the kernel made. The
 * unmap still completes, in its turn. Kernel backends in strict mode do this
 * unless SLUICE_DOMAIN_NO_REVIVE forbids it. In lazy mode a kernel backend must
 * be told by SLUICE_DOMAIN_REVIVE that the caller keeps one more promise: until
 * the ticket passes, memory is reused but not given back to the system (munmap,
 * MADV_DONTNEED and their like), because its old pages stay pinned. A soft
 * domain revives only with SLUICE_DOMAIN_REVIVE. */
#define SLUICE_DOMAIN_REVIVE 0x4u
#define SLUICE_DOMAIN_NO_REVIVE 0x8u
/* Kernel backend: use the container that sluice_domain_cfg.container_fd names,
 * which somebody else has opened, put groups into and given an IOMMU (DPDK: see
 * <sluice/dpdk.h>). Whatever is mapped here its devices reach, at the same
 * IOVA. The container and its groups stay their owner's: they must be there
 * until the domain is destroyed, sluice_domain_attach() and _detach() are
 * refused, and only what this domain mapped is unmapped, at the latest when it
 * goes. The owner's own mappings are not seen: name their IOVAs in reserved.
 * A mapping on one of them is refused by the kernel (-EEXIST). */
#define SLUICE_DOMAIN_ADOPT 0x100u

#define SLUICE_MAX_WINDOWS 4

/* For sluice_domain_cfg.batch_us: no unmap waits for company. */
#define SLUICE_BATCH_NO_WAIT UINT32_MAX

struct sluice_domain_cfg {
	enum sluice_backend backend;
	enum sluice_mode mode;
	/* Format of the domain's own table. It bounds the aperture. */
	/* One whose tables are 4 KiB: any but s390 and tce. */
	enum sluice_pt_format format;
	uint32_t iova_bits; /* see enum sluice_pt_format; 0: its default */
	uint32_t flags;     /* SLUICE_DOMAIN_* */
	/* Aperture, closed; both 0: everything the format, and for a kernel
	 * backend the kernel, allows, except page 0. */
	sluice_iova_t first;
	sluice_iova_t last;
	/* Ranges never handed out; copied. A kernel backend adds its own. */
	const struct sluice_range *reserved;
	uint32_t nr_reserved;
	/* Lazy mode: flush when any of these is reached; 0 for 256 unmaps,
	 * 16 MiB, 1000 us. Time is looked at in sluice_poll(). */
	uint32_t lazy_entries;
	uint64_t lazy_bytes;
	uint32_t lazy_us;
	/* Records the invalidation log holds; 0 for 4096; a power of two from
	 * 64 to 2^20. A lane that falls behind by more flushes everything. */
	uint32_t log_records;
	/* IOTLB entries of each view; 0 for 1024; power of two 16..65536. */
	uint32_t tlb_entries;
	/* Unmaps in flight per view before sluice_unmap() answers -EAGAIN;
	 * 0 for 1024; rounded up to a power of two, at most 2^15. */
	uint32_t max_inflight;
	/* Lowest-level tables that each view remembers, so that a miss of the
	 * IOTLB is one load; each serves 2 MiB of IOVA. 0 for 8192; power of
	 * two 16..2^20. 16 bytes each, which arrive as they are used. Blocks
	 * of 2 MiB that lie a multiple of walk_entries apart share one. */
	uint32_t walk_entries;
	/* Parts of the aperture that SLUICE_MAP_WINDOW() names, closed ranges
	 * of whole pages; copied; at most SLUICE_MAX_WINDOWS. For devices that
	 * reach less than 32 or than all bits, and for platforms that only
	 * translate in windows: on POWER 0..2 GiB and 2^59.. (reserve what
	 * lies between). They may overlap. No mapping crosses an edge of one,
	 * nor 4 GiB. A window below 16 MiB makes the granule smaller. */
	const struct sluice_range *windows;
	uint32_t nr_windows;
	/* Kernel backends. The most time, in us, that an unmap which could be
	 * handed to the kernel waits for others that can share its call: those
	 * whose mappings are its neighbours. 0: about as long as 16 of these
	 * calls take, at most 1000; SLUICE_BATCH_NO_WAIT: not at all; at most
	 * 10^6. None waits while unmaps are rare, or lately had no neighbours;
	 * nor once a lane does nothing but poll for its unmaps. The ticket
	 * passes later by the time waited, and is what counts: the device
	 * keeps its access until then. Maps wait for no unmap. */
	uint32_t batch_us;
	/* Requests of all lanes that the kernel backend works on at a time, and
	 * unmaps that wait together; 0 for 256, at most 256. */
	uint32_t batch_max;
	/* Kernel backends: the memory of maps of so many bytes or more is
	 * faulted in before the kernel pins it, so that maps of others need not
	 * wait for that. 0 for 4 MiB; UINT64_MAX: never. */
	uint64_t prefault_bytes;
	/* With SLUICE_DOMAIN_ADOPT, else not looked at. Borrowed. */
	int container_fd;
};

/**
 * sluice_domain_create() - a new, empty I/O address space.
 * @cfg: NULL or zeroes: soft, strict, x86_64, 48 bits
 *
 * With SLUICE_BACKEND_VFIO_TYPE1 a container is opened; IOVAs can be mapped
 * once the first group is attached.
 *
 * Thread: control. Owns: the caller, until sluice_domain_destroy().
 * Returns: 0, -EINVAL, -ENOMEM, and for VFIO -ENOENT (no /dev/vfio/vfio: load
 * vfio_iommu_type1), -EACCES, -EPERM, -ENODEV (no type1 v2 there, or the
 * adopted container has no IOMMU yet), -EMFILE, -ENFILE, -EAGAIN (no thread
 * more: `ulimit -u`).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_domain_create(
        struct sluice_engine *engine, const struct sluice_domain_cfg *cfg,
        struct sluice_domain **ret_domain);

/**
 * sluice_domain_destroy() - free a domain and everything mapped in it.
 *
 * Views and arenas on it must be closed before. Groups that are still attached
 * are detached, and mappings that are left go with the last of them.
 * Thread: control. Returns: 0, -EBUSY with a message that names what is left;
 * nothing changes then (close the device descriptors of attached groups).
 * NULL is fine.
 */
SLUICE_API int sluice_domain_destroy(struct sluice_domain *domain);

/**
 * sluice_domain_attach() - let the devices of a group use the domain.
 *
 * Each group attached to one domain sees the same mappings: a buffer is
 * mapped once for all. With a kernel backend the first attach fixes the
 * usable IOVA ranges; a later group whose IOMMU is not compatible is refused
 * and nothing changes. May run while lanes map and unmap.
 *
 * Thread: control. Blocks: yes. Returns: 0, -EBUSY (group already in use),
 * -EINVAL (a soft domain takes no group, nor does one that adopted its
 * container: that is its owner's to do), -EPERM, -ENODEV, -ENOMEM, -EIO (the
 * IOMMU did not take the devices), -EPROTO (the kernel's answer about the IOMMU
 * is not understood).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_domain_attach(
        struct sluice_domain *domain, struct sluice_group *group);

/**
 * sluice_domain_detach() - take a group out again.
 *
 * Device file descriptors of the group must be closed before (-EBUSY). The last
 * group stays while something is mapped (-EBUSY): destroy the domain instead.
 * Thread: control. Blocks: yes. Returns: 0, -ENOENT when it is not attached
 * here, -EBUSY.
 */
SLUICE_API int sluice_domain_detach(struct sluice_domain *domain,
                                    struct sluice_group *group);

/**
 * sluice_domain_reserve() - keep a range out of the allocator, for mappings
 * whose IOVA the caller chooses (SLUICE_MAP_FIXED).
 *
 * The whole allocation granules that the range touches are taken
 * (sluice_domain_info.granule). Thread: control. Returns: 0, -EINVAL (outside
 * the aperture, misaligned), -EBUSY (a part is handed out already: reserve
 * before mapping starts).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_domain_reserve(
        struct sluice_domain *domain, sluice_iova_t iova, uint64_t len);

struct sluice_domain_info {
	enum sluice_backend backend;
	enum sluice_mode mode;
	enum sluice_pt_format format;
	uint32_t nr_groups;  /* attached through sluice */
	sluice_iova_t first; /* lowest and highest usable IOVA */
	sluice_iova_t last;
	uint64_t granule; /* bytes the allocator hands to a lane at a time */
	/* Kernel backend: mappings the kernel still takes; UINT64_MAX: no
	 * limit known. */
	uint64_t mappings_left;
	/* Kernel backend: 1 when the kernel answers IORING_OP_URING_CMD on the
	 * container. None up to Linux 7.3 does: calls to it are made by a
	 * helper thread, whatever this says. 0 with no_io_uring. */
	uint32_t uring_cmd;
	/* Where the allocator's addresses are, in bytes; 0 without one. What
	 * is in none of them is handed out or waits for a ticket. Exact when
	 * no lane runs.
	 *
	 * What fragmentation may cost: lengths are never rounded up, so every
	 * byte is in one of these. A range of a granule or more takes less
	 * than two granules beyond its length, whose pages are fragments (or
	 * stranded, for 1 GiB leaves and from the 2^19th granule on). A
	 * smaller one is refused only when no granule is free, and fragments,
	 * magazines and the lane's own have no such run; a larger one when no
	 * run of free granules is long enough (iova_largest_free). A lane
	 * keeps at most 126 ranges of each length below a granule, and a 256th
	 * of the aperture of longer ones, and gives all of it back some misses
	 * and frees after another was refused. */
	uint64_t iova_total;        /* usable and not reserved */
	uint64_t iova_free;         /* in whole granules */
	uint64_t iova_largest_free; /* the longest range of these */
	uint64_t iova_fragments;    /* in granules partly used; any lane's */
	uint64_t iova_stranded;  /* so too, unusable until all of it is free */
	uint64_t iova_magazines; /* recycled, by length; any lane's */
	uint64_t iova_lanes;     /* kept by lanes, each for itself */
	/* Debug builds: sluice_iova_free() of what was not handed out (a
	 * double free), which changed nothing. */
	uint64_t iova_bogus_frees;
	uint32_t adopted; /* 1: SLUICE_DOMAIN_ADOPT */
};

/* Reads the allocator's bitmaps: microseconds, for wide apertures milliseconds.
 * Thread: control. */
SLUICE_API void sluice_domain_get_info(struct sluice_domain *domain,
                                       struct sluice_domain_info *ret_info);

/* Counters of a domain: the sum over its views, plus the backend's. Racy reads
 * of counters that only grow; exact when no lane is running. */
struct sluice_domain_stats {
	uint64_t maps, map_bytes;
	uint64_t unmaps, unmap_bytes;
	uint64_t map_failures, unmap_failures;
	uint64_t misses;        /* translations that walked the table */
	uint64_t faults;        /* translations refused */
	uint64_t invalidations; /* records posted to the log */
	uint64_t posts;         /* times a batch of records was posted */
	uint64_t revived;       /* maps that brought a waiting unmap back */
	uint64_t
	        view_flushes; /* whole IOTLBs dropped (lapped or large range) */
	uint64_t kernel_maps; /* MAP ioctls made */
	uint64_t kernel_unmaps; /* UNMAP ioctls made */
	uint64_t kernel_errors;
	uint64_t table_bytes; /* page-table memory of the whole engine */
	/* Exposure: unmaps whose ticket had not passed, at most, and the
	 * longest time from sluice_unmap() to the ticket. */
	uint64_t exposed_entries_max;
	uint64_t exposed_bytes_max;
	uint64_t exposed_ns_max;
	/* The lane that holds tickets back most, and by how many records;
	 * laggard_lane is UINT32_MAX when all are up to date. */
	uint32_t laggard_lane;
	uint64_t laggard_records;
	/* How long the oldest unmap whose ticket has not passed has been
	 * waiting; 0: none. Lanes renew it in sluice_poll(). */
	uint64_t waiting_ns;
};

/* Thread: any. */
SLUICE_API void sluice_domain_get_stats(struct sluice_domain *domain,
                                        struct sluice_domain_stats *ret_stats);

/* What devices and lanes could still reach after sluice_unmap(), as a
 * distribution. Each unmap whose ticket has passed is one sample of all three:
 * how long its memory stayed within reach, and how many unmaps and bytes of its
 * view did, itself included, just before it passed. */
struct sluice_exposure {
	struct {
		uint64_t p50, p99, max;
	} entries, bytes, ns;
	uint64_t samples;
};

/**
 * sluice_domain_get_exposure() - how long and how much unmapped memory was
 * still within reach.
 *
 * Since the domain was created, over all views, closed ones too. entries and
 * bytes are those of one view: with n views in use the domain may have n times
 * as much exposed (exposed_*_max of struct sluice_domain_stats sum over views).
 * ns is the time from sluice_unmap() until the sluice_poll() began that found
 * the ticket passed; unmaps that one post carries share the time of the first,
 * so others were within reach for less. Percentiles are rounded up, by at most
 * 1/8, and never over max, which is exact. Unmaps whose ticket has not passed
 * are not counted yet; those that the kernel refused never are. Slots of an
 * arena stay within reach by design and are no samples.
 *
 * Thread: any. Blocks: on control calls of this domain. Racy reads like those
 * of sluice_domain_get_stats(); exact when no lane is running.
 */
SLUICE_API void sluice_domain_get_exposure(
        struct sluice_domain *domain, struct sluice_exposure *ret_exposure);

#ifdef __cplusplus
}
#endif
#endif
