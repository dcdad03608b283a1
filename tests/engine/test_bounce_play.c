/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounce mode played at random against an oracle that keeps, of each buffer,
 * what the caller's memory and the device's side must hold; then lanes that
 * unmap what others mapped.
 */
#include "tests/engine/bounce_rig.h"

#include <stdlib.h>

#include "util/util.h"

#define LIVE 24
#define PAGES 24 /* of the caller, for each buffer */
#define ROOM (PAGES * PAGE)
#define STEPS 30000
#define THREADS 2

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* ---- one lane, the oracle ---- */

struct item {
	struct sluice_bounce_buf buf;
	uint8_t *mem;       /* ROOM bytes, whole pages */
	uint64_t off, len;  /* the buffer in it */
	uint8_t want[ROOM]; /* what mem must hold */
	uint8_t dev[ROOM];  /* what the device must see, from off on */
};

struct play {
	struct rig r;
	struct sluice_bounce *b;
	struct item *item;
	uint64_t rng;
	uint32_t copied, mapped, refused;
	uint8_t scratch[ROOM];
};

static uint64_t below(struct play *p, uint64_t n)
{
	return rnd(&p->rng) % n;
}

static void choose(struct play *p, struct item *it)
{
	if (below(p, 3) == 0) {
		it->off = below(p, 4) * PAGE;
		it->len = (1 + below(p, 20)) * PAGE;
		return;
	}
	it->off = below(p, 3 * PAGE);
	it->len = 1 + below(p, UINT64_C(1) << (1 + below(p, 16)));
}

static void play_map(struct play *p, struct item *it)
{
	uint32_t prot = 1 + (uint32_t)below(p, 3);
	int rc;

	choose(p, it);
	rc = sluice_bounce_map(p->r.view, p->b, it->mem + it->off, it->len,
	                       prot, 0, &it->buf);
	if (rc == -ENOBUFS) {
		p->refused++;
		assert_true((it->off | it->len) % PAGE);
		return;
	}
	assert_int_equal(rc, 0);
	if (it->buf.slot) {
		p->copied++;
		memset(it->dev, 0, it->len);
		if (prot & SLUICE_READ)
			memcpy(it->dev, it->want + it->off, it->len);
	} else {
		p->mapped++;
		assert_int_equal((it->off | it->len) % PAGE, 0);
		memcpy(it->dev, it->want + it->off, it->len);
	}
}

/* A part of the buffer. */
static uint64_t part(struct play *p, const struct item *it, uint64_t *len)
{
	uint64_t off = below(p, it->len);

	*len = 1 + below(p, it->len - off);
	return off;
}

static void device_turn(struct play *p, struct item *it)
{
	uint64_t len, off = part(p, it, &len);

	if (it->buf.prot & SLUICE_READ) {
		assert_int_equal(device(p->r.view, it->buf.iova + off,
		                        p->scratch, len, SLUICE_READ),
		                 len);
		assert_memory_equal(p->scratch, it->dev + off, len);
	}
	memset(p->scratch, (int)below(p, 256), len);
	if (!(it->buf.prot & SLUICE_WRITE)) {
		assert_int_equal(device(p->r.view, it->buf.iova + off,
		                        p->scratch, len, SLUICE_WRITE),
		                 -EACCES);
		return;
	}
	assert_int_equal(device(p->r.view, it->buf.iova + off, p->scratch, len,
	                        SLUICE_WRITE),
	                 len);
	memcpy(it->dev + off, p->scratch, len);
	if (!it->buf.slot)
		memcpy(it->want + it->off + off, p->scratch, len);
}

static void caller_turn(struct play *p, struct item *it)
{
	uint64_t len, off = part(p, it, &len);
	int value = (int)below(p, 256);

	memset(it->mem + it->off + off, value, len);
	memset(it->want + it->off + off, value, len);
	if (!it->buf.slot)
		memset(it->dev + off, value, len);
}

