/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device queue: bursts of 32 buffers of a page, mapped, taken back, and
 * polled until the ticket has passed. Through a ring; through sluice_map() and
 * sluice_unmap() on a plain domain; and on one that revives, where each buffer
 * is mapped again before its ticket has passed.
 */
#include "bench/rig.h"

#include <stdlib.h>

#define BURST 32u
#define SLOTS 256u
#define VA UINT64_C(0x7f0000001000)

struct set {
	struct rig rig;
	struct sluice_ring *ring;
	uint32_t at;
	uint64_t iova[BURST];
};

static struct set *new_set(uint32_t flags)
{
	const struct sluice_domain_cfg cfg = {.flags = flags};
	struct set *s = calloc(1, sizeof(*s));

	rig_check(s ? 0 : -1, "memory");
	rig_check(rig_open(&s->rig, 0), "rig");
	if (flags)
		rig_domain(&s->rig, &cfg);
	return s;
}

static void *with_ring(void)
{
	const struct sluice_ring_cfg cfg = {.stride = PAGE, .nr_slots = SLOTS};
	struct set *s = new_set(0);

	rig_check(sluice_ring_create(s->rig.view, &cfg, &s->ring), "ring");
	return s;
}

static void *without(void)
{
	return new_set(0);
}

static void *reviving(void)
{
	return new_set(SLUICE_DOMAIN_REVIVE);
}

static void done(void *ctx)
{
	struct set *s = ctx;

	rig_settle(&s->rig);
	rig_check(sluice_ring_destroy(s->ring), "ring");
	rig_close(&s->rig);
	free(s);
}

static void ring_bursts(void *ctx, uint64_t n)
{
	struct set *s = ctx;
	struct sluice_completion c[4];
	struct sluice_ticket t = {0};
	uint64_t iova = 0;

	for (uint64_t i = 0; i < n; i += BURST) {
		int rc = 0;

		for (uint32_t k = 0; k < BURST; k++)
			rc |= sluice_ring_map(s->ring, s->at + k, VA + k * PAGE,
			                      PAGE, SLUICE_RW, &iova);
		rc |= sluice_ring_unmap(s->ring, s->at, BURST, i, &t) == 1 ? 0
		                                                           : -1;
		if (rc)
			rig_check(-1, "ring");
		s->at = (s->at + BURST) % SLOTS;
		while (!sluice_ticket_passed(s->rig.view, t))
			sluice_poll(s->rig.lane, c, 4);
	}
	gb_use(iova);
}

static void map_burst(struct set *s)
{
	int rc = 0;

	for (uint32_t k = 0; k < BURST; k++) {
		struct sluice_map_req req = {
		        .va = VA + k * PAGE, .len = PAGE, .prot = SLUICE_RW};

		rc |= sluice_map(s->rig.view, &req, &s->iova[k]);
	}
	if (rc)
		rig_check(-1, "map");
}

static struct sluice_ticket unmap_burst(struct set *s)
{
	struct sluice_ticket t = {0};
	int bad = 0;

	for (uint32_t k = 0; k < BURST; k++)
		bad |= sluice_unmap(s->rig.view, s->iova[k], PAGE, k, &t) != 1;
	if (bad)
		rig_check(-1, "unmap");
	return t;
}

static void map_bursts(void *ctx, uint64_t n)
{
	struct set *s = ctx;

	for (uint64_t i = 0; i < n; i += BURST) {
		map_burst(s);
		rig_wait(&s->rig, unmap_burst(s));
	}
}

/* Mapped, taken back, mapped again: what is in flight comes back. */
static void revive_bursts(void *ctx, uint64_t n)
{
	struct set *s = ctx;
	struct sluice_ticket t;

	for (uint64_t i = 0; i < n; i += 2 * BURST) {
		map_burst(s);
		(void)unmap_burst(s);
		map_burst(s);
		t = unmap_burst(s);
		rig_wait(&s->rig, t);
	}
}

#define CASE(label, up, fn)                                                    \
	{                                                                      \
		.name = label, .batch = 4096, .setup = up, .teardown = done,   \
		.run = fn                                                      \
	}

void cases_ring(void)
{
	static const struct gb_case cases[] = {
	        CASE("burst32/ring", with_ring, ring_bursts),
	        CASE("burst32/map", without, map_bursts),
	        CASE("burst32/map-noting", reviving, map_bursts),
	        CASE("twice32/map", without, revive_bursts),
	        CASE("twice32/map-reviving", reviving, revive_bursts),
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}
