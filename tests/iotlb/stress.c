/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * No use after ticket. Lanes translate through their IOTLBs and a model page
 * table (one atomic word a leaf) and read the memory they are sent to; each
 * also unmaps and remaps leaves of its own. Memory whose ticket has passed is
 * poisoned at once by plain stores, then reused for another leaf: a lane that
 * still reaches it reads poison or the wrong leaf, and ThreadSanitizer sees
 * the race. Knows nothing of the engine.
 *
 * usage: stress [--must-detect] [--restless] [lanes]
 * SLUICE_STRESS_OPS: operations of all lanes together; SLUICE_STRESS_SEED.
 * --restless: lanes go offline and online all the time.
 * --must-detect is for mutants: rounds with new seeds until a violation is
 * seen, exit 0; exit 1 when there is none for a minute.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "iotlb/mutant.h"
#include "tests/iotlb/view.h"
#include "tests/stress.h"

#define MAX_LANES 16u
#define RECORDS 64u
#define ENTRIES 1024u
#define LEAVES 64u /* of each lane */
#define FRAMES (LEAVES + 32u)
#define BURST 8u
#define MAX_LEAF 4u /* pages */
#define POISON UINT64_MAX
#define WORDS 8u /* checked in each page */
#define DETECT_NS 60000000000u

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifndef TSAN
#define TSAN 0
#endif

struct pend {
	uint64_t ticket;
	uint32_t leaf;
	uint64_t frame; /* its address */
};

struct lane {
	_Alignas(2 * CACHELINE) struct sluice_view view; /* first */
	uint32_t id;
	uint32_t lazy; /* bursts until it polls again */
	uint64_t rng;
	uint64_t gen;
	struct pend pend[LEAVES];
	uint64_t pend_head, pend_tail;
	uint64_t free[FRAMES];
	uint64_t free_head, free_tail;
	uint64_t nr_translate, nr_miss, nr_fault, nr_unmap, nr_flush, nr_nap;
	pthread_t thread;
};

static struct {
	struct invlog *log;
	uint32_t nr_lanes;
	uint64_t ops;      /* of each lane */
	uint64_t nap_mask; /* one step of so many, less one, is a nap */
	uint8_t *memory;
	au64 pte[MAX_LANES * LEAVES]; /* frame address, 0: not mapped */
	au32 failed;
	au64 high; /* the largest answer of invlog_passed() that anyone saw */
	struct lane lane[MAX_LANES];
} world;

static uint64_t next(uint64_t *rng)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng >> 16;
}

/* Holds threads up where an ordering decides: mostly not at all, now and then
 * for a lap of the ring. */
#ifdef SLUICE_STALLS
static _Thread_local uint64_t stall_rng;
void iotlb_stall(enum stall where)
{
	uint64_t r = next(&stall_rng);

	(void)where;
	if (r & 63)
		return;
	r >>= 6;
	if ((r & 31) == 0) {
		sched_yield();
		return;
	}
	for (uint64_t i = r >> 8 & 1023; i; i--)
		cpu_relax();
}
#define STALL_SEED(s) (stall_rng = (s))
#else
#define STALL_SEED(s) ((void)(s))
#endif

static void violation(const char *what, uint64_t leaf, uint64_t word)
{
	if (for_rlx(&world.failed, 1))
		return;
	printf("VIOLATION: %s (leaf %" PRIu64 ", word %#" PRIx64 ")\n", what,
	       leaf, word);
}

/* ---- memory and its contents ---- */

static uint64_t leaf_pages(uint64_t leaf)
{
	return leaf & 1 ? MAX_LEAF : 1;
}

static uint64_t leaf_first(uint64_t leaf)
{
	return leaf * MAX_LEAF * PAGE;
}

static uint64_t leaf_last(uint64_t leaf)
{
	return leaf_first(leaf) + leaf_pages(leaf) * PAGE - 1;
}

/* The checked words of the page at address oa; spread over the cache sets. */
static uint64_t *words(uint64_t oa)
{
	uint64_t page = oa & ~(PAGE - 1);

	return (uint64_t *)(uintptr_t)(page + (oa / PAGE % 64) * 64);
}

static void paint(uint64_t frame, uint64_t word)
{
	for (unsigned p = 0; p < MAX_LEAF; p++)
		for (unsigned i = 0; i < WORDS; i++)
			words(frame + p * PAGE)[i] = word;
}

/* ---- the model's page table ---- */

int64_t sluice_translate_miss(struct sluice_view *view, sluice_iova_t iova,
                              uint64_t len, uint32_t access,
                              sluice_oa_t *ret_oa)
{
	struct lane *lane = (struct lane *)(void *)view;
	uint64_t leaf = iova / (MAX_LEAF * PAGE);
	/* Pairs with the release in map_leaf: the page's contents. */
	uint64_t frame = ld_acq(&world.pte[leaf]);

	(void)access;
	if (!frame) {
		lane->nr_fault++;
		return -EFAULT;
	}
	lane->nr_miss++;
	tlb_fill(&view->hot, iova, leaf_first(leaf), leaf_last(leaf),
	         frame - leaf_first(leaf), SLUICE_RW);
	*ret_oa = frame + (iova - leaf_first(leaf));
	return (int64_t)len;
}

