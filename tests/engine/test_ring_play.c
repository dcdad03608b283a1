/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings played at random beside a model: every slot of the window, every
 * completion, in each kind of ring and each format that a domain takes.
 */
#include "tests/engine/rig.h"

#include <stdbool.h>

#define VA UINT64_C(0x7f0000000000)

#define SLOTS 24u
#define STEPS 20000u

struct play {
	struct rig r;
	struct sluice_ring *ring;
	uint64_t rng, stride;
	bool lazy;
	/* Of each slot: memory and pages, or the ticket it waits for. */
	uint64_t va[SLOTS], pages[SLOTS];
	struct sluice_ticket ticket[SLOTS];
	uint64_t due, done; /* completions: cookies promised and seen */
};

static uint64_t rnd(struct play *p, uint64_t n)
{
	p->rng ^= p->rng << 13;
	p->rng ^= p->rng >> 7;
	p->rng ^= p->rng << 17;
	return p->rng % n;
}

static void play_map(struct play *p)
{
	uint32_t i = (uint32_t)rnd(p, SLOTS);
	uint64_t pages = 1 + rnd(p, p->stride / PAGE);
	uint64_t va = VA + rnd(p, 64) * (M2 / 2) + rnd(p, 2) * PAGE;
	int want = 0;

	if (rnd(p, 2))
		pages = p->stride / PAGE;
	if (p->pages[i])
		want = -EEXIST;
	else if (!sluice_ticket_passed(p->r.view, p->ticket[i]))
		want = -EBUSY;
	assert_int_equal(
	        sluice_ring_map(p->ring, i, va, pages * PAGE, RW, NULL), want);
	if (want == 0) {
		p->va[i] = va;
		p->pages[i] = pages;
	}
}

static void play_unmap(struct play *p)
{
	uint32_t first = (uint32_t)rnd(p, SLOTS);
	uint32_t nr = 1 + (uint32_t)rnd(p, rnd(p, 4) ? 6 : SLOTS);
	int want = !p->lazy;
	struct sluice_ticket t;
	int rc;

	for (uint32_t i = 0; i < nr; i++)
		if (!p->pages[(first + i) % SLOTS])
			want = -ENOENT;
	rc = sluice_ring_unmap(p->ring, first, nr, p->due, &t);
	if (rc == -EAGAIN) {
		sluice_poll(p->r.lane, NULL, 0);
		p->done = p->due;
		return;
	}
	assert_int_equal(rc, want);
	if (rc < 0)
		return;
	p->due += !p->lazy;
	for (uint32_t i = 0; i < nr; i++) {
		p->pages[(first + i) % SLOTS] = 0;
		p->ticket[(first + i) % SLOTS] = t;
	}
}

/* The whole window translates as the model has it. */
static void play_look(struct play *p)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		uint64_t page = rnd(p, p->stride / PAGE);
		uint64_t iova = sluice_ring_iova(p->ring, i) + page * PAGE;

		if (page < p->pages[i])
			assert_maps(&p->r, iova, p->va[i] + page * PAGE);
		else
			assert_int_equal(xlate(&p->r, iova, 1), -EFAULT);
	}
}

static void play_poll(struct play *p)
{
	struct sluice_completion c[3];
	uint32_t n = sluice_poll(p->r.lane, c, 3);

	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(c[i].cookie, p->done++);
	assert_true(p->done <= p->due);
}

static void play(const struct sluice_domain_cfg *cfg, uint64_t stride,
                 uint64_t seed)
{
	const struct sluice_ring_cfg rcfg = {.stride = stride,
	                                     .nr_slots = SLOTS};
	struct play p = {.rng = seed, .stride = stride};

	p.lazy = cfg && cfg->mode == SLUICE_MODE_LAZY;
	rig_up(&p.r, cfg);
	assert_int_equal(sluice_ring_create(p.r.view, &rcfg, &p.ring), 0);
	for (uint32_t i = 0; i < STEPS; i++) {
		uint64_t dice = rnd(&p, 16);

		if (dice < 9)
			play_map(&p);
		else if (dice < 12)
			play_unmap(&p);
		else if (dice < 15)
			play_poll(&p);
		else
			play_look(&p);
	}
	for (uint32_t i = 0; i < SLOTS; i++) {
		for (int k = 0; k < 100; k++)
			play_poll(&p);
		if (!p.pages[i])
			continue;
		assert_int_equal(sluice_ring_unmap(p.ring, i, 1, p.due, NULL),
		                 !p.lazy);
		p.due += !p.lazy;
	}
	for (int i = 0; i < 100; i++)
		play_poll(&p);
	assert_int_equal(p.done, p.due);
	assert_int_equal(sluice_drain(p.r.lane, PATIENCE), 0);
	assert_int_equal(sluice_ring_destroy(p.ring), 0);
	rig_down(&p.r);
}

static void plays(void **state)
{
	const struct sluice_domain_cfg lazy = {.mode = SLUICE_MODE_LAZY,
	                                       .lazy_entries = 8};
	const struct sluice_domain_cfg small = {.max_inflight = 4,
	                                        .format = SLUICE_PT_AMDV1};
	const struct sluice_domain_cfg both = {.flags =
	                                               SLUICE_DOMAIN_VA_LOOKUP};

	(void)state;
	play(NULL, PAGE, 1);
	play(NULL, 3 * PAGE, 2);
	play(NULL, 40 * PAGE, 3);
	play(NULL, 511 * PAGE, 4);
	play(NULL, 512 * PAGE, 5);
	play(&lazy, 2 * PAGE, 6);
	play(&small, 7 * PAGE, 7);
	play(&both, 2 * PAGE, 8);
}

/* Each format that a domain takes. */
static void formats(void **state)
{
	(void)state;
	for (int f = 0; f < (int)SLUICE_PT_NR_FORMATS; f++) {
		const struct sluice_domain_cfg cfg = {
		        .format = (enum sluice_pt_format)f};
		struct sluice_engine *engine;
		struct sluice_domain *d;
		int rc;

		assert_int_equal(sluice_engine_open(NULL, &engine), 0);
		rc = sluice_domain_create(engine, &cfg, &d);
		if (rc == 0)
			assert_int_equal(sluice_domain_destroy(d), 0);
		assert_int_equal(sluice_engine_close(engine), 0);
		if (rc == 0)
			play(&cfg, 5 * PAGE, (uint64_t)f + 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(plays),
	        cmocka_unit_test(formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
