/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Included before everything else in a build that counts: a function of a
 * header is then a function, with one set of branches however often it is
 * used. Inlined copies would each have branches of their own, most of which
 * only some constant arguments can reach.
 */
#ifndef SLUICE_TESTS_COVERAGE_PLAIN_INLINE_H
#define SLUICE_TESTS_COVERAGE_PLAIN_INLINE_H

#include "util/bits.h"

#undef always_inline
#define always_inline inline

#endif
