/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Deals the actions of a plan to lanes, in the compact form that a timed loop
 * reads. What touches the same pages stays on one lane, in the order of the
 * trace; a chain is everything that hangs together that way. Knows nothing of
 * the engine.
 */
#ifndef SLUICE_TOOLS_REPLAY_DEAL_H
#define SLUICE_TOOLS_REPLAY_DEAL_H

#include "tools/plan.h"

/* As many as an engine takes lanes. */
#define REPLAY_MAX_LANES 256

/* One action. The domain and the operation lie in the low bits of the IOVA,
 * which are zero: 24 bytes stream through a cache, 40 do not. */
struct replay_step {
	uint64_t iova_op;
	uint64_t oa;
	uint64_t len;
};

#define STEP_DOMAIN (PLAN_MAX_DOMAINS - 1)
#define STEP_UNMAP PLAN_MAX_DOMAINS
#define STEP_BITS UINT64_C(0xfff)

static inline uint64_t step_iova(const struct replay_step *s)
{
	return s->iova_op & ~STEP_BITS;
}

static inline uint32_t step_domain(const struct replay_step *s)
{
	return (uint32_t)s->iova_op & STEP_DOMAIN;
}

static inline int step_is_unmap(const struct replay_step *s)
{
	return (s->iova_op & STEP_UNMAP) != 0;
}

/* The share of one lane. */
struct replay_part {
	struct replay_step *step;
	uint32_t *line;  /* of each step, in the trace */
	uint32_t *chain; /* of each step */
	uint32_t *next;  /* the step after it in its chain */
	size_t nr;
	/* Unmaps of what the share leaves mapped. */
	struct replay_step *left;
	size_t nr_left;
};

/* Pages that are dealt together. */
struct replay_span {
	uint64_t first, last; /* closed */
	uint64_t weight;      /* actions */
	uint32_t domain;
	uint32_t part;
};

struct replay_deal {
	uint32_t nr_parts;
	struct replay_part *part;
	struct replay_span *span; /* by domain and address */
	size_t nr_spans;
	uint64_t nr_chains;
	uint64_t largest; /* actions of the largest chain */
	uint64_t fullest; /* actions of the fullest part */
	uint64_t nr;      /* all actions */
};

enum replay_dealing {
	/* Each lane gets a stretch of the address space, as devices and queues
	 * have theirs, so that few lanes write entries of one leaf table that
	 * lie near each other: a processor fetches more than what it uses.
	 * Where that does not balance, only entries in the same two cache lines
	 * stay together. */
	REPLAY_DEAL_RANGES,
	/* Chain by chain, wherever they lie. */
	REPLAY_DEAL_CHAINS,
	/* Each lane gets a device: the i-th the i-th copy. The plan is one of
	 * replay_copies() with a copy for each part. */
	REPLAY_DEAL_COPIES,
	REPLAY_DEALINGS
};

/* "ranges", "chains", "copies". */
const char *replay_deal_name(enum replay_dealing how);

/* Owner of a page: a part, or this. */
#define REPLAY_NOBODY UINT32_MAX

/* 0, or -ENOMEM with nothing to free. */
int replay_deal(const struct plan *p, uint32_t parts, enum replay_dealing how,
                struct replay_deal *ret);
void replay_deal_free(struct replay_deal *d);

uint32_t replay_deal_owner(const struct replay_deal *d, uint32_t domain,
                           uint64_t iova);

/**
 * replay_copies() - the same plan for several devices at a time, each with its
 * own part of the address space, an event of each in turn.
 *
 * Only what a replay reads is filled: actions, what is left, domains. Returns:
 * 0, -ENOMEM, -ERANGE when so many do not fit in TRACE_IOVA_BITS.
 */
int replay_copies(const struct plan *p, uint32_t copies, struct plan *ret);

#endif
