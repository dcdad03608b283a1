/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The type1 backend's own structures. One mutex stands before the container,
 * as the kernel's own mutex does behind it; lanes never take it.
 */
#ifndef SLUICE_ENGINE_BACKEND_VFIO_TYPE1_INT_H
#define SLUICE_ENGINE_BACKEND_VFIO_TYPE1_INT_H

#include <liburing.h>
#include <pthread.h>

#include "engine/backend/backend.h"
#include "engine/backend/mpsc.h"

/* ---- vfio_type1_info.c: what the kernel says about the container ---- */

struct t1_info {
	uint64_t pgsizes; /* bitmap; 0: not told */
	bool has_avail;
	uint32_t avail; /* mappings the kernel still takes */
	uint32_t nr_ranges;
	struct sluice_range *ranges; /* usable IOVAs, ascending */
};

/* VFIO_IOMMU_GET_INFO. The caller frees ret_info->ranges. */
int t1_info_get(int fd, struct t1_info *ret_info);
/* The answer of VFIO_IOMMU_GET_INFO, size bytes, believed in nothing. */
int t1_info_parse(const void *buf, size_t size, struct t1_info *ret_info);

/* ---- vfio_type1_own.c: which mappings exist ---- */

struct t1_piece {
	uint64_t iova;
	uint64_t len; /* 0: an empty slot */
};

/* Hash set of kernel mappings by IOVA: a mapping dies only whole, so what may
 * be unmapped, and how much budget that returns, is known without asking. */
struct t1_own {
	struct t1_piece *slot;
	uint32_t size_lg2;
	uint32_t nr;
	uint64_t bytes; /* of all of them */
};

/* Makes n additions certain to succeed. */
int own_reserve(struct t1_own *own, uint32_t n);
void own_add(struct t1_own *own, uint64_t iova, uint64_t len);
/* How many mappings make up exactly [iova, last]; -ENOENT when none begins
 * at iova, -EINVAL when they leave a hole or reach beyond last. */
int own_whole(const struct t1_own *own, uint64_t iova, uint64_t last);
/* Length of the mapping that begins at iova, 0 when there is none. */
uint64_t own_len(const struct t1_own *own, uint64_t iova);
/* The lowest that touches the range; false: none does. Looks at all. */
bool own_first(const struct t1_own *own, uint64_t iova, uint64_t last,
               struct sluice_range *ret);
void own_drop(struct t1_own *own, uint64_t iova, uint64_t last);
void own_free(struct t1_own *own);

/* ---- vfio_type1_budget.c: will it fit? ---- */

struct t1_budget {
	bool fresh; /* read in this turn, when the container held: */
	uint32_t nr;
	uint64_t bytes;
	uint64_t room;  /* bytes it could pin more then; UINT64_MAX: any */
	uint64_t limit; /* most mappings held and left together */
};

/* ---- the backend ---- */

#define T1_QUEUE 8192
#define T1_BATCH 256

/* A range to unmap and what became of it. */
struct t1_cut {
	uint64_t iova;
	uint64_t last;
	struct be_req *req; /* asked before it is unmapped; or NULL */
	uint32_t turn;      /* the caller's */
	int32_t res;
};

/* The helper's own: what it took from the queue and has not answered. */
struct t1_batch {
	struct be_req *req[T1_BATCH]; /* of this turn */
	uint32_t nr_held;
	uint32_t turn;
	bool lingers;   /* those that are held wait for company */
	uint64_t since; /* when the first of them came */
	uint64_t now;
	uint64_t last_ns; /* when the last unmap came */
	uint64_t gap_ns;  /* mean time between two */
	uint64_t call_ns; /* mean time of an UNMAP call */
	uint32_t vain;    /* waits in a row that were in vain */
	uint32_t refused; /* unmaps that might have waited since */
	struct t1_cut held[2 * T1_BATCH];
};

#define T1_JOBS 8 /* maps whose memory is faulted in at a time */

struct t1_job {
	struct be_req *req; /* NULL: free */
	uint32_t seg;       /* where the next piece begins */
	uint32_t left;      /* pieces under way */
	uint64_t done;      /* bytes of seg */
};

struct t1_fault {
	bool tried, ready;
	uint32_t nr;
	struct t1_job job[T1_JOBS];
	struct io_uring ring;
};

struct t1 {
	struct backend be;
	void (*log)(void *ctx, enum sluice_log_level level, const char *text);
	void *log_ctx;
	int fd;
	bool adopted; /* fd and its groups are somebody else's */

