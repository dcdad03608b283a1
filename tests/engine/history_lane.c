/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane that calls at random, knows what must be true of its own buffers at
 * once, and writes down the rest for the judge.
 */
#include "tests/engine/history_play.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/vfio.h>

#include "tests/backend/fake_vfio.h"

void broken(const char *what, int rc)
{
	if (faa_rlx(&world.failed, 1) == 0)
		fprintf(stderr, "history: %s: %s (%s)\n", what,
		        rc ? sluice_errname(rc) : "", sluice_last_error());
}

static uint64_t rnd(struct worker *w, uint64_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (w->rng >> 11) % below;
}

/* One order for all lanes; pairs with itself. */
static uint64_t stamp(void)
{
	return faa_sc(&world.clock, 1);
}

static struct ev *note(struct worker *w, enum ev_kind kind, uint32_t d,
                       uint64_t begin)
{
	struct history *h = &world.lane[w->id];
	struct ev *e;

	if (h->nr == h->room) {
		h->room = h->room ? 2 * h->room : 1 << 16;
		h->ev = realloc(h->ev, h->room * sizeof(*h->ev));
		if (!h->ev)
			abort();
	}
	e = &h->ev[h->nr++];
	*e = (struct ev){.begin = begin,
	                 .end = stamp(),
	                 .kind = (uint8_t)kind,
	                 .domain = (uint8_t)d,
	                 .view = w->win[d].number};
	return e;
}

static void open_view(struct worker *w, uint32_t d)
{
	uint64_t begin = stamp();
	int rc = sluice_view_open(w->lane, world.domain[d], &w->win[d].view);

	if (rc)
		broken("view open", rc);
	w->win[d].number = w->views++;
	w->win[d].nr_asked = 0;
	w->win[d].looked = false;
	note(w, EV_OPEN, d, begin);
}

static int64_t look(struct worker *w, uint32_t d, uint64_t iova,
                    sluice_oa_t *ret_oa)
{
	uint64_t begin = stamp();
	int64_t n =
	        sluice_translate(w->win[d].view, iova, 1, SLUICE_READ, ret_oa);

	if (!w->win[d].looked)
		note(w, EV_LOOK, d, begin);
	w->win[d].looked = true;
	return n;
}

/* Does [iova, iova + len) lead to the buffer, for lanes and for devices? */
static bool leads_to(struct worker *w, uint32_t d, const struct buf *b,
                     bool device)
{
	sluice_oa_t oa = 0;
	uint64_t va = 0;

	if (device)
		return world.kernel && fake_vfio_reach(b->iova, &va, NULL) &&
		       va == b->va;
	return look(w, d, b->iova, &oa) == 1 && oa == b->va;
}

static void do_map(struct worker *w, uint32_t d, uint32_t i)
{
	struct buf *b = &w->win[d].buf[i];
	struct sluice_map_req req = {.prot = SLUICE_RW};
	uint64_t begin = stamp();
	struct ev *e;
	int rc;

	b->len = (1 + rnd(w, 4)) * SLUICE_PAGE_SIZE;
	b->cookie = ++w->cookies << 8 | d * BUFS | i;
	req.va = b->va;
	req.len = b->len;
	req.cookie = b->cookie;
	rc = sluice_map(w->win[d].view, &req, &b->iova);
	if (rc < 0 && rc != -EAGAIN)
		broken("map", rc);
	e = note(w, EV_MAP, d, begin);
	e->result = rc;
	e->cookie = b->cookie;
	e->iova = b->iova;
	e->len = b->len;
	if (rc == 0 && !leads_to(w, d, b, false))
		broken("a map at once that does not translate", 0);
	if (rc < 0)
		return;
	b->state = rc ? MAPPING : MAPPED;
	st_rlx(&world.board[d][w->id * BUFS + i], b->iova);
	w->win[d].maps++;
}

static void do_unmap(struct worker *w, uint32_t d, uint32_t i)
{
	struct buf *b = &w->win[d].buf[i];
	uint64_t begin = stamp();
	struct ev *e;
	int rc;

	b->cookie = ++w->cookies << 8 | d * BUFS | i;
	rc = sluice_unmap(w->win[d].view, b->iova, b->len, b->cookie,
	                  &b->ticket);
	if (rc < 0 && rc != -EAGAIN)
		broken("unmap", rc);
	e = note(w, EV_UNMAP, d, begin);
	e->result = rc;
	e->cookie = b->cookie;
	e->iova = b->iova;
	e->len = b->len;
	e->ticket = b->ticket.seq;
	if (rc < 0)
		return;
	b->state = DYING;
	b->asked = false;
	w->win[d].unmaps++;
	if (leads_to(w, d, b, false))
		broken("translates after its unmap", 0);
}

