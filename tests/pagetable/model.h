/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judge of tables of any format: a window of equal units of address space,
 * one record for each, every rule applied unit by unit. Knows from the table's
 * public description which leaf sizes exist, and nothing of words or levels.
 */
#ifndef SLUICE_TESTS_MODEL_H
#define SLUICE_TESTS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/pagetable.h>

struct unit {
	uint64_t oa;
	uint8_t prot; /* 0: not mapped */
	uint8_t size_lg2;
	uint8_t dirty;
};

struct model {
	uint64_t base;     /* first address, a multiple of the unit */
	unsigned unit_lg2; /* at least the page of the table */
	uint64_t nr;
	struct unit *unit;
	uint64_t sizes; /* leaf sizes of the table */
	bool keeps_marks;
	bool marks_need_write; /* a leaf that loses write loses its mark */
	bool write_only;       /* the format can say it */
};

/* What SLUICE_PT_DIRTY and the format mean for marks is worked out from cfg. */
void model_init(struct model *m, const struct sluice_pt_config *cfg,
                uint64_t sizes, uint64_t base, unsigned unit_lg2, uint64_t nr);
void model_done(struct model *m);

static inline uint64_t model_iova(const struct model *m, uint64_t i)
{
	return m->base + (i << m->unit_lg2);
}

/* What the call on the table must return; applied when that is success. Units
 * are counted from the start of the window. */
int model_map(struct model *m, uint64_t i, uint64_t n, uint64_t oa,
              uint32_t prot);
/* 0, -ENOENT, -ERANGE as for an unmap; changes nothing. */
int model_whole(const struct model *m, uint64_t i, uint64_t n);
void model_clear(struct model *m, uint64_t i, uint64_t n);
void model_protect(struct model *m, uint64_t i, uint64_t n, uint32_t prot);
/* First unit of the leaf that holds unit i, and how many it has. */
uint64_t model_leaf(const struct model *m, uint64_t i, uint64_t *ret_n);
int model_set_dirty(struct model *m, uint64_t i);
/* Dirty bytes of units i to i + n - 1; a bit for each page in bitmap. */
int64_t model_dirty(struct model *m, uint64_t i, uint64_t n, bool clear,
                    unsigned page_lg2, uint64_t *bitmap);
/* What a call that removes these units must report, merged; at most max are
 * written and the number of units they stand for is given. */
uint32_t model_extents(const struct model *m, uint64_t i, uint64_t n,
                       struct sluice_pt_extent *ext, uint32_t max,
                       uint64_t *ret_units);
/* Is what a walk of unit i gives (err, e) what is recorded? */
bool model_walk_ok(const struct model *m, uint64_t i, int err,
                   const struct sluice_pt_extent *e);
/* Takes the leaf sizes of the table for the mapped units of a range, after a
 * call that may change them; false, with a text on stderr, when a translation
 * differs, or a leaf is of no size that exists or crooked. */
bool model_relearn(struct model *m, const struct sluice_pt *pt, uint64_t i,
                   uint64_t n);
/* Every unit of the window by a walk. */
bool model_agrees(const struct model *m, const struct sluice_pt *pt);

/* Reads the table's dump by the decoder of its format, which was written from
 * the specification; NULL, or what is wrong. */
const char *model_decode(const struct model *m, const struct sluice_pt *pt,
                         const struct sluice_pt_config *cfg);

static inline uint64_t rnd(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

/* Below 2^32 without a division. */
static inline uint64_t rnd_below(uint64_t *state, uint64_t n)
{
	return (rnd(state) >> 32) * n >> 32;
}

#endif
