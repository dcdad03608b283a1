/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The set of mappings that a container holds: open addressing by IOVA, linear
 * probing, no tombstones. Knows addresses only.
 */
#include "engine/backend/vfio_type1_int.h"

#include <errno.h>
#include <stdlib.h>

#define OWN_MIN_LG2 6

static uint32_t home(const struct t1_own *own, uint64_t iova)
{
	/* Fibonacci hashing: 2^64 / golden ratio. */
	uint64_t h = (iova >> SLUICE_PAGE_LG2) * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> (64 - own->size_lg2));
}

static uint32_t next(const struct t1_own *own, uint32_t i)
{
	return (i + 1) & (uint32_t)mask64(own->size_lg2);
}

static uint32_t find(const struct t1_own *own, uint64_t iova)
{
	uint32_t i = home(own, iova);

	while (own->slot[i].len && own->slot[i].iova != iova)
		i = next(own, i);
	return i;
}

int own_reserve(struct t1_own *own, uint32_t n)
{
	struct t1_own big = {.size_lg2 = OWN_MIN_LG2};
	uint64_t need = ((uint64_t)own->nr + n) * 4 / 3 + 1;

	if (own->slot && need <= bit64(own->size_lg2))
		return 0;
	while (bit64(big.size_lg2) < need)
		big.size_lg2++;
	if (big.size_lg2 > 31)
		return -ENOMEM;
	big.slot = calloc(bit64(big.size_lg2), sizeof(*big.slot));
	if (!big.slot)
		return -ENOMEM;
	for (uint64_t i = 0; own->slot && i < bit64(own->size_lg2); i++)
		if (own->slot[i].len)
			own_add(&big, own->slot[i].iova, own->slot[i].len);
	free(own->slot);
	*own = big;
	return 0;
}

void own_add(struct t1_own *own, uint64_t iova, uint64_t len)
{
	uint32_t i = find(own, iova);

	own->nr += own->slot[i].len == 0;
	own->bytes += len - own->slot[i].len;
	own->slot[i] = (struct t1_piece){iova, len};
}

uint64_t own_len(const struct t1_own *own, uint64_t iova)
{
	return own->slot ? own->slot[find(own, iova)].len : 0;
}

int own_whole(const struct t1_own *own, uint64_t iova, uint64_t last)
{
	uint64_t at = iova;
	int nr = 0;

	for (;;) {
		uint64_t len = own_len(own, at);

		if (len == 0)
			return nr ? -EINVAL : -ENOENT;
		if (len - 1 > last - at)
			return -EINVAL;
		nr++;
		if (len - 1 == last - at)
			return nr;
		at += len;
	}
}

bool own_first(const struct t1_own *own, uint64_t iova, uint64_t last,
               struct sluice_range *ret)
{
	bool found = false;

	for (uint64_t i = 0; own->slot && i < bit64(own->size_lg2); i++) {
		const struct t1_piece *p = &own->slot[i];

		if (!p->len ||
		    !ranges_overlap(p->iova, p->iova + (p->len - 1), iova,
		                    last) ||
		    (found && p->iova > ret->first))
			continue;
		*ret = (struct sluice_range){p->iova, p->iova + (p->len - 1)};
		found = true;
	}
	return found;
}

/* Closes the gap at i: later members of the same probe run move up. */
static void remove_at(struct t1_own *own, uint32_t i)
{
	uint32_t mask = (uint32_t)mask64(own->size_lg2);

	for (uint32_t j = next(own, i); own->slot[j].len; j = next(own, j)) {
		uint32_t h = home(own, own->slot[j].iova);

		if (((j - h) & mask) < ((j - i) & mask))
			continue;
		own->slot[i] = own->slot[j];
		i = j;
	}
	own->slot[i].len = 0;
	own->nr--;
}

void own_drop(struct t1_own *own, uint64_t iova, uint64_t last)
{
	for (uint64_t at = iova;;) {
		uint32_t i = find(own, at);
		uint64_t len = own->slot[i].len;

		if (len == 0)
			return;
		own->bytes -= len;
		remove_at(own, i);
		if (len - 1 >= last - at)
			return;
		at += len;
	}
}

void own_free(struct t1_own *own)
{
	free(own->slot);
	*own = (struct t1_own){0};
}
