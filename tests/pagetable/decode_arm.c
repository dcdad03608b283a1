/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of Arm VMSAv8-64 tables, written from the Arm ARM (DDI 0487,
 * chapter D8) as the SMMUv3 walks them (IHI 0070, 3.4 and 5.2). Beside what
 * the manuals demand it holds the table to one choice wherever they leave
 * freedom: what a device's mapping needs, and nothing else. It knows nothing
 * of how the words came about.
 */
#include "decode_arm.h"

#define BITS(hi, lo) ((~UINT64_C(0) >> (63 - (hi))) & (~UINT64_C(0) << (lo)))
#define BIT(n) (UINT64_C(1) << (n))

#define LAST_LEVEL 3

/* D8.3.1.1, D8.3.1.2: bit 1 tells tables and pages from blocks. */
#define VALID BIT(0)
#define NOT_BLOCK BIT(1)
/* D8.3.1.2, leaf fields of both stages; bit 7 is AP[2] or S2AP[1]. */
#define ATTR_INDEX BITS(4, 2)
#define S2_READ BIT(6)
#define RIGHT_7 BIT(7)
#define AF BIT(10)
#define DBM BIT(51)
#define CONTIGUOUS BIT(52)
#define SOFTWARE BITS(58, 55)

struct rule {
	uint64_t mask;
	uint64_t value;
	const char *broken;
};

static const struct rule stage1_rules[] = {
        {AF, AF, "AF is clear"},
        {BITS(9, 8), BITS(9, 8), "SH is not inner shareable"},
        {BIT(5), 0, "NS is set outside Secure state"},
        {BIT(6), BIT(6), "AP[1] keeps unprivileged accesses out"},
        {BITS(54, 53), BITS(54, 53), "UXN and PXN are not both set"},
        {BITS(63, 59), 0, "bits 63:59 of a leaf are set"},
};

/* XN[1:0] is 0b10 where nothing may execute; 0b11 lets EL1 (FEAT_XNX). */
static const struct rule stage2_rules[] = {
        {AF, AF, "AF is clear"},
        {BITS(9, 8), BITS(9, 8), "SH is not inner shareable"},
        {BITS(5, 2), BITS(5, 2), "MemAttr is not normal write-back"},
        {BIT(11), 0, "bit 11 is RES0 in stage 2"},
        {BITS(54, 53), BIT(54), "XN does not forbid all execution"},
        {BITS(63, 59), 0, "bits 63:59 of a leaf are set"},
};

struct walk {
	struct decode_image *im;
	const struct decode_arm_cfg *cfg;
	decode_fn *fn;
	void *ctx;
	uint64_t root_bytes;
	uint64_t attr_index; /* of the first leaf */
	int has_leaf;
	const char *wrong;
};

/* The first breach is the one to tell. */
static void refuse(struct walk *k, const char *why)
{
	if (!k->wrong)
		k->wrong = why;
}

static unsigned stride(const struct decode_arm_cfg *c)
{
	return c->granule_lg2 - 3;
}

/* What one entry of a level spans, as a power of two. */
static unsigned item_lg2(const struct decode_arm_cfg *c, int level)
{
	return c->granule_lg2 + (unsigned)(LAST_LEVEL - level) * stride(c);
}

/* Blocks (D8.3.1.2): no granule has them at level 0, 16K only at level 2, 64K
 * at level 1 only with 52-bit output addresses. */
static int block_allowed(const struct decode_arm_cfg *c, int level)
{
	if (level == 1)
		return c->granule_lg2 == 12 || c->oas == 52;
	return level == 2;
}

/* How many entries the Contiguous bit joins (D8.7.1), 0 where it has none. */
static uint32_t run_of(const struct decode_arm_cfg *c, int level)
{
	switch (c->granule_lg2) {
	case 12:
		return level >= 1 ? 16 : 0;
	case 14:
		return level == 3 ? 128 : level == 2 ? 32 : 0;
	default:
		return level >= 2 ? 32 : 0;
	}
}

/* The address that a descriptor of 2^size_lg2 bytes holds: bits 47 and down,
 * and where addresses have 52 bits, bits 51:48 in bits 15:12. */
static uint64_t address(struct walk *k, uint64_t w, unsigned size_lg2)
{
	uint64_t high = k->cfg->oas == 52 ? BITS(15, 12) : 0;
	uint64_t at = (w & BITS(47, size_lg2)) | (w & high) << 36;

	if (w & BITS(50, 48))
		refuse(k, "bits 50:48 are RES0");
	if (w & BITS(size_lg2 - 1, 12) & ~high)
		refuse(k, "bits below the address are RES0");
	if (at >> k->cfg->oas)
		refuse(k, "an address beyond the output size");
	return at;
}

