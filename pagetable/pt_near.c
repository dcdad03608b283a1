/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a reader remembers of the way down (struct pt_near in pt.h): making it,
 * filling it, and the rules by which one word of level 0 is judged without its
 * format at hand. Knows one reader; what ends its grace periods is not here.
 */
#include "pagetable/pt_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Adds a condition of the kind (w & mask) != unwanted. False when bits and
 * their values cannot say it. */
static bool add_rule(uint64_t mask, uint64_t unwanted, uint64_t *bits,
                     uint64_t *want)
{
	if (mask & (mask - 1))
		return false;
	if (mask == 0)
		return unwanted != 0;
	*bits |= mask;
	*want |= mask ^ unwanted;
	return true;
}

/* Several bits say whether a page is writable: those that no walker changes,
 * as this table writes them, are enough to be sure that it is. */
static bool add_write(const struct pt *pt, uint64_t *bits, uint64_t *want)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t yes = pt_leaf_word(f, &pt->geo, 0, 0, 0, SLUICE_RW);
	uint64_t no = pt_leaf_word(f, &pt->geo, 0, 0, 0, SLUICE_READ);
	uint64_t differ = (yes ^ no) & f->wr_mask;

	if (pt->geo.dirty_on)
		differ &= ~f->dirty;
	*bits |= differ;
	*want |= yes & differ;
	return differ != 0;
}

/* A leaf of one page that allows the access. */
static bool rules_of(const struct pt *pt, uint32_t access, uint64_t *bits,
                     uint64_t *want)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t present = f->present[0];

	*bits = f->cont_bits;
	*want = 0;
	/* Several bits of presence are those of permissions, and one of them is
	 * asked for. */
	return !f->absent &&
	       (present & (present - 1) || add_rule(present, 0, bits, want)) &&
	       (!(access & SLUICE_READ) ||
	        add_rule(f->rd_mask, f->rd_not, bits, want)) &&
	       (!(access & SLUICE_WRITE) ||
	        add_rule(f->wr_mask, f->wr_not, bits, want) ||
	        add_write(pt, bits, want));
}

static bool is_near(const struct pt *pt)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;

	return !f->big_endian && !f->oa_high && !f->empty[0] && !g->is_signed &&
	       !g->flush && pt_shift(f, g, 0) == SLUICE_PAGE_LG2 &&
	       pt_shift(f, g, 1) == PT_NEAR_LG2;
}

int pt_near_create(const struct pt *pt, uint32_t slots,
                   struct pt_near *ret_near)
{
	const struct pt_fmt *f = pt->fmt;

	*ret_near = (struct pt_near){
	        .mask = slots - 1,
	        .age = bit64(PT_NEAR_AGE_LG2),
	        .addr = f->addr,
	        .shl = f->oa_shr,
	        .max_oa = pt->geo.max_oa,
	        .larger = f->cont_bits,
	        .head = pt_word_sw1(f, 0),
	};
	for (uint32_t a = 0; a < 4; a++)
		if (pt_prot_ok(f, a))
			ret_near->leaf[a] =
			        pt_leaf_word(f, &pt->geo, 0, 0, 0, a);
	for (uint32_t a = 0; a < 4; a++)
		if (a == 0 ||
		    !rules_of(pt, a, &ret_near->bits[a], &ret_near->want[a])) {
			ret_near->bits[a] = 0;
			ret_near->want[a] = 1;
		}
	ret_near->slot = calloc(slots, sizeof(*ret_near->slot));
	return ret_near->slot ? 0 : -ENOMEM;
}

void pt_near_destroy(struct pt_near *near)
{
	free(near->slot);
	near->slot = NULL;
}

void pt_near_drop(struct pt_near *near)
{
	near->age += bit64(PT_NEAR_AGE_LG2);
	if (likely(near->age))
		return;
	/* All ages have been used: no slot may keep one of them. */
	for (uint64_t i = 0; i <= near->mask; i++)
		near->slot[i].key = 0;
	near->age = bit64(PT_NEAR_AGE_LG2);
}

int pt_walk_near(const struct pt *pt, struct pt_near *near, uint64_t iova,
                 struct pt_run *ret_leaf)
{
	au64 *table;
	int err;

	if (!is_near(pt))
		return pt_walk(pt, iova, ret_leaf);
	err = pt->ops->walk(pt, iova, ret_leaf, &table);
	if (table) {
		uint64_t block = iova >> PT_NEAR_LG2;

		near->slot[block & near->mask] = (struct pt_near_slot){
		        .key = block | near->age,
		        .table = table,
		};
	}
	return err;
}
