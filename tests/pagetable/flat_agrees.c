/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compares a table with its record, page by page, through pt_walk.
 */
#include "flat.h"

#include <inttypes.h>
#include <stdio.h>

bool flat_agrees(const struct flat *f, const struct pt *pt, uint64_t iova,
                 uint64_t last)
{
	for (uint64_t a = iova; a <= last; a += 4096) {
		struct pt_run want = {0};
		struct pt_run got = {0};
		int want_err = flat_walk(f, a, &want);
		int got_err = pt_walk(pt, a, &got);

		if (want_err != got_err ||
		    (!want_err &&
		     (want.iova != got.iova || want.last != got.last ||
		      want.oa != got.oa || want.prot != got.prot))) {
			fprintf(stderr,
			        "at 0x%" PRIx64 ": want %d [0x%" PRIx64
			        ", 0x%" PRIx64 "] -> 0x%" PRIx64 " %x, got %d "
			        "[0x%" PRIx64 ", 0x%" PRIx64 "] -> 0x%" PRIx64
			        " %x\n",
			        a, want_err, want.iova, want.last, want.oa,
			        want.prot, got_err, got.iova, got.last, got.oa,
			        got.prot);
			return false;
		}
	}
	return true;
}

bool flat_agrees_all(const struct flat *f, const struct pt *pt)
{
	return flat_agrees(f, pt, f->base, f->base + f->nr * 4096 - 1);
}
