/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hunts use after ticket. Lanes map, unmap and translate in one domain. Each
 * buffer is poisoned when its unmap has completed and revived before it is
 * mapped again; a lane that reads poison through a translation has reached
 * memory whose ticket had passed. The same source built against a weakened
 * engine (SLUICE_MUTANT_*) must find the poison.
 *
 * Arguments: strict|lazy, operations, seed; SLUICE_STRESS_OPS and
 * SLUICE_STRESS_SECONDS make it longer or shorter. Exit 0: clean, 3: use after
 * ticket, 1: anything else.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <sluice/sluice.h>
#include "tests/stress.h"
#include "util/util.h"

#define LANES 4
#define BUFS 48 /* of each lane */
#define MAX_PAGES 4
#define PAGE 4096u
#define POISON UINT64_C(0xdeadbeefdeadbeef)
#define ALIVE UINT64_C(0xa11fea11fea11fe0)
#define HELD 8

enum state { IDLE, MAPPED, DYING };

struct buf {
	enum state state;
	uint32_t pages;
	sluice_iova_t iova;
	uint8_t *mem;
	struct sluice_ticket ticket;
};

struct worker {
	pthread_t thread;
	uint32_t id;
	uint64_t rng;
	uint64_t ops;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct buf buf[BUFS];
	/* Translations got since the last poll: good until the next. */
	sluice_oa_t held[HELD];
	uint32_t nr_held;
	uint64_t nr_maps, nr_unmaps, nr_hits, nr_faults;
};

static struct sluice_engine *engine;
static struct sluice_domain *domain;
static struct worker workers[LANES];
/* Where the lanes tell each other IOVAs; 0 is none. */
static au64 board[LANES * BUFS];
static au32 verdict; /* 0, or the exit status */
static bool lazy;

static void fail(uint32_t status, const char *what, int rc)
{
	uint32_t old = 0;

	if (cas_rlx(&verdict, &old, status))
		fprintf(stderr, "stress: %s: %s (%s)\n", what,
		        rc ? sluice_errname(rc) : "", sluice_last_error());
}

static uint64_t rnd(struct worker *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng;
}

/* The word that tells; atomic, because a broken engine makes it a race. */
static au64 *word(uint64_t mem, uint32_t page)
{
	return (au64 *)(uintptr_t)(mem + (uint64_t)page * PAGE);
}

static void paint(struct buf *b, uint64_t colour)
{
	for (uint32_t i = 0; i < b->pages; i++)
		st_rlx(word((uintptr_t)b->mem, i), colour);
}

static void do_map(struct worker *w, uint32_t i)
{
	struct buf *b = &w->buf[i];
	struct sluice_map_req req = {.va = (uintptr_t)b->mem,
	                             .prot = SLUICE_RW};
	int rc;

	b->pages = 1 + (uint32_t)(rnd(w) % MAX_PAGES);
	req.len = (uint64_t)b->pages * PAGE;
	paint(b, ALIVE);
	rc = sluice_map(w->view, &req, &b->iova);
	if (rc) {
		fail(1, "map", rc);
		return;
	}
	b->state = MAPPED;
	w->nr_maps++;
	/* Pairs with the acquire in do_translate. */
	st_rel(&board[w->id * BUFS + i], b->iova + b->pages);
}

static void do_unmap(struct worker *w, uint32_t i)
{
	struct buf *b = &w->buf[i];
	int rc;

	if (rnd(w) % 2)
		st_rlx(&board[w->id * BUFS + i], 0);
	rc = sluice_unmap(w->view, b->iova, (uint64_t)b->pages * PAGE, b->iova,
	                  &b->ticket);
	if (rc == -EAGAIN)
		return;
	if (rc != !lazy) {
		fail(1, "unmap", rc);
		return;
	}
	b->state = DYING;
	w->nr_unmaps++;
}

static void check_alive(uint64_t oa)
{
	if (ld_rlx((au64 *)(uintptr_t)(oa & ~(uint64_t)(PAGE - 1))) == POISON)
		fail(3, "USE AFTER TICKET", 0);
}

static void do_translate(struct worker *w)
{
	uint64_t seen = ld_acq(&board[rnd(w) % (LANES * BUFS)]);
	uint64_t iova = seen & ~(uint64_t)(PAGE - 1);
	uint64_t pages = seen & (PAGE - 1);
	sluice_oa_t oa;
	int64_t n;

	if (!seen)
		return;
	iova += (rnd(w) % pages) * PAGE;
	n = sluice_translate(w->view, iova, 64, SLUICE_READ, &oa);
	if (n == -EFAULT) {
		w->nr_faults++;
		return;
	}
	if (n != 64) {
		fail(1, "translate", (int)n);
		return;
	}
	w->nr_hits++;
	check_alive(oa);
	w->held[w->nr_held++ % HELD] = oa;
}

static void bury(struct worker *w)
{
	for (uint32_t i = 0; i < BUFS; i++) {
		struct buf *b = &w->buf[i];

		if (b->state == DYING &&
		    sluice_ticket_passed(w->view, b->ticket)) {
			paint(b, POISON);
			b->state = IDLE;
		}
	}
}

