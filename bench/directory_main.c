/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Radix walk against flat leaf directory, for docs/decisions/0007: random walks
 * of 4 KiB pages on one table, the ways interleaved, the median of the rounds.
 * "walk" is sluice_pt_walk(); "radix", "top" and "leaf" are bare descents of
 * four, three and two loads, inline, over the same tables, so that they differ
 * in nothing but the descent. "memo" is the radix descent with a small cache of
 * the reader's own in front.
 *
 *   sluice-bench-directory [most pages, default 2^24]
 *
 * Scattered: one page in each of as many 2 MiB blocks, taken at random from 48
 * bits; from 2^22 pages on 16 neighbours in each, or memory would not do.
 */
#include "bench/directory.h"
#include "bench/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROUNDS 51
#define WARM (UINT64_C(1) << 16)
#define WALKS (UINT64_C(1) << 12) /* short: others preempt long ones */
#define MANY (UINT64_C(1) << 22)
#define CLUSTER 16u
#define BASE (UINT64_C(1) << 32)
#define OA (UINT64_C(1) << 40)
#define MAX_BYTES (UINT64_C(16) << 30)
#define MIB (1 << 20)

struct world {
	struct sluice_pt *pt;
	struct directory dir;
	uint64_t *iova; /* in random order */
	uint64_t nr;
	uint64_t zero; /* 0, but the compiler does not know */
	double map_ns;
	struct dir_memo memo[MEMO_SLOTS];
};

/* xorshift64: any fixed sequence serves. */
static uint64_t random64(void)
{
	static uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* A permutation of the blocks of 2 MiB in 48 bits. */
static uint64_t block_of(uint64_t i)
{
	uint64_t mask = DIR_SLOTS - 1;

	i = i * 0x2545f4914f6cdd1dull & mask;
	i ^= i >> 13;
	i = i * 0xd6e8feb86659fd93ull & mask;
	return i ^ i >> 14;
}

static void map(struct world *w, uint64_t iova, uint64_t oa, uint64_t nr)
{
	rig_check(sluice_pt_map(w->pt, iova, oa, nr * PAGE, SLUICE_RW), "map");
}

static void fill_contiguous(struct world *w)
{
	uint64_t start = now_ns();

	/* A page off: no larger leaves. */
	map(w, BASE, OA + PAGE, w->nr);
	w->map_ns = (double)(now_ns() - start);
	for (uint64_t i = 0; i < w->nr; i++)
		w->iova[i] = BASE + i * PAGE;
}

static void fill_scattered(struct world *w)
{
	uint64_t each = w->nr >= MANY ? CLUSTER : 1;
	uint64_t start;

	for (uint64_t i = 0; i < w->nr; i += each) {
		uint64_t at = block_of(i / each + 1) << DIR_SHIFT;

		at += random64() % (512 / each) * each * PAGE;
		for (uint64_t k = 0; k < each; k++)
			w->iova[i + k] = at + k * PAGE;
	}
	start = now_ns();
	for (uint64_t i = 0; i < w->nr; i += each)
		map(w, w->iova[i], OA + (2 * i + 1) * PAGE, each);
	w->map_ns = (double)(now_ns() - start);
}

static void shuffle(struct world *w)
{
	for (uint64_t i = w->nr - 1; i > 0; i--) {
		uint64_t k = random64() % (i + 1), t = w->iova[i];

		w->iova[i] = w->iova[k];
		w->iova[k] = t;
	}
}

static inline uint64_t by_walk(struct world *w, uint64_t iova)
{
	struct sluice_pt_extent leaf;

	return sluice_pt_walk(w->pt, iova, &leaf)
	               ? 0
	               : leaf.oa + (iova - leaf.iova);
}

static inline uint64_t by_radix(struct world *w, uint64_t iova)
{
	return dir_walk_radix(&w->dir, iova);
}

static inline uint64_t by_top(struct world *w, uint64_t iova)
{
	return dir_walk_top(&w->dir, iova);
}

static inline uint64_t by_leaf(struct world *w, uint64_t iova)
{
	return dir_walk(&w->dir, iova);
}

static inline uint64_t by_memo(struct world *w, uint64_t iova)
{
	return dir_walk_memo(&w->dir, w->memo, iova);
}

/* From a place in the list on, n walks; a dependent one needs the OA of the
 * last. Returns the sum of the OAs. */
#define WAY(name)                                                              \
	static uint64_t name##_dependent(struct world *w, uint64_t at,         \
	                                 uint64_t n)                           \
	{                                                                      \
		uint64_t zero = w->zero, oa = 0, sum = 0;                      \
                                                                               \
		for (uint64_t i = 0; i < n; i++) {                             \
			oa = name(w, w->iova[(at + i) & (w->nr - 1)] +         \
			                     (oa & zero));                     \
			sum += oa;                                             \
		}                                                              \
		return sum;                                                    \
	}                                                                      \
	static uint64_t name##_independent(struct world *w, uint64_t at,       \
	                                   uint64_t n)                         \
	{                                                                      \
		uint64_t sum = 0;                                              \
                                                                               \
		for (uint64_t i = 0; i < n; i++)                               \
			sum += name(w, w->iova[(at + i) & (w->nr - 1)]);       \
		return sum;                                                    \
	}

WAY(by_walk)
WAY(by_radix)
WAY(by_top)
WAY(by_leaf)
WAY(by_memo)

