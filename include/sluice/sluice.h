/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything: include this one, or the headers of the nouns you use.
 */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include <sluice/arena.h>
#include <sluice/backend.h>
#include <sluice/base.h>
#include <sluice/bounce.h>
#include <sluice/budget.h>
#include <sluice/carve.h>
#include <sluice/device.h>
#include <sluice/domain.h>
#include <sluice/engine.h>
#include <sluice/fixed.h>
#include <sluice/foreign.h>
#include <sluice/group.h>
#include <sluice/lane.h>
#include <sluice/map.h>
#include <sluice/pagetable.h>
#include <sluice/require.h>
#include <sluice/ring.h>
#include <sluice/share.h>
#include <sluice/stream.h>
#include <sluice/translate.h>
#include <sluice/watch.h>

#endif
