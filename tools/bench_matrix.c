/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The matrix: which cells there are, and what each way of each is measured on.
 * A group is in one container at a time, so it is opened anew for each way and
 * turn: raw, strict and lazy alternate within milliseconds and see the same
 * machine.
 */
#include "tools/bench_matrix.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB UINT64_C(1024)
#define MEMORY (16 * KIB * KIB) /* below all buffers; they share it */
#define LARGE (32 * KIB * KIB)  /* of the one large map */

static int refused(const char *what, int rc)
{
	return tool_failed(BENCH_CMD, "%s: %s: %s", what, sluice_errname(rc),
	                   sluice_last_error());
}

/* ---- a rig for one way ---- */

static int open_domain(struct matrix_rig *rig, enum sluice_mode mode)
{
	const struct bench_opts *o = rig->opts;
	struct sluice_engine_cfg engine = {.max_lanes = rig->cell->lanes};
	/* Lazy with the default bounds: 256 unmaps, 16 MiB, 1 ms. */
	struct sluice_domain_cfg domain = {
	        .backend = o->backend,
	        .mode = mode,
	        .format = o->format,
	        .flags = mode == SLUICE_MODE_LAZY ? SLUICE_DOMAIN_REVIVE : 0,
	        .max_inflight = 4096,
	};
	int rc = sluice_engine_open(&engine, &rig->engine);

	if (rc)
		return refused("the engine", rc);
	rc = sluice_domain_create(rig->engine, &domain, &rig->domain);
	if (rc)
		return refused("the domain", rc);
	rc = sluice_group_open(o->device, NULL, &rig->group);
	if (!rc)
		rc = sluice_domain_attach(rig->domain, rig->group);
	return rc ? refused(o->device, rc) : TOOL_OK;
}

/* Slots for all buffers, and for those that lanes keep. */
static uint64_t slots(const struct matrix_cell *c)
{
	return (uint64_t)c->lanes * (c->depth + c->depth / 8 + 2) + 16;
}

static int open_slots(struct matrix_rig *rig,
                      const struct sluice_bounce_info *known)
{
	const struct matrix_cell *c = rig->cell;
	struct sluice_arena_cfg arena = {.size = slots(c) * c->len,
	                                 .slot_size = c->len};
	/* What was measured first is for all cells. */
	struct sluice_bounce_cfg bounce = {
	        .bytes = 4 * (slots(c) + 16) *
	                 (c->len > 64 * KIB ? 64 * KIB : c->len),
	        .break_even = known->break_even ? known->break_even : 1,
	        .directions =
	                SLUICE_BOUNCE_TO_DEVICE | SLUICE_BOUNCE_FROM_DEVICE,
	};
	int rc = sluice_arena_create(rig->domain, &arena, &rig->arena);

	if (rc)
		return refused("the arena", rc);
	if (bounce.bytes < 1024 * KIB)
		bounce.bytes = 1024 * KIB;
	rc = sluice_bounce_create(rig->domain, &bounce, &rig->bounce);
	return rc ? refused("bounce slots", rc) : TOOL_OK;
}

static void close_domain(struct matrix_rig *rig)
{
	sluice_bounce_destroy(rig->bounce);
	sluice_arena_destroy(rig->arena);
	if (rig->group) {
		(void)sluice_domain_detach(rig->domain, rig->group);
		(void)sluice_group_close(rig->group);
	}
	(void)sluice_domain_destroy(rig->domain);
	if (rig->engine)
		(void)sluice_engine_close(rig->engine);
	rig->bounce = NULL;
	rig->arena = NULL;
	rig->group = NULL;
	rig->domain = NULL;
	rig->engine = NULL;
}

static int turn_raw(struct matrix_rig *rig, uint32_t time)
{
	int rc = bench_raw_open(rig->opts->device, &rig->raw);

	if (!rc)
		rc = matrix_measure(rig, MATRIX_RAW, time);
	bench_raw_close(&rig->raw);
	return rc;
}

static int turn_strict(struct matrix_rig *rig,
                       const struct sluice_bounce_info *known, uint32_t time)
{
	int rc = open_domain(rig, SLUICE_MODE_STRICT);

	if (!rc)
		rc = matrix_measure(rig, MATRIX_SINGLE, time);
	if (!rc)
		rc = matrix_measure(rig, MATRIX_BURST, time);
	/* The large one is alone with raw. Slots of 2 MiB are much memory to
	 * fill with zeroes: they are there in the first turn only. */
	if (!rc && rig->cell->len <= (time ? 64 * KIB : LARGE - 1))
		rc = open_slots(rig, known);
	if (!rc && rig->bounce)
		rc = matrix_measure(rig, MATRIX_BOUNCE, time);
	if (!rc && rig->arena)
		rc = matrix_measure(rig, MATRIX_ARENA, time);
	close_domain(rig);
	return rc;
}

static int turn_lazy(struct matrix_rig *rig, uint32_t time)
{
	int rc = open_domain(rig, SLUICE_MODE_LAZY);

	if (!rc)
		rc = matrix_measure(rig, MATRIX_LAZY, time);
	close_domain(rig);
	return rc;
}

