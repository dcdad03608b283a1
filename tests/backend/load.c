/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes in four threads, a window of requests each, one helper, one fake
 * kernel; a control thread maps and attaches meanwhile. Every request is
 * answered once, with success, and at the end nothing is mapped.
 */
#include "tests/backend/rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/vfio.h>

#define LANES 4
#define WINDOW 96
#define SLOT 8 /* pages of each request's own IOVA range */

enum state { IDLE, MAPPING, MAPPED, UNMAPPING };

struct lane {
	pthread_t thread;
	struct backend *be;
	struct fabric_port *port;
	uint32_t nr; /* requests to make */
	uint32_t made, done;
	uint32_t seed;
	uint64_t first_page;
	enum state state[WINDOW];
	uint32_t free[WINDOW], nr_free;
	struct be_req req[WINDOW];
	struct be_seg seg[WINDOW][SLOT];
};

static struct rig rig;
static struct lane lane[LANES];
static au32 running;

static uint32_t next(struct lane *l)
{
	l->seed = l->seed * 1664525u + 1013904223u;
	return l->seed >> 16;
}

static void prepare(struct lane *l, uint32_t i)
{
	struct be_req *req = &l->req[i];
	uint64_t va = VA_BASE + (l->first_page + i * SLOT) * 2 * PAGE;

	if (l->state[i] == MAPPED) {
		req->op = BE_UNMAP;
		l->state[i] = UNMAPPING;
		return;
	}
	*req = (struct be_req){
	        .op = BE_MAP,
	        .prot = SLUICE_RW,
	        .iova = rig_iova(l->first_page + i * SLOT),
	        .seg = l->seg[i],
	        .port = l->port,
	        .id = i,
	};
	/* Whole slots make neighbours that unmaps can merge. */
	req->nr_seg = next(l) % 4 ? 1 : 2;
	req->len = next(l) % 2 ? SLOT * PAGE : PAGE * req->nr_seg;
	l->seg[i][0] = (struct be_seg){va, req->len / req->nr_seg};
	l->seg[i][1] =
	        (struct be_seg){va + SLOT * PAGE, req->len / req->nr_seg};
	l->state[i] = MAPPING;
}

static void complete(struct lane *l, const struct fabric_cqe *cqe)
{
	uint32_t i = (uint32_t)cqe->id;
	enum state s = i < WINDOW ? l->state[i] : IDLE;

	if (cqe->res || (s != MAPPING && s != UNMAPPING)) {
		fprintf(stderr, "id %u state %d: %d\n", i, (int)s, cqe->res);
		abort();
	}
	l->state[i] = s == MAPPING ? MAPPED : IDLE;
	l->free[l->nr_free++] = i;
	l->done++;
}

static void reap(struct lane *l)
{
	struct fabric_cqe cqe[32];
	uint32_t n = fabric_reap(l->port, cqe, 32);

	for (uint32_t i = 0; i < n; i++)
		complete(l, &cqe[i]);
	if (n == 0)
		sched_yield();
}

/* Up to n requests in one call. */
static void submit(struct lane *l, uint32_t n)
{
	struct be_req *req[WINDOW];
	uint32_t done = 0;

	if (n > l->nr_free)
		n = l->nr_free;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = next(l) % l->nr_free, id = l->free[at];

		l->free[at] = l->free[--l->nr_free];
		prepare(l, id);
		req[i] = &l->req[id];
	}
	while (done < n) {
		uint32_t k = l->be->ops->submit(l->be, req + done, n - done);

		done += k;
		if (k == 0)
			reap(l);
	}
	l->made += n;
}

static void *run(void *arg)
{
	struct lane *l = arg;

	for (uint32_t i = 0; i < WINDOW; i++)
		l->free[l->nr_free++] = i;
	while (l->made < l->nr) {
		submit(l, 1 + next(l) % 16);
		reap(l);
		/* At times the helper falls asleep. */
		if (next(l) % 512 == 0) {
			while (l->done < l->made)
				reap(l);
			for (int i = 0; i < 50; i++)
				sched_yield();
		}
	}
	while (l->done < l->made)
		reap(l);
	for (uint32_t i = 0; i < WINDOW; i++)
		if (l->state[i] == MAPPED) {
			struct be_req *req = &l->req[i];

			prepare(l, i);
			l->nr_free--;
			while (l->be->ops->submit(l->be, &req, 1) == 0)
				reap(l);
			l->made++;
		}
	while (l->done < l->made)
		reap(l);
	faa_acqrel(&running, (uint32_t)-1);
	return NULL;
}

/* Control calls are let through while lanes keep the helper busy. */
static uint32_t control(void)
{
	uint64_t iova = rig_iova(0x400000);
	uint32_t rounds = 0;

	do {
		assert_int_equal(rig.be->ops->map_now(rig.be, iova, VA_BASE,
		                                      bit64(21), SLUICE_RW),
		                 0);
		assert_int_equal(rig.be->ops->attach(rig.be, &rig.group[1]), 0);
		assert_int_equal(
		        rig.be->ops->detach(rig.be, &rig.group[1], false), 0);
		assert_int_equal(
		        rig.be->ops->unmap_now(rig.be, iova, bit64(21)), 0);
		rounds++;
		sched_yield();
	} while (ld_acq(&running));
	return rounds;
}

static uint32_t per_lane = 25000;

static void load(enum fabric_kind kind)
{
	struct be_counters c;
	uint64_t t0, requests = 0;
	uint32_t rounds;

	rig_init(&rig, NULL, true);
	memset(lane, 0, sizeof(lane));
	st_rlx(&running, LANES);
	t0 = clock_ns();
	for (uint32_t i = 0; i < LANES; i++) {
		lane[i].be = rig.be;
		lane[i].nr = per_lane;
		lane[i].seed = i + 1;
		lane[i].first_page = (uint64_t)i * WINDOW * SLOT;
		assert_int_equal(
		        fabric_port_create(WINDOW, kind, &lane[i].port), 0);
		/* Half of them might sleep, and are woken. */
		if (i % 2)
			(void)fabric_port_fd(lane[i].port);
		assert_int_equal(
		        pthread_create(&lane[i].thread, NULL, run, &lane[i]),
		        0);
	}
	rounds = control();
	for (uint32_t i = 0; i < LANES; i++) {
		pthread_join(lane[i].thread, NULL);
		requests += lane[i].made;
		assert_int_equal(lane[i].done, lane[i].made);
		fabric_port_destroy(lane[i].port);
	}
	t0 = clock_ns() - t0;
	assert_int_equal(rig_nr(), 0);
	assert_int_equal(rig.be->ops->mappings_left(rig.be), 65535);
	rig.be->ops->counters(rig.be, &c);
	assert_int_equal(c.kernel_errors, 0);
	assert_true(c.kernel_unmaps <= requests / 2 + rounds);
	printf("kind %d: %llu requests, %llu maps, %llu unmaps, %u control "
	       "rounds, %llu ns a request\n",
	       (int)kind, (unsigned long long)requests,
	       (unsigned long long)c.kernel_maps,
	       (unsigned long long)c.kernel_unmaps, rounds,
	       (unsigned long long)(t0 / requests));
	rig_fini(&rig);
}

static void test_load(void **state)
{
	(void)state;
	load(FABRIC_MSG_RING);
	load(FABRIC_EVENTFD);
	load(FABRIC_PLAIN);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_load)};

	if (argc > 1)
		per_lane = (uint32_t)strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
