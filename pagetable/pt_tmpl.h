/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All templates of the room, for the files that instantiate a format. One
 * header per operation; each function takes the constant descriptor and the
 * level of the root, is always inline and calls nothing through a pointer.
 */
#ifndef SLUICE_PAGETABLE_PT_TMPL_H
#define SLUICE_PAGETABLE_PT_TMPL_H

#include "pagetable/pt_claim.h"
#include "pagetable/pt_dirty.h"
#include "pagetable/pt_map.h"
#include "pagetable/pt_unmap.h"
#include "pagetable/pt_walk.h"

#endif
