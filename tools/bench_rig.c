/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `sluice bench` measures on: engine, domain, memory, threads. Slices of
 * ours and of the naive way alternate, all threads in step, so that both see
 * the same machine.
 */
#include "tools/bench.h"

#include "yardstick/yardstick.h"
#include "tools/ticks.h"
#include "tools/tool.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int refused(const char *what, int rc)
{
	return tool_failed(BENCH_CMD, "%s: %s: %s", what, sluice_errname(rc),
	                   sluice_last_error());
}

static uint64_t arena_slots(const struct bench_opts *o)
{
	/* Slots parked at other lanes count as out: leave room for that. */
	return (uint64_t)o->threads * (4 * (uint64_t)o->depth + 1024);
}

static int open_arena(struct bench_rig *rig)
{
	const struct bench_opts *o = rig->opts;
	uint64_t slot = (uint64_t)o->granule * SLUICE_PAGE_SIZE;
	struct sluice_arena_cfg cfg = {.size = arena_slots(o) * slot,
	                               .slot_size = slot,
	                               .prot = rig->prot};
	int rc = sluice_arena_create(rig->domain, &cfg, &rig->arena);

	if (rc < 0)
		return refused("the arena", rc);
	rig->naive_slots =
	        naive_slots_new((void *)UINT64_C(4096), UINT64_C(1) << 30, slot,
	                        o->threads * o->depth);
	return rig->naive_slots ? 0 : tool_failed(BENCH_CMD, "no memory");
}

static int open_domain(struct bench_rig *rig)
{
	const struct bench_opts *o = rig->opts;
	struct sluice_domain_cfg cfg = {
	        .backend = o->backend,
	        .mode = o->mode == BENCH_LAZY ? SLUICE_MODE_LAZY
	                                      : SLUICE_MODE_STRICT,
	        .format = o->format,
	        .max_inflight = 4096,
	};
	int rc = sluice_domain_create(rig->engine, &cfg, &rig->domain);

	if (rc < 0)
		return refused("the domain", rc);
	if (o->backend == SLUICE_BACKEND_SOFT)
		return 0;
	rc = sluice_group_open(o->device, NULL, &rig->group);
	if (rc < 0)
		return refused(o->device, rc);
	rc = sluice_domain_attach(rig->domain, rig->group);
	return rc < 0 ? refused(o->device, rc) : 0;
}

static int open_worker(struct bench_rig *rig, uint32_t id)
{
	const struct bench_opts *o = rig->opts;
	struct bench_worker *w = &rig->worker[id];
	uint64_t spread = o->sg ? 2 : 1;

	w->rig = rig;
	w->id = id;
	w->stride = spread * o->granule * SLUICE_PAGE_SIZE;
	w->nr_bufs = o->working_set / w->stride;
	if (w->nr_bufs < o->depth)
		w->nr_bufs = o->depth;
	w->mem = mmap(NULL, w->nr_bufs * w->stride, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w->mem == MAP_FAILED) {
		w->mem = NULL;
		return tool_failed(BENCH_CMD,
		                   "no memory for the buffers: choose a "
		                   "smaller --working-set or --depth");
	}
	w->iova = calloc(o->depth, sizeof(*w->iova));
	w->map_ps = calloc(o->depth, sizeof(*w->map_ps));
	w->slot = calloc(o->depth, sizeof(*w->slot));
	w->iov = calloc(o->granule, sizeof(*w->iov));
	if (!w->iova || !w->map_ps || !w->slot || !w->iov)
		return tool_failed(BENCH_CMD, "no memory");
	return 0;
}

int bench_rig_open(struct bench_rig *rig, const struct bench_opts *opts)
{
	static const uint32_t prot[] = {SLUICE_RW, SLUICE_READ, SLUICE_WRITE};
	struct sluice_engine_cfg cfg = {.max_lanes = opts->threads};
	int rc;

	memset(rig, 0, sizeof(*rig));
	rig->opts = opts;
	rig->prot = prot[opts->direction];
	rc = sluice_engine_open(&cfg, &rig->engine);
	if (rc < 0)
		return refused("the engine", rc);
	rc = open_domain(rig);
	if (!rc && opts->mode == BENCH_ARENA)
		rc = open_arena(rig);
	if (rc)
		return rc;
	/* No naive way is as safe as a kernel backend: nothing to compare. */
	if (opts->backend == SLUICE_BACKEND_SOFT)
		rig->naive = naive_new();
	rig->worker = calloc(opts->threads, sizeof(*rig->worker));
	if (!rig->worker ||
	    (opts->backend == SLUICE_BACKEND_SOFT && !rig->naive))
		return tool_failed(BENCH_CMD, "no memory");
	for (uint32_t i = 0; i < opts->threads && !rc; i++)
		rc = open_worker(rig, i);
	return rc;
}

