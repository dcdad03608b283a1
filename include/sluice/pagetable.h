/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O page tables on their own: build, change, walk and dump a table in the
 * format of an IOMMU, with no engine around it. A domain owns one of these
 * inside; use this header to write tables for another walker, to look at
 * them, or to test.
 *
 * Thread rule of the whole header: one handle belongs to one thread at a time;
 * hand it over as you would any object. sluice_pt_walk() and
 * sluice_pt_walk_batch() are the exception: any number of threads may walk
 * while the owner changes the table (not while it destroys). Different handles
 * share nothing that a caller has to care about, not even those that hold one
 * subtree in common (sluice_pt_attach()).
 *
 * A page below is the smallest leaf of the table: 4 KiB, unless granule_lg2
 * says otherwise. Addresses and lengths are multiples of it.
 */
#ifndef SLUICE_PAGETABLE_H
#define SLUICE_PAGETABLE_H

#include <sluice/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* iova_bits of sluice_pt_config is given for each; the first one is the
 * default. */
enum sluice_pt_format {
	/* VT-d first stage, AMD v2, CPUs: 48 or 57; unsigned lower half 47
	 * or 56; with SLUICE_PT_SIGNED both halves of 48 or 57 */
	SLUICE_PT_X86_64 = 0,
	/* VT-d second stage: 48, 39 or 57 */
	SLUICE_PT_VTDSS = 1,
	/* AMD v1: 48, or any width of 30 to 64: levels are added at the top
	 * when an address needs them */
	SLUICE_PT_AMDV1 = 2,
	/* Arm VMSAv8-64 stage 1 (SMMU): 48, or 32 to 48; to 52 with 64 KiB
	 * granules */
	SLUICE_PT_ARM_LPAE_S1 = 3,
	/* ... and stage 2; its root is made of up to 16 tables */
	SLUICE_PT_ARM_LPAE_S2 = 4,
	/* RISC-V Sv39, Sv48 or Sv57: 48, 39 or 57; lower half 38, 47 or 56;
	 * with SLUICE_PT_SIGNED both halves */
	SLUICE_PT_RISCV = 5,
	/* RISC-V second stage Sv48x4, Sv39x4 or Sv57x4: 50, 41 or 59 */
	SLUICE_PT_RISCV_G = 6,
	/* s390 region, segment and page tables: 42 (region-third root), 53
	 * or 64; 31 for a segment-table root */
	SLUICE_PT_S390 = 7,
	/* PowerPC translation control entries: the window, 31 by default,
	 * granule_lg2 + 1 to 60; levels of sluice_pt_config counts its
	 * tables */
	SLUICE_PT_TCE = 8,
	SLUICE_PT_NR_FORMATS
};

/* Signed addresses: the upper half of the input addresses is sign-extended to
 * 64 bits, as a CPU's would be. x86_64 and riscv. */
#define SLUICE_PT_SIGNED 0x1u
/* The walker keeps dirty state in leaves (Arm: HD of the stage; RISC-V: GADE
 * or SADE): writable leaves start clean. Without it these two formats write
 * leaves that need no update, and dirty calls are -EOPNOTSUPP. The other
 * formats with a dirty bit need no flag. */
#define SLUICE_PT_DIRTY 0x2u
/* The walker does not snoop CPU caches: each changed line is written back once
 * before a call returns, tables before the link to them. */
#define SLUICE_PT_NONCOHERENT 0x4u
/* Do not use contiguous entries (Arm contiguous bit, RISC-V Svnapot, AMD v1
 * sizes between those of the levels), as for hardware without them. */
#define SLUICE_PT_NO_CONTIG 0x8u

