/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a dump, through the decoder of the format, to the records of a model:
 * each leaf that a walker would find is recorded, and no other is.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

#include "decode.h"
#include "decode_arm.h"

struct words {
	struct decode_word *w;
	size_t nr, max;
	uint32_t top;
};

static int add_word(void *ctx, const struct sluice_pt_word *w)
{
	struct words *ws = ctx;

	if (ws->nr == ws->max) {
		ws->max = ws->max ? 2 * ws->max : 1024;
		ws->w = realloc(ws->w, ws->max * sizeof(*ws->w));
		if (!ws->w)
			abort();
	}
	ws->w[ws->nr++] = (struct decode_word){
	        .table = w->table,
	        .word = w->word,
	        .index = w->index,
	        .level = w->level,
	};
	return 0;
}

struct verdict {
	const struct model *m;
	uint64_t high; /* sign bits of the window */
	uint64_t at;   /* the next unit */
	const char *wrong;
};

static void judge(void *ctx, const struct decode_leaf *leaf)
{
	struct verdict *v = ctx;
	const struct model *m = v->m;
	uint64_t i = ((leaf->va | v->high) - m->base) >> m->unit_lg2;
	uint64_t n = leaf->size >> m->unit_lg2;

	if (v->wrong)
		return;
	while (v->at < m->nr && !m->unit[v->at].prot)
		v->at++;
	if (i != v->at || n == 0 || i + n > m->nr) {
		v->wrong = "a leaf at another place than recorded";
		return;
	}
	for (uint64_t k = 0; k < n && !v->wrong; k++) {
		const struct unit *u = &m->unit[i + k];

		if (u->oa != leaf->pa + (k << m->unit_lg2))
			v->wrong = "another address";
		if ((uint64_t)1 << u->size_lg2 != leaf->size)
			v->wrong = "another size";
		if (!(u->prot & SLUICE_READ) != !leaf->readable ||
		    !(u->prot & SLUICE_WRITE) != !leaf->writable)
			v->wrong = "other permissions";
		if (m->keeps_marks && !u->dirty != !leaf->dirty)
			v->wrong = "another dirty mark";
	}
	v->at = i + n;
}

/* As the stream table entry of such a table would say it. */
static struct decode_arm_cfg arm_cfg(const struct sluice_pt_config *cfg,
                                     const struct sluice_pt_info *info)
{
	unsigned granule = info->granule_lg2;

	return (struct decode_arm_cfg){
	        .granule_lg2 = granule,
	        .ias = cfg->iova_bits ? cfg->iova_bits : 48,
	        .oas = cfg->oa_bits ? cfg->oa_bits : 48,
	        .stage2 = cfg->format == SLUICE_PT_ARM_LPAE_S2,
	        .concat = (unsigned)(info->root_bytes >> granule),
	        .start_level = 4 - (int)info->levels,
	        .dbm = (cfg->flags & SLUICE_PT_DIRTY) != 0,
	};
}

static const char *decode(struct decode_image *im,
                          const struct sluice_pt_config *cfg,
                          const struct sluice_pt_info *info, struct verdict *v)
{
	struct decode_arm_cfg arm;
	unsigned bits = cfg->iova_bits;

	switch (cfg->format) {
	case SLUICE_PT_X86_64:
		return decode_x86_64(im, info->levels == 5 ? 57 : 48, judge, v);
	case SLUICE_PT_VTDSS:
		return decode_vtdss(im, bits, judge, v);
	case SLUICE_PT_AMDV1:
		return decode_amdv1(im, info->levels, judge, v);
	case SLUICE_PT_ARM_LPAE_S1:
	case SLUICE_PT_ARM_LPAE_S2:
		arm = arm_cfg(cfg, info);
		return decode_arm(im, &arm, judge, v);
	case SLUICE_PT_RISCV:
		return decode_riscv(im, info->levels * 9 + 12, 0, judge, v);
	case SLUICE_PT_RISCV_G:
		return decode_riscv(im, info->levels * 9 + 12, 1, judge, v);
	case SLUICE_PT_S390:
		return decode_s390(im, info->levels, judge, v);
	case SLUICE_PT_TCE:
		return decode_tce(im, bits, info->granule_lg2, info->levels,
		                  judge, v);
	default:
		return "no decoder for this format";
	}
}

const char *model_decode(const struct model *m, const struct sluice_pt *pt,
                         const struct sluice_pt_config *cfg)
{
	static _Thread_local struct words ws;
	struct decode_image im = {0};
	struct sluice_pt_info info;
	struct verdict v = {.m = m};
	const char *wrong;

	ws.nr = 0;
	if (sluice_pt_dump(pt, add_word, &ws))
		return "the dump failed";
	sluice_pt_get_info(pt, &info);
	if (cfg->flags & SLUICE_PT_SIGNED && m->base > info.max_iova)
		v.high = ~(2 * info.max_iova + 1);
	im.words = ws.w;
	im.nr = ws.nr;
	wrong = decode(&im, cfg, &info, &v);
	if (wrong || v.wrong)
		return wrong ? wrong : v.wrong;
	for (; v.at < m->nr; v.at++)
		if (m->unit[v.at].prot)
			return "a recorded leaf is not in the dump";
	return NULL;
}
