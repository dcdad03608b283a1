/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Birth and death of a table: from a configuration to a geometry by the plan
 * of its format, and the root. Knows nothing of what tables hold.
 */
#include "pagetable/pt_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "pagetable/pt_map.h"

static pt_plan_fn *const plans[SLUICE_PT_NR_FORMATS] = {
        [SLUICE_PT_X86_64] = pt_plan_x86_64,
        [SLUICE_PT_VTDSS] = pt_plan_vtdss,
        [SLUICE_PT_AMDV1] = pt_plan_amdv1,
        [SLUICE_PT_ARM_LPAE_S1] = pt_plan_arm_s1,
        [SLUICE_PT_ARM_LPAE_S2] = pt_plan_arm_s2,
        [SLUICE_PT_RISCV] = pt_plan_riscv,
        [SLUICE_PT_RISCV_G] = pt_plan_riscv_g,
        [SLUICE_PT_S390] = pt_plan_s390,
        [SLUICE_PT_TCE] = pt_plan_tce,
};

int pt_geo_done(const struct pt_fmt *f, struct pt_geo *g, unsigned iova_bits,
                unsigned oa_bits, unsigned oa_max)
{
	if (f->page_lg2) {
		g->page_lg2 = f->page_lg2;
		g->index0_lg2 = f->index0_lg2;
		g->index_lg2 = f->index_lg2;
	}
	g->table_lg2 = (uint8_t)(g->index_lg2 + 3);
	g->leaf_table_lg2 = (uint8_t)(g->index0_lg2 + 3);
	g->max_iova = mask64(iova_bits);
	if (oa_bits && (oa_bits <= g->page_lg2 || oa_bits > oa_max))
		return msg_fmt(-EINVAL,
		               "%s has no output addresses of %u bits here: %u "
		               "to %u",
		               f->name, oa_bits, g->page_lg2 + 1u, oa_max);
	g->max_oa = mask64(oa_bits ? oa_bits : oa_max);
	return 0;
}

#define FLAGS                                                                  \
	(SLUICE_PT_SIGNED | SLUICE_PT_DIRTY | SLUICE_PT_NONCOHERENT |          \
	 SLUICE_PT_NO_CONTIG)

static int check_flags(const struct sluice_pt_config *cfg,
                       const struct pt_fmt *f)
{
	if (cfg->flags & SLUICE_PT_SIGNED && f->id != SLUICE_PT_X86_64 &&
	    f->id != SLUICE_PT_RISCV)
		return msg_fmt(-EINVAL, "%s has no signed addresses", f->name);
	if (cfg->flags & SLUICE_PT_DIRTY && !f->dirty)
		return msg_fmt(-EINVAL, "%s keeps no dirty marks", f->name);
	if (cfg->flags & SLUICE_PT_NONCOHERENT &&
	    (!f->link_flushed || !pt_can_flush()))
		return msg_fmt(
		        -EINVAL,
		        "%s tables cannot be written back from here: "
		        "walkers of this format snoop, or this CPU gives "
		        "no means",
		        f->name);
	return 0;
}

/* What a format has no choice in must not be asked for. */
static int check_choices(const struct sluice_pt_config *cfg,
                         const struct pt_fmt *f, const struct pt_geo *geo)
{
	if (cfg->granule_lg2 && cfg->granule_lg2 != geo->page_lg2)
		return msg_fmt(-EINVAL,
		               "%s has pages of 2^%u bytes: set granule_lg2 to "
		               "that, or to 0",
		               f->name, geo->page_lg2);
	if (cfg->levels && cfg->levels != geo->top + 1u)
		return msg_fmt(-EINVAL,
		               "%s has %u levels with these address bits: set "
		               "levels to that, or to 0",
		               f->name, geo->top + 1u);
	return 0;
}

static int plan(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                const struct pt_fmt **fmt, const struct pt_ops **ops)
{
	int err;

	if ((unsigned)cfg->format >= SLUICE_PT_NR_FORMATS)
		return msg_fmt(-EINVAL,
		               "no page table format has the number "
		               "%d",
		               (int)cfg->format);
	if (cfg->flags & ~FLAGS)
		return msg_fmt(-EINVAL,
		               "unknown flags 0x%x: only SLUICE_PT_* "
		               "exist",
		               cfg->flags & ~FLAGS);
	*geo = (struct pt_geo){0};
	err = plans[cfg->format](cfg, geo, fmt, ops);
	if (!err)
		err = check_flags(cfg, *fmt);
	if (!err)
		err = check_choices(cfg, *fmt, geo);
	if (err)
		return err;
	geo->contig = !(cfg->flags & SLUICE_PT_NO_CONTIG);
	geo->is_signed = (cfg->flags & SLUICE_PT_SIGNED) != 0;
	geo->flush = (cfg->flags & SLUICE_PT_NONCOHERENT) != 0;
	/* A format with a choice keeps marks only when asked to. */
	geo->dirty_on = (*fmt)->dirty &&
	                (!(*fmt)->clean || cfg->flags & SLUICE_PT_DIRTY);
	geo->clean = geo->dirty_on ? (*fmt)->clean : 0;
	return 0;
}

