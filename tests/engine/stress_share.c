/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes map, unmap and translate on one domain while groups join and leave it.
 * One of them cannot use a page that a lane maps now and then: it is let in
 * when nothing is there, and refused by name, with nothing changed, when
 * something is. At the end the fake kernel maps exactly what the lanes believe.
 *
 *   stress_share OPS SEED
 */
#include "tests/engine/krig.h"
#include "tests/engine/stress.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define LANES 3
#define SLOTS 32
#define HOLE UINT64_C(0x40000000)
#define MEETINGS 50 /* of each outcome, at least */

static const struct fake_vfio_range wide[] = {{0, (UINT64_C(1) << 40) - 1}};
static const struct fake_vfio_range narrow[] = {
        {0, HOLE - 1}, {HOLE + PAGE, (UINT64_C(1) << 40) - 1}};
static const struct sluice_group_region firmware = {
        HOLE, HOLE + PAGE - 1, SLUICE_RESV_DIRECT, "direct"};

struct worker {
	pthread_t thread;
	struct sluice_lane *lane;
	struct sluice_view *view;
	uint32_t nr, seed;
	uint64_t ops, maps, unmaps;
	sluice_iova_t iova[SLOTS]; /* 0: not mapped */
};

static struct krig rig;
static struct worker worker[LANES];
static au32 running;
static au32 joined, refused;
/* Who looks at the hole, or changes what is there. */
static pthread_mutex_t hole_lock = PTHREAD_MUTEX_INITIALIZER;
static bool hole_mapped, hole_taken;

static uint64_t va_of(const struct worker *w, uint32_t slot)
{
	return VA + (w->nr * SLOTS + slot) * UINT64_C(2) * PAGE;
}

/* ---- lanes ---- */

static void await(struct worker *w, int promised)
{
	struct sluice_completion c;

	must(promised == 1, "map or unmap");
	while (!sluice_poll(w->lane, &c, 1))
		sched_yield();
	must(c.result == 0, "a request failed");
}

static void map_page(struct worker *w, uint64_t va, uint32_t flags,
                     sluice_iova_t *iova)
{
	struct sluice_map_req req = {
	        .va = va, .len = PAGE, .prot = RW, .flags = flags};

	await(w, sluice_map(w->view, &req, iova));
	w->maps++;
}

static void unmap_page(struct worker *w, sluice_iova_t iova)
{
	await(w, sluice_unmap(w->view, iova, PAGE, 0, NULL));
	w->unmaps++;
}

static void step(struct worker *w)
{
	uint32_t i = next(&w->seed) % SLOTS;
	sluice_oa_t oa;

	if (!w->iova[i]) {
		map_page(w, va_of(w, i), 0, &w->iova[i]);
		must(w->iova[i] < HOLE || w->iova[i] >= HOLE + PAGE,
		     "the allocator gave the hole away");
	}
	must(sluice_translate(w->view, w->iova[i] + 8, 8, RW, &oa) == 8 &&
	             oa == va_of(w, i) + 8,
	     "a wrong translation");
	if (next(&w->seed) % 4)
		return;
	unmap_page(w, w->iova[i]);
	w->iova[i] = 0;
}

/* Maps where the difficult group cannot be, as long as it is not there. */
static void use_hole(struct worker *w)
{
	sluice_iova_t iova = HOLE;

	pthread_mutex_lock(&hole_lock);
	if (hole_mapped)
		unmap_page(w, HOLE);
	else if (!hole_taken)
		map_page(w, va_of(w, 0) + PAGE, SLUICE_MAP_FIXED, &iova);
	hole_mapped = !hole_mapped && !hole_taken;
	pthread_mutex_unlock(&hole_lock);
}

static void *lane_main(void *arg)
{
	struct worker *w = arg;

	sluice_lane_adopt(w->lane);
	for (uint64_t n = 0; n < w->ops || ld_rlx(&joined) < MEETINGS ||
	                     ld_rlx(&refused) < MEETINGS;
	     n++) {
		step(w);
		if (w->nr == 0 && next(&w->seed) % 16 == 0)
			use_hole(w);
	}
	must(sluice_lane_offline(w->lane) == 0, "offline");
	faa_acqrel(&running, (uint32_t)-1);
	return NULL;
}

/* ---- control ---- */

static uint32_t nr_groups(void)
{
	struct sluice_domain_info info;

	sluice_domain_get_info(rig.r.domain, &info);
	return info.nr_groups;
}

