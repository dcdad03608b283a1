/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One NVMe controller, driven from user space: polled, one admin queue and one
 * I/O queue pair, one command at a time. It is given a device that VFIO has
 * opened and a sluice domain that the device's group is attached to. Queues,
 * PRP lists and Identify data come from an arena of its own; the caller's data
 * is named by IOVA, so whoever maps it decides what the controller may touch.
 *
 * A failing call prints one line to stderr that says what to do, and returns
 * -errno.
 */
#ifndef NVME_H
#define NVME_H

#include <sluice/sluice.h>
#include <stdbool.h>
#include <stdint.h>

struct nvme;

struct nvme_info {
	char serial[21];
	char model[41];
	char firmware[9];
	uint32_t version; /* as the VS register has it */
	uint64_t nr_blocks;
	uint32_t block_size;
	uint32_t max_transfer; /* bytes of one read or write */
};

/* Resets and starts the controller. device_fd stays the caller's and must
 * outlive it; nothing of it is used after nvme_close(). */
int nvme_open(struct sluice_domain *domain, int device_fd, const char *bdf,
              struct nvme **ret_nvme);

/* Shuts the controller down and frees its queues. NULL is fine. */
void nvme_close(struct nvme *nvme);

const struct nvme_info *nvme_get_info(const struct nvme *nvme);

/* Moves nr_blocks blocks between the disk and contiguous IOVAs that start on
 * a page; at most max_transfer bytes. -EIO when the controller reports an
 * error, -ETIMEDOUT when it reports nothing. */
int nvme_read(struct nvme *nvme, uint64_t lba, uint32_t nr_blocks,
              sluice_iova_t iova);
int nvme_write(struct nvme *nvme, uint64_t lba, uint32_t nr_blocks,
               sluice_iova_t iova);

/* Makes what was written durable. */
int nvme_flush(struct nvme *nvme);

/* Prints "nvme_rw: …" to stderr and returns rc. */
int fail(int rc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
