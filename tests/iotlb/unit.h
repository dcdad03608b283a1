/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the unit tests of this room share: cmocka with what it wants before it,
 * and a miss path that finds nothing, so that a translation succeeds only from
 * the IOTLB. One per program.
 */
#ifndef TESTS_IOTLB_UNIT_H
#define TESTS_IOTLB_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/iotlb/view.h"

int64_t sluice_translate_miss(struct sluice_view *view, sluice_iova_t iova,
                              uint64_t len, uint32_t access,
                              sluice_oa_t *ret_oa)
{
	(void)view;
	(void)iova;
	(void)len;
	(void)access;
	(void)ret_oa;
	return -EFAULT;
}

#endif