static void sync_turn(struct play *p, struct item *it)
{
	uint64_t len, off = part(p, it, &len);

	if (below(p, 2)) {
		assert_int_equal(
		        sluice_bounce_sync_for_cpu(p->b, &it->buf, off, len),
		        0);
		if (it->buf.slot && it->buf.prot & SLUICE_WRITE)
			memcpy(it->want + it->off + off, it->dev + off, len);
		return;
	}
	assert_int_equal(
	        sluice_bounce_sync_for_device(p->b, &it->buf, off, len), 0);
	if (it->buf.slot && it->buf.prot & SLUICE_READ)
		memcpy(it->dev + off, it->want + it->off + off, len);
}

static void play_unmap(struct play *p, struct item *it)
{
	uint64_t used = below(p, 3) ? it->len : below(p, it->len + 1);
	int slot = it->buf.slot != NULL;
	uint32_t prot = it->buf.prot;

	assert_int_equal(sluice_bounce_unmap(p->r.view, p->b, &it->buf,
	                                     used == it->len ? ALL : used, 0,
	                                     NULL),
	                 !slot);
	if (slot && prot & SLUICE_WRITE)
		memcpy(it->want + it->off, it->dev, used);
	assert_memory_equal(it->mem, it->want, ROOM);
	if (slot)
		assert_true(device_sees_zero(p->r.view, it->buf.iova, it->len));
	else
		assert_int_equal(device(p->r.view, it->buf.iova, p->scratch, 1,
		                        SLUICE_READ),
		                 -EFAULT);
}

static void play_up(struct play *p, uint64_t seed)
{
	/* So few slots that each turn finds some sizes empty. */
	const struct sluice_bounce_cfg cfg = {.bytes = 8 * (64u << 10),
	                                      .break_even = 8 * PAGE};

	memset(p, 0, sizeof(*p));
	p->rng = seed;
	rig_up(&p->r, NULL);
	assert_int_equal(sluice_bounce_create(p->r.domain, &cfg, &p->b), 0);
	p->item = calloc(LIVE, sizeof(*p->item));
	assert_non_null(p->item);
	for (int i = 0; i < LIVE; i++) {
		p->item[i].mem = aligned_alloc(PAGE, ROOM);
		assert_non_null(p->item[i].mem);
		memset(p->item[i].mem, i, ROOM);
		memset(p->item[i].want, i, ROOM);
	}
}

static void play_down(struct play *p)
{
	for (int i = 0; i < LIVE; i++) {
		if (p->item[i].buf.prot)
			play_unmap(p, &p->item[i]);
		free(p->item[i].mem);
	}
	free(p->item);
	sluice_bounce_destroy(p->b);
	rig_down(&p->r);
}

static void at_random(void **state)
{
	static struct play p;

	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		play_up(&p, seed * 7919);
		for (int i = 0; i < STEPS; i++) {
			struct item *it = &p.item[below(&p, LIVE)];

			sluice_poll(p.r.lane, NULL, 0);
			if (!it->buf.prot) {
				play_map(&p, it);
				continue;
			}
			switch (below(&p, 6)) {
			case 0:
				sync_turn(&p, it);
				break;
			case 1:
				caller_turn(&p, it);
				break;
			case 2:
				device_turn(&p, it);
				break;
			default:
				play_unmap(&p, it);
			}
		}
		/* Every way was gone. */
		assert_true(p.copied > STEPS / 8 && p.mapped > STEPS / 32 &&
		            p.refused > 0);
		play_down(&p);
	}
}

/* ---- lanes that unmap what others mapped ---- */

#define BOARD 32
#define TURNS 40000

struct passed {
	struct sluice_bounce_buf buf;
	uint8_t mem[3000];
	uint8_t sent; /* what the device is to find, and to leave */
};

static struct {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_bounce *b;
	au64 board[BOARD]; /* struct passed * */
	au32 broken;
} all;