static void map_leaf(struct lane *lane, uint32_t leaf)
{
	uint64_t frame = lane->free[lane->free_head++ % FRAMES];

	paint(frame, (uint64_t)leaf << 40 | ++lane->gen);
	/* Pairs with the acquire in the miss path. */
	st_rel(&world.pte[leaf], frame);
}

static void unmap_some(struct lane *lane)
{
	struct invlog_rec rec[BURST];
	uint32_t base = lane->id * LEAVES;
	uint32_t n = 0, want = 1 + (uint32_t)next(&lane->rng) % BURST;
	uint64_t first = lane->pend_tail, ticket;
	uint32_t at = (uint32_t)next(&lane->rng) % LEAVES;

	for (; n < want; at++) {
		uint32_t leaf = base + at % LEAVES;
		uint64_t frame = ld_rlx(&world.pte[leaf]);

		if (!frame)
			break;
		if (!MUTANT(CLEAR_AFTER_POST))
			st_rlx(&world.pte[leaf], 0);
		tlb_drop(&lane->view.hot, leaf_first(leaf), leaf_last(leaf));
		rec[n++] =
		        (struct invlog_rec){leaf_first(leaf), leaf_last(leaf)};
		lane->pend[lane->pend_tail++ % LEAVES] =
		        (struct pend){.leaf = leaf, .frame = frame};
	}
	if (!n)
		return;
	ticket = invlog_post(world.log, lane->id, rec, n);
	STALL(POST_RESERVED);
	for (uint64_t i = first; i != lane->pend_tail; i++) {
		lane->pend[i % LEAVES].ticket = ticket;
		if (MUTANT(CLEAR_AFTER_POST))
			st_rlx(&world.pte[lane->pend[i % LEAVES].leaf], 0);
	}
	lane->nr_unmap += n;
}

/* Asks what has passed, and checks that no lane ever had a better answer. */
static uint64_t ask_passed(void)
{
	uint64_t high, passed;

	/* Under TSan this word would order what the log must order. */
	if (TSAN)
		return invlog_passed(world.log);
	high = ld_sc(&world.high);
	passed = invlog_passed(world.log);
	if (passed < high)
		violation("passed went back", 0, passed);
	while (high < passed && !cas_acqrel(&world.high, &high, passed))
		;
	return passed;
}

/* Poisons what no one may reach any more, and uses it for something else. */
static void retire(struct lane *lane)
{
	uint64_t passed;

	if (lane->pend_head == lane->pend_tail)
		return;
	passed = ask_passed();
	for (; lane->pend_head != lane->pend_tail; lane->pend_head++) {
		struct pend *p = &lane->pend[lane->pend_head % LEAVES];

		if (p->ticket > passed)
			break;
		paint(p->frame, POISON);
		lane->free[lane->free_tail++ % FRAMES] = p->frame;
		map_leaf(lane, p->leaf);
	}
}

/* ---- a lane's life ---- */

static void check(uint64_t leaf, uint64_t oa)
{
	uint64_t *w = words(oa);

	for (unsigned i = 0; i < WORDS; i += 3) {
		uint64_t word = w[i];

		if (word == POISON)
			violation("use after ticket", leaf, word);
		else if (word >> 40 != leaf)
			violation("memory of another leaf", leaf, word);
	}
}

/* Half of the accesses go to a few leaves, so that their entries stay. */
static uint64_t pick_leaf(uint64_t *rng)
{
	uint64_t r = next(rng);
	uint64_t lane = (r >> 16) % world.nr_lanes;

	return lane * LEAVES + (r & 1 ? r >> 1 & 7 : r >> 1 & (LEAVES - 1));
}

static void poll(struct lane *lane)
{
	struct invlog_view v = {.hot = &lane->view.hot};

	if (invlog_drain(world.log, lane->id, &v) & INVLOG_GOT_FLUSH)
		lane->nr_flush++;
	retire(lane);
}

static void translate_some(struct lane *lane)
{
	uint64_t kept_leaf = 0, kept = 0;

	for (unsigned i = 0; i < BURST; i++) {
		uint64_t leaf = pick_leaf(&lane->rng), oa;
		uint64_t at = next(&lane->rng) % leaf_pages(leaf) * PAGE;

		lane->nr_translate++;
		if (sluice_translate(&lane->view, leaf_first(leaf) + at, 8,
		                     SLUICE_READ, &oa) < 0)
			continue;
		check(leaf, oa);
		kept = oa;
		kept_leaf = leaf;
	}
	if (MUTANT(USE_AFTER_POLL) && kept) {
		poll(lane);
		STALL(ONLINE);
		check(kept_leaf, kept);
	}
}

static void nap(struct lane *lane)
{
	lane->nr_nap++;
	tlb_flush(&lane->view.hot);
	invlog_offline(world.log, lane->id);
	for (uint64_t i = next(&lane->rng) & world.nap_mask; i; i--)
		cpu_relax();
	retire(lane);
	invlog_online(world.log, lane->id);
}