	/* Guards everything up to the counters. */
	pthread_mutex_t lock;
	struct sluice_group **group;
	uint32_t nr_groups;
	struct t1_info info;
	struct t1_own own;
	uint64_t left; /* budget; UINT64_MAX: no limit known */
	struct t1_budget budget;

	/* Written under the lock, read by anyone. */
	au64 shown_left;
	au64 refused; /* maps, without a call to the kernel */
	au64 kernel_maps, kernel_unmaps, kernel_errors;

	struct mpsc *queue; /* struct be_req *, from lanes to the helper */
	struct fabric_source *source;
	pthread_t helper;
	au32 batch_us, batch_max; /* written before the first request */
	au64 prefault_bytes;
	struct t1_batch batch;
	struct t1_fault fault;
	_Alignas(CACHELINE) au32 asleep; /* futex of the helper */
	au32 stop;
	au32 waiting; /* control calls that want the lock */
	au32 hurry;   /* a lane has nothing to do but wait */
	/* The helper's: nothing waits until the queue is read up to there. */
	bool hurried;
	uint32_t hurry_to;
	uint64_t spin_ns; /* its own too: it looks so long before it sleeps */
};

/* ---- vfio_type1_adopt.c: a container of somebody else ---- */

int t1_adopt(struct t1 *t1, int fd);
/* At the end: unmaps what is still ours. */
void t1_leave(struct t1 *t1);
/* Its owner maps too: asks the kernel how many mappings it still takes. The
 * lock is held. Nothing happens to a container of our own. */
void t1_recount(struct t1 *t1);

static inline bool t1_has_iommu(const struct t1 *t1)
{
	return t1->nr_groups || t1->adopted;
}

/* ---- vfio_type1_map.c: kernel calls, all with the lock held ---- */

int t1_ioctl(struct t1 *t1, int fd, unsigned long request, void *arg);
void t1_set_left(struct t1 *t1, uint64_t left);
/* All segments, from iova on, or none. */
int t1_map(struct t1 *t1, uint64_t iova, const struct be_seg *seg, uint32_t nr,
           uint32_t prot);
/* Each range to its own result, in the fewest calls; reorders cut. */
void t1_unmap(struct t1 *t1, struct t1_cut *cut, uint32_t nr);

/* ---- vfio_type1_budget.c: as above, with the lock held ---- */

/* A group came or went. */
void t1_budget_begin(struct t1 *t1);
/* Requests were taken over: what was read before says nothing about them. */
void t1_budget_turn(struct t1 *t1);
/* 0: ask the kernel. -ENOSPC, -ENOMEM: it would refuse. */
int t1_budget_check(struct t1 *t1, const struct be_seg *seg, uint32_t nr,
                    uint32_t prot);
/* The kernel refused a map, which is undone. */
void t1_budget_refused(struct t1 *t1, int rc);
void t1_budget_fill(struct t1 *t1, struct sluice_budget *ret);
/* Takes the lock. */
void t1_budget(struct backend *be, struct sluice_budget *ret);
/* The message for a map_now() of len bytes that failed with -ENOSPC or
 * -ENOMEM. Returns rc. */
int t1_why_full(int rc, uint64_t len, const struct sluice_budget *b);

/* ---- vfio_type1_batch.c: by the helper, with the lock held ---- */

/* Works on batch.req[0..n): the unmaps join those that are held, maps and what
 * they wait for go to the kernel. */
void batch_run(struct t1 *t1, uint32_t n);
/* Unmaps all that is held. */
void batch_flush(struct t1 *t1);
/* Maps what has been faulted in; wait: all that is to be. */
void batch_faulted(struct t1 *t1, bool wait);
/* When that is to be done, by clock_ns(); 0: now; UINT64_MAX: there is
 * nothing. */
uint64_t batch_due(const struct t1 *t1);

/* ---- vfio_type1_fault.c: by the helper ---- */

/* True: its memory is being faulted in, fault_reap() has it later. */
bool fault_start(struct t1 *t1, struct be_req *req);
/* One that is ready to be mapped, or NULL; wait: NULL when there is none. */
struct be_req *fault_reap(struct t1 *t1, bool wait);
bool fault_touches(const struct t1 *t1, const struct be_req *req);
void fault_end(struct t1 *t1);

/* ---- vfio_type1_helper.c: the queue and who drains it ---- */

int t1_helper_start(struct t1 *t1);
/* After the last submit: drains the queue, then ends the thread. */
void t1_helper_stop(struct t1 *t1);
uint32_t t1_submit(struct backend *be, struct be_req *const *req, uint32_t n);
void t1_hurry(struct backend *be);
/* The lock for control calls, which the helper lets pass. */
void t1_lock(struct t1 *t1);
void t1_unlock(struct t1 *t1);

#endif
