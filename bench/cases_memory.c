/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B23, bytes of memory for each mapped page when a million single pages are
 * mapped: how much the process grew, so that nothing can be left out. A child
 * measures it, because in this process memory that other cases freed would be
 * used again unseen. The number is bytes where other cases have nanoseconds.
 */
#include "bench/pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NR (UINT64_C(1) << 20)
#define MAX_CASES 8
#define NAME 40

static double resident(void)
{
	unsigned long size = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
		rig_check(-1, "/proc/self/statm");
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

int memory_child(const char *who)
{
	struct pages_cfg cfg = {.nr = 1};
	struct pages *warm, *p;
	double before;

	if (strcmp(who, "sluice")) {
		cfg.way = ways_find(who);
		if (!cfg.way)
			return 2;
	}
	/* What comes once for the process, a library's own start, is not
	 * engine state. */
	warm = pages_get(&cfg);
	if (!warm)
		return 1;
	before = resident();
	cfg.nr = NR;
	p = pages_get(&cfg);
	if (!p)
		return 1;
	/* Without the list of IOVAs that the case keeps. */
	printf("%.3f\n",
	       (resident() - before) / (double)NR - sizeof(p->iova[0]));
	return 0;
}

static double ask(const char *who)
{
	char cmd[4200], self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	double bytes = -1.0;
	FILE *f;

	if (n < 0)
		return -1.0;
	self[n] = 0;
	snprintf(cmd, sizeof(cmd), "'%s' --memory %s", self, who);
	f = popen(cmd, "r");
	if (!f)
		return -1.0;
	if (fscanf(f, "%lf", &bytes) != 1)
		bytes = -1.0;
	return pclose(f) ? -1.0 : bytes;
}

struct memory {
	char name[NAME];
	const char *who;
	double bytes; /* 0: not asked yet */
};

static struct memory about[MAX_CASES];
static struct gb_case cases[MAX_CASES];

static void *setup(const void *arg)
{
	struct memory *m = &about[(const struct memory *)arg - about];

	if (m->bytes == 0.0)
		m->bytes = ask(m->who);
	return m->bytes < 0.0 ? NULL : m;
}

static void teardown(void *ctx)
{
	(void)ctx;
}

static double tell(void *ctx, uint64_t n)
{
	return ((struct memory *)ctx)->bytes * (double)n;
}

void cases_memory(void)
{
	unsigned nr_ways;
	const struct way *ways = ways_all(&nr_ways);

	for (unsigned i = 0; i < nr_ways + 1; i++) {
		about[i].who = i ? ways[i - 1].name : "sluice";
		snprintf(about[i].name, NAME, "B23/%s", about[i].who);
		cases[i] = (struct gb_case){.name = about[i].name,
		                            .batch = 1,
		                            .calls = 1,
		                            .setup_arg = setup,
		                            .arg = &about[i],
		                            .teardown = teardown,
		                            .timed = tell};
		gb_register(&cases[i]);
	}
}