static void lane_step(struct lane *lane)
{
	uint64_t r = next(&lane->rng), faults = lane->nr_fault;

	translate_some(lane);
	/* Little is mapped: some lane that holds the tickets up has no
	 * processor. */
	if (lane->nr_fault - faults > BURST / 2)
		sched_yield();
	if ((r & 3) == 0)
		unmap_some(lane);
	/* Now and then so late that the ring goes round. */
	if (lane->lazy)
		lane->lazy--;
	else if (r & 1024)
		poll(lane);
	if ((r >> 18 & 1023) == 0)
		lane->lazy = (uint32_t)(r >> 28 & 255);
	if ((r >> 11 & world.nap_mask) == 0)
		nap(lane);
}

static void *lane_main(void *arg)
{
	struct lane *lane = arg;

	STALL_SEED(lane->rng ^ 0x5bd1e995u);
	invlog_online(world.log, lane->id);
	while (lane->nr_translate + lane->nr_unmap < world.ops &&
	       !ld_rlx(&world.failed))
		lane_step(lane);
	while (lane->pend_head != lane->pend_tail && !ld_rlx(&world.failed)) {
		poll(lane);
		sched_yield();
	}
	tlb_flush(&lane->view.hot);
	invlog_offline(world.log, lane->id);
	return NULL;
}

/* ---- rounds ---- */

static void lane_init(struct lane *lane, uint32_t id, uint64_t seed)
{
	uint64_t base = (uint64_t)(uintptr_t)world.memory;

	lane->id = id;
	lane->rng = (seed + id + 1) * 0x9e3779b97f4a7c15u;
	if (tlb_create(ENTRIES, &lane->view.hot))
		abort();
	for (uint64_t i = 0; i < FRAMES; i++)
		lane->free[lane->free_tail++ % FRAMES] =
		        base + (id * FRAMES + i) * MAX_LEAF * PAGE;
	for (uint32_t i = 0; i < LEAVES; i++)
		map_leaf(lane, id * LEAVES + i);
}

static void round_run(uint64_t seed)
{
	memset(world.lane, 0, sizeof(world.lane));
	st_rlx(&world.high, 0);
	if (invlog_create(RECORDS, world.nr_lanes, &world.log))
		abort();
	for (uint32_t i = 0; i < world.nr_lanes; i++)
		lane_init(&world.lane[i], i, seed);
	for (uint32_t i = 0; i < world.nr_lanes; i++)
		if (pthread_create(&world.lane[i].thread, NULL, lane_main,
		                   &world.lane[i]))
			abort();
	for (uint32_t i = 0; i < world.nr_lanes; i++) {
		pthread_join(world.lane[i].thread, NULL);
		tlb_destroy(&world.lane[i].view.hot);
	}
}

static void report(uint64_t ns, uint64_t seed)
{
	uint64_t translations = 0, misses = 0, faults = 0, unmaps = 0;
	uint64_t flushes = 0, naps = 0;

	for (uint32_t i = 0; i < world.nr_lanes; i++) {
		const struct lane *l = &world.lane[i];

		translations += l->nr_translate;
		misses += l->nr_miss;
		faults += l->nr_fault;
		unmaps += l->nr_unmap;
		flushes += l->nr_flush;
		naps += l->nr_nap;
	}
	printf("%" PRIu64 " translations (%" PRIu64 " misses, %" PRIu64
	       " faults), %" PRIu64 " unmaps, %" PRIu64 " flushes, %" PRIu64
	       " naps, %.2f s, seed %" PRIu64 "\n",
	       translations, misses, faults, unmaps, flushes, naps,
	       (double)ns / 1e9, seed);
}

static uint64_t env_u64(const char *name, uint64_t value)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : value;
}

int main(int argc, char **argv)
{
	uint64_t seed = env_u64("SLUICE_STRESS_SEED", 1);
	uint64_t start = clock_ns();
	bool must_detect = false;
	size_t bytes;

	stress_begin();
	world.nr_lanes = 4;
	world.nap_mask = 127;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--must-detect"))
			must_detect = true;
		else if (!strcmp(argv[i], "--restless"))
			world.nap_mask = 1;
		else
			world.nr_lanes = (uint32_t)strtoul(argv[i], NULL, 10);
	}
	if (world.nr_lanes == 0 || world.nr_lanes > MAX_LANES)
		return 2;
	bytes = world.nr_lanes * FRAMES * MAX_LEAF * PAGE;
	world.memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (world.memory == MAP_FAILED)
		return 2;
	world.ops = env_u64("SLUICE_STRESS_OPS", 10000000) / world.nr_lanes;
	do {
		uint64_t begin = clock_ns();

		round_run(seed++);
		report(clock_ns() - begin, seed - 1);
		invlog_destroy(world.log);
	} while (!ld_rlx(&world.failed) &&
	         (must_detect ? clock_ns() - start < DETECT_NS
	                      : stress_more(0, 0)));
	munmap(world.memory, bytes);
	return must_detect == (bool)ld_rlx(&world.failed) ? 0 : 1;
}
