/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes as calls on a table of any shape and on one beside it, with little
 * memory, next to the model; aborts where they differ. The first byte picks the
 * shape, the next three its memory, the unit and the window of play; then eight
 * bytes make a call. Knows how to make calls out of bytes, and the calls that
 * must be refused; the others are in fuzz_pt_calls.c.
 */
#include "fuzz_pt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "pagetable/pt.h"

#define OP_BYTES 8u
#define MAX_OPS 96u
#define RICH 0xf0u /* from here on memory never runs out */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fuzz *now;

_Noreturn void give_up(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\nshape %s, unit 2^%u, call %u: %s\n", file,
	        line, what, now->shape->name, now->side[0].m.unit_lg2,
	        now->calls, msg_last());
	abort();
}

static void told(void *ctx, sluice_iova_t iova, uint64_t len)
{
	struct side *s = ctx;
	struct sluice_pt_extent e;

	s->told++;
	s->told_iova = iova;
	s->told_len = len;
	CHECK(len && iova + (len - 1) >= iova);
	if (s->want_absent)
		CHECK(sluice_pt_walk(s->pt, iova, &e) == -ENOENT);
}

/* Prots of all kinds, those that no table takes included. */
static uint32_t op_prot(const uint8_t *b)
{
	static const uint32_t some[] = {SLUICE_RW,   SLUICE_RW,    SLUICE_READ,
	                                SLUICE_READ, SLUICE_RW,    SLUICE_WRITE,
	                                0,           SLUICE_RW | 4};

	return some[b[4] & 7];
}

/* Congruent to the address up to some power of two, anywhere, at the end of
 * what the format can say, or where the unit before goes on. */
static uint64_t op_oa(const struct fuzz *z, const struct op *op)
{
	unsigned unit = op->s->m.unit_lg2;
	uint64_t any = (uint64_t)(op->b[5] | op->b[6] << 8);
	unsigned lg2 = unit + (op->b[7] >> 2 & 15);
	uint64_t mask = ((uint64_t)1 << lg2) - 1;
	uint64_t oa;

	switch (op->b[7] & 3) {
	case 0:
		oa = any << unit;
		break;
	case 1:
		oa = (any << lg2 & z->info.max_oa & ~mask) | (op->iova & mask);
		break;
	case 2:
		oa = z->info.max_oa + 1 - op->len - (any << unit);
		break;
	default:
		oa = any << lg2;
		if (op->i && op->s->m.unit[op->i - 1].prot)
			oa = op->s->m.unit[op->i - 1].oa +
			     ((uint64_t)1 << unit);
	}
	oa &= z->info.max_oa & ~(((uint64_t)1 << unit) - 1);
	if (op->len - 1 > z->info.max_oa - oa)
		oa = z->info.max_oa + 1 - op->len;
	return oa;
}

static struct op decode_op(struct fuzz *z, const uint8_t *b)
{
	struct op op = {
	        .b = b,
	        .s = &z->side[z->side[1].pt ? b[0] >> 7 : 0],
	        .flag = (b[0] & 0x40) != 0,
	        .prot = op_prot(b),
	};
	uint64_t i = (uint64_t)(b[1] | b[2] << 8) % UNITS;
	uint64_t n = 1 + (b[3] & 63);

	op.other = &z->side[op.s == &z->side[0]];
	/* Where larger leaves may begin and end. */
	if (b[2] & 0x80)
		i &= ~(uint64_t)15;
	if (b[2] & 0x40)
		i &= ~(uint64_t)255;
	if (b[3] & 0x80)
		n *= 16;
	if (n > UNITS - i)
		n = UNITS - i;
	op_span(&op, i, n);
	/* Whole leaves, if that is wanted and there are some. */
	if (b[3] & 0x40 && op.s->m.unit[i].prot) {
		uint64_t end = i + n;
		uint64_t units;

		i = model_leaf(&op.s->m, i, &units);
		for (n = units; i + n < end && op.s->m.unit[i + n].prot;
		     n += units)
			model_leaf(&op.s->m, i + n, &units);
		op_span(&op, i, n);
	}
	op.oa = op_oa(z, &op);
	return op;
}

static void check_side(const struct side *s, uint64_t i, uint64_t end)
{
	uint64_t step = 1 + (end - i) / 64;

	for (; s->pt && i < end; i += step) {
		struct sluice_pt_extent e = {0};
		int err = sluice_pt_walk(s->pt, model_iova(&s->m, i), &e);

		CHECK(model_walk_ok(&s->m, i, err, &e));
	}
}

