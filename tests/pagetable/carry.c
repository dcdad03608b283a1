/* SPDX-License-Identifier: BSD-3-Clause */
#include "carry.h"

#include <stdlib.h>

#include "pagetable/pt_public.h"

static void add(struct carry_words *ws, const struct sluice_pt_word *w)
{
	if (ws->nr == ws->max) {
		ws->max = ws->max ? 2 * ws->max : 4096;
		ws->word = realloc(ws->word, ws->max * sizeof(*ws->word));
		if (!ws->word)
			abort();
	}
	ws->word[ws->nr++] = *w;
}

static int keep(void *ctx, const struct sluice_pt_word *w)
{
	add(ctx, w);
	return 0;
}

const struct carry_words *carry_dump(const struct sluice_pt *pt)
{
	static struct carry_words ws;

	ws.nr = 0;
	if (sluice_pt_dump(pt, keep, &ws))
		abort();
	return &ws;
}

struct compare {
	const struct carry_words *ws;
	uint64_t at;
};

static int same(void *ctx, const struct sluice_pt_word *w)
{
	struct compare *c = ctx;
	const struct sluice_pt_word *o;

	if (c->at == c->ws->nr)
		return 1;
	o = &c->ws->word[c->at++];
	return o->table != w->table || o->word != w->word ||
	       o->index != w->index || o->level != w->level;
}

static const char *judge(const struct carry_words *ws,
                         const struct sluice_pt *pt)
{
	struct compare c = {.ws = ws};

	if (sluice_pt_dump(pt, same, &c) || c.at != ws->nr)
		return "the loaded table dumps other words";
	return NULL;
}

const char *carry_load(const struct carry_words *ws,
                       const struct sluice_pt_config *cfg)
{
	struct sluice_pt_config plenty = *cfg;
	struct sluice_pt *pt;
	const char *wrong;

	plenty.max_bytes = 0;
	if (sluice_pt_create(&plenty, &pt))
		return "no table to load into";
	wrong = sluice_pt_load(pt, ws->word, ws->nr) ? "the dump does not load"
	                                             : judge(ws, pt);
	sluice_pt_destroy(pt);
	return wrong;
}

const char *carry_image(const struct sluice_pt *pt,
                        const struct sluice_pt_config *cfg, uint64_t base)
{
	struct sluice_pt_config plenty = *cfg;
	int64_t size = sluice_pt_image(pt, base, NULL, 0);
	const char *wrong = NULL;
	struct sluice_pt_info info;
	struct sluice_pt *again;
	void *buf;

	if (size <= 0)
		return "the image has no size";
	buf = malloc((size_t)size);
	if (!buf)
		abort();
	plenty.max_bytes = 0;
	sluice_pt_get_info(pt, &info);
	/* Elsewhere the width says it. */
	if (cfg->format == SLUICE_PT_AMDV1)
		plenty.levels = info.levels;
	if (sluice_pt_create(&plenty, &again)) {
		free(buf);
		return "no table to load into";
	}
	if (sluice_pt_image(pt, base, buf, (uint64_t)size) != size)
		wrong = "the image has another size";
	else if (sluice_pt_load_image(again, base, buf, (uint64_t)size, base))
		wrong = "the image does not load";
	else
		wrong = judge(carry_dump(pt), again);
	free(buf);
	sluice_pt_destroy(again);
	return wrong;
}

static const char *drop(struct sluice_pt *pt, uint64_t iova, uint64_t len)
{
	if (sluice_pt_detach(pt, iova, len))
		return "a table without neighbours does not let go";
	return sluice_pt_reclaim(pt, iova, len) < 0 ? "nothing is reclaimed"
	                                            : NULL;
}

const char *carry_nothing(struct sluice_pt *pt)
{
	struct sluice_pt_info info;
	const char *wrong;
	uint64_t used = 0;
	uint64_t at = 0;
	uint64_t len;

	sluice_pt_get_info(pt, &info);
	/* Calls that count bytes take less than 2^63 of them. */
	len = info.max_iova == UINT64_MAX ? (uint64_t)1 << 62
	                                  : info.max_iova + 1;
	do {
		wrong = drop(pt, at, len);
		at += len;
	} while (!wrong && at - 1 < info.max_iova);
	if (!wrong && pt->cfg.flags & SLUICE_PT_SIGNED)
		wrong = drop(pt, ~info.max_iova, info.max_iova + 1);
	if (wrong)
		return wrong;
	for (unsigned k = 0; k < 2 && pt->family->pool[k]; k++) {
		pagecache_drain(&pt->pc[k]);
		used += pagepool_used(pt->family->pool[k])
		        << pagepool_page_lg2(pt->family->pool[k]);
	}
	sluice_pt_get_info(pt, &info);
	return used == info.root_bytes ? NULL : "tables have leaked";
}

static void keep_page(struct carry_hold *h, unsigned k, void *page)
{
	if (h->nr[k] == h->max[k]) {
		h->max[k] = h->max[k] ? 2 * h->max[k] : 64;
		h->page[k] =
		        realloc(h->page[k], h->max[k] * sizeof(*h->page[k]));
		if (!h->page[k])
			abort();
	}
	h->page[k][h->nr[k]++] = page;
}

void carry_hold(struct carry_hold *h, struct sluice_pt *pt,
                struct sluice_pt *other, unsigned leave)
{
	for (unsigned k = 0; k < 2 && pt->family->pool[k]; k++) {
		struct pagecache pc;
		void *page;

		pagecache_drain(&pt->pc[k]);
		if (other)
			pagecache_drain(&other->pc[k]);
		pagecache_init(&pc, pt->family->pool[k]);
		while ((page = pagecache_get(&pc)))
			keep_page(h, k, page);
		for (unsigned i = 0; i < leave && h->nr[k]; i++)
			pagecache_put(&pc, h->page[k][--h->nr[k]]);
		pagecache_drain(&pc);
	}
}

void carry_release(struct carry_hold *h, struct sluice_pt *pt)
{
	for (unsigned k = 0; k < 2 && pt->family->pool[k]; k++) {
		struct pagecache pc;

		pagecache_init(&pc, pt->family->pool[k]);
		while (h->nr[k])
			pagecache_put(&pc, h->page[k][--h->nr[k]]);
		pagecache_drain(&pc);
		free(h->page[k]);
	}
	*h = (struct carry_hold){0};
}
