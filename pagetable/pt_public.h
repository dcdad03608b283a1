/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The object behind <sluice/pagetable.h>. Private to the two files of its
 * calls.
 */
#ifndef SLUICE_PAGETABLE_PT_PUBLIC_H
#define SLUICE_PAGETABLE_PT_PUBLIC_H

#include <sluice/pagetable.h>

#include "pagetable/pt_priv.h"

/* What tables beside each other have in common. */
struct family {
	struct pagepool *pool[2]; /* [1] NULL: all tables have one size */
	au32 members;
	au64 budget; /* bytes that two pools share */
	_Alignas(CACHELINE) au64 gen;
};

struct sluice_pt {
	struct pt *pt;
	struct pagecache pc[2];
	struct family *family;
	struct sluice_pt_config cfg;
};

#endif