/* AP[2] forbids and S2AP[1] allows writes (D8.4, direct permissions). Where
 * hardware manages the dirty state (D8.5), DBM makes a leaf that does not
 * allow them writable and clean. */
static void grant(struct walk *k, uint64_t w, struct decode_leaf *l)
{
	int stage2 = k->cfg->stage2;
	int set = (w & RIGHT_7) != 0;
	int write = stage2 ? set : !set;
	int dbm = (w & DBM) != 0;

	if (write && !dbm)
		refuse(k, "a writable leaf lacks DBM");
	if (!write && dbm && !k->cfg->dbm)
		refuse(k, "DBM in a read-only leaf: no hardware would set it "
		          "dirty");
	l->readable = !stage2 || (w & S2_READ);
	l->writable = write || (dbm && k->cfg->dbm);
	l->dirty = write && k->cfg->dbm;
	if (!l->readable && !l->writable)
		refuse(k, "a leaf that grants nothing");
}

/* One leaf entry of its own, whatever its neighbours are. */
static struct decode_leaf entry(struct walk *k, uint64_t w, int level)
{
	const struct rule *r = k->cfg->stage2 ? stage2_rules : stage1_rules;
	size_t nr = k->cfg->stage2 ? sizeof(stage2_rules) / sizeof(*r)
	                           : sizeof(stage1_rules) / sizeof(*r);
	unsigned size_lg2 = item_lg2(k->cfg, level);
	struct decode_leaf l = {.size = UINT64_C(1) << size_lg2};

	for (size_t i = 0; i < nr; i++) {
		if ((w & r[i].mask) != r[i].value)
			refuse(k, r[i].broken);
	}
	if (!k->has_leaf)
		k->attr_index = w & ATTR_INDEX;
	k->has_leaf = 1;
	if (!k->cfg->stage2 && (w & ATTR_INDEX) != k->attr_index)
		refuse(k, "leaves differ in AttrIndx");
	l.pa = address(k, w, size_lg2);
	grant(k, w, &l);
	return l;
}

/* Bits in which entries of one run may differ: the address, what hardware
 * sets on its own (D8.7.1) and what it does not read. */
static uint64_t free_in_run(const struct walk *k, uint64_t w)
{
	uint64_t dirty = k->cfg->dbm && (w & DBM) ? RIGHT_7 : 0;

	return BITS(47, 12) | SOFTWARE | AF | dirty;
}

/* The rest of a run whose first entry is l: all there, all alike. The manual
 * bears holes in a run (D8.7.1.1, I_PGVGZ); one leaf has none. */
static void join_run(struct walk *k, const struct decode_row *row, size_t at,
                     int level, struct decode_leaf *l)
{
	const struct decode_word *d = &row->word[at];
	uint32_t nr = run_of(k->cfg, level);
	uint64_t step = l->size;

	if (!nr) {
		refuse(k, "the contiguous bit where no run exists");
		return;
	}
	if (d->index % nr) {
		refuse(k, "a contiguous entry that begins no aligned run");
		return;
	}
	l->size = nr * step;
	if (l->pa % l->size)
		refuse(k, "a run's output address is not aligned to it");
	for (uint32_t i = 1; i < nr && !k->wrong; i++) {
		struct decode_leaf next;

		if (at + i >= row->nr || d[i].index != d->index + i) {
			refuse(k, "a run has a gap");
			return;
		}
		if ((d[i].word ^ d->word) & ~free_in_run(k, d->word)) {
			refuse(k, "entries of a run differ");
			return;
		}
		next = entry(k, d[i].word, level);
		if (next.pa != l->pa + i * step)
			refuse(k, "a run's output is not contiguous");
		l->dirty |= next.dirty;
	}
}

/* Where the table that w links lies. APTable, XNTable and NSTable are unused
 * (D8.3.1.1); the other upper bits and 11:2 are for software. */
static uint64_t link_of(struct walk *k, uint64_t w)
{
	uint64_t to = address(k, w, k->cfg->granule_lg2);

	if (w & BITS(63, 59))
		refuse(k, "a table descriptor narrows what lies below it");
	if (to < k->root_bytes)
		refuse(k, "a link into the root");
	return to;
}

static const char *breach(const struct walk *k, uint64_t w, int level)
{
	if (!(w & VALID))
		return w ? "an invalid entry that is not zero" : NULL;
	if (w & NOT_BLOCK)
		return NULL;
	if (level == LAST_LEVEL)
		return "a block encoding at level 3 is reserved";
	if (!block_allowed(k->cfg, level))
		return "a block at a level that has none";
	return NULL;
}

