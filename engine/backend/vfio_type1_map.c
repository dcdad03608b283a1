/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MAP_DMA and UNMAP_DMA: the fewest calls that leave every request its own
 * true result. Knows the container and its budget; called with its lock held.
 * What is merged and what is not: a MAP never joins two requests, because a
 * kernel mapping dies only whole; an UNMAP may cover any number of whole
 * neighbours.
 */
#include "engine/backend/vfio_type1_int.h"

#include <errno.h>
#include <stdlib.h>
#include <linux/vfio.h>

int t1_ioctl(struct t1 *t1, int fd, unsigned long request, void *arg)
{
	int rc = sys->ioctl(fd, request, arg);

	if (unlikely(rc < 0))
		ctr_add(&t1->kernel_errors, 1);
	return rc;
}

void t1_set_left(struct t1 *t1, uint64_t left)
{
	t1->left = left;
	st_rlx(&t1->shown_left, left);
}

static void left_add(struct t1 *t1, uint64_t n)
{
	if (t1->left != UINT64_MAX)
		t1_set_left(t1, t1->left + n);
}

/* Devices were taken away, and with the last the IOMMU and every mapping: the
 * container refuses everything then, even to speak of itself. */
static bool lost(struct t1 *t1, int rc)
{
	struct vfio_iommu_type1_info info = {.argsz = sizeof(info)};

	return rc == -EINVAL &&
	       t1_ioctl(t1, t1->fd, VFIO_IOMMU_GET_INFO, &info) == -EINVAL;
}

static int map_piece(struct t1 *t1, uint64_t iova, uint64_t va, uint64_t len,
                     uint32_t prot)
{
	struct vfio_iommu_type1_dma_map arg = {
	        .argsz = sizeof(arg),
	        .flags = (prot & SLUICE_READ ? VFIO_DMA_MAP_FLAG_READ : 0u) |
	                 (prot & SLUICE_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0u),
	        .vaddr = va,
	        .iova = iova,
	        .size = len,
	};
	int rc = t1_ioctl(t1, t1->fd, VFIO_IOMMU_MAP_DMA, &arg);

	ctr_add(&t1->kernel_maps, 1);
	if (rc < 0)
		return lost(t1, rc) ? -ENODEV : rc;
	own_add(&t1->own, iova, len);
	left_add(t1, (uint64_t)-1);
	return 0;
}

/* On success nothing is left in the range, and *gone is what was there. */
static int unmap_range(struct t1 *t1, uint64_t iova, uint64_t len,
                       uint64_t *gone)
{
	struct vfio_iommu_type1_dma_unmap arg = {
	        .argsz = sizeof(arg),
	        .iova = iova,
	        .size = len,
	};
	int rc = t1_ioctl(t1, t1->fd, VFIO_IOMMU_UNMAP_DMA, &arg);

	ctr_add(&t1->kernel_unmaps, 1);
	if (rc < 0 && lost(t1, rc))
		arg.size = len;
	else if (rc < 0)
		return rc;
	*gone = arg.size;
	return 0;
}

static void forget(struct t1 *t1, uint64_t iova, uint64_t last)
{
	uint32_t before = t1->own.nr;

	own_drop(&t1->own, iova, last);
	left_add(t1, before - t1->own.nr);
}

/* Takes [iova, end) back after a map that stopped there. A piece that the
 * kernel does not give back stays in the set: a later map over it is refused
 * and it can still be unmapped. */
static void undo(struct t1 *t1, uint64_t iova, uint64_t end)
{
	uint64_t gone;

	if (iova == end)
		return;
	if (unmap_range(t1, iova, end - iova, &gone) == 0) {
		forget(t1, iova, end - 1);
		return;
	}
	while (iova < end) {
		uint64_t len = own_len(&t1->own, iova);

		if (unmap_range(t1, iova, len, &gone) == 0)
			forget(t1, iova, iova + len - 1);
		iova += len;
	}
}

