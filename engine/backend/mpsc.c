/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue: a producer claims a run of slots with one compare-and-swap, fills
 * them and publishes each by its own sequence number. Knows elements as bytes.
 */
#include "engine/backend/mpsc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/util.h"

struct mpsc {
	uint32_t mask;
	uint32_t elem_size;
	au32 *seq; /* of slot i: position + 1 once an element is there */
	unsigned char *elem;
	_Alignas(CACHELINE) au32 head; /* claimed by producers */
	_Alignas(CACHELINE) au32 tail; /* taken by the consumer */
};

int mpsc_create(uint32_t nr, uint32_t elem_size, struct mpsc **ret_q)
{
	uint32_t size = (uint32_t)bit64(lg2_ceil(nr));
	struct mpsc *q;

	if (nr == 0 || nr > 1u << 20 || elem_size == 0 || elem_size % 8)
		return -EINVAL;
	q = aligned_alloc(_Alignof(struct mpsc), sizeof(*q));
	if (!q)
		return -ENOMEM;
	memset(q, 0, sizeof(*q));
	q->mask = size - 1;
	q->elem_size = elem_size;
	q->seq = calloc(size, sizeof(*q->seq));
	q->elem = calloc(size, elem_size);
	if (!q->seq || !q->elem) {
		mpsc_destroy(q);
		return -ENOMEM;
	}
	*ret_q = q;
	return 0;
}

void mpsc_destroy(struct mpsc *q)
{
	if (!q)
		return;
	free(q->seq);
	free(q->elem);
	free(q);
}

static void *slot(const struct mpsc *q, uint32_t pos)
{
	return q->elem + (size_t)(pos & q->mask) * q->elem_size;
}

/* Elements of one word and of two are what there is: a call of memcpy costs
 * more than they do. */
static void copy(void *to, const void *from, uint32_t size)
{
	if (likely(size == 8))
		memcpy(to, from, 8);
	else if (likely(size == 16))
		memcpy(to, from, 16);
	else
		memcpy(to, from, size);
}

/* Claims up to n slots from *ret_pos on. */
static uint32_t claim(struct mpsc *q, uint32_t n, uint32_t *ret_pos)
{
	uint32_t pos = ld_rlx(&q->head), k;

	do {
		/* The consumer is done with every slot before tail. Pairs with
		 * the release in mpsc_get. A head that is older than the tail
		 * gives nonsense here and fails to swap. */
		uint32_t room = q->mask + 1 - (pos - ld_acq(&q->tail));

		k = n < room ? n : room;
		if (k == 0)
			return 0;
	} while (!cas_rlx(&q->head, &pos, pos + k));
	*ret_pos = pos;
	return k;
}

uint32_t mpsc_put(struct mpsc *q, const void *elems, uint32_t n)
{
	const unsigned char *from = elems;
	uint32_t pos = 0, k = claim(q, n, &pos);

	for (uint32_t i = 0; i < k; i++, from += q->elem_size) {
		copy(slot(q, pos + i), from, q->elem_size);
		/* Pairs with the acquire in mpsc_get. */
		st_rel(&q->seq[(pos + i) & q->mask], pos + i + 1);
	}
	return k;
}

uint32_t mpsc_get(struct mpsc *q, void *elems, uint32_t n)
{
	uint32_t pos = ld_rlx(&q->tail), k = 0;
	unsigned char *to = elems;

	/* Pairs with the release in mpsc_put. */
	while (k < n && ld_acq(&q->seq[(pos + k) & q->mask]) == pos + k + 1) {
		copy(to, slot(q, pos + k), q->elem_size);
		to += q->elem_size;
		k++;
	}
	if (k)
		st_rel(&q->tail, pos + k); /* pairs with claim */
	return k;
}

bool mpsc_empty(const struct mpsc *q)
{
	uint32_t pos = ld_rlx(&q->tail);

	/* Pairs with the release in mpsc_put. */
	return ld_acq(&q->seq[pos & q->mask]) != pos + 1;
}

uint32_t mpsc_mark(const struct mpsc *q)
{
	return ld_rlx(&q->head);
}

bool mpsc_past(const struct mpsc *q, uint32_t mark)
{
	return (int32_t)(ld_rlx(&q->tail) - mark) >= 0;
}
