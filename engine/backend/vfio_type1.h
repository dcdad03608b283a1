/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How something other than the kernel takes the kernel's place under the type1
 * backend: the table of its system calls. For tests and the engine's hook.
 */
#ifndef SLUICE_ENGINE_BACKEND_VFIO_TYPE1_H
#define SLUICE_ENGINE_BACKEND_VFIO_TYPE1_H

#include "engine/backend/backend.h"

/* Each returns what the system call returns, or -errno. */
struct t1_sys {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *arg);
};

extern const struct t1_sys t1_sys_kernel;

/* be_type1_create() with the system calls of sys, which must outlive the
 * backend. They are called from control threads and from the helper. */
int be_type1_create_sys(const struct t1_sys *sys,
                        void (*log)(void *ctx, enum sluice_log_level level,
                                    const char *text),
                        void *log_ctx, struct backend **ret_be);
/* be_type1_adopt(), likewise. */
int be_type1_adopt_sys(const struct t1_sys *sys, int fd,
                       void (*log)(void *ctx, enum sluice_log_level level,
                                   const char *text),
                       void *log_ctx, struct backend **ret_be);

#endif