static bool ask(struct worker *w, uint32_t d, uint64_t seq)
{
	struct sluice_ticket t = {seq};
	uint64_t begin = stamp();
	bool passed = sluice_ticket_passed(w->win[d].view, t);
	struct ev *e = note(w, EV_TICKET, d, begin);

	e->ticket = seq;
	e->passed = passed;
	return passed;
}

/* A ticket for the first time, and old ones again. */
static void ask_all(struct worker *w)
{
	for (uint32_t d = 0; d < world.nr_domains; d++) {
		struct window *win = &w->win[d];

		for (uint32_t i = 0; i < BUFS; i++) {
			struct buf *b = &win->buf[i];

			if (b->state != DYING || b->asked || rnd(w, 2))
				continue;
			b->asked = ask(w, d, b->ticket.seq);
			if (!b->asked)
				continue;
			win->asked[win->nr_asked++ % ASKED] = b->ticket.seq;
			if (d == 1) /* lazy: no completion comes */
				b->state = IDLE;
		}
		if (win->nr_asked && rnd(w, 4) == 0)
			ask(w, d,
			    win->asked[rnd(w, min_u64(win->nr_asked, ASKED))]);
	}
}

static struct buf *find(struct worker *w, uint64_t cookie, uint32_t *ret_d)
{
	uint32_t low = (uint32_t)(cookie & 0xff);
	struct buf *b;

	*ret_d = low / BUFS;
	if (*ret_d >= world.nr_domains)
		return NULL;
	b = &w->win[*ret_d].buf[low % BUFS];
	return b->cookie == cookie ? b : NULL;
}

static bool fits(struct worker *w, uint32_t d, const struct buf *b,
                 const struct sluice_completion *c)
{
	bool mapped = c->op == SLUICE_OP_MAP && c->result == 0;

	if (w->online && leads_to(w, d, b, false) != mapped)
		return false;
	/* What the kernel did not give back it still has. */
	return !world.kernel ||
	       leads_to(w, d, b, true) ==
	               (mapped || (c->op == SLUICE_OP_UNMAP && c->result));
}

static void on_done(struct worker *w, const struct sluice_completion *c,
                    const struct ev *poll)
{
	struct buf *b;
	struct ev *e;
	bool agrees;
	uint32_t d;

	w->dones++;
	b = find(w, c->cookie, &d);
	if (!b) {
		broken("a completion with a cookie of no request", 0);
		return;
	}
	agrees = fits(w, d, b, c); /* notes something itself */
	e = note(w, EV_DONE, d, poll->begin);
	e->cookie = c->cookie;
	e->iova = c->iova;
	e->len = c->len;
	e->result = c->result;
	e->op = c->op == SLUICE_OP_MAP ? OP_MAP : OP_UNMAP;
	e->fits = agrees;
	if (c->op == SLUICE_OP_MAP) {
		w->refused_maps += c->result != 0;
		b->state = c->result ? IDLE : MAPPED;
		return;
	}
	e->passed = sluice_ticket_passed(w->win[d].view, b->ticket);
	w->refused_unmaps += c->result != 0;
	if (!b->asked)
		ask(w, d, b->ticket.seq);
	b->state = c->result ? LOST : IDLE;
}

static void let_go(struct worker *w)
{
	for (uint32_t d = 0; d < world.nr_domains; d++)
		w->win[d].looked = false;
}

static void do_poll(struct worker *w)
{
	struct sluice_completion c[8];
	uint64_t begin = stamp();
	uint32_t n = sluice_poll(w->lane, c, 1 + (uint32_t)rnd(w, 8));
	struct ev e = *note(w, EV_POLL, 0, begin);

	let_go(w);
	for (uint32_t i = 0; i < n; i++)
		on_done(w, &c[i], &e);
	ask_all(w);
}

/* What had passed was dropped, with its completion. Who drops that of a
 * refused unmap will never know. */
static void do_drop(struct worker *w)
{
	uint64_t begin = stamp();

	if (world.kernel)
		return;
	sluice_poll(w->lane, NULL, 0);
	note(w, EV_DROP, 0, begin);
	let_go(w);
	for (uint32_t d = 0; d < world.nr_domains; d++)
		for (uint32_t i = 0; i < BUFS; i++) {
			struct buf *b = &w->win[d].buf[i];

			if (b->state == DYING && ask(w, d, b->ticket.seq))
				b->state = IDLE;
		}
}

static void do_away(struct worker *w)
{
	uint64_t begin = stamp();
	int rc;

	rc = sluice_lane_offline(w->lane);
	if (rc)
		broken("offline", rc);
	note(w, EV_OFFLINE, 0, begin);
	let_go(w);
	w->online = false;
	for (uint64_t i = rnd(w, 4); i > 0; i--) {
		sched_yield();
		do_poll(w);
	}
	begin = stamp();
	sluice_lane_online(w->lane);
	note(w, EV_ONLINE, 0, begin);
	w->online = true;
}

