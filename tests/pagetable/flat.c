/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flat judge, as plain as can be: a loop over pages for every question.
 */
#include "flat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t size_of[] = {4096, 2097152, 1073741824};

static struct flat_page *at(const struct flat *f, uint64_t iova)
{
	uint64_t i = (iova - f->base) / 4096;

	if (iova < f->base || i >= f->nr) {
		fprintf(stderr, "flat: 0x%" PRIx64 " is outside\n", iova);
		abort();
	}
	return &f->page[i];
}

void flat_init(struct flat *f, uint64_t base, uint64_t nr)
{
	*f = (struct flat){.base = base, .nr = nr};
	f->page = calloc(nr, sizeof(*f->page));
	if (!f->page)
		abort();
}

void flat_done(struct flat *f)
{
	free(f->page);
}

int flat_map(struct flat *f, uint64_t iova, uint64_t last, uint64_t oa,
             uint32_t prot)
{
	uint64_t pos = iova;

	for (uint64_t a = iova; a <= last; a += 4096)
		if (at(f, a)->prot)
			return -EEXIST;
	while (pos <= last) {
		unsigned level = 2;

		while (pos % size_of[level] || oa % size_of[level] ||
		       last - pos + 1 < size_of[level])
			level--;
		for (uint64_t off = 0; off < size_of[level]; off += 4096)
			*at(f, pos + off) = (struct flat_page){
			        .oa = oa + off,
			        .prot = prot,
			        .level = (uint8_t)level,
			};
		f->mapped += size_of[level] / 4096;
		pos += size_of[level];
		oa += size_of[level];
		prot &= ~PT_SW1;
	}
	return 0;
}

void flat_leaf(const struct flat *f, uint64_t iova, uint64_t *ret_first,
               uint64_t *ret_last)
{
	uint64_t size = size_of[at(f, iova)->level];

	*ret_first = iova / size * size;
	*ret_last = *ret_first + size - 1;
}

/* Problems are judged from low addresses to high ones. */
static int may_unmap(const struct flat *f, uint64_t iova, uint64_t last)
{
	uint64_t pos = iova;

	while (pos <= last) {
		uint64_t first;
		uint64_t end;

		if (!at(f, pos)->prot)
			return -ENOENT;
		flat_leaf(f, pos, &first, &end);
		if (first != pos || end > last)
			return -ERANGE;
		pos = end + 1;
	}
	return 0;
}

int flat_unmap(struct flat *f, uint64_t iova, uint64_t last)
{
	int err = may_unmap(f, iova, last);

	if (err)
		return err;
	for (uint64_t a = iova; a <= last; a += 4096) {
		*at(f, a) = (struct flat_page){0};
		f->mapped--;
	}
	return 0;
}

int flat_walk(const struct flat *f, uint64_t iova, struct pt_run *ret)
{
	const struct flat_page *p = at(f, iova);

	if (!p->prot)
		return -ENOENT;
	flat_leaf(f, iova, &ret->iova, &ret->last);
	ret->oa = at(f, ret->iova)->oa;
	ret->prot = p->prot;
	return 0;
}

int flat_set_dirty(struct flat *f, uint64_t iova)
{
	uint64_t first;
	uint64_t last;

	if (!at(f, iova)->prot)
		return -ENOENT;
	if (!(at(f, iova)->prot & SLUICE_WRITE))
		return -EACCES;
	flat_leaf(f, iova, &first, &last);
	for (uint64_t a = first; a <= last; a += 4096)
		at(f, a)->dirty = 1;
	return 0;
}

int64_t flat_dirty(struct flat *f, uint64_t iova, uint64_t last, bool clear)
{
	int64_t bytes = 0;

	for (uint64_t a = iova; a <= last; a += 4096) {
		struct flat_page *p = at(f, a);
		uint64_t first;
		uint64_t end;

		if (!p->prot || !p->dirty)
			continue;
		bytes += 4096;
		flat_leaf(f, a, &first, &end);
		if (clear && first >= iova && end <= last)
			p->dirty = 0;
	}
	return bytes;
}

uint32_t flat_runs(const struct flat *f, uint64_t iova, uint64_t last,
                   bool merge_heads, struct pt_run *run, uint32_t max)
{
	struct pt_run cur = {0};
	uint64_t pos = iova;
	uint32_t nr = 0;

	while (pos <= last) {
		struct pt_run leaf;
		uint32_t prot;

		if (flat_walk(f, pos, &leaf))
			abort();
		/* A head starts a run unless heads are merged over. */
		prot = merge_heads ? leaf.prot & ~PT_SW1 : leaf.prot;
		if (nr && (cur.prot & ~PT_SW1) == prot &&
		    cur.oa + (cur.last - cur.iova) + 1 == leaf.oa) {
			cur.last = leaf.last;
		} else {
			cur = leaf;
			nr++;
		}
		if (nr <= max)
			run[nr - 1] = cur;
		pos = leaf.last + 1;
	}
	return nr;
}
