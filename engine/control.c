/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mapping on the control path: arenas and what else lives as long as a domain.
 * May block; the domain's lock is held by the caller.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int control_claim(struct sluice_domain *d, uint64_t va, uint64_t len,
                         uint64_t iova)
{
	int rc;

	if (!d->rev)
		return 0;
	rc = pt_claim(d->rev, &d->pc, va, va + len - 1, iova, SLUICE_RW);
	if (rc == -EEXIST)
		return 0;
	return rc ? rc : (int)LEAF_CLAIMED;
}

/* Leaves for memory that no lane knows yet. */
static int control_leaves(struct sluice_domain *d, uint64_t iova, uint64_t va,
                          uint64_t len, uint32_t prot)
{
	struct pt_freed freed = {0};
	int rc = control_claim(d, va, len, iova);

	if (rc < 0)
		return rc;
	prot |= (uint32_t)rc;
	if (d->be)
		prot |= LEAF_HEAD;
	rc = pt_map(d->pt, &d->pc, iova, iova + len - 1, va, prot, &freed);
	if (rc && prot & LEAF_CLAIMED)
		unclaim(d, NULL, va, va + len - 1);
	if (freed.head) {
		/* The tables of a former user of these granules; lanes may
		 * still be inside them. */
		struct zombie *z = calloc(1, sizeof(*z));
		struct invlog_rec rec = INVLOG_TABLES;

		/* Without memory for the note the tables stay unused. */
		if (z) {
			z->seq = invlog_post(d->log, INVLOG_NOBODY, &rec, 1);
			z->tables = freed;
			z->next = d->zombies;
			d->zombies = z;
		}
	}
	return rc;
}

int domain_map_now(struct sluice_domain *d, uint64_t va, uint64_t len,
                   uint32_t prot, uint32_t flags, uint64_t *ret_iova)
{
	enum iova_window win = flags & SLUICE_MAP_32BIT ? IOVA_32BIT : IOVA_ANY;
	unsigned align = len >= bit64(30) ? 30 : len >= bit64(21) ? 21 : 12;
	uint64_t iova;
	int rc;

	domain_reap(d, false);
	if (d->be && ld_rlx(&d->nr_groups) == 0)
		return msg_lit(-ENODEV, "no group is attached to the domain: "
		                        "call sluice_domain_attach() first");
	if (!d->iova)
		return msg_lit(-EOPNOTSUPP,
		               "arenas need the IOVA allocator, which a "
		               "SLUICE_DOMAIN_CALLER_IOVA domain has not");
	rc = iova_space_alloc(d->iova, len, align, win, &iova);
	if (rc && align > SLUICE_PAGE_LG2)
		rc = iova_space_alloc(d->iova, len, SLUICE_PAGE_LG2, win,
		                      &iova);
	if (rc)
		return msg_fmt(-ENOSPC, "no free IOVA range of %llu bytes",
		               (unsigned long long)len);
	if (d->be)
		rc = d->be->ops->map_now(d->be, iova, va, len, prot);
	if (rc)
		goto fail;
	rc = control_leaves(d, iova, va, len, prot);
	if (rc) {
		if (d->be)
			(void)d->be->ops->unmap_now(d->be, iova, len);
		rc = msg_lit(rc, "the limit of page-table memory is reached: "
		                 "raise max_table_bytes in sluice_engine_cfg");
		goto fail;
	}
	*ret_iova = iova;
	return 0;
fail:
	iova_space_free(d->iova, iova, len);
	return rc;
}

void domain_unmap_later(struct sluice_domain *d, uint64_t iova, uint64_t len,
                        struct zombie *z)
{
	struct invlog_rec rec = {iova, iova + len - 1};
	int64_t n = unmap_leaves(d, NULL, iova, iova + len - 1);

	if (n != (int64_t)len)
		domain_log(d, SLUICE_LOG_ERROR,
		           "a part of an arena at 0x%llx was unmapped by "
		           "somebody else",
		           (unsigned long long)iova);
	z->iova = iova;
	z->len = len;
	z->in_backend = d->be != NULL;
	z->seq = invlog_post(d->log, INVLOG_NOBODY, &rec, 1);
	z->next = d->zombies;
	d->zombies = z;
	domain_reap(d, false);
}

/* False: the kernel still has it, try again later. */
static bool reap_one(struct sluice_domain *d, struct zombie *z, bool all)
{
	pt_free_list(d->pt, &z->tables, &d->pc);
	if (!all && z->in_backend) {
		int rc = d->be->ops->unmap_now(d->be, z->iova, z->len);

		if (rc) {
			domain_log(d, SLUICE_LOG_WARN,
			           "the kernel refused to unmap an arena: %s; "
			           "its memory stays until the domain goes",
			           msg_errname(rc));
			return false;
		}
	}
	if (!all && z->len)
		iova_space_free(d->iova, z->iova, z->len);
	if (z->release)
		z->release(z->ctx);
	free(z);
	return true;
}

void domain_reap(struct sluice_domain *d, bool all)
{
	uint64_t passed = all ? UINT64_MAX : invlog_passed(d->log);
	struct zombie **at = &d->zombies;

	while (*at) {
		struct zombie *z = *at;
		struct zombie *next = z->next;

		if (z->seq <= passed && reap_one(d, z, all))
			*at = next;
		else
			at = &z->next;
	}
}
