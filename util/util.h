/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Face of util/: bits, order-named atomics, page pool, messages, ring,
 * system calls. Knows
 * nothing of DMA. Every other room may include this header and no other of
 * this folder.
 */
#ifndef SLUICE_UTIL_UTIL_H
#define SLUICE_UTIL_UTIL_H

#include "util/atomics.h"
#include "util/bits.h"
#include "util/clock.h"
#include "util/home.h"
#include "util/idxstack.h"
#include "util/msg.h"
#include "util/pagepool.h"
#include "util/ring.h"
#include "util/sys.h"

#endif