/* Zero what is not needed. */
struct sluice_pt_config {
	enum sluice_pt_format format;
	unsigned iova_bits;   /* width of the input address */
	unsigned oa_bits;     /* width of the output address, 0: the format's;
	                       * Arm: 48, with 64 KiB granules up to 52 */
	unsigned granule_lg2; /* Arm 12, 14 or 16; tce 12 to 34; 0: 12 */
	unsigned levels;      /* tce: 1 to 5; 0: 1. amdv1: levels to begin
	                       * with, 3 to 6; 0: 3. 0 or as it is */
	unsigned flags;       /* SLUICE_PT_* */
	uint64_t max_bytes;   /* most memory that tables may take, bytes; 0 for
	                       * 1 GiB. Address space is reserved at once,
	                       * memory arrives as it is used */
	/* Translations of [iova, iova + len) may be held by walkers and are
	 * no longer right, or (Arm) must be gone before the call can go on:
	 * invalidate them before returning. Called by split, promote, protect
	 * and reclaim, and where tables are let go or replaced (a map of a
	 * larger leaf over empty tables, attach, detach, the first change of
	 * what is shared), on the thread that called those. What an unmap or
	 * detach removes is the caller's to invalidate after it. NULL: nobody
	 * caches. */
	void (*invalidate)(void *ctx, sluice_iova_t iova, uint64_t len);
	void *ctx;
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
 * sluice_pt_format_by_name() - "x86_64", "vtdss", ... to its number.
 *
 * "amdv2" is another name of x86_64. Thread: any. Returns: the format, -EINVAL
 * for an unknown name (the message lists the known ones).
 */
SLUICE_API int sluice_pt_format_by_name(const char *name);

/* Name of a format; NULL for a number that is none. Thread: any. */
SLUICE_API const char *sluice_pt_format_name(enum sluice_pt_format format);

/**
 * sluice_pt_create() - an empty table.
 * @cfg:    what table; read during the call only
 * @ret_pt: owned by the caller, freed by sluice_pt_destroy()
 *
 * Thread: control. Returns: 0, -EINVAL (the message says what the format can
 * be), -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_create(
        const struct sluice_pt_config *cfg, struct sluice_pt **ret_pt);

/**
 * sluice_pt_create_beside() - an empty table of the same configuration, out of
 * the same memory, so that the two may share subtrees.
 *
 * @ctx: for invalidate of the new table
 *
 * max_bytes then holds for both together; up to 64 free pages that one keeps at
 * hand are not the other's. Thread: the owner of pt. Returns: 0,
 * -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_create_beside(
        struct sluice_pt *pt, void *ctx, struct sluice_pt **ret_pt);

/* Frees the table and every page below it that no other table holds. NULL is
 * fine. */
SLUICE_API void sluice_pt_destroy(struct sluice_pt *pt);

/* What a table is; constant except for levels of amdv1. */
struct sluice_pt_info {
	enum sluice_pt_format format;
	uint64_t max_iova;    /* last valid input address (signed tables: of the
	                       * lower half) */
	uint64_t max_oa;      /* last valid output address */
	uint64_t leaf_sizes;  /* bit n: leaves of 2^n bytes */
	unsigned granule_lg2; /* the smallest of them */
	unsigned levels;      /* from the root down */
	uint64_t root_bytes;
	const void *root; /* where the root lies; links hold such addresses */
};
/* Thread: any, while nobody changes the table. */
SLUICE_API void sluice_pt_get_info(const struct sluice_pt *pt,
                                   struct sluice_pt_info *ret_info);

/**
 * sluice_pt_map() - map [iova, iova + len) to [oa, oa + len).
 *
 * The largest leaves that alignment and length allow are chosen.
 * Returns: 0; -EINVAL for a zero, misaligned, wrapping or too wide range, an
 * unknown prot, or one that the format cannot say (most have no write without
 * read); -EEXIST when any part is mapped already; -ENOMEM when a table page is
 * missing. On failure the table maps what it did before.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_map(struct sluice_pt *pt,
                                               sluice_iova_t iova,
                                               sluice_oa_t oa, uint64_t len,
                                               uint32_t prot);

/* A piece of memory. */
struct sluice_pt_seg {
	sluice_oa_t oa;
	uint64_t len;
};

/**
 * sluice_pt_map_sg() - map the pieces one behind the other from iova on.
 *
 * One walk, and all or nothing; pieces that continue each other become one.
 * Returns: as sluice_pt_map(); -EINVAL for nr of 0.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_map_sg(
        struct sluice_pt *pt, sluice_iova_t iova,
        const struct sluice_pt_seg *seg, uint32_t nr, uint32_t prot);

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
 * would split a leaf and nothing was changed (sluice_pt_split() first);
 * -ENOMEM when a shared table could not be made private.
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
 * sluice_pt_walk_batch() - the leaves of nr addresses.
 * @ret: nr extents; len is 0 where nothing is mapped
 *
 * Returns: how many of the addresses are mapped.
 */
SLUICE_API uint32_t sluice_pt_walk_batch(const struct sluice_pt *pt,
                                         const sluice_iova_t *iova, uint32_t nr,
                                         struct sluice_pt_extent *ret);

/**
 * sluice_pt_protect() - give [iova, iova + len) another prot.
 *
 * OAs stay. The whole range must be mapped in whole leaves. The range is
 * reported to invalidate, once, after the change; contiguous entries of Arm
 * are absent for a moment (break-before-make). Dirty marks stay, except on
 * Arm and RISC-V when write is taken away: harvest first. Returns: 0, -EINVAL,
 * -ENOENT, -ERANGE, -ENOMEM, as sluice_pt_unmap(); nothing is changed on
 * failure.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_protect(struct sluice_pt *pt,
                                                   sluice_iova_t iova,
                                                   uint64_t len, uint32_t prot);

/**
 * sluice_pt_split() - make iova and iova + len borders of leaves.
 *
 * A larger leaf that reaches over one of the two is replaced by smaller ones
 * that translate alike and inherit its dirty mark, so that sluice_pt_unmap()
 * or sluice_pt_protect() of the range find whole leaves. On Arm the leaf is
 * absent for a moment, and invalidate is called in between
 * (break-before-make); elsewhere it is called afterwards. Returns: leaves
 * split, 0 to 2 for each level; -EINVAL; -ENOMEM (what was split stays split).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_split(struct sluice_pt *pt,
                                                 sluice_iova_t iova,
                                                 uint64_t len);

/**
 * sluice_pt_promote() - turn full, aligned runs of leaves inside
 * [iova, iova + len) into larger ones.
 *
 * Leaves are joined when their OAs continue, the first is aligned and prot is
 * equal; the new leaf is dirty when one of them was. Returns: leaves that
 * were made, -EINVAL.
 */
SLUICE_API SLUICE_MUST_CHECK int64_t sluice_pt_promote(struct sluice_pt *pt,
                                                       sluice_iova_t iova,
                                                       uint64_t len);

/**
 * sluice_pt_reclaim() - give tables that map nothing back to the pool.
 *
 * Only tables whose whole reach lies in [iova, iova + len). Unmapping keeps
 * tables, since the next map will want them. Returns: bytes, -EINVAL.
 */
SLUICE_API SLUICE_MUST_CHECK int64_t sluice_pt_reclaim(struct sluice_pt *pt,
                                                       sluice_iova_t iova,
                                                       uint64_t len);

/**
 * sluice_pt_attach() - let pt map [iova, iova + len) as from does, by sharing
 * its tables.
 * @from: made by sluice_pt_create_beside() of pt, or the other way round, or
 *        both beside a third
 *
 * A shared table is read-only. Whichever side changes a mapping below it first
 * gets a copy of the tables on the path to it, and of no other; the other side
 * sees no change. The cost is one word for each shared table of the highest
 * level that fits. iova and len must be multiples of what a table of level 0
 * covers (sluice_pt_table_reach()), and nothing of the range may be mapped in
 * pt. from may map holes, but no leaf that is larger than what is asked for.
 * Thread: both handles. Returns: 0; -EINVAL; -EEXIST when pt maps a part of the
 * range; -ERANGE when a leaf of from reaches over an end; -EOPNOTSUPP (s390,
 * tce);
 * -ENOMEM. pt is unchanged on failure.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_attach(struct sluice_pt *pt,
                                                  struct sluice_pt *from,
                                                  sluice_iova_t iova,
                                                  uint64_t len);

/**
 * sluice_pt_detach() - drop everything that is mapped in [iova, iova + len).
 *
 * Like an unmap that asks for nothing back and tolerates holes; shared tables
 * that lie whole in the range are let go without a copy. Returns: 0, -EINVAL,
 * -ERANGE when a leaf reaches over an end, -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_detach(struct sluice_pt *pt,
                                                  sluice_iova_t iova,
                                                  uint64_t len);

/* Bytes of IOVA that one table of the lowest level covers. */
SLUICE_API uint64_t sluice_pt_table_reach(const struct sluice_pt *pt);

/**
 * sluice_pt_dirty() - count dirty bytes of [iova, iova + len).
 * @clear: also clear the dirty marks, atomically, none is lost: a leaf that
 *         lies only partly in the range is counted and keeps its mark
 *
 * Returns: bytes of the range below dirty leaves; -EINVAL; -EOPNOTSUPP where
 * the format keeps no dirty mark, or SLUICE_PT_DIRTY is needed; -ENOMEM when
 * clear met a shared table and could not make it private.
 */
SLUICE_API SLUICE_MUST_CHECK int64_t sluice_pt_dirty(struct sluice_pt *pt,
                                                     sluice_iova_t iova,
                                                     uint64_t len, int clear);

/**
 * sluice_pt_dirty_bitmap() - as sluice_pt_dirty(), with a bit for each page.
 * @bitmap: bit n of word n / 64 is page n of the range; bits of dirty pages are
 *          set, others left as they are; (len / page + 63) / 64 words
 */
SLUICE_API SLUICE_MUST_CHECK int64_t
sluice_pt_dirty_bitmap(struct sluice_pt *pt, sluice_iova_t iova, uint64_t len,
                       int clear, uint64_t *bitmap);

/* Marks the leaf at iova dirty, as a walker's write would. 0, -ENOENT,
 * -EACCES when it is not writable, -EINVAL, -EOPNOTSUPP, -ENOMEM. */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_set_dirty(struct sluice_pt *pt,
                                                     sluice_iova_t iova);

/* One word of a dump. Tables are placed in the order in which the dump meets
 * them, the root first, each aligned to its size: table is that offset from
 * the root, and a word that links to a table holds the linked table's offset
 * as its address. Words are numbers, whatever byte order the format has. */
struct sluice_pt_word {
	uint64_t table; /* offset of the table that holds the word, bytes */
	uint64_t word;
	uint32_t index; /* slot in its table */
	uint32_t level; /* 0 holds the smallest leaves */
};

/**
 * sluice_pt_dump() - every word that is not empty, tables breadth-first.
 * @fn: called per word; a non-zero return stops the dump and is returned
 *
 * Empty is 0, except for s390, where it is an entry with its invalid bit.
 * Thread: the owner; nobody changes the table meanwhile. Returns: 0, -ENOMEM,
 * or what fn returned.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_dump(
        const struct sluice_pt *pt,
        int (*fn)(void *ctx, const struct sluice_pt_word *word), void *ctx);

/**
 * sluice_pt_image() - the tables as a walker's memory that begins at base.
 * @base: address at which the first byte of buf will lie, a multiple of
 *        root_bytes; links hold base plus the offset of their table
 * @buf:  NULL to ask for the size only
 * @size: room in buf, bytes
 *
 * Words are in the byte order of the format. Returns: bytes of the image, which
 * is complete when that is at most size; -EINVAL; -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int64_t sluice_pt_image(const struct sluice_pt *pt,
                                                     uint64_t base, void *buf,
                                                     uint64_t size);

/**
 * sluice_pt_load() - fill an empty table with the words of a dump.
 * @word: as sluice_pt_dump() gives them, in any order
 *
 * The words are input from outside: each must be one that this table could have
 * written (accessed and dirty marks aside). Returns: 0; -EINVAL, the message
 * names the word and what is wrong with it; -EEXIST when pt is not empty;
 * -ENOMEM. pt stays empty on failure.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_load(
        struct sluice_pt *pt, const struct sluice_pt_word *word, uint64_t nr);

/**
 * sluice_pt_load_image() - fill an empty table from a walker's memory.
 * @buf:  memory, size bytes; its first byte has the address base
 * @root: address of the root table
 *
 * Follows links as the walker would, and takes nothing else. Returns: as
 * sluice_pt_load().
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_load_image(struct sluice_pt *pt,
                                                      uint64_t base,
                                                      const void *buf,
                                                      uint64_t size,
                                                      uint64_t root);

enum sluice_pt_kind {
	SLUICE_PT_EMPTY,  /* the walker faults */
	SLUICE_PT_LINK,   /* oa is the address of a table */
	SLUICE_PT_LEAF,   /* oa and len are those of the leaf */
	SLUICE_PT_INVALID /* nothing that this table would hold */
};

