/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run of the scenario and its oracle: what is mapped, judged from results
 * alone, against what the lanes translate and what the fake kernel holds.
 */
#ifndef SLUICE_TESTS_FAULTS_RUN_H
#define SLUICE_TESTS_FAULTS_RUN_H

#include <sluice/sluice.h>

#include "tests/faults/inject.h"

#define PAGE 4096u
#define MAX_LIVE 24
#define MAX_PAGES 16
#define LANES 2

struct world {
	const char *name;
	struct sluice_engine_cfg engine;
	struct sluice_domain_cfg domain;
	struct fake_vfio_cfg vfio;
};

extern const struct world worlds[];
extern const unsigned nr_worlds;

/* A mapping as its caller knows it. */
struct live {
	uint64_t iova;
	uint32_t nr; /* pages; 0: none */
	uint64_t va[MAX_PAGES];
};

struct range {
	uint64_t iova;
	uint64_t len;
};

struct run {
	const struct world *w;
	const char *tree;
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_group *group[2];
	struct sluice_lane *lane[LANES];
	struct sluice_view *view[LANES];
	struct sluice_arena *arena[2];
	struct sluice_ring *ring;
	uint64_t fixed; /* reserved for fixed mappings */

	struct live live[MAX_LIVE];
	struct range arena_at[2];
	/* What the kernel may or may not have: unmaps that it refused, arenas
	 * that were destroyed. */
	struct range maybe[MAX_LIVE];
	uint32_t nr_maybe;

	int err;         /* of the fault */
	uint32_t errors; /* calls and requests that failed */
	uint32_t tries;  /* failures of the call in hand */
	uint32_t wrong;  /* what ought not to be; told on stderr */
	char about[160]; /* the fault, for messages */
};

static inline int is_kernel(const struct run *r)
{
	return r->w->domain.backend != SLUICE_BACKEND_SOFT;
}

void wrong(struct run *r, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

/* After each call of fn: true when it failed for the fault's sake, with an
 * error that its comment lists, and so must be called again, which must not
 * fail. */
bool again(struct run *r, const char *fn, int rc);
/* Before it: a message of another call is none. */
void quiet(void);

/* oracle.c */
struct live *live_new(struct run *r);
void maybe_add(struct run *r, uint64_t iova, uint64_t len);
/* Lanes and fake kernel hold what the oracle says. Nothing in flight. */
void compare(struct run *r, const char *when);

/* requests.c */
/* nr pages at page number page of the test's memory, or every other one. */
void run_map(struct run *r, unsigned lane, uint64_t page, uint32_t nr);
void run_map_sg(struct run *r, unsigned lane, uint64_t page, uint32_t nr);
void run_map_fixed(struct run *r, unsigned lane, uint64_t page, uint32_t nr);
/* The mapping of that page. */
void run_unmap(struct run *r, unsigned lane, uint64_t page);
/* The mappings that begin at nr neighbouring pages, in one burst. */
void run_unmap_row(struct run *r, unsigned lane, uint64_t page, uint32_t nr);
/* Unmaps and maps again before the ticket can pass. */
void run_remap(struct run *r, unsigned lane, uint64_t page);
/* Until nothing is in flight on any lane. */
void run_settle(struct run *r);

/* scenario.c */
void scenario(struct run *r);

#endif
