/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the engine asks of a backend, and the fabric on which results come
 * back. A backend mirrors a domain's mappings into an enforcing IOMMU; it
 * knows requests and address ranges, no lane, no table, no allocator.
 */
#ifndef SLUICE_ENGINE_BACKEND_BACKEND_H
#define SLUICE_ENGINE_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/base.h>
#include <sluice/budget.h>
#include <sluice/engine.h>
#include "groups/grp.h"
#include "util/util.h"

/* ---- fabric: completions to a lane, beside everything it polls ---- */

struct fabric_port;   /* receiving end, one per lane */
struct fabric_source; /* sending end, one per helper thread */

enum fabric_kind {
	FABRIC_MSG_RING, /* CQEs by IORING_OP_MSG_RING into the lane's ring */
	FABRIC_EVENTFD,  /* plain ring, eventfd as the doorbell */
	FABRIC_PLAIN,    /* plain ring, no descriptor */
};

struct fabric_cqe {
	uint64_t id; /* what the poster gave */
	int32_t res;
	uint32_t flags; /* of a watch: FABRIC_MORE, or it has ended */
};
#define FABRIC_MORE 0x2u

/* Control. entries: most completions that can be outstanding, at most 2^15.
 * The best kind that the kernel allows is chosen; best_kind caps it
 * (FABRIC_PLAIN for no_io_uring). -EINVAL, -ENOMEM. */
int fabric_port_create(uint32_t entries, enum fabric_kind best_kind,
                       struct fabric_port **ret_port);
void fabric_port_destroy(struct fabric_port *port);
enum fabric_kind fabric_port_kind(const struct fabric_port *port);
/* Owner thread. Readable when completions wait; -EOPNOTSUPP for FABRIC_PLAIN.
 * A port whose descriptor nobody asks for is never rung. */
int fabric_port_fd(struct fabric_port *port);
/* Owner thread; never blocks, no system call when nothing is there. What the
 * poster wrote before fabric_post() is visible after. */
uint32_t fabric_reap(struct fabric_port *port, struct fabric_cqe *out,
                     uint32_t max);

/* Control. */
int fabric_source_create(struct fabric_source **ret_source);
void fabric_source_destroy(struct fabric_source *source);
/* One completion to a port; one thread per source. The number outstanding at
 * a port never exceeds its entries (the requester's duty), so it cannot be
 * lost. Visible at the latest after fabric_flush(). */
void fabric_post(struct fabric_source *source, struct fabric_port *port,
                 uint64_t id, int32_t res);
void fabric_flush(struct fabric_source *source);

/* Descriptors of others (eventfds) that the port's owner wants to know of when
 * they become readable. An id has FABRIC_WATCH and is none of the last 16. */
#define FABRIC_WATCH bit64(63)

/* Owner thread. FABRIC_MSG_RING: fabric_reap() then gives a completion with the
 * id each time that fd is signalled; one without FABRIC_MORE is the last until
 * it is watched again. Other kinds: fabric_look() tells. 0 or -errno. */
int fabric_watch(struct fabric_port *port, int fd, uint64_t id);
/* Completions with the id may still come. */
void fabric_unwatch(struct fabric_port *port, int fd, uint64_t id);
/* Owner thread; a system call. The ids of descriptors that are readable now;
 * none for FABRIC_MSG_RING. */
uint32_t fabric_look(struct fabric_port *port, uint64_t *ids, uint32_t max);

/* Does anything answer IORING_OP_URING_CMD on fd? cmd_op must change nothing. 0
 * when it does, be it by an error of its own; else -errno: there is no
 * io_uring, or it has no such request, or not for this descriptor. */
int fabric_uring_cmd(int fd, uint32_t cmd_op);

/* ---- requests ---- */

enum be_op { BE_MAP = 1, BE_UNMAP = 2 };

/* A run contiguous in VA. */
struct be_seg {
	uint64_t va;
	uint64_t len;
};

/* An unmap may be called back until the backend takes it. */
enum be_state { BE_QUEUED, BE_TAKEN, BE_CANCELLED };

/* One request in flight. Owned by the lane before submit and after its
 * completion, by the backend in between, but for the state. Requests that touch
 * each other take effect in the order in which they were submitted. */
struct be_req {
	enum be_op op;
	uint32_t prot; /* SLUICE_READ | SLUICE_WRITE */
	uint64_t iova;
	uint64_t len;    /* whole range */
	uint32_t nr_seg; /* maps: segs, in IOVA order, sum of len */
	au32 state;      /* enum be_state */
	struct be_seg *seg;
	struct fabric_port *port;
	uint64_t id; /* comes back in the completion; below 2^63 */
};

