/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the events of a trace to what each domain must do. A kernel trace does
 * not print domains; the plan finds them by consistency (an IOVA mapped twice
 * without an unmap in between belongs to two domains) and accounts for every
 * event. It knows nothing of the engine.
 */
#ifndef SLUICE_TOOLS_PLAN_H
#define SLUICE_TOOLS_PLAN_H

#include "tools/trace.h"

/* More devices than a trace of one machine plausibly has; a trace that needs
 * more has lost unmaps. */
#define PLAN_MAX_DOMAINS 64

struct plan_action {
	uint64_t iova;
	uint64_t len;
	uint64_t oa; /* map only */
	uint32_t line;
	uint16_t domain;
	uint16_t op; /* enum trace_op */
};

struct plan_domain {
	uint64_t maps, unmaps; /* events */
	uint64_t mapped_pages, unmapped_pages, left_pages;
};

/* maps = sum over domains; unmaps = sum over domains + unmatched. */
struct plan {
	struct plan_action *act;
	size_t nr, room;
	/* Unmaps of all that the trace leaves mapped, so that a replay can
	 * begin again. */
	struct plan_action *left;
	size_t nr_left, room_left;
	uint32_t nr_domains;
	struct plan_domain domain[PLAN_MAX_DOMAINS];
	uint64_t unmatched_unmaps; /* nothing of the range was mapped */
	uint64_t partial_unmaps;   /* a part of the range was not mapped */
	uint64_t split_unmaps;     /* the range spread over domains */
	uint64_t left_pages;
	uint64_t last_iova; /* highest address used */
};

/**
 * plan_make() - assign every event of a trace to a domain.
 *
 * Returns: 0; -errno with err filled.
 */
int plan_make(const char *name, const struct trace *t, struct plan *ret,
              struct trace_error *err);
void plan_free(struct plan *p);

#endif
