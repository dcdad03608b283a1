/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scale: 1 to 10^8 mapped pages over 1 to 1024 domains, all open in one lane.
 * For each cell: translations of random pages, pairs of unmap and map of a
 * random page (strict, 32 in flight, the memory recycled when its ticket has
 * passed), a poll that finds nothing, bytes for each page. Beside each time
 * stands what the misses explain (scale_model.h) and the quotient of the two.
 *
 *   sluice-bench-scale [PAGES DOMAINS]     one cell, or the whole table
 *
 * A cell for which the machine has too little free memory is left out, and the
 * table says so.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/rig.h"
#include "bench/scale_model.h"

#define CHUNK (UINT64_C(1) << 18) /* pages of one map call: 1 GiB */
#define PICKS_MAX (UINT64_C(1) << 20)
#define TLB_ENTRIES 512             /* the default, and the model's */
#define VA UINT64_C(0x7f0000001000) /* a page off: 4 KiB leaves only */
#define DEPTH 32
#define SAMPLE 2048 /* operations */
#define ROUNDS 41
#define POLLS 16
#define DOMAIN_BYTES (UINT64_C(512) << 10) /* log, IOTLB, rings, tables */
#define SPARE_BYTES (UINT64_C(1) << 30)

enum { HIT, DEPENDENT, PAIR, POLL, NR_OPS };

struct cell {
	struct sluice_engine *engine;
	struct sluice_lane *lane;
	struct sluice_domain **domain;
	struct sluice_view **view;
	uint32_t nr; /* domains */
	uint64_t pages;
	/* Random mapped pages, none twice: the IOVA, and in the low bits the
	 * number of the domain. */
	uint64_t *pick;
	uint64_t nr_picks, at;
	uint64_t zero; /* 0, but the compiler does not know */
	double open_bytes, map_bytes, table_bytes;
	double ns[NR_OPS];
};

static uint64_t random64(void)
{
	static uint64_t x = UINT64_C(0xd1b54a32d192ed03);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static double resident(void)
{
	unsigned long long size = 0, rss = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	rig_check(f && fscanf(f, "%llu %llu", &size, &rss) == 2 ? 0 : -1,
	          "/proc/self/statm");
	fclose(f);
	return (double)rss * (double)sysconf(_SC_PAGESIZE);
}

static uint64_t available(void)
{
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib << 10;
}

static void open_cell(struct cell *c)
{
	struct sluice_engine_cfg cfg = {0};
	double before;

	c->domain = calloc(c->nr, sizeof(struct sluice_domain *));
	c->view = calloc(c->nr, sizeof(struct sluice_view *));
	c->nr_picks = c->pages < PICKS_MAX ? c->pages : PICKS_MAX;
	c->pick = malloc(c->nr_picks * sizeof(*c->pick));
	rig_check(c->domain && c->view && c->pick ? 0 : -1, "memory");
	memset(c->pick, 1, c->nr_picks * sizeof(*c->pick));
	before = resident();
	rig_check(sluice_engine_open(&cfg, &c->engine), "engine");
	rig_check(sluice_lane_open(c->engine, NULL, &c->lane), "lane");
	for (uint32_t d = 0; d < c->nr; d++) {
		struct sluice_domain_cfg dcfg = {.tlb_entries = TLB_ENTRIES};

		rig_check(sluice_domain_create(c->engine, &dcfg, &c->domain[d]),
		          "domain");
		rig_check(sluice_view_open(c->lane, c->domain[d], &c->view[d]),
		          "view");
	}
	c->open_bytes = resident() - before;
}

static double table_bytes(const struct cell *c)
{
	struct sluice_domain_stats st;

	sluice_domain_get_stats(c->domain[0], &st);
	return (double)st.table_bytes;
}

/* Pages of domain d: as many as of the others, or one more. */
static uint64_t share(const struct cell *c, uint32_t d)
{
	return c->pages / c->nr + (d < c->pages % c->nr);
}

/* Every (pages / picks)th page on average, each page of the cell with the same
 * chance: the classic selection in one pass. */
static void pick_some(struct cell *c, uint32_t d, uint64_t iova, uint64_t n,
                      uint64_t *seen, uint64_t *taken)
{
	for (uint64_t i = 0; i < n; i++, ++*seen) {
		if (random64() % (c->pages - *seen) >= c->nr_picks - *taken)
			continue;
		c->pick[(*taken)++] = (iova + i * PAGE) | d;
	}
}

static void map_all(struct cell *c)
{
	double rss = resident(), tables = table_bytes(c);
	uint64_t seen = 0, taken = 0;

	for (uint32_t d = 0; d < c->nr; d++)
		for (uint64_t left = share(c, d), n; left; left -= n) {
			struct sluice_map_req req = {
			        .va = VA, .prot = SLUICE_RW, .align_lg2 = 21};
			sluice_iova_t iova = 0;

			n = left < CHUNK ? left : CHUNK;
			req.len = n * PAGE;
			rig_check(sluice_map(c->view[d], &req, &iova), "map");
			pick_some(c, d, iova, n, &seen, &taken);
		}
	rig_check(taken == c->nr_picks ? 0 : -1, "picks");
	c->map_bytes = resident() - rss;
	c->table_bytes = table_bytes(c) - tables;
	for (uint64_t i = c->nr_picks - 1; i > 0; i--) {
		uint64_t k = random64() % (i + 1), t = c->pick[i];

		c->pick[i] = c->pick[k];
		c->pick[k] = t;
	}
}

static void close_cell(struct cell *c)
{
	rig_check(sluice_drain(c->lane, UINT64_C(5000000000)), "drain");
	for (uint32_t d = 0; d < c->nr; d++) {
		rig_check(sluice_view_close(c->view[d]), "view");
		rig_check(sluice_domain_destroy(c->domain[d]), "domain");
	}
	rig_check(sluice_lane_close(c->lane), "lane");
	rig_check(sluice_engine_close(c->engine), "engine");
	free(c->domain);
	free(c->view);
	free(c->pick);
}

static inline uint64_t *next_pick(struct cell *c)
{
	uint64_t *p = &c->pick[c->at];

	c->at = c->at + 1 == c->nr_picks ? 0 : c->at + 1;
	return p;
}

static void translate(struct cell *c, uint64_t n)
{
	int64_t bad = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t pick = *next_pick(c);
		sluice_oa_t oa = 0;
		int64_t rc = sluice_translate(c->view[pick % PAGE],
		                              pick & ~(PAGE - 1), 64,
		                              SLUICE_READ, &oa);

		bad |= rc - 64;
		gb_use(oa);
	}
	rig_check(bad ? -1 : 0, "translate");
}

