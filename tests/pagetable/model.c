/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judge, as plain as can be: a loop over units for every question.
 */
#include "model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void model_init(struct model *m, const struct sluice_pt_config *cfg,
                uint64_t sizes, uint64_t base, unsigned unit_lg2, uint64_t nr)
{
	bool asked = (cfg->flags & SLUICE_PT_DIRTY) != 0;

	*m = (struct model){
	        .base = base,
	        .unit_lg2 = unit_lg2,
	        .nr = nr,
	        .sizes = sizes,
	};
	switch (cfg->format) {
	case SLUICE_PT_X86_64:
		m->keeps_marks = true;
		break;
	case SLUICE_PT_VTDSS:
	case SLUICE_PT_AMDV1:
		m->keeps_marks = true;
		m->write_only = true;
		break;
	case SLUICE_PT_ARM_LPAE_S2:
		m->write_only = true;
		/* fall through */
	case SLUICE_PT_ARM_LPAE_S1:
	case SLUICE_PT_RISCV:
	case SLUICE_PT_RISCV_G:
		m->keeps_marks = asked;
		m->marks_need_write = true;
		break;
	case SLUICE_PT_TCE:
		m->write_only = true;
		break;
	default:
		break;
	}
	m->unit = calloc(nr, sizeof(*m->unit));
	if (!m->unit)
		abort();
}

void model_done(struct model *m)
{
	free(m->unit);
}

/* Largest leaf that fits, by trying all from the top. */
static unsigned best_lg2(const struct model *m, uint64_t iova, uint64_t oa,
                         uint64_t left)
{
	uint64_t sizes = m->sizes;

	for (;;) {
		unsigned lg2 = 63u - (unsigned)__builtin_clzll(sizes);
		uint64_t size = (uint64_t)1 << lg2;

		if (((iova | oa) & (size - 1)) == 0 && size <= left)
			return lg2;
		sizes ^= size;
	}
}

int model_map(struct model *m, uint64_t i, uint64_t n, uint64_t oa,
              uint32_t prot)
{
	uint64_t unit = (uint64_t)1 << m->unit_lg2;

	for (uint64_t k = i; k < i + n; k++)
		if (m->unit[k].prot)
			return -EEXIST;
	while (n) {
		unsigned lg2 =
		        best_lg2(m, model_iova(m, i), oa, n << m->unit_lg2);
		uint64_t units = (uint64_t)1 << (lg2 - m->unit_lg2);

		n -= units;
		for (; units; units--, i++, oa += unit)
			m->unit[i] = (struct unit){
			        .oa = oa,
			        .prot = (uint8_t)prot,
			        .size_lg2 = (uint8_t)lg2,
			};
	}
	return 0;
}

uint64_t model_leaf(const struct model *m, uint64_t i, uint64_t *ret_n)
{
	uint64_t size = (uint64_t)1 << m->unit[i].size_lg2;
	uint64_t iova = model_iova(m, i);

	*ret_n = size >> m->unit_lg2;
	return i - ((iova & (size - 1)) >> m->unit_lg2);
}

int model_whole(const struct model *m, uint64_t i, uint64_t n)
{
	uint64_t end = i + n;

	while (i < end) {
		uint64_t units;

		if (!m->unit[i].prot)
			return -ENOENT;
		if (model_leaf(m, i, &units) != i || i + units > end)
			return -ERANGE;
		i += units;
	}
	return 0;
}

void model_clear(struct model *m, uint64_t i, uint64_t n)
{
	memset(&m->unit[i], 0, n * sizeof(*m->unit));
}

void model_protect(struct model *m, uint64_t i, uint64_t n, uint32_t prot)
{
	for (struct unit *u = &m->unit[i]; n; n--, u++) {
		if (m->marks_need_write && !(u->prot & prot & SLUICE_WRITE))
			u->dirty = 0;
		u->prot = (uint8_t)prot;
	}
}

int model_set_dirty(struct model *m, uint64_t i)
{
	uint64_t n;

	if (!m->keeps_marks)
		return -EOPNOTSUPP;
	if (!m->unit[i].prot)
		return -ENOENT;
	if (!(m->unit[i].prot & SLUICE_WRITE))
		return -EACCES;
	for (i = model_leaf(m, i, &n); n; n--, i++)
		m->unit[i].dirty = 1;
	return 0;
}

