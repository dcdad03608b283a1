/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a large map of memory that nobody has touched costs a lane that maps
 * single pages beside it: with and without faulting in before the container is
 * locked. Turns alternate; prints microseconds of the small maps, and
 * milliseconds of the large ones.
 *
 *   prefault BDF MEBIBYTES TURNS
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <sluice/sluice.h>
#include "util/util.h"

#define PAGE 4096u
#define MAX_SAMPLES 2000000u
#define WAYS 2

struct way {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	double *us;
	size_t nr, nr_large;
	double large_ms;
};

static struct way way[WAYS];
static au32 stop;
static char *page;

static void die(const char *what)
{
	printf("%s: %s\n", what, sluice_last_error());
	exit(1);
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void open_lane(struct way *w, struct sluice_lane **lane,
                      struct sluice_view **view)
{
	if (sluice_lane_open(w->engine, NULL, lane) ||
	    sluice_view_open(*lane, w->domain, view))
		die("lane");
}

static void close_lane(struct sluice_lane *lane, struct sluice_view *view)
{
	if (sluice_drain(lane, 5000000000) || sluice_view_close(view) ||
	    sluice_lane_close(lane))
		die("close");
}

static void wait_one(struct sluice_lane *lane, useconds_t sleep)
{
	struct sluice_completion c;

	while (!sluice_poll(lane, &c, 1))
		if (sleep)
			usleep(sleep);
	if (c.result) {
		printf("completion: %s\n", sluice_completion_text(&c));
		exit(1);
	}
}

/* Maps and unmaps; returns how long the map took. */
static double pair(struct sluice_lane *lane, struct sluice_view *view,
                   void *mem, uint64_t len, useconds_t sleep)
{
	struct sluice_map_req req = {
	        .va = (uintptr_t)mem, .len = len, .prot = SLUICE_RW};
	double start = now_us(), us;
	sluice_iova_t iova;

	if (sluice_map(view, &req, &iova) != 1)
		die("map");
	wait_one(lane, sleep);
	us = now_us() - start;
	if (sluice_unmap(view, iova, len, 0, NULL) != 1)
		die("unmap");
	wait_one(lane, sleep);
	return us;
}

static void *small(void *arg)
{
	struct way *w = arg;
	struct sluice_lane *lane;
	struct sluice_view *view;

	open_lane(w, &lane, &view);
	while (!ld_rlx(&stop) && w->nr < MAX_SAMPLES)
		w->us[w->nr++] = pair(lane, view, page, PAGE, 0);
	close_lane(lane, view);
	return NULL;
}

static void turn(struct way *w, uint64_t len)
{
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sluice_lane *lane;
	struct sluice_view *view;
	pthread_t beside;

	if (mem == MAP_FAILED)
		die("mmap");
	madvise(mem, len, MADV_NOHUGEPAGE);
	open_lane(w, &lane, &view);
	st_rlx(&stop, 0);
	if (pthread_create(&beside, NULL, small, w))
		die("thread");
	usleep(20000);
	w->large_ms += pair(lane, view, mem, len, 1000) / 1e3;
	w->nr_large++;
	st_rlx(&stop, 1);
	pthread_join(beside, NULL);
	close_lane(lane, view);
	munmap(mem, len);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *name, struct way *w)
{
	qsort(w->us, w->nr, sizeof(*w->us), by_value);
	printf("%-8s %6zu small maps: p50 %.0f p99 %.0f p99.9 %.0f max %.0f "
	       "us; large: %.1f ms\n",
	       name, w->nr, w->us[w->nr / 2], w->us[w->nr * 99 / 100],
	       w->us[w->nr * 999 / 1000], w->us[w->nr - 1],
	       w->large_ms / (double)w->nr_large);
}

/* One container for each way; the group moves between them. */
static void attached_turn(struct way *w, struct sluice_group *group,
                          uint64_t len)
{
	if (sluice_domain_attach(w->domain, group))
		die("attach");
	turn(w, len);
	if (sluice_domain_detach(w->domain, group))
		die("detach");
}

int main(int argc, char **argv)
{
	static const char *const name[WAYS] = {"without", "with"};
	struct sluice_group *group;
	uint64_t len;

	if (argc != 4)
		return 2;
	len = strtoull(argv[2], NULL, 0) << 20;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (sluice_group_open(argv[1], NULL, &group))
		die("group");
	for (int i = 0; i < WAYS; i++) {
		struct sluice_domain_cfg cfg = {
		        .backend = SLUICE_BACKEND_VFIO_TYPE1,
		        .prefault_bytes = i ? 1 << 20 : UINT64_MAX,
		};

		way[i].us = calloc(MAX_SAMPLES, sizeof(double));
		if (sluice_engine_open(NULL, &way[i].engine) ||
		    sluice_domain_create(way[i].engine, &cfg, &way[i].domain))
			die("domain");
	}
	for (int t = 0; t < atoi(argv[3]); t++)
		for (int i = 0; i < WAYS; i++)
			attached_turn(&way[i], group, len);
	for (int i = 0; i < WAYS; i++)
		report(name[i], &way[i]);
	return 0;
}
