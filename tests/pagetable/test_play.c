/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random operations on tables of one format beside the model, in every
 * geometry and with every leaf size as the unit of play. The number of
 * operations is SLUICE_PLAY_OPS, shared out over all; SLUICE_LONG=1 asks for
 * ten times as many; SLUICE_SEED=n repeats another sequence. Argument: the
 * name of the format.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "play.h"

#define DEFAULT_OPS 100000000u

static int keep_word(void *ctx, const struct sluice_pt_word *w)
{
	struct sluice_pt_word **at = ctx;

	*(*at)++ = *w;
	return 0;
}

static int same_word(void *ctx, const struct sluice_pt_word *w)
{
	struct sluice_pt_word **at = ctx;
	const struct sluice_pt_word *o = (*at)++;

	return o->table != w->table || o->word != w->word ||
	       o->index != w->index || o->level != w->level;
}

/* The dump means what is recorded, and a table that is loaded from it is the
 * same again; so is one from the image. */
static void check_whole(struct game *g)
{
	static struct sluice_pt_word words[1u << 16];
	struct sluice_pt_word *at = words;
	const char *wrong = model_decode(&g->m, g->pt, &g->shape->cfg);
	struct sluice_pt *again;

	if (wrong)
		fprintf(stderr, "decoder: %s\n", wrong);
	CHECK(!wrong);
	CHECK(model_agrees(&g->m, g->pt));
	CHECK(sluice_pt_reclaim(g->pt, g->m.base, UNITS << g->m.unit_lg2) >= 0);
	CHECK(sluice_pt_dump(g->pt, keep_word, &at) == 0);
	CHECK(sluice_pt_create(&g->shape->cfg, &again) == 0);
	CHECK(sluice_pt_load(again, words, (uint64_t)(at - words)) == 0);
	at = words;
	CHECK(sluice_pt_dump(again, same_word, &at) == 0);
	sluice_pt_destroy(again);
}

int main(int argc, char **argv)
{
	static struct play_start list[PLAY_GAMES_MAX];
	int format = sluice_pt_format_by_name(argc > 1 ? argv[1] : "");
	uint64_t ops = play_number("SLUICE_PLAY_OPS", DEFAULT_OPS);
	uint64_t seed = play_number("SLUICE_SEED", 20261121);
	unsigned games;

	if (format < 0) {
		fprintf(stderr, "%s\n", sluice_last_error());
		return 2;
	}
	if (play_number("SLUICE_LONG", 0))
		ops *= 10;
	games = play_list(format, list, PLAY_GAMES_MAX);
	for (unsigned k = 0; k < games; k++) {
		struct game g;

		if (!play_open(&g, &list[k], seed * 1000003 + k))
			continue;
		for (uint64_t i = 0; i <= ops / games; i++) {
			play_step(&g);
			if (i % (1u << 16) == 999)
				check_whole(&g);
		}
		check_whole(&g);
		play_close(&g);
	}
	printf("%s: %u games, %" PRIu64 " operations each\n", argv[1], games,
	       ops / games + 1);
	return 0;
}
