/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B25 and B26, random pages of 1 Ki, 64 Ki and 1 Mi mapped, by sluice and by
 * every way that was built. B25: independent translations while another thread
 * unmaps and maps in the same table; all of them may keep on using a table
 * that changes, and pay for it in what is timed (a poll for each 64). B26: an
 * entry is unmapped and a new one mapped; sluice finds an IOVA and gives a
 * ticket, the ways put the page where it was. B5: translations in batches with
 * tables larger than the last-level cache. Each number is the median of short
 * rounds: in some of them other work had the processor.
 */
#include "bench/pages.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCH 4096 /* operations of a round */
#define MAX_ROUNDS 128
#define MIN_ROUNDS 3
#define BUDGET_NS UINT64_C(10000000)
#define CALLS 1
#define LARGE_PAGES (UINT64_C(1) << 23) /* 64 MiB of tables */
#define MAX_CASES 64
#define NAME 40

static void *open_quiet(const void *arg)
{
	return pages_get(arg);
}

static void *open_churned(const void *arg)
{
	struct pages *p;

	if (rig_cpus() < 2)
		return NULL;
	p = pages_get(arg);
	if (p)
		rig_check(pages_churn(p), "thread");
	return p;
}

static void close_quiet(void *ctx)
{
	struct pages *p = ctx;

	if (!p->cfg.way)
		rig_settle(&p->rig);
	pages_put(p);
}

static void close_churned(void *ctx)
{
	pages_calm(ctx);
	pages_put(ctx);
}

/* Where the next n addresses stand; n divides the number of pages. */
static const uint64_t *next(struct pages *p, uint64_t n)
{
	const uint64_t *iova = &p->iova[p->at];

	p->at = (p->at + n) & (p->cfg.nr - 1);
	return iova;
}

static void translate_ours(struct pages *p, uint64_t n)
{
	struct sluice_view *view = p->rig.view;

	for (uint64_t i = 0; i < n; i += PAGES_BURST) {
		const uint64_t *iova = next(p, PAGES_BURST);

		for (unsigned k = 0; k < PAGES_BURST; k++) {
			sluice_oa_t oa = 0;
			int64_t rc = sluice_translate(view, iova[k], 64,
			                              SLUICE_READ, &oa);

			gb_use(oa);
			gb_use(rc);
		}
		sluice_poll(p->rig.lane, NULL, 0);
	}
}

static void translate_batch(struct pages *p, uint64_t n)
{
	sluice_oa_t oa[PAGES_BURST];
	int64_t len[PAGES_BURST];

	for (uint64_t i = 0; i < n; i += PAGES_BURST) {
		uint32_t full = sluice_translate_batch(
		        p->rig.view, next(p, PAGES_BURST), PAGES_BURST, 64,
		        SLUICE_READ, oa, len);

		if (full != PAGES_BURST)
			rig_check(-1, "batch");
		sluice_poll(p->rig.lane, NULL, 0);
	}
}

static void translate_way(struct pages *p, uint64_t n)
{
	const struct way *way = p->cfg.way;

	for (uint64_t i = 0; i < n; i += PAGES_BURST) {
		const uint64_t *iova = next(p, PAGES_BURST);

		for (unsigned k = 0; k < PAGES_BURST; k++) {
			uint64_t oa = 0;
			int rc =
			        way->translate(p->w, iova[k], SLUICE_READ, &oa);

			gb_use(oa);
			gb_use(rc);
		}
	}
}

static void replace_ours(struct pages *p, uint64_t n)
{

	for (uint64_t i = 0; i < n; i += PAGES_BURST) {
		uint64_t at = p->at;

		(void)next(p, PAGES_BURST);
		for (unsigned k = 0; k < PAGES_BURST; k++) {
			pages_unmap(p, p->rig.view, p->iova[at + k]);
			pages_map(p, p->rig.view, &p->iova[at + k],
			          p->serial++);
		}
		sluice_poll(p->rig.lane, NULL, 0);
	}
}

static void replace_way(struct pages *p, uint64_t n)
{

	for (uint64_t i = 0; i < n; i++) {
		uint64_t iova = *next(p, 1);

		pages_unmap(p, NULL, iova);
		pages_map(p, NULL, &iova, p->serial++);
	}
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double median(struct pages *p, uint64_t n,
                     void (*run)(struct pages *, uint64_t))
{
	uint64_t sample[MAX_ROUNDS], began = now_ns();
	unsigned nr = 0;

	while (nr < MAX_ROUNDS &&
	       (nr < MIN_ROUNDS || now_ns() - began < BUDGET_NS)) {
		uint64_t start = now_ns();

		run(p, n);
		sample[nr++] = now_ns() - start;
	}
	qsort(sample, nr, sizeof(sample[0]), ascending);
	return (double)sample[nr / 2] - clock_cost();
}

#define TIMED(fn)                                                              \
	static double timed_##fn(void *ctx, uint64_t n)                        \
	{                                                                      \
		return median(ctx, n, fn);                                     \
	}
TIMED(translate_ours)
TIMED(translate_batch)
TIMED(translate_way)
TIMED(replace_ours)
TIMED(replace_way)

static struct pages_cfg cfgs[MAX_CASES];
static struct gb_case cases[MAX_CASES];
static char names[MAX_CASES][NAME];
static unsigned nr_cases;

static void add(const char *bar, const char *who, const struct way *way,
                uint64_t nr, struct gb_case c)
{
	unsigned i = nr_cases++;

	rig_check(i < MAX_CASES ? 0 : -1, "too many cases");
	snprintf(names[i], NAME, "%s/%s", bar, who);
	cfgs[i] = (struct pages_cfg){way, nr};
	cases[i] = c;
	cases[i].name = names[i];
	cases[i].arg = &cfgs[i];
	gb_register(&cases[i]);
}

static const struct gb_case churned = {.batch = BATCH,
                                       .calls = CALLS,
                                       .setup_arg = open_churned,
                                       .teardown = close_churned};
static const struct gb_case quiet = {.batch = BATCH,
                                     .calls = CALLS,
                                     .setup_arg = open_quiet,
                                     .teardown = close_quiet};

static struct gb_case with(const struct gb_case *c,
                           double (*timed)(void *, uint64_t))
{
	struct gb_case made = *c;

	made.timed = timed;
	return made;
}

void cases_random(void)
{
	static const struct {
		const char *b25, *b26;
		uint64_t nr;
	} sizes[] = {{"B25-1K", "B26-1K", 1 << 10},
	             {"B25-64K", "B26-64K", 1 << 16},
	             {"B25-1M", "B26-1M", 1 << 20}};
	unsigned nr_ways;
	const struct way *ways = ways_all(&nr_ways);

	for (unsigned s = 0; s < 3; s++) {
		uint64_t nr = sizes[s].nr;

		add(sizes[s].b25, "sluice", NULL, nr,
		    with(&churned, timed_translate_ours));
		add(sizes[s].b25, "batch", NULL, nr,
		    with(&churned, timed_translate_batch));
		add(sizes[s].b26, "sluice", NULL, nr,
		    with(&quiet, timed_replace_ours));
		for (unsigned i = 0; i < nr_ways; i++) {
			add(sizes[s].b25, ways[i].name, &ways[i], nr,
			    with(&churned, timed_translate_way));
			add(sizes[s].b26, ways[i].name, &ways[i], nr,
			    with(&quiet, timed_replace_way));
		}
	}
	add("B5", "sluice", NULL, LARGE_PAGES,
	    with(&quiet, timed_translate_batch));
}