int64_t model_dirty(struct model *m, uint64_t i, uint64_t n, bool clear,
                    unsigned page_lg2, uint64_t *bitmap)
{
	uint64_t pages = (uint64_t)1 << (m->unit_lg2 - page_lg2);
	uint64_t end = i + n;
	uint64_t start = i;
	int64_t bytes = 0;

	if (!m->keeps_marks)
		return -EOPNOTSUPP;
	for (; i < end; i++) {
		struct unit *u = &m->unit[i];
		uint64_t units;
		uint64_t first;

		if (!u->dirty)
			continue;
		bytes += (int64_t)1 << m->unit_lg2;
		for (uint64_t p = 0; p < pages; p++) {
			uint64_t bit = (i - start) * pages + p;

			bitmap[bit / 64] |= (uint64_t)1 << bit % 64;
		}
		first = model_leaf(m, i, &units);
		if (clear && first >= start && first + units <= end)
			u->dirty = 0;
	}
	return bytes;
}

uint32_t model_extents(const struct model *m, uint64_t i, uint64_t n,
                       struct sluice_pt_extent *ext, uint32_t max,
                       uint64_t *ret_units)
{
	uint64_t unit = (uint64_t)1 << m->unit_lg2;
	uint64_t end = i + n;
	uint64_t start = i;
	uint32_t nr = 0;

	for (; i < end; i++) {
		const struct unit *u = &m->unit[i];
		struct sluice_pt_extent *e = nr ? &ext[nr - 1] : NULL;

		if (e && e->oa + e->len == u->oa && e->prot == u->prot) {
			e->len += unit;
			continue;
		}
		if (nr == max)
			break;
		ext[nr++] = (struct sluice_pt_extent){
		        .iova = model_iova(m, i),
		        .oa = u->oa,
		        .len = unit,
		        .prot = u->prot,
		};
	}
	*ret_units = i - start;
	return nr;
}

bool model_walk_ok(const struct model *m, uint64_t i, int err,
                   const struct sluice_pt_extent *e)
{
	const struct unit *u = &m->unit[i];
	uint64_t n;
	uint64_t first;

	if (!u->prot)
		return err == -ENOENT;
	first = model_leaf(m, i, &n);
	return err == 0 && e->iova == model_iova(m, first) &&
	       e->len == n << m->unit_lg2 && e->prot == u->prot &&
	       e->oa == u->oa - ((i - first) << m->unit_lg2);
}

bool model_agrees(const struct model *m, const struct sluice_pt *pt)
{
	for (uint64_t i = 0; i < m->nr; i++) {
		struct sluice_pt_extent e = {0};
		int err = sluice_pt_walk(pt, model_iova(m, i), &e);

		if (model_walk_ok(m, i, err, &e))
			continue;
		fprintf(stderr,
		        "unit %" PRIu64 " at 0x%" PRIx64 ": walk %d 0x%" PRIx64
		        " -> 0x%" PRIx64 " len 0x%" PRIx64 " prot %u; recorded "
		        "0x%" PRIx64 " size 2^%u prot %u\n",
		        i, model_iova(m, i), err, e.iova, e.oa, e.len, e.prot,
		        m->unit[i].oa, m->unit[i].size_lg2, m->unit[i].prot);
		return false;
	}
	return true;
}

bool model_relearn(struct model *m, const struct sluice_pt *pt, uint64_t i,
                   uint64_t n)
{
	uint64_t end = i + n;

	while (i < end) {
		struct sluice_pt_extent e = {0};
		uint64_t iova = model_iova(m, i);
		int err = sluice_pt_walk(pt, iova, &e);
		uint64_t units;

		if (!m->unit[i].prot) {
			if (err != -ENOENT)
				return false;
			i++;
			continue;
		}
		if (err || e.iova != iova || (e.len & (e.len - 1)) ||
		    !(e.len & m->sizes) || (iova & (e.len - 1)) ||
		    (e.oa & (e.len - 1)) || e.len >> m->unit_lg2 == 0) {
			fprintf(stderr,
			        "0x%" PRIx64 ": walk %d 0x%" PRIx64
			        " -> 0x%" PRIx64 " len 0x%" PRIx64 "\n",
			        iova, err, e.iova, e.oa, e.len);
			return false;
		}
		units = e.len >> m->unit_lg2;
		for (uint64_t k = 0; k < units; k++) {
			struct unit *u = &m->unit[i + k];

			if (u->oa != e.oa + (k << m->unit_lg2) ||
			    u->prot != e.prot) {
				fprintf(stderr, "0x%" PRIx64 ": other leaf\n",
				        iova);
				return false;
			}
			u->size_lg2 = (uint8_t)__builtin_ctzll(e.len);
		}
		i += units;
	}
	return true;
}
