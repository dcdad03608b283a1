/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that a domain's devices reach although somebody else maps it: the
 * owner of an adopted container tells what is mapped there, so that
 * sluice_va_to_iova() answers for it, too.
 */
#ifndef SLUICE_FOREIGN_H
#define SLUICE_FOREIGN_H

#include <sluice/base.h>
#include <sluice/domain.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sluice_foreign_add() - [va, va + len) is reached at iova, mapped by others.
 *
 * Only answers of sluice_va_to_iova() change: nothing is mapped, no IOVA is
 * taken from the allocator (see reserved of struct sluice_domain_cfg), devices
 * see no difference, sluice_translate() and sluice_unmap() know nothing of it.
 * Needs SLUICE_DOMAIN_VA_LOOKUP. Memory that the domain maps afterwards, too,
 * keeps this answer.
 *
 * Thread: control. May run while lanes translate. Returns: 0, -EINVAL (not
 * whole 4 KiB pages, or wider than 48 bits of VA), -EEXIST (a part is mapped in
 * the domain or was added before), -EOPNOTSUPP (no VA side), -ENOMEM,
 * -EPERM (a child of fork()).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_foreign_add(
        struct sluice_domain *domain, uint64_t va, uint64_t len,
        sluice_iova_t iova);

/**
 * sluice_foreign_remove() - the owner has unmapped it, or is about to.
 *
 * The range may be several that were added and touch, or whole pages of one,
 * as far as that splits no 2 MiB or 1 GiB that VA and IOVA shared. A lane may
 * give the old answer until its next sluice_poll().
 * Thread: control. Returns: 0, -EINVAL, -ENOENT (a part was not added), -ERANGE
 * (it would split a large page), -EOPNOTSUPP, -EPERM.
 */
SLUICE_API int sluice_foreign_remove(struct sluice_domain *domain, uint64_t va,
                                     uint64_t len);

#ifdef __cplusplus
}
#endif
#endif
