/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `sluice bench` measures on: engine, domain, memory, threads. Slices of
 * ours and of the others alternate, all threads in step, so that all see the
 * same machine.
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

#define SLICE_NS UINT64_C(50000000)

static int refused(const char *what, int rc)
{
	return tool_failed(BENCH_CMD, "%s: %s: %s", what, sluice_errname(rc),
	                   sluice_last_error());
}

static uint64_t arena_slots(const struct bench_rig *rig)
{
	/* Slots parked at other lanes count as out: leave room for that. */
	return (uint64_t)rig->threads * (4 * (uint64_t)rig->opts->depth + 1024);
}

static int open_arena(struct bench_rig *rig)
{
	const struct bench_opts *o = rig->opts;
	uint64_t slot = (uint64_t)o->granule * SLUICE_PAGE_SIZE;
	struct sluice_arena_cfg cfg = {.size = arena_slots(rig) * slot,
	                               .slot_size = slot,
	                               .prot = rig->prot};
	int rc = sluice_arena_create(rig->domain, &cfg, &rig->arena);

	if (rc < 0)
		return refused("the arena", rc);
	rig->naive_slots =
	        naive_slots_new((void *)UINT64_C(4096), UINT64_C(1) << 30, slot,
	                        rig->threads * o->depth);
	return rig->naive_slots ? 0 : tool_failed(BENCH_CMD, "no memory");
}

static int open_bounce(struct bench_rig *rig)
{
	const struct bench_opts *o = rig->opts;
	uint64_t len = (uint64_t)o->granule * SLUICE_PAGE_SIZE;
	/* All are copied: what a mapping costs, other modes show. */
	struct sluice_bounce_cfg cfg = {.max_len = 64u << 10,
	                                .directions = 1u << rig->prot,
	                                .break_even = UINT64_MAX};
	int rc;

	while (cfg.max_len < len)
		cfg.max_len *= 2;
	/* Four sizes, or five, share it. */
	cfg.bytes = 5 * arena_slots(rig) * (len < 4096 ? 4096 : len) +
	            5 * (uint64_t)cfg.max_len;
	rc = sluice_bounce_create(rig->domain, &cfg, &rig->bounce);
	return rc < 0 ? refused("bounce slots", rc) : 0;
}