static bool is_quiet(const struct worker *w)
{
	for (uint32_t d = 0; d < world.nr_domains; d++)
		for (uint32_t i = 0; i < BUFS; i++)
			if (w->win[d].buf[i].state == MAPPING ||
			    w->win[d].buf[i].state == DYING)
				return false;
	return true;
}

/* Every promise must come true by itself. */
static void settle(struct worker *w)
{
	uint64_t end = clock_ns() + PATIENCE_NS;

	while (!is_quiet(w) && !ld_rlx(&world.failed)) {
		if (clock_ns() > end) {
			note(w, EV_QUIET, 0, stamp());
			broken("something never completes", 0);
			return;
		}
		do_poll(w);
		sched_yield();
	}
	note(w, EV_QUIET, 0, stamp());
}

static void close_view(struct worker *w, uint32_t d)
{
	uint64_t begin = stamp();
	int rc = sluice_view_close(w->win[d].view);

	if (rc)
		broken("view close", rc);
	note(w, EV_CLOSE, d, begin);
}

/* Nothing but unlinked tables may still wait, for which a view stays open. */
static void drain(struct worker *w)
{
	uint64_t begin = stamp();
	int rc = sluice_drain(w->lane, PATIENCE_NS);

	if (rc)
		broken("drain", rc);
	note(w, EV_DROP, 0, begin);
	let_go(w);
}

static void reopen(struct worker *w)
{
	uint32_t d = (uint32_t)rnd(w, world.nr_domains);

	settle(w);
	if (ld_rlx(&world.failed))
		return;
	drain(w);
	close_view(w, d);
	open_view(w, d);
}

/* One of the next calls into the kernel fails. */
static void refuse(struct worker *w)
{
	if (rnd(w, 4) == 0 && w->refused_unmaps < REFUSALS)
		fake_vfio_fail(VFIO_IOMMU_UNMAP_DMA, 1 + (uint32_t)rnd(w, 4),
		               EIO);
	else
		fake_vfio_fail(VFIO_IOMMU_MAP_DMA, 1 + (uint32_t)rnd(w, 4),
		               ENOMEM);
}

/* Another's address, whatever it is now; then nothing for a while. */
static void do_nap(struct worker *w, uint32_t d, uint32_t i)
{
	sluice_oa_t oa;

	(void)look(w, d, ld_rlx(&world.board[d][rnd(w, LANES) * BUFS + i]),
	           &oa);
	for (uint64_t k = rnd(w, 4096); k > 0; k--)
		cpu_relax();
}

static void step(struct worker *w)
{
	uint32_t d = (uint32_t)rnd(w, world.nr_domains);
	uint32_t i = (uint32_t)rnd(w, BUFS);
	uint64_t dice = rnd(w, 4096);

	if (dice < 3000) {
		if (w->win[d].buf[i].state == IDLE)
			do_map(w, d, i);
		else if (w->win[d].buf[i].state == MAPPED)
			do_unmap(w, d, i);
	} else if (dice < 3080) {
		do_nap(w, d, i);
	} else if (dice < 4040) {
		do_poll(w);
	} else if (dice < 4056) {
		do_drop(w);
	} else if (dice < 4090) {
		do_away(w);
	} else if (dice < 4092) {
		reopen(w);
	} else if (world.kernel && w->id == 0) {
		refuse(w);
	}
}

static void leave(struct worker *w)
{
	for (uint32_t d = 0; d < world.nr_domains; d++)
		for (uint32_t i = 0; i < BUFS; i++)
			for (int k = 0; k < 1000; k++) {
				if (w->win[d].buf[i].state != MAPPED)
					break;
				do_unmap(w, d, i);
				do_poll(w);
			}
	settle(w);
	drain(w);
	for (uint32_t d = 0; d < world.nr_domains; d++)
		close_view(w, d);
	if (sluice_lane_close(w->lane))
		broken("lane close", -EBUSY);
}

void *lane_main(void *arg)
{
	struct worker *w = arg;
	int rc = sluice_lane_open(world.engine, NULL, &w->lane);

	if (rc) {
		broken("lane open", rc);
		return NULL;
	}
	w->online = true;
	for (uint32_t d = 0; d < world.nr_domains; d++) {
		open_view(w, d);
		for (uint32_t i = 0; i < BUFS; i++)
			w->win[d].buf[i].va =
			        VA_BASE + ((w->id * 2 + d) * BUFS + i) * 16 *
			                          SLUICE_PAGE_SIZE;
	}
	for (uint64_t i = 0; i < w->ops && !ld_rlx(&world.failed); i++)
		step(w);
	if (!ld_rlx(&world.failed))
		leave(w);
	return NULL;
}
