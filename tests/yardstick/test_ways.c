/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each way is right: random maps, unmaps and translations against the oracle,
 * then lookups beside a thread that maps and unmaps what they look for. A
 * yardstick that is fast and wrong would measure nothing.
 */
#include "util/util.h"
#include "yardstick/ways.h"
#include "yardstick/yardstick.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#define PAGE UINT64_C(4096)
#define BASE (UINT64_C(1) << 32)
#define WINDOW 4096 /* pages */
#define MAX_LEN 24
#define OPS 200000
#define READERS 2
#define ROUNDS 20000
#define MAX_ROUNDS 5000000
#define MIN_HITS 1000
#define HOT 64

static uint64_t seed = 0x2545f4914f6cdd1d;

static uint64_t rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % below;
}

static void fail(const char *what, uint64_t iova, int64_t got, int64_t want)
{
	fprintf(stderr,
	        "%s at 0x%" PRIx64 ": got %" PRId64 ", want %" PRId64 "\n",
	        what, iova, got, want);
	exit(1);
}

static int oracle_look(const struct oracle *o, uint64_t iova, uint32_t prot,
                       uint64_t *ret_oa)
{
	struct oracle_piece p;

	if (oracle_lookup(o, iova, &p))
		return -EFAULT;
	if (prot & ~p.prot)
		return -EACCES;
	*ret_oa = p.oa + (iova - p.iova);
	return 0;
}

static void compare(const struct way *way, void *w, const struct oracle *o,
                    uint64_t iova)
{
	uint32_t prot = (uint32_t)rnd(4);
	uint64_t got = 1, want = 1;
	int a = way->translate(w, iova, prot, &got);
	int b = oracle_look(o, iova, prot, &want);

	if (a != b)
		fail("translate", iova, a, b);
	if (got != want)
		fail("address", iova, (int64_t)got, (int64_t)want);
}

static void step(const struct way *way, void *w, struct oracle *o)
{
	uint64_t page = rnd(WINDOW), nr = 1 + rnd(rnd(2) ? 2 : MAX_LEN);
	uint64_t iova = BASE + page * PAGE, oa = rnd(1 << 30) * PAGE;
	uint64_t last = iova + nr * PAGE - 1;
	uint32_t prot = (uint32_t)rnd(4);
	struct oracle_piece p;
	int a, b;

	switch (rnd(4)) {
	case 0:
		a = way->map(w, iova, oa, nr * PAGE, prot);
		b = oracle_map(o, iova, last, oa, prot);
		if (a != b)
			fail("map", iova, a, b);
		break;
	case 1:
		/* Mostly what is there, or no unmap would ever succeed. */
		if (rnd(8) && !oracle_next(o, iova, &p)) {
			iova = p.iova;
			last = p.last;
			if (rnd(4) == 0)
				iova += rnd((last - iova + 1) / PAGE) * PAGE;
		}
		a = way->unmap(w, iova, last - iova + 1);
		b = oracle_unmap(o, iova, last, NULL, NULL);
		if (a != b)
			fail("unmap", iova, a, b);
		break;
	default:
		compare(way, w, o, iova + rnd(PAGE));
	}
}

static void against_oracle(const struct way *way)
{
	struct oracle *o = oracle_new();
	void *w = way->open(WINDOW + MAX_LEN);

	if (!o || !w)
		fail("open", 0, 0, 1);
	way->thread_enter(w);
	for (unsigned i = 0; i < OPS; i++)
		step(way, w, o);
	for (uint64_t i = 0; i < WINDOW + MAX_LEN; i++)
		compare(way, w, o, BASE + i * PAGE);
	if (!oracle_count(o))
		fail("nothing left to compare", 0, 0, 1);
	way->thread_leave(w);
	way->close(w);
	oracle_free(o);
}

struct race {
	const struct way *way;
	void *w;
	_Atomic int stop;
	_Atomic uint64_t hits;
};

