/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks over a whole table, breadth-first: the dump that another walker or a
 * reader can follow, the image of it as memory, and the counts. Nobody may
 * change the table meanwhile.
 */
#include "pagetable/pt_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64u

/* Tables in the order in which they are met, each with its place in the dump,
 * aligned to its size. */
struct place {
	const au64 *tbl;
	uint64_t at;
};

struct tour {
	const struct pt *pt;
	struct place *q;
	size_t nr;
	size_t max;
	uint64_t end; /* where the last table ends */
	unsigned top;
	int (*fn)(void *ctx, const struct sluice_pt_word *word);
	void *ctx;
};

static unsigned table_lg2(const struct tour *t, unsigned level)
{
	const struct pt_geo *g = &t->pt->geo;

	if (level == t->top && level == g->top)
		return g->root_lg2;
	return level ? g->table_lg2 : g->leaf_table_lg2;
}

static int place_add(struct tour *t, const au64 *tbl, unsigned level)
{
	unsigned lg2 = table_lg2(t, level);

	if (t->nr == t->max) {
		size_t max = t->max ? 2 * t->max : 64;
		struct place *bigger = realloc(t->q, max * sizeof(*t->q));

		if (!bigger)
			return msg_lit(-ENOMEM, "out of memory for a dump");
		t->q = bigger;
		t->max = max;
	}
	t->q[t->nr].tbl = tbl;
	t->q[t->nr].at = align_up(t->end, lg2);
	t->end = t->q[t->nr++].at + bit64(lg2);
	return 0;
}

/* The first slot from i on that is not empty: most are, so by blocks. */
static unsigned next_used(const struct pt *pt, const au64 *tbl, unsigned i,
                          unsigned slots, unsigned level)
{
	const struct pt_fmt *f = pt->fmt;

	while (i < slots) {
		if (i % BLOCK == 0 && i + BLOCK <= slots &&
		    pt_run_empty(f, pt, &tbl[i], BLOCK, level))
			i += BLOCK;
		else if (pt_load(f, &tbl[i]) == pt_empty(f, level))
			i++;
		else
			break;
	}
	return i;
}

static int tour_table(struct tour *t, size_t n, unsigned level)
{
	const struct pt_fmt *f = t->pt->fmt;
	const au64 *tbl = t->q[n].tbl;
	unsigned slots = pt_slots(f, &t->pt->geo, level, t->top);

	for (unsigned i = next_used(t->pt, tbl, 0, slots, level); i < slots;
	     i = next_used(t->pt, tbl, i + 1, slots, level)) {
		struct sluice_pt_word out = {
		        .table = t->q[n].at,
		        .word = pt_load(f, &tbl[i]),
		        .index = i,
		        .level = level,
		};
		int err;

		if (pt_is_link(f, out.word, level)) {
			err = place_add(t, pt_word_table(f, out.word),
			                level - 1);
			if (err)
				return err;
			out.word &= ~(f->link_addr | f->link_shared |
			              f->link_flushed);
			out.word |= pt_addr_word(f, t->q[t->nr - 1].at);
		}
		err = t->fn(t->ctx, &out);
		if (err)
			return err;
	}
	return 0;
}

static int tour(const struct pt *pt, struct tour *t)
{
	uint64_t root = pt_root_word(pt);
	unsigned level = pt_root_top(root);
	size_t row_end = 1; /* where the tables of this level end */
	int err;

	t->pt = pt;
	t->top = level;
	err = place_add(t, pt_root_table(root), level);
	for (size_t n = 0; !err && n < t->nr; n++) {
		if (n == row_end) {
			level--;
			row_end = t->nr;
		}
		err = tour_table(t, n, level);
	}
	free(t->q);
	return err;
}

int pt_dump(const struct pt *pt,
            int (*fn)(void *ctx, const struct sluice_pt_word *word), void *ctx)
{
	struct tour t = {.fn = fn, .ctx = ctx};

	return tour(pt, &t);
}

struct image {
	const struct pt_fmt *f;
	uint64_t base;
	uint64_t *buf;
	uint64_t words; /* room */
	uint64_t end;   /* words that are written */
	const struct pt_geo *g;
};

static int ignore_word(void *ctx, const struct sluice_pt_word *word)
{
	(void)ctx;
	(void)word;
	return 0;
}

