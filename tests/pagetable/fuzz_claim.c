/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes as calls that only the rooms have (claims, tables in advance, software
 * bits in leaves) on a table with little memory, beside the flat record; aborts
 * where they differ. The first byte picks the kind of table, the second its
 * pool; then six bytes make a call. Formats with leaves of 4 KiB, 2 MiB and
 * 1 GiB only: that is what the record knows.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "flat.h"

#define KIB4 ((uint64_t)4096)
#define MIB2 ((uint64_t)1 << 21)
#define GIB1 ((uint64_t)1 << 30)
#define BASE ((uint64_t)511 << 30) /* the last GiB of 39 bits */
#define RUNS 40u

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x)) {                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
			        #x);                                           \
			abort();                                               \
		}                                                              \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct pagepool *pool;
	struct pagecache pc;
	struct pt *pt;
	struct pt_freed freed;
	struct flat f;
};

struct op {
	unsigned code;
	bool flag;
	uint64_t iova, last, oa;
	uint32_t prot;
};

/* Pages near the borders of leaf tables, whole large leaves, all of it. */
static struct op decode_op(const uint8_t *b)
{
	static const uint64_t areas[] = {0, 1, 2, 255, 256, 257, 510, 511};
	static const uint32_t prots[] = {SLUICE_READ,
	                                 SLUICE_RW,
	                                 SLUICE_RW | PT_SW0,
	                                 SLUICE_RW | PT_SW1,
	                                 SLUICE_WRITE,
	                                 SLUICE_READ | PT_SW1,
	                                 0,
	                                 SLUICE_RW | 0x1000};
	struct op op = {.code = b[0] & 7,
	                .flag = b[0] >> 3 & 1,
	                .prot = prots[b[0] >> 4 & 7]};
	uint64_t pos = areas[b[1] & 7] * MIB2;
	uint64_t len = (1 + (b[2] & 63)) * KIB4;

	switch (b[1] >> 6) {
	case 0: /* small, at the head of an area */
		pos += (b[1] >> 3 & 7) * KIB4;
		break;
	case 1: /* at its tail, into the next */
		pos += MIB2 - (1 + (b[1] >> 3 & 7u)) * 4 * KIB4;
		break;
	case 2: /* whole areas and a bit */
		len = (b[2] >> 4) * MIB2 + (b[2] & 15) * KIB4;
		break;
	default: /* everything, now and then: it takes long to judge */
		len = (b[1] >> 3 & 7) ? MIB2 : GIB1;
		pos = len == GIB1 ? 0 : pos;
	}
	if (len > GIB1 - pos)
		len = GIB1 - pos;
	op.iova = BASE + pos;
	op.last = op.iova + len - 1;
	op.oa = (uint64_t)b[3] << 40 | (uint64_t)(b[4] & 15) << 21 |
	        (uint64_t)(b[4] >> 4) << 12;
	if (b[5] & 1)
		op.oa += op.iova % MIB2;
	if (b[5] & 2)
		op.oa &= ~(GIB1 - 1);
	return op;
}

static bool prot_ok(const struct fuzz *z, uint32_t prot)
{
	if ((prot & 0x1000) || !(prot & SLUICE_RW))
		return false;
	switch (pt_format(z->pt)) {
	case SLUICE_PT_X86_64:
	case SLUICE_PT_ARM_LPAE_S1:
	case SLUICE_PT_RISCV:
		return (prot & SLUICE_READ) != 0;
	default:
		return true;
	}
}

static int expect_map(struct fuzz *z, const struct op *op, int got)
{
	if (op->last < op->iova || !prot_ok(z, op->prot))
		return -EINVAL;
	/* A page may be missing before the overlap is met. */
	if (got == -ENOMEM)
		return -ENOMEM;
	return flat_map(&z->f, op->iova, op->last, op->oa, op->prot);
}

/* A claim keeps tables that are there, so its leaves may be smaller than the
 * record thinks: take the sizes over, and nothing else. */
static void adopt_sizes(struct fuzz *z, const struct op *op)
{
	for (uint64_t a = op->iova; a <= op->last; a += KIB4) {
		struct pt_run r;

		CHECK(pt_walk(z->pt, a, &r) == 0);
		z->f.page[(a - BASE) / KIB4].level =
		        r.last - r.iova == KIB4 - 1   ? 0
		        : r.last - r.iova == MIB2 - 1 ? 1
		                                      : 2;
	}
}

static void do_map(struct fuzz *z, struct op *op, bool claim)
{
	int got;

	if (claim) {
		op->prot &= ~PT_SW1;
		got = pt_claim(z->pt, &z->pc, op->iova, op->last, op->oa,
		               op->prot);
	} else {
		got = pt_map(z->pt, &z->pc, op->iova, op->last, op->oa,
		             op->prot, &z->freed);
	}
	CHECK(got == expect_map(z, op, got));
	if (claim && got == 0)
		adopt_sizes(z, op);
	if (op->flag)
		pt_free_list(z->pt, &z->freed, &z->pc);
}

