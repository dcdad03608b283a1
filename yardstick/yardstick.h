/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Face of yardstick/: what sluice is measured against. The oracle judges what
 * is right, the naive way what is fast. Knows nothing of sluice, so that it
 * cannot share its mistakes; never installed, never linked into the library.
 */
#ifndef SLUICE_YARDSTICK_YARDSTICK_H
#define SLUICE_YARDSTICK_YARDSTICK_H

#include "yardstick/naive.h"
#include "yardstick/oracle.h"

#endif
