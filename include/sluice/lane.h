/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes and views: a lane is one thread's handle on the engine, a view is a
 * lane's window on one domain. Map, unmap, translate and poll go through them
 * and never block, never take a lock; on a soft domain they make no system
 * call.
 */
#ifndef SLUICE_LANE_H
#define SLUICE_LANE_H

#include <sluice/base.h>
#include <sluice/domain.h>
#include <sluice/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_lane;
struct sluice_view;

struct sluice_lane_cfg {
	/* Requests to kernel backends in flight at a time; 0 for 1024. */
	uint32_t max_requests;
};

/**
 * sluice_lane_open() - a handle for the calling thread.
 *
 * The lane belongs to the calling thread until sluice_lane_adopt() gives it
 * to another. It starts online.
 * Thread: control. Returns: 0, -EINVAL, -ENOMEM, -ENOSPC (max_lanes open).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_lane_open(
        struct sluice_engine *engine, const struct sluice_lane_cfg *cfg,
        struct sluice_lane **ret_lane);

/**
 * sluice_lane_close() - free a lane; its views must be closed before.
 * Thread: lane. Returns: 0, -EBUSY. NULL is fine.
 */
SLUICE_API int sluice_lane_close(struct sluice_lane *lane);

/* The lane now belongs to the calling thread; the caller makes sure that the
 * former owner is done with it. Debug builds answer -EPERM to a lane call from
 * a thread that does not own the lane. Thread: any. */
SLUICE_API void sluice_lane_adopt(struct sluice_lane *lane);

/* Number of the lane, 0 .. max_lanes - 1, as statistics name it. */
SLUICE_API uint32_t sluice_lane_id(const struct sluice_lane *lane);

/**
 * sluice_lane_offline() - tickets no longer wait for this lane.
 *
 * Before a thread sleeps or computes for long. Every translation it holds ends
 * here; until sluice_lane_online() it may not translate, map or unmap
 * (-ENETDOWN), but it may poll for its completions.
 *
 * This is also what to do about a lane whose thread has ended, or was stopped
 * where it uses no translation, without going offline: another thread calls
 * sluice_lane_adopt() and then this, and the tickets that waited go on. Only
 * the caller can know that; sluice_ticket_wait() and sluice_drain() name the
 * lane that they wait for.
 *
 * Thread: lane. Returns: 0; -EBUSY while a view has holds: the lane stays
 * online (release them first); -EPERM.
 */
SLUICE_API int sluice_lane_offline(struct sluice_lane *lane);
SLUICE_API void sluice_lane_online(struct sluice_lane *lane);

enum sluice_op {
	SLUICE_OP_MAP = 1,
	SLUICE_OP_UNMAP = 2,
	/* Of a device (device.h): nobody asked for these. */
	SLUICE_OP_IRQ = 3,           /* iova: vector; len: how often it fired */
	SLUICE_OP_DEVICE_ERROR = 4,  /* an error that it cannot correct */
	SLUICE_OP_DEVICE_REQUEST = 5 /* close it: somebody wants it back */
};

/* The end of one request. Each request that promised a completion gets exactly
 * one. Completions of unmaps of one view come in the order of the calls; maps
 * on a kernel backend complete in any order. Events of devices come among them.
 */
struct sluice_completion {
	uint64_t cookie;
	sluice_iova_t iova;
	uint64_t len;
	int32_t result; /* 0 or -errno */
	uint32_t op;    /* enum sluice_op */
};

/**
 * sluice_completion_text() - what went wrong with a request, and what to do.
 *
 * A request fails long after its call returned, so sluice_last_error() cannot
 * tell. Thread: any. Owns: the library, for ever. Returns: a constant text, ""
 * for a result of 0.
 */
SLUICE_API const char *sluice_completion_text(
        const struct sluice_completion *completion);

/**
 * sluice_poll() - the heartbeat of a lane.
 * @out: room for max completions; NULL with max 0 drops them (tickets still
 *       tell), but for events of devices: these wait for a call with room
 *
 * Ends every translation the lane got before; posts its invalidations; reads
 * those of others; returns IOVAs and pages whose ticket has passed; collects
 * completions. Completions that do not fit wait for the next call.
 *
 * Thread: lane. Blocks: never. Returns: completions written to out; 0 in a
 * child of the engine's process when the lane has kernel backends.
 */
SLUICE_API uint32_t sluice_poll(struct sluice_lane *lane,
                                struct sluice_completion *out, uint32_t max);

/**
 * sluice_drain() - poll until nothing of this lane is in flight.
 * @timeout_ns: give up after this long
 *
 * Completions met on the way are dropped; events of devices wait for the next
 * sluice_poll(). For teardown and tests.
 * Thread: lane. Blocks: up to timeout_ns, spinning. Returns: 0, -ETIMEDOUT
 * with a message that names the lane that is not polling.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_drain(struct sluice_lane *lane,
                                              uint64_t timeout_ns);

/**
 * sluice_lane_event_fd() - a descriptor that becomes readable when a kernel
 * backend completed something for this lane, or a device has an event for it,
 * for threads that sleep in poll(2). It is the lane's io_uring, or an epoll
 * descriptor where the kernel lacks MSG_RING; -EOPNOTSUPP where neither is
 * allowed. Ask for it when a thread of yours is going to sleep on it, not
 * before: from then on each completion, or a few together, costs the helper
 * that sends it a system call.
 *
 * Go to sleep only after a sluice_poll() that had room left: it then has taken
 * all there was, what came during sluice_drain() included.
 * Thread: lane. Owns: the lane. Valid until: sluice_lane_close().
 */
SLUICE_API int sluice_lane_event_fd(struct sluice_lane *lane);

/**
 * sluice_view_open() - a lane's window on a domain.
 *
 * Thread: lane, control. Returns: 0, -EEXIST (this lane has one already),
 * -ENOMEM, -EINVAL (other engine), -ENODEV (kernel backend without a group:
 * attach one first), -ENETDOWN (lane is offline).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_view_open(
        struct sluice_lane *lane, struct sluice_domain *domain,
        struct sluice_view **ret_view);

/**
 * sluice_view_close() - give the window up.
 *
 * What is mapped stays mapped. Thread: lane, control. Returns: 0, -EBUSY when
 * a request is in flight (call sluice_drain() before). NULL is fine.
 */
SLUICE_API int sluice_view_close(struct sluice_view *view);

#ifdef __cplusplus
}
#endif
#endif
