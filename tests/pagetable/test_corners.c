/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a table refuses, in the words in which it does, and the answers at the
 * rims: widths, halves of signed tables, memory that is over. What play and
 * fuzzers come by anyway is not here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "carry.h"
#include "corners.h"
#include "pagetable/pt_public.h"
#include "pagetable/pt_unmap.h"

#define GIB1 ((uint64_t)1 << 30)

static struct sluice_pt *simple(enum sluice_pt_format format)
{
	return make((struct sluice_pt_config){.format = format});
}

struct plan {
	struct sluice_pt_config cfg;
	const char *says; /* NULL: fine */
};

static const struct plan plans[] = {
        {CFG(X86_64, .iova_bits = 46), "no width of 46"},
        {CFG(X86_64, .iova_bits = 58), "no width of 58"},
        {CFG(X86_64, .iova_bits = 56), NULL},
        {CFG(X86_64, .iova_bits = 47, .flags = SLUICE_PT_SIGNED), "no width"},
        {CFG(X86_64, .iova_bits = 56, .flags = SLUICE_PT_SIGNED), "no width"},
        {CFG(X86_64, .oa_bits = 12), "no output addresses of 12"},
        {CFG(X86_64, .oa_bits = 53), "13 to 52"},
        {CFG(X86_64, .oa_bits = 13), NULL},
        {CFG(X86_64, .granule_lg2 = 12), NULL},
        {CFG(X86_64, .granule_lg2 = 14), "pages of 2^12"},
        {CFG(X86_64, .levels = 4), NULL},
        {CFG(X86_64, .levels = 5), "has 4 levels"},
        {CFG(X86_64, .flags = 0x10), "unknown flags 0x10"},
        {CFG(VTDSS, .iova_bits = 40), "no width of 40"},
        {CFG(VTDSS, .flags = SLUICE_PT_SIGNED), "no signed addresses"},
        {CFG(AMDV1, .iova_bits = 29), "30 to 64"},
        {CFG(AMDV1, .iova_bits = 65), "30 to 64"},
        {CFG(AMDV1, .iova_bits = 30), NULL},
        {CFG(AMDV1, .levels = 2), "3 to 6 levels"},
        {CFG(AMDV1, .iova_bits = 64, .levels = 7), "3 to 6 levels"},
        {CFG(AMDV1, .iova_bits = 64, .levels = 6), NULL},
        {CFG(AMDV1, .iova_bits = 39, .levels = 4), "do not need 4"},
        {CFG(AMDV1, .iova_bits = 40, .levels = 4), NULL},
        {CFG(ARM_LPAE_S1, .granule_lg2 = 13), "4, 16 or 64 KiB"},
        {CFG(ARM_LPAE_S2, .granule_lg2 = 18), "4, 16 or 64 KiB"},
        {CFG(ARM_LPAE_S1, .oa_bits = 49), "only 64 KiB granules"},
        {CFG(ARM_LPAE_S1, .iova_bits = 31), "32 to 48"},
        {CFG(ARM_LPAE_S1, .iova_bits = 49), "32 to 48"},
        {CFG(ARM_LPAE_S2, .granule_lg2 = 16, .iova_bits = 53), "no width"},
        {CFG(ARM_LPAE_S2, .granule_lg2 = 16, .iova_bits = 32), NULL},
        {CFG(ARM_LPAE_S1, .granule_lg2 = 16, .oa_bits = 53), "17 to 52"},
        {CFG(ARM_LPAE_S1, .granule_lg2 = 16, .oa_bits = 16), "17 to 48"},
        {CFG(RISCV, .iova_bits = 40), "no width of 40"},
        {CFG(RISCV, .iova_bits = 29), "no width of 29"},
        {CFG(RISCV, .iova_bits = 38), NULL},
        {CFG(RISCV, .iova_bits = 47), NULL},
        {CFG(RISCV, .iova_bits = 56), NULL},
        {CFG(RISCV, .iova_bits = 38, .flags = SLUICE_PT_SIGNED), "no width"},
        {CFG(RISCV_G, .iova_bits = 48), "41, 50 or 59"},
        {CFG(RISCV_G, .flags = SLUICE_PT_SIGNED), "no signed addresses"},
        {CFG(S390, .iova_bits = 32), "31, 42, 53 or 64"},
        {CFG(S390, .flags = SLUICE_PT_DIRTY), "keeps no dirty marks"},
        {CFG(S390, .flags = SLUICE_PT_NONCOHERENT), "cannot be written back"},
        {CFG(TCE, .flags = SLUICE_PT_DIRTY), "keeps no dirty marks"},
        {CFG(TCE, .flags = SLUICE_PT_NONCOHERENT), "cannot be written back"},
        {CFG(TCE, .granule_lg2 = 11), "2^12 to 2^34"},
        {CFG(TCE, .granule_lg2 = 35, .iova_bits = 40), "2^12 to 2^34"},
        {CFG(TCE, .granule_lg2 = 34, .iova_bits = 36), NULL},
        {CFG(TCE, .iova_bits = 12), "more address bits than a page"},
        {CFG(TCE, .iova_bits = 61, .levels = 5), "at most 60"},
        {CFG(TCE, .iova_bits = 60, .levels = 6), "1 to 5 levels"},
        {CFG(TCE, .iova_bits = 13), NULL},
        {CFG(TCE, .iova_bits = 60), "needs more than 1 levels"},
        {CFG(TCE, .iova_bits = 14, .levels = 3), "no use for 3 levels"},
        {CFG(NR_FORMATS), "no page table format has the number"},
};