/* Pools lie on large pages, what is scattered on small ones. */
static int open_memory(struct matrix_rig *rig)
{
	struct matrix_cell *c = rig->cell;
	uint64_t len = c->depth * c->len;
	void *p = MAP_FAILED;

	len = (len + MATRIX_HUGE - 1) & ~(uint64_t)(MATRIX_HUGE - 1);
	rig->memory_len = len < MEMORY ? len : MEMORY;
	rig->memory = memfd_create("sluice-bench", MFD_CLOEXEC | MFD_HUGETLB);
	if (!c->scattered && rig->memory >= 0 &&
	    !ftruncate(rig->memory, (off_t)rig->memory_len))
		p = mmap(NULL, rig->memory_len, PROT_READ | PROT_WRITE,
		         MAP_SHARED | MAP_POPULATE, rig->memory, 0);
	c->huge = p != MAP_FAILED;
	if (c->huge) {
		munmap(p, rig->memory_len);
		return TOOL_OK;
	}
	if (rig->memory >= 0)
		close(rig->memory);
	rig->memory = memfd_create("sluice-bench", MFD_CLOEXEC);
	if (rig->memory < 0 || ftruncate(rig->memory, (off_t)rig->memory_len))
		return tool_failed(BENCH_CMD, "no memory for buffers: %s",
		                   strerror(errno));
	return TOOL_OK;
}

static int cell_run(struct matrix *m, struct matrix_cell *c)
{
	struct matrix_rig rig = {.opts = m->opts, .cell = c};
	int rc = TOOL_OK;

	/* The helper of a domain begins where the domain is created. Left to
	 * itself a kernel may put it onto the processor of the lane that wakes
	 * it, and neither gets on. */
	rig.pinned = m->opts->pin != BENCH_PIN_NO && c->lanes < bench_cpus();
	bench_pin_beyond(rig.pinned ? c->lanes : 0);
	rc = open_memory(&rig);
	c->copied = c->len <= m->bounce.break_even && c->len <= 64 * KIB;
	for (uint32_t i = 0; i < MATRIX_TIMES && !rc; i++) {
		rc = turn_raw(&rig, i);
		if (!rc)
			rc = turn_strict(&rig, &m->bounce, i);
		if (!rc)
			rc = turn_lazy(&rig, i);
	}
	if (rig.memory >= 0)
		close(rig.memory);
	return rc;
}

/* ---- all cells ---- */

static void add(struct matrix *m, int scattered, uint64_t len, uint32_t depth,
                uint32_t lanes)
{
	if (m->nr_cells < MATRIX_MAX_CELLS)
		m->cell[m->nr_cells++] =
		        (struct matrix_cell){.scattered = scattered,
		                             .len = len,
		                             .depth = depth,
		                             .lanes = lanes};
}

/* A row for each number of lanes; of 2 MiB, where a turn takes long, for the
 * first and the last. */
static void add_lanes(struct matrix *m, int scattered, uint64_t len,
                      uint32_t depth)
{
	const struct bench_opts *o = m->opts;
	uint32_t last = o->nr_threads - 1;

	for (uint32_t t = 0; t <= last; t++)
		if (len < MATRIX_HUGE || t == 0 || t == last)
			add(m, scattered, len, depth, o->threads[t]);
}

static void choose_cells(struct matrix *m)
{
	static const uint64_t len[] = {4 * KIB, 64 * KIB, 2048 * KIB};
	static const uint32_t depth[] = {1, 64};
	for (unsigned l = 0; l < 3; l++)
		for (unsigned d = 0; d < 2; d++)
			for (int s = 0; s < 2; s++)
				add_lanes(m, s, len[l], depth[d]);
	add(m, 0, LARGE, 1, 1);
}

/* Once, for all cells: what bounce would find out each time. */
static int learn(struct matrix *m)
{
	struct matrix_cell c = {.lanes = 1};
	struct matrix_rig rig = {.opts = m->opts, .cell = &c};
	int rc = open_domain(&rig, SLUICE_MODE_STRICT);

	if (!rc) {
		rc = sluice_bounce_create(rig.domain, NULL, &rig.bounce);
		if (rc)
			rc = refused("bounce slots", rc);
		else
			sluice_bounce_get_info(rig.bounce, &m->bounce);
	}
	close_domain(&rig);
	return rc;
}

int bench_matrix(const struct bench_opts *opts)
{
	struct tool_progress progress = {0};
	struct matrix *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return tool_failed(BENCH_CMD, "no memory");
	m->opts = opts;
	choose_cells(m);
	rc = learn(m);
	for (uint32_t i = 0; i < m->nr_cells && !rc; i++) {
		tool_progress(&progress, "bench: cell %u of %u", i,
		              m->nr_cells);
		rc = cell_run(m, &m->cell[i]);
	}
	tool_progress_end(&progress);
	if (!rc && (!opts->json || strcmp(opts->json, "-")))
		matrix_print(stdout, m);
	if (!rc && opts->json)
		rc = matrix_json(m);
	free(m);
	return rc;
}