static inline bool be_touch(const struct be_req *a, const struct be_req *b)
{
	return a->iova - b->iova < b->len || b->iova - a->iova < a->len;
}

/* The lane and the backend decide by one compare-and-swap each who has an
 * unmap: of one word all threads see one order, and neither side passes on
 * anything but the answer, so both are relaxed. Each backend asks before it
 * does anything that an unmap asks for; false: nothing is to be done, and the
 * completion is a success. */
static inline bool be_take(struct be_req *req)
{
	uint32_t state = BE_QUEUED;

	return cas_rlx(&req->state, &state, BE_TAKEN) || state == BE_TAKEN;
}

/* Lane. True: the mapping stays what it was; the completion comes as ever. */
static inline bool be_cancel(struct be_req *req)
{
	uint32_t state = BE_QUEUED;

	return cas_rlx(&req->state, &state, BE_CANCELLED);
}

/* ---- backend ---- */

struct backend;

struct be_counters {
	uint64_t kernel_maps;
	uint64_t kernel_unmaps;
	uint64_t kernel_errors;
};

/* A budget without any limit. */
#define BE_BUDGET_FREE                                                         \
	((struct sluice_budget){                                               \
	        .mappings_left = UINT64_MAX,                                   \
	        .mappings_limit = UINT64_MAX,                                  \
	        .entry_limit = UINT64_MAX,                                     \
	        .locked_limit = UINT64_MAX,                                    \
	        .locked_hard_limit = UINT64_MAX,                               \
	        .cgroup_limit = UINT64_MAX,                                    \
	})

struct backend_ops {
	const char *name;
	/* Control; may block. */
	int (*attach)(struct backend *be, struct sluice_group *group);
	/* drop: the last group may go although mappings live; they go too. */
	int (*detach)(struct backend *be, struct sluice_group *group,
	              bool drop);
	/* Usable IOVA ranges, ascending: how many there are (may exceed max),
	 * or -ENODEV before the first attach. */
	int (*usable)(struct backend *be, struct sluice_range *ranges,
	              uint32_t max);
	int (*map_now)(struct backend *be, uint64_t iova, uint64_t va,
	               uint64_t len, uint32_t prot);
	int (*unmap_now)(struct backend *be, uint64_t iova, uint64_t len);
	void (*destroy)(struct backend *be);
	/* Lane; never blocks. Accepts the first k of n requests and returns
	 * k; the rest did not fit. */
	uint32_t (*submit)(struct backend *be, struct be_req *const *req,
	                   uint32_t n);
	/* Control: does the kernel take requests on the backend's descriptor
	 * from an io_uring (IORING_OP_URING_CMD)? 0, or -errno: why not. */
	int (*uring_cmd)(struct backend *be);
	/* Lane: nothing is left to do but wait for unmaps that were submitted;
	 * they shall not wait for company. */
	void (*hurry)(struct backend *be);
	/* Control, before the first request: sluice_domain_cfg's. */
	void (*tune)(struct backend *be, uint32_t batch_us, uint32_t batch_max,
	             uint64_t prefault_bytes);
	/* Any thread. */
	uint64_t (*mappings_left)(struct backend *be);
	void (*counters)(struct backend *be, struct be_counters *ret);
	/* Control; may block. Everything but the usable IOVAs. */
	void (*budget)(struct backend *be, struct sluice_budget *ret);
	/* Control; may block. The lowest mapping that touches [iova, last];
	 * false: there is none. NULL: not known. */
	bool (*mapped)(struct backend *be, uint64_t iova, uint64_t last,
	               struct sluice_range *ret_mapping);
};

/* First member of every backend. The soft domain has no backend object: a NULL
 * struct backend * means that nothing needs mirroring. */
struct backend {
	const struct backend_ops *ops;
};

/* engine/backend/vfio_type1.c. log may be NULL. Opens /dev/vfio/vfio. */
int be_type1_create(void (*log)(void *ctx, enum sluice_log_level level,
                                const char *text),
                    void *log_ctx, struct backend **ret_be);
/* The same on a container that somebody else has opened, put groups into and
 * given an IOMMU: fd is borrowed, groups stay its owner's, and destroy takes
 * back only what was mapped through this backend. -ENODEV: no IOMMU yet. */
int be_type1_adopt(int fd,
                   void (*log)(void *ctx, enum sluice_log_level level,
                               const char *text),
                   void *log_ctx, struct backend **ret_be);

#endif
