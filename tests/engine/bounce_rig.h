/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounce slots on a rig, and a device that reaches memory only through
 * translations.
 */
#ifndef TESTS_ENGINE_BOUNCE_RIG_H
#define TESTS_ENGINE_BOUNCE_RIG_H

#include "tests/engine/rig.h"

#define ALL SLUICE_BOUNCE_USED_ALL
#define NEVER_MAP UINT64_MAX

/* Bytes that the device reads or writes before it is refused: -errno of the
 * first when there is none. */
static inline int64_t device(struct sluice_view *view, sluice_iova_t iova,
                             void *bytes, uint64_t len, uint32_t access)
{
	uint64_t done = 0;

	while (done < len) {
		sluice_oa_t oa;
		int64_t n = sluice_translate(view, iova + done, len - done,
		                             access, &oa);

		if (n < 0)
			return done ? (int64_t)done : n;
		if (access == SLUICE_READ)
			memcpy((char *)bytes + done, (void *)(uintptr_t)oa,
			       (size_t)n);
		else
			memcpy((void *)(uintptr_t)oa, (char *)bytes + done,
			       (size_t)n);
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

/* Does the device read nothing but zeroes there? */
static inline int device_sees_zero(struct sluice_view *view, sluice_iova_t iova,
                                   uint64_t len)
{
	char some[256];

	for (uint64_t at = 0; at < len; at += sizeof(some)) {
		uint64_t n = len - at < sizeof(some) ? len - at : sizeof(some);

		if (device(view, iova + at, some, n, SLUICE_READ) != (int64_t)n)
			return 0;
		for (uint64_t i = 0; i < n; i++)
			if (some[i])
				return 0;
	}
	return 1;
}

#endif
