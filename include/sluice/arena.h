/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas: memory mapped once and handed out for free. The device keeps access
 * to the whole arena; get and put are arithmetic. The memory is not there in a
 * child after fork(), see engine.h.
 */
#ifndef SLUICE_ARENA_H
#define SLUICE_ARENA_H

#include <sluice/base.h>
#include <sluice/lane.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_arena;

enum sluice_page_kind {
	SLUICE_PAGES_PLAIN, /* 4 KiB pages */
	SLUICE_PAGES_THP,   /* transparent huge pages asked for */
	SLUICE_PAGES_HUGE   /* hugetlb pages through libhugetlbfs */
};

struct sluice_arena_cfg {
	uint64_t size; /* bytes; rounded up to whole pages of the kind */
	uint64_t
	        slot_size;    /* bytes of each slot for get/put; 0: no slots.
	                       * A multiple of 64. A slot of at most 4 KiB never
	                       * crosses a page when slot_size is a power of two */
	uint64_t slots_bytes; /* part of size given to slots; 0: all, when
	                       * slot_size is set */
	uint32_t prot;        /* 0: read and write */
	uint32_t flags;       /* SLUICE_MAP_32BIT */
	uint32_t no_huge;     /* skip hugetlb and transparent huge pages */
};

/* A piece of an arena. */
struct sluice_buf {
	void *va;
	sluice_iova_t iova;
};

/**
 * sluice_arena_create() - allocate memory and map it into a domain.
 *
 * Memory comes from hugetlb pages, else transparent huge pages, else plain
 * pages; sluice_arena_page_kind() says which, and the engine's log says why.
 * Contents are zero.
 * Thread: control. Blocks: yes (a kernel backend pins the memory here).
 * Returns: 0, -EINVAL, -ENOMEM (message names RLIMIT_MEMLOCK when that is
 * what is missing), -ENOSPC (no IOVA, or the kernel's mapping budget is used
 * up; for the budget see sluice_budget_explain()), -ENODEV (kernel backend
 * without a group), -EEXIST (the kernel has the address mapped: somebody else
 * uses the container), -EFAULT (the memory cannot be pinned).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_arena_create(
        struct sluice_domain *domain, const struct sluice_arena_cfg *cfg,
        struct sluice_arena **ret_arena);

/**
 * sluice_arena_destroy() - unmap and free.
 *
 * Everything got from it must have been put back or be unused by devices. The
 * memory is released once every lane has polled; nothing waits for that here.
 * An arena in a table of fixed buffers (sluice/fixed.h) stays: log and
 * sluice_last_error() say so.
 * Thread: control. NULL is fine.
 */
SLUICE_API void sluice_arena_destroy(struct sluice_arena *arena);

/* What the arena's memory turned out to be. Thread: any. */
SLUICE_API enum sluice_page_kind sluice_arena_page_kind(
        const struct sluice_arena *arena);

struct sluice_arena_info {
	void *va;
	uint64_t len; /* bytes; contiguous in VA and in IOVA */
	sluice_iova_t iova;
	enum sluice_page_kind page_kind;
	struct sluice_domain *domain; /* where it is mapped */
};

/* Where the arena is, for those who register it elsewhere, too. Does not change
 * in its life. Thread: any. */
SLUICE_API void sluice_arena_get_info(const struct sluice_arena *arena,
                                      struct sluice_arena_info *ret_info);

/**
 * sluice_arena_alloc() - a piece of any size for the arena's lifetime: queues,
 * descriptors.
 * @align: power of two, bytes; 0 for 64
 *
 * Thread: control (takes a mutex). There is no free: destroy the arena.
 * Returns: 0, -EINVAL, -ENOSPC.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_arena_alloc(struct sluice_arena *arena,
                                                    uint64_t len,
                                                    uint64_t align,
                                                    struct sluice_buf *ret_buf);

/**
 * sluice_arena_get() - one slot of slot_size bytes.
 * sluice_arena_put() - give it back; any lane may.
 *
 * A lane keeps slots that it put back for its own next gets: at most 126, and
 * at most one in 16 of the arena (but one). Other lanes get the rest, and those
 * of lanes that were closed.
 * Thread: lane. Blocks: never. get returns: 0, -ENOBUFS when every slot is out
 * or kept by another lane, -EOPNOTSUPP without slots.
 * put takes the va that get returned.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_arena_get(struct sluice_lane *lane,
                                                  struct sluice_arena *arena,
                                                  struct sluice_buf *ret_buf);
SLUICE_API void sluice_arena_put(struct sluice_lane *lane,
                                 struct sluice_arena *arena, void *va);

/**
 * sluice_arena_iova() - IOVA of an address inside the arena; arithmetic.
 * Thread: any. Returns: 0 or -EFAULT when va lies outside.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_arena_iova(
        const struct sluice_arena *arena, const void *va,
        sluice_iova_t *ret_iova);

#ifdef __cplusplus
}
#endif
#endif
