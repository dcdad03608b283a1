/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows cut out of a shared domain: what a carved view reaches is a flat
 * model with the windows laid over it, whatever the others map and unmap, and
 * the others see none of it.
 */
#include "tests/engine/rig.h"

#include <stdlib.h>

#include "engine/engine_int.h"

/* 16 MiB of addresses around the place where x86 sends its interrupts. */
#define BASE UINT64_C(0xfe000000)
#define PAGES 4096u
#define VA UINT64_C(0x7f0000000000)
#define ROUNDS 20000u

/* Interrupts; a page that firmware keeps; two pages that fault, in the middle
 * of a table that others use, beside the first. */
static const struct sluice_carve_window windows[] = {
        {0xfee00000, 0xfeefffff, 0xfee00000, SLUICE_WRITE, 0},
        {BASE + 0x5000, BASE + 0x5fff, 0x5000, SLUICE_RW, 0},
        {0xfef00000, 0xfef01fff, 0, 0, 0},
};

struct carved {
	struct rig r; /* the domain, and a view like all others */
	struct sluice_carve *carve;
	struct sluice_lane *lane;
	struct sluice_view *view;
	uint64_t page[PAGES]; /* the model: where it lies; 0: nowhere */
	uint8_t end[PAGES];   /* a mapping ends here */
	uint32_t seed;
};

static uint32_t next(struct carved *c, uint32_t below)
{
	c->seed = c->seed * 1664525u + 1013904223u;
	return (c->seed >> 8) % below;
}

static void up(struct carved *c, const struct sluice_domain_cfg *cfg)
{
	*c = (struct carved){.seed = 1};
	rig_up(&c->r, cfg);
	assert_int_equal(
	        sluice_carve_create(c->r.domain, windows, 3, &c->carve), 0);
	assert_int_equal(sluice_lane_open(c->r.engine, NULL, &c->lane), 0);
	assert_int_equal(sluice_carve_view_open(c->lane, c->carve, &c->view),
	                 0);
}

static void down(struct carved *c)
{
	start_reading(c->r.view);
	sluice_poll(c->lane, NULL, 0);
	assert_int_equal(sluice_lane_offline(c->lane), 0);
	assert_int_equal(sluice_drain(c->r.lane, PATIENCE), 0);
	sluice_lane_online(c->lane);
	assert_int_equal(sluice_view_close(c->view), 0);
	assert_int_equal(sluice_lane_close(c->lane), 0);
	assert_int_equal(sluice_carve_destroy(c->carve), 0);
	rig_down(&c->r);
}

/* What a view should find: the bytes that follow are not looked at. */
static bool model(const struct carved *c, bool carved, uint64_t iova,
                  uint32_t access, uint64_t *ret_oa)
{
	for (uint32_t i = 0; carved && i < 3; i++)
		if (iova >= windows[i].first && iova <= windows[i].last) {
			*ret_oa = windows[i].target + (iova - windows[i].first);
			return !(access & ~windows[i].prot);
		}
	*ret_oa = c->page[(iova - BASE) / PAGE] + iova % PAGE;
	return c->page[(iova - BASE) / PAGE];
}

static void judge(const struct carved *c, bool carved, uint64_t iova,
                  uint64_t len, uint32_t access, int64_t got, uint64_t oa)
{
	uint64_t want, at;

	if (!model(c, carved, iova, access, &want)) {
		assert_true(got == -EFAULT || got == -EACCES);
		return;
	}
	assert_true(got > 0 && (uint64_t)got <= len);
	assert_int_equal(oa, want);
	/* To the last byte: an extent does not reach into a window. */
	assert_true(model(c, carved, iova + (uint64_t)got - 1, access, &at));
	assert_int_equal(at, want + (uint64_t)got - 1);
}

static void look(struct carved *c, uint64_t iova)
{
	uint64_t left = BASE + PAGES * UINT64_C(4096) - iova;
	uint64_t len = 1 + next(c, 3u << 20);
	uint32_t access = 1 + next(c, 3);
	uint64_t oa = 0, oas[20];
	sluice_iova_t iovas[20];
	int64_t n[20], got;

	len = len < left ? len : left;
	got = sluice_translate(c->r.view, iova, len, access, &oa);
	judge(c, false, iova, len, access, got, oa);
	got = sluice_translate(c->view, iova, len, access, &oa);
	judge(c, true, iova, len, access, got, oa);
	for (uint32_t i = 0; i < 20; i++)
		iovas[i] = BASE + next(c, PAGES) * PAGE + next(c, PAGE - 64);
	iovas[0] = iova & ~UINT64_C(4095);
	sluice_translate_batch(c->view, iovas, 20, 64, access, oas, n);
	for (uint32_t i = 0; i < 20; i++)
		judge(c, true, iovas[i], 64, access, n[i], oas[i]);
}

