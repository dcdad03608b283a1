/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Four lanes allocate and free, much of it across: a range travels through
 * shared slots and whoever draws it frees it. Caches come and go, whole
 * granules are taken beside them, and the main thread reserves. The bitmap of
 * owners is relaxed on purpose, and each page also has a plain byte: the order
 * between two owners must come from the allocator, or ThreadSanitizer sees a
 * race.
 *
 * SLUICE_STRESS_OPS: operations of all lanes together; SLUICE_STRESS_SEED.
 */
#include "tests/iova/space.h"
#include "tests/stress.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANES 4u
#define SLOTS 512u
#define OWN 128u /* ranges that a lane keeps to itself */
#define LOW_FIRST (FOUR_GIB - 64 * MIB)
#define BYTES (128 * MIB)
#define PAGES (BYTES / PAGE)
#define RESERVES 24u

struct lane {
	_Alignas(2 * CACHELINE) struct iova_cache *cache;
	uint32_t id;
	uint64_t rng;
	uint64_t own[OWN];
	uint64_t nr_alloc, nr_nospc, nr_cross;
	pthread_t thread;
};

/* A range in one word: its pages in the bits below a page, 0 for none. */
static struct {
	struct iova_space *space;
	uint64_t ops; /* of each lane */
	au32 failed, running;
	au64 owned[PAGES / 64];
	uint8_t touched[PAGES];
	au64 slot[SLOTS];
	struct lane lane[LANES];
} world;

static uint64_t rnd(struct lane *l, uint64_t below)
{
	return (shape_rnd(&l->rng) >> 11) % below;
}

static uint64_t range_len(uint64_t range)
{
	return (range & (PAGE - 1)) * PAGE;
}

static void fail(const char *what, uint64_t iova)
{
	if (faa_rlx(&world.failed, 1) == 0)
		fprintf(stderr, "stress_iova: %s at 0x%" PRIx64 "\n", what,
		        iova);
}

static void own(uint64_t iova, uint64_t len, uint8_t who)
{
	uint64_t p = (iova - LOW_FIRST) / PAGE;

	if (iova < LOW_FIRST || p + len / PAGE > PAGES) {
		fail("outside the aperture", iova);
		return;
	}
	for (uint64_t e = p + len / PAGE; p < e; p++) {
		if (for_rlx(&world.owned[p / 64], bit64(p % 64)) &
		    bit64(p % 64))
			fail("overlap", LOW_FIRST + p * PAGE);
		world.touched[p] = who;
	}
}

static void disown(uint64_t iova, uint64_t len)
{
	uint64_t p = (iova - LOW_FIRST) / PAGE;

	for (uint64_t e = p + len / PAGE; p < e; p++) {
		world.touched[p] = 0;
		if (!(fand_rlx(&world.owned[p / 64], ~bit64(p % 64)) &
		      bit64(p % 64)))
			fail("owner lost", LOW_FIRST + p * PAGE);
	}
}

static uint64_t get(struct lane *l)
{
	static const uint16_t most[] = {1, 1, 1, 2, 4, 16, 64, 160};
	uint64_t pages = 1 + rnd(l, most[rnd(l, NR_OF(most))]);
	enum iova_window win = rnd(l, 4) ? IOVA_ANY : IOVA_32BIT;
	unsigned align = rnd(l, 16) ? 12 : 12 + (unsigned)rnd(l, 8);
	uint64_t iova;
	int rc = iova_alloc(l->cache, pages * PAGE, align, win, &iova);

	if (rc) {
		if (rc != -ENOSPC)
			fail(strerror(-rc), 0);
		l->nr_nospc++;
		return 0;
	}
	if (!aligned_lg2(iova, align) || (win == IOVA_32BIT && iova >> 32))
		fail("not what was asked for", iova);
	own(iova, pages * PAGE, (uint8_t)(l->id + 1));
	l->nr_alloc++;
	return iova | pages;
}

/* Now and then page by page, so that granules fill up from several sides. */
static void put(struct lane *l, uint64_t range)
{
	uint64_t iova = align_down(range, 12), len = range_len(range);
	uint64_t step = rnd(l, 32) ? len : PAGE;

	if (!range)
		return;
	disown(iova, len);
	for (uint64_t at = 0; at < len; at += step)
		iova_free(l->cache, iova + at, step);
}

static void arena(struct lane *l)
{
	uint64_t granule = iova_space_granule(world.space);
	uint64_t len = granule * (1 + rnd(l, 3));
	uint64_t iova;

	if (iova_space_alloc(world.space, len, 12, IOVA_ANY, &iova))
		return;
	own(iova, len, (uint8_t)(l->id + 1));
	disown(iova, len);
	iova_space_free(world.space, iova, len);
}

