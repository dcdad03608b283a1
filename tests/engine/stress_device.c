/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes map, unmap and translate on one domain while a second group comes and
 * goes, devices are opened, reset and closed, and interrupts are enabled by one
 * thread and taken down by another. At the end the fake kernel maps exactly
 * what the lanes believe, every interrupt that was counted on has been told,
 * and nothing is left open.
 *
 *   stress_device OPS SEED
 */
#include "tests/engine/drig.h"
#include "tests/engine/stress.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define LANES 3
#define SLOTS 64
#define SLOT_PAGES 8

struct worker {
	pthread_t thread;
	struct krig *k;
	struct sluice_lane *lane;
	struct sluice_view *view;
	uint32_t nr, seed;
	uint64_t ops, told;
	struct {
		sluice_iova_t iova;
		uint64_t len; /* 0: not mapped */
		bool busy;    /* a request is in flight */
	} slot[SLOTS];
};

static struct krig rig;
static struct worker worker[LANES];
static au32 running;
/* The first group's device: one call on it at a time. */
static struct sluice_device *shared;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static au32 attaches, takedowns; /* so far */
#define MEETINGS 50              /* of each, at least */

static uint64_t va_of(const struct worker *w, uint32_t slot)
{
	return VA + (w->nr * SLOTS + slot) * UINT64_C(16) * PAGE;
}

/* ---- lanes ---- */

static void reap(struct worker *w)
{
	struct sluice_completion c[16];
	uint32_t n = sluice_poll(w->lane, c, 16);

	for (uint32_t i = 0; i < n; i++) {
		if (c[i].op == SLUICE_OP_IRQ) {
			w->told += c[i].len;
			continue;
		}
		must(c[i].op == SLUICE_OP_MAP || c[i].op == SLUICE_OP_UNMAP,
		     "an unknown completion");
		must(c[i].result == 0 && c[i].cookie < SLOTS &&
		             w->slot[c[i].cookie].busy,
		     "a request failed");
		w->slot[c[i].cookie].busy = false;
		if (c[i].op == SLUICE_OP_UNMAP)
			w->slot[c[i].cookie].len = 0;
	}
}

static void use(struct worker *w, uint32_t i)
{
	uint64_t len = w->slot[i].len, at = next(&w->seed) % len;
	sluice_oa_t oa;

	must(sluice_translate(w->view, w->slot[i].iova + at, 1, RW, &oa) == 1 &&
	             oa == va_of(w, i) + at,
	     "a wrong translation");
}

static void step(struct worker *w)
{
	uint32_t i = next(&w->seed) % SLOTS;
	struct sluice_map_req req = {
	        .va = va_of(w, i),
	        .len = (1 + next(&w->seed) % SLOT_PAGES) * PAGE,
	        .prot = RW,
	        .cookie = i,
	};
	int rc;

	reap(w);
	if (w->slot[i].busy)
		return;
	if (w->slot[i].len && next(&w->seed) % 2) {
		use(w, i);
		return;
	}
	if (w->slot[i].len) {
		rc = sluice_unmap(w->view, w->slot[i].iova, w->slot[i].len, i,
		                  NULL);
		must(rc == 1 || rc == -EAGAIN, "unmap");
		w->slot[i].busy = rc == 1;
		return;
	}
	rc = sluice_map(w->view, &req, &w->slot[i].iova);
	must(rc == 1 || rc == -EAGAIN, "map");
	if (rc == 1) {
		w->slot[i].busy = true;
		w->slot[i].len = req.len;
	}
}

/* Told by its own thread, taken down by another. */
static void listen(struct worker *w)
{
	if (pthread_mutex_trylock(&shared_lock))
		return;
	if (!shared->irq[SLUICE_IRQ_MSIX].nr_on)
		must(sluice_device_irq_enable(shared, w->lane, SLUICE_IRQ_MSIX,
		                              0, 4, 0) == 0,
		     "irq enable");
	pthread_mutex_unlock(&shared_lock);
}