static void do_populate(struct fuzz *z, const struct op *op)
{
	int got = pt_populate(z->pt, &z->pc, op->iova, op->last, op->oa);

	if (op->last < op->iova) {
		CHECK(got == -EINVAL);
		return;
	}
	CHECK(got == 0 || got == -ENOMEM);
	if (got)
		return;
	/* Now a map cannot lack memory. */
	got = pt_map(z->pt, &z->pc, op->iova, op->last, op->oa, SLUICE_READ,
	             &z->freed);
	CHECK(got == flat_map(&z->f, op->iova, op->last, op->oa, SLUICE_READ));
}

static void do_unmap(struct fuzz *z, const struct op *op, uint32_t max)
{
	struct pt_run got[RUNS];
	struct pt_run want[RUNS];
	struct pt_gather g = {
	        .run = max ? got : NULL, .max = max, .merge_heads = op->flag};
	struct flat before = z->f;
	int64_t n = pt_unmap(z->pt, op->iova, op->last, &g);
	uint64_t done = op->last - op->iova + 1;
	uint32_t nr;

	if (op->last < op->iova) {
		CHECK(n == -EINVAL);
		return;
	}
	if (n < 0) {
		CHECK(n == flat_unmap(&z->f, op->iova, op->last));
		return;
	}
	for (uint64_t a = op->iova; a <= op->last; a += KIB4)
		CHECK(before.page[(a - BASE) / KIB4].prot);
	if (max) {
		nr = flat_runs(&z->f, op->iova, op->last, op->flag, want, RUNS);
		CHECK(g.nr == (nr < max ? nr : max));
		for (uint32_t i = 0; i < g.nr; i++)
			CHECK(got[i].iova == want[i].iova &&
			      got[i].last == want[i].last &&
			      got[i].oa == want[i].oa &&
			      got[i].prot == want[i].prot);
		done = want[g.nr - 1].last - op->iova + 1;
	}
	CHECK((uint64_t)n == done);
	CHECK(flat_unmap(&z->f, op->iova, op->iova + done - 1) == 0);
}

static void run_op(struct fuzz *z, const uint8_t *b)
{
	struct op op = decode_op(b);

	switch (op.code) {
	case 0:
	case 1:
	case 2:
		do_map(z, &op, false);
		break;
	case 3:
		do_map(z, &op, true);
		break;
	case 4:
		do_populate(z, &op);
		break;
	default:
		do_unmap(z, &op, b[3] % (RUNS + 1));
	}
	if (op.last >= op.iova && op.last - op.iova < 8 * MIB2)
		CHECK(flat_agrees(&z->f, z->pt, op.iova, op.last));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sluice_pt_config kinds[] = {
	        {.format = SLUICE_PT_X86_64, .iova_bits = 48},
	        {.format = SLUICE_PT_X86_64, .iova_bits = 57},
	        {.format = SLUICE_PT_VTDSS, .iova_bits = 39},
	        {.format = SLUICE_PT_VTDSS, .iova_bits = 48},
	        {.format = SLUICE_PT_VTDSS, .iova_bits = 57},
	        {.format = SLUICE_PT_AMDV1, .iova_bits = 48},
	        {.format = SLUICE_PT_ARM_LPAE_S1, .iova_bits = 48},
	        {.format = SLUICE_PT_ARM_LPAE_S2, .iova_bits = 48},
	        {.format = SLUICE_PT_RISCV, .iova_bits = 48},
	        {.format = SLUICE_PT_RISCV, .iova_bits = 57},
	};
	struct sluice_pt_config cfg;
	struct fuzz z = {0};

	if (size < 2)
		return 0;
	cfg = kinds[data[0] % NR_OF(kinds)];
	if (data[0] % NR_OF(kinds) >= 5)
		cfg.flags = SLUICE_PT_NO_CONTIG;
	CHECK(pagepool_create(6 + data[1] % 64, 12, &z.pool) == 0);
	pagecache_init(&z.pc, z.pool);
	CHECK(pt_create(&cfg, &z.pc, &z.pt) == 0);
	flat_init(&z.f, BASE, GIB1 / KIB4);
	for (size_t i = 2; i + 6 <= size && i < 600; i += 6)
		run_op(&z, data + i);
	CHECK(flat_agrees(&z.f, z.pt, BASE, BASE + 4 * MIB2 - 1));
	CHECK(flat_agrees(&z.f, z.pt, BASE + 509 * MIB2, BASE + GIB1 - 1));
	flat_done(&z.f);
	pt_free_list(z.pt, &z.freed, &z.pc);
	pt_destroy(z.pt, &z.pc);
	pagecache_drain(&z.pc);
	CHECK(pagepool_used(z.pool) == 0);
	pagepool_destroy(z.pool);
	return 0;
}
