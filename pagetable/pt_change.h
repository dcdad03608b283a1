/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files that change mapped leaves share. Private to pagetable/.
 */
#ifndef SLUICE_PAGETABLE_PT_CHANGE_H
#define SLUICE_PAGETABLE_PT_CHANGE_H

#include "pagetable/pt_priv.h"
#include "pagetable/pt_unmap.h"

/* Most items of a contiguous entry, as a power of two (AMD v1: 256). */
#define PT_CONT_LG2_MAX 8u

/* The word with another permission; address, software bits and marks stay. */
uint64_t pt_word_reprot(const struct pt *pt, uint64_t w, unsigned level,
                        uint32_t prot);
/* Takes nr items from iova on out and tells walkers; the words are kept. */
void pt_break(struct pt *pt, au64 *slot, unsigned nr, unsigned level,
              uint64_t iova, uint64_t *taken);
void pt_mark_items(const struct pt *pt, au64 *slot, unsigned nr);
/* Is this leaf word marked dirty, in a table that keeps marks? */
bool pt_leaf_marked(const struct pt *pt, uint64_t w);

#endif
