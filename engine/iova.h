/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IOVA allocator. A space (one per domain) hands granules of the aperture to
 * lanes, lock-free; a cache (one per view, owned by its lane) carves them into
 * ranges and recycles ranges by exact size. Knows address ranges, nothing of
 * tables, tickets or mappings: the engine frees a range only after its ticket
 * has passed.
 */
#ifndef SLUICE_ENGINE_IOVA_H
#define SLUICE_ENGINE_IOVA_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/base.h>
#include "util/util.h"

struct iova_space;
struct iova_cache;

/* Which part of the aperture a request wants. */
#define IOVA_MAX_WINDOWS 4u
enum iova_window {
	IOVA_ANY,    /* above 4 GiB first and in no window, then what is left */
	IOVA_32BIT,  /* whole range below 4 GiB */
	IOVA_WINDOW, /* this and the following: one that the creator named */
	IOVA_NR_WINDOWS = IOVA_WINDOW + IOVA_MAX_WINDOWS
};

/* Control. usable: nr closed ranges, ascending, disjoint, 4 KiB aligned
 * (last + 1 too); what lies outside is never handed out, nor is page 0.
 * -EINVAL, -ENOMEM. */
int iova_space_create(const struct sluice_range *usable, uint32_t nr,
                      struct iova_space **ret_space);
/* The same with named windows, at most IOVA_MAX_WINDOWS: closed ranges, aligned
 * as usable ones are, that may overlap. No range crosses the edge of a window,
 * nor 4 GiB. */
int iova_space_create_windows(const struct sluice_range *usable, uint32_t nr,
                              const struct sluice_range *windows,
                              uint32_t nr_windows,
                              struct iova_space **ret_space);
void iova_space_destroy(struct iova_space *space);

/* Takes [first, last] out of the space, by whole granules, for ranges the
 * caller chooses. Control, may race lane calls. -EINVAL outside the usable
 * ranges, -EBUSY when a granule is handed out. */
int iova_space_reserve(struct iova_space *space, uint64_t first, uint64_t last);
/* The same for nr disjoint, ascending ranges: all, or none and the number of
 * the one that was refused. */
int iova_space_reserve_all(struct iova_space *space,
                           const struct sluice_range *range, uint32_t nr,
                           uint32_t *ret_refused);
/* Is all of [first, last] inside reserved ranges? Any thread, lock-free. */
bool iova_space_is_reserved(const struct iova_space *space, uint64_t first,
                            uint64_t last);

/* Is the first or the last page of it reserved? */
bool iova_space_touches_reserved(const struct iova_space *space, uint64_t first,
                                 uint64_t last);

/* Whole granules, straight from the space: arenas and ranges of a granule or
 * more. Any thread, lock-free. Lengths are rounded up to granules. -ENOSPC. */
int iova_space_alloc(struct iova_space *space, uint64_t len, unsigned align_lg2,
                     enum iova_window window, uint64_t *ret_iova);
/* iova, len as at alloc. What is not handed out is left alone. */
void iova_space_free(struct iova_space *space, uint64_t iova, uint64_t len);

uint64_t iova_space_granule(const struct iova_space *space);
/* Bytes of granules that are free. Any thread, approximate while it changes. */
uint64_t iova_space_free_bytes(const struct iova_space *space);

/* Where free addresses are, in bytes. */
struct iova_report {
	uint64_t total;   /* all that can be handed out; not what is reserved */
	uint64_t free;    /* in free granules */
	uint64_t largest; /* the longest range of these */
	uint64_t fragments; /* in granules that are partly used: any lane's */
	uint64_t stranded;  /* the same, but until the granule is all free */
	uint64_t depot;     /* in magazines: any lane's */
	uint64_t bogus;     /* frees that debug builds have refused */
};
/* Control, reads much. Approximate while lanes run, except total. */
void iova_space_report(const struct iova_space *space,
                       struct iova_report *ret_report);
/* Bytes that a cache keeps. Any thread while the cache exists. */
uint64_t iova_cache_kept(const struct iova_cache *cache);

/* Control. */
int iova_cache_create(struct iova_space *space, struct iova_cache **ret_cache);
/* Gives everything back: whole free granules to the space, the rest to its
 * depot for other caches. Owner thread. NULL is fine. */
void iova_cache_destroy(struct iova_cache *cache);

/* Owner thread, no lock, no system call, no allocation.
 * len: multiple of 4 KiB, > 0. -ENOSPC. */
int iova_alloc(struct iova_cache *cache, uint64_t len, unsigned align_lg2,
               enum iova_window window, uint64_t *ret_iova);
/* The same, and where [like, like + len) has room for a leaf of 2 MiB or 1 GiB,
 * the range has it at the same place: congruent modulo 1 GiB when that is to be
 * had at once, else modulo 2 MiB, else anywhere. */
int iova_alloc_like(struct iova_cache *cache, uint64_t len, uint64_t like,
                    enum iova_window window, uint64_t *ret_iova);
/* Any cache of the same space may free. The range may be a part of one that
 * was handed out or several that touch, as unmaps are; what of it is reserved
 * stays so. Nothing else may be freed: a later alloc would return it. Debug
 * builds know what is handed out and leave any other range alone, with a
 * message and a count in the report. */
void iova_free(struct iova_cache *cache, uint64_t iova, uint64_t len);

#endif
