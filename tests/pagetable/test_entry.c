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

#include "pagetable/pt_priv.h"
#include "table.h"

static const uint32_t prots[] = {SLUICE_READ, SLUICE_WRITE, SLUICE_RW};
static const uint32_t sws[] = {0, PT_SW0, PT_SW1, PT_SW0 | PT_SW1};

static const struct pt_fmt *fmt_of(struct kind k)
{
	return k.format == SLUICE_PT_X86_64 ? pt_x86_64_ops(k.bits)->fmt
	                                    : pt_vtdss_ops(k.bits)->fmt;
}

static void check_word(const struct pt_fmt *f, unsigned level, uint64_t oa,
                       uint32_t prot)
{
	uint64_t w = pt_leaf_word(f, level, oa, prot);

	assert_true(pt_is_present(f, w));
	assert_true(pt_is_leaf(f, w, level));
	assert_false(pt_is_link(f, w, level));
	assert_int_equal(pt_word_oa(w), oa);
	assert_int_equal(pt_word_prot(f, w), prot);
	/* The walker's bits change none of it. */
	assert_int_equal(w & f->dirty, 0);
	w |= f->dirty | f->accessed;
	assert_int_equal(pt_word_oa(w), oa);
	assert_int_equal(pt_word_prot(f, w), prot);
	assert_true(pt_is_leaf(f, w, level));
}

static void test_round_trip(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		const struct pt_fmt *f = fmt_of(kinds[k]);

		for (unsigned i = 0; i < 3 * NR_OF(prots) * NR_OF(sws); i++) {
			unsigned level = i % 3;
			uint32_t prot = prots[i / 3 % 3] | sws[i / 9];
			uint64_t max = PT_ADDR & ~mask64(pt_shift(level));

			if (!pt_prot_ok(f, prot))
				continue;
			check_word(f, level, 0, prot);
			check_word(f, level, max, prot);
			for (unsigned b = pt_shift(level); b < 52; b++)
				check_word(f, level, bit64(b), prot);
			for (unsigned n = 0; n < 200; n++)
				check_word(f, level, rnd(&seed) & max, prot);
		}
	}
}

static void test_links(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		const struct pt_fmt *f = fmt_of(kinds[k]);

		for (uint64_t a = 4096; a < bit64(47); a <<= 1) {
			void *p = (void *)(uintptr_t)a;
			uint64_t w = pt_link_word(f, p);

			for (unsigned level = 1; level < 5; level++) {
				assert_true(pt_is_link(f, w, level));
				assert_false(pt_is_leaf(f, w, level));
			}
			assert_ptr_equal(pt_word_table(w), p);
			/* A chain word of an unlinked page is not present. */
			assert_false(pt_is_present(f, a));
		}
		assert_false(pt_is_present(f, 0));
	}
}

static void test_prot(void **state)
{
	const struct pt_fmt *x86 = pt_x86_64_ops(48)->fmt;
	const struct pt_fmt *vtd = pt_vtdss_ops(48)->fmt;

	(void)state;
	assert_true(pt_prot_ok(x86, SLUICE_READ));
	assert_true(pt_prot_ok(x86, SLUICE_RW | PT_SW0 | PT_SW1));
	assert_false(pt_prot_ok(x86, SLUICE_WRITE));
	assert_true(pt_prot_ok(vtd, SLUICE_WRITE));
	for (unsigned i = 0; i < 2; i++) {
		const struct pt_fmt *f = i ? x86 : vtd;

		assert_false(pt_prot_ok(f, 0));
		assert_false(pt_prot_ok(f, PT_SW0));
		for (unsigned b = 0; b < 32; b++)
			if (!(bit64(b) & PT_PROT_MASK))
				assert_false(pt_prot_ok(
				        f, SLUICE_RW | (uint32_t)bit64(b)));
	}
}

/* Largest level by trying all. */
static unsigned slow_level(uint64_t iova, uint64_t last, uint64_t oa)
{
	unsigned best = 0;

	for (unsigned l = 1; l <= 2; l++) {
		uint64_t size = KIB4 << (9 * l);

		if (iova % size == 0 && oa % size == 0 &&
		    iova + (size - 1) <= last)
			best = l;
	}
	return best;
}

static void test_best_level(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (unsigned i = 0; i < 2000000; i++) {
		uint64_t grain = KIB4 << (9 * rnd_below(&seed, 3));
		uint64_t iova = rnd_below(&seed, 64) * grain;
		uint64_t oa = rnd_below(&seed, 64) * grain;
		uint64_t len = (1 + rnd_below(&seed, 4)) * grain;

		if (i % 3 == 0)
			iova += KIB4 * rnd_below(&seed, 2);
		if (i % 5 == 0)
			len += KIB4 * rnd_below(&seed, 513) - KIB4;
		if (!len)
			continue;
		assert_int_equal(pt_best_level(3, iova, iova + len - 1, oa),
		                 slow_level(iova, iova + len - 1, oa));
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
	        cmocka_unit_test(test_prot),
	        cmocka_unit_test(test_best_level),
	        cmocka_unit_test(test_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
