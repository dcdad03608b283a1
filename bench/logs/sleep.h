/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Views that sleep: a lane polls only the domains where something came lately;
 * who posts to a domain wakes the lanes that sleep on it. So a poll costs what
 * is busy, not what is open. This is the lane's half, its list and its inbox;
 * iotlb/ has the log's half for a log of each domain, and at the end of this
 * file is one for logs that have none. Knows no log: the caller says how to
 * look.
 *
 * The hard case is a lane that falls asleep while somebody posts. The lane
 * sets its bit and then looks at the log once more; the poster advances the
 * log and then looks at the bits. Both sides need a full fence in between: a
 * poster that has just made a locked instruction has it for nothing.
 */
#ifndef SLUICE_BENCH_LOGS_SLEEP_H
#define SLUICE_BENCH_LOGS_SLEEP_H

#include "bench/logs/logs.h"

/* Polls in a row without news before a view sleeps. */
#define SLEEP_AFTER 80

struct sleep_lane {
	_Alignas(APART) au32 woken; /* stack of domains, + 1 */
	_Alignas(APART) uint32_t *awake;
	uint32_t nr_awake;
	uint32_t *idle; /* polls without news, by domain */
	au32 *next;     /* links of woken, by domain */
};

struct sleep {
	struct sleep_lane *lane;
	uint32_t lanes;
};

void sleep_open(struct sleep *s, const struct shape *shape, size_t *sum);
void sleep_close(struct sleep *s);
/* Any thread: the lane shall poll the domain again. Once for each doze(). */
void sleep_wake(struct sleep *s, uint32_t lane, uint32_t domain);

struct sleep_ops {
	/* Reads what is new on one domain; false when nothing was. */
	bool (*look)(void *ctx, uint32_t lane, uint32_t domain);
	/* True: sleep_wake() will be called, or has been. */
	bool (*doze)(void *ctx, uint32_t lane, uint32_t domain);
};

void sleep_poll(struct sleep *s, void *ctx, uint32_t lane,
                const struct sleep_ops *ops);

/* ---- the log's half ---- */

struct sleepers {
	_Alignas(APART) au64 lanes; /* a bit for each */
};

bool sleepers_doze(struct sleepers *d, void *ctx, uint32_t lane,
                   uint32_t domain, const struct sleep_ops *ops);
void sleepers_wake_slow(struct sleepers *d, struct sleep *s, uint32_t domain);
/* After the post, and after a full fence. */
static inline void sleepers_wake(struct sleepers *d, struct sleep *s,
                                 uint32_t domain)
{
	/* seq_cst: against the RMW in sleepers_doze, see above. */
	if (unlikely(ld_sc(&d->lanes)))
		sleepers_wake_slow(d, s, domain);
}

#endif
