/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exceptions from a shared domain: windows of addresses in which one group
 * must not reach what the others do (its interrupts go there, or firmware has
 * them mapped to itself), while it shares all the rest.
 */
#ifndef SLUICE_CARVE_H
#define SLUICE_CARVE_H

#include <sluice/base.h>
#include <sluice/domain.h>
#include <sluice/lane.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_CARVE_WINDOWS 16 /* at most */

/* A closed range of whole 4 KiB pages, and what is reached there. */
struct sluice_carve_window {
	sluice_iova_t first;
	sluice_iova_t last;
	sluice_oa_t target; /* of first, whole pages; prot 0: not looked at */
	uint32_t prot;      /* SLUICE_*; 0: every access faults */
	uint32_t reserved;  /* 0 */
};

struct sluice_carve;

/**
 * sluice_carve_create() - a soft domain with windows cut out of it.
 * @window: nr of them, in any order, disjoint; copied
 * @ret_carve: owned by the caller, freed by sluice_carve_destroy()
 *
 * Nothing changes for the domain and its views: mapping costs them what it did,
 * inside of the windows too, and what they map or unmap is what views on the
 * carve reach or no longer reach outside of the windows, with the same tickets.
 * A carve has no page table: lanes look outside of its windows into the
 * domain's own. Where hardware walks the tables, sluice_pt_attach() shares them
 * around a window.
 *
 * Thread: control. Returns: 0; -EINVAL (no window or more than
 * SLUICE_CARVE_WINDOWS, not whole pages, overlapping, wider than the domain,
 * unknown prot); -EOPNOTSUPP (a kernel backend: the kernel has one table for
 * all groups of a container; give the group a domain of its own, and map there
 * too); -ENOMEM; -EPERM in a child of the engine's process.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_carve_create(
        struct sluice_domain *domain, const struct sluice_carve_window *window,
        uint32_t nr, struct sluice_carve **ret_carve);

/**
 * sluice_carve_destroy() - give the windows up.
 *
 * The domain stays until this is called. Thread: control. Returns: 0; -EBUSY
 * while views are open on it; -EPERM. NULL is fine.
 */
SLUICE_API int sluice_carve_destroy(struct sluice_carve *carve);

/**
 * sluice_carve_view_open() - a lane's window on the domain, carved.
 *
 * In place of sluice_view_open(): a lane has one view on a domain, carved or
 * not. Translations through it see the windows. sluice_map() and
 * sluice_unmap() are the domain's, for everybody, and sluice_va_to_iova()
 * answers as it does for the others. Closed by sluice_view_close().
 *
 * Thread: lane, control. Returns: as sluice_view_open().
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_carve_view_open(
        struct sluice_lane *lane, struct sluice_carve *carve,
        struct sluice_view **ret_view);

struct sluice_carve_info {
	uint32_t nr_windows;
	uint32_t nr_views; /* that are open on it */
	uint64_t bytes;    /* all memory that it costs, tables included */
};

/* Thread: control. */
SLUICE_API void sluice_carve_get_info(struct sluice_carve *carve,
                                      struct sluice_carve_info *ret_info);

#ifdef __cplusplus
}
#endif
#endif
