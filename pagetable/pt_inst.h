/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes the operations of one format from the templates. PT_OPS(fmt) at file
 * scope, once in a file, gives each operation a function with a name that a
 * debugger shows, and the table `ops` of them. Operations that have a straight
 * way are two functions, so that the straight one needs no stack frame.
 * docs/decisions/0006 says why this is a macro.
 */
#ifndef SLUICE_PAGETABLE_PT_INST_H
#define SLUICE_PAGETABLE_PT_INST_H

#include "pagetable/pt_claim.h"
#include "pagetable/pt_map.h"
#include "pagetable/pt_unmap.h"
#include "pagetable/pt_walk.h"

#define PT_OPS(fmt)                                                            \
	static noinline int op_map_any(struct pt *pt, struct pagecache *pc,    \
	                               uint64_t iova, uint64_t last,           \
	                               uint64_t oa, uint32_t prot,             \
	                               struct pt_freed *freed)                 \
	{                                                                      \
		return pt_tmpl_map(fmt, pt, pc, iova, last, oa, prot, freed);  \
	}                                                                      \
	static int op_map(struct pt *pt, struct pagecache *pc, uint64_t iova,  \
	                  uint64_t last, uint64_t oa, uint32_t prot,           \
	                  struct pt_freed *freed)                              \
	{                                                                      \
		if (likely(pt_tmpl_map_fast(fmt, pt, iova, last, oa, prot)))   \
			return 0;                                              \
		return op_map_any(pt, pc, iova, last, oa, prot, freed);        \
	}                                                                      \
	static int op_map_sg(struct pt *pt, struct pagecache *pc,              \
	                     uint64_t iova, const struct sluice_pt_seg *seg,   \
	                     uint32_t nr, uint32_t prot,                       \
	                     struct pt_freed *freed)                           \
	{                                                                      \
		return pt_tmpl_map_sg(fmt, pt, pc, iova, seg, nr, prot,        \
		                      freed);                                  \
	}                                                                      \
	static int op_claim(struct pt *pt, struct pagecache *pc, uint64_t va,  \
	                    uint64_t last, uint64_t iova, uint32_t prot)       \
	{                                                                      \
		return pt_tmpl_claim(fmt, pt, pc, va, last, iova, prot);       \
	}                                                                      \
	static noinline int64_t op_unmap_any(struct pt *pt, uint64_t iova,     \
	                                     uint64_t last,                    \
	                                     struct pt_gather *g)              \
	{                                                                      \
		return pt_tmpl_unmap(fmt, pt, iova, last, g);                  \
	}                                                                      \
	static int64_t op_unmap(struct pt *pt, uint64_t iova, uint64_t last,   \
	                        struct pt_gather *g)                           \
	{                                                                      \
		if (likely(pt_tmpl_unmap_fast(fmt, pt, iova, last, g)))        \
			return (int64_t)(last - iova + 1);                     \
		return op_unmap_any(pt, iova, last, g);                        \
	}                                                                      \
	static int64_t op_remove(struct pt *pt, uint64_t iova, uint64_t last,  \
	                         struct pt_gather *g)                          \
	{                                                                      \
		return pt_tmpl_remove(fmt, pt, iova, last, g);                 \
	}                                                                      \
	static int op_walk(const struct pt *pt, uint64_t iova,                 \
	                   struct pt_run *ret, au64 **ret_table)               \
	{                                                                      \
		return pt_tmpl_walk(fmt, pt, iova, NULL, ret, ret_table);      \
	}                                                                      \
	static int op_walk_gen(const struct pt *pt, uint64_t iova,             \
	                       const au64 *gen, struct pt_run *ret)            \
	{                                                                      \
		au64 *table;                                                   \
                                                                               \
		return pt_tmpl_walk(fmt, pt, iova, gen, ret, &table);          \
	}                                                                      \
	PT_OPS_TABLE

#define PT_OPS_TABLE                                                           \
	static const struct pt_ops ops = {                                     \
	        .map = op_map,                                                 \
	        .map_sg = op_map_sg,                                           \
	        .claim = op_claim,                                             \
	        .unmap = op_unmap,                                             \
	        .remove = op_remove,                                           \
	        .walk = op_walk,                                               \
	        .walk_gen = op_walk_gen,                                       \
	}

#endif
