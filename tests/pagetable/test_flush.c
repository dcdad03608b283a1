/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables for walkers that do not snoop: random operations on two tables that
 * share memory and subtrees, in every geometry of a format, seen through
 * memory that holds only lines which were written back (shadow.h). At any
 * write-back the walker sees each unit as it was or as it will be, and after
 * each call what the model says, word for word what the CPU sees. Then the
 * same play with one write-back forgotten must fail. SLUICE_FLUSH_OPS and
 * SLUICE_SEED as in test_play.c. Argument: the name of the format.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flush_game.h"

#define POOL ((uint64_t)64 << 20)
#define DEFAULT_OPS 24000u
#define MUTANTS 48u

struct total {
	uint64_t ops, lines, distinct, changed;
};

static struct game *playing;
static struct total total;

void give_up(const char *file, int line, const char *what)
{
	const char *name = strrchr(file, '/');

	fprintf(stderr,
	        "%s:%d: %s\nshape %s, unit 2^%u, operation %" PRIu64
	        " (%s): %s\n",
	        name ? name + 1 : file, line, what, playing->shape->name,
	        playing->m[0].unit_lg2, playing->ops, playing->doing,
	        msg_last());
	_exit(1);
}

static bool same_unit(const struct unit *u, uint64_t oa, uint32_t prot)
{
	return u->prot == prot && u->oa == oa;
}

/* An item of a leaf: each unit as it was or as it is recorded now. */
static bool see_item(void *ctx, const struct pt_run *item, unsigned size_lg2)
{
	struct game *g = ctx;
	const struct model *m = &g->m[g->at];
	uint64_t i = (item->iova - m->base) >> m->unit_lg2;
	uint64_t n = ((item->last - item->iova) >> m->unit_lg2) + 1;
	uint64_t oa = item->oa;

	if (item->iova < m->base || i + n > m->nr)
		return false;
	for (; n; n--, i++, oa += bit64(m->unit_lg2)) {
		const struct unit *now = &m->unit[i];
		const struct unit *old = &g->old[g->at][i];

		if (g->after) {
			if (!same_unit(now, oa, item->prot) ||
			    now->size_lg2 != size_lg2)
				return false;
			g->found++;
			continue;
		}
		if (!same_unit(now, oa, item->prot) &&
		    !same_unit(old, oa, item->prot))
			return false;
		g->found += now->prot && old->prot;
	}
	return true;
}

static void look(struct game *g, unsigned side, bool after)
{
	const struct pt *pt = g->pt[side]->pt;
	const char *wrong;
	uint64_t want = 0;

	g->at = side;
	g->after = after;
	g->found = 0;
	wrong = shadow_scan(pt, g->root[side], after, see_item, g);
	if (wrong)
		fprintf(stderr, "table %u, %s: %s\n", side,
		        after ? "after" : "meanwhile", wrong);
	CHECK(!wrong);
	for (uint64_t i = 0; i < UNITS; i++)
		want += g->m[side].unit[i].prot &&
		        (after || g->old[side][i].prot);
	/* What was and stays is never absent, unless the format breaks. */
	CHECK(g->found == want || (!after && pt->fmt->bbm && g->found < want));
}

/* What is to be invalidated must have been written back: the walker would read
 * it again. */
static void told(void *ctx, sluice_iova_t iova, uint64_t len)
{
	const struct side *s = ctx;
	struct game *g = s->game;
	const struct model *m = &g->m[s->t];
	const struct pt *pt = g->pt[s->t]->pt;
	uint64_t root = g->root[s->t];

	for (uint64_t i = 0; i < UNITS; i++) {
		uint64_t at = model_iova(m, i);
		uint64_t folded = at & pt->geo.max_iova;
		au64 *table;
		struct pt_run a;
		struct pt_run b;
		int err;

		if ((at - iova >= len && iova - at >= bit64(m->unit_lg2)) ||
		    !pt_in_reach(pt->fmt, &pt->geo, folded, pt_root_top(root)))
			continue;
		err = pt->ops->walk(pt, folded, &a, &table);
		CHECK(shadow_walk(pt, root, folded, &b) == err);
		CHECK(err || (a.iova == b.iova && a.last == b.last &&
		              a.oa == b.oa && a.prot == b.prot));
	}
}

/* Around each write-back. */
static void meanwhile(void *ctx, bool after)
{
	struct game *g = ctx;

	if (!after) {
		if (g->evicting && rnd_below(&g->seed, 4) == 0)
			shadow_evict(&g->seed);
		return;
	}
	if (g->looks == 0 || (g->looks < 3 && rnd_below(&g->seed, 8)))
		return;
	g->looks--;
	look(g, 0, false);
	look(g, 1, false);
}