/* Tells of the leaf at a position; returns how many words it takes. */
static size_t read_leaf(struct walk *k, const struct decode_row *row, size_t at,
                        int level, uint64_t va)
{
	uint64_t w = row->word[at].word;
	struct decode_leaf l = entry(k, w, level);
	size_t taken = 1;

	l.va = va;
	if (w & CONTIGUOUS) {
		join_run(k, row, at, level, &l);
		taken = run_of(k->cfg, level);
	}
	if (!k->wrong)
		k->fn(k->ctx, &l);
	return taken;
}

static void read_table(struct walk *k, uint64_t table, int level,
                       uint64_t base_va, uint64_t entries)
{
	unsigned lg2 = item_lg2(k->cfg, level);
	struct decode_row row = {0};
	size_t at = 0;

	k->wrong = decode_row(k->im, table, (unsigned)(LAST_LEVEL - level),
	                      entries, &row);
	while (!k->wrong && at < row.nr) {
		uint64_t w = row.word[at].word;
		uint64_t va = base_va + ((uint64_t)row.word[at].index << lg2);

		k->wrong = breach(k, w, level);
		if (k->wrong)
			return;
		if (!(w & VALID)) {
			at++;
		} else if ((w & NOT_BLOCK) && level != LAST_LEVEL) {
			uint64_t to = link_of(k, w);

			if (!k->wrong)
				read_table(k, to, level + 1, va,
				           UINT64_C(1) << stride(k->cfg));
			at++;
		} else {
			at += read_leaf(k, &row, at, level, va);
		}
	}
}

/* The root of stage 1 follows from T0SZ alone (D8.2). */
static const char *stage1_misfit(const struct decode_arm_cfg *c)
{
	int level =
	        LAST_LEVEL - (int)((c->ias - c->granule_lg2 - 1) / stride(c));

	if (c->concat > 1)
		return "configuration: stage 1 concatenates no tables";
	if (c->start_level != level)
		return "configuration: the root's level does not follow from "
		       "the input size";
	return NULL;
}

/* The root of stage 2 is chosen by S2SL0 (IHI 0070, 5.2): level 0 only with
 * 4K, and up to 16 tables for what one table does not resolve (D8.2). */
static const char *stage2_misfit(const struct decode_arm_cfg *c)
{
	unsigned at = item_lg2(c, c->start_level);
	unsigned concat = 1;

	if (c->start_level == 0 && c->granule_lg2 != 12)
		return "configuration: stage 2 starts at level 0 with 4K only";
	if (c->ias > 48 && c->oas != 52)
		return "configuration: stage 2 takes no more bits than it "
		       "gives";
	if (c->ias <= at || c->ias > at + stride(c) + 4)
		return "configuration: the root does not fit the input size";
	if (c->ias > at + stride(c))
		concat = 1U << (c->ias - at - stride(c));
	if (c->concat != concat)
		return "configuration: another number of root tables";
	return NULL;
}

static const char *misfit(const struct decode_arm_cfg *c)
{
	unsigned most = c->granule_lg2 == 16 ? 52 : 48;
	unsigned least = c->granule_lg2 == 16 ? 17 : 16;

	if (c->granule_lg2 != 12 && c->granule_lg2 != 14 &&
	    c->granule_lg2 != 16)
		return "configuration: no such granule";
	if (c->oas < 32 || (c->oas > 48 && (c->oas != 52 || most != 52)))
		return "configuration: no such output size";
	if (c->ias < least || c->ias > most)
		return "configuration: no such input size";
	/* With DS = 1 bits 9:8 are address, and SH is in TCR. */
	if (c->start_level < 0)
		return "configuration: level -1 has another descriptor format "
		       "(DS)";
	if (c->start_level > LAST_LEVEL)
		return "configuration: no such level";
	return c->stage2 ? stage2_misfit(c) : stage1_misfit(c);
}

const char *decode_arm(struct decode_image *im,
                       const struct decode_arm_cfg *cfg, decode_fn *fn,
                       void *ctx)
{
	struct walk k = {.im = im, .cfg = cfg, .fn = fn, .ctx = ctx};

	decode_start(im);
	k.wrong = misfit(cfg);
	if (k.wrong)
		return k.wrong;
	k.root_bytes = UINT64_C(1) << cfg->granule_lg2;
	if (cfg->stage2)
		k.root_bytes *= cfg->concat;
	read_table(&k, 0, cfg->start_level, 0,
	           UINT64_C(1) << (cfg->ias - item_lg2(cfg, cfg->start_level)));
	return k.wrong ? k.wrong : decode_rest(im);
}