int pt_table_sizes(const struct sluice_pt_config *cfg, unsigned ret_lg2[2])
{
	const struct pt_fmt *fmt;
	const struct pt_ops *ops;
	struct pt_geo geo;
	int err = plan(cfg, &geo, &fmt, &ops);

	if (err)
		return err;
	ret_lg2[0] = geo.table_lg2;
	ret_lg2[1] = geo.leaf_table_lg2;
	return 0;
}

static au64 *root_get(const struct pt *pt, struct pagecache *pc)
{
	unsigned n_lg2 = pt->geo.root_lg2 - pt->geo.table_lg2;
	unsigned top = pt->geo.top;
	unsigned nr = pt_slots(pt->fmt, &pt->geo, top, top);
	au64 *t;

	/* Pages at hand may be those that make a span complete. */
	if (n_lg2)
		pagecache_drain(pc);
	t = n_lg2 ? pagepool_span(pc->pool, n_lg2) : pagecache_get(pc);

	/* Pages are zero as they come; a large root is not touched twice. */
	if (t && pt_empty(pt->fmt, top))
		pt_run_clear(pt->fmt, pt, t, nr, top);
	else if (t)
		pt_flush(pt, t, nr);
	return t;
}

int pt_create(const struct sluice_pt_config *cfg, struct pagecache *pc,
              struct pt **ret_pt)
{
	struct pt *pt = calloc(1, sizeof(*pt));
	au64 *root;
	int err;

	if (!pt)
		return msg_lit(-ENOMEM, "out of memory for a page table");
	err = plan(cfg, &pt->geo, &pt->fmt, &pt->ops);
	if (err) {
		free(pt);
		return err;
	}
	pt->simd = pt_simd_detect();
	pt->pool[0] = pc[0].pool;
	pt->pool[1] = pc[pt_class(&pt->geo, 0)].pool;
	pt->invalidate = cfg->invalidate;
	pt->ctx = cfg->ctx;
	root = root_get(pt, pc);
	if (!root) {
		free(pt);
		return pt_no_memory();
	}
	st_rel(&pt->root, (uintptr_t)root | pt->geo.top);
	*ret_pt = pt;
	return 0;
}

/* The root lies in pages of the pool, one or several. */
static void root_put(struct pt *pt, struct pagecache *pc, au64 *t, unsigned nr)
{
	unsigned n_lg2 = pt->geo.root_lg2 - pt->geo.table_lg2;

	pt_words_clear(pt->simd, t, nr);
	/* Formats whose root is wide do not grow: it is the one of the start.
	 */
	if (n_lg2)
		pagepool_span_put(pc->pool, t, n_lg2);
	else
		pagecache_put(pc, t);
}

bool pt_is_empty(const struct pt *pt)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t root = pt_root_word(pt);
	unsigned top = pt_root_top(root);
	unsigned nr = pt_slots(f, &pt->geo, top, top);
	const au64 *t = pt_root_table(root);

	for (unsigned i = 0; i < nr; i++) {
		uint64_t w = pt_load(f, &t[i]);

		if (w != pt_empty(f, top) &&
		    (!pt_is_link(f, w, top) ||
		     !pt_table_empty(pt, pt_word_table(f, w), top - 1)))
			return false;
	}
	return true;
}

void pt_empty_root(struct pt *pt, struct pt_freed *freed)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t root = pt_root_word(pt);
	unsigned top = pt_root_top(root);
	unsigned nr = pt_slots(f, &pt->geo, top, top);
	au64 *t = pt_root_table(root);

	pt_unlink_below(pt, t, top, nr, freed);
	pt_run_clear(f, pt, t, nr, top);
}

void pt_destroy(struct pt *pt, struct pagecache *pc)
{
	struct pt_freed freed = {0};
	uint64_t root;
	unsigned top;

	if (!pt)
		return;
	root = pt_root_word(pt);
	top = pt_root_top(root);
	pt_empty_root(pt, &freed);
	pt_free_list(pt, &freed, pc);
	root_put(pt, pc, pt_root_table(root),
	         pt_slots(pt->fmt, &pt->geo, top, top));
	free(pt);
}
