/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log that is quiet: one thread unmaps and reuses memory, posting nothing
 * when nobody is online; another comes, walks, uses what it finds, and goes.
 * What it uses must not be what was reused.
 *
 *   stress_quiet [--must-detect] [ROUNDS]
 *
 * Exit: 0 no violation; 1 a violation, or with --must-detect none.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iotlb/iotlb.h"
#include "iotlb/mutant.h"
#include "tests/stress.h"
#include "util/util.h"

#define GOOD 0x600d600d600d600dull
#define POISON 0xdeadbeefdeadbeefull
#define PAGES 4u

static struct invlog *log_;
static _Alignas(128) au64 word[PAGES * 16]; /* a table, each word a line */
/* volatile: what is poison only for a moment must be written all the same. */
static _Alignas(128) volatile uint64_t memory[PAGES];
static _Alignas(128) au32 stop;
static au64 violations;
static uint64_t quiet, posted;

static void unmap_and_reuse(unsigned page)
{
	au64 *w = &word[page * 16];
	struct invlog_rec rec = {page * 4096, page * 4096 + 4095};
	uint64_t ticket;

	st_rlx(w, 0);
	if (invlog_quiet(log_, 0)) {
		quiet++;
	} else {
		posted++;
		ticket = invlog_post(log_, INVLOG_NOBODY, &rec, 1);
		while (invlog_passed(log_) < ticket)
			cpu_relax();
	}
	memory[page] = POISON;
	for (unsigned i = 0; i < 20; i++)
		cpu_relax();
	memory[page] = GOOD;
	st_rel(w, page + 1); /* pairs with visit */
}

static void *visit(void *arg)
{
	struct sluice_view_hot hot;
	struct invlog_view v = {.hot = &hot};
	uint64_t *rounds = arg;

	if (tlb_create(16, &hot))
		abort();
	while (!ld_rlx(&stop)) {
		invlog_online(log_, 0);
		for (unsigned i = 0; i < PAGES; i++) {
			/* Pairs with unmap_and_reuse. */
			uint64_t w = ld_acq(&word[i * 16]);

			if (w && memory[i] != GOOD)
				ctr_add(&violations, 1);
		}
		(void)invlog_drain(log_, 0, &v);
		invlog_offline(log_, 0);
		++*rounds;
	}
	tlb_destroy(&hot);
	return NULL;
}

int main(int argc, char **argv)
{
	bool must = argc > 1 && strcmp(argv[1], "--must-detect") == 0;
	const char *text = argc > 1 + must ? argv[1 + must] : "2000000";
	uint64_t rounds = strtoull(text, NULL, 0), visits = 0, found;
	pthread_t thread;

	stress_begin();
	if (invlog_create(4096, 1, &log_))
		abort();
	for (unsigned i = 0; i < PAGES; i++) {
		memory[i] = GOOD;
		st_rel(&word[i * 16], i + 1); /* pairs with visit */
	}
	if (pthread_create(&thread, NULL, visit, &visits))
		abort();
	for (uint64_t i = 0;
	     stress_more(i, rounds) && !(must && ld_rlx(&violations)); i++)
		unmap_and_reuse((unsigned)i % PAGES);
	st_rlx(&stop, 1);
	pthread_join(thread, NULL);
	found = ld_rlx(&violations);
	printf("%llu quiet, %llu posted, %llu visits, %llu violations\n",
	       (unsigned long long)quiet, (unsigned long long)posted,
	       (unsigned long long)visits, (unsigned long long)found);
	invlog_destroy(log_);
	return must ? !found : found != 0;
}
