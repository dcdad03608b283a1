/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets up and takes down what cases run on. Measures only the clock itself.
 */
#include "bench/rig.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_NS UINT64_C(2000000000)

void rig_check(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench: %s: %s: %s\n", what, sluice_errname(rc),
	        sluice_last_error());
	exit(1);
}

static int cpu_list(unsigned *cpus, unsigned room)
{
	cpu_set_t may;
	unsigned n = 0;

	if (sched_getaffinity(0, sizeof(may), &may))
		return 0;
	for (unsigned c = 0; c < CPU_SETSIZE && n < room; c++)
		if (CPU_ISSET(c, &may))
			cpus[n++] = c;
	return (int)n;
}

static unsigned all_cpus[64];
static unsigned nr_cpus;

unsigned rig_cpus(void)
{
	/* Once, before this thread is pinned. */
	if (!nr_cpus)
		nr_cpus = (unsigned)cpu_list(all_cpus, 64);
	return nr_cpus ? nr_cpus : 1;
}

void rig_pin(unsigned n)
{
	unsigned have = rig_cpus();
	cpu_set_t set;

	if (!nr_cpus)
		return;
	CPU_ZERO(&set);
	CPU_SET(all_cpus[n < have ? n : have - 1], &set);
	/* Best effort: without it the numbers are noisier, not wrong. */
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *poll_forever(void *arg)
{
	struct poller *p = arg;
	struct sluice_completion c[8];
	struct sluice_lane *lane = NULL;
	struct sluice_view *view = NULL;
	sluice_oa_t oa;
	int rc;

	rig_pin(p->cpu);
	rc = sluice_lane_open(p->rig->engine, NULL, &lane);
	if (rc >= 0)
		rc = sluice_view_open(lane, p->rig->domain, &view);
	/* Only who translates holds a ticket up. */
	if (rc >= 0)
		rc = sluice_translate(view, p->rig->polled, 1, SLUICE_READ,
		                      &oa) < 0;
	/* Pairs with the acquire in start_poller(): the view is there. */
	atomic_store_explicit(&p->ready, rc < 0 ? -1 : 1, memory_order_release);
	while (rc >= 0 &&
	       !atomic_load_explicit(&p->rig->stop, memory_order_relaxed)) {
		sluice_poll(lane, c, 8);
		(void)sluice_translate(view, p->rig->polled, 1, SLUICE_READ,
		                       &oa);
	}
	(void)sluice_view_close(view);
	(void)sluice_lane_close(lane);
	return NULL;
}

static int start_poller(struct rig *rig, unsigned i)
{
	struct poller *p = &rig->poller[i];
	int ready;

	p->rig = rig;
	p->cpu = i + 1;
	if (pthread_create(&p->thread, NULL, poll_forever, p))
		return -1;
	p->started = 1;
	/* Pairs with the release in poll_forever(). */
	while (!(ready = atomic_load_explicit(&p->ready, memory_order_acquire)))
		sched_yield();
	return ready < 0 ? -1 : 0;
}

int rig_open(struct rig *rig, unsigned pollers)
{
	return rig_open_for(rig, pollers, 0);
}

int rig_open_for(struct rig *rig, unsigned pollers, uint64_t pages)
{
	struct sluice_domain_cfg cfg = {0};
	struct sluice_map_req req = {
	        .va = POLLED_VA, .len = PAGE, .prot = SLUICE_READ};

	/* A slot for each lowest table, where the default has too few. */
	while (cfg.walk_entries < pages / 512 && pages / 512 > 8192)
		cfg.walk_entries = cfg.walk_entries ? 2 * cfg.walk_entries : 16;
	memset(rig, 0, sizeof(*rig));
	rig_check(sluice_engine_open(NULL, &rig->engine), "engine");
	rig_check(sluice_domain_create(rig->engine, &cfg, &rig->domain),
	          "domain");
	rig_check(sluice_lane_open(rig->engine, NULL, &rig->lane), "lane");
	rig_check(sluice_view_open(rig->lane, rig->domain, &rig->view), "view");
	rig->nr_pollers = pollers < MAX_POLLERS ? pollers : MAX_POLLERS;
	if (rig->nr_pollers)
		rig_check(sluice_map(rig->view, &req, &rig->polled), "map");
	for (unsigned i = 0; i < rig->nr_pollers; i++)
		if (start_poller(rig, i))
			return -1;
	return 0;
}

void rig_domain(struct rig *rig, const struct sluice_domain_cfg *cfg)
{
	rig_check(sluice_view_close(rig->view), "view");
	rig_check(sluice_domain_destroy(rig->domain), "domain");
	rig_check(sluice_domain_create(rig->engine, cfg, &rig->domain),
	          "domain");
	rig_check(sluice_view_open(rig->lane, rig->domain, &rig->view), "view");
}

void rig_wait(struct rig *rig, struct sluice_ticket t)
{
	struct sluice_completion c[64];

	while (!sluice_ticket_passed(rig->view, t))
		sluice_poll(rig->lane, c, 64);
}

void rig_settle(struct rig *rig)
{
	rig_check(sluice_drain(rig->lane, DRAIN_NS), "drain");
}

void rig_close(struct rig *rig)
{
	atomic_store_explicit(&rig->stop, 1, memory_order_relaxed);
	for (unsigned i = 0; i < rig->nr_pollers; i++)
		if (rig->poller[i].started)
			pthread_join(rig->poller[i].thread, NULL);
	rig_settle(rig);
	rig_check(sluice_view_close(rig->view), "view");
	rig_check(sluice_lane_close(rig->lane), "lane");
	rig_check(sluice_domain_destroy(rig->domain), "domain");
	rig_check(sluice_engine_close(rig->engine), "engine");
}

double clock_cost(void)
{
	static double cost = -1.0;
	uint64_t best = UINT64_MAX;

	if (cost >= 0.0)
		return cost;
	for (int i = 0; i < 200; i++) {
		uint64_t a = now_ns();

		for (int k = 0; k < 63; k++)
			(void)now_ns();
		a = now_ns() - a;
		best = a < best ? a : best;
	}
	cost = (double)best / 64.0;
	return cost;
}