static void test_plans(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NR_OF(plans); i++) {
		struct sluice_pt *pt = NULL;
		int err = sluice_pt_create(&plans[i].cfg, &pt);
		unsigned page_lg2;

		if (err != (plans[i].says ? -EINVAL : 0))
			fail_msg("plan %u: %d, %s", i, err, msg_last());
		if (plans[i].says) {
			assert_null(pt);
			says(plans[i].says);
			continue;
		}
		/* Whole as well: the last page works. */
		page_lg2 = pt->pt->geo.page_lg2;
		assert_int_equal(
		        sluice_pt_map(pt,
		                      align_down(pt_max_iova(pt->pt), page_lg2),
		                      0, bit64(page_lg2), RW),
		        0);
		sluice_pt_destroy(pt);
	}
	assert_int_equal(sluice_pt_format_by_name("amdv2"), SLUICE_PT_X86_64);
}

/* Each call that takes a range, over one that is not canonical. */
static void refuse_sign(struct sluice_pt *pt, uint64_t iova, uint64_t last)
{
	struct sluice_pt_seg seg = {0, last - iova + 1};
	struct pt_freed freed = {0};
	uint64_t len = seg.len;
	struct pt *in = pt->pt;
	struct sluice_pt *twin;
	int64_t got[15];
	unsigned n = 0;

	assert_int_equal(sluice_pt_create_beside(pt, NULL, &twin), 0);
	got[n++] = sluice_pt_map(pt, iova, 0, len, RW);
	got[n++] = sluice_pt_map_sg(pt, iova, &seg, 1, RW);
	got[n++] = pt_claim(in, pt->pc, iova, last, 0, RW);
	got[n++] = sluice_pt_unmap(pt, iova, len, NULL, NULL);
	got[n++] = pt_remove(in, iova, last, NULL);
	got[n++] = sluice_pt_protect(pt, iova, len, RW);
	got[n++] = sluice_pt_split(pt, iova, len);
	got[n++] = sluice_pt_promote(pt, iova, len);
	got[n++] = sluice_pt_reclaim(pt, iova, len);
	got[n++] = sluice_pt_dirty(pt, iova, len, 0);
	got[n++] = sluice_pt_attach(pt, twin, iova, len);
	got[n++] = sluice_pt_detach(pt, iova, len);
	got[n++] = pt_unshare(in, pt->pc, iova, last, &freed);
	got[n++] = pt_unshare_ends(in, pt->pc, iova, last, &freed);
	got[n++] = pt_check_range(in, iova, last);
	assert_int_equal(n, NR_OF(got));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(got[i], -EINVAL);
	says("not a canonical range");
	assert_int_equal(freed.nr, 0);
	sluice_pt_destroy(twin);
}

static void refuse_sign_at(struct sluice_pt *pt, uint64_t iova)
{
	struct sluice_pt_extent e;
	struct pt_run run;
	au64 gen = 0;

	assert_int_equal(sluice_pt_walk(pt, iova, &e), -EINVAL);
	assert_int_equal(pt_walk(pt->pt, iova, &run), -EINVAL);
	assert_int_equal(pt_walk_gen(pt->pt, iova, &gen, &run), -EINVAL);
	assert_int_equal(sluice_pt_set_dirty(pt, iova), -EINVAL);
	says("not a canonical range");
}

