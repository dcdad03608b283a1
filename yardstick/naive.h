/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way a DMA map is written first: one mutex, an ordered tree of mappings by
 * IOVA (as in QEMU), a hash by page for the other direction, a free list for
 * IOVAs. It is the yardstick that benchmarks run beside sluice; it hands out
 * what was freed at once, without telling anybody, which is more than a safe
 * engine may do.
 */
#ifndef SLUICE_YARDSTICK_NAIVE_H
#define SLUICE_YARDSTICK_NAIVE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct naive;

/* NULL when there is no memory. */
struct naive *naive_new(void);
void naive_free(struct naive *n);

/* Tree and hash: what sluice_map(), sluice_unmap(), sluice_translate() do.
 * 0 or bytes, -ENOMEM, -ENOENT, -EFAULT, -EACCES. */
int naive_map(struct naive *n, uint64_t va, uint64_t len, uint32_t prot,
              uint64_t *ret_iova);
int naive_unmap(struct naive *n, uint64_t iova, uint64_t len);
int64_t naive_translate(struct naive *n, uint64_t iova, uint64_t len,
                        uint32_t access, uint64_t *ret_oa);

/* The same where the caller chooses the IOVA. Overlapping what is mapped is
 * -EEXIST, and any mapped range may be unmapped, parts of mappings too; a
 * failure changes nothing. Not for IOVAs that naive_map() gave. */
int naive_map_at(struct naive *n, uint64_t iova, uint64_t oa, uint64_t len,
                 uint32_t prot);
int naive_unmap_at(struct naive *n, uint64_t iova, uint64_t len);

/* IOVAs alone: mutex and a free list for each length. */
uint64_t naive_iova_alloc(struct naive *n, uint64_t len);
void naive_iova_free(struct naive *n, uint64_t iova, uint64_t len);

/* A hash of pages alone, a mutex around each call: how a software IOTLB or a
 * table of guest memory is often kept. */
struct naive_pages;
struct naive_pages *naive_pages_new(void);
void naive_pages_free(struct naive_pages *p);
int naive_pages_map(struct naive_pages *p, uint64_t iova, uint64_t oa,
                    uint64_t nr);
int naive_pages_unmap(struct naive_pages *p, uint64_t iova, uint64_t nr);
int naive_pages_lookup(struct naive_pages *p, uint64_t iova, uint64_t *ret_oa);

/* Slots of an arena: mutex and a free list. */
struct naive_slots;
struct naive_slots *naive_slots_new(void *base, uint64_t iova, uint64_t slot,
                                    uint32_t nr);
void naive_slots_free(struct naive_slots *s);
void *naive_slots_get(struct naive_slots *s, uint64_t *ret_iova);
void naive_slots_put(struct naive_slots *s, void *va);

#ifdef __cplusplus
}
#endif
#endif
