/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/format.h"

#include <stdio.h>
#include <stdlib.h>

#include <sluice/sluice.h>

#define RUN 512u

/* A main geometry of each format; the names are those of the tests. */
#define GEOMETRY(text, nine, id, ...)                                          \
	{                                                                      \
		text, nine,                                                    \
		{                                                              \
			.format = SLUICE_PT_##id, __VA_ARGS__                  \
		}                                                              \
	}

const struct fmt_geometry fmt_geometries[] = {
        GEOMETRY("x86_64-48", true, X86_64, .iova_bits = 48),
        GEOMETRY("vtdss-48", true, VTDSS, .iova_bits = 48),
        GEOMETRY("amdv1-48", true, AMDV1, .iova_bits = 48),
        GEOMETRY("arm_s1-4k-48", true, ARM_LPAE_S1, .iova_bits = 48),
        GEOMETRY("arm_s2-4k-48", true, ARM_LPAE_S2, .iova_bits = 48),
        GEOMETRY("riscv-48", true, RISCV, .iova_bits = 48),
        GEOMETRY("riscv_g-50", true, RISCV_G, .iova_bits = 50),
        GEOMETRY("arm_s1-16k-48", false, ARM_LPAE_S1, .granule_lg2 = 14,
                 .iova_bits = 48),
        GEOMETRY("arm_s1-64k-48", false, ARM_LPAE_S1, .granule_lg2 = 16,
                 .iova_bits = 48),
        GEOMETRY("s390-42", false, S390, .iova_bits = 42),
        GEOMETRY("tce-4k-31x1", false, TCE, .iova_bits = 31),
        GEOMETRY("tce-4k-50x3", false, TCE, .iova_bits = 50, .levels = 3),
};

const unsigned nr_fmt_geometries =
        sizeof(fmt_geometries) / sizeof(fmt_geometries[0]);

static void check(int64_t rc, const struct fmt_set *s, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "bench: %s: %s: %s\n", s->geo->name, what,
	        sluice_last_error());
	exit(1);
}

static void set_up_lists(struct fmt_set *s)
{
	/* 101 is odd: every page once, neighbours in time no neighbours. */
	for (unsigned i = 0; i < FMT_WALKS; i++)
		s->walk[i] = s->base + i * 101u % FMT_WALKS * s->page;
	/* Every second page: no two pieces continue each other. */
	for (unsigned l = 0; l < FMT_LISTS; l++)
		for (unsigned i = 0; i < FMT_PIECES; i++)
			s->seg[l][i] = (struct sluice_pt_seg){
			        (2 * (l * FMT_PIECES + i) + 1) * s->page,
			        s->page};
}

struct fmt_set *fmt_open(const struct fmt_geometry *geo)
{
	struct fmt_set *s = calloc(1, sizeof(*s));
	struct sluice_pt_info info;
	uint64_t reach;

	if (!s) {
		fprintf(stderr, "bench: out of memory\n");
		exit(1);
	}
	s->geo = geo;
	check(sluice_pt_create(&geo->cfg, &s->pt), s, "create");
	sluice_pt_get_info(s->pt, &info);
	s->page = UINT64_C(1) << info.granule_lg2;
	reach = sluice_pt_table_reach(s->pt);
	s->large = info.leaf_sizes & reach;
	/* The upper half of the smallest table, a TCE window of 2 GiB. */
	s->base = s->page << 18;
	set_up_lists(s);
	return s;
}

void fmt_close(struct fmt_set *s)
{
	sluice_pt_destroy(s->cold);
	sluice_pt_destroy(s->pt);
	free(s);
}

bool fmt_has(const struct fmt_set *s, const struct fmt_op *op)
{
	return !op->large || s->large;
}

void fmt_once(struct fmt_set *s, const struct fmt_op *op, uint64_t n,
              void (*tick)(void *ctx), void *ctx)
{
	int rc;

	if (op->before)
		op->before(s, n);
	tick(ctx);
	rc = op->run(s, n);
	tick(ctx);
	check(rc, s, op->name);
	if (op->after)
		op->after(s, n);
}

static void map_all(struct fmt_set *s, uint64_t len)
{
	check(sluice_pt_map(s->pt, s->base, s->page, len, SLUICE_RW), s, "map");
}

static void unmap_all(struct fmt_set *s, uint64_t len)
{
	int64_t n = sluice_pt_unmap(s->pt, s->base, len, NULL, NULL);

	check(n < 0 || (uint64_t)n == len ? n : -1, s, "unmap");
}

static void map_pages(struct fmt_set *s, uint64_t n)
{
	map_all(s, n * s->page);
}

static void unmap_pages(struct fmt_set *s, uint64_t n)
{
	unmap_all(s, n * s->page);
}

static void map_runs(struct fmt_set *s, uint64_t n)
{
	map_all(s, n * RUN * s->page);
}

static void unmap_runs(struct fmt_set *s, uint64_t n)
{
	unmap_all(s, n * RUN * s->page);
}

