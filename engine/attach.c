/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What keeps a further group out of a domain that is in use: addresses that its
 * devices cannot use, because interrupts go there or firmware has them mapped
 * to itself, and where something is mapped for the others. Knows a group's
 * reserved regions and the backend's mappings; changes nothing.
 */
#include "engine/engine_int.h"

#include <errno.h>

int attach_check_range(struct sluice_domain *d,
                       const struct sluice_range *range, const char *word)
{
	struct sluice_range m;

	if (!d->be->ops->mapped ||
	    !d->be->ops->mapped(d->be, range->first, range->last, &m))
		return 0;
	return msg_fmt(-EBUSY,
	               "the group cannot use 0x%llx-0x%llx (%s), where "
	               "0x%llx-0x%llx is mapped for the others: unmap it, "
	               "attach the group before mapping, or give it a domain "
	               "of its own",
	               (unsigned long long)range->first,
	               (unsigned long long)range->last,
	               word ? word : "the kernel's IOVA ranges leave it out",
	               (unsigned long long)m.first, (unsigned long long)m.last);
}

int attach_in_hand(struct sluice_domain *d, int rc,
                   const struct sluice_range *range)
{
	uint64_t mask = iova_space_granule(d->iova) - 1;
	struct sluice_range near = {range->first & ~mask, range->last | mask};
	struct sluice_range m;

	if (rc != -EBUSY)
		return rc;
	/* The allocator gives whole granules: a mapping beside the region is in
	 * the way too. */
	if (d->be->ops->mapped &&
	    d->be->ops->mapped(d->be, near.first, near.last, &m))
		return msg_fmt(rc,
		               "the group cannot use 0x%llx-0x%llx, beside "
		               "which 0x%llx-0x%llx is mapped, less than "
		               "%llu bytes away: unmap it, attach the group "
		               "before mapping, or give it a domain of its own",
		               (unsigned long long)range->first,
		               (unsigned long long)range->last,
		               (unsigned long long)m.first,
		               (unsigned long long)m.last,
		               (unsigned long long)mask + 1);
	return msg_fmt(rc,
	               "the group cannot use 0x%llx-0x%llx, which lanes of "
	               "this domain keep for their next maps: attach it before "
	               "mapping, or give it a domain of its own",
	               (unsigned long long)range->first,
	               (unsigned long long)range->last);
}

int attach_check(struct sluice_domain *d, struct sluice_group *group)
{
	const struct sluice_group_region *region;
	uint32_t nr;
	int rc = 0;

	region = grp_regions(group, &nr);
	for (uint32_t i = 0; i < nr && rc == 0; i++) {
		const struct sluice_range range = {region[i].first,
		                                   region[i].last};

		if (grp_region_binds(&region[i]))
			rc = attach_check_range(d, &range, region[i].text);
	}
	return rc;
}
