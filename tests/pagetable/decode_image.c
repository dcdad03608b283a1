/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dump words as the memory that a walker reads. Words must be sorted as a
 * dump places them: tables by offset, slots by index.
 */
#include "decode.h"

const struct decode_word *decode_find(struct decode_image *im, uint64_t table,
                                      uint32_t index)
{
	size_t low = 0;
	size_t high = im->nr;

	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct decode_word *w = &im->words[mid];

		if (w->table < table || (w->table == table && w->index < index))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == im->nr || im->words[low].table != table ||
	    im->words[low].index != index)
		return NULL;
	im->seen++;
	return &im->words[low];
}