/* At the edges of windows, or anywhere. */
static uint64_t somewhere(struct carved *c)
{
	const struct sluice_carve_window *w = &windows[next(c, 3)];

	switch (next(c, 4)) {
	case 0:
		return w->first - next(c, 3);
	case 1:
		return w->last + 2 - next(c, 3);
	case 2:
		return w->first + next(c, (uint32_t)(w->last - w->first));
	default:
		return BASE + next(c, PAGES * PAGE);
	}
}

/* The mapping that holds the page, if any. */
static void unmap_at(struct carved *c, uint32_t at)
{
	uint32_t last;

	while (at && c->page[at - 1] && !c->end[at - 1])
		at--;
	if (!c->page[at])
		return;
	for (last = at; !c->end[last]; last++)
		;
	assert_int_equal(unmap(&c->r, BASE + at * PAGE,
	                       (last - at + 1) * (uint64_t)PAGE),
	                 1);
	for (uint32_t i = at; i <= last; i++)
		c->page[i] = 0;
	c->end[last] = 0;
	/* Both have read of it, and it is over: the addresses are free. */
	while (c->r.view->passed != c->r.view->tail) {
		sluice_poll(c->lane, NULL, 0);
		sluice_poll(c->r.lane, NULL, 0);
	}
}

static void map_some(struct carved *c)
{
	bool large = next(c, 8) == 0;
	uint32_t nr = large ? 512 : 1 + next(c, 12);
	uint32_t at = large ? next(c, PAGES / 512) * 512 : next(c, PAGES - nr);
	uint64_t va = VA + (uint64_t)next(c, 1024) * M2 + at % 512u * PAGE;
	bool free = true;
	int rc;

	for (uint32_t i = 0; i < nr && large; i++)
		unmap_at(c, at + i);
	if (!large && next(c, 2)) {
		at = (uint32_t)((somewhere(c) - BASE) / PAGE);
		nr = at + nr > PAGES ? PAGES - at : nr;
	}
	for (uint32_t i = 0; i < nr; i++)
		free &= !c->page[at + i];
	rc = map_fixed(&c->r, va, nr * (uint64_t)PAGE, BASE + at * PAGE);
	assert_int_equal(rc, free ? 0 : -EEXIST);
	for (uint32_t i = 0; i < nr && free; i++)
		c->page[at + i] = va + i * PAGE;
	if (free)
		c->end[at + nr - 1] = 1;
}

static void equals_the_model(void **state)
{
	static const uint32_t flags[] = {0, SLUICE_DOMAIN_VA_LOOKUP};
	static struct carved c;

	(void)state;
	for (uint32_t f = 0; f < 2; f++) {
		const struct sluice_domain_cfg cfg = {
		        .flags = SLUICE_DOMAIN_CALLER_IOVA | flags[f],
		        .tlb_entries = 64,
		};

		up(&c, &cfg);
		c.seed = 7 + f;
		for (uint32_t i = 0; i < ROUNDS; i++) {
			if (next(&c, 5) < 3)
				map_some(&c);
			else
				unmap_at(&c, next(&c, PAGES));
			for (uint32_t k = 0; k < 3; k++)
				look(&c, somewhere(&c));
		}
		down(&c);
	}
}

/* An unmap waits for the carved view as for any other, and what that maps is
 * everybody's. */
static void tickets_and_maps(void **state)
{
	struct sluice_map_req req = {
	        .va = VA, .len = PAGE, .prot = RW, .flags = SLUICE_MAP_FIXED};
	sluice_iova_t iova = BASE;
	struct sluice_ticket ticket;
	struct carved c;
	sluice_oa_t oa;

	(void)state;
	up(&c, &caller_iova);
	assert_int_equal(sluice_map(c.view, &req, &iova), 0);
	assert_maps(&c.r, BASE, VA);
	assert_int_equal(sluice_translate(c.view, BASE, 8, RW, &oa), 8);
	assert_int_equal(sluice_unmap(c.r.view, BASE, PAGE, 0, &ticket), 1);
	for (int i = 0; i < 100; i++)
		sluice_poll(c.r.lane, NULL, 0);
	assert_false(sluice_ticket_passed(c.r.view, ticket));
	sluice_poll(c.lane, NULL, 0);
	assert_true(sluice_translate(c.view, BASE, 8, RW, &oa) < 0);
	sluice_poll(c.r.lane, NULL, 0);
	assert_true(sluice_ticket_passed(c.r.view, ticket));
	/* In a window it maps for the others. */
	iova = windows[1].first;
	assert_int_equal(sluice_map(c.view, &req, &iova), 0);
	assert_maps(&c.r, iova, VA);
	assert_int_equal(sluice_translate(c.view, iova, 8, RW, &oa), 8);
	assert_int_equal(oa, 0x5000);
	down(&c);
}

