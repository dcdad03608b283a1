/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

uint64_t *dir_reserve(uint64_t slots, int huge)
{
	void *p = mmap(NULL, slots * sizeof(uint64_t), PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Advice only. */
	(void)madvise(p, slots * sizeof(uint64_t),
	              huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return p;
}

void dir_release(uint64_t *slots, uint64_t nr)
{
	if (slots)
		munmap(slots, nr * sizeof(*slots));
}

static void take_table(struct directory *d, const uint64_t *t, uint64_t first)
{
	uint64_t before = d->nr;

	for (uint64_t i = 0; i < 512; i++) {
		if (!t[i])
			continue;
		if (d->slot) {
			d->slot[d->nr] = (uint32_t)(first + i);
			d->word[d->nr] = t[i];
		}
		d->nr++;
	}
	/* 512 words are a page of the directory: as much as this table. */
	d->pages += d->nr > before;
	d->tables++;
}

/* All words of level 1; without d->slot it only counts. */
static void collect(struct directory *d)
{
	d->nr = 0;
	d->pages = 0;
	d->tables = 1;
	for (uint64_t i = 0; i < 512; i++) {
		const uint64_t *t = dir_table(d->root[i]);

		if (!(d->root[i] & X86_P))
			continue;
		d->tables++;
		for (uint64_t k = 0; k < 512; k++) {
			if (d->top)
				d->top[i << 9 | k] = t[k];
			if ((t[k] & (X86_P | X86_PS)) == X86_P)
				take_table(d, dir_table(t[k]),
				           (i << 9 | k) << 9);
		}
	}
}

int dir_build(struct directory *d, const struct sluice_pt *pt)
{
	struct sluice_pt_info info;

	memset(d, 0, sizeof(*d));
	sluice_pt_get_info(pt, &info);
	d->root = info.root;
	collect(d);
	d->slot = calloc(d->nr + 1, sizeof(*d->slot));
	d->word = calloc(d->nr + 1, sizeof(*d->word));
	d->leaf = dir_reserve(DIR_SLOTS, 1);
	d->top = dir_reserve(TOP_SLOTS, 1);
	if (!d->slot || !d->word || !d->leaf || !d->top) {
		dir_free(d);
		return -ENOMEM;
	}
	collect(d);
	for (uint64_t i = 0; i < d->nr; i++)
		d->leaf[d->slot[i]] = d->word[i];
	return 0;
}

void dir_free(struct directory *d)
{
	free(d->slot);
	free(d->word);
	dir_release(d->leaf, DIR_SLOTS);
	dir_release(d->top, TOP_SLOTS);
	memset(d, 0, sizeof(*d));
}