/*
 * What an operation wrote back. What an unmap clears is one run of words in
 * each table, and two may meet in a line. Others work slot by slot or size by
 * size: no line goes more often than each of its words twice and once more when
 * its table is new.
 */
static void count(const struct game *g)
{
	struct shadow_count c = shadow_counts();
	uint64_t most = strcmp(g->doing, "unmap") == 0 ? 2 : 17;

	CHECK(c.outside == 0);
	CHECK(c.most <= most);
	total.ops++;
	total.lines += c.lines;
	total.distinct += c.distinct;
	total.changed += c.changed;
}

static void step(struct game *g)
{
	for (unsigned t = 0; t < 2; t++) {
		memcpy(g->old[t], g->m[t].unit, UNITS * sizeof(*g->old[t]));
		g->root[t] = pt_root_word(g->pt[t]->pt);
	}
	g->looks = 4;
	g->evicting = rnd_below(&g->seed, 16) == 0;
	shadow_begin();
	shadow_hook(meanwhile, g);
	random_op(g, rnd_below(&g->seed, 2) != 0);
	shadow_hook(NULL, NULL);
	count(g);
	g->ops++;
	for (unsigned t = 0; t < 2; t++) {
		g->root[t] = pt_root_word(g->pt[t]->pt);
		look(g, t, true);
	}
}

/* A table as high as the other: that of amdv1 grows. */
static void grow_to(struct sluice_pt *pt, unsigned levels)
{
	struct sluice_pt_info info;

	for (;;) {
		uint64_t at;

		sluice_pt_get_info(pt, &info);
		if (info.levels == levels)
			return;
		at = bit64(12 + 9 * info.levels);
		CHECK(sluice_pt_map(pt, at, 0, 4096, SLUICE_RW) == 0);
		CHECK(sluice_pt_unmap(pt, at, 4096, NULL, NULL) == 4096);
	}
}

static int keep_word(void *ctx, const struct sluice_pt_word *w)
{
	struct sluice_pt_word **at = ctx;

	*(*at)++ = *w;
	return 0;
}

/* The memory alone is the table: another one that is loaded from it means, to
 * the decoder of the format, what is recorded. One that is loaded from words is
 * written back as well. */
static void check_whole(struct game *g, unsigned t)
{
	static struct sluice_pt_word words[1u << 17];
	struct sluice_pt_word *at = words;
	struct sluice_pt_config cfg = g->cfg;
	struct sluice_pt *pt = g->pt[t];
	struct sluice_pt *kept = pt;
	struct sluice_pt *again;
	struct sluice_pt_info info;
	const char *wrong;

	g->doing = "load";
	cfg.flags &= ~SLUICE_PT_NONCOHERENT;
	sluice_pt_get_info(pt, &info);
	CHECK(sluice_pt_create(&cfg, &again) == 0);
	grow_to(again, info.levels);
	CHECK(sluice_pt_load_image(again, shadow_base(), shadow_memory(), POOL,
	                           (uintptr_t)pt_root_table(g->root[t])) == 0);
	wrong = model_decode(&g->m[t], again, &cfg);
	if (wrong)
		fprintf(stderr, "decoder: %s\n", wrong);
	CHECK(!wrong);
	sluice_pt_destroy(again);
	CHECK(sluice_pt_reclaim(pt, g->m[t].base, UNITS << g->m[t].unit_lg2) >=
	      0);
	look(g, t, true);
	CHECK(sluice_pt_dump(pt, keep_word, &at) == 0);
	CHECK(sluice_pt_create_beside(pt, NULL, &again) == 0);
	CHECK(sluice_pt_load(again, words, (uint64_t)(at - words)) == 0);
	g->pt[t] = again;
	g->root[t] = pt_root_word(again->pt);
	look(g, t, true);
	g->pt[t] = kept;
	g->root[t] = pt_root_word(kept->pt);
	sluice_pt_destroy(again);
}

/* Windows at the lower end, across borders of upper tables, and at the end. */
static uint64_t window(const struct game *g, unsigned unit_lg2, unsigned which)
{
	uint64_t len = UNITS << unit_lg2;
	bool sign = (g->cfg.flags & SLUICE_PT_SIGNED) != 0;

	if (which == 0)
		return 0;
	if (which == 1)
		return g->info.max_iova / 2 + 1 - len / 2;
	return (sign ? UINT64_MAX : g->info.max_iova) - len + 1;
}

static void play_open(struct game *g, unsigned unit_lg2, unsigned which)
{
	for (unsigned t = 0; t < 2; t++) {
		model_init(&g->m[t], &g->cfg, g->info.leaf_sizes,
		           window(g, unit_lg2, which), unit_lg2, UNITS);
		g->old[t] = calloc(UNITS, sizeof(*g->old[t]));
		CHECK(g->old[t]);
	}
}

