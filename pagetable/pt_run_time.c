/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operations of formats that are not worth code of their own: the same
 * templates, with the descriptor looked at while they run.
 */
#include "pagetable/pt_inst.h"

PT_OPS(pt->fmt);

const struct pt_ops *pt_run_time_ops(void)
{
	return &ops;
}
