/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Budget: what a kernel backend may still map and pin, what is missing, and the
 * command that fixes it.
 */
#ifndef SLUICE_BUDGET_H
#define SLUICE_BUDGET_H

#include <sluice/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_domain;

/* Limits are UINT64_MAX where there is none, or none that is known. */
struct sluice_budget {
	/* Mappings that the kernel holds for this domain, and how many more
	 * its container takes. An arena is one mapping, whatever the number of
	 * its buffers; each piece of a map that does not continue the one
	 * before it in VA is one. */
	uint64_t mappings;
	uint64_t mappings_left;
	/* Of the container, by the most that was held and left together. */
	uint64_t mappings_limit;
	/* dma_entry_limit of vfio_iommu_type1 now. It holds for containers
	 * opened from now on: one that is open keeps what it was opened with.
	 */
	uint64_t entry_limit;
	/* Bytes under this domain's mappings. The kernel locks them and counts
	 * each mapping of a page anew; device memory it does not count. */
	uint64_t pinned_bytes;
	/* Bytes that this process has locked in all, by whatever means, and how
	 * many it may (RLIMIT_MEMLOCK; UINT64_MAX with CAP_IPC_LOCK). Up to the
	 * hard limit the process may raise the limit itself. */
	uint64_t locked_bytes;
	uint64_t locked_limit;
	uint64_t locked_hard_limit;
	/* The tightest memory.max above this process, what is charged there
	 * now (page cache included, which the kernel may drop), and the folder;
	 * "" without one. It bounds memory that is not present yet. */
	uint64_t cgroup_bytes;
	uint64_t cgroup_limit;
	char cgroup[256];
	/* IOVAs of the domain, see sluice_domain_usable(). */
	uint64_t usable_bytes;
	uint32_t nr_usable;
	uint32_t pid;     /* of the process that asked */
	uint64_t refused; /* maps that were refused without a kernel call */
};

/**
 * sluice_domain_get_budget() - what the kernel still takes, read now.
 *
 * A soft domain has no limit. Before the first group is attached a kernel
 * backend knows no limit of mappings.
 *
 * Requests of lanes that would exceed the budget complete with -ENOSPC
 * (mappings) or -ENOMEM (locked bytes); so do control calls. Where the numbers
 * are known to be exceeded the kernel is not asked to map; they are read again
 * before each such refusal, so that limits raised at run time count at once.
 *
 * Thread: control. Blocks: yes (reads files of /proc and /sys). Returns: 0,
 * -EINVAL when domain or ret_budget is NULL.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_domain_get_budget(
        struct sluice_domain *domain, struct sluice_budget *ret_budget);

/**
 * sluice_domain_usable() - the IOVA ranges that mappings may use.
 * @out: the first max of them, ascending; NULL when max is 0
 *
 * What the format, the configuration and, for a kernel backend, the kernel
 * (reserved regions, the IOMMU's width) leave. A further group may take some
 * away.
 * Thread: control. Returns: how many there are, which may exceed max; 0 for a
 * kernel backend before its first group, or without a domain.
 */
SLUICE_API uint32_t sluice_domain_usable(struct sluice_domain *domain,
                                         struct sluice_range *out,
                                         uint32_t max);

/**
 * sluice_budget_explain() - would so much more fit, and if not, what to type.
 * @mappings: more mappings; an arena counts 1
 * @bytes: more bytes to be pinned
 *
 * One line for people: what does not fit, the number that is missing and the
 * commands that fix it; or what stays free. Written like snprintf(): at most
 * len bytes with the terminator.
 * Thread: any. Returns: the length of the whole text.
 */
SLUICE_API size_t sluice_budget_explain(const struct sluice_budget *budget,
                                        uint64_t mappings, uint64_t bytes,
                                        char *buf, size_t len);

#ifdef __cplusplus
}
#endif
#endif
