/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The budget of a container: whether a map can succeed, asked before the
 * kernel is. Knows how type1 counts (linux/vfio.h, DMA_AVAIL; locked memory
 * anew for each mapping of a page); the calls themselves are in
 * vfio_type1_map.c. All with the container's lock held.
 *
 * A refusal holds at a moment between the request and its completion: the
 * numbers are read again before it, unless they were read in this turn (a turn
 * begins when requests have been taken from the queue) and what this container
 * holds is as it was then. So a full container costs a reading per turn and
 * what does not fit twice costs no more.
 */
#include "engine/backend/vfio_type1_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sluice/budget.h>

#include "engine/backend/limits.h"

void t1_budget_turn(struct t1 *t1)
{
	t1->budget.fresh = false;
}

/* Bytes that can still be pinned, by the last reading and what this container
 * has mapped and unmapped since. */
static uint64_t room(const struct t1 *t1)
{
	const struct t1_budget *b = &t1->budget;
	uint64_t now = t1->own.bytes;

	if (b->room == UINT64_MAX)
		return UINT64_MAX;
	if (now > b->bytes)
		return b->room - min_u64(b->room, now - b->bytes);
	return b->room + (b->bytes - now);
}

static void read_room(struct t1 *t1)
{
	struct t1_budget *b = &t1->budget;
	struct limits_locked l;

	b->nr = t1->own.nr;
	b->bytes = t1->own.bytes;
	b->room = UINT64_MAX;
	if (limits->locked(&l) == 0 && l.limit != UINT64_MAX)
		b->room = l.limit > l.bytes ? l.limit - l.bytes : 0;
}

/* What another user of the container holds is in neither number. */
static void note_limit(struct t1 *t1)
{
	uint64_t all =
	        t1->left == UINT64_MAX ? t1->left : t1->left + t1->own.nr;

	t1->budget.limit = max_u64(t1->budget.limit, all);
}

/* Without an answer the own count stays. */
static void read_left(struct t1 *t1)
{
	struct t1_info info;

	if (!t1_has_iommu(t1) || t1_info_get(t1->fd, &info))
		return;
	if (info.has_avail)
		t1_set_left(t1, info.avail);
	free(info.ranges);
	note_limit(t1);
}

static void read_again(struct t1 *t1)
{
	struct t1_budget *b = &t1->budget;

	if (b->fresh && b->nr == t1->own.nr && b->bytes == t1->own.bytes)
		return;
	read_left(t1);
	read_room(t1);
	b->fresh = true;
}

void t1_budget_begin(struct t1 *t1)
{
	t1->budget.fresh = false;
	/* The first group: the kernel has just made the container's IOMMU. */
	if (t1->nr_groups == 0)
		t1->budget.limit = 0;
	note_limit(t1);
	read_room(t1);
}

/* Memory that the kernel may not count is the kernel's to refuse: a device's,
 * and the zero page, which kernels before 6.2 pinned for readers. */
static bool all_counted(const struct be_seg *seg, uint32_t nr, uint32_t prot)
{
	if (!(prot & SLUICE_WRITE))
		return false;
	for (uint32_t i = 0; i < nr; i++)
		if (!limits->counted(seg[i].va, seg[i].len))
			return false;
	return true;
}

static int verdict(const struct t1 *t1, uint32_t nr, uint64_t bytes)
{
	if (nr > t1->left)
		return -ENOSPC;
	return bytes > room(t1) ? -ENOMEM : 0;
}

int t1_budget_check(struct t1 *t1, const struct be_seg *seg, uint32_t nr,
                    uint32_t prot)
{
	uint64_t bytes = 0;
	int rc;

	for (uint32_t i = 0; i < nr; i++)
		bytes += seg[i].len;
	if (likely(verdict(t1, nr, bytes) == 0))
		return 0;
	read_again(t1);
	rc = verdict(t1, nr, bytes);
	if (rc == -ENOMEM && !all_counted(seg, nr, prot))
		return 0;
	if (rc)
		ctr_add(&t1->refused, 1);
	return rc;
}

void t1_budget_refused(struct t1 *t1, int rc)
{
	if (rc != -ENOSPC && rc != -ENOMEM)
		return;
	t1->budget.fresh = false;
	read_again(t1);
}

void t1_budget_fill(struct t1 *t1, struct sluice_budget *ret)
{
	struct limits_cgroup cg;
	struct limits_locked l;

	read_again(t1);
	ret->pid = (uint32_t)getpid();
	ret->mappings = t1->own.nr;
	ret->mappings_left = t1->left;
	ret->mappings_limit = t1_has_iommu(t1) ? t1->budget.limit : UINT64_MAX;
	ret->pinned_bytes = t1->own.bytes;
	ret->refused = ld_rlx(&t1->refused);
	ret->entry_limit = limits->entries();
	if (limits->locked(&l) == 0) {
		ret->locked_bytes = l.bytes;
		ret->locked_limit = l.limit;
		ret->locked_hard_limit = l.hard;
	}
	limits->cgroup(&cg);
	ret->cgroup_bytes = cg.bytes;
	ret->cgroup_limit = cg.limit;
	memcpy(ret->cgroup, cg.path, sizeof(ret->cgroup));
}

void t1_budget(struct backend *be, struct sluice_budget *ret)
{
	struct t1 *t1 = (struct t1 *)be;

	t1_lock(t1);
	t1_budget_turn(t1);
	t1_budget_fill(t1, ret);
	t1_unlock(t1);
}

int t1_why_full(int rc, uint64_t len, const struct sluice_budget *b)
{
	char text[512];

	if (rc == -ENOSPC && b->mappings_left == 0)
		sluice_budget_explain(b, 1, 0, text, sizeof(text));
	else if (rc == -ENOSPC)
		return msg_lit(rc, "the container takes no more mappings: use "
		                   "an arena, map larger pieces, or raise "
		                   "dma_entry_limit of vfio_iommu_type1");
	else if (b->locked_limit != UINT64_MAX &&
	         b->locked_limit - min_u64(b->locked_bytes, b->locked_limit) <
	                 len)
		sluice_budget_explain(b, 0, len, text, sizeof(text));
	else
		return msg_fmt(rc,
		               "the kernel cannot pin %llu bytes: out of "
		               "memory, or of RLIMIT_MEMLOCK (`ulimit -l`) "
		               "when it was asked",
		               (unsigned long long)len);
	return msg_fmt(rc, "%s", text);
}
