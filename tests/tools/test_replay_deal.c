/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dealing a trace to lanes, and copies of a trace.
 */
#include "tools/replay_deal.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/tools/hand_plan.h"

static uint64_t rnd_state = 88172645463325252u;

static uint64_t rnd(uint64_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state % below;
}

/* Each action of the plan is in one part, after what came before it there;
 * what meets is in the same part. */
static void dealt(const struct replay_deal *d, uint64_t near_pages)
{
	size_t at[REPLAY_MAX_LANES] = {0}, sum = 0, fullest = 0;

	for (size_t i = 0; i < plan.nr; i++) {
		const struct plan_action *a = &plan.act[i];
		uint32_t p = replay_deal_owner(d, a->domain, a->iova);
		const struct replay_part *part;
		const struct replay_step *s;

		assert_true(p < d->nr_parts);
		part = &d->part[p];
		assert_true(at[p] < part->nr);
		s = &part->step[at[p]];
		assert_int_equal(part->line[at[p]], a->line);
		assert_int_equal(step_iova(s), a->iova);
		assert_int_equal(step_domain(s), a->domain);
		assert_int_equal(step_is_unmap(s), a->op == TRACE_UNMAP);
		assert_int_equal(s->len, a->len);
		assert_int_equal(s->oa, a->oa);
		at[p]++;
		/* Not only its first page, and its neighbourhood, too. */
		for (uint64_t x = a->iova & ~(near_pages * PAGE - 1);
		     x < a->iova + a->len; x += PAGE)
			assert_int_equal(replay_deal_owner(d, a->domain, x), p);
	}
	for (uint32_t p = 0; p < d->nr_parts; p++) {
		assert_int_equal(at[p], d->part[p].nr);
		sum += d->part[p].nr;
		fullest = d->part[p].nr > fullest ? d->part[p].nr : fullest;
	}
	assert_int_equal(sum, plan.nr);
	assert_int_equal(fullest, d->fullest);
}

/* The steps of a chain follow each other through next, all of them. */
static void linked(const struct replay_part *part)
{
	for (size_t i = 0; i < part->nr; i++) {
		size_t k = i + 1;

		while (k < part->nr && part->chain[k] != part->chain[i])
			k++;
		assert_int_equal(part->next[i], k);
	}
}

static void dealing(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		uint32_t parts = 1 + (uint32_t)rnd(7);
		enum replay_dealing how =
		        rnd(2) ? REPLAY_DEAL_RANGES : REPLAY_DEAL_CHAINS;
		struct replay_deal d;

		for (uint64_t i = rnd(400); i > 0; i--)
			act(rnd(2) ? TRACE_MAP : TRACE_UNMAP, (uint16_t)rnd(3),
			    rnd(600), 1 + rnd(4));
		assert_int_equal(replay_deal(&plan, parts, how, &d), 0);
		assert_int_equal(d.nr_parts, parts);
		dealt(&d, how == REPLAY_DEAL_RANGES ? 16 : 1);
		for (uint32_t p = 0; p < parts; p++)
			linked(&d.part[p]);
		replay_deal_free(&d);
		plan_free(&plan);
	}
}

/* Chains are counted as ranges overlap, not as they touch. */
static void chains(void **state)
{
	struct replay_deal d;

	(void)state;
	act(TRACE_MAP, 0, 10, 2);
	act(TRACE_MAP, 0, 12, 2); /* touches, does not overlap */
	act(TRACE_MAP, 1, 10, 2); /* another domain */
	act(TRACE_UNMAP, 0, 11, 1);
	assert_int_equal(replay_deal(&plan, 3, REPLAY_DEAL_CHAINS, &d), 0);
	assert_int_equal(d.nr_chains, 3);
	assert_int_equal(d.largest, 2);
	assert_int_equal(d.fullest, 2);
	assert_int_not_equal(replay_deal_owner(&d, 0, 11 * PAGE),
	                     replay_deal_owner(&d, 0, 12 * PAGE));
	assert_int_equal(replay_deal_owner(&d, 0, 9 * PAGE), REPLAY_NOBODY);
	assert_int_equal(replay_deal_owner(&d, 0, 14 * PAGE), REPLAY_NOBODY);
	assert_int_equal(replay_deal_owner(&d, 2, 10 * PAGE), REPLAY_NOBODY);
	replay_deal_free(&d);
	/* One unmap over both makes them one. */
	act(TRACE_UNMAP, 0, 10, 4);
	assert_int_equal(replay_deal(&plan, 3, REPLAY_DEAL_CHAINS, &d), 0);
	assert_int_equal(d.nr_chains, 2);
	assert_int_equal(d.largest, 4);
	replay_deal_free(&d);
	plan_free(&plan);
}

