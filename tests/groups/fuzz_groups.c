/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parsers of groups/ on arbitrary bytes: a PCI address, numbers and a
 * reserved_regions line from the same input. What they accept must survive
 * being written and read again.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_region(const char *line, size_t len)
{
	struct sluice_group_region r, again;
	const char *word;
	char text[128];
	size_t n;

	if (!grp_resv_parse(line, len, &r, &word, &n))
		return;
	check(r.first <= r.last && r.text == NULL);
	check(word > line && n > 0 && word + n == line + len);
	check(grp_resv_type(word, n) == r.type);
	snprintf(text, sizeof(text), "0x%016" PRIx64 " 0x%016" PRIx64 " %.*s",
	         r.first, r.last, (int)n, word);
	check(grp_resv_parse(text, strlen(text), &again, &word, &n));
	check(again.first == r.first && again.last == r.last &&
	      again.type == r.type);
}

static void check_words(const char *text)
{
	char bdf[GRP_BDF_LEN], again[GRP_BDF_LEN], number[16];
	uint64_t v;
	int id;

	if (grp_bdf_parse(text, bdf)) {
		check(strlen(bdf) >= strlen("0000:00:00.0"));
		check(grp_bdf_parse(bdf, again) && !strcmp(bdf, again));
	}
	if (grp_id_parse(text, &id)) {
		snprintf(number, sizeof(number), "%d", id);
		check(id >= 0 && !strcmp(number, text));
	}
	if (grp_hex_parse(text, 0xffffff, &v))
		check(v <= 0xffffff);
	check(!grp_driver_is_vfio(text) || grp_driver_is_harmless(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	check_words(text);
	free(text);
	/* Exactly size bytes: a line need not be terminated. */
	text = malloc(size ? size : 1);
	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	check_region(text, size);
	free(text);
	return 0;
}