void check_near(const struct fuzz *z, uint64_t i, uint64_t n)
{
	uint64_t end = i + n < UNITS ? i + n + 1 : UNITS;

	for (unsigned k = 0; k < 2; k++)
		check_side(&z->side[k], i ? i - 1 : 0, end);
}

/* What the whole table says about itself. */
static void check_stats(const struct side *s)
{
	struct sluice_pt_stats stats;
	uint64_t leaves[64] = {0};
	uint64_t n;

	sluice_pt_get_stats(s->pt, &stats);
	for (uint64_t i = 0; i < UNITS; i += n) {
		n = 1;
		if (!s->m.unit[i].prot)
			continue;
		leaves[s->m.unit[i].size_lg2]++;
		model_leaf(&s->m, i, &n);
	}
	CHECK(memcmp(leaves, stats.leaves, sizeof(leaves)) == 0);
	CHECK(stats.shared_bytes < stats.table_bytes);
}

static void check_whole(struct fuzz *z, const struct side *s, uint64_t base)
{
	const char *wrong = model_decode(&s->m, s->pt, &z->cfg);
	const struct carry_words *ws;

	now = z;
	check_stats(s);
	ws = carry_dump(s->pt);
	for (uint64_t i = 0; i < ws->nr; i++) {
		struct sluice_pt_meaning m;

		CHECK(sluice_pt_explain(s->pt, ws->word[i].word,
		                        ws->word[i].level, &m) == 0);
		CHECK(!m.unknown &&
		      (m.kind == SLUICE_PT_LINK || m.kind == SLUICE_PT_LEAF));
	}
	if (!wrong)
		wrong = carry_load(ws, &z->cfg);
	if (!wrong)
		wrong = carry_image(s->pt, &z->cfg, base);
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	CHECK(!wrong);
}

static void do_whole(struct fuzz *z, struct op *op)
{
	uint64_t root = z->info.root_bytes;

	/* An image takes the words of a whole table of small pages. */
	if (op->s->m.unit_lg2 < 30 || root < 1u << 16)
		check_whole(z, op->s, op->b[5] * root);
}

/* One thing about a call is made impossible. */
static void spoil(const struct fuzz *z, struct op *op)
{
	uint64_t page = (uint64_t)1 << z->info.granule_lg2;

	switch (op->b[5] & 3) {
	case 0:
		op->iova |= op->b[6] & 1 ? 1 : page / 2;
		break;
	case 1:
		op->len = op->b[6] & 1 ? 0 : op->len - page / 2;
		break;
	case 2:
		op->iova = UINT64_MAX - page + 1;
		op->len = 2 * page;
		break;
	default:
		if (z->info.max_iova == UINT64_MAX)
			op->len = 0;
		else
			op->iova = z->info.max_iova + 1;
	}
}

static void do_refused(struct fuzz *z, struct op *op)
{
	struct sluice_pt *pt = op->s->pt;
	struct sluice_pt_seg seg = {op->oa, op->len};
	uint32_t prot = SLUICE_RW;
	uint64_t oa = op->oa;
	int64_t got;

	if (op->b[6] & 0x80) { /* the memory or the prot is wrong */
		oa |= op->b[6] & 2 ? 1 : 0;
		if (!(op->b[6] & 2))
			prot |= 0x100;
		got = sluice_pt_map(pt, op->iova, oa, op->len, prot);
		CHECK(got == -EINVAL);
		return;
	}
	spoil(z, op);
	seg.len = op->len;
	switch (op->b[7] % 10) {
	case 0:
		got = sluice_pt_map(pt, op->iova, oa, op->len, prot);
		break;
	case 1:
		got = sluice_pt_map_sg(pt, op->iova, &seg, 1, prot);
		break;
	case 2:
		got = sluice_pt_unmap(pt, op->iova, op->len, NULL, NULL);
		break;
	case 3:
		got = sluice_pt_protect(pt, op->iova, op->len, prot);
		break;
	case 4:
		got = sluice_pt_split(pt, op->iova, op->len);
		break;
	case 5:
		got = sluice_pt_promote(pt, op->iova, op->len);
		break;
	case 6:
		got = sluice_pt_reclaim(pt, op->iova, op->len);
		break;
	case 7:
		got = sluice_pt_detach(pt, op->iova, op->len);
		break;
	case 8:
		got = sluice_pt_dirty(pt, op->iova, op->len, 1);
		break;
	default:
		got = sluice_pt_attach(pt, pt, op->iova, op->len);
		CHECK(got == -EINVAL || got == -EOPNOTSUPP);
		return;
	}
	/* A harvest looks for memory before it looks at its range. */
	CHECK(got == -EINVAL || out_of_memory(z, got));
}