/* The others keep their short way, and no table is added. */
static void costs_the_others_nothing(void **state)
{
	struct sluice_domain_stats before, after;
	struct sluice_carve_info info;
	struct carved c;

	(void)state;
	up(&c, &caller_iova);
	assert_true(c.r.view->plain);
	assert_int_equal(map_fixed(&c.r, VA, M2, BASE), 0);
	for (uint32_t i = 0; i < 512; i++)
		c.page[i] = VA + i * PAGE;
	sluice_domain_get_stats(c.r.domain, &before);
	for (uint64_t at = 0; at < M2; at += PAGE)
		look(&c, BASE + 4 * M2 + at);
	sluice_domain_get_stats(c.r.domain, &after);
	assert_int_equal(before.table_bytes, after.table_bytes);
	sluice_carve_get_info(c.carve, &info);
	assert_int_equal(info.nr_windows, 3);
	assert_int_equal(info.nr_views, 1);
	assert_true(info.bytes && info.bytes < 256);
	print_message("3 windows: %u bytes\n", (unsigned)info.bytes);
	down(&c);
}

static int create(struct rig *r, struct sluice_carve_window w, uint32_t nr)
{
	struct sluice_carve_window two[2] = {w, w};
	struct sluice_carve *carve = NULL;
	int rc = sluice_carve_create(r->domain, two, nr, &carve);

	assert_int_equal(sluice_carve_destroy(carve), 0);
	return rc;
}

static void errors(void **state)
{
	const struct sluice_carve_window ok = {.last = PAGE - 1};
	struct sluice_carve_window w;
	struct sluice_carve *carve;
	struct sluice_view *view;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(create(&r, ok, 1), 0);
	assert_int_equal(create(&r, ok, 0), -EINVAL);
	assert_int_equal(create(&r, ok, 2), -EINVAL);
	assert_non_null(strstr(sluice_last_error(), "overlap"));
	assert_int_equal(create(&r, ok, SLUICE_CARVE_WINDOWS + 1), -EINVAL);
	assert_int_equal(sluice_carve_create(r.domain, NULL, 1, &carve),
	                 -EINVAL);
	assert_int_equal(sluice_carve_create(NULL, &ok, 1, &carve), -EINVAL);
	assert_int_equal(sluice_carve_create(r.domain, &ok, 1, NULL), -EINVAL);
	w = (struct sluice_carve_window){.first = 1, .last = PAGE - 1};
	assert_int_equal(create(&r, w, 1), -EINVAL);
	w = (struct sluice_carve_window){.last = PAGE};
	assert_int_equal(create(&r, w, 1), -EINVAL);
	w = (struct sluice_carve_window){.first = PAGE, .last = PAGE - 1};
	assert_int_equal(create(&r, w, 1), -EINVAL);
	w = (struct sluice_carve_window){.last = UINT64_MAX};
	assert_int_equal(create(&r, w, 1), -EINVAL);
	assert_non_null(strstr(sluice_last_error(), "last address"));
	w = (struct sluice_carve_window){.last = PAGE - 1, .prot = 4};
	assert_int_equal(create(&r, w, 1), -EINVAL);
	w = (struct sluice_carve_window){.last = PAGE - 1, .reserved = 1};
	assert_int_equal(create(&r, w, 1), -EINVAL);
	w = (struct sluice_carve_window){
	        .last = PAGE - 1, .prot = RW, .target = 1};
	assert_int_equal(create(&r, w, 1), -EINVAL);
	w = (struct sluice_carve_window){.last = 2 * PAGE - 1,
	                                 .prot = RW,
	                                 .target = UINT64_MAX - PAGE + 1};
	assert_int_equal(create(&r, w, 1), -EINVAL);

	assert_int_equal(sluice_carve_create(r.domain, &ok, 1, &carve), 0);
	assert_int_equal(sluice_carve_view_open(r.lane, NULL, &view), -EINVAL);
	/* The lane has its view. */
	assert_int_equal(sluice_carve_view_open(r.lane, carve, &view), -EEXIST);
	assert_int_equal(sluice_view_close(r.view), 0);
	assert_int_equal(sluice_domain_destroy(r.domain), -EBUSY);
	assert_non_null(strstr(sluice_last_error(), "1 carves"));
	assert_int_equal(sluice_carve_view_open(r.lane, carve, &view), 0);
	assert_int_equal(sluice_carve_destroy(carve), -EBUSY);
	assert_int_equal(sluice_view_close(view), 0);
	assert_int_equal(sluice_carve_destroy(carve), 0);
	assert_int_equal(sluice_view_open(r.lane, r.domain, &r.view), 0);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(equals_the_model),
	        cmocka_unit_test(tickets_and_maps),
	        cmocka_unit_test(costs_the_others_nothing),
	        cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
