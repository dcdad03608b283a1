/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Maps and unmaps, ENG_BURST of them at a time. What undoes them is not
 * counted.
 */
#include "bench/count_engine.h"

static struct eng_set *open_reviving(void)
{
	return eng_open(
	        &(struct sluice_domain_cfg){.flags = SLUICE_DOMAIN_REVIVE});
}

static void map_burst(struct eng_set *s, uint64_t va, uint64_t len,
                      uint32_t align)
{
	int rc = 0;

	for (unsigned i = 0; i < ENG_BURST; i++) {
		struct sluice_map_req req = {.va = va + i * len,
		                             .len = len,
		                             .prot = SLUICE_RW,
		                             .align_lg2 = align};

		rc |= sluice_map(s->rig.view, &req, &s->addr[i]);
	}
	rig_check(rc, "map");
}

static struct sluice_ticket unmap_burst(struct eng_set *s, uint64_t len)
{
	struct sluice_ticket t = {0};
	int rc = 0;

	for (unsigned i = 0; i < ENG_BURST; i++)
		rc |= sluice_unmap(s->rig.view, s->addr[i], len, i, &t);
	rig_check(rc, "unmap");
	return t;
}

static void maps(struct eng_set *s, uint64_t n, uint64_t va, uint64_t len,
                 uint32_t align)
{
	for (uint64_t i = 0; i < n; i += ENG_BURST) {
		eng_tick();
		map_burst(s, va, len, align);
		eng_tick();
		rig_wait(&s->rig, unmap_burst(s, len));
	}
}

static void map_page(struct eng_set *s, uint64_t n)
{
	maps(s, n, VA, PAGE, 0);
}

static void map_table(struct eng_set *s, uint64_t n)
{
	maps(s, n, VA, LARGE, 21);
}

static void map_large(struct eng_set *s, uint64_t n)
{
	maps(s, n, VA_LARGE, LARGE, 21);
}

static void map_sg(struct eng_set *s, uint64_t n)
{
	struct sluice_map_req req = {.prot = SLUICE_RW};
	struct sluice_ticket t = {0};
	struct iovec iov[ENG_BURST];
	int rc;

	/* Every second page: no two pieces continue each other. */
	for (unsigned i = 0; i < ENG_BURST; i++)
		iov[i] = (struct iovec){(void *)(uintptr_t)(VA + 2 * i * PAGE),
		                        PAGE};
	for (uint64_t i = 0; i < n; i++) {
		eng_tick();
		rc = sluice_map_sg(s->rig.view, &req, iov, ENG_BURST,
		                   &s->addr[0]);
		eng_tick();
		rig_check(rc, "map_sg");
		rc = sluice_unmap(s->rig.view, s->addr[0], ENG_BURST * PAGE, 0,
		                  &t);
		rig_check(rc, "unmap");
		rig_wait(&s->rig, t);
	}
}

/* To the completion: nobody else translates, the log stays quiet. */
static void unmap_page(struct eng_set *s, uint64_t n)
{
	for (uint64_t i = 0; i < n; i += ENG_BURST) {
		map_burst(s, VA, PAGE, 0);
		eng_tick();
		rig_wait(&s->rig, unmap_burst(s, PAGE));
		eng_tick();
	}
}

/* What is in flight comes back. */
static void map_revived(struct eng_set *s, uint64_t n)
{
	for (uint64_t i = 0; i < n; i += ENG_BURST) {
		map_burst(s, VA, PAGE, 0);
		(void)unmap_burst(s, PAGE);
		eng_tick();
		map_burst(s, VA, PAGE, 0);
		eng_tick();
		(void)unmap_burst(s, PAGE);
		/* Completions too: two bursts. */
		rig_settle(&s->rig);
	}
}

/* The other lane translates one page again and again, and so must be told. */
static struct eng_set *open_told(void)
{
	struct eng_set *s = eng_open_plain();
	struct sluice_map_req req = {
	        .va = POLLED_VA, .len = PAGE, .prot = SLUICE_READ};

	rig_check(sluice_map(s->rig.view, &req, &s->rig.polled), "map");
	rig_check(sluice_lane_open(s->rig.engine, NULL, &s->other_lane),
	          "lane");
	rig_check(sluice_view_open(s->other_lane, s->rig.domain, &s->other),
	          "view");
	return s;
}

static void nothing(void)
{
}

static void told(struct eng_set *s, uint64_t n, void (*here)(void),
                 void (*there)(void))
{
	struct sluice_completion c[ENG_BURST];
	struct sluice_ticket t;
	sluice_oa_t oa;

	for (uint64_t i = 0; i < n; i += ENG_BURST) {
		map_burst(s, VA, PAGE, 0);
		rig_check(sluice_translate(s->other, s->rig.polled, 1,
		                           SLUICE_READ, &oa) == 1
		                  ? 0
		                  : -1,
		          "translate");
		here();
		t = unmap_burst(s, PAGE);
		sluice_poll(s->rig.lane, c, ENG_BURST); /* posts */
		here();
		there();
		sluice_poll(s->other_lane, NULL, 0);
		there();
		here();
		rig_wait(&s->rig, t);
		here();
	}
}

static void unmap_posted(struct eng_set *s, uint64_t n)
{
	told(s, n, eng_tick, nothing);
}

static void unmap_told(struct eng_set *s, uint64_t n)
{
	told(s, n, nothing, eng_tick);
}

#define OP(name, open, run, few, stat, each)                                   \
	{                                                                      \
		name, open, run, few, 3 * (few), ENG_STAT(stat), each          \
	}

const struct eng_op eng_map_ops[] = {
        OP("map-4k", eng_open_plain, map_page, 512, maps, ENG_BURST),
        OP("map-2m", eng_open_plain, map_large, 128, maps, ENG_BURST),
        OP("map-512x4k", eng_open_plain, map_table, 64, maps, ENG_BURST),
        OP("map-sg64", eng_open_plain, map_sg, 64, maps, ENG_BURST),
        OP("map-revived", open_reviving, map_revived, 512, revived, ENG_BURST),
        OP("unmap-4k", eng_open_plain, unmap_page, 512, posts, 0),
        OP("unmap-4k-posts", open_told, unmap_posted, 512, posts, 1),
        OP("unmap-4k-told", open_told, unmap_told, 512, posts, 1),
        {0},
};