static void dependent(struct cell *c, uint64_t n)
{
	sluice_oa_t oa = 0;
	int64_t bad = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t pick = *next_pick(c);
		uint64_t iova = (pick & ~(PAGE - 1)) + (oa & c->zero);

		bad |= sluice_translate(c->view[pick % PAGE], iova, 64,
		                        SLUICE_READ, &oa) -
		       64;
	}
	rig_check(bad ? -1 : 0, "translate");
	gb_use(oa);
}

/* One burst: what a driver has in flight. */
static void burst(struct cell *c, uint64_t n)
{
	struct sluice_completion done[2 * DEPTH];
	struct sluice_ticket t[DEPTH];
	uint64_t *pick[DEPTH], passed = 0;
	int rc = 0;

	for (uint64_t i = 0; i < n; i++) {
		pick[i] = next_pick(c);
		rc |= sluice_unmap(c->view[*pick[i] % PAGE],
		                   *pick[i] & ~(PAGE - 1), PAGE, i, &t[i]);
	}
	rig_check(rc, "unmap");
	while (passed < n) {
		sluice_poll(c->lane, done, 2 * DEPTH);
		while (passed < n &&
		       sluice_ticket_passed(c->view[*pick[passed] % PAGE],
		                            t[passed]))
			passed++;
	}
	for (uint64_t i = 0; i < n; i++) {
		struct sluice_map_req req = {
		        .va = VA + i * PAGE, .len = PAGE, .prot = SLUICE_RW};
		uint64_t d = *pick[i] % PAGE;

		rc |= sluice_map(c->view[d], &req, pick[i]);
		*pick[i] |= d;
	}
	rig_check(rc, "map");
}

static void pairs(struct cell *c, uint64_t n)
{
	uint64_t depth = c->nr_picks < DEPTH ? c->nr_picks : DEPTH;

	for (uint64_t i = 0; i < n; i += depth)
		burst(c, depth);
}