static int open_domain(struct bench_rig *rig)
{
	const struct bench_opts *o = rig->opts;
	/* With raw, lanes are there and have nothing to do. */
	struct sluice_domain_cfg cfg = {
	        .backend =
	                o->mode == BENCH_RAW ? SLUICE_BACKEND_SOFT : o->backend,
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
	if (o->mode == BENCH_RAW)
		return bench_raw_open(o->device, &rig->raw);
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
	uint32_t room = o->depth > o->batch ? o->depth : o->batch;

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
	/* Any number but 0, and not that of a neighbour. */
	w->random = UINT64_C(88172645463325252) + id;
	w->times = calloc(bench_nr_impls(o), sizeof(*w->times));
	w->addr = calloc(room, sizeof(*w->addr));
	w->oa = calloc(room, sizeof(*w->oa));
	w->got = calloc(room, sizeof(*w->got));
	w->iova = calloc(o->depth, sizeof(*w->iova));
	w->map_ps = calloc(o->depth, sizeof(*w->map_ps));
	w->slot = calloc(o->depth, sizeof(*w->slot));
	w->iov = calloc(o->granule, sizeof(*w->iov));
	w->bounced = calloc(o->depth, sizeof(*w->bounced));
	if (!w->iova || !w->bounced || !w->map_ps || !w->slot || !w->iov ||
	    !w->times || !w->addr || !w->oa || !w->got)
		return tool_failed(BENCH_CMD, "no memory");
	return 0;
}

static int rig_open(struct bench_rig *rig)
{
	static const uint32_t prot[] = {SLUICE_RW, SLUICE_READ, SLUICE_WRITE};
	struct sluice_engine_cfg cfg = {.max_lanes = rig->threads};
	int rc;

	rig->prot = prot[rig->opts->direction];
	rc = sluice_engine_open(&cfg, &rig->engine);
	if (rc < 0)
		return refused("the engine", rc);
	rc = open_domain(rig);
	if (!rc && rig->opts->mode == BENCH_ARENA)
		rc = open_arena(rig);
	if (!rc && rig->opts->mode == BENCH_BOUNCE)
		rc = open_bounce(rig);
	if (rc)
		return rc;
	rig->worker = calloc(rig->threads, sizeof(*rig->worker));
	if (!rig->worker)
		return tool_failed(BENCH_CMD, "no memory");
	for (uint32_t i = 0; i < rig->threads && !rc; i++)
		rc = open_worker(rig, i);
	return rc ? rc : bench_others_open(rig);
}

static void close_worker(struct bench_worker *w)
{
	if (w->mem)
		munmap(w->mem, w->nr_bufs * w->stride);
	for (uint32_t i = 0; i < BENCH_MAX_IMPLS; i++)
		free(w->set[i]);
	free(w->times);
	free(w->addr);
	free(w->oa);
	free(w->got);
	free(w->iova);
	free(w->map_ps);
	free(w->slot);
	free(w->iov);
	free(w->bounced);
}

static void rig_close(struct bench_rig *rig)
{
	for (uint32_t i = 0; rig->worker && i < rig->threads; i++)
		close_worker(&rig->worker[i]);
	free(rig->worker);
	bench_others_close(rig);
	naive_slots_free(rig->naive_slots);
	sluice_arena_destroy(rig->arena);
	sluice_bounce_destroy(rig->bounce);
	bench_raw_close(&rig->raw);
	if (rig->group) {
		(void)sluice_domain_detach(rig->domain, rig->group);
		(void)sluice_group_close(rig->group);
	}
	(void)sluice_domain_destroy(rig->domain);
	(void)sluice_engine_close(rig->engine);
}

/* Of the process as it was started: a thread that was pinned passes that on. */
static cpu_set_t may;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void ask(void)
{
	if (sched_getaffinity(0, sizeof(may), &may))
		CPU_ZERO(&may);
}

uint32_t bench_cpus(void)
{
	pthread_once(&once, ask);
	return (uint32_t)CPU_COUNT(&may);
}

void bench_pin_to(uint32_t n)
{
	uint32_t nr = bench_cpus();
	uint32_t want = nr ? n % nr : 0;
	cpu_set_t set;

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

void bench_pin_beyond(uint32_t n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && n < bench_cpus(); cpu++) {
		if (!CPU_ISSET(cpu, &may))
			continue;
		if (n)
			n--;
		else
			CPU_SET(cpu, &set);
	}
	if (!CPU_COUNT(&set))
		set = may;
	(void)sched_setaffinity(0, sizeof(set), &set);
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

/* Once for each who is measured: the working set, for translations. A kernel
 * backend would pin it for nothing, as its table is the same. */
static int fill(struct bench_worker *w)
{
	int rc = 0;

	if (w->rig->opts->backend != SLUICE_BACKEND_SOFT)
		return 0;
	rc = bench_fill(w);
	for (uint32_t i = 0; i < w->rig->opts->nr_others && !rc; i++)
		rc = bench_others_fill(w, i);
	return rc;
}

/* Whose turn it is: ours each second time. */
static uint32_t whose(const struct bench_opts *o, uint64_t slice)
{
	if (!o->nr_others || slice % 2 == 0)
		return BENCH_OURS;
	return 1 + (uint32_t)(slice / 2 % o->nr_others);
}

/* Between slices a lane is offline: a thread that waits at the gate must not
 * hold back the tickets of one that still drains. */
static void slice(struct bench_worker *w, uint32_t impl, int *rc)
{
	if (*rc)
		return;
	if (impl == BENCH_OURS)
		sluice_lane_online(w->lane);
	*rc = bench_slice(w, impl, clock_ns() + SLICE_NS);
	if (impl == BENCH_OURS) {
		if (!*rc)
			*rc = bench_drain(w);
		sluice_lane_offline(w->lane);
	}
}

static void *work(void *arg)
{
	struct bench_worker *w = arg;
	const struct bench_opts *o = w->rig->opts;
	int rc;

	if (o->pinned)
		bench_pin_to(w->id);
	ticks_init();
	rc = start_lane(w);
	if (!rc)
		rc = fill(w);
	if (w->lane)
		sluice_lane_offline(w->lane);
	pthread_barrier_wait(&w->rig->gate);
	for (uint64_t i = 0; i < w->rig->nr_slices; i++) {
		uint32_t impl = whose(o, i);

		pthread_barrier_wait(&w->rig->gate);
		slice(w, impl, &rc);
		/* The first slice of each kind warms up. */
		if (i == 0 || (impl != BENCH_OURS && i < 2 * o->nr_others))
			memset(&w->times[impl], 0, sizeof(*w->times));
	}
	pthread_barrier_wait(&w->rig->gate);
	stop_lane(w);
	return NULL;
}

static int gather(struct bench_rig *rig)
{
	uint32_t impls = bench_nr_impls(rig->opts);
	int rc = 0;

	for (uint32_t i = 0; i < rig->threads; i++) {
		struct bench_worker *w = &rig->worker[i];

		if (w->error[0] && !rc)
			rc = tool_failed(BENCH_CMD, "thread %u: %s", i,
			                 w->error);
		for (uint32_t k = 0; k < impls * BENCH_NR_OPS; k++)
			hist_merge(&rig->run->times[k / BENCH_NR_OPS]
			                    .op[k % BENCH_NR_OPS],
			           &w->times[k / BENCH_NR_OPS]
			                    .op[k % BENCH_NR_OPS]);
	}
	return rc;
}

static void start(struct bench_rig *rig)
{
	for (uint32_t i = 0; i < rig->threads; i++) {
		int rc = pthread_create(&rig->worker[i].thread, NULL, work,
		                        &rig->worker[i]);

		if (rc) {
			/* The others wait at the gate for good. */
			fprintf(stderr, "sluice bench: thread %u: %s\n", i,
			        strerror(rc));
			exit(TOOL_FAILED);
		}
	}
}

/* What happened since `before`, the working set being mapped then. */
static void read_stats(struct bench_rig *rig,
                       const struct sluice_domain_stats *before)
{
	struct sluice_domain_stats *s = &rig->run->stats;

	sluice_domain_get_stats(rig->domain, s);
	s->maps -= before->maps;
	s->map_bytes -= before->map_bytes;
	s->posts -= before->posts;
	s->invalidations -= before->invalidations;
	sluice_domain_get_exposure(rig->domain, &rig->run->exposure);
}

static int rig_run(struct bench_rig *rig)
{
	const struct bench_opts *o = rig->opts;
	struct tool_progress progress = {0};
	struct sluice_domain_stats before;

	rig->nr_slices = o->seconds * UINT64_C(1000000000) / SLICE_NS;
	if (pthread_barrier_init(&rig->gate, NULL, rig->threads + 1))
		return tool_failed(BENCH_CMD, "no memory for a barrier");
	start(rig);
	pthread_barrier_wait(&rig->gate);
	sluice_domain_get_stats(rig->domain, &before);
	for (uint64_t i = 0; i <= rig->nr_slices; i++) {
		pthread_barrier_wait(&rig->gate);
		tool_progress(&progress, "bench: %u of %u s, %u threads",
		              (unsigned)(i * SLICE_NS / 1000000000u),
		              o->seconds, rig->threads);
	}
	tool_progress_end(&progress);
	for (uint32_t i = 0; i < rig->threads; i++)
		pthread_join(rig->worker[i].thread, NULL);
	pthread_barrier_destroy(&rig->gate);
	read_stats(rig, &before);
	return gather(rig);
}

int bench_run(const struct bench_opts *opts, uint32_t threads,
              struct bench_run *run)
{
	struct bench_rig rig = {.opts = opts,
	                        .run = run,
	                        .threads = threads,
	                        .raw = {.container = -1, .group = -1}};
	int rc = TOOL_FAILED;

	run->threads = threads;
	run->times = calloc(bench_nr_impls(opts), sizeof(*run->times));
	if (run->times)
		rc = rig_open(&rig);
	else
		rc = tool_failed(BENCH_CMD, "no memory");
	if (!rc)
		rc = rig_run(&rig);
	rig_close(&rig);
	return rc;
}
