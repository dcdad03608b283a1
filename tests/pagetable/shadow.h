/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory as a walker sees it that does not snoop CPU caches: a copy of a pool,
 * in which only those lines change that were written back. Stands in the place
 * of pt_flush_lines(): link it with pt_dep and pagetable/pt_flush.c stays out.
 * Lines that were never written back hold poison, as fresh memory may hold
 * anything. Knows words through the descriptor, and no operation.
 */
#ifndef SLUICE_TESTS_SHADOW_H
#define SLUICE_TESTS_SHADOW_H

#include "pagetable/pt_priv.h"

/* A copy of the pool of bytes whose first table is the first to be written
 * back from now on. All of it poison. */
void shadow_open(uint64_t bytes);
void shadow_close(void);
/* The copy as memory and the address at which it begins; poison reads as zero
 * here. */
const void *shadow_memory(void);
uint64_t shadow_base(void);

/* What was written back since shadow_begin(). */
struct shadow_count {
	uint64_t calls;
	uint64_t lines;    /* all of them */
	uint64_t distinct; /* each line once */
	uint64_t changed;  /* ... that were not in memory as they are */
	uint64_t most;     /* ... and the one that went back most often */
	uint64_t outside;  /* not of the pool: must be 0 */
};
void shadow_begin(void);
struct shadow_count shadow_counts(void);

/* The walker writes: memory takes what the CPU has at p. */
void shadow_take(const void *p);
/* Caches write lines back when they like: half of those that differ. */
void shadow_evict(uint64_t *seed);
/* The lines of the nth call from now on that would change anything are
 * forgotten until the next shadow_begin(); 0: none. */
void shadow_drop(uint64_t nth);
bool shadow_dropped(void);
/* Called around each call, not from within itself; NULL: nobody. */
void shadow_hook(void (*fn)(void *ctx, bool after), void *ctx);

/* Each item of a leaf that a walker finds from this root on; false stops. */
typedef bool shadow_leaf_fn(void *ctx, const struct pt_run *item,
                            unsigned size_lg2);
/* NULL, or what is wrong. live: every word must be what the CPU sees, but for
 * bits of links that no walker reads. */
const char *shadow_scan(const struct pt *pt, uint64_t root, bool live,
                        shadow_leaf_fn *fn, void *ctx);
/* The leaf under iova through the copy alone: 0, -ENOENT, -EIO for garbage. */
int shadow_walk(const struct pt *pt, uint64_t root, uint64_t iova,
                struct pt_run *ret);

#endif
