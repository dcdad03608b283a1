/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a command's data lies, in the words the controller understands: PRPs,
 * or an SGL where it offers that. Knows both encodings; knows no queue.
 */
#ifndef DATA_H
#define DATA_H

#include "nvme.h"
#include "nvme_spec.h"

/* Most bytes of a transfer whose PRP list fits the slot's one page: the page
 * of PRP1, and one for each entry. */
#define DATA_MAX (512 * SLUICE_PAGE_SIZE)
/* Descriptors of an SGL segment of one page. */
#define DATA_MAX_SEGS 256

/* Points cmd at the pieces; list (one page, at list_iova for the controller) is
 * filled when they do not fit the command itself. Returns 0 or -EINVAL: PRPs
 * cannot express pieces that begin or end within a page, except at both ends of
 * the whole. */
int data_prp(struct nvme_command *cmd, const struct nvme_seg *seg, uint32_t nr,
             uint64_t *list, sluice_iova_t list_iova);
int data_sgl(struct nvme_command *cmd, const struct nvme_seg *seg, uint32_t nr,
             struct nvme_sgl *list, sluice_iova_t list_iova);

#endif
