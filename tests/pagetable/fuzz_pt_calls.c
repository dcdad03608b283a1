/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The calls of fuzz_pt, each beside the model. A call that finds no memory must
 * have changed nothing.
 */
#include "fuzz_pt.h"

#include <string.h>

#define EXTENTS 24u
#define SEGS 4u

static bool prot_ok(const struct side *s, uint32_t prot)
{
	return prot && !(prot & ~SLUICE_RW) &&
	       (prot & SLUICE_READ || s->m.write_only);
}

static void do_map(struct fuzz *z, struct op *op)
{
	int got = sluice_pt_map(op->s->pt, op->iova, op->oa, op->len, op->prot);

	if (!prot_ok(op->s, op->prot))
		CHECK(got == -EINVAL);
	else if (!out_of_memory(z, got))
		CHECK(got ==
		      model_map(&op->s->m, op->i, op->n, op->oa, op->prot));
}

/* Pieces that go on, that jump, and that go back. */
static void do_map_sg(struct fuzz *z, struct op *op)
{
	struct sluice_pt_seg seg[SEGS];
	struct model *m = &op->s->m;
	unsigned unit = m->unit_lg2;
	uint64_t left = op->n;
	bool used = false;
	uint32_t nr = 0;
	int got;

	while (left) {
		uint64_t part = nr + 1 == SEGS ? left : (left + 1) / 2;
		uint64_t oa = op->oa + (op->b[5] & 1u << nr ? op->len : 0);

		if (nr && op->b[6] & 1u << nr)
			oa = seg[nr - 1].oa + seg[nr - 1].len;
		if (oa > z->info.max_oa ||
		    (part << unit) - 1 > z->info.max_oa - oa)
			oa = op->oa;
		seg[nr++] = (struct sluice_pt_seg){oa, part << unit};
		left -= part;
	}
	got = sluice_pt_map_sg(op->s->pt, op->iova, seg, nr, op->prot);
	if (!prot_ok(op->s, op->prot)) {
		CHECK(got == -EINVAL);
		return;
	}
	for (uint64_t k = op->i; k < op->i + op->n; k++)
		used |= m->unit[k].prot != 0;
	CHECK(out_of_memory(z, got) || got == (used ? -EEXIST : 0));
	for (uint32_t k = 0, at = (uint32_t)op->i; got == 0 && k < nr;) {
		uint64_t oa = seg[k].oa;
		uint64_t len = seg[k].len;

		while (++k < nr && seg[k].oa == oa + len)
			len += seg[k].len;
		CHECK(model_map(m, at, len >> unit, oa, op->prot) == 0);
		at += (uint32_t)(len >> unit);
	}
}

static void do_unmap(struct fuzz *z, struct op *op)
{
	struct sluice_pt_extent got[EXTENTS];
	struct sluice_pt_extent want[EXTENTS];
	struct model *m = &op->s->m;
	int err = model_whole(m, op->i, op->n);
	uint32_t room = op->b[5] % (EXTENTS + 1);
	bool ask = room || op->flag;
	uint64_t units = op->n;
	uint32_t nr = room;
	int64_t n = sluice_pt_unmap(op->s->pt, op->iova, op->len,
	                            ask ? got : NULL, ask ? &nr : NULL);

	if (err || out_of_memory(z, n)) {
		CHECK(n == err || out_of_memory(z, n));
		return;
	}
	if (ask) {
		CHECK(nr == model_extents(m, op->i, op->n, want, room, &units));
		for (uint32_t k = 0; k < nr; k++)
			CHECK(got[k].iova == want[k].iova &&
			      got[k].oa == want[k].oa &&
			      got[k].len == want[k].len &&
			      got[k].prot == want[k].prot);
	}
	CHECK((uint64_t)n == units << m->unit_lg2);
	model_clear(m, op->i, units);
}

static void do_protect(struct fuzz *z, struct op *op)
{
	struct model *m = &op->s->m;
	int want = model_whole(m, op->i, op->n);
	int got = sluice_pt_protect(op->s->pt, op->iova, op->len, op->prot);

	if (!prot_ok(op->s, op->prot))
		want = -EINVAL;
	if (out_of_memory(z, got))
		return;
	CHECK(got == want);
	if (got)
		return;
	CHECK(op->s->told_iova == op->iova && op->s->told_len == op->len);
	model_protect(m, op->i, op->n, op->prot);
}

