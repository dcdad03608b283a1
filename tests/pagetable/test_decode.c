/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public table judged by decoders that are not ours: many scripts of
 * mixed sizes, each dump decoded from the specification and compared with what
 * was mapped. And the decoders themselves: each breach is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "judge_dump.h"
#include "table.h"

#define WINDOW (4 * GIB1)

static int create(enum sluice_pt_format format, unsigned bits,
                  uint64_t max_bytes, struct sluice_pt **ret)
{
	struct sluice_pt_config cfg = {
	        .format = format,
	        .iova_bits = bits,
	        .max_bytes = max_bytes,
	};

	return sluice_pt_create(&cfg, ret);
}

static int collect(void *ctx, const struct sluice_pt_word *w)
{
	words_add(ctx, (struct decode_word){.table = w->table,
	                                    .word = w->word,
	                                    .index = w->index,
	                                    .level = w->level});
	return 0;
}

static void judge(struct sluice_pt *pt, struct kind k, const struct flat *f)
{
	struct words ws = {0};

	assert_int_equal(sluice_pt_dump(pt, collect, &ws), 0);
	judge_words(&ws, k.format, k.bits, f);
	free(ws.w);
}

static void random_op(struct sluice_pt *pt, struct flat *f, uint64_t *seed)
{
	static const uint64_t grains[] = {KIB4, KIB4, KIB4, MIB2, MIB2, GIB1};
	static const uint32_t prots[] = {SLUICE_READ, SLUICE_RW};
	uint64_t grain = grains[rnd_below(seed, NR_OF(grains))];
	uint64_t off = rnd_below(seed, WINDOW / grain) * grain;
	uint64_t len = grain * (1 + rnd_below(seed, grain == KIB4 ? 600 : 3));
	uint64_t oa = rnd_below(seed, bit64(51) / grain) * grain;
	uint32_t prot = prots[rnd_below(seed, 2)];
	struct pt_run leaf;
	uint64_t iova;

	if (len > WINDOW - off)
		len = WINDOW - off;
	iova = f->base + off;
	if (rnd_below(seed, 3) == 0 && flat_walk(f, iova, &leaf) == 0) {
		assert_int_equal(sluice_pt_unmap(pt, leaf.iova,
		                                 leaf.last - leaf.iova + 1,
		                                 NULL, NULL),
		                 leaf.last - leaf.iova + 1);
		assert_int_equal(flat_unmap(f, leaf.iova, leaf.last), 0);
		return;
	}
	assert_int_equal(sluice_pt_map(pt, iova, oa, len, prot),
	                 flat_map(f, iova, iova + len - 1, oa, prot));
	if (rnd_below(seed, 4) == 0)
		assert_int_equal(sluice_pt_set_dirty(pt, iova),
		                 flat_set_dirty(f, iova));
}

static void test_scripts(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		for (unsigned script = 0; script < 12; script++) {
			uint64_t base =
			        script & 1 ? 0 : bit64(kinds[k].bits) - WINDOW;
			uint64_t seed = 1000 * k + script + 1;
			struct sluice_pt *pt;
			struct flat f;

			flat_init(&f, base, WINDOW / KIB4);
			assert_int_equal(
			        create(kinds[k].format, kinds[k].bits, 0, &pt),
			        0);
			judge(pt, kinds[k], &f);
			for (unsigned i = 0; i < 80 + 20 * script; i++)
				random_op(pt, &f, &seed);
			judge(pt, kinds[k], &f);
			sluice_pt_destroy(pt);
			flat_done(&f);
		}
	}
}

/* Write-only leaves, which only the second stage has. */
static void test_write_only(void **state)
{
	struct kind k = {SLUICE_PT_VTDSS, 48};
	struct sluice_pt *pt;
	struct flat f;

	(void)state;
	flat_init(&f, 0, WINDOW / KIB4);
	assert_int_equal(create(k.format, k.bits, 0, &pt), 0);
	assert_int_equal(
	        sluice_pt_map(pt, MIB2, GIB1, 3 * MIB2 + KIB4, SLUICE_WRITE),
	        0);
	flat_map(&f, MIB2, 4 * MIB2 + KIB4 - 1, GIB1, SLUICE_WRITE);
	judge(pt, k, &f);
	sluice_pt_destroy(pt);
	flat_done(&f);
}

static void ignore_leaf(void *ctx, const struct decode_leaf *leaf)
{
	(void)leaf;
	++*(unsigned *)ctx;
}

/* A sane table of one leaf, then one word spoiled at a time. */
static void test_decoders_notice(void **state)
{
	const uint64_t spoil_x86[4][3] = {
	        {1, bit64(63), bit64(7)}, /* level 0 */
	        {1, bit64(7), 4},
	        {1, bit64(7), 4},
	        {1, bit64(7), 4},
	};
	const uint64_t spoil_vtd[4][3] = {
	        {3, bit64(11), bit64(62)},
	        {3, bit64(7), bit64(9)},
	        {3, bit64(7), bit64(9)},
	        {3, bit64(7), bit64(4)},
	};

	(void)state;
	for (unsigned n = 0; n < 2 * 4 * 3 + 2; n++) {
		int vtd = n & 1;
		unsigned level = n / 2 / 3 % 4;
		uint64_t flags = vtd ? 3 : 7;
		struct decode_word w[4];
		struct decode_image im = {.words = w, .nr = 4};
		const char *wrong;
		unsigned leaves = 0;

		for (unsigned i = 0; i < 4; i++)
			w[i] = (struct decode_word){
			        .table = i * KIB4,
			        .index = 1,
			        .level = 3 - i,
			        .word = (i + 1) * KIB4 | flags,
			};
		if (n < 24)
			w[3 - level].word ^= vtd ? spoil_vtd[level][n / 2 % 3]
			                         : spoil_x86[level][n / 2 % 3];
		wrong = vtd ? decode_vtdss(&im, 48, ignore_leaf, &leaves)
		            : decode_x86_64(&im, 48, ignore_leaf, &leaves);
		if (n < 24)
			assert_non_null(wrong);
		else
			assert_null(wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_scripts),
	        cmocka_unit_test(test_write_only),
	        cmocka_unit_test(test_decoders_notice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
