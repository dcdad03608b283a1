/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A plan by hand, for tests of what plays it. Include behind cmocka.h.
 */
#ifndef SLUICE_TESTS_TOOLS_HAND_PLAN_H
#define SLUICE_TESTS_TOOLS_HAND_PLAN_H

#include "tools/plan.h"

#include <stdlib.h>

#define PAGE UINT64_C(4096)

static struct plan plan;

static void act(enum trace_op op, uint16_t domain, uint64_t page,
                uint64_t pages)
{
	struct plan_action *a;

	plan.act = realloc(plan.act, (plan.nr + 1) * sizeof(*plan.act));
	assert_non_null(plan.act);
	a = &plan.act[plan.nr++];
	*a = (struct plan_action){.iova = page * PAGE,
	                          .len = pages * PAGE,
	                          .oa = (page + 0x1000) * PAGE,
	                          .line = (uint32_t)plan.nr,
	                          .domain = domain,
	                          .op = (uint16_t)op};
	if (plan.nr_domains <= domain)
		plan.nr_domains = domain + 1u;
	if (a->iova + a->len - 1 > plan.last_iova)
		plan.last_iova = a->iova + a->len - 1;
}

#endif
