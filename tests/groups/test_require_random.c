/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random members with random needs, in any order, against a model that marks
 * pages one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "needs.h"
#include "util/util.h"

#define MEMBERS 6
#define REGIONS 3
#define ROUNDS 20000u

static uint32_t roll(uint64_t *rng, uint32_t n)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return (uint32_t)(*rng >> 11) % n;
}

struct crowd {
	struct sluice_require m[MEMBERS];
	struct sluice_group_region r[MEMBERS][REGIONS];
	uint32_t nr;
};

static const char *const names[MEMBERS] = {"a", "b", "c", "d", "e", "f"};

/* All of it in the lowest 64 pages. */
static void gather(struct crowd *c, uint64_t *rng)
{
	static const enum sluice_resv_type types[] = {
	        SLUICE_RESV_DIRECT, SLUICE_RESV_MSI, SLUICE_RESV_RESERVED,
	        SLUICE_RESV_DIRECT_RELAXABLE};

	c->nr = 1 + roll(rng, MEMBERS);
	for (uint32_t i = 0; i < c->nr; i++) {
		uint32_t type = roll(rng, 8);

		c->m[i] = member(names[i],
		                 type > 2 ? SLUICE_REQUIRE_ANY : type % 3);
		if (roll(rng, 2))
			c->m[i].dma_bits = 14 + roll(rng, 5);
		if (roll(rng, 4) == 0)
			c->m[i].low_bytes = 4096 * (1 + roll(rng, 8));
		c->m[i].regions = c->r[i];
		c->m[i].nr_regions = roll(rng, REGIONS + 1);
		for (uint32_t k = 0; k < REGIONS; k++) {
			uint64_t page = roll(rng, 60);

			c->r[i][k] = (struct sluice_group_region){
			        page << 12,
			        ((page + 1 + roll(rng, 4)) << 12) - 1,
			        types[roll(rng, 12) % 4], "x"};
		}
	}
}

/* Can these members share a domain? Page by page. */
static bool model(const struct crowd *c, const bool in[MEMBERS])
{
	bool direct[64] = {false}, taken[64] = {true}, type[3] = {false};
	uint64_t low = 0, run = 0, longest = 0, pages = 64;

	for (uint32_t i = 0; i < c->nr; i++) {
		const struct sluice_require *m = &c->m[i];

		if (!in[i])
			continue;
		type[m->type] = true;
		low += m->low_bytes >> 12;
		if (m->dma_bits && bit64(m->dma_bits - 12) < pages)
			pages = bit64(m->dma_bits - 12);
		for (uint32_t k = 0; k < m->nr_regions; k++)
			for (uint64_t p = c->r[i][k].first >> 12;
			     p <= c->r[i][k].last >> 12; p++) {
				if (c->r[i][k].type == SLUICE_RESV_DIRECT)
					direct[p] = true;
				else if (c->r[i][k].type !=
				         SLUICE_RESV_DIRECT_RELAXABLE)
					taken[p] = true;
			}
	}
	if (type[SLUICE_REQUIRE_IDENTITY] &&
	    (type[SLUICE_REQUIRE_TRANSLATED] || low))
		return false;
	for (uint64_t p = 1; p < 64; p++)
		if (direct[p] && taken[p])
			return false;
	/* Nobody who is narrow: the sky is the limit. */
	for (uint32_t i = 0, narrow = 0; i < c->nr; i++) {
		narrow += in[i] && c->m[i].dma_bits;
		if (i + 1 == c->nr && !narrow)
			return true;
	}
	for (uint64_t p = 0; p < pages; p++) {
		run = taken[p] || direct[p] ? 0 : run + 1;
		longest = max_u64(longest, run);
	}
	return longest >= (low ? low : 1);
}

static bool each_is_sane(const struct crowd *c)
{
	for (uint32_t i = 0; i < c->nr; i++) {
		bool in[MEMBERS] = {false};
		bool page0 = false;

		in[i] = true;
		for (uint32_t k = 0; k < c->m[i].nr_regions; k++)
			page0 |= c->r[i][k].first == 0;
		if (page0 || !model(c, in))
			return false;
	}
	return true;
}

static void shuffle(const struct crowd *c, struct sluice_require out[MEMBERS],
                    uint64_t *rng)
{
	memcpy(out, c->m, sizeof(c->m));
	for (uint32_t i = c->nr; i > 1; i--) {
		uint32_t k = roll(rng, i);
		struct sluice_require t = out[i - 1];

		out[i - 1] = out[k];
		out[k] = t;
	}
}

/* The same answer, and the same pairs, in another order. */
static void check_order(const struct crowd *c, const char *want,
                        const struct sluice_conflict *pairs, int nr,
                        uint64_t *rng)
{
	struct sluice_conflict got[MEMBERS * MEMBERS * 4];
	struct sluice_require m[MEMBERS];
	char text[4096];

	shuffle(c, m, rng);
	assert_int_equal(sluice_require_conflicts(m, c->nr, got, NR_OF(got)),
	                 nr);
	for (int i = 0; i < nr; i++) {
		assert_string_equal(got[i].a, pairs[i].a);
		assert_string_equal(got[i].b, pairs[i].b);
		assert_int_equal(got[i].kind, pairs[i].kind);
		assert_string_equal(got[i].text, pairs[i].text);
	}
	if (nr == 0) {
		struct sluice_decision *d = decide(m, c->nr);

		write_out(d, text, sizeof(text));
		assert_string_equal(text, want);
		sluice_decision_free(d);
	}
}

static void any_order(void **state)
{
	uint32_t agreed = 0, conflicts = 0;
	uint64_t rng = 0x2545f4914f6cdd1d;

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct sluice_conflict pairs[MEMBERS * MEMBERS * 4];
		bool in[MEMBERS] = {true, true, true, true, true, true};
		char want[4096] = "";
		struct crowd c;
		int nr;

		gather(&c, &rng);
		if (!each_is_sane(&c))
			continue;
		nr = sluice_require_conflicts(c.m, c.nr, pairs, NR_OF(pairs));
		if ((nr == 0) != model(&c, in))
			fail_msg("round %u: %d conflicts", round, nr);
		if (nr == 0) {
			struct sluice_decision *d = decide(c.m, c.nr);

			write_out(d, want, sizeof(want));
			/* All that were counted may come back. */
			for (uint32_t i = 0; i < c.nr; i++)
				if (sluice_decision_check(d, &c.m[i]))
					fail_msg("%s", msg_last());
			sluice_decision_free(d);
			agreed++;
		} else {
			conflicts++;
		}
		for (int i = 1; i < nr; i++) {
			int o = strcmp(pairs[i - 1].a, pairs[i].a);

			o = o ? o : strcmp(pairs[i - 1].b, pairs[i].b);
			assert_true(o < 0 || (o == 0 && pairs[i - 1].kind <
			                                        pairs[i].kind));
		}
		for (int i = 0; i < 4; i++)
			check_order(&c, want, pairs, nr, &rng);
	}
	print_message("%u agree, %u do not\n", agreed, conflicts);
	assert_true(agreed > ROUNDS / 20 && conflicts > ROUNDS / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
