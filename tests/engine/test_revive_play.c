/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One random play on two domains, of which one revives. A caller must not see
 * the difference, but for the IOVAs: the same results, translations, tickets
 * and completions. And on the one that revives no IOVA is in use twice, while
 * it waits for a ticket least of all, unless the same memory came back.
 */
#include "tests/engine/rig.h"

#include <stdbool.h>

#define VA UINT64_C(0x7f0000001000)
#define BUFS 12u
#define STEPS 100000u
#define WAITING 64u

/* A mapping of one buffer; maps of a buffer may be several at a time. */
struct live {
	sluice_iova_t iova[2];
	uint64_t va, len;
	uint32_t prot;
};

struct waits {
	sluice_iova_t iova;
	uint64_t va, len;
	uint32_t prot;
	struct sluice_ticket t[2];
};

struct play {
	struct rig r[2]; /* [1] revives */
	uint64_t rng;
	bool lazy, both;
	struct live live[BUFS];
	struct waits waits[WAITING]; /* of [1], oldest first */
	uint32_t nr_waits;
	uint64_t due, done[2];
};

static uint64_t rnd(struct play *p, uint64_t n)
{
	p->rng ^= p->rng << 13;
	p->rng ^= p->rng >> 7;
	p->rng ^= p->rng << 17;
	return p->rng % n;
}

