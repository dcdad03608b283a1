/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several groups in one domain on a real kernel, by the public calls only: NVMe
 * controllers, each in a group of its own, identify themselves by DMA into
 * pages that were mapped once; groups come and go while a thread maps and
 * unmaps. What a controller writes holds its serial number, so it is known who
 * wrote. For tests/vm/share.sh.
 *
 *   vm_share reach BDF…            1, 2, 4, 8 of them at a time
 *   vm_share churn ROUNDS BDF…     the first stays, the others come and go
 */
#include "tests/vm/device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/atomics.h"

#define MAX 8
#define WAIT_NS UINT64_C(20000000000)
#define SERIAL 4 /* NVMe base 1.4, figure 247: 20 bytes, padded with blanks */
#define DMA_EVERY 16  /* of the mapper's buffers */
#define OPEN_EVERY 10 /* of the groups that come: a device is opened */

/* What the controllers share. */
struct share {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_arena *arena;
	struct sluice_lane *lane;
	struct sluice_view *view;
	char *page;
	sluice_iova_t iova; /* of page */
};

void expect(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "vm_share: %s (the last error was: %s)\n", what,
	        sluice_last_error());
	exit(1);
}

static struct sluice_domain_stats stats_of(const struct share *s)
{
	struct sluice_domain_stats st;

	sluice_domain_get_stats(s->domain, &st);
	return st;
}

/* ---- controllers ---- */

static void join(struct share *s, struct rig *r, const char *bdf)
{
	if (!r->group)
		expect(!sluice_group_open(bdf, NULL, &r->group), "group");
	expect(!sluice_domain_attach(s->domain, r->group), "attach");
}

static void leave(struct share *s, struct rig *r)
{
	expect(!sluice_domain_detach(s->domain, r->group), "detach");
}

static void start(struct share *s, struct rig *r)
{
	struct sluice_device_cfg cfg = {.cookie = COOKIE_DEVICE,
	                                .lane = s->lane};

	if (!r->queues.va)
		expect(!sluice_arena_alloc(s->arena, 2 * PAGE, PAGE,
		                           &r->queues),
		       "arena's memory");
	expect(!sluice_device_open(s->domain, r->group, NULL, &cfg, &r->dev),
	       "device");
	expect(!sluice_device_bus_master(r->dev, 1), "bus master");
	nvme_start(r);
}

static void stop(struct rig *r)
{
	expect(!sluice_device_bus_master(r->dev, 0), "bus master off");
	expect(!sluice_device_close(r->dev), "device close");
	r->dev = NULL;
	r->regs = NULL;
}

/* The controller writes into the page, and it is this one. */
static void reaches(struct rig *r, int nr, char *page, sluice_iova_t iova)
{
	char name[24];

	memset(page, 0xa5, PAGE);
	nvme_identify(r, iova);
	snprintf(name, sizeof(name), "sluice%d ", nr);
	expect(!memcmp(page + SERIAL, name, strlen(name)),
	       "the page does not hold what this controller writes");
}

/* ---- a buffer ---- */

static void await(struct sluice_lane *lane, int promised)
{
	struct sluice_completion c = {0};

	expect(promised >= 0, "map or unmap");
	while (promised) {
		promised -= (int)sluice_poll(lane, &c, 1);
		expect(c.result == 0, sluice_completion_text(&c));
	}
}

static sluice_iova_t map_page(struct sluice_lane *lane,
                              struct sluice_view *view, char *page)
{
	struct sluice_map_req req = {
	        .va = (uintptr_t)page, .len = PAGE, .prot = SLUICE_RW};
	sluice_iova_t iova;

	await(lane, sluice_map(view, &req, &iova));
	return iova;
}

static void unmap_page(struct sluice_lane *lane, struct sluice_view *view,
                       sluice_iova_t iova)
{
	await(lane, sluice_unmap(view, iova, PAGE, 0, NULL));
}

/* ---- up and down ---- */

static void begin(struct share *s, struct rig *r, char **bdf, int nr)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	};
	const struct sluice_arena_cfg arena = {.size = 2 * MAX * PAGE};

	expect(!sluice_engine_open(NULL, &s->engine), "engine");
	expect(!sluice_domain_create(s->engine, &cfg, &s->domain), "domain");
	for (int i = 0; i < nr; i++)
		join(s, &r[i], bdf[i]);
	expect(!sluice_lane_open(s->engine, NULL, &s->lane), "lane");
	expect(!sluice_view_open(s->lane, s->domain, &s->view), "view");
	expect(!sluice_arena_create(s->domain, &arena, &s->arena), "arena");
	s->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(s->page != MAP_FAILED, "memory");
}

static void end(struct share *s, struct rig *r, int nr)
{
	sluice_arena_destroy(s->arena);
	expect(!sluice_drain(s->lane, WAIT_NS), "drain");
	expect(!sluice_view_close(s->view), "view close");
	expect(!sluice_lane_close(s->lane), "lane close");
	expect(!sluice_domain_destroy(s->domain), "domain destroy");
	for (int i = 0; i < nr; i++)
		expect(!sluice_group_close(r[i].group), "group close");
	expect(!sluice_engine_close(s->engine), "engine close");
	munmap(s->page, PAGE);
}