int t1_map(struct t1 *t1, uint64_t iova, const struct be_seg *seg, uint32_t nr,
           uint32_t prot)
{
	uint64_t at = iova;
	int rc;

	if (!t1_has_iommu(t1))
		return -ENODEV;
	if (nr == 0)
		return -EINVAL;
	rc = t1_budget_check(t1, seg, nr, prot);
	if (rc)
		return rc;
	rc = own_reserve(&t1->own, nr);
	for (uint32_t i = 0; rc == 0 && i < nr; i++) {
		rc = map_piece(t1, at, seg[i].va, seg[i].len, prot);
		if (rc == 0)
			at += seg[i].len;
	}
	if (rc) {
		undo(t1, iova, at);
		t1_budget_refused(t1, rc);
	}
	return rc;
}

static int by_iova(const void *a, const void *b)
{
	const struct t1_cut *x = a, *y = b;

	return x->iova < y->iova ? -1 : x->iova > y->iova;
}

#define UNPROVED 1 /* no error of the kernel's */

/* The kernel refused the run or removed less than was there: ask for each
 * range alone. A range is vouched for when its own call removed it whole, or
 * when what all calls removed, and what they were refused, is exactly what the
 * run held. */
static void unmap_singly(struct t1 *t1, struct t1_cut *cut, uint32_t nr,
                         uint64_t gone)
{
	uint64_t total = cut[nr - 1].last - cut[0].iova + 1;

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t len = cut[i].last - cut[i].iova + 1, own = 0;

		cut[i].res = unmap_range(t1, cut[i].iova, len, &own);
		if (cut[i].res < 0) {
			gone += len;
			continue;
		}
		forget(t1, cut[i].iova, cut[i].last);
		gone += own;
		cut[i].res = own == len ? 0 : UNPROVED;
	}
	for (uint32_t i = 0; i < nr; i++)
		if (cut[i].res == UNPROVED)
			cut[i].res = gone == total ? 0 : -EIO;
}

/* cut[0..nr): whole mappings, each beginning where the one before ends. */
static void unmap_run(struct t1 *t1, struct t1_cut *cut, uint32_t nr)
{
	uint64_t first = cut[0].iova, last = cut[nr - 1].last;
	uint64_t len = last - first + 1, gone = 0;
	int rc = unmap_range(t1, first, len, &gone);

	if (rc == 0 && gone == len) {
		forget(t1, first, last);
		for (uint32_t i = 0; i < nr; i++)
			cut[i].res = 0;
	} else if (rc < 0 && nr == 1) {
		cut[0].res = rc;
	} else {
		if (rc == 0)
			ctr_add(&t1->kernel_errors, 1);
		unmap_singly(t1, cut, nr, gone);
	}
}

/* How many cuts from the first on make one run; 0: the first was called back or
 * cannot be unmapped, and has its result. */
static uint32_t run_of(struct t1 *t1, struct t1_cut *cut, uint32_t nr)
{
	uint32_t n = 0;

	while (n < nr && (n == 0 || cut[n - 1].last + 1 == cut[n].iova)) {
		int rc = -ECANCELED;

		/* At the last moment: until then it can be called back. */
		if (!cut[n].req || be_take(cut[n].req))
			rc = own_whole(&t1->own, cut[n].iova, cut[n].last);
		if (rc < 0) {
			cut[n].res = rc == -ECANCELED ? 0 : rc;
			break;
		}
		n++;
	}
	return n;
}

/* A lane often unmaps what it mapped in a row in the same order. */
static void sort(struct t1_cut *cut, uint32_t nr)
{
	for (uint32_t i = 1; i < nr; i++)
		if (cut[i - 1].iova > cut[i].iova) {
			qsort(cut, nr, sizeof(*cut), by_iova);
			return;
		}
}

void t1_unmap(struct t1 *t1, struct t1_cut *cut, uint32_t nr)
{
	sort(cut, nr);
	for (uint32_t i = 0; i < nr;) {
		uint32_t n = run_of(t1, cut + i, nr - i);

		if (n)
			unmap_run(t1, cut + i, n);
		i += n ? n : 1;
	}
}