static int put_word(void *ctx, const struct sluice_pt_word *word)
{
	struct image *im = ctx;
	uint64_t at = word->table / sizeof(uint64_t) + word->index;
	uint64_t w = word->word;

	if (pt_is_link(im->f, w, word->level))
		w += pt_addr_word(im->f, im->base);
	if (at < im->words)
		im->buf[at] = pt_order(im->f, w);
	return 0;
}

/* The empty words of a table whose place is known: before anything is put. */
static int put_empty(void *ctx, const struct sluice_pt_word *word)
{
	struct image *im = ctx;
	unsigned level = word->level;
	uint64_t at;
	uint64_t nr;

	if (!pt_is_link(im->f, word->word, level))
		return 0;
	at = pt_word_link(im->f, word->word) / sizeof(uint64_t);
	nr = bit64((level > 1 ? im->g->table_lg2 : im->g->leaf_table_lg2) - 3u);
	for (uint64_t i = at; i < at + nr && i < im->words; i++)
		im->buf[i] = pt_order(im->f, pt_empty(im->f, level - 1));
	return 0;
}

/* Can a link hold this address? */
static bool fits(const struct pt_fmt *f, uint64_t addr)
{
	return pt_word_link(f, pt_addr_word(f, addr)) == addr;
}

int64_t pt_image(const struct pt *pt, uint64_t base, void *buf, uint64_t size)
{
	const struct pt_fmt *f = pt->fmt;
	struct image im = {.f = f,
	                   .g = &pt->geo,
	                   .base = base,
	                   .buf = buf,
	                   .words = size / sizeof(uint64_t)};
	struct tour t = {.fn = ignore_word, .ctx = &im};
	uint64_t bytes;
	unsigned top;
	int err;

	err = tour(pt, &t);
	if (err)
		return err;
	bytes = t.end;
	if (!aligned_lg2(base, pt->geo.root_lg2) || base + bytes - 1 < base ||
	    !fits(f, base) ||
	    !fits(f, align_down(base + bytes - 1, pt->geo.leaf_table_lg2)))
		return msg_lit(-EINVAL,
		               "links cannot hold addresses from this base "
		               "on: use a multiple of the root's size inside "
		               "the format's reach");
	if (!buf)
		return (int64_t)bytes;
	top = t.top;
	memset(buf, 0, min_u64(size, bytes));
	for (uint64_t i = 0; i < bit64(pt->geo.root_lg2 - 3u) && i < im.words;
	     i++)
		im.buf[i] = pt_order(f, pt_empty(f, top));
	t = (struct tour){.fn = put_empty, .ctx = &im};
	err = tour(pt, &t);
	t = (struct tour){.fn = put_word, .ctx = &im};
	if (!err)
		err = tour(pt, &t);
	return err ? err : (int64_t)bytes;
}

static void count_table(const struct pt *pt, const au64 *t, unsigned level,
                        unsigned top, bool shared, struct sluice_pt_stats *s)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	unsigned slots = pt_slots(f, g, level, top);
	uint64_t bytes = bit64(level ? g->table_lg2 : g->leaf_table_lg2);

	if (level == top && level == g->top)
		bytes = bit64(g->root_lg2);
	s->tables++;
	s->table_bytes += bytes;
	if (shared)
		s->shared_bytes += bytes;
	for (unsigned i = 0; i < slots; i++) {
		uint64_t w = pt_load(f, &t[i]);
		unsigned cont;

		if (pt_is_link(f, w, level)) {
			count_table(pt, pt_word_table(f, w), level - 1, top,
			            shared || !pt_is_own_link(f, w, level), s);
		} else if (pt_is_leaf(f, w, level)) {
			cont = pt_word_cont(f, g, w, level);
			if ((i & mask64(cont)) == 0)
				s->leaves[pt_shift(f, g, level) + cont]++;
		}
	}
}

void pt_count(const struct pt *pt, struct sluice_pt_stats *ret_stats)
{
	struct sluice_pt_stats s = {0};
	uint64_t root = pt_root_word(pt);
	unsigned top = pt_root_top(root);

	count_table(pt, pt_root_table(root), top, top, false, &s);
	*ret_stats = s;
}