void bench_rig_close(struct bench_rig *rig)
{
	for (uint32_t i = 0; rig->worker && i < rig->opts->threads; i++) {
		struct bench_worker *w = &rig->worker[i];

		if (w->mem)
			munmap(w->mem, w->nr_bufs * w->stride);
		free(w->iova);
		free(w->map_ps);
		free(w->slot);
		free(w->iov);
	}
	free(rig->worker);
	naive_free(rig->naive);
	naive_slots_free(rig->naive_slots);
	sluice_arena_destroy(rig->arena);
	if (rig->group) {
		(void)sluice_domain_detach(rig->domain, rig->group);
		(void)sluice_group_close(rig->group);
	}
	(void)sluice_domain_destroy(rig->domain);
	(void)sluice_engine_close(rig->engine);
}

static void pin(uint32_t id)
{
	cpu_set_t may, set;
	unsigned want, nr;

	if (sched_getaffinity(0, sizeof(may), &may))
		return;
	nr = (unsigned)CPU_COUNT(&may);
	want = nr ? id % nr : 0;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &may) || want--)
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		/* Best effort: a run that floats is noisier, not wrong. */
		(void)sched_setaffinity(0, sizeof(set), &set);
		return;
	}
}

static int start_lane(struct bench_worker *w)
{
	int rc = sluice_lane_open(w->rig->engine, NULL, &w->lane);

	if (rc >= 0)
		rc = sluice_view_open(w->lane, w->rig->domain, &w->view);
	if (rc < 0)
		snprintf(w->error, sizeof(w->error), "lane: %s: %s",
		         sluice_errname(rc), sluice_last_error());
	/* Touch the buffers once: page faults are no part of a map. */
	for (uint64_t i = 0; i < w->nr_bufs * w->stride; i += SLUICE_PAGE_SIZE)
		w->mem[i] = 0;
	return rc < 0 ? rc : 0;
}

static void stop_lane(struct bench_worker *w)
{
	if (w->view && sluice_view_close(w->view) < 0 && !w->error[0])
		snprintf(w->error, sizeof(w->error), "view: %s",
		         sluice_last_error());
	if (w->lane)
		(void)sluice_lane_close(w->lane);
}

/* Between slices a lane is offline: a thread that waits at the gate must not
 * hold back the tickets of one that still drains. */
static void slice(struct bench_worker *w, uint64_t nr, int *rc)
{
	int naive = w->rig->naive && BENCH_IS_NAIVE(nr);

	if (*rc)
		return;
	if (!naive)
		sluice_lane_online(w->lane);
	*rc = bench_slice(w, naive, clock_ns() + BENCH_SLICE_NS);
	if (!naive) {
		if (!*rc)
			*rc = bench_drain(w);
		sluice_lane_offline(w->lane);
	}
}

static void *work(void *arg)
{
	struct bench_worker *w = arg;
	int rc;

	pin(w->id);
	ticks_init();
	rc = start_lane(w);
	if (!rc)
		sluice_lane_offline(w->lane);
	for (uint64_t i = 0; i < w->rig->nr_slices; i++) {
		pthread_barrier_wait(&w->rig->gate);
		slice(w, i, &rc);
		/* The first slice of each kind warms up. */
		if (i == 0)
			memset(&w->ours, 0, sizeof(w->ours));
		if (i == 3)
			memset(&w->naive, 0, sizeof(w->naive));
	}
	pthread_barrier_wait(&w->rig->gate);
	stop_lane(w);
	return NULL;
}

static int gather(struct bench_rig *rig)
{
	int rc = 0;

	for (uint32_t i = 0; i < rig->opts->threads; i++) {
		struct bench_worker *w = &rig->worker[i];

		if (w->error[0] && !rc)
			rc = tool_failed(BENCH_CMD, "thread %u: %s", i,
			                 w->error);
		for (int op = 0; op < BENCH_NR_OPS; op++) {
			hist_merge(&rig->ours.op[op], &w->ours.op[op]);
			hist_merge(&rig->naive_times.op[op], &w->naive.op[op]);
		}
	}
	return rc;
}

int bench_rig_run(struct bench_rig *rig)
{
	uint32_t n = rig->opts->threads;
	struct tool_progress progress = {0};

	rig->nr_slices =
	        rig->opts->seconds * UINT64_C(1000000000) / BENCH_SLICE_NS;
	if (pthread_barrier_init(&rig->gate, NULL, n + 1))
		return tool_failed(BENCH_CMD, "no memory for a barrier");
	for (uint32_t i = 0; i < n; i++) {
		int rc = pthread_create(&rig->worker[i].thread, NULL, work,
		                        &rig->worker[i]);

		if (rc) {
			/* The others wait at the gate for good. */
			fprintf(stderr, "sluice bench: thread %u: %s\n", i,
			        strerror(rc));
			exit(TOOL_FAILED);
		}
	}
	for (uint64_t i = 0; i <= rig->nr_slices; i++) {
		pthread_barrier_wait(&rig->gate);
		tool_progress(&progress, "bench: %u of %u s",
		              (unsigned)(i * BENCH_SLICE_NS / 1000000000u),
		              rig->opts->seconds);
	}
	tool_progress_end(&progress);
	for (uint32_t i = 0; i < n; i++)
		pthread_join(rig->worker[i].thread, NULL);
	pthread_barrier_destroy(&rig->gate);
	sluice_domain_get_stats(rig->domain, &rig->stats);
	return gather(rig);
}