static void step(struct lane *l)
{
	uint64_t *mine = &l->own[rnd(l, OWN)];
	uint64_t what = rnd(l, 4096);

	if (what == 0) {
		iova_cache_destroy(l->cache);
		if (iova_cache_create(world.space, &l->cache))
			abort();
	} else if (what < 16) {
		arena(l);
	} else if (what < 2048) {
		put(l, *mine);
		*mine = rnd(l, 8) ? get(l) : 0;
	} else {
		/* Acquire and release: pairs with the exchange of the lane that
		 * put the range there, as a caller's queue would. */
		uint64_t old = xchg_acqrel(&world.slot[rnd(l, SLOTS)],
		                           rnd(l, 8) ? get(l) : 0);

		l->nr_cross += old != 0;
		put(l, old);
	}
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;

	if (iova_cache_create(world.space, &l->cache))
		abort();
	for (uint64_t i = 0;
	     stress_more(i, world.ops) && !ld_rlx(&world.failed); i++)
		step(l);
	for (uint32_t i = 0; i < OWN; i++)
		put(l, l->own[i]);
	iova_cache_destroy(l->cache);
	fsub_rlx(&world.running, 1);
	return NULL;
}

/* Granules that nobody may be handed any more; returns their bytes. */
static uint64_t reserve_some(struct lane *l)
{
	uint64_t granule = iova_space_granule(world.space);
	uint64_t bytes = 0;

	for (uint32_t nr = 0; nr < RESERVES && ld_rlx(&world.running);) {
		uint64_t len = granule * (1 + rnd(l, 2));
		uint64_t at = LOW_FIRST + granule * rnd(l, BYTES / granule - 1);
		bool had = false;

		for (uint64_t k = 0; k < len; k += granule)
			had = had || iova_space_is_reserved(world.space, at + k,
			                                    at + k);
		if (had || iova_space_reserve(world.space, at, at + len - 1))
			continue;
		own(at, len, UINT8_MAX);
		bytes += len;
		nr++;
	}
	return bytes;
}

static uint64_t env(const char *name, uint64_t other)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 0) : other;
}

static uint64_t run(uint64_t seed)
{
	struct lane control = {.rng = seed * 77 + 1};
	struct lane last = {.rng = seed + 1};
	uint64_t reserved;

	st_rlx(&world.running, LANES);
	for (uint32_t i = 0; i < LANES; i++) {
		world.lane[i].id = i;
		world.lane[i].rng = seed * (2 * i + 3) + i;
		if (pthread_create(&world.lane[i].thread, NULL, lane_main,
		                   &world.lane[i]))
			abort();
	}
	reserved = reserve_some(&control);
	for (uint32_t i = 0; i < LANES; i++)
		pthread_join(world.lane[i].thread, NULL);
	if (iova_cache_create(world.space, &last.cache))
		abort();
	for (uint32_t i = 0; i < SLOTS; i++)
		put(&last, ld_rlx(&world.slot[i]));
	iova_cache_destroy(last.cache);
	return reserved;
}

int main(void)
{
	static const struct sluice_range usable = {LOW_FIRST,
	                                           LOW_FIRST + BYTES - 1};
	uint64_t seed = env("SLUICE_STRESS_SEED", 88172645463325252u);
	uint64_t nr_alloc = 0, nr_nospc = 0, nr_cross = 0, reserved;

	stress_begin();
	world.ops = env("SLUICE_STRESS_OPS", 24000000) / LANES;
	if (iova_space_create(&usable, 1, &world.space))
		abort();
	reserved = run(seed);
	if (iova_space_free_bytes(world.space) != BYTES - reserved)
		fail("bytes missing at the end",
		     BYTES - reserved - iova_space_free_bytes(world.space));
	for (uint32_t i = 0; i < LANES; i++) {
		nr_alloc += world.lane[i].nr_alloc;
		nr_nospc += world.lane[i].nr_nospc;
		nr_cross += world.lane[i].nr_cross;
	}
	iova_space_destroy(world.space);
	printf("seed %" PRIu64 ": %" PRIu64 " ranges, %" PRIu64 " freed across "
	       "lanes, %" PRIu64 " refused, %" PRIu64 " KiB reserved\n",
	       seed, nr_alloc, nr_cross, nr_nospc, reserved / 1024);
	return ld_rlx(&world.failed) != 0;
}
