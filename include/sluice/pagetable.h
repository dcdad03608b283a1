/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O page tables on their own: build, change, walk and dump a table in the
 * format of an IOMMU, with no engine around it. A domain owns one of these
 * inside; use this header to write tables for another walker, to look at
 * them, or to test.
 *
 * Thread rule of the whole header: one handle belongs to one thread at a time;
 * hand it over as you would any object. sluice_pt_walk() is the exception: any
 * number of threads may walk while the owner maps and unmaps (not while it
 * destroys). Different handles share nothing.
 */
#ifndef SLUICE_PAGETABLE_H
#define SLUICE_PAGETABLE_H

#include <sluice/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sluice_pt_format {
	SLUICE_PT_X86_64 = 0, /* 4 or 5 levels, 48 or 57 address bits */
	SLUICE_PT_VTDSS = 1,  /* VT-d second stage, 39, 48 or 57 bits */
	SLUICE_PT_NR_FORMATS
};

struct sluice_pt;

/* One piece of a mapping; prot is SLUICE_READ | SLUICE_WRITE. */
struct sluice_pt_extent {
	sluice_iova_t iova;
	sluice_oa_t oa;
	uint64_t len;
	uint32_t prot;
};

/**
 * sluice_pt_format_by_name() - "x86_64" or "vtdss" to its number.
 *
 * Thread: any. Returns: the format, -EINVAL for an unknown name (the message
 * lists the known ones).
 */
SLUICE_API int sluice_pt_format_by_name(const char *name);

/* Name of a format; NULL for a number that is none. Thread: any. */
SLUICE_API const char *sluice_pt_format_name(enum sluice_pt_format format);

/**
 * sluice_pt_create() - an empty table.
 * @format:    which IOMMU walks it
 * @iova_bits: width of the input address; 0 for 48. x86_64: 48 or 57.
 *             vtdss: 39, 48 or 57
 * @max_bytes: most memory the table may take, bytes; 0 for 1 GiB. Address
 *             space is reserved at once, memory arrives as it is used
 * @ret_pt:    owned by the caller, freed by sluice_pt_destroy()
 *
 * Thread: control. Returns: 0, -EINVAL, -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_create(enum sluice_pt_format format,
                                                  unsigned iova_bits,
                                                  uint64_t max_bytes,
                                                  struct sluice_pt **ret_pt);

/* Frees the table and every page below it. NULL is fine. */
SLUICE_API void sluice_pt_destroy(struct sluice_pt *pt);

/**
 * sluice_pt_map() - map [iova, iova + len) to [oa, oa + len).
 *
 * The largest leaves that alignment and length allow are chosen.
 * Returns: 0; -EINVAL for a zero, misaligned (4 KiB), wrapping or too wide
 * range, an unknown prot, or one that the format cannot say (x86_64 has no
 * write without read); -EEXIST when any part is mapped already; -ENOMEM
 * when a table page is missing. On failure the table maps what it did before.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_map(struct sluice_pt *pt,
                                               sluice_iova_t iova,
                                               sluice_oa_t oa, uint64_t len,
                                               uint32_t prot);

/**
 * sluice_pt_unmap() - remove [iova, iova + len) and say what was there.
 * @ext:    filled with what was removed, neighbours merged where their OAs
 *          continue; NULL: nobody wants to know
 * @nr_ext: in: room in ext; out: how many were written; may be NULL when ext
 *          is
 *
 * The whole range must be mapped and must not begin or end inside a larger
 * leaf. Returns: bytes removed, which is less than len when ext was full (call
 * again for the rest; with ext NULL there is no such limit); -EINVAL; -ENOENT
 * when a part is not mapped and nothing was changed; -ERANGE when the range
 * would split a leaf and nothing was changed.
 */
SLUICE_API SLUICE_MUST_CHECK int64_t
sluice_pt_unmap(struct sluice_pt *pt, sluice_iova_t iova, uint64_t len,
                struct sluice_pt_extent *ext, uint32_t *nr_ext);

/**
 * sluice_pt_walk() - the leaf that translates iova.
 *
 * ret_leaf covers the whole leaf (its iova may lie below the one asked for).
 * Returns: 0; -ENOENT when nothing is mapped there; -EINVAL when iova is wider
 * than the table.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_walk(
        const struct sluice_pt *pt, sluice_iova_t iova,
        struct sluice_pt_extent *ret_leaf);

/**
 * sluice_pt_dirty() - count dirty pages of [iova, iova + len).
 * @clear: also clear the dirty bits, atomically, no bit is lost: a leaf that
 *         lies only partly in the range is counted and keeps its bit
 *
 * Returns: bytes of the range below dirty leaves, -EINVAL, -EOPNOTSUPP where
 * the format keeps no dirty bit. Holes count nothing.
 */
SLUICE_API SLUICE_MUST_CHECK int64_t sluice_pt_dirty(struct sluice_pt *pt,
                                                     sluice_iova_t iova,
                                                     uint64_t len, int clear);

/* Marks the leaf at iova dirty, as a walker's write would. 0, -ENOENT,
 * -EINVAL, -EOPNOTSUPP. */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_set_dirty(struct sluice_pt *pt,
                                                     sluice_iova_t iova);

/* One non-zero word of a dump. Tables are numbered in the order in which the
 * dump places them, the root first, 4 KiB each: table is that offset from the
 * root, and a word that links to a table holds the linked table's offset as
 * its address. */
struct sluice_pt_word {
	uint64_t table; /* offset of the table that holds the word, bytes */
	uint64_t word;
	uint32_t index; /* slot in its table */
	uint32_t level; /* 0 holds the smallest leaves */
};

/**
 * sluice_pt_dump() - every non-zero word, tables in breadth-first order.
 * @fn: called per word; a non-zero return stops the dump and is returned
 *
 * Thread: the owner; nobody changes the table meanwhile. Returns: 0, -ENOMEM,
 * or what fn returned.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_dump(
        const struct sluice_pt *pt,
        int (*fn)(void *ctx, const struct sluice_pt_word *word), void *ctx);

struct sluice_pt_stats {
	uint64_t table_bytes; /* memory held by tables, root included */
	uint64_t leaves[8];   /* leaves per level, level 0 first */
};

/* Counts by walking the whole table: control calls and tests. */
SLUICE_API void sluice_pt_get_stats(const struct sluice_pt *pt,
                                    struct sluice_pt_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
