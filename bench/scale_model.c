/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/scale_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench/rig.h"

#define LINE 64u
#define STEPS 25       /* 2^0 .. 2^24 lines */
#define PAGES_STEPS 15 /* of 4 KiB each */
#define LOADS                                                                  \
	2048 /* as long as a sample of the operations: rarely preempted        \
	      */
#define ROUNDS 41
#define MANY (1u << 20)

static double cost[NR_TOUCHES][STEPS];
static unsigned steps[NR_TOUCHES];

static uint64_t random64(void)
{
	static uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static double chase(const char *mem, uint64_t *at, uint64_t loads)
{
	uint64_t i = *at, start = now_ns();

	for (uint64_t k = 0; k < loads; k++)
		i = *(const uint64_t *)(const void *)(mem + i);
	gb_use(i);
	*at = i;
	return ((double)(now_ns() - start) - clock_cost()) / (double)loads;
}

/* One cycle through all lines, in random order. */
static void link_lines(char *mem, uint64_t lines, uint64_t stride)
{
	uint64_t *next = calloc(lines, sizeof(*next));

	rig_check(next ? 0 : -1, "memory");
	for (uint64_t i = 0; i < lines; i++)
		next[i] = i;
	for (uint64_t i = lines - 1; i > 0; i--) {
		uint64_t k = random64() % i, t = next[i];

		next[i] = next[k];
		next[k] = t;
	}
	for (uint64_t i = 0; i < lines; i++)
		*(uint64_t *)(void *)(mem + i * stride) = next[i] * stride;
	free(next);
}

static char *reserve(uint64_t size, int advice)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	rig_check(p == MAP_FAILED ? -1 : 0, "memory");
	(void)madvise(p, size, advice); /* as util/pagepool.c does */
	return p;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double measure(uint64_t lines, uint64_t stride, int advice)
{
	char *mem = reserve(lines * stride, advice);
	double sample[ROUNDS];
	uint64_t at = 0;

	link_lines(mem, lines, stride);
	/* Twice round; what exceeds every cache is cold either way. */
	chase(mem, &at, 2 * (lines < MANY ? lines : MANY));
	for (unsigned r = 0; r < ROUNDS; r++)
		sample[r] = chase(mem, &at, LOADS);
	munmap(mem, lines * stride);
	qsort(sample, ROUNDS, sizeof(sample[0]), ascending);
	return sample[ROUNDS / 2];
}

void model_open(uint64_t most_lines)
{
	uint64_t lines = 1;

	for (unsigned k = 0; k < STEPS && lines <= most_lines; k++) {
		cost[TOUCH_LINES][k] = measure(lines, LINE, MADV_HUGEPAGE);
		steps[TOUCH_LINES] = k + 1;
		if (k < PAGES_STEPS) {
			cost[TOUCH_PAGES][k] =
			        measure(lines, PAGE, MADV_NOHUGEPAGE);
			steps[TOUCH_PAGES] = k + 1;
		}
		lines *= 2;
	}
}

double model_touch(enum touch how, double lines)
{
	double x = lines > 1 ? log2(lines) : 0;
	unsigned k = (unsigned)x;

	if (k + 1 >= steps[how])
		return cost[how][steps[how] - 1];
	return cost[how][k] + (x - k) * (cost[how][k + 1] - cost[how][k]);
}

void model_print(void)
{
	static const char *const name[NR_TOUCHES] = {"side by side",
	                                             "a page each"};

	printf("| ns from load to use, lines | ");
	for (unsigned k = 0; k < steps[0]; k += 2)
		printf("%llu |", 1ull << k);
	printf("\n|---|");
	for (unsigned k = 0; k < steps[0]; k += 2)
		printf("---|");
	for (enum touch t = 0; t < NR_TOUCHES; t++) {
		printf("\n| %s |", name[t]);
		for (unsigned k = 0; k < steps[0]; k += 2)
			if (k < steps[t])
				printf(" %.1f |", cost[t][k]);
			else
				printf(" |");
	}
	puts("");
}

/* ---- which lines ---- */

/* An operation touches one line of each of these. LIST are the addresses to
 * come: read ahead in good time, but they take room in the caches. */
enum { LEAF, LEVEL1, LEVEL2, ROOT, TLB, LIST, OWN, NR_PARTS };

/* Lines of each domain's and view's own that an operation touches: misses that
 * callgrind counts in a cache of 4096 lines with 512 domains, less those above
 * and less the polls of other views. */
#define OWN_HIT 1
#define OWN_MISS 4
#define OWN_PAIR 32
/* Pages they lie in, with those of the IOTLB and of the upper tables. */
#define OWN_PAGES(own) ((own) == OWN_HIT ? 2 : 8)

static void count_lines(const struct model_cell *c, double *lines)
{
	double d = c->domains, n = c->pages / d;

	lines[LEAF] = d * ceil(n / 8);
	lines[LEVEL1] = d * ceil(n / 512 / 8);
	lines[LEVEL2] = d * ceil(n / 512 / 512 / 8);
	lines[ROOT] = d;
	lines[TLB] = d * ceil(fmin(n, c->tlb_entries) / 2);
	lines[LIST] = ceil(c->picks / 8);
	lines[OWN] = d;
}

/* How many lines come by until one of this part is touched again: its own, and
 * of every other part at most as many. */
static double distance(const double *lines, unsigned part, unsigned own)
{
	double sum = 0;

	for (unsigned k = 0; k < NR_PARTS; k++)
		sum += fmin(lines[k], lines[part]) * (k == OWN ? own : 1);
	return sum;
}

/* What it costs beyond the first cache. */
static double more(enum touch how, double lines)
{
	return fmax(0, model_touch(how, lines) - model_touch(how, 1));
}

static double part_cost(const double *lines, unsigned part, unsigned own)
{
	double ns = more(TOUCH_LINES, distance(lines, part, own));

	if (lines[OWN] > 1)
		ns = fmax(ns, more(TOUCH_PAGES, lines[OWN] * OWN_PAGES(own)));
	return ns;
}

static double tables_cost(const double *lines, unsigned own)
{
	double ns = 0;

	for (unsigned k = LEAF; k <= ROOT; k++)
		ns += part_cost(lines, k, own);
	return ns;
}

double model_translate(const struct model_cell *c, double hit, double miss)
{
	double lines[NR_PARTS], n = c->pages / c->domains, rate = 1;

	count_lines(c, lines);
	/* All pages of a view come by in turn: a slot of the IOTLB hits when
	 * it serves one of them, and never when it serves two. */
	if (n > c->tlb_entries)
		rate = fmax(0, 2 * c->tlb_entries - n) / n;
	hit += part_cost(lines, TLB, OWN_HIT) +
	       OWN_HIT * part_cost(lines, OWN, OWN_HIT);
	miss += part_cost(lines, TLB, OWN_MISS) +
	        OWN_MISS * part_cost(lines, OWN, OWN_MISS) +
	        tables_cost(lines, OWN_MISS);
	return rate * hit + (1 - rate) * miss;
}

/* The unmap finds its lines in memory, the map that follows in the cache. */
double model_pair(const struct model_cell *c, double pair)
{
	double lines[NR_PARTS];

	count_lines(c, lines);
	return pair + tables_cost(lines, OWN_PAIR) +
	       OWN_PAIR * part_cost(lines, OWN, OWN_PAIR);
}
