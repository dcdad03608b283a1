/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B6 and B19, how rates grow with lanes: 1 Ki random pages translated, and
 * bursts of 64 maps, 64 unmaps and a poll on pages of one's own; one lane, and
 * one for each processor, in the same table. What is reported is the time of
 * an operation in each lane, so the rate at N over N times the rate at 1 is the
 * first over the second (bench/table). "…_1" is one lane alone; "apart" are all
 * of them with engines of their own, who share nothing: the machine's floor.
 */
#include "bench/crew.h"
#include "bench/pages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGES 1024
#define STEP 389      /* odd: visits all, none beside the last */
#define OPS_OURS 8192 /* of each lane in a round */
#define OPS_WAY 2048
#define BUDGET_NS UINT64_C(10000000)
#define CALLS 1
/* A host gives each lane a processor of its own in some rounds only. */
#define REPS 31
#define WINDOW (UINT64_C(1) << 37)
#define WINDOW_LG2 32 /* each thread maps in one of these */
#define VA UINT64_C(0x7f0000001000)
#define MAX_CASES 64
#define NAME 40

struct one {
	_Alignas(128) struct sluice_lane *lane;
	struct sluice_view *view;
	const uint64_t *list; /* of the pages to translate */
	uint64_t at;
	uint64_t iova[PAGES_BURST];
	struct rig rig; /* apart */
	uint64_t own[PAGES];
};

struct scale {
	struct one one[MAX_CREW];
	struct pages *p;
	struct crew *crew;
};

struct scale_cfg {
	struct pages_cfg pages;
	const struct crew_ops *ops;
	unsigned nr; /* threads, 0 for all */
};

static void enter_ours(void *ctx, unsigned who)
{
	struct scale *s = ctx;
	struct one *o = &s->one[who];

	o->list = s->p->iova;
	if (!who) {
		o->lane = s->p->rig.lane;
		o->view = s->p->rig.view;
		return;
	}
	rig_check(sluice_lane_open(s->p->rig.engine, NULL, &o->lane), "lane");
	rig_check(sluice_view_open(o->lane, s->p->rig.domain, &o->view),
	          "view");
}

static void leave_ours(void *ctx, unsigned who)
{
	struct one *o = &((struct scale *)ctx)->one[who];

	rig_check(sluice_drain(o->lane, UINT64_C(10000000000)), "drain");
	if (!who)
		return;
	rig_check(sluice_view_close(o->view), "view");
	rig_check(sluice_lane_close(o->lane), "lane");
}

static void wait_ours(void *ctx, unsigned who)
{
	sluice_poll(((struct scale *)ctx)->one[who].lane, NULL, 0);
}

/* As many pages, in an order of the same kind. */
static void enter_apart(void *ctx, unsigned who)
{
	struct one *o = &((struct scale *)ctx)->one[who];

	rig_check(rig_open(&o->rig, 0), "rig");
	o->lane = o->rig.lane;
	o->view = o->rig.view;
	o->list = o->own;
	for (uint64_t i = 0; i < PAGES; i++) {
		struct sluice_map_req req = {.va = VA + i * 2 * PAGE,
		                             .len = PAGE,
		                             .prot = SLUICE_RW};

		rig_check(sluice_map(o->view, &req, &o->own[i * STEP % PAGES]),
		          "map");
	}
}

static void leave_apart(void *ctx, unsigned who)
{
	rig_close(&((struct scale *)ctx)->one[who].rig);
}

static void enter_way(void *ctx, unsigned who)
{
	struct scale *s = ctx;
	const struct pages *p = s->p;

	s->one[who].list = p->iova;
	if (who)
		p->cfg.way->thread_enter(p->w);
}

static void leave_way(void *ctx, unsigned who)
{
	const struct pages *p = ((struct scale *)ctx)->p;

	if (who)
		p->cfg.way->thread_leave(p->w);
}

/* Who waits shall not hold back what others removed: it looks at something. */
static void wait_way(void *ctx, unsigned who)
{
	const struct pages *p = ((struct scale *)ctx)->p;
	uint64_t oa = 0;

	(void)who;
	(void)p->cfg.way->translate(p->w, p->iova[0], SLUICE_READ, &oa);
}

static const uint64_t *next(struct scale *s, unsigned who)
{
	struct one *o = &s->one[who];
	const uint64_t *iova = &o->list[o->at];

	o->at = (o->at + PAGES_BURST) & (s->p->cfg.nr - 1);
	return iova;
}

static void translate_ours(void *ctx, unsigned who, uint64_t n)
{
	struct scale *s = ctx;
	struct one *o = &s->one[who];

	for (uint64_t i = 0; i < n; i += PAGES_BURST) {
		const uint64_t *iova = next(s, who);

		for (unsigned k = 0; k < PAGES_BURST; k++) {
			sluice_oa_t oa = 0;
			int64_t rc = sluice_translate(o->view, iova[k], 64,
			                              SLUICE_READ, &oa);

			gb_use(oa);
			gb_use(rc);
		}
		sluice_poll(o->lane, NULL, 0);
	}
}

