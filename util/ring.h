/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded lock-free queue of fixed-size elements: DPDK's rte_ring on memory
 * of our own, without the EAL. The suffix of the enqueue names its producers.
 */
#ifndef SLUICE_UTIL_RING_H
#define SLUICE_UTIL_RING_H

#include <stdint.h>

struct ring;

enum ring_sync {
	RING_SPSC, /* one producer thread, one consumer thread */
	RING_MPSC, /* many producers, one consumer */
	RING_MPMC,
};

/* Control. elem_size a multiple of 4 bytes, nr at most 2^30; holds at least
 * nr elements. -EINVAL, -ENOMEM. */
int ring_create(uint32_t nr, uint32_t elem_size, enum ring_sync sync,
                struct ring **ret_ring);
void ring_destroy(struct ring *r);

/* Up to n elements in or out; returns how many. Never blocks. */
uint32_t ring_put(struct ring *r, const void *elems, uint32_t n);
uint32_t ring_get(struct ring *r, void *elems, uint32_t n);
uint32_t ring_count(const struct ring *r);

#endif
