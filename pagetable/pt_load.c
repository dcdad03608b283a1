/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From words or memory of someone else to a table of ours. Every word is
 * hostile: it goes in only if this table could have written it, and a table is
 * entered only once, so what comes in is a tree of known depth. Knows bits
 * through pt_explain().
 */
#include "pagetable/pt_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pagetable/pt_map.h"

struct load {
	struct pt *pt;
	struct pagecache *pc;
	const struct sluice_pt_word *word; /* sorted by table, then index */
	uint64_t nr;
	uint64_t used;
	unsigned top;
};

static int bad_word(const struct sluice_pt_word *w, const char *why)
{
	return msg_fmt(-EINVAL,
	               "word 0x%" PRIx64 " (level %" PRIu32 ", index %" PRIu32
	               ", table 0x%" PRIx64 "): %s",
	               w->word, w->level, w->index, w->table, why);
}

static int by_place(const void *va, const void *vb)
{
	const struct sluice_pt_word *a = va;
	const struct sluice_pt_word *b = vb;

	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* First word of a table in the sorted list. */
static uint64_t find_table(const struct load *l, uint64_t table)
{
	uint64_t lo = 0;
	uint64_t hi = l->nr;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (l->word[mid].table < table)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Slots that addresses of this table can reach. */
static unsigned slots_of(const struct load *l, unsigned level)
{
	const struct pt *pt = l->pt;
	uint64_t by_width =
	        pt->geo.max_iova >> pt_shift(pt->fmt, &pt->geo, level);

	return (unsigned)min_u64(pt_slots(pt->fmt, &pt->geo, level, l->top),
	                         level == l->top ? by_width + 1 : UINT64_MAX);
}

static int load_table(struct load *l, au64 *t, uint64_t at, unsigned level);

static int load_link(struct load *l, au64 *slot, const struct sluice_pt_word *w,
                     uint64_t below)
{
	struct pt *pt = l->pt;
	unsigned lg2 =
	        w->level > 1 ? pt->geo.table_lg2 : pt->geo.leaf_table_lg2;
	bool mine;
	uint64_t link;
	int err;

	if (below == 0 || !aligned_lg2(below, lg2))
		return bad_word(w, "links to no place of a table");
	link = pt_link_table(pt->fmt, pt, l->pc, slot, w->level, &mine);
	if (link == pt_empty(pt->fmt, w->level))
		return pt_no_memory();
	err = load_table(l, pt_word_table(pt->fmt, link), below, w->level - 1);
	if (err || !pt->geo.flush)
		return err;
	pt_flush(pt, pt_word_table(pt->fmt, link), bit64(lg2 - 3u));
	pt_link_written(pt->fmt, pt, slot);
	return 0;
}

/* All items of an entry must be there, and alike. */
static int check_entry(const struct load *l, uint64_t i, uint32_t items)
{
	const struct pt *pt = l->pt;
	const struct pt_fmt *f = pt->fmt;
	const struct sluice_pt_word *w = &l->word[i];
	uint64_t step = pt_step(f, &pt->geo, w->level);
	uint64_t marks = f->accessed | (pt->geo.dirty_on ? f->dirty : 0);
	struct sluice_pt_meaning m;

	if (w->index % items || l->nr - i < items)
		return bad_word(w, "begins no whole contiguous entry");
	(void)pt_explain(pt, w->word, w->level, &m);
	if (!aligned_lg2(m.oa, lg2_floor(m.len)))
		return bad_word(w, "a contiguous entry at a crooked address");
	for (uint32_t k = 1; k < items; k++) {
		uint64_t want = w->word;

		if (f->cont == PT_CONT_BIT)
			want += k * step;
		if (w[k].table != w->table || w[k].index != w->index + k ||
		    w[k].level != w->level || ((w[k].word ^ want) & ~marks))
			return bad_word(&w[k], "does not continue its entry");
	}
	return 0;
}

static int load_word(struct load *l, au64 *t, uint64_t i, unsigned level,
                     uint32_t *ret_items)
{
	const struct sluice_pt_word *w = &l->word[i];
	const struct pt_fmt *f = l->pt->fmt;
	struct sluice_pt_meaning m;

	*ret_items = 1;
	if (w->level != level || w->index >= slots_of(l, level))
		return bad_word(w, "is at no place of this table");
	if (i && w[-1].table == w->table && w[-1].index == w->index)
		return bad_word(w, "is there twice");
	pt_explain(l->pt, w->word, level, &m);
	if (m.kind == SLUICE_PT_EMPTY && !m.unknown)
		return 0;
	if (m.unknown || m.kind == SLUICE_PT_EMPTY ||
	    m.kind == SLUICE_PT_INVALID)
		return msg_fmt(
		        -EINVAL,
		        "word 0x%" PRIx64 " (level %" PRIu32 ", index %" PRIu32
		        ", table 0x%" PRIx64 "): bits 0x%" PRIx64
		        " are not as this table would have them",
		        w->word, w->level, w->index, w->table, m.unknown);
	if (m.kind == SLUICE_PT_LINK)
		return load_link(l, &t[w->index], w, m.oa);
	if (m.items > 1) {
		int err = check_entry(l, i, m.items);

		if (err)
			return err;
		*ret_items = m.items;
	}
	for (uint32_t k = 0; k < m.items; k++)
		pt_store(f, &t[w->index + k], w[k].word);
	return 0;
}

static int load_table(struct load *l, au64 *t, uint64_t at, unsigned level)
{
	uint64_t i = find_table(l, at);
	uint32_t items;

	for (; i < l->nr && l->word[i].table == at; i += items) {
		int err;

		/* Each word once: a table with two links would take more. */
		if (l->used >= l->nr)
			return bad_word(&l->word[i], "hangs below two links");
		l->used++;
		err = load_word(l, t, i, level, &items);
		if (err)
			return err;
		l->used += items - 1;
	}
	return 0;
}

static int load_sorted(struct load *l)
{
	struct pt *pt = l->pt;
	struct pt_freed freed = {0};
	uint64_t root = pt_root_word(pt);
	int err;

	if (l->nr && l->word[0].table == 0)
		while (l->word[0].level > pt_root_top(root) &&
		       !pt_in_reach(pt->fmt, &pt->geo, pt->geo.max_iova,
		                    pt_root_top(root))) {
			if (pt_grow_one(pt, l->pc, root))
				return pt_no_memory();
			root = pt_root_word(pt);
		}
	l->top = pt_root_top(root);
	/* A root that has grown links to the old, empty one. */
	pt_empty_root(pt, &freed);
	err = load_table(l, pt_root_table(root), 0, l->top);
	if (!err && l->used < l->nr)
		err = msg_fmt(-EINVAL,
		              "%" PRIu64 " of %" PRIu64
		              " words hang below no link",
		              l->nr - l->used, l->nr);
	if (err)
		pt_empty_root(pt, &freed);
	pt_free_list(pt, &freed, l->pc);
	pt_flush(pt, pt_root_table(root),
	         pt_slots(pt->fmt, &pt->geo, l->top, l->top));
	return err;
}

int pt_load_words(struct pt *pt, struct pagecache *pc,
                  const struct sluice_pt_word *word, uint64_t nr)
{
	struct sluice_pt_word *sorted;
	struct load l = {.pt = pt, .pc = pc, .nr = nr};
	int err;

	if (!pt_is_empty(pt))
		return msg_lit(-EEXIST, "the table is not empty: load into a "
		                        "new one");
	if (nr == 0)
		return 0;
	if (nr > SIZE_MAX / sizeof(*sorted))
		return msg_lit(-ENOMEM, "too many words");
	sorted = malloc(nr * sizeof(*sorted));
	if (!sorted)
		return msg_lit(-ENOMEM, "out of memory for the words");
	memcpy(sorted, word, nr * sizeof(*sorted));
	qsort(sorted, nr, sizeof(*sorted), by_place);
	l.word = sorted;
	err = load_sorted(&l);
	free(sorted);
	return err;
}

/* A walk over memory that collects the words of a dump. */
struct scan {
	struct pt *pt;
	const uint8_t *buf;
	uint64_t base, size;
	uint8_t *seen; /* a bit for each 2 KiB that a table begins at */
	struct sluice_pt_word *word;
	uint64_t nr, max;
	uint64_t end;   /* where the next table of the dump goes */
	uint64_t bytes; /* of all tables that were read */
};

#define SEEN_LG2 11u

static int scan_add(struct scan *s, struct sluice_pt_word w)
{
	if (s->nr == s->max) {
		uint64_t max = s->max ? 2 * s->max : 256;
		struct sluice_pt_word *bigger =
		        realloc(s->word, max * sizeof(*bigger));

		if (!bigger)
			return msg_lit(-ENOMEM, "out of memory for the words");
		s->word = bigger;
		s->max = max;
	}
	s->word[s->nr++] = w;
	return 0;
}

static int scan_table(struct scan *s, uint64_t addr, unsigned lg2,
                      unsigned level, uint64_t at)
{
	const struct pt *pt = s->pt;
	const struct pt_fmt *f = pt->fmt;
	uint64_t off = addr - s->base;
	unsigned slots = (unsigned)bit64(lg2 - 3u);

	if (addr < s->base || !aligned_lg2(addr, lg2 < 12 ? lg2 : 12) ||
	    off > s->size || s->size - off < bit64(lg2))
		return msg_fmt(-EINVAL,
		               "a table of %" PRIu64 " bytes at 0x%" PRIx64
		               " does not lie in the memory that was given",
		               bit64(lg2), addr);
	if (s->seen[off >> SEEN_LG2 >> 3] & 1u << (off >> SEEN_LG2 & 7))
		return msg_fmt(-EINVAL,
		               "the table at 0x%" PRIx64 " is linked twice",
		               addr);
	/* Tables that do not overlap fit into the memory. */
	s->bytes += bit64(lg2);
	if (s->bytes > s->size)
		return msg_fmt(-EINVAL,
		               "the table at 0x%" PRIx64 " lies over others",
		               addr);
	s->seen[off >> SEEN_LG2 >> 3] |= (uint8_t)(1u << (off >> SEEN_LG2 & 7));
	for (unsigned i = 0; i < slots; i++) {
		struct sluice_pt_word w = {at, 0, i, level};
		struct sluice_pt_meaning m;
		unsigned below_lg2;
		uint64_t below;
		int err;

		memcpy(&w.word, s->buf + off + i * sizeof(w.word),
		       sizeof(w.word));
		w.word = pt_order(f, w.word);
		if (w.word == pt_empty(f, level))
			continue;
		pt_explain(pt, w.word, level, &m);
		if (m.kind == SLUICE_PT_EMPTY && f->absent)
			continue; /* another word for nothing */
		if (m.kind != SLUICE_PT_LINK) {
			err = scan_add(s, w);
			if (err)
				return err;
			continue;
		}
		below_lg2 =
		        level > 1 ? pt->geo.table_lg2 : pt->geo.leaf_table_lg2;
		below = align_up(s->end, below_lg2);
		s->end = below + bit64(below_lg2);
		w.word = (w.word & ~f->link_addr) | pt_addr_word(f, below);
		err = scan_add(s, w);
		if (!err)
			err = scan_table(s, m.oa, below_lg2, level - 1, below);
		if (err)
			return err;
	}
	return 0;
}

int pt_load_image(struct pt *pt, struct pagecache *pc, uint64_t base,
                  const void *buf, uint64_t size, uint64_t root)
{
	uint64_t now = pt_root_word(pt);
	unsigned top = pt_root_top(now);
	unsigned lg2 =
	        top == pt->geo.top ? pt->geo.root_lg2 : pt->geo.table_lg2;
	struct scan s = {.pt = pt, .buf = buf, .base = base, .size = size};
	int err;

	s.seen = calloc((size >> SEEN_LG2 >> 3) + 1, 1);
	if (!s.seen)
		return msg_lit(-ENOMEM, "out of memory for the image");
	s.end = bit64(lg2);
	err = scan_table(&s, root, lg2, top, 0);
	if (!err)
		err = pt_load_words(pt, pc, s.word, s.nr);
	free(s.seen);
	free(s.word);
	return err;
}
