/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path of the engine for bench/count.c: operations on lanes, views and
 * what hangs on them, through the public API, each as the timed cases do it.
 * They turn callgrind's collection on around what counts. Knows no label.
 */
#ifndef SLUICE_BENCH_COUNT_ENGINE_H
#define SLUICE_BENCH_COUNT_ENGINE_H

#include "bench/rig.h"

#include <stddef.h>
#include <valgrind/callgrind.h>

#define LARGE (UINT64_C(1) << 21)
#define VA UINT64_C(0x7f0000001000)       /* 4 KiB leaves only */
#define VA_LARGE UINT64_C(0x7f0000000000) /* aligned for large leaves */
#define ENG_PAGES 8192u
#define ENG_IDLE 1000u

/* Operations between two polls, where there are any. */
#define ENG_BURST 64u

struct eng_set {
	struct rig rig;
	struct sluice_lane *other_lane; /* translates in the same domain */
	struct sluice_view *other;
	struct sluice_arena *arena;
	struct sluice_ring *ring;
	struct sluice_domain *idle[ENG_IDLE];
	struct sluice_view *idle_view[ENG_IDLE];
	uint32_t slot;
	uint64_t zero;            /* 0, but the compiler does not know */
	uint64_t addr[ENG_PAGES]; /* in the order of use */
};

struct eng_op {
	const char *name;
	struct eng_set *(*open)(void);
	void (*run)(struct eng_set *s, uint64_t n);
	uint64_t few, many; /* n: multiples of ENG_BURST */
	/* Is it what its name says? A counter of the domain, and by how much
	 * each ENG_BURST operations must move it. */
	size_t stat; /* offset in struct sluice_domain_stats */
	uint64_t each;
};

#define ENG_STAT(name) offsetof(struct sluice_domain_stats, name)

/* By file; each ends with one that has no name. */
extern const struct eng_op eng_translate_ops[];
extern const struct eng_op eng_map_ops[];
extern const struct eng_op eng_lane_ops[];

/* A lane with a view on a domain; NULL: of the default kind. */
struct eng_set *eng_open(const struct sluice_domain_cfg *cfg);
struct eng_set *eng_open_plain(void);
void eng_close(struct eng_set *s);

/* n operations. Ends the program when they are not those of the name. */
void eng_once(const struct eng_op *op, struct eng_set *s, uint64_t n);

/* Ten instructions or so are counted with what is between two of these. */
static inline void eng_tick(void)
{
	CALLGRIND_TOGGLE_COLLECT;
}

#endif
