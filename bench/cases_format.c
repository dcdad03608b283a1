/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B9 to B13 on bare tables, for each format: "F9/vtdss-48" is B9 of VT-d second
 * stage. Beside them the naive way, a hash of pages with a mutex (which has
 * only one size of leaf), and what the memory traffic alone costs ("floor").
 */
#include "bench/format.h"
#include "bench/set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RUN 512u
#define RUN_BYTES (RUN * sizeof(uint64_t))
#define FLOOR_RUNS 16u
#define COLD (1u << 18)
#define BASE (UINT64_C(1) << 30)

#define MAX_CASES 128u
#define MAX_NAME 32u

struct job {
	const struct fmt_geometry *geo;
	const struct fmt_op *op;
};

struct run {
	struct fmt_set *set;
	const struct fmt_op *op;
};

struct stopwatch {
	uint64_t at;
	uint64_t ns;
};

static void tick(void *ctx)
{
	struct stopwatch *w = ctx;
	uint64_t now = now_ns();

	w->ns = now - w->at;
	w->at = now;
}

static void *open_job(const void *arg)
{
	const struct job *job = arg;
	struct run *r = calloc(1, sizeof(*r));

	rig_check(r ? 0 : -1, "memory");
	r->set = fmt_open(job->geo);
	r->op = job->op;
	return r;
}

static void close_job(void *ctx)
{
	struct run *r = ctx;

	fmt_close(r->set);
	free(r);
}

static double timed(void *ctx, uint64_t n)
{
	struct run *r = ctx;
	struct stopwatch w = {0};

	fmt_once(r->set, r->op, n, tick, &w);
	return (double)w.ns - clock_cost();
}

/* The naive ways. */

static double naive_maps(struct set *s, uint64_t n, uint64_t nr)
{
	uint64_t start = now_ns();
	double ns;
	int rc = 0;

	for (uint64_t i = 0; i < n; i++)
		rc |= naive_pages_map(s->pages, BASE + i * nr * PAGE,
		                      PAGE + i * nr * PAGE, nr);
	ns = (double)(now_ns() - start) - clock_cost();
	rig_check(rc, "naive map");
	rig_check(naive_pages_unmap(s->pages, BASE, n * nr), "naive unmap");
	return ns;
}

static double naive_unmaps(struct set *s, uint64_t n, uint64_t nr)
{
	uint64_t start;
	int rc = 0;

	rig_check(naive_pages_map(s->pages, BASE, PAGE, n * nr), "naive map");
	start = now_ns();
	for (uint64_t i = 0; i < n; i++)
		rc |= naive_pages_unmap(s->pages, BASE + i * nr * PAGE, nr);
	rig_check(rc, "naive unmap");
	return (double)(now_ns() - start) - clock_cost();
}

static double naive_map_page(void *ctx, uint64_t n)
{
	return naive_maps(ctx, n, 1);
}

static double naive_map_run(void *ctx, uint64_t n)
{
	return naive_maps(ctx, n, RUN);
}

static double naive_map_list(void *ctx, uint64_t n)
{
	return naive_maps(ctx, n * FMT_PIECES, 1);
}

static double naive_map_cold(void *ctx, uint64_t n)
{
	struct set fresh = {0};
	uint64_t start = now_ns();
	double ns;
	int rc;

	(void)ctx;
	fresh.pages = naive_pages_new();
	rig_check(fresh.pages ? 0 : -1, "memory");
	rc = naive_pages_map(fresh.pages, BASE, PAGE, n);
	ns = (double)(now_ns() - start) - clock_cost();
	rig_check(rc, "naive map");
	naive_pages_free(fresh.pages);
	return ns;
}

static double naive_unmap_page(void *ctx, uint64_t n)
{
	return naive_unmaps(ctx, n, 1);
}

static double naive_unmap_run(void *ctx, uint64_t n)
{
	return naive_unmaps(ctx, n, RUN);
}

