/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends: who enforces a domain's mappings.
 */
#ifndef SLUICE_BACKEND_H
#define SLUICE_BACKEND_H

#include <sluice/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sluice_backend {
	/* The engine itself: lanes translate through the domain's table. No
	 * privilege, no system call on any lane path. For device models, tests
	 * and benchmarks. */
	SLUICE_BACKEND_SOFT = 0,
	/* The kernel, through a VFIO type1 (v2) container: devices of attached
	 * groups are translated by the machine's IOMMU. */
	SLUICE_BACKEND_VFIO_TYPE1 = 1
};

/* Name for humans and JSON: "soft", "type1". NULL for an unknown number. */
SLUICE_API const char *sluice_backend_name(enum sluice_backend backend);

#ifdef __cplusplus
}
#endif
#endif
