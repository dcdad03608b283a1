/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes as words and as memory to load into a table of any shape: raw, or a
 * table's own with some changes. Whatever they are, the call ends; a table that
 * refuses them is empty; one that takes them holds the same tree, which is
 * followed here by what sluice_pt_explain() says of each word, translates
 * alike, and goes out and in again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "carry.h"
#include "pagetable/pt.h"
#include "shapes.h"

#define MAX_WORDS ((uint64_t)1 << 15)
#define MAX_IMAGE ((int64_t)1 << 20)
#define MAX_PLACES 4096u
#define RECORD 12u /* bytes of an input that make a word or a change */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x)) {                                                    \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, \
			        #x, msg_last());                               \
			abort();                                               \
		}                                                              \
	} while (0)

struct load {
	struct sluice_pt_config cfg;
	struct sluice_pt *pt;
	struct sluice_pt_info info;
	unsigned table_lg2[2]; /* above level 0, of level 0 */
	struct sluice_pt_word *word;
	uint64_t nr;
	uint8_t *image;
	uint64_t base, size;
	const uint8_t *b;
	size_t left;
};

static uint64_t take(struct load *l, unsigned bytes)
{
	uint64_t v = 0;

	for (; bytes; bytes--, l->left -= l->left != 0)
		v = v << 8 | (l->left ? *l->b++ : 0);
	return v;
}

static uint64_t page_of(const struct load *l)
{
	return (uint64_t)1 << l->info.granule_lg2;
}

/* A table of the same shape with a few mappings; those that cannot be are left
 * out. */
static struct sluice_pt *some_table(struct load *l)
{
	struct sluice_pt_config cfg = l->cfg;
	struct sluice_pt *pt;
	unsigned lg2;

	cfg.max_bytes = 0;
	CHECK(sluice_pt_create(&cfg, &pt) == 0);
	for (unsigned n = 1 + (unsigned)take(l, 1) % 4; n; n--) {
		uint64_t sizes = l->info.leaf_sizes;
		uint64_t at = take(l, 2);
		uint64_t what = take(l, 2);
		uint64_t oa;
		uint64_t iova;

		for (lg2 = (unsigned)take(l, 1) % 64; !(sizes >> lg2 & 1);)
			lg2 = (lg2 + 1) % 64;
		iova = at << lg2 | at >> 8 << 30 | at >> 13 << 45;
		oa = what << lg2 & l->info.max_oa;
		iova &= l->info.max_iova & ~(((uint64_t)1 << lg2) - 1);
		if (l->cfg.flags & SLUICE_PT_SIGNED && what & 1)
			iova |= ~l->info.max_iova;
		if (sluice_pt_map(pt, iova, oa, (1 + what % 16) << lg2,
		                  what & 0x8000 ? SLUICE_READ : SLUICE_RW))
			continue;
		if (what & 0x4000 && sluice_pt_set_dirty(pt, iova))
			continue;
	}
	return pt;
}

static void keep_words(struct load *l, const struct carry_words *ws)
{
	l->nr = ws->nr;
	l->word = malloc((ws->nr + 64) * sizeof(*l->word));
	CHECK(l->word);
	if (ws->nr)
		memcpy(l->word, ws->word, ws->nr * sizeof(*l->word));
}

/* One change of a word, or of their number; 64 more have room. */
static void change_word(struct load *l)
{
	struct sluice_pt_word *w = &l->word[take(l, 2) % l->nr];
	unsigned what = (unsigned)take(l, 1) % 8;
	uint64_t v = take(l, 8);

	(void)take(l, 1);
	switch (what) {
	case 0:
		w->word ^= (uint64_t)1 << v % 64;
		break;
	case 1:
		w->word = v;
		break;
	case 2:
		w->index = (uint32_t)v;
		break;
	case 3:
		w->level = (uint32_t)v;
		break;
	case 4:
		w->table = v << l->table_lg2[v & 1];
		break;
	case 5:
		*w = l->word[--l->nr];
		break;
	case 6:
		l->word[l->nr++] = *w;
		break;
	default:
		w->word = l->word[v % l->nr].word;
	}
}

static void own_words(struct load *l)
{
	struct sluice_pt *pt = some_table(l);

	keep_words(l, carry_dump(pt));
	sluice_pt_destroy(pt);
	for (unsigned n = 0; l->left >= RECORD && n < 64 && l->nr; n++)
		change_word(l);
}

static void raw_words(struct load *l)
{
	l->word = malloc((l->left / RECORD + 1) * sizeof(*l->word));
	CHECK(l->word);
	while (l->left >= RECORD) {
		struct sluice_pt_word *w = &l->word[l->nr++];

		w->table = take(l, 1) << l->table_lg2[0];
		w->level = (uint32_t)take(l, 1);
		w->index = (uint32_t)take(l, 2);
		w->word = take(l, 8);
	}
}

