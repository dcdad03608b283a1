/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dump words as the memory that a walker reads. Words must be sorted as a
 * dump places them: tables by offset, slots by index. Knows no format.
 */
#include "decode.h"

#include <string.h>

static int before(const struct decode_word *w, uint64_t table, uint32_t index)
{
	return w->table < table || (w->table == table && w->index < index);
}

/* The first word that does not stand before this slot, or nr. */
static size_t place(const struct decode_image *im, uint64_t table,
                    uint32_t index)
{
	const struct decode_word *w = im->words;
	size_t low = 0;
	size_t high = im->nr;

	/* Walks go up the slots and most often on to the next table. */
	if (im->at <= im->nr &&
	    (im->at == 0 || before(&w[im->at - 1], table, index)) &&
	    (im->at == im->nr || !before(&w[im->at], table, index)))
		return im->at;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (before(&w[mid], table, index))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct decode_word *decode_find(struct decode_image *im, uint64_t table,
                                      uint32_t index)
{
	size_t at = place(im, table, index);

	im->at = at;
	if (at == im->nr || im->words[at].table != table ||
	    im->words[at].index != index)
		return NULL;
	im->seen++;
	im->at++;
	return &im->words[at];
}

void decode_start(struct decode_image *im)
{
	im->seen = 0;
	memset(im->next, 0, sizeof(im->next));
}

const char *decode_row(struct decode_image *im, uint64_t table, unsigned level,
                       uint64_t slots, struct decode_row *ret_row)
{
	size_t first = place(im, table, 0);
	size_t end = first;

	for (; end < im->nr && im->words[end].table == table; end++) {
		const struct decode_word *w = &im->words[end];

		if (w->level != level)
			return "the dump names another level than the walk";
		if (w->index >= slots)
			return "an index outside of its table";
		if (end > first && w->index <= w[-1].index)
			return "slots of a table are out of order";
	}
	if (end > first && end < im->nr &&
	    (im->words[end].table - table) / 8 <= im->words[end - 1].index)
		return "a table reaches into the next one";
	if (table < im->next[level])
		return "a table is linked twice or out of the dump's order";
	im->next[level] = table + 1;
	im->at = end;
	im->seen += end - first;
	ret_row->word = end > first ? &im->words[first] : NULL;
	ret_row->nr = end - first;
	return NULL;
}

const char *decode_copies(const struct decode_row *row, size_t i, uint32_t nr,
                          uint64_t may_differ, uint64_t *ret_any)
{
	const struct decode_word *w = &row->word[i];
	uint64_t any = 0;

	if (w->index % nr)
		return "a page of several slots does not start at its size";
	if (row->nr - i < nr)
		return "a page of several slots lacks copies";
	for (uint32_t k = 0; k < nr; k++) {
		if (w[k].index != w->index + k)
			return "a page of several slots has a gap";
		if ((w[k].word ^ w->word) & ~may_differ)
			return "copies of one page differ";
		any |= w[k].word;
	}
	*ret_any = any;
	return NULL;
}

const char *decode_rest(const struct decode_image *im)
{
	return im->seen == im->nr ? NULL : "words that no walk comes by";
}
