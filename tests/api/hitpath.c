/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Not run: codegen.py compiles this and reads the instructions. hit_path()
 * must be what the header promises; each control function holds one thing that
 * the reader must find, so that an empty finding means something.
 */
#include <sluice/translate.h>
#include "util/atomics.h"

int64_t hit_path(struct sluice_view *view, sluice_iova_t iova,
                 sluice_oa_t *ret_oa);
uint64_t control_lock(au64 *word);
int control_call(int (*fn)(int), int x);
int control_tail(int (*fn)(int), int x);
int control_table(int x);

int64_t hit_path(struct sluice_view *view, sluice_iova_t iova,
                 sluice_oa_t *ret_oa)
{
	return sluice_translate(view, iova, 64, SLUICE_READ, ret_oa);
}

uint64_t control_lock(au64 *word)
{
	return faa_rlx(word, 5);
}

int control_call(int (*fn)(int), int x)
{
	return fn(x) + 1;
}

int control_tail(int (*fn)(int), int x)
{
	return fn(x + 1);
}

/* A switch may become a jump through a table: not an indirect call. */
int control_table(int x)
{
	switch (x) {
	case 0:
		return control_call(0, 1);
	case 1:
		return control_tail(0, 9);
	case 2:
		return (int)control_lock(0);
	case 3:
		return 17;
	case 4:
		return control_call(0, 4);
	case 5:
		return 3;
	case 6:
		return control_tail(0, 7);
	default:
		return 0;
	}
}
