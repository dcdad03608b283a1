/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle: a flat map of intervals that says what an I/O address space must
 * hold. It judges unit tests, stress, fuzzing and replay alike, so it is
 * written to be read: no table levels, no page sizes, no concurrency (the
 * caller locks), and nothing of libsluice.
 */
#ifndef SLUICE_YARDSTICK_ORACLE_H
#define SLUICE_YARDSTICK_ORACLE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct oracle;

/* What one map call put there, or what an unmap left of it. Ends are closed.
 * oa is the output address of iova; tag is the caller's own number. */
struct oracle_piece {
	uint64_t iova;
	uint64_t last;
	uint64_t oa;
	uint64_t tag;
	uint32_t prot;
};

/* Told about each removed piece, lowest IOVA first. */
typedef void oracle_removed_fn(void *ctx, const struct oracle_piece *piece);

/* NULL when there is no memory. */
struct oracle *oracle_new(void);
/* NULL is fine. */
void oracle_free(struct oracle *o);

/**
 * oracle_map() - [iova, last] goes to [oa, oa + (last - iova)].
 *
 * Returns: 0; -EINVAL when last < iova or oa wraps; -EEXIST when a part is
 * mapped already; -ENOMEM. Nothing changes on failure.
 */
int oracle_map(struct oracle *o, uint64_t iova, uint64_t last, uint64_t oa,
               uint32_t prot);
/* The same with a tag that lookups return. */
int oracle_map_tag(struct oracle *o, uint64_t iova, uint64_t last, uint64_t oa,
                   uint32_t prot, uint64_t tag);

/**
 * oracle_unmap() - take [iova, last] out; pieces that stick out are cut.
 * @fn: NULL, or called for each removed (part of a) piece
 *
 * Returns: 0; -EINVAL when last < iova; -ENOENT when a part is not mapped;
 * -ENOMEM. Nothing changes on failure and fn is not called.
 */
int oracle_unmap(struct oracle *o, uint64_t iova, uint64_t last,
                 oracle_removed_fn *fn, void *ctx);

/* The piece that holds iova. Returns: 0 or -ENOENT. */
int oracle_lookup(const struct oracle *o, uint64_t iova,
                  struct oracle_piece *ret_piece);

/* The lowest piece that ends at or above iova: start at 0 and go on with
 * last + 1 to see all (stop when last is UINT64_MAX). Returns: 0, -ENOENT. */
int oracle_next(const struct oracle *o, uint64_t iova,
                struct oracle_piece *ret_piece);

/* Pieces, and 4 KiB pages in them (a partial page counts as none). */
uint64_t oracle_count(const struct oracle *o);
uint64_t oracle_pages(const struct oracle *o);
/* Sum of last - iova + 1 over all pieces. */
uint64_t oracle_bytes(const struct oracle *o);

#ifdef __cplusplus
}
#endif
#endif
