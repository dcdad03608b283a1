/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A container's limits met on a real kernel: maps page by page until it refuses
 * one, then proves that the refusal was of that request alone, that everything
 * else goes on, and that room that is given back is room. Knows the public
 * headers only; which limit it meets is told by the error that it expects.
 *
 * usage: vm_limits BDF ENOSPC|ENOMEM EXPECTED_MAPPINGS WORD_OF_THE_MESSAGE
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <sluice/sluice.h>

#define PAGE 4096u
#define MAX 1024u
#define SECOND UINT64_C(1000000000)

static struct sluice_engine *engine;
static struct sluice_domain *domain;
static struct sluice_group *group;
static struct sluice_lane *lane;
static struct sluice_view *view;
static sluice_iova_t iova[MAX];
static char *memory;

static void expect(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "vm_limits: %s (last error: %s)\n", what,
	        sluice_last_error());
	exit(1);
}

static int finish(int rc, struct sluice_completion *c)
{
	expect(rc == 1, "the request was not accepted");
	while (sluice_poll(lane, c, 1) == 0)
		;
	return c->result;
}

/* Every other page, so that no two are one mapping. */
static int map_page(uint32_t i, struct sluice_completion *c)
{
	struct sluice_map_req req = {
	        .va = (uintptr_t)memory + 2ull * i * PAGE,
	        .len = PAGE,
	        .prot = SLUICE_RW,
	};

	return finish(sluice_map(view, &req, &iova[i]), c);
}

static int unmap_page(uint32_t i)
{
	struct sluice_completion c;

	return finish(sluice_unmap(view, iova[i], PAGE, 0, NULL), &c);
}

static void all_there(uint32_t nr, uint32_t but)
{
	sluice_oa_t oa = 0;

	for (uint32_t i = 0; i < nr; i++) {
		if (i == but)
			continue;
		expect(sluice_translate(view, iova[i], PAGE, SLUICE_RW, &oa) ==
		                       PAGE &&
		               oa == (uintptr_t)memory + 2ull * i * PAGE,
		       "a mapping is gone that nobody unmapped");
	}
}

static void up(const char *bdf)
{
	struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        .flags = SLUICE_DOMAIN_NO_REVIVE,
	};

	memory = mmap(NULL, 2ull * MAX * PAGE, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(memory != MAP_FAILED, "mmap");
	expect(!sluice_engine_open(NULL, &engine), "engine");
	expect(!sluice_group_open(bdf, NULL, &group), "group");
	expect(!sluice_domain_create(engine, &cfg, &domain), "domain");
	expect(!sluice_domain_attach(domain, group), "attach");
	expect(!sluice_lane_open(engine, NULL, &lane), "lane");
	expect(!sluice_view_open(lane, domain, &view), "view");
}

static void down(uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		expect(!unmap_page(i), "an unmap is refused");
	expect(!sluice_drain(lane, 20 * SECOND), "drain");
	expect(!sluice_view_close(view), "view close");
	expect(!sluice_lane_close(lane), "lane close");
	expect(!sluice_domain_destroy(domain), "domain destroy");
	expect(!sluice_group_close(group), "group close");
	expect(!sluice_engine_close(engine), "engine close");
}

/* The same limit on the control path. */
static void arena_refused(int err, const char *word)
{
	struct sluice_arena_cfg cfg = {.size = 1u << 20, .no_huge = 1};
	struct sluice_arena *arena;

	expect(sluice_arena_create(domain, &cfg, &arena) == -err,
	       "the arena was not refused as documented");
	expect(strstr(sluice_last_error(), word) != NULL,
	       "the arena's message does not say what to raise");
}

int main(int argc, char **argv)
{
	struct sluice_completion c = {0};
	uint32_t nr = 0, want;
	int err;

	expect(argc == 5, "usage: vm_limits BDF ENOSPC|ENOMEM NR WORD");
	err = strcmp(argv[2], "ENOSPC") ? ENOMEM : ENOSPC;
	want = (uint32_t)atoi(argv[3]);
	up(argv[1]);
	while (nr < MAX && map_page(nr, &c) == 0)
		nr++;
	printf("%u mappings, then %s: %s\n", nr, sluice_errname(c.result),
	       sluice_completion_text(&c));
	expect(c.result == -err, "the wrong error");
	expect(nr == want, "another number of mappings than the limit allows");
	expect(strstr(sluice_completion_text(&c), argv[4]) != NULL,
	       "the text does not say what to raise");
	arena_refused(err, argv[4]);
	all_there(nr, nr);
	expect(!unmap_page(nr / 2), "an unmap at the limit is refused");
	all_there(nr, nr / 2);
	expect(!map_page(nr / 2, &c), "room that was given back is none");
	expect(map_page(nr, &c) == -err, "the limit does not hold");
	all_there(nr, nr);
	down(nr);
	return 0;
}
