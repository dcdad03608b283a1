/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looks over a whole table, breadth-first: the dump that another walker or a
 * reader can follow, and the counts. Nobody may change the table meanwhile.
 */
#include "pagetable/pt_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Tables in the order in which they are met: the place in this list is the
 * place in the dump. */
struct queue {
	const au64 **tbl;
	size_t nr;
	size_t max;
};

static int queue_add(struct queue *q, const au64 *tbl)
{
	if (q->nr == q->max) {
		size_t max = q->max ? 2 * q->max : 64;
		const au64 **bigger = realloc(q->tbl, max * sizeof(*q->tbl));

		if (!bigger)
			return msg_lit(-ENOMEM, "out of memory for a dump");
		q->tbl = bigger;
		q->max = max;
	}
	q->tbl[q->nr++] = tbl;
	return 0;
}

static int dump_table(const struct pt_fmt *f, struct queue *q, size_t place,
                      unsigned level,
                      int (*fn)(void *, const struct sluice_pt_word *),
                      void *ctx)
{
	const au64 *t = q->tbl[place];

	for (unsigned i = 0; i < PT_SLOTS; i++) {
		struct sluice_pt_word out = {
		        .table = (uint64_t)place * PAGEPOOL_PAGE,
		        .word = ld_rlx(&t[i]),
		        .index = i,
		        .level = level,
		};
		int err;

		if (!out.word)
			continue;
		if (pt_is_link(f, out.word, level)) {
			err = queue_add(q, pt_word_table(out.word));
			if (err)
				return err;
			out.word &= ~PT_ADDR;
			out.word |= (uint64_t)(q->nr - 1) * PAGEPOOL_PAGE;
		}
		err = fn(ctx, &out);
		if (err)
			return err;
	}
	return 0;
}

int pt_dump(const struct pt *pt,
            int (*fn)(void *ctx, const struct sluice_pt_word *word), void *ctx)
{
	struct queue q = {0};
	unsigned level = pt->ops->top;
	size_t row_end = 1; /* where the tables of this level end */
	int err = queue_add(&q, pt->root);

	for (size_t place = 0; !err && place < q.nr; place++) {
		if (place == row_end) {
			level--;
			row_end = q.nr;
		}
		err = dump_table(pt->ops->fmt, &q, place, level, fn, ctx);
	}
	free(q.tbl);
	return err;
}

static void count_table(const struct pt_fmt *f, const au64 *t, unsigned level,
                        struct sluice_pt_stats *s)
{
	s->table_bytes += PAGEPOOL_PAGE;
	for (unsigned i = 0; i < PT_SLOTS; i++) {
		uint64_t w = ld_rlx(&t[i]);

		if (pt_is_leaf(f, w, level))
			s->leaves[level]++;
		else if (pt_is_link(f, w, level))
			count_table(f, pt_word_table(w), level - 1, s);
	}
}

void pt_count(const struct pt *pt, struct sluice_pt_stats *ret_stats)
{
	struct sluice_pt_stats s = {0};

	count_table(pt->ops->fmt, pt->root, pt->ops->top, &s);
	*ret_stats = s;
}
