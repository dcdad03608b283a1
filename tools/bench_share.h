/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice bench --mode share`: what a buffer costs that N groups reach, in one
 * domain and in a domain for each. The rigs and rounds (bench_share.c), the
 * table and JSON (bench_share_report.c).
 */
#ifndef SLUICE_TOOLS_BENCH_SHARE_H
#define SLUICE_TOOLS_BENCH_SHARE_H

#include "tools/bench.h"

#define SHARE_GROUPS 8 /* at most */
#define SHARE_ROWS 4   /* 1, 2, 4, 8 groups */
#define SHARE_DEPTH 64 /* buffers of a round */
#define SHARE_BYTES 4096u

enum share_how { SHARE_ONE, SHARE_EACH, SHARE_HOWS };

/* Of one buffer, in picoseconds: mapped in every domain of the rig, and there
 * and back again until the tickets have passed. */
enum share_what {
	SHARE_MAP,        /* a call each */
	SHARE_PAIR,       /* there and back */
	SHARE_BURST_MAP,  /* one scatter list of all buffers of the round */
	SHARE_BURST_PAIR, /* there and back */
	SHARE_WHATS
};

struct share_case {
	uint32_t groups;
	enum share_how how;
	struct hist ps[SHARE_WHATS];
	uint64_t buffers[2]; /* mapped one by one, and in bursts */
	uint64_t maps[2];    /* calls to the kernel for these */
	uint64_t unmaps[2];
};

struct share {
	const struct bench_opts *opts;
	const char *bdf[SHARE_GROUPS];
	uint32_t nr_bdf;
	uint32_t nr_rows;
	struct share_case row[SHARE_ROWS][SHARE_HOWS];
};

const char *share_what_name(enum share_what what);
void share_print(FILE *to, const struct share *s);
int share_json(const struct share *s);

/* The command. */
int bench_share(const struct bench_opts *opts);

#endif