static void *lane_main(void *arg)
{
	struct worker *w = arg;

	sluice_lane_adopt(w->lane);
	for (uint64_t n = 0; n < w->ops || ld_rlx(&attaches) < MEETINGS ||
	                     ld_rlx(&takedowns) < MEETINGS;
	     n++) {
		step(w);
		if (next(&w->seed) % 256 == 0)
			listen(w);
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		while (w->slot[i].busy)
			reap(w);
	must(sluice_lane_offline(w->lane) == 0, "offline");
	faa_acqrel(&running, (uint32_t)-1);
	return NULL;
}

/* ---- control ---- */

/* The shared device: fires, is reset, its interrupts are taken down. */
static void *takedown_main(void *arg)
{
	uint32_t seed = 7;
	void *va;

	(void)arg;
	while (ld_acq(&running)) {
		(void)fake_vfio_fire(0, SLUICE_IRQ_MSIX, next(&seed) % 4);
		sched_yield();
		if (next(&seed) % 64)
			continue;
		pthread_mutex_lock(&shared_lock);
		must(sluice_device_reset(shared) == 0, "reset");
		must(sluice_device_map(shared, 0, 0, PAGE, &va) == 0, "map");
		must(sluice_device_unmap(shared, va) == 0, "unmap");
		if (shared->irq[SLUICE_IRQ_MSIX].nr_on) {
			must(sluice_device_irq_disable(shared,
			                               SLUICE_IRQ_MSIX) == 0,
			     "irq disable");
			faa_rlx(&takedowns, 1);
		}
		pthread_mutex_unlock(&shared_lock);
	}
	return NULL;
}

/* One life of the second group's device; each interrupt is told once. */
static void one_life(struct sluice_lane *lane, uint32_t *seed)
{
	struct sluice_device_cfg cfg = {.lane = lane, .cookie = 1};
	uint64_t fired = next(seed) % 20, told = 0;
	struct sluice_domain *domain = rig.r.domain;
	struct sluice_completion c;
	struct sluice_device *dev;

	must(sluice_domain_attach(domain, &rig.group[1]) == 0, "attach");
	must(sluice_device_open(domain, &rig.group[1], NULL, &cfg, &dev) == 0,
	     "open");
	must(sluice_device_bus_master(dev, 1) == 0, "bus master");
	must(sluice_device_irq_enable(dev, lane, SLUICE_IRQ_MSIX, 0, 8, 2) == 0,
	     "enable");
	must(sluice_domain_detach(domain, &rig.group[1]) == -EBUSY, "detach");
	for (uint64_t i = 0; i < fired; i++)
		must(fake_vfio_fire(1, SLUICE_IRQ_MSIX, next(seed) % 8),
		     "fire");
	while (told < fired)
		if (sluice_poll(lane, &c, 1)) {
			must(c.op == SLUICE_OP_IRQ && c.cookie == 2, "told");
			told += c.len;
		}
	must(told == fired, "told more than was fired");
	must(sluice_device_reset(dev) == 0, "reset");
	must(sluice_device_close(dev) == 0, "close");
	must(sluice_domain_detach(domain, &rig.group[1]) == 0, "detach");
	faa_rlx(&attaches, 1);
}

static void *control_main(void *arg)
{
	struct sluice_lane *lane;
	uint32_t seed = 11;

	(void)arg;
	must(sluice_lane_open(rig.r.engine, NULL, &lane) == 0, "lane");
	while (ld_acq(&running)) {
		one_life(lane, &seed);
		sched_yield();
	}
	must(sluice_lane_close(lane) == 0, "lane close");
	return NULL;
}

/* ---- before and after ---- */

static void start(uint64_t ops, uint32_t seed)
{
	for (uint32_t i = 0; i < LANES; i++) {
		struct worker *w = &worker[i];

		*w = (struct worker){.k = &rig, .nr = i, .ops = ops / LANES};
		w->seed = seed * 977 + i;
		must(sluice_lane_open(rig.r.engine, NULL, &w->lane) == 0 &&
		             sluice_view_open(w->lane, rig.r.domain,
		                              &w->view) == 0,
		     "lane");
	}
	st_rlx(&running, LANES);
	for (uint32_t i = 0; i < LANES; i++)
		must(pthread_create(&worker[i].thread, NULL, lane_main,
		                    &worker[i]) == 0,
		     "thread");
}

/* What the fake kernel maps is what the lanes believe, byte for byte. */
static void compare(void)
{
	uint64_t pages = 0, kernel = 0, va;
	uint32_t nr = fake_vfio_mappings(NULL, 0);
	struct fake_vfio_mapping *m = calloc(nr ? nr : 1, sizeof(*m));

	for (uint32_t w = 0; w < LANES; w++)
		for (uint32_t i = 0; i < SLOTS; i++)
			for (uint64_t at = 0; at < worker[w].slot[i].len;
			     at += PAGE, pages++)
				must(fake_vfio_reach(worker[w].slot[i].iova +
				                             at,
				                     &va, NULL) &&
				             va == va_of(&worker[w], i) + at,
				     "the kernel maps something else");
	must(m && fake_vfio_mappings(m, nr) == nr, "mappings");
	for (uint32_t i = 0; i < nr; i++)
		kernel += m[i].len / PAGE;
	must(kernel == pages, "the kernel maps more");
	free(m);
}

static void finish(struct worker *w)
{
	sluice_lane_adopt(w->lane);
	sluice_lane_online(w->lane);
	for (uint32_t i = 0; i < SLOTS; i++)
		if (w->slot[i].len)
			must(sluice_unmap(w->view, w->slot[i].iova,
			                  w->slot[i].len, 0, NULL) >= 0,
			     "unmap");
	must(sluice_drain(w->lane, PATIENCE) == 0, "drain");
	must(sluice_view_close(w->view) == 0, "view close");
	must(sluice_lane_close(w->lane) == 0, "lane close");
}

static void play(uint64_t ops, uint32_t seed, int no_io_uring)
{
	pthread_t takedown, control;
	uint64_t told = 0;

	krig_up(&rig, NULL, NULL, no_io_uring);
	must(sluice_device_open(rig.r.domain, &rig.group[0], NULL, NULL,
	                        &shared) == 0,
	     "open");
	st_rlx(&attaches, 0);
	st_rlx(&takedowns, 0);
	start(ops, seed);
	must(pthread_create(&takedown, NULL, takedown_main, NULL) == 0 &&
	             pthread_create(&control, NULL, control_main, NULL) == 0,
	     "thread");
	for (uint32_t i = 0; i < LANES; i++) {
		pthread_join(worker[i].thread, NULL);
		told += worker[i].told;
	}
	pthread_join(takedown, NULL);
	pthread_join(control, NULL);
	compare();
	must(sluice_device_close(shared) == 0, "close");
	for (uint32_t i = 0; i < LANES; i++)
		finish(&worker[i]);
	must(fake_vfio_mappings(NULL, 0) == 0, "mappings are left");
	must(fake_vfio_device_maps() == 0, "regions are left");
	printf("%s: %llu steps, %u attaches, %u takedowns, %llu interrupts "
	       "told, seed %u\n",
	       no_io_uring ? "plain" : "uring", (unsigned long long)ops,
	       ld_rlx(&attaches), ld_rlx(&takedowns), (unsigned long long)told,
	       seed);
	must(told, "no lane was told of an interrupt");
	krig_down(&rig);
}

int main(int argc, char **argv)
{
	uint64_t ops = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
	uint32_t seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;

	play(ops, seed, 0);
	play(ops, seed, 1);
	return 0;
}
