/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine: owner of lanes, domains and the memory of page tables. One per
 * process is typical, several are fine.
 *
 * An engine belongs to the process that opened it. In a child after fork()
 *  - every control call, what goes to a kernel backend (sluice_map()), and
 *    sluice_drain(), sluice_ticket_wait() and sluice_lane_event_fd() answer
 *    -EPERM and change nothing; sluice_poll() of a lane with a kernel backend
 *    gives no completions, sluice_arena_destroy() does nothing;
 *  - the other lane calls work on the child's own copy of the tables, which
 *    nobody else sees and which tells nothing about the parent any more;
 *  - the memory of arenas, mapped regions of devices and io_uring rings are not
 *    there: access to them is a fault;
 *  - an engine of the child's own is fine, and exec() closes all descriptors.
 * The parent goes on undisturbed, but for memory of its own that it mapped with
 * sluice_map(): unless the kernel copies pinned pages for the child (Linux 5.12
 * and later does), a write by either side after the fork() may leave the device
 * with a page that the writer no longer sees. Mark such memory with
 * madvise(MADV_DONTFORK) before it is mapped, as libibverbs does, fork before
 * mapping, or start programs with posix_spawn() or vfork().
 */
#ifndef SLUICE_ENGINE_H
#define SLUICE_ENGINE_H

#include <sluice/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_engine;

enum sluice_log_level {
	SLUICE_LOG_ERROR,
	SLUICE_LOG_WARN,
	SLUICE_LOG_INFO,
	SLUICE_LOG_DEBUG
};

struct sluice_engine_cfg {
	/* Lanes that can be open at a time; 0 for 64, at most 256. */
	uint32_t max_lanes;
	/* Most memory that page tables of all domains may take, bytes; 0 for
	 * 4 GiB. Address space is reserved, memory arrives as it is used. */
	uint64_t max_table_bytes;
	/* Called on control paths only, never on a lane path. NULL: silent.
	 * text is valid during the call. */
	void (*log)(void *ctx, enum sluice_log_level level, const char *text);
	void *log_ctx;
	/* Do not use io_uring even where the kernel has it: completions of
	 * kernel backends then travel through a plain ring. */
	int no_io_uring;
};

/**
 * sluice_engine_open() - create an engine.
 * @cfg: NULL or zeroes for defaults; copied
 *
 * Thread: control. Owns: the caller, until sluice_engine_close().
 * Returns: 0, -EINVAL, -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_engine_open(
        const struct sluice_engine_cfg *cfg, struct sluice_engine **ret_engine);

/**
 * sluice_engine_close() - free the engine.
 *
 * Every lane and domain must have been closed before. NULL is fine.
 * Thread: control. Returns: 0, -EBUSY when a lane or domain is still open
 * (the message says which); nothing is freed then.
 */
SLUICE_API int sluice_engine_close(struct sluice_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
