/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzes the trace reader and the planner behind it. The planner proves its own
 * actions with the oracle, so what is looked for here, besides crashes, is an
 * input that it cannot explain and an account that does not add up.
 */
#include "tools/plan.h"
#include "tools/trace.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_up(const struct trace *t, const struct plan *p)
{
	uint64_t maps = 0, unmaps = 0;

	for (uint32_t d = 0; d < p->nr_domains; d++) {
		maps += p->domain[d].maps;
		unmaps += p->domain[d].unmaps;
		if (p->domain[d].mapped_pages !=
		    p->domain[d].unmapped_pages + p->domain[d].left_pages)
			abort();
	}
	if (maps != t->nr_maps || unmaps + p->unmatched_unmaps != t->nr_unmaps)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace_error err;
	struct trace t;
	struct plan p;
	int rc;

	if (trace_parse("fuzz", (const char *)data, size, &t, &err)) {
		if (t.ev || t.nr || !err.text[0])
			abort();
		return 0;
	}
	rc = plan_make("fuzz", &t, &p, &err);
	if (!rc)
		add_up(&t, &p);
	else if (rc != -E2BIG)
		abort();
	trace_free(&t);
	plan_free(&p);
	return 0;
}
