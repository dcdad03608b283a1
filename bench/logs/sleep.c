/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/logs/sleep.h"

#include <stdlib.h>

void sleep_open(struct sleep *s, const struct shape *shape, size_t *sum)
{
	uint32_t nr = shape->domains;

	s->lanes = shape->lanes;
	s->lane = zalloc_lines(s->lanes * sizeof(*s->lane), sum);
	for (uint32_t i = 0; i < s->lanes; i++) {
		struct sleep_lane *l = &s->lane[i];

		l->awake = zalloc_lines(nr * sizeof(*l->awake), sum);
		l->idle = zalloc_lines(nr * sizeof(*l->idle), sum);
		l->next = zalloc_lines(nr * sizeof(*l->next), sum);
		for (uint32_t d = 0; d < nr; d++)
			l->awake[d] = d;
		l->nr_awake = nr;
	}
}

void sleep_close(struct sleep *s)
{
	for (uint32_t i = 0; i < s->lanes; i++) {
		free(s->lane[i].awake);
		free(s->lane[i].idle);
		free(s->lane[i].next);
	}
	free(s->lane);
}

void sleep_wake(struct sleep *s, uint32_t lane, uint32_t domain)
{
	struct sleep_lane *l = &s->lane[lane];
	uint32_t head = ld_rlx(&l->woken);

	do
		st_rlx(&l->next[domain], head);
	/* Release pairs with the acquire in pop_woken: the link is there. */
	while (!cas_rel(&l->woken, &head, domain + 1));
}

static noinline void pop_woken(struct sleep_lane *l)
{
	/* Acquire pairs with the release in push. */
	uint32_t at = xchg_acqrel(&l->woken, 0);

	while (at) {
		uint32_t next = ld_rlx(&l->next[at - 1]);

		l->awake[l->nr_awake++] = at - 1;
		l->idle[at - 1] = 0;
		at = next;
	}
}

void sleep_poll(struct sleep *s, void *ctx, uint32_t lane,
                const struct sleep_ops *ops)
{
	struct sleep_lane *l = &s->lane[lane];

	if (unlikely(ld_rlx(&l->woken)))
		pop_woken(l);
	for (uint32_t i = 0; i < l->nr_awake;) {
		uint32_t d = l->awake[i];

		if (ops->look(ctx, lane, d))
			l->idle[d] = 0;
		else if (unlikely(++l->idle[d] > SLEEP_AFTER) &&
		         ops->doze(ctx, lane, d)) {
			l->awake[i] = l->awake[--l->nr_awake];
			continue;
		}
		i++;
	}
}

noinline bool sleepers_doze(struct sleepers *d, void *ctx, uint32_t lane,
                            uint32_t domain, const struct sleep_ops *ops)
{
	uint64_t bit = bit64(lane);

	/* seq_cst RMW, then the loads of look(): see the top of sleep.h. */
	atomic_fetch_or_explicit(&d->lanes, bit, memory_order_seq_cst);
	if (!ops->look(ctx, lane, domain))
		return true;
	/* When the bit is gone a push is on its way: sleep until it is here,
	 * or the view would be on the stack twice one day. */
	return !(atomic_fetch_and_explicit(&d->lanes, ~bit,
	                                   memory_order_acq_rel) &
	         bit);
}

noinline void sleepers_wake_slow(struct sleepers *d, struct sleep *s,
                                 uint32_t domain)
{
	/* Who takes a bit out has to push, nobody else may: a view is on the
	 * stack once. */
	uint64_t who = xchg_acqrel(&d->lanes, 0);

	for (; who; who &= who - 1)
		sleep_wake(s, (uint32_t)__builtin_ctzll(who), domain);
}
