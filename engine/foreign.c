/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What others have mapped into an I/O address space that this domain shares:
 * leaves of the VA side alone, told from the domain's own claims by a software
 * bit. Control path.
 */
#include "engine/engine_int.h"

#include <errno.h>

/* On the VA side; the engine's own claims have no software bit there. */
#define LEAF_FOREIGN PT_SW0

static int check(const struct sluice_domain *d, uint64_t va, uint64_t len,
                 uint64_t iova, uint64_t *ret_last)
{
	uint64_t end;

	if (!d)
		return msg_lit(-EINVAL, "domain is NULL");
	if (engine_check(d->engine))
		return -EPERM;
	if (!d->rev)
		return msg_lit(-EOPNOTSUPP,
		               "the domain keeps no VA side: create it with "
		               "SLUICE_DOMAIN_VA_LOOKUP");
	if (!range_last(va, len, ret_last) || !range_last(iova, len, &end) ||
	    !aligned_lg2(va | len | iova, SLUICE_PAGE_LG2))
		return msg_lit(-EINVAL, "address, IOVA and length must be "
		                        "whole 4 KiB pages and not wrap");
	return 0;
}

int sluice_foreign_add(struct sluice_domain *d, uint64_t va, uint64_t len,
                       sluice_iova_t iova)
{
	uint64_t last;
	int rc = check(d, va, len, iova, &last);

	if (rc)
		return rc;
	pthread_mutex_lock(&d->lock);
	domain_reap(d, false);
	rc = pt_claim(d->rev, &d->pc, va, last, iova, SLUICE_RW | LEAF_FOREIGN);
	pthread_mutex_unlock(&d->lock);
	switch (rc) {
	case 0:
		return 0;
	case -EEXIST:
		return msg_lit(rc, "a part of this memory is mapped in the "
		                   "domain or was added before");
	case -ENOMEM:
		return msg_lit(rc, "the limit of page-table memory is "
		                   "reached: raise max_table_bytes in "
		                   "sluice_engine_cfg");
	default:
		return msg_fmt(-EINVAL,
		               "the VA side reaches no address like 0x%llx "
		               "or IOVA like 0x%llx",
		               (unsigned long long)last,
		               (unsigned long long)iova + len - 1);
	}
}

/* Is [va, last] made of whole leaves of others? */
static int check_leaves(const struct pt *rev, uint64_t va, uint64_t last)
{
	struct pt_run run = {.last = va - 1};
	bool whole = true;

	do {
		uint64_t at = run.last + 1;

		if (pt_walk(rev, at, &run) || !(run.prot & LEAF_FOREIGN))
			return msg_fmt(-ENOENT,
			               "the memory at 0x%llx was not added by "
			               "sluice_foreign_add()",
			               (unsigned long long)at);
		whole = whole && run.iova == at;
	} while (run.last < last);
	if (!whole || run.last != last)
		return msg_lit(-ERANGE, "the range would split a large page: "
		                        "remove it as it was added");
	return 0;
}

int sluice_foreign_remove(struct sluice_domain *d, uint64_t va, uint64_t len)
{
	uint64_t last;
	int rc = check(d, va, len, 0, &last);

	if (rc)
		return rc;
	pthread_mutex_lock(&d->lock);
	rc = check_leaves(d->rev, va, last);
	if (rc == 0)
		unclaim(d, NULL, va, last);
	pthread_mutex_unlock(&d->lock);
	return rc;
}
