/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reader of s390 tables (tests/pagetable/decode_s390.c) as a program: words
 * from stdin, a dump's lines LEVEL INDEX TABLE WORD in a dump's order; to
 * stdout VA PA SIZE PROT of each leaf. Knows nothing of who wrote the words.
 *
 *   s390_decode LEVELS
 *
 * Exit: 0; 1 and the breach on stderr; 2 wrong usage or input.
 */
#include "tests/pagetable/decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int more(struct decode_word **word, size_t nr, size_t *max)
{
	struct decode_word *bigger;

	if (nr < *max)
		return 0;
	*max = *max ? 2 * *max : 4096;
	bigger = realloc(*word, *max * sizeof(**word));
	if (!bigger)
		return -1;
	*word = bigger;
	return 0;
}

/* How many words, or -1. */
static long read_words(struct decode_word **word)
{
	struct decode_word w;
	size_t max = 0;
	size_t nr = 0;
	int n;

	while ((n = scanf("%" SCNu32 " %" SCNu32 " %" SCNx64 " %" SCNx64,
	                  &w.level, &w.index, &w.table, &w.word)) == 4) {
		if (more(word, nr, &max))
			return -1;
		(*word)[nr++] = w;
	}
	return n == EOF ? (long)nr : -1;
}

static void print(void *ctx, const struct decode_leaf *leaf)
{
	(void)ctx;
	printf("0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " %s%s\n", leaf->va,
	       leaf->pa, leaf->size, leaf->readable ? "r" : "",
	       leaf->writable ? "w" : "");
}

int main(int argc, char **argv)
{
	struct decode_word *word = NULL;
	struct decode_image im = {0};
	const char *bad;
	long nr;

	if (argc != 2) {
		fprintf(stderr, "usage: s390_decode LEVELS\n");
		return 2;
	}
	nr = read_words(&word);
	if (nr < 0) {
		fprintf(stderr, "s390_decode: not LEVEL INDEX TABLE WORD\n");
		free(word);
		return 2;
	}
	im.words = word;
	im.nr = (size_t)nr;
	bad = decode_s390(&im, (unsigned)strtoul(argv[1], NULL, 10), print,
	                  NULL);
	if (bad)
		fprintf(stderr, "s390_decode: %s\n", bad);
	free(word);
	return bad ? 1 : 0;
}