static void polls(struct cell *c, uint64_t n)
{
	struct sluice_completion done[8];

	for (uint64_t i = 0; i < n; i++)
		sluice_poll(c->lane, done, 8);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* ns[] of the cell: medians of interleaved samples, each behind a run of its
 * own kind. */
static void measure(struct cell *c)
{
	static void (*const op[NR_OPS])(struct cell *, uint64_t) = {
	        translate, dependent, pairs, polls};
	static const uint64_t size[NR_OPS] = {SAMPLE, SAMPLE, SAMPLE, POLLS};
	static double sample[NR_OPS][ROUNDS];

	for (unsigned r = 0; r < ROUNDS; r++)
		for (unsigned o = 0; o < NR_OPS; o++) {
			uint64_t start;

			op[o](c, o == POLL ? 128 : size[o]);
			start = now_ns();
			op[o](c, size[o]);
			sample[o][r] =
			        ((double)(now_ns() - start) - clock_cost()) /
			        (double)size[o];
		}
	for (unsigned o = 0; o < NR_OPS; o++) {
		qsort(sample[o], ROUNDS, sizeof(sample[o][0]), ascending);
		c->ns[o] = sample[o][ROUNDS / 2];
	}
}

/* What the operations cost when every line they touch is in the first cache. */
struct base {
	double hit, miss;         /* independent */
	double hit_dep, miss_dep; /* dependent */
	double pair;
};

/* One domain: a page; and as many pages as one slot of the IOTLB can quarrel
 * about, so that each translation misses, but no line is far. */
static void measure_base(struct base *base)
{
	struct cell one = {.nr = 1, .pages = 1};
	struct cell few = {.nr = 1, .pages = 16 * TLB_ENTRIES};

	open_cell(&one);
	map_all(&one);
	measure(&one);
	close_cell(&one);
	open_cell(&few);
	map_all(&few);
	few.nr_picks = 0;
	for (uint64_t i = 0; i < few.pages; i++)
		if (few.pick[i] / PAGE % TLB_ENTRIES == 7)
			few.pick[few.nr_picks++] = few.pick[i];
	for (unsigned r = 0; r < ROUNDS; r++) {
		double ns;
		uint64_t start = now_ns();

		translate(&few, SAMPLE);
		ns = ((double)(now_ns() - start) - clock_cost()) / SAMPLE;
		few.ns[HIT] = r ? fmin(few.ns[HIT], ns) : ns;
		start = now_ns();
		dependent(&few, SAMPLE);
		ns = ((double)(now_ns() - start) - clock_cost()) / SAMPLE;
		few.ns[DEPENDENT] = r ? fmin(few.ns[DEPENDENT], ns) : ns;
	}
	close_cell(&few);
	*base = (struct base){one.ns[HIT], few.ns[HIT], one.ns[DEPENDENT],
	                      few.ns[DEPENDENT], one.ns[PAIR]};
}

static void print_bytes(double bytes)
{
	if (bytes >= 1e6)
		printf(" %.1f M |", bytes / 1e6);
	else if (bytes >= 1e4)
		printf(" %.1f K |", bytes / 1e3);
	else
		printf(" %.2f |", bytes);
}

static void run(uint64_t pages, uint32_t domains, const struct base *base)
{
	struct cell c = {.nr = domains, .pages = pages};
	struct model_cell m = {(double)pages, fmin(domains, (double)pages),
	                       TLB_ENTRIES, fmin((double)pages, PICKS_MAX)};
	uint64_t need =
	        pages * 8 + pages / 8 + domains * DOMAIN_BYTES + SPARE_BYTES;
	double model[NR_OPS];

	printf(pages > 1 ? "| 10^%.0f | %u |" : "| %.0f | %u |",
	       pages > 1 ? log10((double)pages) : 1, domains);
	if (available() < need) {
		printf(" SKIP: needs %.1f GB of free memory, %.1f GB are "
		       "there |\n",
		       (double)need / 1e9, (double)available() / 1e9);
		return;
	}
	open_cell(&c);
	map_all(&c);
	measure(&c);
	model[HIT] = model_translate(&m, base->hit, base->miss);
	model[DEPENDENT] = model_translate(&m, base->hit_dep, base->miss_dep);
	model[PAIR] = model_pair(&m, base->pair);
	for (unsigned o = 0; o < POLL; o++)
		printf(" %.1f | %.1f | %.2f |", c.ns[o], model[o],
		       c.ns[o] / model[o]);
	printf(" %.1f |", c.ns[POLL]);
	print_bytes(c.table_bytes / (double)pages);
	print_bytes(c.map_bytes / (double)pages);
	print_bytes(c.open_bytes / domains);
	puts("");
	fflush(stdout);
	close_cell(&c);
}

static void run_all(const struct base *base)
{
	static const uint64_t pages[] = {1, 1000, 1000000, 100000000};
	static const uint32_t domains[] = {1, 16, 1024};

	for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		for (unsigned k = 0; k < sizeof(domains) / sizeof(domains[0]);
		     k++)
			run(pages[i], domains[k], base);
}

int main(int argc, char **argv)
{
	uint64_t pages = argc == 3 ? strtoull(argv[1], NULL, 0) : 0;
	uint64_t domains = argc == 3 ? strtoull(argv[2], NULL, 0) : 0;
	struct base base;

	if (argc != 1 && (!pages || !domains || domains > PAGE)) {
		fprintf(stderr, "usage: %s [PAGES DOMAINS]\n", argv[0]);
		return 2;
	}
	rig_pin(0);
	model_open(available() > 3 * SPARE_BYTES ? UINT64_C(1) << 24
	                                         : UINT64_C(1) << 20);
	measure_base(&base);
	model_print();
	printf("\nin the first cache: hit %.1f, miss %.1f, dependent %.1f and "
	       "%.1f, pair %.1f ns\n\n",
	       base.hit, base.miss, base.hit_dep, base.miss_dep, base.pair);
	puts("| pages | domains | translate, ns | model | ratio | dependent "
	     "| model | ratio | unmap + map | model | ratio | idle poll | "
	     "table bytes a page | resident bytes a page | resident bytes an "
	     "open domain |\n"
	     "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
	if (pages)
		run(pages, (uint32_t)domains, &base);
	else
		run_all(&base);
	return 0;
}
