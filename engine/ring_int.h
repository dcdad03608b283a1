/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two halves of rings share: ring.c, for domains whose tables are the
 * engine's own, and ring_kernel.c, where each mapping is the kernel's as well.
 */
#ifndef SLUICE_ENGINE_RING_INT_H
#define SLUICE_ENGINE_RING_INT_H

#include "engine/pend.h"

/* What a slot holds: MAPPED and its number of pages, or the ticket of its last
 * unmap. So one compare tells whether it may be mapped. */
#define SLOT_MAPPED bit64(63)
/* With MAPPED, on a kernel backend: the kernel has not answered yet; and: one
 * kernel mapping with the slot before. */
#define SLOT_ASKED bit64(62)
#define SLOT_TIED bit64(61)
#define SLOT_PAGES (bit64(60) - 1)
/* In place of a ticket: one that never passes. */
#define SLOT_LOST bit64(60)

struct sluice_ring {
	struct sluice_view *view;
	struct pt_window *win; /* NULL: the slow kind */
	uint64_t iova;
	uint64_t stride;
	uint64_t max_oa;
	/* nr_slots, or 0 on a kernel backend: there no call passes the quick
	 * checks, and all are sorted out behind them. */
	uint32_t nr_quick;
	uint32_t nr_slots;
	uint64_t slot[];
};

/* ---- ring.c ---- */

/* Why a slot cannot be mapped. */
int ring_refuse_map(const struct sluice_ring *ring, uint32_t slot, uint64_t va,
                    uint64_t len, uint32_t prot);

/* ---- ring_kernel.c: the calls of a ring on a kernel backend ---- */

int kring_map(struct sluice_ring *ring, uint32_t slot, uint64_t va,
              uint64_t len, uint32_t prot, sluice_iova_t *ret_iova);
/* Arguments are checked, and the slots are free. */
int kring_map_burst(struct sluice_ring *ring, uint32_t first, uint32_t nr,
                    const uint64_t *va, uint32_t prot, uint64_t cookie);
int kring_unmap(struct sluice_ring *ring, uint32_t first, uint32_t nr,
                uint64_t cookie, struct sluice_ticket *ret_ticket);
/* May the ring go, no slot being mapped? 1: and its window is free again; 0: a
 * device may still reach a part of it; -EAGAIN: not yet. */
int kring_end(const struct sluice_ring *ring);

#endif