static void translate_way(void *ctx, unsigned who, uint64_t n)
{
	struct scale *s = ctx;
	const struct way *way = s->p->cfg.way;

	for (uint64_t i = 0; i < n; i += PAGES_BURST) {
		const uint64_t *iova = next(s, who);

		for (unsigned k = 0; k < PAGES_BURST; k++) {
			uint64_t oa = 0;
			int rc = way->translate(s->p->w, iova[k], SLUICE_READ,
			                        &oa);

			gb_use(oa);
			gb_use(rc);
		}
	}
}

/* No IOVA or no room for another unmap: tickets must pass first. */
static void poll_if(int rc, struct one *o, const char *what)
{
	if (rc != -EAGAIN && rc != -ENOSPC)
		rig_check(rc, what);
	sluice_poll(o->lane, NULL, 0);
}

static void pair_ours(void *ctx, unsigned who, uint64_t n)
{
	struct one *o = &((struct scale *)ctx)->one[who];
	struct sluice_ticket t = {0};
	int rc;

	for (uint64_t i = 0; i < n; i += PAGES_BURST) {
		for (unsigned k = 0; k < PAGES_BURST; k++) {
			struct sluice_map_req req = {
			        .va = VA + (who * n + k) * 2 * PAGE,
			        .len = PAGE,
			        .prot = SLUICE_RW};

			while ((rc = sluice_map(o->view, &req, &o->iova[k])) <
			       0)
				poll_if(rc, o, "map");
		}
		for (unsigned k = 0; k < PAGES_BURST; k++)
			while ((rc = sluice_unmap(o->view, o->iova[k], PAGE, 0,
			                          &t)) < 0)
				poll_if(rc, o, "unmap");
		sluice_poll(o->lane, NULL, 0);
	}
}

static void pair_way(void *ctx, unsigned who, uint64_t n)
{
	const struct pages *p = ((struct scale *)ctx)->p;
	const struct way *way = p->cfg.way;
	uint64_t base = WINDOW + ((uint64_t)who << WINDOW_LG2);
	int rc = 0;

	for (uint64_t i = 0; i < n; i += PAGES_BURST) {
		for (unsigned k = 0; k < PAGES_BURST; k++)
			rc |= way->map(p->w, base + k * PAGE,
			               VA + (who * n + k) * 2 * PAGE, PAGE,
			               SLUICE_RW);
		for (unsigned k = 0; k < PAGES_BURST; k++)
			rc |= way->unmap(p->w, base + k * PAGE, PAGE);
	}
	rig_check(rc ? -1 : 0, "pairs");
}

static void *scale_open(const void *arg)
{
	const struct scale_cfg *cfg = arg;
	struct scale *s;

	if (crew_size() < 2)
		return NULL;
	s = aligned_alloc(128, sizeof(*s));
	rig_check(s ? 0 : -ENOMEM, "memory");
	*s = (struct scale){.p = pages_get(&cfg->pages)};
	if (!s->p) {
		free(s);
		return NULL;
	}
	s->crew = crew_open(cfg->ops, s, cfg->nr ? cfg->nr : crew_size());
	return s;
}

static void scale_close(void *ctx)
{
	struct scale *s = ctx;

	crew_close(s->crew);
	pages_put(s->p);
	free(s);
}

static double scale_run(void *ctx, uint64_t n)
{
	struct scale *s = ctx;

	return (double)crew_best(s->crew, n, BUDGET_NS) - clock_cost();
}

static struct scale_cfg cfgs[MAX_CASES];
static struct gb_case cases[MAX_CASES];
static char names[MAX_CASES][NAME];
static unsigned nr_cases;

static void add(const char *bar, const char *who, const struct way *way,
                const struct crew_ops *ops)
{
	for (unsigned nr = 0; nr < 2; nr++) {
		unsigned i = nr_cases++;

		rig_check(i < MAX_CASES ? 0 : -1, "too many cases");
		snprintf(names[i], NAME, "%s/%s%s", bar, who, nr ? "_1" : "");
		cfgs[i] = (struct scale_cfg){{way, PAGES}, ops, nr};
		cases[i] = (struct gb_case){.name = names[i],
		                            .batch = way ? OPS_WAY : OPS_OURS,
		                            .calls = CALLS,
		                            .reps = way ? 0 : REPS,
		                            .setup_arg = scale_open,
		                            .arg = &cfgs[i],
		                            .teardown = scale_close,
		                            .timed = scale_run};
		gb_register(&cases[i]);
	}
}

void cases_scale(void)
{
	static const struct crew_ops translate[3] = {
	        {enter_ours, leave_ours, translate_ours, wait_ours},
	        {enter_way, leave_way, translate_way, wait_way},
	        {enter_apart, leave_apart, translate_ours, wait_ours}};
	static const struct crew_ops pair[3] = {
	        {enter_ours, leave_ours, pair_ours, wait_ours},
	        {enter_way, leave_way, pair_way, wait_way},
	        {enter_apart, leave_apart, pair_ours, wait_ours}};
	unsigned nr_ways;
	const struct way *ways = ways_all(&nr_ways);

	add("B6", "sluice", NULL, &translate[0]);
	add("B6", "apart", NULL, &translate[2]);
	add("B19", "sluice", NULL, &pair[0]);
	add("B19", "apart", NULL, &pair[2]);
	for (unsigned i = 0; i < nr_ways; i++) {
		add("B6", ways[i].name, &ways[i], &translate[1]);
		add("B19", ways[i].name, &ways[i], &pair[1]);
	}
}
