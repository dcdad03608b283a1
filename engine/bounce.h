/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the parts of bounce mode: bounce.c has the slots and the calls,
 * bounce_copy.c moves bytes, bounce_measure.c finds out what is cheaper.
 */
#ifndef SLUICE_ENGINE_BOUNCE_H
#define SLUICE_ENGINE_BOUNCE_H

#include "engine/engine_int.h"

/* ---- bounce_copy.c: any lengths and addresses; words: not by the C
 * library's functions but eight bytes at a time, which is faster on some
 * machines (emulated ones above all) ---- */
void copy_bytes(bool words, void *to, const void *from, uint64_t len);
void copy_wipe(bool words, void *at, uint64_t len);

/* ---- bounce_measure.c: control ---- */

struct bounce_costs {
	bool words;      /* the faster way of copying */
	bool write_only; /* the domain's format has write-only pages */
	/* There and back; 0: not measured. */
	uint64_t copy_page_ns, copy_max_ns;
	uint64_t map_page_ns, map_max_ns;
};

/* Finds out about write_only. */
int bounce_learn(struct sluice_domain *domain, struct bounce_costs *costs);
/* Adds what copies take and, if maps, what mappings take. slot: max_len bytes,
 * zero before and after. -ENOMEM. */
int bounce_measure(struct sluice_domain *domain, void *slot, uint64_t max_len,
                   bool maps, struct bounce_costs *costs);
/* The longest buffer, whole pages, for which a copy is not dearer than a
 * mapping: 0 when a page already is, UINT64_MAX when it never is. */
uint64_t bounce_break_even(const struct bounce_costs *costs, uint64_t max_len);

#endif
