/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/set.h"

#include <stdlib.h>

static struct set *new_set(void)
{
	struct set *s = calloc(1, sizeof(*s));

	rig_check(s ? 0 : -1, "memory");
	return s;
}

void *set_ours(void)
{
	struct set *s = new_set();

	rig_check(rig_open(&s->rig, 0), "rig");
	return s;
}

void *set_table(void)
{
	struct set *s = new_set();

	rig_check(
	        sluice_pt_create(
	                &(struct sluice_pt_config){.format = SLUICE_PT_X86_64},
	                &s->pt),
	        "table");
	return s;
}

void *set_naive(void)
{
	struct set *s = new_set();

	s->naive = naive_new();
	s->pages = naive_pages_new();
	rig_check(s->naive && s->pages ? 0 : -1, "memory");
	return s;
}

void set_close(void *ctx)
{
	struct set *s = ctx;

	if (s->rig.engine)
		rig_close(&s->rig);
	sluice_pt_destroy(s->pt);
	naive_free(s->naive);
	naive_pages_free(s->pages);
	free(s);
}
