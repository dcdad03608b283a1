/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded queue of fixed-size elements, many producers, one consumer. Beside
 * util/ring.h because a lane may not wait for another thread: a multi-producer
 * rte_ring makes a producer spin until those before it have published, for as
 * long as one of them is preempted. Here nobody waits; the consumer sees the
 * elements before the first unpublished one.
 */
#ifndef SLUICE_ENGINE_BACKEND_MPSC_H
#define SLUICE_ENGINE_BACKEND_MPSC_H

#include <stdbool.h>
#include <stdint.h>

struct mpsc;

/* Control. Holds nr elements, rounded up to a power of two; elem_size a
 * multiple of 8. -EINVAL, -ENOMEM. */
int mpsc_create(uint32_t nr, uint32_t elem_size, struct mpsc **ret_q);
void mpsc_destroy(struct mpsc *q);

/* Up to n elements in or out; returns how many. Never blocks, never waits.
 * What the producer wrote before is visible to the consumer after. */
uint32_t mpsc_put(struct mpsc *q, const void *elems, uint32_t n);
uint32_t mpsc_get(struct mpsc *q, void *elems, uint32_t n);
/* Consumer only: would mpsc_get return nothing? */
bool mpsc_empty(const struct mpsc *q);

/* Consumer only. A mark behind all that was put before what the caller knows
 * of, published or not; and whether mpsc_get has returned all of that. */
uint32_t mpsc_mark(const struct mpsc *q);
bool mpsc_past(const struct mpsc *q, uint32_t mark);

#endif
