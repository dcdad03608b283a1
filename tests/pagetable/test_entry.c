/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words alone: every format encodes and decodes, the largest leaf is the
 * largest, and the vector kernels do what the loops say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pagetable/pt_chunk.h"
#include "shapes.h"
#include "table.h"

static const uint32_t prots[] = {SLUICE_READ, SLUICE_WRITE, SLUICE_RW};
static const uint32_t sws[] = {0, PT_SW0, PT_SW1, PT_SW0 | PT_SW1};

/* A table of a shape with its pools, for its descriptor and geometry. */
struct rig {
	struct pagepool *pool[2];
	struct pagecache pc[2];
	struct pt *pt;
	const struct pt_fmt *f;
	const struct pt_geo *g;
	unsigned top;
};

static void rig_open(struct rig *r, const struct shape *shape)
{
	unsigned lg2[2];

	*r = (struct rig){0};
	assert_int_equal(pt_table_sizes(&shape->cfg, lg2), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pagepool_create(64, lg2[i], &r->pool[i]), 0);
		pagecache_init(&r->pc[i], r->pool[i]);
	}
	assert_int_equal(pt_create(&shape->cfg, r->pc, &r->pt), 0);
	r->f = r->pt->fmt;
	r->g = &r->pt->geo;
	r->top = r->f->grows ? r->f->top_max : r->g->top;
}

static void rig_close(struct rig *r)
{
	pt_destroy(r->pt, r->pc);
	for (unsigned i = 0; i < 2; i++) {
		pagecache_drain(&r->pc[i]);
		assert_int_equal(pagepool_used(r->pool[i]), 0);
		pagepool_destroy(r->pool[i]);
	}
}

/* Every item of an entry says the same leaf. */
static void check_entry(const struct rig *r, unsigned level, unsigned cont,
                        uint64_t oa, uint32_t prot)
{
	const struct pt_fmt *f = r->f;
	struct pt_chunk c = {NULL, 1u << cont, level, cont};
	uint64_t first = pt_leaf_word(f, r->g, level, cont, oa, prot);

	for (unsigned i = 0; i < c.nr; i += 1 + c.nr / 19) {
		uint64_t w = pt_item_word(f, r->g, &c, first, i);

		assert_true(pt_is_present(f, w, level));
		assert_true(pt_is_leaf(f, w, level));
		assert_false(pt_is_link(f, w, level));
		assert_false(pt_is_own_link(f, w, level));
		assert_int_not_equal(w, pt_empty(f, level));
		assert_int_equal(pt_word_cont(f, r->g, w, level), cont);
		assert_int_equal(pt_word_oa(f, r->g, w, level, cont), oa);
		assert_int_equal(pt_word_prot(f, w, level), prot);
		/* The walker's bits change none of it. */
		if (!(prot & SLUICE_WRITE) || !r->g->dirty_on)
			continue;
		assert_false(pt_word_dirty(f, w));
		w = pt_word_set_dirty(f, w) | f->accessed;
		assert_true(pt_word_dirty(f, w));
		assert_int_equal(pt_word_cont(f, r->g, w, level), cont);
		assert_int_equal(pt_word_oa(f, r->g, w, level, cont), oa);
		assert_int_equal(pt_word_prot(f, w, level), prot);
		assert_true(pt_is_leaf(f, w, level));
	}
}

static void check_size(const struct rig *r, unsigned level, unsigned cont,
                       uint64_t *seed)
{
	unsigned size_lg2 = pt_shift(r->f, r->g, level) + cont;
	uint64_t max = r->g->max_oa & ~mask64(size_lg2);

	for (unsigned i = 0; i < NR_OF(prots) * NR_OF(sws); i++) {
		uint32_t prot = prots[i % 3] | sws[i / 3];

		if (!pt_prot_ok(r->f, prot))
			continue;
		check_entry(r, level, cont, 0, prot);
		check_entry(r, level, cont, max, prot);
		for (unsigned b = size_lg2; b < 64; b++)
			check_entry(r, level, cont, bit64(b) & max, prot);
		for (unsigned n = 0; n < 50; n++)
			check_entry(r, level, cont, rnd(seed) & max, prot);
	}
}