static bool meet(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* The IOVA of a new mapping belongs to nobody, or to the same memory before. */
static void check_free(struct play *p, const struct live *l)
{
	for (uint32_t i = 0; i < BUFS; i++)
		if (&p->live[i] != l && p->live[i].len)
			assert_false(meet(l->iova[1], l->len,
			                  p->live[i].iova[1], p->live[i].len));
	for (uint32_t i = 0; i < p->nr_waits; i++) {
		const struct waits *w = &p->waits[i];

		if (meet(l->iova[1], l->len, w->iova, w->len))
			assert_true(w->iova == l->iova[1] && w->va == l->va &&
			            w->len == l->len && w->prot == l->prot);
	}
}

static void play_map(struct play *p, struct live *l)
{
	static const uint64_t pages[] = {1, 1, 1, 2, 3, 512};
	struct sluice_map_req req = {
	        .va = VA + rnd(p, 4) * PAGE,
	        .len = pages[rnd(p, 6)] * PAGE,
	        .prot = rnd(p, 4) ? RW : SLUICE_READ,
	        .flags = rnd(p, 8) ? 0 : SLUICE_MAP_32BIT,
	};

	for (int d = 0; d < 2; d++)
		assert_int_equal(sluice_map(p->r[d].view, &req, &l->iova[d]),
		                 0);
	l->va = req.va;
	l->len = req.len;
	l->prot = req.prot;
	if (req.flags)
		assert_true(l->iova[1] + l->len - 1 <= UINT32_MAX);
	check_free(p, l);
}

static void play_unmap(struct play *p, struct live *l)
{
	struct waits *w = &p->waits[p->nr_waits];

	if (p->nr_waits == WAITING)
		return;
	*w = (struct waits){l->iova[1], l->va, l->len, l->prot, {{0}, {0}}};
	for (int d = 0; d < 2; d++) {
		assert_int_equal(sluice_unmap(p->r[d].view, l->iova[d], l->len,
		                              p->due, &w->t[d]),
		                 !p->lazy);
		assert_int_equal(xlate(&p->r[d], l->iova[d], 1), -EFAULT);
		assert_int_equal(
		        sluice_unmap(p->r[d].view, l->iova[d], l->len, 0, NULL),
		        -ENOENT);
	}
	p->due += !p->lazy;
	p->nr_waits++;
	l->len = 0;
}

static void play_poll(struct play *p)
{
	struct sluice_completion c[5];
	uint32_t keep = 0;

	for (int d = 0; d < 2; d++) {
		uint32_t n = sluice_poll(p->r[d].lane, c, 5);

		for (uint32_t i = 0; i < n; i++) {
			assert_int_equal(c[i].cookie, p->done[d]++);
			assert_int_equal(c[i].result, 0);
		}
		assert_true(p->done[d] <= p->due);
	}
	assert_int_equal(p->done[0], p->done[1]);
	for (uint32_t i = 0; i < p->nr_waits; i++) {
		const struct waits *w = &p->waits[i];
		int passed = sluice_ticket_passed(p->r[1].view, w->t[1]);

		/* Lazy looks at the clock. */
		if (!p->lazy)
			assert_int_equal(
			        sluice_ticket_passed(p->r[0].view, w->t[0]),
			        passed);
		if (!passed)
			p->waits[keep++] = *w;
	}
	p->nr_waits = keep;
}

static void play_look(struct play *p)
{
	const struct live *l = &p->live[rnd(p, BUFS)];
	uint64_t off = l->len ? rnd(p, l->len) : 0;
	sluice_iova_t iova = 0;
	sluice_oa_t oa = 0;

	for (int d = 0; l->len && d < 2; d++) {
		assert_int_equal(sluice_translate(p->r[d].view,
		                                  l->iova[d] + off, 1,
		                                  SLUICE_READ, &oa),
		                 1);
		assert_int_equal(oa, l->va + off);
		assert_int_equal(sluice_translate(p->r[d].view,
		                                  l->iova[d] + off, 1, RW, &oa),
		                 l->prot == RW ? 1 : -EACCES);
		/* Somebody's mapping of the same memory. */
		if (!p->both ||
		    sluice_va_to_iova(p->r[d].view, l->va + off, 1, &iova) != 1)
			continue;
		assert_int_equal(sluice_translate(p->r[d].view, iova, 1,
		                                  SLUICE_READ, &oa),
		                 1);
		assert_int_equal(oa, l->va + off);
	}
}

static void step(struct play *p)
{
	struct live *l = &p->live[rnd(p, BUFS)];
	uint64_t dice = rnd(p, 16);

	if (dice < 10 && !l->len)
		play_map(p, l);
	else if (dice < 10)
		play_unmap(p, l);
	else if (dice < 14)
		play_look(p);
	else
		play_poll(p);
}

static void play(enum sluice_mode mode, uint32_t flags, uint64_t seed)
{
	struct sluice_domain_cfg cfg = {
	        .mode = mode, .flags = flags, .lazy_entries = 20};
	struct sluice_domain_stats st[2];
	struct play p = {.rng = seed};

	p.lazy = mode == SLUICE_MODE_LAZY;
	p.both = flags & SLUICE_DOMAIN_VA_LOOKUP;
	for (int d = 0; d < 2; d++) {
		rig_up(&p.r[d], &cfg);
		cfg.flags |= SLUICE_DOMAIN_REVIVE;
	}
	for (uint32_t i = 0; i < STEPS; i++)
		step(&p);
	for (uint32_t i = 0; i < BUFS; i++)
		if (p.live[i].len) {
			play_poll(&p);
			play_unmap(&p, &p.live[i]);
		}
	for (int i = 0; i < 100; i++)
		play_poll(&p);
	assert_int_equal(p.done[1], p.due);
	for (int d = 0; d < 2; d++)
		sluice_domain_get_stats(p.r[d].domain, &st[d]);
	assert_int_equal(st[0].revived, 0);
	assert_true(st[1].revived > STEPS / 200);
	assert_int_equal(st[0].maps, st[1].maps);
	assert_int_equal(st[0].map_bytes, st[1].map_bytes);
	assert_int_equal(st[0].unmaps, st[1].unmaps);
	for (int d = 0; d < 2; d++)
		rig_down(&p.r[d]);
}

static void strict(void **state)
{
	(void)state;
	play(SLUICE_MODE_STRICT, 0, 1);
	play(SLUICE_MODE_STRICT, SLUICE_DOMAIN_VA_LOOKUP, 2);
}

static void lazy(void **state)
{
	(void)state;
	play(SLUICE_MODE_LAZY, 0, 3);
	play(SLUICE_MODE_LAZY, SLUICE_DOMAIN_VA_LOOKUP, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(strict),
	        cmocka_unit_test(lazy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