/* Changes words of an image in place, as bytes of either order. */
static void change_image(struct load *l)
{
	uint64_t at = take(l, 3) % (l->size / 8) * 8;
	uint64_t what = take(l, 1);
	uint64_t v = take(l, 8);
	uint64_t w;

	memcpy(&w, l->image + at, sizeof(w));
	switch (what % 4) {
	case 0:
		w ^= (uint64_t)1 << v % 64;
		break;
	case 1:
		w = v;
		break;
	case 2:
		w = __builtin_bswap64(v);
		break;
	default:
		memcpy(&w, l->image + v % (l->size / 8) * 8, sizeof(w));
	}
	memcpy(l->image + at, &w, sizeof(w));
}

static void own_image(struct load *l)
{
	struct sluice_pt *pt = some_table(l);
	int64_t size;

	l->base = take(l, 1) * l->info.root_bytes;
	size = sluice_pt_image(pt, l->base, NULL, 0);
	if (size > 0 && size <= MAX_IMAGE) {
		l->image = malloc((size_t)size);
		CHECK(l->image);
		l->size = (uint64_t)size;
		CHECK(sluice_pt_image(pt, l->base, l->image, l->size) == size);
	}
	sluice_pt_destroy(pt);
	for (unsigned n = 0; l->size && l->left >= RECORD && n < 64; n++)
		change_image(l);
}

/* Exactly the bytes that are left, so that a read too far is seen. */
static void raw_image(struct load *l)
{
	l->base = take(l, 1) * 4096;
	l->size = l->left;
	l->image = malloc(l->size ? l->size : 1);
	CHECK(l->image);
	memcpy(l->image, l->b, l->size);
	l->left = 0;
}