static void test_signed(void **state)
{
	static const struct sluice_pt_config cfg[] = {
	        CFG(X86_64, .flags = SLUICE_PT_SIGNED),
	        CFG(RISCV, .iova_bits = 39,
	            .flags = SLUICE_PT_SIGNED | SLUICE_PT_DIRTY),
	};

	(void)state;
	for (unsigned i = 0; i < NR_OF(cfg); i++) {
		struct sluice_pt *pt = make(cfg[i]);
		uint64_t low = pt_max_iova(pt->pt); /* end of the lower half */
		uint64_t high = ~low;               /* start of the upper one */
		uint64_t at = UINT64_MAX - 2 * MIB2 + 1;
		struct pt_run run[2];
		struct pt_gather g = {.run = run, .max = 2};

		refuse_sign(pt, low - MIB2 + 1, high + MIB2 - 1);
		refuse_sign(pt, low + 1, low + MIB2);
		refuse_sign(pt, high - MIB2, high - 1);
		refuse_sign_at(pt, low + 1);
		refuse_sign_at(pt, high - 1);
		/* What is recorded and walked is sign-extended. */
		assert_int_equal(sluice_pt_map(pt, at, 0, 2 * MIB2, RW), 0);
		assert_int_equal(pt_walk(pt->pt, at + MIB2, &run[0]), 0);
		assert_int_equal(run[0].iova, at + MIB2);
		assert_int_equal(run[0].last, UINT64_MAX);
		assert_int_equal(pt_remove(pt->pt, at, at + MIB2 - 1, &g),
		                 MIB2);
		assert_int_equal(g.nr, 1);
		assert_int_equal(run[0].iova, at);
		assert_int_equal(run[0].last, at + MIB2 - 1);
		g.run = NULL;
		assert_int_equal(pt_unmap(pt->pt, at + MIB2, UINT64_MAX, &g),
		                 MIB2);
		assert_int_equal(pt_remove(pt->pt, at, UINT64_MAX, NULL), 0);
		assert_int_equal(pt_remove(pt->pt, 0, PAGE - 1, &g), 0);
		sluice_pt_destroy(pt);
	}
}

static void test_pieces(void **state)
{
	struct sluice_pt *pt = make((struct sluice_pt_config)CFG(
	        AMDV1, .iova_bits = 64, .oa_bits = 40));
	struct sluice_pt_seg seg[2] = {{0, PAGE}, {2 * PAGE, PAGE}};
	struct pt_freed freed = {0};

	(void)state;
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 0, RW), -EINVAL);
	says("an empty list");
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 1, 4), -EINVAL);
	says("unknown bits in prot");
	/* The second begins where addresses are over. */
	assert_int_equal(sluice_pt_map_sg(pt, 0 - PAGE, seg, 2, RW), -EINVAL);
	says("piece 1 is empty or wraps");
	seg[1].len = 0;
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 2, RW), -EINVAL);
	says("piece 1 is empty or wraps");
	seg[1] = (struct sluice_pt_seg){bit64(40), PAGE};
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 2, RW), -EINVAL);
	says("output addresses end at 2^40");
	seg[1] = (struct sluice_pt_seg){0, PAGE / 2};
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 2, RW), -EINVAL);
	says("whole pages");
	seg[1].len = PAGE;
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 2, 0), -EINVAL);
	says("needs SLUICE_READ or SLUICE_WRITE");
	assert_int_equal(
	        pt_map(pt->pt, pt->pc, 0, PAGE - 1, 0, RW | 1u << 20, &freed),
	        -EINVAL);
	says("unknown bits in prot");
	/* Nothing of all that is there. */
	assert_true(pt_is_empty(pt->pt));
	/* A large leaf over a table that is empty again. */
	assert_int_equal(sluice_pt_map(pt, MIB2, 0, PAGE, RW), 0);
	assert_int_equal(sluice_pt_unmap(pt, MIB2, PAGE, NULL, NULL), PAGE);
	seg[0] = (struct sluice_pt_seg){MIB2, MIB2};
	assert_int_equal(sluice_pt_map_sg(pt, MIB2, seg, 1, RW), 0);
	sluice_pt_destroy(pt);

	pt = simple(SLUICE_PT_TCE);
	assert_int_equal(
	        pt_map(pt->pt, pt->pc, 0, PAGE - 1, 0, RW | PT_SW0, &freed),
	        -EINVAL);
	says("no bits for software");
	sluice_pt_destroy(pt);
}