static int send_one(struct sluice_view *view, uint64_t *rng,
                    struct passed *item)
{
	uint64_t len = 1 + rnd(rng) % sizeof(item->mem);

	item->sent = (uint8_t)rnd(rng);
	memset(item->mem, item->sent, sizeof(item->mem));
	return sluice_bounce_map(view, all.b, item->mem, len, RW, 0,
	                         &item->buf);
}

/* The device finds what was sent and answers; the answer arrives. */
static int take_one(struct sluice_view *view, struct passed *item)
{
	uint8_t got[sizeof(item->mem)];
	uint64_t len = item->buf.len;
	sluice_iova_t iova = item->buf.iova;

	if (device(view, iova, got, len, SLUICE_READ) != (int64_t)len)
		return -1;
	for (uint64_t i = 0; i < len; i++)
		if (got[i] != item->sent)
			return -1;
	memset(got, item->sent + 1, len);
	if (device(view, iova, got, len, SLUICE_WRITE) != (int64_t)len ||
	    sluice_bounce_unmap(view, all.b, &item->buf, ALL, 0, NULL))
		return -1;
	for (uint64_t i = 0; i < sizeof(item->mem); i++) {
		uint8_t want = (uint8_t)(item->sent + (i < len));

		if (item->mem[i] != want)
			return -1;
	}
	return 0;
}

static int exchange(struct sluice_view *view, uint64_t *rng)
{
	struct passed *mine = malloc(sizeof(*mine)), *old;
	int rc;

	if (!mine)
		return -1;
	memset(&mine->buf, 0, sizeof(mine->buf));
	rc = send_one(view, rng, mine);
	if (rc == -ENOBUFS) {
		free(mine);
		mine = NULL;
	} else if (rc) {
		free(mine);
		return -1;
	}
	/* Pairs with itself: the buffer, and the slot behind it, change
	 * hands. */
	old = (struct passed *)(uintptr_t)xchg_acqrel(
	        &all.board[rnd(rng) % BOARD], (uintptr_t)mine);
	rc = old ? take_one(view, old) : 0;
	free(old);
	return rc;
}

static void *trader(void *arg)
{
	uint64_t rng = (uintptr_t)arg * 104729 + 1;
	struct sluice_lane *lane = NULL;
	struct sluice_view *view = NULL;

	if (sluice_lane_open(all.engine, NULL, &lane) ||
	    sluice_view_open(lane, all.domain, &view)) {
		st_rlx(&all.broken, 1);
		return NULL;
	}
	for (int i = 0; i < TURNS && !ld_rlx(&all.broken); i++) {
		if (exchange(view, &rng))
			st_rlx(&all.broken, 1);
		sluice_poll(lane, NULL, 0);
	}
	if (sluice_view_close(view) || sluice_lane_close(lane))
		st_rlx(&all.broken, 1);
	return NULL;
}

static void among_lanes(void **state)
{
	/* 19 slots: they are out at times, and travel. */
	const struct sluice_bounce_cfg cfg = {.bytes = 2 * 8192,
	                                      .max_len = PAGE,
	                                      .directions = SLUICE_BOUNCE_BOTH,
	                                      .break_even = NEVER_MAP};
	pthread_t t[THREADS];
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	all.engine = r.engine;
	all.domain = r.domain;
	assert_int_equal(sluice_bounce_create(r.domain, &cfg, &all.b), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(
		        pthread_create(&t[i], NULL, trader, (void *)(i + 1)),
		        0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(ld_rlx(&all.broken), 0);
	for (int i = 0; i < BOARD; i++) {
		struct passed *left =
		        (struct passed *)(uintptr_t)ld_acq(&all.board[i]);

		if (left)
			assert_int_equal(take_one(r.view, left), 0);
		free(left);
	}
	sluice_bounce_destroy(all.b);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(at_random),
	        cmocka_unit_test(among_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