/* What a word means. */
struct sluice_pt_meaning {
	enum sluice_pt_kind kind;
	uint64_t oa;       /* of an item that has an address of its own (Arm),
	                    * its own, else the leaf's */
	uint64_t len;      /* bytes of the leaf, or reach of the slot */
	uint32_t items;    /* words that together make the leaf */
	uint32_t prot;     /* SLUICE_* */
	int dirty;         /* -1: the format does not say */
	int accessed;      /* -1: the format does not say */
	uint64_t software; /* the bits that no walker reads */
	uint64_t unknown;  /* bits that should not be as they are */
};

/* Explains a word at a level of pt. 0, -EINVAL for a level that is none. */
SLUICE_API SLUICE_MUST_CHECK int sluice_pt_explain(
        const struct sluice_pt *pt, uint64_t word, uint32_t level,
        struct sluice_pt_meaning *ret_meaning);

struct sluice_pt_stats {
	uint64_t table_bytes;  /* memory held by tables, root included */
	uint64_t shared_bytes; /* of it, tables reached through a shared one */
	uint64_t tables;
	uint64_t leaves[64]; /* leaves of 2^n bytes */
};

/* Counts by walking the whole table: control calls and tests. */
SLUICE_API void sluice_pt_get_stats(const struct sluice_pt *pt,
                                    struct sluice_pt_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