/* A table whose pool has this many pages and no more. */
struct poor {
	struct pagepool *pool;
	struct pagecache pc;
	struct pt *pt;
};

static void poor_open(struct poor *p, unsigned bits, uint64_t pages)
{
	struct sluice_pt_config cfg = CFG(AMDV1, .iova_bits = bits);

	assert_int_equal(pagepool_create(pages, 12, &p->pool), 0);
	pagecache_init(&p->pc, p->pool);
	assert_int_equal(pt_create(&cfg, &p->pc, &p->pt), 0);
}

static void poor_close(struct poor *p)
{
	pt_destroy(p->pt, &p->pc);
	pagecache_drain(&p->pc);
	assert_int_equal(pagepool_used(p->pool), 0);
	pagepool_destroy(p->pool);
}

/* Growing and filling without memory; nothing is there afterwards. */
static void test_no_memory(void **state)
{
	uint64_t at = bit64(50);
	uint64_t last = at + PAGE - 1;
	struct pt_freed freed = {0};
	struct poor p;
	struct poor twin;

	(void)state;
	for (uint64_t pages = 1; pages < 3; pages++) {
		poor_open(&p, 64, pages);
		assert_int_equal(pt_map(p.pt, &p.pc, at, last, 0, RW, &freed),
		                 -ENOMEM);
		assert_int_equal(pt_claim(p.pt, &p.pc, at, last, 0, RW),
		                 -ENOMEM);
		assert_int_equal(pt_populate(p.pt, &p.pc, at, last, 0),
		                 -ENOMEM);
		assert_int_equal(pt_populate(p.pt, &p.pc, 0, GIB1 - 1, PAGE),
		                 -ENOMEM);
		says("no page left");
		assert_true(pt_is_empty(p.pt));
		poor_close(&p);
	}
	/* One is higher: the other would have to grow. */
	poor_open(&p, 64, 5);
	twin = p;
	assert_int_equal(
	        pt_create(&(struct sluice_pt_config)CFG(AMDV1, .iova_bits = 64),
	                  &p.pc, &twin.pt),
	        0);
	assert_int_equal(pt_populate(p.pt, &p.pc, at, last, 0), -ENOMEM);
	assert_int_equal(pt_attach(twin.pt, &p.pc, p.pt, 0, MIB2 - 1, &freed),
	                 -ENOMEM);
	says("no page left");
	pt_destroy(twin.pt, &p.pc);
	poor_close(&p);
}

static void test_populate(void **state)
{
	struct sluice_pt *pt = simple(SLUICE_PT_VTDSS);
	struct pt_freed freed = {0};
	struct sluice_pt *twin;

	(void)state;
	assert_int_equal(pt_populate(pt->pt, pt->pc, 1, PAGE, 0), -EINVAL);
	assert_int_equal(pt_populate(pt->pt, pt->pc, 0, PAGE - 1, 1), -EINVAL);
	/* Over a leaf nothing is missing, behind it there is. */
	assert_int_equal(sluice_pt_map(pt, 0, 0, GIB1, RW), 0);
	assert_int_equal(
	        pt_populate(pt->pt, pt->pc, 0, GIB1 + 2 * MIB2 - 1, PAGE), 0);
	assert_int_equal(pt_map(pt->pt, NULL, GIB1, GIB1 + 2 * MIB2 - 1, PAGE,
	                        RW, &freed),
	                 0);
	assert_int_equal(sluice_pt_create_beside(pt, NULL, &twin), 0);
	assert_int_equal(sluice_pt_attach(twin, pt, GIB1, GIB1), 0);
	assert_int_equal(
	        pt_populate(twin->pt, twin->pc, GIB1, GIB1 + PAGE - 1, PAGE),
	        -EBUSY);
	says("shared");
	sluice_pt_destroy(pt);
	sluice_pt_destroy(twin);
}

