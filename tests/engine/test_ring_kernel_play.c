/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings on the type1 backend played at random beside a model: what translates,
 * what the kernel has, which calls are refused and how, with a kernel that
 * refuses maps now and then.
 */
#include "tests/engine/krig.h"

#define SLOTS 24u
#define STEPS 20000u

/* What the model knows of a slot. */
struct slot {
	uint64_t va, pages; /* pages 0: not mapped */
	bool asked;         /* the kernel has not answered */
	bool tied;          /* one kernel mapping with the slot before */
	struct sluice_ticket ticket;
};

struct play {
	struct krig k;
	struct sluice_ring *ring;
	uint64_t rng, stride;
	bool lazy;
	struct slot slot[SLOTS];
	uint64_t due, done; /* unmaps: cookies promised and seen */
	uint32_t asked;     /* maps without an answer */
	uint64_t mapped, refused, ranges;
};

static uint64_t rnd(struct play *p, uint64_t n)
{
	p->rng ^= p->rng << 13;
	p->rng ^= p->rng >> 7;
	p->rng ^= p->rng << 17;
	return p->rng % n;
}

/* What mapping slot i answers. */
static int want_map(struct play *p, uint32_t i)
{
	if (p->slot[i].pages)
		return -EEXIST;
	return sluice_ticket_passed(p->k.r.view, p->slot[i].ticket) ? 1
	                                                            : -EBUSY;
}

static void take(struct play *p, uint32_t i, uint64_t va, uint64_t pages,
                 bool tied)
{
	p->slot[i] = (struct slot){
	        .va = va, .pages = pages, .asked = true, .tied = tied};
}

static void play_map(struct play *p)
{
	uint32_t i = (uint32_t)rnd(p, SLOTS);
	uint64_t pages = 1 + rnd(p, p->stride / PAGE);
	uint64_t va = VA + rnd(p, 64) * (M2 / 2);
	int want = want_map(p, i);
	int rc;

	if (rnd(p, 2))
		pages = p->stride / PAGE;
	if (rnd(p, 50) == 0)
		fake_vfio_fail(VFIO_IOMMU_MAP_DMA, 1 + (uint32_t)rnd(p, 3),
		               ENOMEM);
	rc = sluice_ring_map(p->ring, i, va, pages * PAGE, RW, NULL);
	if (rc == -EAGAIN && want == 1)
		return;
	assert_int_equal(rc, want);
	if (rc == 1) {
		take(p, i, va, pages, false);
		p->asked++;
	}
}

static void play_burst(struct play *p)
{
	uint32_t first = (uint32_t)rnd(p, SLOTS);
	uint32_t nr = 1 + (uint32_t)rnd(p, 8);
	uint64_t va[8], at = VA + (uint64_t)512 * M2;
	int want = 1, rc;

	for (uint32_t i = 0; i < nr; i++) {
		va[i] = at;
		at += p->stride * (rnd(p, 4) ? 1 : 2);
		if (want == 1 && first + i < SLOTS)
			want = want_map(p, first + i);
	}
	if (first + nr > SLOTS)
		want = -EINVAL;
	rc = sluice_ring_map_burst(p->ring, first, nr, va, RW, first);
	if (rc == -EAGAIN && want != -EINVAL)
		return;
	assert_int_equal(rc, want);
	if (rc != 1)
		return;
	for (uint32_t i = 0; i < nr; i++)
		take(p, first + i, va[i], p->stride / PAGE, i != 0);
	p->asked++;
}

/* The error that comes first, part by part as the burst is looked at. */
static int want_unmap(const struct play *p, uint32_t first, uint32_t nr)
{
	uint32_t head = nr < SLOTS - first ? nr : SLOTS - first;

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t at = (first + i) % SLOTS;
		bool ends = i + 1 == head || i + 1 == nr;
		uint32_t from = i < head ? first : 0;

		if (!p->slot[at].pages)
			return -ENOENT;
		if (p->slot[at].asked)
			return -EBUSY;
		if (ends && (p->slot[from].tied ||
		             (at + 1 < SLOTS && p->slot[at + 1].tied)))
			return -ERANGE;
	}
	return !p->lazy;
}

static void play_unmap(struct play *p)
{
	uint32_t first = (uint32_t)rnd(p, SLOTS);
	uint32_t nr = 1 + (uint32_t)rnd(p, rnd(p, 4) ? 6 : SLOTS);
	int want = want_unmap(p, first, nr);
	struct sluice_ticket t;
	int rc;

	rc = sluice_ring_unmap(p->ring, first, nr, p->due, &t);
	if ((rc == -EAGAIN || rc == -E2BIG) && want >= 0)
		return;
	assert_int_equal(rc, want);
	p->ranges += rc == -ERANGE;
	if (rc < 0)
		return;
	p->due += !p->lazy;
	for (uint32_t i = 0; i < nr; i++)
		p->slot[(first + i) % SLOTS] = (struct slot){.ticket = t};
}

