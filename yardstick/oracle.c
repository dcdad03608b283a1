/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A treap of disjoint intervals ordered by address. Everything is done by two
 * moves, split at an address and merge, because they are easy to believe:
 * unmap is "split off the range, drop it, merge the rest". It knows no pages
 * and no thread.
 */
#include "yardstick/oracle.h"

#include <errno.h>
#include <stdlib.h>

struct node {
	struct oracle_piece p;
	struct node *left, *right;
	uint32_t prio;
};

struct oracle {
	struct node *root;
	uint64_t count, bytes;
	uint64_t seed;
};

struct oracle *oracle_new(void)
{
	struct oracle *o = calloc(1, sizeof(*o));

	if (o)
		o->seed = 0x9e3779b97f4a7c15u;
	return o;
}

/* Rotates left children away, so that no recursion depends on the shape. */
static void free_tree(struct node *n)
{
	while (n) {
		struct node *l = n->left;

		if (l) {
			n->left = l->right;
			l->right = n;
			n = l;
		} else {
			struct node *r = n->right;

			free(n);
			n = r;
		}
	}
}

void oracle_free(struct oracle *o)
{
	if (!o)
		return;
	free_tree(o->root);
	free(o);
}

static struct node *new_node(struct oracle *o, const struct oracle_piece *p)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->p = *p;
	/* xorshift64: priorities only need to look random. */
	o->seed ^= o->seed << 13;
	o->seed ^= o->seed >> 7;
	o->seed ^= o->seed << 17;
	n->prio = (uint32_t)(o->seed >> 32);
	return n;
}

/* Pieces that start below addr go left, the others right. */
static void split(struct node *n, uint64_t addr, struct node **l,
                  struct node **r)
{
	while (n) {
		if (n->p.iova < addr) {
			*l = n;
			l = &n->right;
			n = n->right;
		} else {
			*r = n;
			r = &n->left;
			n = n->left;
		}
	}
	*l = NULL;
	*r = NULL;
}

/* All of l lies below all of r. */
static struct node *merge(struct node *l, struct node *r)
{
	struct node *root = NULL;
	struct node **at = &root;

	while (l && r) {
		if (l->prio >= r->prio) {
			*at = l;
			at = &l->right;
			l = l->right;
		} else {
			*at = r;
			at = &r->left;
			r = r->left;
		}
	}
	*at = l ? l : r;
	return root;
}

/* The lowest piece that ends at or above iova. Pieces are disjoint, so they
 * are ordered by their ends as well. */
static struct node *first_from(const struct oracle *o, uint64_t iova)
{
	struct node *n = o->root;
	struct node *best = NULL;

	while (n) {
		if (n->p.last >= iova) {
			best = n;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

static void insert(struct oracle *o, struct node *n)
{
	struct node *l, *r;

	split(o->root, n->p.iova, &l, &r);
	o->root = merge(merge(l, n), r);
	o->count++;
	o->bytes += n->p.last - n->p.iova + 1;
}

int oracle_map_tag(struct oracle *o, uint64_t iova, uint64_t last, uint64_t oa,
                   uint32_t prot, uint64_t tag)
{
	struct oracle_piece p = {iova, last, oa, tag, prot};
	struct node *n;

	if (last < iova || oa + (last - iova) < oa)
		return -EINVAL;
	n = first_from(o, iova);
	if (n && n->p.iova <= last)
		return -EEXIST;
	n = new_node(o, &p);
	if (!n)
		return -ENOMEM;
	insert(o, n);
	return 0;
}

int oracle_map(struct oracle *o, uint64_t iova, uint64_t last, uint64_t oa,
               uint32_t prot)
{
	return oracle_map_tag(o, iova, last, oa, prot, 0);
}

static int covered(const struct oracle *o, uint64_t iova, uint64_t last)
{
	for (;;) {
		const struct node *n = first_from(o, iova);

		if (!n || n->p.iova > iova)
			return 0;
		if (n->p.last >= last)
			return 1;
		iova = n->p.last + 1;
	}
}

/* Cuts the piece across addr in two, so that one starts at addr. */
static int cut(struct oracle *o, uint64_t addr)
{
	struct node *n = first_from(o, addr);
	struct oracle_piece upper;
	struct node *m;

	if (!n || n->p.iova >= addr)
		return 0;
	upper = n->p;
	upper.oa += addr - upper.iova;
	upper.iova = addr;
	m = new_node(o, &upper);
	if (!m)
		return -ENOMEM;
	n->p.last = addr - 1;
	o->bytes -= upper.last - addr + 1;
	insert(o, m);
	return 0;
}

/* Undoes a cut: the piece that starts at addr goes back to the one below. */
static void uncut(struct oracle *o, uint64_t addr)
{
	struct node *l, *m, *r, *below;

	below = first_from(o, addr - 1);
	split(o->root, addr, &l, &r);
	split(r, addr + 1, &m, &r);
	below->p.last = m->p.last;
	o->root = merge(l, r);
	o->count--;
	free(m);
}

static void report(const struct node *n, oracle_removed_fn *fn, void *ctx)
{
	if (!n)
		return;
	report(n->left, fn, ctx);
	fn(ctx, &n->p);
	report(n->right, fn, ctx);
}

static uint64_t nodes(const struct node *n)
{
	return n ? 1 + nodes(n->left) + nodes(n->right) : 0;
}

int oracle_unmap(struct oracle *o, uint64_t iova, uint64_t last,
                 oracle_removed_fn *fn, void *ctx)
{
	struct node *l, *m, *r;
	uint64_t before;

	if (last < iova)
		return -EINVAL;
	if (!covered(o, iova, last))
		return -ENOENT;
	before = o->count;
	if (cut(o, iova))
		return -ENOMEM;
	if (last != UINT64_MAX && cut(o, last + 1)) {
		if (o->count != before)
			uncut(o, iova);
		return -ENOMEM;
	}

	split(o->root, iova, &l, &r);
	m = r;
	r = NULL;
	if (last != UINT64_MAX) {
		struct node *rest = m;

		split(rest, last + 1, &m, &r);
	}
	o->root = merge(l, r);
	o->count -= nodes(m);
	o->bytes -= last - iova + 1;
	if (fn)
		report(m, fn, ctx);
	free_tree(m);
	return 0;
}

int oracle_next(const struct oracle *o, uint64_t iova,
                struct oracle_piece *ret_piece)
{
	const struct node *n = first_from(o, iova);

	if (!n)
		return -ENOENT;
	*ret_piece = n->p;
	return 0;
}

int oracle_lookup(const struct oracle *o, uint64_t iova,
                  struct oracle_piece *ret_piece)
{
	const struct node *n = first_from(o, iova);

	if (!n || n->p.iova > iova)
		return -ENOENT;
	*ret_piece = n->p;
	return 0;
}

uint64_t oracle_count(const struct oracle *o)
{
	return o->count;
}

static uint64_t pages_of(const struct node *n)
{
	if (!n)
		return 0;
	return pages_of(n->left) + ((n->p.last - n->p.iova + 1) >> 12) +
	       pages_of(n->right);
}

uint64_t oracle_pages(const struct oracle *o)
{
	return pages_of(o->root);
}

uint64_t oracle_bytes(const struct oracle *o)
{
	return o->bytes;
}