/* Only one answer is right for an address, when there is one. */
static uint64_t oa_of(uint64_t iova)
{
	return (iova ^ BASE) + (UINT64_C(7) << 40);
}

static void *read_all(void *arg)
{
	struct race *r = arg;
	uint64_t i = 0;

	r->way->thread_enter(r->w);
	while (!ld_rlx(&r->stop)) {
		uint64_t iova = BASE + i++ % HOT * PAGE, oa = 0;
		int rc = r->way->translate(r->w, iova, 1, &oa);

		if (rc && rc != -EFAULT)
			fail("beside an unmap: translate", iova, rc, 0);
		if (!rc && oa != oa_of(iova))
			fail("beside an unmap: address", iova, (int64_t)oa,
			     (int64_t)oa_of(iova));
		if (!rc)
			faa_rlx(&r->hits, 1);
	}
	r->way->thread_leave(r->w);
	return NULL;
}

/* Maps page i of a ring and unmaps the one half a ring behind, so that half of
 * what the readers ask for is there. */
static void turn(const struct race *r, unsigned i)
{
	uint64_t iova = BASE + i % HOT * PAGE;
	int rc = r->way->map(r->w, iova, oa_of(iova), PAGE, 3);

	/* What was unmapped keeps its place until all readers have moved on,
	 * and one may not be running. */
	for (unsigned n = 0; rc == -ENOMEM && n < MAX_ROUNDS; n++) {
		sched_yield();
		rc = r->way->map(r->w, iova, oa_of(iova), PAGE, 3);
	}
	if (rc)
		fail("beside lookups: map", iova, rc, 0);
	if (i < HOT / 2)
		return;
	iova = BASE + (i - HOT / 2) % HOT * PAGE;
	rc = r->way->unmap(r->w, iova, PAGE);
	if (rc)
		fail("beside lookups: unmap", iova, rc, 0);
}

static void beside_unmaps(const struct way *way)
{
	struct race r = {.way = way, .w = way->open(4 * HOT)};
	pthread_t t[READERS];
	unsigned i;

	if (!r.w)
		fail("open", 0, 0, 1);
	for (i = 0; i < READERS; i++)
		if (pthread_create(&t[i], NULL, read_all, &r))
			fail("thread", 0, 0, 1);
	way->thread_enter(r.w);
	for (i = 0; i < ROUNDS || ld_rlx(&r.hits) < MIN_HITS; i++) {
		turn(&r, i);
		/* A mutex is not fair, and there may be one processor. */
		if (i % HOT == 0)
			sched_yield();
		if (i == MAX_ROUNDS)
			fail("no reader gets in: hits", 0,
			     (int64_t)ld_rlx(&r.hits), MIN_HITS);
	}
	way->thread_leave(r.w);
	st_rlx(&r.stop, 1);
	for (unsigned k = 0; k < READERS; k++)
		pthread_join(t[k], NULL);
	way->close(r.w);
	printf("%s: %" PRIu64 " hits beside %u maps\n", way->name,
	       ld_rlx(&r.hits), i);
}

int main(int argc, char **argv)
{
	const struct way *way;
	unsigned nr;

	if (argc != 2) {
		fprintf(stderr, "usage: test_ways WAY\n");
		return 2;
	}
	way = ways_find(argv[1]);
	if (!way) {
		printf("skipped: built without %s: install the package that "
		       "scripts/setup names for it, and configure again\n",
		       argv[1]);
		return 77;
	}
	if (ways_find("none") || !ways_all(&nr) || !nr)
		fail("the list", 0, 0, 1);
	if (TSAN && strcmp(way->name, "naive") && strcmp(way->name, "bare")) {
		printf("skipped: the package of %s is not built with the "
		       "thread sanitizer, which then sees none of its locks\n",
		       way->name);
		return 77;
	}
	against_oracle(way);
	beside_unmaps(way);
	return 0;
}
