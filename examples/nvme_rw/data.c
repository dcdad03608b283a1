/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PRP lists (NVMe 1.4, 4.3) and SGLs (4.4). The difference that matters to a
 * driver on libsluice: IOVAs of one mapping are contiguous, so an SGL needs a
 * single descriptor, inside the command, however long the transfer is; PRPs
 * name every page of it. Lists are as the controller reads them, little-endian;
 * the command is turned when it goes into its ring.
 */
#include "data.h"

#include <endian.h>
#include <errno.h>

#define PAGE SLUICE_PAGE_SIZE

/* PRP1 is the first page, or the rest of it; PRP2 the second or, for more than
 * two, a list of all after the first. */
int data_prp(struct nvme_command *cmd, const struct nvme_seg *seg, uint32_t nr,
             uint64_t *list, sluice_iova_t list_iova)
{
	uint32_t n = 0; /* pages named so far */

	for (uint32_t i = 0; i < nr; i++) {
		sluice_iova_t at = seg[i].iova, end = at + seg[i].len;

		if (seg[i].len == 0 || at % 4 || (i > 0 && at % PAGE) ||
		    (i + 1 < nr && end % PAGE))
			return -EINVAL;
		for (; at < end; at = (at | (PAGE - 1)) + 1, n++) {
			if (n == 0)
				cmd->prp1 = at;
			else if (n > PAGE / sizeof(*list))
				return -EINVAL;
			else
				list[n - 1] = htole64(at);
		}
	}
	if (n == 2)
		cmd->prp2 = le64toh(list[0]);
	else if (n > 2)
		cmd->prp2 = list_iova;
	return n ? 0 : -EINVAL;
}

static void put_sgl(struct nvme_sgl *to, sluice_iova_t iova, uint32_t len,
                    uint8_t type)
{
	*to = (struct nvme_sgl){
	        .address = htole64(iova), .length = htole32(len), .type = type};
}

/* One piece is described in the command; of several it points at the list. */
int data_sgl(struct nvme_command *cmd, const struct nvme_seg *seg, uint32_t nr,
             struct nvme_sgl *list, sluice_iova_t list_iova)
{
	uint32_t type = SGL_DATA, len = nr ? seg[0].len : 0;

	if (nr == 0 || nr > DATA_MAX_SEGS)
		return -EINVAL;
	cmd->prp1 = seg[0].iova;
	if (nr > 1) {
		for (uint32_t i = 0; i < nr; i++)
			put_sgl(&list[i], seg[i].iova, seg[i].len, SGL_DATA);
		cmd->prp1 = list_iova;
		len = nr * (uint32_t)sizeof(*list);
		type = SGL_LAST_SEGMENT;
	}
	cmd->prp2 = (uint64_t)type << 56 | len;
	cmd->flags |= COMMAND_SGL;
	return 0;
}