static int by_place(const void *va, const void *vb)
{
	const struct sluice_pt_word *a = va;
	const struct sluice_pt_word *b = vb;

	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* A table of the source, and the addresses it stands for. */
struct place {
	uint64_t table, va;
	unsigned level;
};

struct tree {
	struct load *l;
	const struct carry_words *dump;
	uint64_t at; /* the next word of the dump */
	struct place place[MAX_PLACES];
	unsigned nr;
};

/* The word of the source stands next in the dump, and walks find it. */
static void same_word(struct tree *t, const struct place *p, uint64_t index,
                      uint64_t word)
{
	const struct sluice_pt_word *d;
	const struct load *l = t->l;
	struct sluice_pt_meaning m;
	struct sluice_pt_meaning dm;
	struct sluice_pt_extent e;
	uint64_t va;

	CHECK(sluice_pt_explain(l->pt, word, p->level, &m) == 0);
	if (m.kind == SLUICE_PT_EMPTY)
		return;
	CHECK(t->at < t->dump->nr);
	d = &t->dump->word[t->at++];
	CHECK(d->level == p->level && d->index == index);
	CHECK(sluice_pt_explain(l->pt, d->word, p->level, &dm) == 0);
	CHECK(dm.kind == m.kind && !m.unknown);
	va = p->va + index * (m.len / m.items);
	if (m.kind == SLUICE_PT_LINK) {
		CHECK(t->nr < MAX_PLACES);
		t->place[t->nr++] = (struct place){m.oa, va, p->level - 1};
		return;
	}
	CHECK(m.kind == SLUICE_PT_LEAF && d->word == word);
	if (va > l->info.max_iova)
		va |= ~l->info.max_iova;
	CHECK(sluice_pt_walk(l->pt, va, &e) == 0);
	/* An item of an Arm contiguous entry has an address of its own. */
	CHECK(e.len == m.len && e.prot == m.prot &&
	      e.oa == (m.oa & ~(m.len - 1)));
	CHECK(e.iova == (va & ~(m.len - 1)) && e.len & l->info.leaf_sizes);
}

static void follow_words(struct tree *t, const struct place *p)
{
	const struct load *l = t->l;
	uint64_t lo = 0;
	uint64_t hi = l->nr;

	while (lo < hi) {
		uint64_t mid = (lo + hi) / 2;

		if (l->word[mid].table < p->table)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < l->nr && l->word[lo].table == p->table; lo++) {
		CHECK(l->word[lo].level == p->level);
		same_word(t, p, l->word[lo].index, l->word[lo].word);
	}
}

static void follow_memory(struct tree *t, const struct place *p)
{
	const struct load *l = t->l;
	uint64_t off = p->table - l->base;
	uint64_t bytes = (uint64_t)1 << l->table_lg2[p->level == 0];
	bool big = l->cfg.format == SLUICE_PT_S390 ||
	           l->cfg.format == SLUICE_PT_TCE;

	if (p->level == l->info.levels - 1)
		bytes = l->info.root_bytes;
	CHECK(off <= l->size && bytes <= l->size - off);
	for (uint64_t i = 0; i < bytes / 8; i++) {
		uint64_t w = 0;

		for (unsigned k = 0; k < 8; k++)
			w |= (uint64_t)l->image[off + i * 8 + k]
			     << 8 * (big ? 7 - k : k);
		same_word(t, p, i, w);
	}
}

/* Breadth-first, as the dump is. */
static void check_tree(struct load *l)
{
	static struct tree t;

	sluice_pt_get_info(l->pt, &l->info);
	t.l = l;
	t.dump = carry_dump(l->pt);
	t.at = 0;
	t.place[0] =
	        (struct place){l->image ? l->base : 0, 0, l->info.levels - 1};
	t.nr = 1;
	if (l->word)
		qsort(l->word, l->nr, sizeof(*l->word), by_place);
	for (unsigned i = 0; i < t.nr; i++) {
		struct place p = t.place[i];

		if (l->image)
			follow_memory(&t, &p);
		else
			follow_words(&t, &p);
	}
	CHECK(t.at == t.dump->nr);
}

/* A table from outside is one like any other. */
static void use_table(struct load *l)
{
	uint64_t part = l->info.max_iova / 4 + 1;
	struct sluice_pt_stats stats;
	const char *wrong = carry_load(carry_dump(l->pt), &l->cfg);

	if (!wrong)
		wrong = carry_image(l->pt, &l->cfg, 4 * l->info.root_bytes);
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	CHECK(!wrong);
	for (unsigned k = 0; k < 4; k++) {
		int64_t n = sluice_pt_dirty(l->pt, k * part, part, 1);

		CHECK(n >= 0 || n == -EOPNOTSUPP);
		/* Leaves that reach over an end keep theirs. */
		CHECK(n < 0 || sluice_pt_dirty(l->pt, k * part, part, 0) <= n);
		CHECK(sluice_pt_promote(l->pt, k * part, part) >= 0);
		CHECK(sluice_pt_split(l->pt, k * part, page_of(l)) >= -ENOMEM);
	}
	sluice_pt_get_stats(l->pt, &stats);
	CHECK(stats.table_bytes >= l->info.root_bytes);
}

/* Links may have stayed: levels that were added. */
static void check_empty(struct load *l)
{
	static const uint64_t none[64];
	struct sluice_pt_stats stats;

	sluice_pt_get_stats(l->pt, &stats);
	CHECK(memcmp(stats.leaves, none, sizeof(none)) == 0);
}

static void explain_some(struct load *l)
{
	while (l->left >= RECORD) {
		unsigned level = (unsigned)take(l, 1);
		uint64_t word = take(l, 8);
		struct sluice_pt_meaning m;
		int err = sluice_pt_explain(l->pt, word, level, &m);

		(void)take(l, RECORD - 9);
		CHECK((err == 0) == (level < l->info.levels));
		CHECK(err == 0 || err == -EINVAL);
		CHECK(err || (m.items && m.len >= page_of(l)));
		CHECK(err || m.kind != SLUICE_PT_LINK || level);
	}
}

static bool open_table(struct load *l, const uint8_t *data)
{
	int err;

	l->cfg = shapes[data[0] % nr_shapes].cfg;
	CHECK(pt_table_sizes(&l->cfg, l->table_lg2) == 0);
	/* A single table of some shapes is larger than all the rest. */
	if (l->table_lg2[0] > 16)
		return false;
	l->cfg.max_bytes = (uint64_t)(data[1] < 0x40 ? 1u + data[1] : 4096)
	                   << l->table_lg2[0];
	err = sluice_pt_create(&l->cfg, &l->pt);
	CHECK(err == 0 || err == -ENOMEM);
	if (!err)
		sluice_pt_get_info(l->pt, &l->info);
	return !err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const ways[])(struct load * l) = {
	        own_words, raw_words, own_image, raw_image, explain_some};
	struct load l = {.b = data + 3, .left = size - 3};
	const char *wrong;
	int err = -EINVAL;

	/* Zeroing huge pages would be most of the work. */
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	if (size < 3 || !open_table(&l, data))
		return 0;
	ways[data[2] % 5](&l);
	if (l.image)
		err = sluice_pt_load_image(l.pt, l.base, l.image, l.size,
		                           l.base);
	else if (l.word && l.nr <= MAX_WORDS)
		err = sluice_pt_load(l.pt, l.word, l.nr);
	CHECK(err == 0 || err == -EINVAL || err == -ENOMEM);
	if (err == 0) {
		check_tree(&l);
		use_table(&l);
	} else {
		check_empty(&l);
	}
	wrong = carry_nothing(l.pt);
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	CHECK(!wrong);
	sluice_pt_destroy(l.pt);
	free(l.word);
	free(l.image);
	return 0;
}