static void *naive_walked(void)
{
	struct set *s = set_naive();

	rig_check(naive_pages_map(s->pages, BASE, PAGE, FMT_WALKS), "naive");
	return s;
}

static void naive_walk(void *ctx, uint64_t n)
{
	struct set *s = ctx;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t oa = 0;
		int rc = naive_pages_lookup(
		        s->pages, BASE + i * 101u % FMT_WALKS * PAGE, &oa);

		gb_use(oa);
		gb_use(rc);
	}
}

/* The floors: as many bytes set by the C library, in memory that is there and
 * in memory that the kernel has yet to give. */

static void *floor_setup(void)
{
	return aligned_alloc(PAGE, FLOOR_RUNS * RUN_BYTES);
}

static void floor_fill(void *ctx, uint64_t n)
{
	char *mem = ctx;

	for (uint64_t i = 0; i < n; i++) {
		char *p = mem + i % FLOOR_RUNS * RUN_BYTES;

		memset(p, (int)i, RUN_BYTES);
		gb_use(p);
	}
}

static double floor_cold(void *ctx, uint64_t n)
{
	size_t huge = (size_t)1 << 21, len = n * sizeof(uint64_t);
	uint64_t start = now_ns();
	char *mem = mmap(NULL, len + huge, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p;
	double ns;

	(void)ctx;
	rig_check(mem == MAP_FAILED ? -1 : 0, "mmap");
	p = mem + (-(uintptr_t)mem & (huge - 1));
	/* Advice only, as in the library. */
	(void)madvise(p, len, MADV_HUGEPAGE);
	memset(p, 1, len);
	gb_use(p);
	ns = (double)(now_ns() - start) - clock_cost();
	munmap(mem, len + huge);
	return ns;
}

#define NAIVE(label, n, fn)                                                    \
	{                                                                      \
		.name = label, .batch = n, .setup = set_naive,                 \
		.teardown = set_close, .timed = fn                             \
	}

static void register_naive(void)
{
	static const struct gb_case cases[] = {
	        NAIVE("F9/naive", 256, naive_map_page),
	        NAIVE("F10/naive", 16, naive_map_run),
	        NAIVE("F12/naive", COLD, naive_map_cold),
	        NAIVE("Fsg/naive", 64, naive_map_list),
	        NAIVE("F14/naive", 256, naive_unmap_page),
	        NAIVE("F13/naive", 16, naive_unmap_run),
	        {.name = "F4/naive",
	         .batch = 4096,
	         .setup = naive_walked,
	         .teardown = set_close,
	         .run = naive_walk},
	        {.name = "F10/floor",
	         .batch = 256,
	         .setup = floor_setup,
	         .teardown = free,
	         .run = floor_fill},
	        {.name = "F12/floor",
	         .batch = COLD,
	         .setup = floor_setup,
	         .teardown = free,
	         .timed = floor_cold},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}

static void register_one(const struct fmt_geometry *geo,
                         const struct fmt_op *op)
{
	static struct gb_case cases[MAX_CASES];
	static struct job jobs[MAX_CASES];
	static char names[MAX_CASES][MAX_NAME];
	static unsigned nr;

	rig_check(nr < MAX_CASES ? 0 : -1, "room for cases");
	snprintf(names[nr], MAX_NAME, "%s/%s", op->name, geo->name);
	jobs[nr] = (struct job){geo, op};
	cases[nr] = (struct gb_case){.name = names[nr],
	                             .batch = op->batch,
	                             .setup_arg = open_job,
	                             .arg = &jobs[nr],
	                             .teardown = close_job,
	                             .timed = timed};
	gb_register(&cases[nr++]);
}

void cases_format(void)
{
	for (unsigned g = 0; g < nr_fmt_geometries; g++) {
		struct fmt_set *s = fmt_open(&fmt_geometries[g]);

		for (unsigned o = 0; o < nr_fmt_ops; o++)
			if (fmt_has(s, &fmt_ops[o]))
				register_one(&fmt_geometries[g], &fmt_ops[o]);
		fmt_close(s);
	}
	register_naive();
}
