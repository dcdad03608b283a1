/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each call can answer when it fails, from the manual pages of section 2
 * and 3 and, for VFIO, from what Linux 6.1 answers. Left out is what only a
 * wrong argument brings about (EBADF, EFAULT of the call's own structure), and
 * EINTR where nothing is waited for, or only a fatal signal interrupts. write
 * to an eventfd that holds 1 at most and FUTEX_WAKE do not fail.
 */
#include "tests/faults/inject.h"

#include <errno.h>

const struct call_info call_info[NR_CALLS] = {
        [CALL_HEAP] = {"heap", {ENOMEM}},
        [CALL_OPEN_CONTAINER] = {"open(container)",
                                 {EACCES, EMFILE, ENFILE, ENODEV, ENOENT,
                                  ENOMEM, ENXIO, EPERM}},
        [CALL_OPEN_GROUP] = {"open(group)",
                             {EACCES, EBUSY, EMFILE, ENFILE, ENODEV, ENOENT,
                              ENOMEM, ENXIO, EPERM}},
        [CALL_OPENAT] = {"openat",
                         {EACCES, EIO, ELOOP, EMFILE, ENFILE, ENODEV, ENOENT,
                          ENOMEM, ENOTDIR, EPERM}},
        [CALL_CLOSE] = {"close", {EINTR, EIO}},
        [CALL_READ] = {"read", {EACCES, EAGAIN, EINTR, EIO, ENODEV, ENOMEM}},
        [CALL_FSTATAT] = {"fstatat", {EACCES, ELOOP, ENOENT, ENOMEM, ENOTDIR}},
        [CALL_READLINKAT] = {"readlinkat",
                             {EACCES, EINVAL, EIO, ELOOP, ENOENT, ENOMEM,
                              ENOTDIR}},
        [CALL_GETDENTS] = {"getdents", {EIO, ENOENT, ENOMEM}},
        [CALL_EVENTFD] = {"eventfd", {EMFILE, ENFILE, ENODEV, ENOMEM}},
        [CALL_MMAP] = {"mmap", {EAGAIN, ENOMEM, EPERM}},
        [CALL_MUNMAP] = {"munmap", {ENOMEM}},
        [CALL_MADVISE] = {"madvise",
                          {EAGAIN, EFAULT, EHWPOISON, EINTR, EINVAL, ENOMEM}},
        [CALL_MINCORE] = {"mincore", {EAGAIN, ENOMEM}},
        [CALL_GETRLIMIT] = {"getrlimit", {EINVAL}},
        [CALL_HUGE_SIZE] = {"gethugepagesize", {ENOENT}},
        [CALL_HUGE_GET] = {"get_huge_pages", {ENOMEM}},
        [CALL_THREAD] = {"pthread_create", {EAGAIN}},
        [CALL_FUTEX_WAIT] = {"FUTEX_WAIT", {EAGAIN, EINTR}},
        [CALL_URING_INIT] = {"io_uring_setup",
                             {EINVAL, EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM}},
        [CALL_URING_KNOWS] = {"io_uring_register", {EACCES, EINVAL, ENOMEM}},
        [CALL_URING_SUBMIT] = {"io_uring_enter",
                               {EAGAIN, EBUSY, EINTR, EINVAL, ENOMEM, ENXIO,
                                EOPNOTSUPP}},
        [CALL_URING_EVENTS] = {"io_uring_enter(events)", {EAGAIN, EINTR}},
        [CALL_URING_REGISTER] = {"io_uring_register(buffers)",
                                 {EACCES, EBUSY, EFAULT, EINVAL, ENOMEM, ENXIO,
                                  EOPNOTSUPP, EPERM}},
        [CALL_API_VERSION] = {"VFIO_GET_API_VERSION", {ENOTTY}},
        [CALL_CHECK_EXTENSION] = {"VFIO_CHECK_EXTENSION", {ENOTTY}},
        [CALL_SET_IOMMU] = {"VFIO_SET_IOMMU",
                            {EBUSY, EINVAL, EIO, ENODEV, ENOMEM, EPERM}},
        [CALL_GROUP_STATUS] = {"VFIO_GROUP_GET_STATUS",
                               {EINVAL, ENODEV, ENOTTY}},
        [CALL_SET_CONTAINER] = {"VFIO_GROUP_SET_CONTAINER",
                                {EBUSY, EINVAL, ENODEV, ENOMEM, EPERM}},
        [CALL_UNSET_CONTAINER] = {"VFIO_GROUP_UNSET_CONTAINER", {EBUSY}},
        [CALL_DEVICE_FD] = {"VFIO_GROUP_GET_DEVICE_FD",
                            {EBUSY, EINVAL, EIO, EMFILE, ENFILE, ENODEV, ENOMEM,
                             EPERM}},
        [CALL_GET_INFO] = {"VFIO_IOMMU_GET_INFO", {EINVAL, ENOMEM}},
        [CALL_MAP] = {"VFIO_IOMMU_MAP_DMA",
                      {EEXIST, EFAULT, EINVAL, ENODEV, ENOMEM, ENOSPC}},
        [CALL_UNMAP] = {"VFIO_IOMMU_UNMAP_DMA", {EBUSY, EINVAL, ENOMEM}},
};
