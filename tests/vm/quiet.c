/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes that work out of an arena on the type1 backend, for strace to look at:
 * each thread marks the beginning and the end of what is to be looked at by the
 * name it gives itself, and makes a few system calls between two other marks,
 * to show that the looker sees them. Knows the public API only; strace.sh
 * counts.
 *
 *   vm_quiet BDF STEPS CALLS
 *
 * The marks are steady, steady-end, control and control-end.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <sluice/sluice.h>

#define LANES 2
#define BUFS 64 /* arena slots that a lane holds at a time */
#define SLOT 2048u
#define POLL_EVERY 16

struct worker {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_arena *arena;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct sluice_buf buf[BUFS];
	pthread_t thread;
	unsigned long steps, calls;
	unsigned long gets, puts, polls;
};

static pthread_barrier_t together;

static void die(const char *what)
{
	printf("%s: %s\n", what, sluice_last_error());
	exit(1);
}

static void mark(const char *name)
{
	if (prctl(PR_SET_NAME, name, 0, 0, 0))
		die("prctl");
}

/* One buffer as a driver uses it: the address for the device, the data, what
 * the device would reach. */
static void take(struct worker *w, struct sluice_buf *b)
{
	sluice_iova_t iova;
	sluice_oa_t oa;

	if (sluice_arena_get(w->lane, w->arena, b))
		die("get");
	memset(b->va, (int)w->gets, SLOT);
	if (sluice_arena_iova(w->arena, b->va, &iova) || iova != b->iova)
		die("iova");
	if (sluice_translate(w->view, b->iova, SLOT, SLUICE_READ, &oa) != SLOT)
		die("translate");
	w->gets++;
}

static void poll_lane(struct worker *w)
{
	struct sluice_completion done[8];

	if (sluice_poll(w->lane, done, 8))
		die("a completion of nothing");
	w->polls++;
}

static void give(struct worker *w, struct sluice_buf *b)
{
	sluice_arena_put(w->lane, w->arena, b->va);
	b->va = NULL;
	w->puts++;
}

static void work(struct worker *w, unsigned long steps)
{
	unsigned rng = 1;

	for (unsigned long i = 0; i < steps; i++) {
		struct sluice_buf *b;

		rng = rng * 1103515245u + 12345u;
		b = &w->buf[rng / 65536 % BUFS];
		if (b->va)
			give(w, b);
		else
			take(w, b);
		if (i % POLL_EVERY == 0)
			poll_lane(w);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	if (sluice_lane_open(w->engine, NULL, &w->lane) ||
	    sluice_view_open(w->lane, w->domain, &w->view))
		die("lane");
	/* Memory is touched, caches are filled: then it is a steady state. */
	work(w, w->steps / 10 + 1000);
	pthread_barrier_wait(&together);
	mark("steady");
	work(w, w->steps);
	mark("steady-end");
	mark("control");
	for (unsigned long i = 0; i < w->calls; i++)
		if (getppid() < 0)
			die("getppid");
	mark("control-end");
	for (int i = 0; i < BUFS; i++)
		if (w->buf[i].va)
			give(w, &w->buf[i]);
	/* Nobody polls for a lane that waits to be joined. */
	if (sluice_view_close(w->view) || sluice_lane_close(w->lane))
		die("close");
	return NULL;
}

int main(int argc, char **argv)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1};
	const struct sluice_arena_cfg acfg = {.size = 1u << 20,
	                                      .slot_size = SLOT};
	static struct worker worker[LANES];
	struct worker *w = &worker[0];
	struct sluice_group *group;

	if (argc != 4)
		return 2;
	if (sluice_engine_open(NULL, &w->engine) ||
	    sluice_domain_create(w->engine, &cfg, &w->domain) ||
	    sluice_group_open(argv[1], NULL, &group) ||
	    sluice_domain_attach(w->domain, group) ||
	    sluice_arena_create(w->domain, &acfg, &w->arena))
		die("set-up");
	w->steps = strtoul(argv[2], NULL, 0);
	w->calls = strtoul(argv[3], NULL, 0);
	pthread_barrier_init(&together, NULL, LANES);
	for (int i = LANES - 1; i >= 0; i--) {
		worker[i] = worker[0];
		if (pthread_create(&worker[i].thread, NULL, worker_main,
		                   &worker[i]))
			die("thread");
	}
	for (int i = 0; i < LANES; i++) {
		pthread_join(worker[i].thread, NULL);
		printf("lane %d: %lu gets, %lu puts, %lu polls\n", i,
		       worker[i].gets, worker[i].puts, worker[i].polls);
	}
	sluice_arena_destroy(worker[0].arena);
	if (sluice_domain_detach(worker[0].domain, group) ||
	    sluice_group_close(group) ||
	    sluice_domain_destroy(worker[0].domain) ||
	    sluice_engine_close(worker[0].engine))
		die("close");
	return 0;
}