static void test_attach(void **state)
{
	struct sluice_pt_config cfg = CFG(RISCV, .iova_bits = 48);
	struct sluice_pt *pt = make(cfg);
	struct sluice_pt *other = make(cfg);
	struct pt_freed freed = {0};
	struct sluice_pt *twin;
	struct pt *odd;

	(void)state;
	assert_int_equal(sluice_pt_create_beside(pt, NULL, &twin), 0);
	assert_int_equal(sluice_pt_attach(pt, other, 0, MIB2), -EINVAL);
	says("create one beside the other");
	assert_int_equal(sluice_pt_attach(pt, pt, 0, MIB2), -EINVAL);
	assert_int_equal(sluice_pt_attach(pt, twin, 1, MIB2), -EINVAL);
	says("whole pages");
	assert_int_equal(sluice_pt_attach(pt, twin, PAGE, MIB2), -EINVAL);
	says("whole tables are shared");
	assert_int_equal(sluice_pt_attach(pt, twin, 0, PAGE), -EINVAL);
	assert_int_equal(sluice_pt_attach(pt, twin, bit64(48), MIB2), -EINVAL);
	says("address width");
	/* The same memory and another kind of table. */
	cfg.iova_bits = 39;
	assert_int_equal(pt_create(&cfg, pt->pc, &odd), 0);
	assert_int_equal(pt_attach(pt->pt, pt->pc, odd, 0, MIB2 - 1, &freed),
	                 -EINVAL);
	pt_destroy(odd, pt->pc);
	cfg = (struct sluice_pt_config)CFG(RISCV, .flags = SLUICE_PT_DIRTY);
	assert_int_equal(pt_create(&cfg, pt->pc, &odd), 0);
	assert_int_equal(pt_attach(pt->pt, pt->pc, odd, 0, MIB2 - 1, &freed),
	                 -EINVAL);
	pt_destroy(odd, pt->pc);
	cfg.flags = SLUICE_PT_NONCOHERENT;
	/* Not every machine can write lines back. */
	if (pt_can_flush()) {
		assert_int_equal(pt_create(&cfg, pt->pc, &odd), 0);
		assert_int_equal(
		        pt_attach(pt->pt, pt->pc, odd, 0, MIB2 - 1, &freed),
		        -EINVAL);
		pt_destroy(odd, pt->pc);
	}
	/* Not even a range. */
	assert_int_equal(pt_unshare(pt->pt, pt->pc, PAGE, PAGE - 1, &freed),
	                 -EINVAL);
	says("ends before it begins");
	assert_int_equal(pt_unshare(pt->pt, pt->pc, 0, bit64(48), &freed),
	                 -EINVAL);
	sluice_pt_destroy(pt);
	sluice_pt_destroy(other);
	sluice_pt_destroy(twin);
	pt = simple(SLUICE_PT_S390);
	assert_int_equal(sluice_pt_create_beside(pt, NULL, &twin), 0);
	assert_int_equal(sluice_pt_attach(pt, twin, 0, GIB1), -EOPNOTSUPP);
	says("no bit for software");
	sluice_pt_destroy(pt);
	sluice_pt_destroy(twin);
}

/* A table that is too low for what the other holds grows, or says that it
 * could not. */
static void test_lower(void **state)
{
	struct sluice_pt_config cfg = {
	        .format = SLUICE_PT_AMDV1,
	        .max_bytes = 64 * 4096,
	};
	uint64_t high = (uint64_t)1 << 47;
	struct carry_hold hold = {0};
	struct sluice_pt_extent e;
	struct sluice_pt *a;
	struct sluice_pt *b;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &a), 0);
	assert_int_equal(sluice_pt_create_beside(a, NULL, &b), 0);
	assert_int_equal(sluice_pt_map(a, high, MIB2, MIB2, SLUICE_RW), 0);
	assert_int_equal(sluice_pt_map(a, 0, 0, MIB2, SLUICE_RW), 0);
	carry_hold(&hold, a, b, 0);
	assert_int_equal(sluice_pt_attach(b, a, 0, MIB2), -ENOMEM);
	carry_release(&hold, a);
	assert_int_equal(sluice_pt_walk(b, 0, &e), -ENOENT);
	assert_int_equal(sluice_pt_attach(b, a, 0, MIB2), 0);
	assert_int_equal(sluice_pt_walk(b, 4096, &e), 0);
	sluice_pt_destroy(a);
	sluice_pt_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_plans),
	        cmocka_unit_test(test_signed),
	        cmocka_unit_test(test_pieces),
	        cmocka_unit_test(test_no_memory),
	        cmocka_unit_test(test_populate),
	        cmocka_unit_test(test_attach),
	        cmocka_unit_test(test_lower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