static void test_round_trip(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned k = 0; k < nr_shapes; k++) {
		struct rig r;

		rig_open(&r, &shapes[k]);
		for (unsigned level = 0; level <= r.top; level++) {
			unsigned max = r.f->cont_lg2[level];

			if (!pt_level_has_leaves(r.f, level))
				continue;
			check_size(&r, level, 0, &seed);
			for (unsigned c = 1; c <= max; c++)
				if (r.f->cont == PT_CONT_AMD || c == max)
					check_size(&r, level, c, &seed);
		}
		rig_close(&r);
	}
}

static void test_links(void **state)
{
	(void)state;
	for (unsigned k = 0; k < nr_shapes; k++) {
		struct rig r;
		const struct pt_fmt *f;

		rig_open(&r, &shapes[k]);
		f = r.f;
		for (unsigned level = 0; level <= r.top; level++) {
			uint64_t empty = pt_empty(f, level);

			assert_false(pt_is_leaf(f, empty, level));
			assert_false(pt_is_link(f, empty, level));
			for (uint64_t a = bit64(r.g->table_lg2);
			     level && a < bit64(47); a <<= 1) {
				uint64_t w = pt_link_word(f, level, a);

				assert_true(pt_is_link(f, w, level));
				assert_true(pt_is_own_link(f, w, level));
				assert_false(pt_is_leaf(f, w, level));
				assert_int_equal(pt_word_link(f, w), a);
				w |= f->link_flushed;
				assert_true(pt_is_own_link(f, w, level));
				assert_int_equal(pt_word_link(f, w), a);
				w |= f->link_shared;
				assert_true(pt_is_link(f, w, level));
				assert_int_equal(pt_is_own_link(f, w, level),
				                 !f->link_shared);
				assert_int_equal(pt_word_link(f, w), a);
			}
		}
		rig_close(&r);
	}
}

/* The levels cut an address into an offset and indices without gap or
 * overlap, and the root has a slot for each that is left. */
static void test_levels_tile(void **state)
{
	(void)state;
	for (unsigned k = 0; k < nr_shapes; k++) {
		struct rig r;
		unsigned bit;

		rig_open(&r, &shapes[k]);
		bit = pt_page_lg2(r.f, r.g);
		for (unsigned level = 0; level < r.top; level++) {
			assert_int_equal(pt_shift(r.f, r.g, level), bit);
			bit += pt_index_lg2(r.f, r.g, level);
		}
		assert_int_equal(pt_shift(r.f, r.g, r.top), bit);
		assert_in_range(r.g->max_iova >> bit, 0,
		                (1u << (r.g->root_lg2 - 3)) - 1);
		for (unsigned b = 0; b < 64 && bit64(b) <= r.g->max_iova; b++) {
			unsigned ones = b < pt_page_lg2(r.f, r.g);

			for (unsigned l = 0; l <= r.top; l++)
				ones += (unsigned)__builtin_popcount(
				        pt_index(r.f, r.g, bit64(b), l, r.top));
			assert_int_equal(ones, 1);
		}
		rig_close(&r);
	}
}

static void test_prot(void **state)
{
	(void)state;
	for (unsigned k = 0; k < nr_shapes; k++) {
		struct rig r;
		bool sw;

		rig_open(&r, &shapes[k]);
		sw = r.f->sw_lg2[1] != 0;
		assert_true(pt_prot_ok(r.f, SLUICE_READ));
		assert_true(pt_prot_ok(r.f, SLUICE_RW));
		assert_int_equal(pt_prot_ok(r.f, SLUICE_WRITE),
		                 r.f->need == SLUICE_RW);
		assert_int_equal(pt_prot_ok(r.f, SLUICE_RW | PT_SW0 | PT_SW1),
		                 sw);
		assert_false(pt_prot_ok(r.f, 0));
		assert_false(pt_prot_ok(r.f, PT_SW0));
		for (unsigned b = 0; b < 32; b++)
			if (!(bit64(b) & PT_PROT_MASK))
				assert_false(pt_prot_ok(
				        r.f, SLUICE_RW | (uint32_t)bit64(b)));
		rig_close(&r);
	}
}

/* The largest size by trying all that a table says it has. */
static unsigned slow_size(uint64_t sizes, uint64_t iova, uint64_t last,
                          uint64_t oa)
{
	unsigned best = 0;

	for (unsigned lg2 = 0; lg2 < 64; lg2++)
		if (sizes >> lg2 & 1 && aligned_lg2(iova | oa, lg2) &&
		    mask64(lg2) <= last - iova)
			best = lg2;
	return best;
}