static void no_action(void **state)
{
	struct replay_deal d;

	(void)state;
	assert_int_equal(replay_deal(&plan, 4, REPLAY_DEAL_RANGES, &d), 0);
	assert_int_equal(d.nr_chains, 0);
	assert_int_equal(d.fullest, 0);
	assert_int_equal(replay_deal_owner(&d, 0, 0), REPLAY_NOBODY);
	replay_deal_free(&d);
}

/* Copies do not meet, and take turns. */
static void copies(void **state)
{
	struct replay_deal d;
	struct plan three;

	(void)state;
	act(TRACE_MAP, 0, 0, 1);
	act(TRACE_UNMAP, 0, 0, 1);
	act(TRACE_MAP, 1, 700, 3);
	assert_int_equal(replay_copies(&plan, 3, &three), 0);
	assert_int_equal(three.nr, 9);
	assert_int_equal(three.nr_domains, 2);
	for (size_t i = 0; i < three.nr; i++) {
		const struct plan_action *a = &three.act[i];

		assert_int_equal(a->line, i / 3 + 1);
		assert_int_equal(a->oa, plan.act[i / 3].oa);
		assert_true(a->iova + a->len - 1 <= three.last_iova);
	}
	assert_int_equal(replay_deal(&three, 3, REPLAY_DEAL_RANGES, &d), 0);
	assert_int_equal(d.nr_chains, 6);
	assert_int_equal(d.fullest, 3);
	replay_deal_free(&d);
	plan_free(&three);
	plan.last_iova = (UINT64_C(1) << 57) - 1;
	assert_int_equal(replay_copies(&plan, 2, &three), -ERANGE);
	assert_null(three.act);
	plan_free(&plan);
}

/* Each part is a device: all of the plan, in order, at its own addresses. */
static void device(const struct replay_part *part, uint64_t shift)
{
	assert_int_equal(part->nr, plan.nr);
	for (size_t i = 0; i < plan.nr; i++) {
		const struct plan_action *a = &plan.act[i];
		const struct replay_step *s = &part->step[i];

		assert_int_equal(part->line[i], a->line);
		assert_int_equal(step_iova(s), a->iova + shift);
		assert_int_equal(step_domain(s), a->domain);
		assert_int_equal(step_is_unmap(s), a->op == TRACE_UNMAP);
		assert_int_equal(s->len, a->len);
		assert_int_equal(s->oa, a->oa);
	}
	linked(part);
}

static void devices(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		uint32_t parts = 2 + (uint32_t)rnd(6);
		struct replay_deal d;
		struct plan many;
		uint64_t shift;

		for (uint64_t i = rnd(400); i > 0; i--)
			act(rnd(2) ? TRACE_MAP : TRACE_UNMAP, (uint16_t)rnd(3),
			    rnd(600), 1 + rnd(4));
		assert_int_equal(replay_copies(&plan, parts, &many), 0);
		assert_int_equal(
		        replay_deal(&many, parts, REPLAY_DEAL_COPIES, &d), 0);
		assert_int_equal(d.nr, parts * plan.nr);
		assert_int_equal(d.fullest, plan.nr);
		shift = (many.last_iova - plan.last_iova) / (parts - 1);
		assert_true(shift > plan.last_iova);
		for (uint32_t p = 0; p < parts; p++) {
			device(&d.part[p], p * shift);
			for (size_t i = 0; i < plan.nr; i++)
				assert_int_equal(
				        replay_deal_owner(
				                &d, plan.act[i].domain,
				                plan.act[i].iova + p * shift),
				        p);
		}
		replay_deal_free(&d);
		plan_free(&many);
		plan_free(&plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(dealing),   cmocka_unit_test(chains),
	        cmocka_unit_test(no_action), cmocka_unit_test(copies),
	        cmocka_unit_test(devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