/* The units of all leaves that a call reaches into. */
static struct op widen(const struct op *op)
{
	const struct model *m = &op->s->m;
	uint64_t end = op->i + op->n;
	struct op w = *op;
	uint64_t n;

	if (m->unit[op->i].prot)
		w.i = model_leaf(m, op->i, &n);
	if (m->unit[end - 1].prot)
		end = model_leaf(m, end - 1, &n) + n;
	op_span(&w, w.i, end - w.i);
	return w;
}

static void do_split(struct fuzz *z, struct op *op)
{
	struct model *m = &op->s->m;
	struct op w = widen(op);
	bool over = w.i < op->i || w.i + w.n > op->i + op->n;
	uint64_t before = op->s->told;
	uint64_t nr;
	int n;

	op->s->want_absent = z->breaks;
	n = sluice_pt_split(op->s->pt, op->iova, op->len);
	op->s->want_absent = false;
	CHECK(out_of_memory(z, n) || (n >= 0 && (n > 0) == over));
	CHECK(n <= 0 || op->s->told > before);
	CHECK(model_relearn(m, op->s->pt, w.i, w.n));
	if (n < 0)
		return;
	if (m->unit[op->i].prot)
		CHECK(model_leaf(m, op->i, &nr) == op->i);
	if (op->i + op->n < UNITS && m->unit[op->i + op->n].prot)
		CHECK(model_leaf(m, op->i + op->n, &nr) == op->i + op->n);
	check_near(z, w.i, w.n);
}

/* A leaf that was joined from others is dirty when one of them was. */
static void spread_marks(struct model *m, uint64_t i, uint64_t end)
{
	uint64_t n;

	for (; i < end; i += n) {
		uint8_t dirty = 0;

		n = 1;
		if (!m->unit[i].prot)
			continue;
		CHECK(model_leaf(m, i, &n) == i);
		for (uint64_t k = i; k < i + n; k++)
			dirty |= m->unit[k].dirty;
		for (uint64_t k = i; k < i + n; k++)
			m->unit[k].dirty = dirty;
	}
}

static void do_promote(struct fuzz *z, struct op *op)
{
	struct op w = widen(op);
	uint64_t before = op->s->told;
	int64_t n = sluice_pt_promote(op->s->pt, op->iova, op->len);

	CHECK(n >= 0 && (n == 0 || op->s->told > before));
	CHECK(model_relearn(&op->s->m, op->s->pt, w.i, w.n));
	spread_marks(&op->s->m, w.i, w.i + w.n);
	CHECK(sluice_pt_promote(op->s->pt, op->iova, op->len) == 0);
	check_near(z, w.i, w.n);
}

static void do_reclaim(struct fuzz *z, struct op *op)
{
	struct sluice_pt_stats stats[2];
	uint64_t before = op->s->told;
	int64_t n;

	(void)z;
	sluice_pt_get_stats(op->s->pt, &stats[0]);
	n = sluice_pt_reclaim(op->s->pt, op->iova, op->len);
	sluice_pt_get_stats(op->s->pt, &stats[1]);
	CHECK(n >= 0 && (n == 0 || op->s->told > before));
	CHECK(stats[1].table_bytes <= stats[0].table_bytes - (uint64_t)n);
}

static void do_detach(struct fuzz *z, struct op *op)
{
	struct op w = widen(op);
	bool over = w.i < op->i || w.i + w.n > op->i + op->n;
	int got = sluice_pt_detach(op->s->pt, op->iova, op->len);

	CHECK(got == (over ? -ERANGE : 0) || out_of_memory(z, got));
	if (!got)
		model_clear(&op->s->m, op->i, op->n);
}

