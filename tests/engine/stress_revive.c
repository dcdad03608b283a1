/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hunts use after ticket where mappings come back. One lane maps, unmaps, and
 * maps again at once or later, through sluice_map() and through a ring; two
 * lanes translate what it publishes and read the memory. A buffer is poisoned
 * when the ticket of its last unmap has passed: a lane that reads poison has
 * reached memory that nobody gave it.
 *
 * Arguments: operations, seed. Exit 0: clean, 3: use after ticket, 4: an IOVA
 * was given to two, 1: anything else.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <sluice/sluice.h>
#include "util/util.h"

#define BUFS 32u
#define SLOTS 32u
#define READERS 2
#define PAGE 4096u
#define POISON UINT64_C(0xdeadbeefdeadbeef)
#define ALIVE UINT64_C(0xa11fea11fea11fe0)

enum state { IDLE, MAPPED, DYING };

struct buf {
	enum state state;
	sluice_iova_t iova;
	struct sluice_ticket ticket;
};

struct reader {
	pthread_t thread;
	uint64_t rng, hits, faults;
};

static struct sluice_engine *engine;
static struct sluice_domain *domain;
static struct sluice_lane *lane;
static struct sluice_view *view;
static struct sluice_ring *ring;
static struct buf buf[BUFS + SLOTS]; /* the latter by ring slot */
static uint8_t *mem;
static au64 board[BUFS + SLOTS]; /* IOVAs; 0 is none */
static au32 verdict, stop, ready;
static uint64_t again;

static void fail(uint32_t status, const char *what, int rc)
{
	uint32_t old = 0;

	if (cas_rlx(&verdict, &old, status))
		fprintf(stderr, "stress: %s: %s (%s)\n", what,
		        rc ? sluice_errname(rc) : "", sluice_last_error());
}

static uint64_t rnd(uint64_t *rng)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng;
}

/* Atomic, because a broken engine makes it a race. */
static au64 *word(uint64_t i)
{
	return (au64 *)(uintptr_t)(mem + i * PAGE);
}

static void check(uint64_t oa)
{
	if (ld_rlx((au64 *)(uintptr_t)oa) == POISON)
		fail(3, "USE AFTER TICKET", 0);
}

static void *reads(void *arg)
{
	struct reader *me = arg;
	struct sluice_lane *mine;
	struct sluice_view *window;
	sluice_oa_t held[8];
	uint32_t nr = 0;
	int rc = sluice_lane_open(engine, NULL, &mine);

	if (rc == 0)
		rc = sluice_view_open(mine, domain, &window);
	if (rc)
		fail(1, "open", rc);
	faa_rlx(&ready, 1);
	while (!rc && !ld_rlx(&stop) && !ld_rlx(&verdict)) {
		/* Pairs with the release in publish. */
		uint64_t iova = ld_acq(&board[rnd(&me->rng) % (BUFS + SLOTS)]);
		int64_t n;

		if (iova) {
			n = sluice_translate(window, iova, 8, SLUICE_READ,
			                     &held[nr]);
			me->hits += n == 8;
			me->faults += n == -EFAULT;
			if (n == 8)
				check(held[nr++]);
		}
		if (nr < 8 && rnd(&me->rng) % 16)
			continue;
		while (nr)
			check(held[--nr]);
		sluice_poll(mine, NULL, 0);
	}
	if (rc == 0) {
		(void)sluice_view_close(window);
		(void)sluice_lane_close(mine);
	}
	return NULL;
}

static void publish(uint32_t i, uint64_t iova)
{
	/* Pairs with the acquire in reads. */
	st_rel(&board[i], iova);
}

static void do_map(uint32_t i)
{
	struct sluice_map_req req = {
	        .va = (uintptr_t)word(i), .len = PAGE, .prot = SLUICE_RW};
	sluice_iova_t old = buf[i].iova;
	bool dying = buf[i].state == DYING;
	int rc;

	if (!dying)
		st_rlx(word(i), ALIVE);
	if (i < BUFS)
		rc = sluice_map(view, &req, &buf[i].iova);
	else
		rc = sluice_ring_map(ring, i - BUFS, req.va, PAGE, SLUICE_RW,
		                     &buf[i].iova);
	if (rc == -EBUSY && dying)
		return;
	if (rc) {
		fail(rc == -EEXIST ? 4 : 1, "map", rc);
		return;
	}
	again += dying && old == buf[i].iova;
	for (uint32_t k = 0; k < BUFS; k++)
		if (k != i && buf[k].state == MAPPED &&
		    buf[k].iova == buf[i].iova)
			fail(4, "TWO MAPPINGS, ONE IOVA", 0);
	buf[i].state = MAPPED;
	publish(i, buf[i].iova);
}