/* The group that firmware ties to the hole. */
static void difficult(void)
{
	struct sluice_domain *domain = rig.r.domain;
	uint32_t before = fake_vfio_calls(VFIO_GROUP_SET_CONTAINER);
	int rc;

	pthread_mutex_lock(&hole_lock);
	/* The kernel takes the range away in the call that attaches. */
	if (!hole_mapped)
		fake_vfio_set_ranges(narrow, 2);
	rc = sluice_domain_attach(domain, &rig.group[1]);
	hole_taken = rc == 0;
	must(rc == (hole_mapped ? -EBUSY : 0), "attach");
	pthread_mutex_unlock(&hole_lock);
	if (rc) {
		must(strstr(sluice_last_error(), "0x40000000-0x40000fff") &&
		             nr_groups() == 1 && !rig.group[1].owner &&
		             fake_vfio_calls(VFIO_GROUP_SET_CONTAINER) ==
		                     before,
		     "a refusal changed something");
		faa_rlx(&refused, 1);
		return;
	}
	must(nr_groups() == 2, "the group is not there");
	sched_yield();
	must(sluice_domain_detach(domain, &rig.group[1]) == 0, "detach");
	pthread_mutex_lock(&hole_lock);
	fake_vfio_set_ranges(wide, 1);
	hole_taken = false;
	pthread_mutex_unlock(&hole_lock);
	faa_rlx(&joined, 1);
}

static void *control_main(void *arg)
{
	(void)arg;
	while (ld_acq(&running)) {
		difficult();
		sched_yield();
	}
	return NULL;
}

/* ---- before and after ---- */

static void start(struct worker *w, uint32_t nr, uint64_t ops, uint32_t seed)
{
	*w = (struct worker){.nr = nr, .ops = ops / LANES};
	w->seed = seed * 977 + nr;
	must(sluice_lane_open(rig.r.engine, NULL, &w->lane) == 0 &&
	             sluice_view_open(w->lane, rig.r.domain, &w->view) == 0,
	     "lane");
}

/* What the fake kernel maps is what the lanes believe. */
static void compare(void)
{
	uint32_t nr = hole_mapped;
	uint64_t va;

	for (uint32_t k = 0; k < LANES; k++)
		for (uint32_t i = 0; i < SLOTS; i++) {
			struct worker *w = &worker[k];

			if (!w->iova[i])
				continue;
			nr++;
			must(fake_vfio_reach(w->iova[i], &va, NULL) &&
			             va == va_of(w, i),
			     "the kernel maps something else");
		}
	must(fake_vfio_mappings(NULL, 0) == nr, "the kernel maps more or less");
}

static void finish(struct worker *w)
{
	sluice_lane_adopt(w->lane);
	sluice_lane_online(w->lane);
	for (uint32_t i = 0; i < SLOTS; i++)
		if (w->iova[i])
			unmap_page(w, w->iova[i]);
	if (w->nr == 0 && hole_mapped)
		unmap_page(w, HOLE);
	must(sluice_drain(w->lane, PATIENCE) == 0, "drain");
	must(sluice_view_close(w->view) == 0, "view close");
	must(sluice_lane_close(w->lane) == 0, "lane close");
}

static void play(uint64_t ops, uint32_t seed, int no_io_uring)
{
	const struct sluice_domain_cfg cfg = {.flags = SLUICE_DOMAIN_NO_REVIVE};
	struct fake_vfio_cfg vfio = {.nr_groups = 2};
	uint64_t maps = 0, unmaps = 0;
	struct sluice_domain_stats st;
	pthread_t control;

	memcpy(vfio.range, wide, sizeof(wide));
	krig_up(&rig, &vfio, &cfg, no_io_uring);
	rig.group[1].regions = &firmware;
	rig.group[1].nr_regions = 1;
	must(sluice_domain_reserve(rig.r.domain, HOLE, PAGE) == 0, "reserve");
	hole_mapped = hole_taken = false;
	st_rlx(&joined, 0);
	st_rlx(&refused, 0);
	st_rlx(&running, LANES);
	for (uint32_t i = 0; i < LANES; i++)
		start(&worker[i], i, ops, seed);
	for (uint32_t i = 0; i < LANES; i++)
		must(!pthread_create(&worker[i].thread, NULL, lane_main,
		                     &worker[i]),
		     "thread");
	must(!pthread_create(&control, NULL, control_main, NULL), "thread");
	for (uint32_t i = 0; i < LANES; i++)
		pthread_join(worker[i].thread, NULL);
	pthread_join(control, NULL);
	compare();
	for (uint32_t i = 0; i < LANES; i++) {
		finish(&worker[i]);
		maps += worker[i].maps;
		unmaps += worker[i].unmaps;
	}
	sluice_domain_get_stats(rig.r.domain, &st);
	/* Each buffer one call, however many groups were there. */
	must(maps == unmaps && st.kernel_maps == maps && !st.kernel_errors,
	     "calls were lost or made twice");
	must(fake_vfio_mappings(NULL, 0) == 0, "mappings are left");
	printf("%s: %llu maps, a group joined %u times and was refused %u "
	       "times, seed %u\n",
	       no_io_uring ? "plain" : "uring", (unsigned long long)maps,
	       ld_rlx(&joined), ld_rlx(&refused), seed);
	krig_down(&rig);
}

int main(int argc, char **argv)
{
	uint64_t ops = argc > 1 ? strtoull(argv[1], NULL, 10) : 50000;
	uint32_t seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;

	play(ops, seed, 0);
	play(ops, seed, 1);
	return 0;
}