static void test_best_size(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (unsigned k = 0; k < nr_shapes; k++) {
		struct sluice_pt_info info;
		struct sluice_pt *pub;
		struct rig r;

		rig_open(&r, &shapes[k]);
		assert_int_equal(sluice_pt_create(&shapes[k].cfg, &pub), 0);
		sluice_pt_get_info(pub, &info);
		assert_int_equal(info.granule_lg2, r.g->page_lg2);
		for (unsigned i = 0; i < 60000; i++) {
			unsigned lg2 = info.granule_lg2 +
			               (unsigned)rnd_below(&seed, 30);
			uint64_t grain = bit64(lg2 < 62 ? lg2 : 62);
			uint64_t page = bit64(info.granule_lg2);
			uint64_t iova = rnd(&seed) & r.g->max_iova;
			uint64_t oa = rnd(&seed) & r.g->max_oa;
			uint64_t len = (1 + rnd_below(&seed, 4)) * grain;
			struct pt_size s;

			iova &= ~((i % 3 ? grain : page) - 1);
			oa &= ~((i % 5 ? grain : page) - 1);
			if (i % 7 == 0)
				len = len / page / 3 * page + page;
			if (len - 1 > r.g->max_iova - iova)
				continue;
			s = pt_best(r.f, r.g, r.top, iova, iova + len - 1, oa);
			assert_int_equal(pt_shift(r.f, r.g, s.level) + s.cont,
			                 slow_size(info.leaf_sizes, iova,
			                           iova + len - 1, oa));
		}
		sluice_pt_destroy(pub);
		rig_close(&r);
	}
}

/* Each kernel on every placement in a few lines, against the meaning. */
static void check_kernels(enum pt_simd simd, au64 *w, unsigned off, unsigned n)
{
	uint64_t step = n & 1 ? KIB4 : MIB2;
	uint64_t first = 0x123400000003u;

	for (unsigned i = 0; i < 128; i++)
		st_rlx(&w[i], 0);
	assert_true(pt_words_zero(simd, w + off, n));
	pt_words_fill(simd, w + off, n, first, step);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(
		        ld_rlx(&w[i]),
		        i < off || i >= off + n ? 0 : first + (i - off) * step);
	assert_int_equal(pt_words_any(simd, w + off, n + 1, 3), n);
	assert_int_equal(
	        pt_words_run(simd, w + off, n + 1, first, step, UINT64_MAX), n);
	for (unsigned bad = 0; bad < n; bad += 1 + n / 7) {
		uint64_t old = ld_rlx(&w[off + bad]);

		st_rlx(&w[off + bad], old ^ bit64(9));
		assert_int_equal(
		        pt_words_run(simd, w + off, n, first, step, UINT64_MAX),
		        bad);
		assert_int_equal(
		        pt_words_run(simd, w + off, n, first, step, ~bit64(9)),
		        n);
		st_rlx(&w[off + bad], 4);
		assert_int_equal(pt_words_any(simd, w + off, n, 3), bad);
		st_rlx(&w[off + bad], old);
	}
	st_rlx(&w[off + n], 5);
	pt_words_clear(simd, w + off, n);
	assert_true(pt_words_zero(simd, w + off, n));
	assert_int_equal(ld_rlx(&w[off + n]), 5);
	for (unsigned i = 0; i < n; i++) {
		st_rlx(&w[off + i], bit64(63));
		assert_false(pt_words_zero(simd, w + off, n));
		st_rlx(&w[off + i], 0);
	}
}

static void test_kernels(void **state)
{
	au64 *w = aligned_alloc(64, 128 * sizeof(*w));

	(void)state;
	assert_non_null(w);
	for (int simd = PT_SCALAR; simd <= (int)pt_simd_detect(); simd++)
		for (unsigned off = 0; off < 10; off++)
			for (unsigned n = 1; n < 115; n++)
				check_kernels((enum pt_simd)simd, w, off, n);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_round_trip),
	        cmocka_unit_test(test_links),
	        cmocka_unit_test(test_levels_tile),
	        cmocka_unit_test(test_prot),
	        cmocka_unit_test(test_best_size),
	        cmocka_unit_test(test_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
