/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every format in the geometries that differ in kind: the list that tests and
 * fuzzers go through. Knows configurations only.
 */
#ifndef SLUICE_TESTS_SHAPES_H
#define SLUICE_TESTS_SHAPES_H

#include <sluice/pagetable.h>

struct shape {
	const char *name;
	struct sluice_pt_config cfg;
};

extern const struct shape shapes[];
extern const unsigned nr_shapes;

#endif
