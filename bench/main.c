/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All cases of the table in README, each beside its naive way and the floors of
 * this machine, in one run.
 */
#include "bench/rig.h"

#include <string.h>

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--memory"))
		return memory_child(argv[2]);
	(void)rig_cpus();
	rig_pin(0);
	cases_floor();
	cases_translate();
	cases_alloc();
	cases_iova();
	cases_map();
	cases_unmap();
	cases_invalidate();
	cases_ring();
	cases_format();
	cases_scale();
	cases_random();
	cases_memory();
	return gb_main(argc, argv);
}