static void run_op(struct fuzz *z, const uint8_t *b)
{
	struct op op = decode_op(z, b);
	fuzz_call *call = fuzz_calls[b[0] & 31];
	uint64_t told_other = op.other->told;

	z->calls++;
	if (!call)
		call = op.flag ? do_refused : do_whole;
	call(z, &op);
	check_near(z, op.i, op.n);
	CHECK(op.other->told == told_other);
}

/* Low, in the middle, at the end; of the lower half, too, if there are two. */
static uint64_t window(const struct fuzz *z, unsigned unit, unsigned which)
{
	uint64_t len = UNITS << unit;

	if (which == 0)
		return 0;
	if (which == 1)
		return z->info.max_iova / 2 + 1 - len / 2;
	if (which == 2 && z->cfg.flags & SLUICE_PT_SIGNED)
		return UINT64_MAX - len + 1;
	return z->info.max_iova - len + 1;
}

/* Any leaf size of which a window fits. */
static unsigned pick_unit(const struct fuzz *z, unsigned n)
{
	unsigned unit[64];
	unsigned nr = 0;

	for (unsigned lg2 = 0; lg2 < 64; lg2++)
		if (z->info.leaf_sizes >> lg2 & 1 &&
		    z->info.max_iova >> lg2 >= UNITS &&
		    z->info.max_oa >> lg2 >= UNITS)
			unit[nr++] = lg2;
	return unit[n % nr];
}

/* Tables for at least one root; false: not that many. */
static bool open_tables(struct fuzz *z, const uint8_t *data)
{
	unsigned lg2[2];
	unsigned unit;
	int err;

	CHECK(pt_table_sizes(&z->cfg, lg2) == 0);
	z->rich = data[1] >= RICH;
	z->cfg.max_bytes = (uint64_t)(z->rich ? 4096 : 1 + data[1]) << lg2[0];
	err = sluice_pt_create(&z->cfg, &z->side[0].pt);
	CHECK(err == 0 || out_of_memory(z, err));
	if (err)
		return false;
	sluice_pt_get_info(z->side[0].pt, &z->info);
	unit = pick_unit(z, data[2] & 63);
	if (data[2] & 0x40) {
		err = sluice_pt_create_beside(z->side[0].pt, &z->side[1],
		                              &z->side[1].pt);
		CHECK(err == 0 || out_of_memory(z, err));
	}
	for (unsigned k = 0; k < 2; k++)
		model_init(&z->side[k].m, &z->cfg, z->info.leaf_sizes,
		           window(z, unit, data[3] & 3), unit, UNITS);
	return true;
}

static void close_tables(struct fuzz *z, bool swap)
{
	const char *wrong;

	carry_release(&z->hold, z->side[0].pt);
	for (unsigned k = 0; k < 2; k++) {
		struct side *s = &z->side[k];

		CHECK(!s->pt || model_agrees(&s->m, s->pt));
	}
	if (z->side[1].pt)
		sluice_pt_destroy(z->side[swap ? 0 : 1].pt);
	else
		swap = false;
	wrong = carry_nothing(z->side[swap ? 1 : 0].pt);
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	CHECK(!wrong);
	sluice_pt_destroy(z->side[swap ? 1 : 0].pt);
	model_done(&z->side[0].m);
	model_done(&z->side[1].m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz z = {0};
	size_t at = 4;

	if (size < 4)
		return 0;
	now = &z;
	/* Zeroing huge pages would be most of the work. */
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	z.shape = &shapes[data[0] % nr_shapes];
	z.cfg = z.shape->cfg;
	z.cfg.invalidate = told;
	z.cfg.ctx = &z.side[0];
	z.breaks = z.cfg.format == SLUICE_PT_ARM_LPAE_S1 ||
	           z.cfg.format == SLUICE_PT_ARM_LPAE_S2;
	/* Not every format has it, nor every processor. */
	if (data[3] & 0x80) {
		struct sluice_pt_config cfg = z.cfg;
		unsigned lg2[2];

		cfg.flags |= SLUICE_PT_NONCOHERENT;
		if (pt_table_sizes(&cfg, lg2) == 0)
			z.cfg = cfg;
	}
	if (!open_tables(&z, data))
		return 0;
	for (; at + OP_BYTES <= size && z.calls < MAX_OPS; at += OP_BYTES)
		run_op(&z, data + at);
	close_tables(&z, data[3] >> 6 & 1);
	return 0;
}