/* ---- reach: one map for all ---- */

static void reach(char **bdf, int nr)
{
	struct rig r[MAX] = {{0}};
	struct share s = {0};
	struct sluice_domain_stats before, after;

	begin(&s, r, bdf, nr);
	for (int i = 0; i < nr; i++)
		start(&s, &r[i]);
	before = stats_of(&s);
	s.iova = map_page(s.lane, s.view, s.page);
	for (int i = 0; i < nr; i++)
		reaches(&r[i], i, s.page, s.iova);
	for (int i = 0; i < nr; i++)
		stop(&r[i]);
	unmap_page(s.lane, s.view, s.iova);
	after = stats_of(&s);
	printf("groups %d: %llu MAP, %llu UNMAP, %d controllers wrote\n", nr,
	       (unsigned long long)(after.kernel_maps - before.kernel_maps),
	       (unsigned long long)(after.kernel_unmaps - before.kernel_unmaps),
	       nr);
	end(&s, r, nr);
}

/* ---- churn: groups come and go while another thread maps ---- */

struct mapper {
	struct share *s;
	struct rig *first; /* its controller stays */
	pthread_t thread;
	au32 stop;
	uint64_t maps;
};

static void *mapper(void *ctx)
{
	struct mapper *m = ctx;
	struct share *s = m->s;
	struct sluice_lane *lane;
	struct sluice_view *view;
	sluice_oa_t oa;
	char *page = mmap(NULL, DMA_EVERY * PAGE, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	expect(page != MAP_FAILED, "memory");
	expect(!sluice_lane_open(s->engine, NULL, &lane), "lane");
	expect(!sluice_view_open(lane, s->domain, &view), "view");
	while (!ld_rlx(&m->stop)) {
		char *at = page + m->maps % DMA_EVERY * PAGE;
		sluice_iova_t iova = map_page(lane, view, at);

		expect(sluice_translate(view, iova, PAGE, SLUICE_RW, &oa) ==
		                       PAGE &&
		               oa == (uintptr_t)at,
		       "a translation is wrong");
		if (m->maps % DMA_EVERY == 0)
			reaches(m->first, 0, at, iova);
		unmap_page(lane, view, iova);
		expect(sluice_translate(view, iova, PAGE, SLUICE_RW, &oa) < 0,
		       "a translation outlives its unmap");
		m->maps++;
	}
	expect(!sluice_drain(lane, WAIT_NS), "drain");
	expect(!sluice_view_close(view), "view close");
	expect(!sluice_lane_close(lane), "lane close");
	munmap(page, DMA_EVERY * PAGE);
	return NULL;
}

static void churn(char **bdf, int nr, int rounds)
{
	struct rig r[MAX] = {{0}};
	struct share s = {0};
	struct mapper m = {.s = &s, .first = &r[0]};
	struct sluice_domain_stats before, st;
	struct sluice_domain_info info;
	int opened = 0;

	begin(&s, r, bdf, 1);
	start(&s, &r[0]);
	s.iova = map_page(s.lane, s.view, s.page);
	before = stats_of(&s);
	expect(!pthread_create(&m.thread, NULL, mapper, &m), "thread");
	for (int i = 0; i < rounds; i++) {
		int who = 1 + i % (nr - 1);

		join(&s, &r[who], bdf[who]);
		/* What was mapped before it came. */
		if (i % OPEN_EVERY == 0) {
			start(&s, &r[who]);
			reaches(&r[who], who, s.page, s.iova);
			stop(&r[who]);
			opened++;
		}
		leave(&s, &r[who]);
	}
	st_rlx(&m.stop, 1);
	expect(!pthread_join(m.thread, NULL), "thread");
	reaches(&r[0], 0, s.page, s.iova);
	stop(&r[0]);
	st = stats_of(&s);
	sluice_domain_get_info(s.domain, &info);
	/* Arena memory may have been mapped between: by control calls. */
	expect(st.maps - before.maps == m.maps && st.unmaps == m.maps,
	       "maps and unmaps are not what was asked for");
	expect(st.kernel_maps - before.kernel_maps == m.maps,
	       "a buffer is not one MAP call");
	expect(!st.kernel_errors && info.nr_groups == 1, "an error");
	printf("churn: ok, %d groups came and went, %d wrote, %llu maps and "
	       "%llu MAP\n",
	       rounds, opened, (unsigned long long)m.maps,
	       (unsigned long long)(st.kernel_maps - before.kernel_maps));
	unmap_page(s.lane, s.view, s.iova);
	end(&s, r, nr);
}

int main(int argc, char **argv)
{
	if (argc > 2 && argc - 2 <= MAX && !strcmp(argv[1], "reach")) {
		for (int n = 1; n <= argc - 2; n *= 2)
			reach(argv + 2, n);
		return 0;
	}
	if (argc > 4 && argc - 3 <= MAX && !strcmp(argv[1], "churn")) {
		churn(argv + 3, argc - 3, atoi(argv[2]));
		return 0;
	}
	fprintf(stderr, "usage: vm_share reach BDF…\n"
	                "       vm_share churn ROUNDS BDF BDF…\n");
	return 2;
}