static void unmap_large(struct fmt_set *s, uint64_t n)
{
	uint64_t from = s->base & -s->large;
	int64_t gone = sluice_pt_unmap(s->pt, from, n * s->large, NULL, NULL);

	check(gone, s, "unmap");
}

static void unmap_lists(struct fmt_set *s, uint64_t n)
{
	unmap_all(s, n * FMT_PIECES * s->page);
}

/* n maps of len each, a page off what a larger leaf needs, or not. */
static int maps(struct fmt_set *s, uint64_t n, uint64_t at, uint64_t oa,
                uint64_t len)
{
	struct sluice_pt *pt = s->pt;
	int rc = 0;

	for (uint64_t i = 0; i < n; i++)
		rc |= sluice_pt_map(pt, at + i * len, oa + i * len, len,
		                    SLUICE_RW);
	return rc;
}

static int map_page(struct fmt_set *s, uint64_t n)
{
	return maps(s, n, s->base, s->page, s->page);
}

static int map_run(struct fmt_set *s, uint64_t n)
{
	return maps(s, n, s->base, s->page, RUN * s->page);
}

static int map_large(struct fmt_set *s, uint64_t n)
{
	return maps(s, n, s->base & -s->large, s->large, s->large);
}

/* n pages into a table that is not there yet. */
static int map_cold(struct fmt_set *s, uint64_t n)
{
	int rc = sluice_pt_create(&s->geo->cfg, &s->cold);

	return rc ? rc
	          : sluice_pt_map(s->cold, s->base, s->page, n * s->page,
	                          SLUICE_RW);
}

static void drop_cold(struct fmt_set *s, uint64_t n)
{
	(void)n;
	sluice_pt_destroy(s->cold);
	s->cold = NULL;
}

static int map_lists(struct fmt_set *s, uint64_t n)
{
	int rc = 0;

	for (uint64_t i = 0; i < n; i++)
		rc |= sluice_pt_map_sg(s->pt,
		                       s->base + i * FMT_PIECES * s->page,
		                       s->seg[i], FMT_PIECES, SLUICE_RW);
	return rc;
}

static int unmaps(struct fmt_set *s, uint64_t n, uint64_t len)
{
	struct sluice_pt *pt = s->pt;
	int64_t rc = 0;

	for (uint64_t i = 0; i < n; i++)
		rc |= sluice_pt_unmap(pt, s->base + i * len, len, NULL, NULL);
	return rc == (int64_t)len ? 0 : -1;
}

static int unmap_page(struct fmt_set *s, uint64_t n)
{
	return unmaps(s, n, s->page);
}

static int unmap_run(struct fmt_set *s, uint64_t n)
{
	return unmaps(s, n, RUN * s->page);
}

/* What the range mapped comes back as one extent: its OAs continue. */
static int unmap_extents(struct fmt_set *s, uint64_t n)
{
	struct sluice_pt_extent ext[FMT_EXTENTS];
	uint64_t len = RUN * s->page;
	int64_t rc = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint32_t nr = FMT_EXTENTS;

		rc |= sluice_pt_unmap(s->pt, s->base + i * len, len, ext, &nr);
		s->done += nr;
	}
	return rc == (int64_t)len ? 0 : -1;
}

static void map_walked(struct fmt_set *s, uint64_t n)
{
	(void)n;
	map_all(s, FMT_WALKS * s->page);
}

static void unmap_walked(struct fmt_set *s, uint64_t n)
{
	(void)n;
	unmap_all(s, FMT_WALKS * s->page);
}

static int walk(struct fmt_set *s, uint64_t n)
{
	struct sluice_pt_extent leaf;
	uint64_t sum = 0;
	int rc = 0;

	for (uint64_t i = 0; i < n; i++) {
		rc |= sluice_pt_walk(s->pt, s->walk[i % FMT_WALKS], &leaf);
		sum += leaf.oa;
	}
	s->done += sum;
	return rc;
}

/* A range of pages and a table of theirs may not fit together: F10 of s390 is
 * in two tables. */
const struct fmt_op fmt_ops[] = {
        {"F9", 256, 64, 192, NULL, map_page, unmap_pages, false},
        {"F10", 16, 4, 12, NULL, map_run, unmap_runs, false},
        {"F11", 64, 16, 48, NULL, map_large, unmap_large, true},
        {"F12", 1u << 18, 1u << 14, 1u << 16, NULL, map_cold, drop_cold, false},
        {"Fsg", 64, 16, 48, NULL, map_lists, unmap_lists, false},
        {"F14", 256, 64, 192, map_pages, unmap_page, NULL, false},
        {"F13", 16, 4, 12, map_runs, unmap_run, NULL, false},
        {"F13e", 16, 4, 12, map_runs, unmap_extents, NULL, false},
        {"F4", 4096, 512, 1536, map_walked, walk, unmap_walked, false},
};

const unsigned nr_fmt_ops = sizeof(fmt_ops) / sizeof(fmt_ops[0]);
