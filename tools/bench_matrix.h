/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice bench --matrix`: every way of giving a device buffers, beside one
 * ioctl for each. Cells and what is kept of them (bench_matrix.c, the report
 * is bench_matrix_report.c), the rounds of one lane (bench_matrix_lane.c).
 */
#ifndef SLUICE_TOOLS_BENCH_MATRIX_H
#define SLUICE_TOOLS_BENCH_MATRIX_H

#include "tools/bench.h"
#include "tools/bench_raw.h"

#define MATRIX_HUGE (2u << 20) /* a large page */
#define MATRIX_TIMES 9         /* each way of a cell is measured so often */
#define MATRIX_MAX_CELLS (12 * BENCH_MAX_COUNTS + 1)

/* In the order of the table. */
enum matrix_way {
	MATRIX_RAW,    /* an ioctl for each map, one for each unmap */
	MATRIX_SINGLE, /* strict, each buffer mapped and unmapped alone */
	MATRIX_BURST,  /* strict, all of a round are one scatter list */
	MATRIX_BOUNCE,
	MATRIX_LAZY, /* with bounds, buffers used again */
	MATRIX_ARENA,
	MATRIX_WAYS
};

struct matrix_cell {
	int scattered; /* no buffer continues another in memory */
	uint64_t len;
	uint32_t depth; /* buffers of a round */
	uint32_t lanes;
	/* Nanoseconds for one buffer, there and back, in each turn. One lane:
	 * its best half millisecond, or round when that is longer. Several: the
	 * wall clock over what all of them did. */
	double ns[MATRIX_WAYS][MATRIX_TIMES];
	/* Of the last time: maps and unmaps that reached the kernel, for one
	 * buffer. */
	double calls[MATRIX_WAYS];
	int huge;   /* the memory is hugetlb pages */
	int copied; /* bounce: 0 it was mapped, being beyond the break-even */
};

struct matrix {
	const struct bench_opts *opts;
	struct matrix_cell cell[MATRIX_MAX_CELLS];
	uint32_t nr_cells;
	struct sluice_bounce_info bounce;
};

/* What one way of one cell is measured on. */
struct matrix_rig {
	const struct bench_opts *opts;
	struct matrix_cell *cell;
	struct bench_raw raw;
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_group *group;
	struct sluice_arena *arena;
	struct sluice_bounce *bounce;
	int pinned; /* each lane to a processor, the helper to the rest */
	/* What lies below the buffers of every lane. */
	int memory;
	uint64_t memory_len;
};

/* One lane's part of the rate of one way: its thread makes rounds for so long.
 * TOOL_OK or TOOL_FAILED after saying why. */
int matrix_measure(struct matrix_rig *rig, enum matrix_way way, uint32_t time);

const char *matrix_way_name(enum matrix_way way);
/* Of the turns in which it was measured, the best; 0: in none. */
double matrix_ns(const struct matrix_cell *cell, enum matrix_way way);
void matrix_print(FILE *to, const struct matrix *m);
int matrix_json(const struct matrix *m);

/* The command. */
int bench_matrix(const struct bench_opts *opts);

#endif
