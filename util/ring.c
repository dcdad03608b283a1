/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

struct ring {
	uint32_t elem_size;
	struct rte_ring *r;
};

static const unsigned sync_flags[] = {
        [RING_SPSC] = RING_F_SP_ENQ | RING_F_SC_DEQ,
        [RING_MPSC] = RING_F_SC_DEQ,
        [RING_MPMC] = 0,
};

int ring_create(uint32_t nr, uint32_t elem_size, enum ring_sync sync,
                struct ring **ret_ring)
{
	unsigned count = rte_align32pow2(nr + 1);
	ssize_t size;
	struct ring *ring;

	if (nr == 0 || nr > 1u << 30 || elem_size == 0 || elem_size % 4)
		return -EINVAL;
	size = rte_ring_get_memsize_elem(elem_size, count);
	if (size < 0)
		return (int)size;
	ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	ring->elem_size = elem_size;
	ring->r = aligned_alloc(RTE_CACHE_LINE_SIZE,
	                        RTE_ALIGN((size_t)size, RTE_CACHE_LINE_SIZE));
	if (!ring->r ||
	    rte_ring_init(ring->r, "sluice", count, sync_flags[sync])) {
		ring_destroy(ring);
		return -ENOMEM;
	}
	*ret_ring = ring;
	return 0;
}

void ring_destroy(struct ring *ring)
{
	if (!ring)
		return;
	free(ring->r);
	free(ring);
}

uint32_t ring_put(struct ring *ring, const void *elems, uint32_t n)
{
	return rte_ring_enqueue_burst_elem(ring->r, elems, ring->elem_size, n,
	                                   NULL);
}

uint32_t ring_get(struct ring *ring, void *elems, uint32_t n)
{
	return rte_ring_dequeue_burst_elem(ring->r, elems, ring->elem_size, n,
	                                   NULL);
}

uint32_t ring_count(const struct ring *ring)
{
	return rte_ring_count(ring->r);
}