static uint64_t (*const ways[])(struct world *w, uint64_t at, uint64_t n) = {
        by_walk_dependent,    by_radix_dependent, by_top_dependent,
        by_leaf_dependent,    by_memo_dependent,  by_walk_independent,
        by_radix_independent, by_top_independent, by_leaf_independent,
        by_memo_independent,
};

#define NR_WAYS (sizeof(ways) / sizeof(ways[0]))

/* All ways must agree before they are compared. */
static void agree(struct world *w)
{
	uint64_t want = ways[0](w, 0, WARM);

	for (unsigned k = 1; k < NR_WAYS; k++)
		rig_check(ways[k](w, 0, WARM) == want ? 0 : -1, "ways differ");
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* A sample comes behind a longer run of its own kind over other pages (or all
 * of them): no way finds in the caches what another has fetched for it, or
 * loses there what only it needs. */
static void measure(struct world *w, double *median)
{
	static double sample[NR_WAYS][ROUNDS];

	agree(w);
	for (unsigned r = 0; r < ROUNDS * NR_WAYS; r++) {
		unsigned way = r % NR_WAYS;
		uint64_t at = random64() & (w->nr - 1);
		uint64_t sum = ways[way](w, at, WARM);
		uint64_t start = now_ns();
		double ns;

		sum += ways[way](w, at + WARM, WALKS);
		ns = (double)(now_ns() - start) - clock_cost();
		gb_use(sum);
		sample[way][r / NR_WAYS] = ns / (double)WALKS;
	}
	for (unsigned k = 0; k < NR_WAYS; k++) {
		qsort(sample[k], ROUNDS, sizeof(sample[k][0]), ascending);
		median[k] = sample[k][ROUNDS / 2];
	}
}

static double faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_minflt;
}

/* What making a table would cost on top: the store into a directory, first into
 * an untouched one (with the page faults), then again. In the order of the
 * addresses, which is the kind one. */
static void upkeep(const struct directory *d, int huge)
{
	double ns[2] = {0}, before = faults(), after = 0;
	uint64_t *fresh = dir_reserve(DIR_SLOTS, huge);

	rig_check(fresh ? 0 : -1, "directory");
	for (int r = 0; r < 2; r++) {
		uint64_t start = now_ns();

		for (uint64_t i = 0; i < d->nr; i++)
			fresh[d->slot[i]] = d->word[i];
		gb_use(fresh);
		ns[r] = (double)(now_ns() - start) / (double)d->nr;
		after = r ? after : faults();
	}
	printf(" | %.1f / %.1f (%.0f)", ns[0], ns[1], after - before);
	dir_release(fresh, DIR_SLOTS);
}

static uint64_t bytes_free(void)
{
	return (uint64_t)sysconf(_SC_AVPHYS_PAGES) *
	       (uint64_t)sysconf(_SC_PAGESIZE);
}

static void run(const char *layout, uint64_t nr, void (*fill)(struct world *))
{
	struct sluice_pt_config cfg = {.format = SLUICE_PT_X86_64,
	                               .iova_bits = 48,
	                               .max_bytes = MAX_BYTES};
	struct world w = {.nr = nr, .iova = calloc(nr, sizeof(*w.iova))};
	double ns[NR_WAYS];

	rig_check(w.iova ? 0 : -1, "memory");
	rig_check(sluice_pt_create(&cfg, &w.pt), "create");
	fill(&w);
	shuffle(&w);
	rig_check(dir_build(&w.dir, w.pt), "directory");
	measure(&w, ns);
	printf("| %s, %llu", layout, (unsigned long long)nr);
	for (unsigned k = 0; k < NR_WAYS; k += NR_WAYS / 2)
		printf(" | %.1f | %.1f / %.1f / %.1f / %.1f", ns[k], ns[k + 1],
		       ns[k + 2], ns[k + 3], ns[k + 4]);
	printf(" | %.2f | %.2f",
	       (double)(w.dir.tables + w.dir.nr) * (double)PAGE / MIB,
	       (double)w.dir.pages * (double)PAGE / MIB);
	printf(" | %.0f", w.map_ns / (double)w.dir.nr);
	upkeep(&w.dir, 0);
	upkeep(&w.dir, 1);
	printf(" |\n");
	fflush(stdout);
	dir_free(&w.dir);
	sluice_pt_destroy(w.pt);
	free(w.iova);
}

int main(int argc, char **argv)
{
	static const uint64_t sizes[] = {1u << 10, 1u << 16, 1u << 20,
	                                 1u << 24};
	uint64_t most =
	        argc > 1 ? strtoull(argv[1], NULL, 0) : UINT64_C(1) << 24;

	rig_pin(0);
	puts("| layout, pages | dependent: walk | radix / top / leaf / memo | "
	     "independent: walk | radix / top / leaf / memo | tables, MiB | "
	     "directory, MiB | map, ns a leaf table | upkeep, ns a table: "
	     "first / again (faults) | ... in huge pages |\n"
	     "|---|---|---|---|---|---|---|---|---|---|");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i] > most)
			break;
		run("contiguous", sizes[i], fill_contiguous);
		/* A million leaf tables, what leads to them and a directory. */
		if (sizes[i] >= UINT64_C(1) << 20 &&
		    bytes_free() < (UINT64_C(9) << 30))
			printf("| scattered, %llu | not run: needs 9 GiB\n",
			       (unsigned long long)sizes[i]);
		else
			run("scattered", sizes[i], fill_scattered);
	}
	return 0;
}
