/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TABLES 32
#define SPARE 4096 /* pages a table may hold beyond those of the case */
#define VA UINT64_C(0x7f0000001000)
#define WINDOW (UINT64_C(1) << 32)
#define CHURN_WINDOW (UINT64_C(1) << 36)
#define CHURN_PAGES 64
#define CHURN_NS 1000
#define TRIES 100000000u

static struct pages *table[MAX_TABLES];
static unsigned nr_tables;

void pages_map(struct pages *p, struct sluice_view *view, uint64_t *iova,
               uint64_t serial)
{
	/* Every second page, and no address comes back soon. */
	uint64_t oa = VA + (serial & 0xffffffff) * 2 * PAGE;
	struct sluice_map_req req = {.va = oa, .len = PAGE, .prot = SLUICE_RW};
	int rc;

	if (p->cfg.way) {
		rc = p->cfg.way->map(p->w, *iova, oa, PAGE, SLUICE_RW);
	} else {
		rc = sluice_map(view, &req, iova);
		for (unsigned i = 0; rc == -EAGAIN && i < TRIES; i++) {
			sluice_poll(p->rig.lane, NULL, 0);
			rc = sluice_map(view, &req, iova);
		}
	}
	rig_check(rc, "map of a page");
}

void pages_unmap(struct pages *p, struct sluice_view *view, uint64_t iova)
{
	struct sluice_ticket t = {0};
	int rc;

	if (p->cfg.way)
		rc = p->cfg.way->unmap(p->w, iova, PAGE);
	else
		rc = sluice_unmap(view, iova, PAGE, 0, &t);
	rig_check(rc, "unmap of a page");
}

static void shuffle(struct pages *p)
{
	uint64_t seed = 0x2545f4914f6cdd1d;

	for (uint64_t i = p->cfg.nr - 1; i > 0; i--) {
		uint64_t k, was = p->iova[i];

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		k = (seed >> 11) % (i + 1);
		p->iova[i] = p->iova[k];
		p->iova[k] = was;
	}
}

static struct pages *new_table(const struct pages_cfg *cfg)
{
	struct pages *p = malloc(sizeof(*p) + cfg->nr * sizeof(p->iova[0]));

	rig_check(p && nr_tables < MAX_TABLES ? 0 : -ENOMEM, "memory");
	memset(p, 0, sizeof(*p));
	p->cfg = *cfg;
	if (cfg->way) {
		p->w = cfg->way->open(cfg->nr + SPARE);
		if (!p->w) {
			free(p);
			return NULL;
		}
		cfg->way->thread_enter(p->w);
	} else {
		rig_check(rig_open_for(&p->rig, 0, cfg->nr), "rig");
	}
	for (uint64_t i = 0; i < cfg->nr; i++) {
		p->iova[i] = WINDOW + i * PAGE;
		pages_map(p, p->rig.view, &p->iova[i], p->serial++);
	}
	shuffle(p);
	table[nr_tables++] = p;
	return p;
}

struct pages *pages_get(const struct pages_cfg *cfg)
{
	for (unsigned i = 0; i < nr_tables; i++) {
		struct pages *p = table[i];

		if (p->cfg.way != cfg->way || p->cfg.nr != cfg->nr)
			continue;
		if (cfg->way)
			cfg->way->thread_enter(p->w);
		else
			sluice_lane_online(p->rig.lane);
		return p;
	}
	return new_table(cfg);
}

void pages_put(struct pages *p)
{
	if (p->cfg.way)
		p->cfg.way->thread_leave(p->w);
	else
		sluice_lane_offline(p->rig.lane);
}

static void churn_way(struct pages *p)
{
	uint64_t next = now_ns();

	p->cfg.way->thread_enter(p->w);
	for (uint64_t i = 0;
	     atomic_load_explicit(&p->churn, memory_order_relaxed) > 0; i++) {
		uint64_t iova = CHURN_WINDOW + i % CHURN_PAGES * PAGE;

		pages_map(p, NULL, &iova, i);
		pages_unmap(p, NULL, iova);
		for (next += CHURN_NS; now_ns() < next;)
			;
		/* Preempted for long: no burst to make up for it. */
		next = now_ns() > next + 16 * CHURN_NS ? now_ns() : next;
	}
	p->cfg.way->thread_leave(p->w);
}

/* Neither waits for a reader that does not poll: it skips its turn. */
static void churn_ours(struct pages *p)
{
	struct sluice_lane *lane = NULL;
	struct sluice_view *view = NULL;
	uint64_t next = now_ns();

	rig_check(sluice_lane_open(p->rig.engine, NULL, &lane), "lane");
	rig_check(sluice_view_open(lane, p->rig.domain, &view), "view");
	for (uint64_t i = 0;
	     atomic_load_explicit(&p->churn, memory_order_relaxed) > 0; i++) {
		struct sluice_map_req req = {.va = VA + i * 2 * PAGE,
		                             .len = PAGE,
		                             .prot = SLUICE_RW};
		struct sluice_ticket t = {0};
		sluice_iova_t iova = 0;
		int rc = sluice_map(view, &req, &iova);

		if (rc >= 0) {
			while ((rc = sluice_unmap(view, iova, PAGE, 0, &t)) ==
			       -EAGAIN)
				sluice_poll(lane, NULL, 0);
		}
		if (rc != -EAGAIN)
			rig_check(rc, "unmaps beside");
		sluice_poll(lane, NULL, 0);
		for (next += CHURN_NS; now_ns() < next;)
			;
		next = now_ns() > next + 16 * CHURN_NS ? now_ns() : next;
	}
	rig_check(sluice_drain(lane, UINT64_C(10000000000)), "drain beside");
	rig_check(sluice_view_close(view), "view");
	rig_check(sluice_lane_close(lane), "lane");
}

static void *churn(void *arg)
{
	struct pages *p = arg;

	rig_pin(1);
	if (p->cfg.way)
		churn_way(p);
	else
		churn_ours(p);
	/* The thread is joined after this; the word only ends the polls. */
	atomic_store_explicit(&p->churn, -1, memory_order_relaxed);
	return NULL;
}

int pages_churn(struct pages *p)
{
	if (rig_cpus() < 2)
		return -1;
	atomic_store_explicit(&p->churn, 1, memory_order_relaxed);
	rig_check(pthread_create(&p->churner, NULL, churn, p) ? -1 : 0,
	          "thread");
	return 0;
}

void pages_calm(struct pages *p)
{
	atomic_store_explicit(&p->churn, 0, memory_order_relaxed);
	/* Its last tickets wait for this lane. */
	while (!p->cfg.way &&
	       atomic_load_explicit(&p->churn, memory_order_relaxed) == 0)
		sluice_poll(p->rig.lane, NULL, 0);
	pthread_join(p->churner, NULL);
}
