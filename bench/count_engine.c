/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What counted operations stand on; and of these the ones that are neither a
 * translation nor a map: IOVA, arena, ring, poll.
 */
#include "bench/count_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOT 2048u
#define SLOTS 1024u
#define RING_SLOTS 256u
#define RING_BURST 32u

struct eng_set *eng_open(const struct sluice_domain_cfg *cfg)
{
	struct eng_set *s = calloc(1, sizeof(*s));

	rig_check(s ? 0 : -1, "memory");
	rig_check(rig_open(&s->rig, 0), "rig");
	if (cfg)
		rig_domain(&s->rig, cfg);
	return s;
}

struct eng_set *eng_open_plain(void)
{
	return eng_open(NULL);
}

static void close_other(struct eng_set *s)
{
	struct sluice_lane *lane = s->other_lane;

	if (!lane)
		return;
	rig_check(sluice_view_close(s->other), "view");
	rig_check(sluice_lane_close(lane), "lane");
}

void eng_close(struct eng_set *s)
{
	close_other(s);
	rig_settle(&s->rig);
	rig_check(sluice_ring_destroy(s->ring), "ring");
	sluice_arena_destroy(s->arena);
	for (unsigned i = 0; i < ENG_IDLE && s->idle[i]; i++) {
		rig_check(sluice_view_close(s->idle_view[i]), "view");
		rig_check(sluice_domain_destroy(s->idle[i]), "domain");
	}
	rig_close(&s->rig);
	free(s);
}

static uint64_t stat_of(const struct eng_op *op, const struct eng_set *s)
{
	struct sluice_domain_stats st;
	uint64_t value;

	sluice_domain_get_stats(s->rig.domain, &st);
	memcpy(&value, (const char *)&st + op->stat, sizeof(value));
	return value;
}

void eng_once(const struct eng_op *op, struct eng_set *s, uint64_t n)
{
	uint64_t moved = stat_of(op, s), bursts = n / ENG_BURST;

	op->run(s, n);
	moved = stat_of(op, s) - moved;
	if (moved == op->each * bursts)
		return;
	fprintf(stderr,
	        "bench: %s: a counter of its domain moved by %llu in %llu "
	        "operations: it measures something else\n",
	        op->name, (unsigned long long)moved, (unsigned long long)n);
	exit(1);
}

static struct eng_set *open_arena(void)
{
	struct sluice_arena_cfg cfg = {.size = SLOT * SLOTS, .slot_size = SLOT};
	struct eng_set *s = eng_open_plain();

	rig_check(sluice_arena_create(s->rig.domain, &cfg, &s->arena), "arena");
	return s;
}

static struct eng_set *open_ring(void)
{
	struct sluice_ring_cfg cfg = {.stride = PAGE, .nr_slots = RING_SLOTS};
	struct eng_set *s = eng_open_plain();

	rig_check(sluice_ring_create(s->rig.view, &cfg, &s->ring), "ring");
	return s;
}

/* From now on the domain must tell the view what others unmap. */
static void join(struct sluice_view *view)
{
	struct sluice_map_req req = {
	        .va = VA, .len = PAGE, .prot = SLUICE_READ};
	sluice_iova_t iova = 0;
	sluice_oa_t oa;
	int64_t rc;

	rig_check(sluice_map(view, &req, &iova), "map");
	rc = sluice_translate(view, iova, 1, SLUICE_READ, &oa);
	rig_check(rc == 1 ? 0 : -1, "translate");
}

static struct eng_set *open_joined(void)
{
	struct eng_set *s = eng_open_plain();

	join(s->rig.view);
	return s;
}

static struct eng_set *open_idle(void)
{
	/* Small: valgrind has no address space for a thousand large ones. */
	static const struct sluice_domain_cfg cfg = {.first = LARGE,
	                                             .last = (1u << 30) - 1,
	                                             .log_records = 64,
	                                             .tlb_entries = 16,
	                                             .walk_entries = 16,
	                                             .max_inflight = 16};
	struct eng_set *s = eng_open(&cfg);

	for (unsigned i = 0; i < ENG_IDLE; i++) {
		rig_check(
		        sluice_domain_create(s->rig.engine, &cfg, &s->idle[i]),
		        "domain");
		rig_check(sluice_view_open(s->rig.lane, s->idle[i],
		                           &s->idle_view[i]),
		          "view");
		join(s->idle_view[i]);
	}
	return s;
}

static void iova_pairs(struct eng_set *s, uint64_t n)
{
	struct sluice_view *view = s->rig.view;
	int bad = 0;

	eng_tick();
	for (uint64_t i = 0; i < n; i++) {
		sluice_iova_t iova = 0;

		bad |= sluice_iova_alloc(view, PAGE, 0, 0, &iova);
		sluice_iova_free(view, iova, PAGE);
	}
	eng_tick();
	rig_check(bad, "iova_alloc");
}

static void arena_pairs(struct eng_set *s, uint64_t n)
{
	int bad = 0;

	eng_tick();
	for (uint64_t i = 0; i < n; i++) {
		struct sluice_buf buf;

		bad |= sluice_arena_get(s->rig.lane, s->arena, &buf);
		sluice_arena_put(s->rig.lane, s->arena, buf.va);
	}
	eng_tick();
	rig_check(bad, "arena_get");
}

/* A slot is filled, and taken back with its burst, to the completion. */
static void ring_slots(struct eng_set *s, uint64_t n)
{
	struct sluice_completion c[4];
	struct sluice_ticket t = {0};
	uint64_t iova = 0;
	int bad = 0;

	eng_tick();
	for (uint64_t i = 0; i < n; i += RING_BURST) {
		for (uint32_t k = 0; k < RING_BURST; k++)
			bad |= sluice_ring_map(s->ring, s->slot + k,
			                       VA + k * PAGE, PAGE, SLUICE_RW,
			                       &iova);
		bad |= sluice_ring_unmap(s->ring, s->slot, RING_BURST, i, &t) -
		       1;
		s->slot = (s->slot + RING_BURST) % RING_SLOTS;
		while (!sluice_ticket_passed(s->rig.view, t))
			sluice_poll(s->rig.lane, c, 4);
	}
	eng_tick();
	rig_check(bad ? -1 : 0, "ring");
}

static void polls(struct eng_set *s, uint64_t n)
{
	struct sluice_completion c[8];
	uint32_t got = 0;

	eng_tick();
	for (uint64_t i = 0; i < n; i++)
		got += sluice_poll(s->rig.lane, c, 8);
	eng_tick();
	rig_check(got ? -1 : 0, "poll");
}

#define OP(name, open, run, stat, each)                                        \
	{                                                                      \
		name, open, run, 512, 1536, ENG_STAT(stat), each               \
	}

const struct eng_op eng_lane_ops[] = {
        OP("iova-pair", eng_open_plain, iova_pairs, maps, 0),
        OP("arena-pair", open_arena, arena_pairs, maps, 0),
        OP("ring-slot", open_ring, ring_slots, unmaps, ENG_BURST),
        OP("poll-idle", open_joined, polls, posts, 0),
        OP("poll-idle-1000", open_idle, polls, posts, 0),
        {0},
};