static void map_answered(struct play *p, const struct sluice_completion *c)
{
	uint64_t at = c->iova - sluice_ring_iova(p->ring, 0);
	uint64_t end = at + c->len;

	assert_int_equal(c->cookie, at / p->stride);
	for (; at < end; at += p->stride) {
		struct slot *s = &p->slot[at / p->stride];

		assert_true(s->asked);
		s->asked = false;
		if (c->result)
			*s = (struct slot){0};
	}
	p->asked--;
	p->mapped += c->result == 0;
	p->refused += c->result != 0;
}

static void play_poll(struct play *p)
{
	struct sluice_completion c[3];
	uint32_t n = sluice_poll(p->k.r.lane, c, 3);

	for (uint32_t i = 0; i < n; i++) {
		if (c[i].op == SLUICE_OP_MAP) {
			map_answered(p, &c[i]);
			continue;
		}
		assert_int_equal(c[i].result, 0);
		assert_int_equal(c[i].cookie, p->done++);
	}
	assert_true(p->done <= p->due);
}

/* A page of each slot: translations as the model has them; the kernel has at
 * least what translates, and nothing of what has passed. */
static void play_look(struct play *p)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		const struct slot *s = &p->slot[i];
		uint64_t page = rnd(p, p->stride / PAGE);
		uint64_t iova = sluice_ring_iova(p->ring, i) + page * PAGE;
		bool there = page < s->pages && !s->asked;
		uint64_t va;

		if (there) {
			assert_maps(&p->k.r, iova, s->va + page * PAGE);
			assert_true(fake_vfio_reach(iova, &va, NULL));
			assert_int_equal(va, s->va + page * PAGE);
			continue;
		}
		assert_int_equal(xlate(&p->k.r, iova, 1), -EFAULT);
		if (!s->asked && sluice_ticket_passed(p->k.r.view, s->ticket))
			assert_false(fake_vfio_reach(iova, &va, NULL));
	}
}

static void settle(struct play *p)
{
	uint64_t end = clock_ns() + PATIENCE;

	while (p->asked || (!p->lazy && p->done != p->due)) {
		play_poll(p);
		assert_true(clock_ns() < end);
	}
}

/* Everything goes, burst by burst. */
static void play_end(struct play *p)
{
	settle(p);
	for (uint32_t i = 0, nr; i < SLOTS; i += nr) {
		for (nr = 1; i + nr < SLOTS && p->slot[i + nr].tied; nr++)
			;
		if (!p->slot[i].pages)
			continue;
		assert_int_equal(
		        sluice_ring_unmap(p->ring, i, nr, p->due, NULL),
		        !p->lazy);
		p->due += !p->lazy;
		settle(p);
		/* As few unmaps may be in flight as slots are left. */
		assert_int_equal(sluice_drain(p->k.r.lane, PATIENCE), 0);
	}
	assert_int_equal(sluice_drain(p->k.r.lane, PATIENCE), 0);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	assert_int_equal(sluice_ring_destroy(p->ring), 0);
	krig_down(&p->k);
}

static void play(const struct sluice_domain_cfg *cfg, uint64_t stride,
                 uint64_t seed)
{
	const struct sluice_ring_cfg rcfg = {.stride = stride,
	                                     .nr_slots = SLOTS};
	struct play p = {.rng = seed, .stride = stride};

	p.lazy = cfg && cfg->mode == SLUICE_MODE_LAZY;
	krig_up(&p.k, NULL, cfg, seed & 1);
	assert_int_equal(sluice_ring_create(p.k.r.view, &rcfg, &p.ring), 0);
	for (uint32_t i = 0; i < STEPS; i++) {
		uint64_t dice = rnd(&p, 16);

		if (dice < 5)
			play_map(&p);
		else if (dice < 7)
			play_burst(&p);
		else if (dice < 10)
			play_unmap(&p);
		else if (dice < 15)
			play_poll(&p);
		else
			play_look(&p);
		if (rnd(&p, 20) == 0)
			settle(&p);
	}
	/* The game was one. */
	assert_in_range(p.mapped, 100, STEPS);
	assert_in_range(p.refused, 3, STEPS);
	assert_in_range(p.ranges, 10, STEPS);
	play_end(&p);
}

static void plays(void **state)
{
	const struct sluice_domain_cfg lazy = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        .mode = SLUICE_MODE_LAZY,
	        .lazy_entries = 4,
	        .lazy_us = 1};
	const struct sluice_domain_cfg small = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        .max_inflight = 4,
	        .format = SLUICE_PT_AMDV1};
	const struct sluice_domain_cfg both = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        .flags = SLUICE_DOMAIN_VA_LOOKUP};

	(void)state;
	play(NULL, PAGE, 1);
	play(NULL, 3 * PAGE, 2);
	play(NULL, 511 * PAGE, 3);
	play(NULL, 512 * PAGE, 4);
	play(&lazy, 2 * PAGE, 5);
	play(&small, 7 * PAGE, 6);
	play(&both, 2 * PAGE, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(plays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
