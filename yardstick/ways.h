/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ways others keep a map of pages, behind one face: what sluice is measured
 * against. Each way is what its package offers for the job, used as its manual
 * says; which ways there are depends on the packages found when building.
 * Knows nothing of sluice; prot and access are bits, 1 read and 2 write.
 *
 * iova, oa and len of map and unmap are multiples of 4 KiB, len is not 0 and no
 * range wraps. Ranges of different threads must not touch each other; beyond
 * that every call may run at the same time as any other.
 */
#ifndef SLUICE_YARDSTICK_WAYS_H
#define SLUICE_YARDSTICK_WAYS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct way {
	const char *name;
	/* For up to max_pages mapped at a time; more may be refused. NULL
	 * when there is no memory or the package cannot work here. */
	void *(*open)(uint64_t max_pages);
	/* 0; -EEXIST when a part is mapped already; -ENOMEM. Nothing changes
	 * on failure. */
	int (*map)(void *w, uint64_t iova, uint64_t oa, uint64_t len,
	           uint32_t prot);
	/* Whole mappings, several of them, or parts. 0; -ENOENT when a part is
	 * not mapped; -ENOMEM. Nothing changes on failure. */
	int (*unmap)(void *w, uint64_t iova, uint64_t len);
	/* One address. 0; -EFAULT when it is not mapped; -EACCES when its
	 * mapping lacks a bit of prot. */
	int (*translate)(void *w, uint64_t iova, uint32_t prot,
	                 uint64_t *ret_oa);
	/* A thread enters before its first call of the three above and leaves
	 * after its last, before close. In between it keeps calling: what was
	 * unmapped is taken back when all threads inside have called again. */
	void (*thread_enter)(void *w);
	void (*thread_leave)(void *w);
	void (*close)(void *w);
};

/* "naive", "bare", "glib", "rte_hash", "rculfhash". NULL when it was not built.
 */
const struct way *ways_find(const char *name);
/* All that were built, the naive one first. */
const struct way *ways_all(unsigned *ret_nr);

#ifdef __cplusplus
}
#endif
#endif
