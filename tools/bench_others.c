/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is measured beside sluice: the naive way, and the packages of others as
 * yardstick/ways.h offers them. Chooses, opens, and maps their working sets;
 * what is timed is in the loops.
 */
#include "tools/bench.h"

#include "yardstick/ways.h"
#include "yardstick/yardstick.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAIVE "naive"
/* IOVAs of others: 1 TiB for each thread, from 1 TiB on; the working set in the
 * upper half. */
#define THREAD_LG2 40
#define SET_AT (UINT64_C(1) << (THREAD_LG2 - 1))

void bench_others_list(FILE *to)
{
	unsigned nr;
	const struct way *way = ways_all(&nr);

	for (unsigned i = 0; i < nr; i++)
		fprintf(to, "%s%s", i ? ", " : "", way[i].name);
}

/* Why a way cannot stand beside these options, or NULL. */
static const char *unfit(const struct bench_opts *o, const struct way *way)
{
	if (o->backend != SLUICE_BACKEND_SOFT)
		return "nothing is as safe as a kernel backend: --against is "
		       "for --backend soft";
	if (o->mode == BENCH_ARENA && strcmp(way->name, NAIVE))
		return "only the naive way has arenas";
	return NULL;
}

static int add_all(struct bench_opts *o)
{
	unsigned nr;
	const struct way *way = ways_all(&nr);

	for (unsigned i = 0; i < nr && o->nr_others < BENCH_MAX_OTHERS; i++)
		if (!unfit(o, &way[i]))
			o->other[o->nr_others++] = &way[i];
	return TOOL_OK;
}

static int add_one(struct bench_opts *o, const char *name)
{
	const struct way *way = ways_find(name);
	const char *why;
	unsigned nr;

	if (!way) {
		fprintf(stderr,
		        "sluice bench: --against: no \"%s\" here; built are ",
		        name);
		bench_others_list(stderr);
		fputs("; all and none go alone\n", stderr);
		return TOOL_USAGE;
	}
	why = unfit(o, way);
	if (why)
		return tool_usage(BENCH_CMD, "--against %s: %s", name, why);
	for (nr = 0; nr < o->nr_others; nr++)
		if (o->other[nr] == way)
			return tool_usage(BENCH_CMD, "--against: %s twice",
			                  name);
	if (nr == BENCH_MAX_OTHERS)
		return tool_usage(BENCH_CMD, "--against: at most %d at a time",
		                  BENCH_MAX_OTHERS);
	o->other[o->nr_others++] = way;
	return TOOL_OK;
}

int bench_others_choose(struct bench_opts *o)
{
	char *list, *at, *name;
	int rc = TOOL_OK;

	if (!o->against || !strcmp(o->against, "all"))
		return add_all(o);
	if (!strcmp(o->against, "none"))
		return TOOL_OK;
	list = at = strdup(o->against);
	if (!list)
		return tool_failed(BENCH_CMD, "no memory");
	while (!rc && (name = strsep(&at, ",")))
		rc = add_one(o, name);
	free(list);
	return rc;
}

int bench_others_try(struct bench_opts *o)
{
	int named = o->against && strcmp(o->against, "all");
	uint32_t nr = 0;

	for (uint32_t i = 0; i < o->nr_others; i++) {
		const struct way *way = o->other[i];
		void *state = way->open(1);

		if (state) {
			way->close(state);
			o->other[nr++] = way;
			continue;
		}
		if (named)
			return tool_failed(BENCH_CMD,
			                   "%s cannot work on this machine: "
			                   "leave it out of --against",
			                   way->name);
		fprintf(stderr,
		        "sluice bench: %s cannot work on this machine and is "
		        "left out\n",
		        way->name);
	}
	o->nr_others = nr;
	return TOOL_OK;
}

/* Room for the working set and a round, of all threads. */
static uint64_t max_pages(const struct bench_rig *rig)
{
	const struct bench_worker *w = rig->worker;

	return rig->threads * (w->nr_bufs + rig->opts->depth) *
	       rig->opts->granule;
}

int bench_others_open(struct bench_rig *rig)
{
	for (uint32_t i = 0; i < rig->opts->nr_others; i++) {
		struct bench_other *o = &rig->other[i];

		o->way = rig->opts->other[i];
		o->is_naive = !strcmp(o->way->name, NAIVE);
		if (o->is_naive)
			o->naive = naive_new();
		else
			o->state = o->way->open(max_pages(rig));
		if (!o->naive && !o->state)
			return tool_failed(BENCH_CMD,
			                   "%s has no room for %llu pages: "
			                   "choose a smaller --working-set or "
			                   "--against without it",
			                   o->way->name,
			                   (unsigned long long)max_pages(rig));
	}
	return 0;
}

void bench_others_close(struct bench_rig *rig)
{
	for (uint32_t i = 0; i < rig->opts->nr_others; i++) {
		struct bench_other *o = &rig->other[i];

		naive_free(o->naive);
		if (o->state)
			o->way->close(o->state);
	}
}

uint64_t bench_other_iova(const struct bench_worker *w, uint64_t buf)
{
	return ((uint64_t)(w->id + 1) << THREAD_LG2) +
	       buf * w->rig->opts->granule * SLUICE_PAGE_SIZE;
}

void bench_other_enter(struct bench_worker *w, uint32_t nr)
{
	struct bench_other *o = &w->rig->other[nr];

	if (!o->is_naive)
		o->way->thread_enter(o->state);
}

void bench_other_leave(struct bench_worker *w, uint32_t nr)
{
	struct bench_other *o = &w->rig->other[nr];

	if (!o->is_naive)
		o->way->thread_leave(o->state);
}

static int fill(struct bench_worker *w, const struct bench_other *o,
                uint64_t *set)
{
	uint64_t len = (uint64_t)w->rig->opts->granule * SLUICE_PAGE_SIZE;
	int rc = 0;

	for (uint64_t i = 0; i < w->nr_bufs && !rc; i++) {
		uint64_t va = (uint64_t)w->mem + i * w->stride;

		set[i] = bench_other_iova(w, i) + SET_AT;
		rc = o->is_naive ? naive_map(o->naive, va, len, w->rig->prot,
		                             &set[i])
		                 : o->way->map(o->state, set[i], va, len,
		                               w->rig->prot);
	}
	return rc;
}

int bench_others_fill(struct bench_worker *w, uint32_t nr)
{
	const struct bench_other *o = &w->rig->other[nr];
	uint64_t *set = calloc(w->nr_bufs, sizeof(*set));
	int rc;

	if (!set)
		return bench_error(w, "the working set", -ENOMEM);
	w->set[1 + nr] = set;
	bench_other_enter(w, nr);
	rc = fill(w, o, set);
	bench_other_leave(w, nr);
	return rc ? bench_error(w, o->way->name, rc) : 0;
}