static void do_poll(struct worker *w)
{
	struct sluice_completion c[16];
	uint32_t n;

	/* Up to this moment every held translation is good. */
	for (uint32_t i = 0; i < HELD && i < w->nr_held; i++)
		check_alive(w->held[i]);
	w->nr_held = 0;
	n = sluice_poll(w->lane, c, 16);
	for (uint32_t i = 0; i < n; i++)
		if (c[i].result || c[i].iova != c[i].cookie)
			fail(1, "completion", c[i].result);
	bury(w);
	if (rnd(w) % 64 == 0) {
		sluice_lane_offline(w->lane);
		if (rnd(w) % 4 == 0)
			sched_yield();
		sluice_poll(w->lane, NULL, 0);
		sluice_lane_online(w->lane);
	}
}

static void step(struct worker *w)
{
	uint32_t i = (uint32_t)(rnd(w) % BUFS);
	uint64_t dice = rnd(w) % 16;

	if (dice < 8) {
		do_translate(w);
	} else if (dice < 14) {
		if (w->buf[i].state == IDLE)
			do_map(w, i);
		else if (w->buf[i].state == MAPPED)
			do_unmap(w, i);
	} else {
		do_poll(w);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int rc = sluice_lane_open(engine, NULL, &w->lane);

	if (rc == 0)
		rc = sluice_view_open(w->lane, domain, &w->view);
	if (rc) {
		fail(1, "open", rc);
		return NULL;
	}
	for (uint64_t i = 0; stress_more(i, w->ops) && !ld_rlx(&verdict); i++)
		step(w);
	/* Others may still have to poll: leave no one waiting for this one. */
	while (ld_rlx(&verdict) == 0) {
		rc = sluice_drain(w->lane, UINT64_C(1000000));
		if (rc == 0)
			break;
		if (rc != -ETIMEDOUT)
			fail(1, "drain", rc);
	}
	sluice_lane_offline(w->lane);
	return NULL;
}

/* After a clean run everything closes and nothing leaks. */
static void tear_down(void)
{
	for (uint32_t i = 0; i < LANES; i++) {
		struct worker *w = &workers[i];
		int rc;

		sluice_lane_adopt(w->lane);
		rc = sluice_view_close(w->view);
		if (rc == 0)
			rc = sluice_lane_close(w->lane);
		if (rc)
			fail(1, "close", rc);
		munmap(w->buf[0].mem, (size_t)BUFS * MAX_PAGES * PAGE);
	}
	if (sluice_domain_destroy(domain) || sluice_engine_close(engine))
		fail(1, "close", -EBUSY);
}

static int set_up(uint64_t ops, uint64_t seed)
{
	const struct sluice_domain_cfg cfg = {
	        .mode = lazy ? SLUICE_MODE_LAZY : SLUICE_MODE_STRICT,
	        .flags = SLUICE_DOMAIN_VA_LOOKUP,
	        .log_records = 64,
	        .tlb_entries = 64,
	        .lazy_entries = 16,
	        .max_inflight = 64,
	};

	if (sluice_engine_open(NULL, &engine) ||
	    sluice_domain_create(engine, &cfg, &domain))
		return -1;
	for (uint32_t i = 0; i < LANES; i++) {
		struct worker *w = &workers[i];
		uint8_t *mem = mmap(NULL, (size_t)BUFS * MAX_PAGES * PAGE,
		                    PROT_READ | PROT_WRITE,
		                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (mem == MAP_FAILED)
			return -1;
		w->id = i;
		w->ops = ops / LANES;
		w->rng = seed * 0x9e3779b97f4a7c15u + i + 1;
		for (uint32_t b = 0; b < BUFS; b++)
			w->buf[b].mem = mem + (size_t)b * MAX_PAGES * PAGE;
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t ops = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000000;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	const char *env = getenv("SLUICE_STRESS_OPS");
	uint64_t maps = 0, hits = 0, faults = 0;
	struct sluice_domain_stats st;

	if (env)
		ops = strtoull(env, NULL, 0);
	stress_begin();
	lazy = argc > 1 && strcmp(argv[1], "lazy") == 0;
	if (set_up(ops, seed)) {
		fprintf(stderr, "stress: set-up: %s\n", sluice_last_error());
		return 1;
	}
	for (uint32_t i = 0; i < LANES; i++)
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	for (uint32_t i = 0; i < LANES; i++) {
		pthread_join(workers[i].thread, NULL);
		maps += workers[i].nr_maps;
		hits += workers[i].nr_hits;
		faults += workers[i].nr_faults;
	}
	sluice_domain_get_stats(domain, &st);
	if (ld_rlx(&verdict) == 0)
		tear_down();
	printf("stress: %llu maps, %llu translations, %llu faults, %llu "
	       "records, %llu whole flushes, verdict %u\n",
	       (unsigned long long)maps, (unsigned long long)hits,
	       (unsigned long long)faults, (unsigned long long)st.invalidations,
	       (unsigned long long)st.view_flushes, ld_rlx(&verdict));
	if (ld_rlx(&verdict) == 0 && (maps == 0 || hits == 0 || faults == 0)) {
		fprintf(stderr, "stress: nothing was exercised\n");
		return 1;
	}
	return (int)ld_rlx(&verdict);
}
