/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * C11 atomics whose names state their order. Bare operators on an _Atomic
 * object are forbidden in this tree: each use names its order, and each
 * non-relaxed use names its pair in a comment and in docs/ordering.md.
 */
#ifndef SLUICE_UTIL_ATOMICS_H
#define SLUICE_UTIL_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint64_t au64;
typedef _Atomic uint32_t au32;

#define ld_rlx(p) atomic_load_explicit((p), memory_order_relaxed)
#define ld_acq(p) atomic_load_explicit((p), memory_order_acquire)
#define st_rlx(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define st_rel(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define xchg_acqrel(p, v)                                                      \
	atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define faa_rlx(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define faa_acqrel(p, v)                                                       \
	atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define fsub_rlx(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define fsub_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_release)
#define for_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_release)
#define fand_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_release)
#define for_rlx(p, v) atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define fand_rlx(p, v) atomic_fetch_and_explicit((p), (v), memory_order_relaxed)

/* Compare and swap, strong. *old is updated on failure. */
#define cas_rlx(p, old, v)                                                     \
	atomic_compare_exchange_strong_explicit(                               \
	        (p), (old), (v), memory_order_relaxed, memory_order_relaxed)
#define cas_acq(p, old, v)                                                     \
	atomic_compare_exchange_strong_explicit(                               \
	        (p), (old), (v), memory_order_acquire, memory_order_relaxed)
#define cas_rel(p, old, v)                                                     \
	atomic_compare_exchange_strong_explicit(                               \
	        (p), (old), (v), memory_order_release, memory_order_relaxed)
#define cas_acqrel(p, old, v)                                                  \
	atomic_compare_exchange_strong_explicit(                               \
	        (p), (old), (v), memory_order_acq_rel, memory_order_acquire)

/* Full fence. On x86-64 and Arm an RMW plus this fence orders everything.
 * ThreadSanitizer does not model fences; where TSan must see the edge use
 * seq_cst operations (ld_sc, st_sc, faa_sc) instead. */
#define fence_sc() atomic_thread_fence(memory_order_seq_cst)
#define fence_rel() atomic_thread_fence(memory_order_release)
#define ld_sc(p) atomic_load_explicit((p), memory_order_seq_cst)
#define st_sc(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define for_sc(p, v) atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define fand_sc(p, v) atomic_fetch_and_explicit((p), (v), memory_order_seq_cst)
#define faa_sc(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)

/* A counter with a single writer: readable by others, no locked instruction. */
static inline void ctr_add(au64 *c, uint64_t n)
{
	st_rlx(c, ld_rlx(c) + n);
}

static inline void ctr_max(au64 *c, uint64_t v)
{
	if (v > ld_rlx(c))
		st_rlx(c, v);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* The line is about to be written: fetched once, not first to be read. */
static inline void prefetch_write(const void *p)
{
#if defined(__x86_64__)
	/* __builtin_prefetch() makes it a read unless the build is for a
	 * processor that is known to have the instruction; all take it. */
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

#endif
