/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The limits of a process whose VFIO is the fake one: what struct
 * limits_table asks for, answered by the fake kernel and by the variables
 * below.
 */
#ifndef SLUICE_TESTS_BACKEND_FAKE_LIMITS_H
#define SLUICE_TESTS_BACKEND_FAKE_LIMITS_H

#include "engine/backend/limits.h"
#include "tests/backend/fake_vfio.h"
#include "util/util.h"

static struct limits_cgroup fake_cgroup_is = {0, UINT64_MAX, ""};
static uint64_t fake_entries_are = UINT64_MAX;
static int fake_locked_error;
static au32 fake_locked_reads;

static inline int fake_limits_locked(struct limits_locked *ret)
{
	faa_rlx(&fake_locked_reads, 1);
	if (fake_locked_error)
		return fake_locked_error;
	fake_vfio_locked(&ret->bytes, &ret->limit);
	ret->hard = UINT64_MAX;
	return 0;
}

static inline bool fake_limits_counted(uint64_t va, uint64_t len)
{
	return fake_vfio_counted(va) && fake_vfio_counted(va + len - 1);
}

static inline void fake_limits_cgroup(struct limits_cgroup *ret)
{
	*ret = fake_cgroup_is;
}

static inline uint64_t fake_limits_entries(void)
{
	return fake_entries_are;
}

static const struct limits_table fake_limits = {
        fake_limits_locked, fake_limits_counted, fake_limits_cgroup,
        fake_limits_entries};

#endif
