/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All cases of the table in README, each beside its naive way and the floors of
 * this machine, in one run.
 */
#include "bench/rig.h"

int main(int argc, char **argv)
{
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
	return gb_main(argc, argv);
}