/* Whole tables around the span. Outside of the window nothing is mapped. */
static void do_attach(struct fuzz *z, struct op *op)
{
	uint64_t reach = sluice_pt_table_reach(op->s->pt);
	uint64_t first = op->iova & ~(reach - 1);
	uint64_t last = (op->iova + (op->len - 1)) | (reach - 1);
	uint64_t base = op->s->m.base;
	uint64_t i = first > base ? (first - base) >> op->s->m.unit_lg2 : 0;
	uint64_t end = ((last - base) >> op->s->m.unit_lg2) + 1;
	bool used = false;
	bool over = false;
	struct op w = *op;
	int got;

	if (!op->other->pt)
		return;
	got = sluice_pt_attach(op->s->pt, op->other->pt, first,
	                       last - first + 1);
	if (z->cfg.format == SLUICE_PT_TCE || z->cfg.format == SLUICE_PT_S390) {
		CHECK(got == -EOPNOTSUPP);
		return;
	}
	end = end > UNITS ? UNITS : end;
	for (uint64_t k = i; k < end; k++)
		used |= op->s->m.unit[k].prot != 0;
	w.s = op->other;
	op_span(&w, i, end - i);
	w = widen(&w);
	over = w.i < i || w.i + w.n > end;
	CHECK(out_of_memory(z, got) || (got == -EEXIST && used) ||
	      (got == -ERANGE && over) || (got == 0 && !used && !over));
	if (got == 0)
		memcpy(&op->s->m.unit[i], &op->other->m.unit[i],
		       (end - i) * sizeof(*op->s->m.unit));
	check_near(z, i, end - i);
}

static void do_set_dirty(struct fuzz *z, struct op *op)
{
	for (uint64_t k = op->i; k < op->i + op->n && k < op->i + 16; k++) {
		uint64_t off = (op->oa ^ k << 12) &
		               (((uint64_t)1 << op->s->m.unit_lg2) - 1);
		int got = sluice_pt_set_dirty(op->s->pt,
		                              model_iova(&op->s->m, k) + off);

		if (!out_of_memory(z, got))
			CHECK(got == model_set_dirty(&op->s->m, k));
	}
}

#define BITMAP_WORDS (UNITS / 64 * 32)

/* Without memory to make a table private no mark may be lost. */
static void do_dirty(struct fuzz *z, struct op *op)
{
	static uint64_t got[BITMAP_WORDS], want[BITMAP_WORDS];
	unsigned page = z->info.granule_lg2;
	bool bits = op->s->m.unit_lg2 <= page + 5;
	int64_t bytes;
	int64_t n;

	memset(got, 0, sizeof(got));
	memset(want, 0, sizeof(want));
	if (bits)
		n = sluice_pt_dirty_bitmap(op->s->pt, op->iova, op->len,
		                           op->flag, got);
	else
		n = sluice_pt_dirty(op->s->pt, op->iova, op->len, op->flag);
	if (out_of_memory(z, n))
		return;
	bytes = model_dirty(&op->s->m, op->i, op->n, op->flag,
	                    bits ? page : op->s->m.unit_lg2, want);
	CHECK(n == bytes);
	CHECK(!bits || memcmp(got, want, sizeof(got)) == 0);
}

static void do_walk_batch(struct fuzz *z, struct op *op)
{
	sluice_iova_t iova[16];
	struct sluice_pt_extent ret[16];
	const struct model *m = &op->s->m;
	uint32_t want = 0;

	for (uint64_t k = 0; k < 16; k++) {
		uint64_t off = op->oa & (((uint64_t)1 << m->unit_lg2) - 1);

		iova[k] = model_iova(m, (op->i + k * op->n) % UNITS) + off;
	}
	(void)z;
	want = sluice_pt_walk_batch(op->s->pt, iova, 16, ret);
	for (uint64_t k = 0; k < 16; k++) {
		CHECK(model_walk_ok(m, (op->i + k * op->n) % UNITS,
		                    ret[k].len ? 0 : -ENOENT, &ret[k]));
		want -= ret[k].len != 0;
	}
	CHECK(want == 0);
}

/* Some pages are all that is left, or everything is back. */
static void do_hold(struct fuzz *z, struct op *op)
{
	if (z->rich)
		return;
	carry_release(&z->hold, op->s->pt);
	if (op->flag)
		carry_hold(&z->hold, op->s->pt, op->other->pt, op->b[5] & 7);
}

fuzz_call *const fuzz_calls[32] = {
        do_map,     do_map,    do_map,    do_map,       do_map,
        do_map,     do_map,    do_map_sg, do_map_sg,    do_unmap,
        do_unmap,   do_unmap,  do_unmap,  do_protect,   do_protect,
        do_split,   do_split,  do_split,  do_promote,   do_promote,
        do_reclaim, do_detach, do_detach, do_attach,    do_attach,
        do_attach,  do_dirty,  do_dirty,  do_set_dirty, do_walk_batch,
        do_hold,
};
