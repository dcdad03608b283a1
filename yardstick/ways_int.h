/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the ways share. Private to yardstick/. */
#ifndef SLUICE_YARDSTICK_WAYS_INT_H
#define SLUICE_YARDSTICK_WAYS_INT_H

#include "yardstick/ways.h"

#define WAY_PAGE UINT64_C(4096)

extern const struct way way_naive;
extern const struct way way_bare;
extern const struct way way_glib;
extern const struct way way_rte_hash;
extern const struct way way_rculfhash;

#endif