static void play(const struct shape *shape, unsigned unit_lg2, unsigned which,
                 uint64_t ops, uint64_t seed, uint64_t drop)
{
	struct game g = {.shape = shape, .seed = seed, .doing = "create"};

	playing = &g;
	g.cfg = shape->cfg;
	g.cfg.flags |= SLUICE_PT_NONCOHERENT;
	g.cfg.max_bytes = POOL;
	g.cfg.invalidate = told;
	g.cfg.ctx = &g.side[0];
	g.side[0] = (struct side){&g, 0};
	g.side[1] = (struct side){&g, 1};
	shadow_open(POOL);
	shadow_drop(drop);
	CHECK(sluice_pt_create(&g.cfg, &g.pt[0]) == 0);
	sluice_pt_get_info(g.pt[0], &g.info);
	CHECK(sluice_pt_create_beside(g.pt[0], &g.side[1], &g.pt[1]) == 0);
	play_open(&g, unit_lg2, which);
	for (uint64_t i = 0; i < ops; i++) {
		step(&g);
		if (i % 256 == 99) {
			check_whole(&g, 0);
			check_whole(&g, 1);
		}
	}
	for (unsigned t = 0; t < 2; t++) {
		model_done(&g.m[t]);
		free(g.old[t]);
		sluice_pt_destroy(g.pt[t]);
	}
	shadow_close();
}

/* Leaf sizes by themselves: the page, and those that are not contiguous entries
 * of it. 0: walkers of this format snoop. */
static unsigned units_of(const struct shape *shape, unsigned *unit)
{
	struct sluice_pt_config cfg = shape->cfg;
	struct sluice_pt_info info;
	struct sluice_pt *pt;
	unsigned nr = 0;

	cfg.flags |= SLUICE_PT_NO_CONTIG | SLUICE_PT_NONCOHERENT;
	shadow_open(POOL);
	if (sluice_pt_create(&cfg, &pt) == 0) {
		sluice_pt_get_info(pt, &info);
		sluice_pt_destroy(pt);
		for (unsigned lg2 = 0; lg2 < 64 && nr < 3; lg2++)
			if (info.leaf_sizes >> lg2 & 1 &&
			    info.max_iova >> lg2 >= UNITS &&
			    info.max_oa >> lg2 >= UNITS)
				unit[nr++] = lg2;
	}
	shadow_close();
	return nr;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* All games of a format; the number of them. */
static unsigned games(int format, uint64_t ops, uint64_t seed)
{
	unsigned nr = 0;
	unsigned unit[3];

	for (unsigned k = 0; k < nr_shapes; k++) {
		unsigned n = (int)shapes[k].cfg.format == format
		                     ? 3 * units_of(&shapes[k], unit)
		                     : 0;

		for (unsigned u = 0; ops && u < n; u++)
			play(&shapes[k], unit[u / 3], u % 3, ops,
			     seed * 1000003 + k * 64 + u, 0);
		nr += n;
	}
	return nr;
}

/* A game with one write-back forgotten, in a process of its own. */
static bool caught(const struct shape *shape, unsigned unit_lg2, uint64_t drop)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(3);
		play(shape, unit_lg2, 0, 512, drop, drop);
		_exit(shadow_dropped() ? 0 : 2);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) > 1)
		abort();
	return WEXITSTATUS(status) == 1;
}

/* Not every one is missed: a leaf may be gone again, or its table, before the
 * call that put it there returns. Most are. */
static int self_check(int format)
{
	unsigned missed = 0;
	unsigned unit[3];
	unsigned nr;

	for (unsigned k = 0; k < nr_shapes; k++) {
		if ((int)shapes[k].cfg.format != format)
			continue;
		nr = units_of(&shapes[k], unit);
		if (nr == 0)
			continue;
		for (unsigned n = 1; n <= MUTANTS; n++)
			missed += caught(&shapes[k], unit[n % nr], n);
		break;
	}
	printf("%u of %u forgotten write-backs were noticed\n", missed,
	       MUTANTS);
	return missed < MUTANTS * 3 / 4;
}

int main(int argc, char **argv)
{
	int format = sluice_pt_format_by_name(argc > 1 ? argv[1] : "");
	uint64_t ops = number("SLUICE_FLUSH_OPS", DEFAULT_OPS);
	uint64_t seed = number("SLUICE_SEED", 20261121);
	unsigned nr = format < 0 ? 0 : games(format, 0, 0);

	if (nr == 0) {
		fprintf(stderr, "%s\n", msg_last());
		return 2;
	}
	games(format, ops / nr + 1, seed);
	printf("%s: %u games, %" PRIu64 " operations; lines written back: "
	       "%" PRIu64 ", different ones %" PRIu64 ", changed %" PRIu64 "\n",
	       argv[1], nr, total.ops, total.lines, total.distinct,
	       total.changed);
	fflush(stdout);
	return self_check(format);
}
