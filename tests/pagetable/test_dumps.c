/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many small random tables of one format, each read by the decoder that was
 * written from the specification, word for word through the dump. How many:
 * SLUICE_PLAY_TABLES. Argument: the name of the format.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "play.h"

#define DEFAULT_TABLES 1000000u
#define STEPS_MAX 12u

static uint64_t random_table(struct game *g)
{
	uint64_t steps = 1 + rnd_below(&g->seed, STEPS_MAX);
	const char *wrong;
	uint64_t leaves = 0;

	while (steps--)
		play_step(g);
	wrong = model_decode(&g->m, g->pt, &g->shape->cfg);
	if (wrong)
		fprintf(stderr, "decoder: %s\n", wrong);
	CHECK(!wrong);
	for (uint64_t i = 0; i < UNITS; i++)
		leaves += g->m.unit[i].prot != 0;
	CHECK(sluice_pt_detach(g->pt, g->m.base, UNITS << g->m.unit_lg2) == 0);
	model_clear(&g->m, 0, UNITS);
	return leaves;
}

int main(int argc, char **argv)
{
	static struct play_start list[PLAY_GAMES_MAX];
	int format = sluice_pt_format_by_name(argc > 1 ? argv[1] : "");
	uint64_t tables = play_number("SLUICE_PLAY_TABLES", DEFAULT_TABLES);
	uint64_t seed = play_number("SLUICE_SEED", 20261121);
	uint64_t done = 0;
	uint64_t leaves = 0;
	unsigned games;

	if (format < 0) {
		fprintf(stderr, "%s\n", sluice_last_error());
		return 2;
	}
	games = play_list(format, list, PLAY_GAMES_MAX);
	while (done < tables) {
		for (unsigned k = 0; k < games; k++) {
			struct game g;

			if (!play_open(&g, &list[k], seed * 1000003 + done))
				continue;
			for (uint64_t i = 0;
			     i <= tables / games && done < tables; i++, done++)
				leaves += random_table(&g);
			play_close(&g);
		}
	}
	printf("%s: %" PRIu64 " tables, %" PRIu64 " units mapped in them\n",
	       argv[1], done, leaves);
	return leaves == 0;
}