static void do_unmap(uint32_t i, uint64_t n)
{
	int rc = 0;

	if (i < BUFS) {
		rc = sluice_unmap(view, buf[i].iova, PAGE, 0, &buf[i].ticket);
		if (rc == 1)
			buf[i].state = DYING;
	} else {
		uint32_t nr = 0;

		while (nr < n % 8 && i + nr < BUFS + SLOTS &&
		       buf[i + nr].state == MAPPED)
			nr++;
		if (nr)
			rc = sluice_ring_unmap(ring, i - BUFS, nr, 0,
			                       &buf[i].ticket);
		for (uint32_t k = 0; rc == 1 && k < nr; k++) {
			buf[i + k].state = DYING;
			buf[i + k].ticket = buf[i].ticket;
		}
	}
	if (rc == -EAGAIN)
		sched_yield(); /* the others have to poll */
	else if (rc < 0)
		fail(1, "unmap", rc);
}

static void bury(void)
{
	for (uint32_t i = 0; i < BUFS + SLOTS; i++)
		if (buf[i].state == DYING &&
		    sluice_ticket_passed(view, buf[i].ticket)) {
			st_rlx(word(i), POISON);
			buf[i].state = IDLE;
		}
}

static int set_up(void)
{
	const struct sluice_domain_cfg cfg = {.flags = SLUICE_DOMAIN_REVIVE,
	                                      .log_records = 64,
	                                      .tlb_entries = 64,
	                                      .max_inflight = 64};
	const struct sluice_ring_cfg rcfg = {.stride = PAGE, .nr_slots = SLOTS};

	mem = mmap(NULL, (BUFS + SLOTS) * PAGE, PROT_READ | PROT_WRITE,
	           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED || sluice_engine_open(NULL, &engine) ||
	    sluice_domain_create(engine, &cfg, &domain) ||
	    sluice_lane_open(engine, NULL, &lane) ||
	    sluice_view_open(lane, domain, &view) ||
	    sluice_ring_create(view, &rcfg, &ring))
		return -1;
	return 0;
}

static void hunt(uint64_t ops, uint64_t seed)
{
	uint64_t rng = seed * 0x9e3779b97f4a7c15u + 1;

	for (uint64_t n = 0; n < ops && ld_rlx(&verdict) == 0; n++) {
		uint32_t i = (uint32_t)(rnd(&rng) % (BUFS + SLOTS));

		if (rnd(&rng) % 8 == 0) {
			sluice_poll(lane, NULL, 0);
			bury();
		} else if (buf[i].state == MAPPED) {
			do_unmap(i, rnd(&rng));
			/* There may have been no room for it. */
			if (i < BUFS && buf[i].state == DYING && rnd(&rng) % 2)
				do_map(i);
		} else {
			do_map(i);
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t ops = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	const char *env = getenv("SLUICE_STRESS_OPS");
	struct reader reader[READERS] = {{0}};
	uint64_t hits = 0, faults = 0;

	if (env)
		ops = strtoull(env, NULL, 0);
	if (set_up()) {
		fprintf(stderr, "stress: set-up: %s\n", sluice_last_error());
		return 1;
	}
	for (int i = 0; i < READERS; i++) {
		reader[i].rng = seed + 77 + (uint64_t)i;
		pthread_create(&reader[i].thread, NULL, reads, &reader[i]);
	}
	while (ld_rlx(&ready) < READERS)
		sched_yield();
	hunt(ops, seed);
	st_rlx(&stop, 1);
	for (int i = 0; i < READERS; i++) {
		pthread_join(reader[i].thread, NULL);
		hits += reader[i].hits;
		faults += reader[i].faults;
	}
	printf("stress: %llu operations, %llu came back, %llu translations, "
	       "%llu faults, verdict %u\n",
	       (unsigned long long)ops, (unsigned long long)again,
	       (unsigned long long)hits, (unsigned long long)faults,
	       ld_rlx(&verdict));
	if (ld_rlx(&verdict) == 0 && (!again || !hits || !faults)) {
		fprintf(stderr, "stress: nothing was exercised\n");
		return 1;
	}
	return (int)ld_rlx(&verdict);
}
