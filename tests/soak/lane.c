/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane of the soak: what it does, and what each answer must be.
 */
#include "tests/soak/soak.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

void diverged(const char *what, int64_t rc)
{
	if (faa_rlx(&world.wrong, 1) == 0)
		fprintf(stderr, "soak: %s: %s (%s)\n", what,
		        rc < 0 ? sluice_errname((int)rc) : "",
		        sluice_last_error());
}

static uint64_t rnd(struct worker *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng >> 8;
}

static struct sign *sign_of(const struct worker *w, uint32_t d, uint32_t i)
{
	return &world.sign[d][w->id * BUFS + i];
}

/* One page mostly; now and then a large leaf, which replaces a table. */
static uint64_t some_len(struct worker *w)
{
	uint64_t dice = rnd(w) % 256;

	if (dice == 0)
		return M2;
	return dice < 8 ? (1 + rnd(w) % 64) * PAGE : (1 + rnd(w) % 4) * PAGE;
}

static void do_map(struct worker *w, uint32_t d, uint32_t i)
{
	struct window *win = &w->win[d];
	struct buf *b = &win->buf[i];
	struct sluice_map_req req = {.va = b->va, .prot = SLUICE_RW};
	int rc;

	req.len = b->len = some_len(w);
	if (is_fixed(d)) {
		req.flags = SLUICE_MAP_FIXED;
		b->iova = IOVA_BASE + (w->id * BUFS + i) * SPACE;
	} else if (b->len == M2) {
		req.align_lg2 = 21;
	}
	/* Before anyone can find it. */
	st_rlx(&sign_of(w, d, i)->dead, 0);
	w->calls++;
	rc = sluice_map(win->view, &req, &b->iova);
	if (rc) {
		diverged("map", rc);
		return;
	}
	b->state = MAPPED;
	win->n.maps++;
	win->n.map_bytes += b->len;
	/* Pairs with look_around. */
	st_rel(&sign_of(w, d, i)->iova, b->iova | b->len / PAGE);
}

static void do_unmap(struct worker *w, uint32_t d, uint32_t i)
{
	struct window *win = &w->win[d];
	struct buf *b = &win->buf[i];
	int rc = sluice_unmap(win->view, b->iova, b->len, d * BUFS + i,
	                      &b->ticket);

	w->calls++;
	if (rc == -EAGAIN)
		return;
	if (rc != !is_lazy(d)) {
		diverged("unmap", rc);
		return;
	}
	b->state = DYING;
	win->n.unmaps++;
	win->n.unmap_bytes += b->len;
}

/* A buffer of this lane's own: the answer is known. */
static void look_at_own(struct worker *w, uint32_t d, uint32_t i)
{
	struct window *win = &w->win[d];
	struct buf *b = &win->buf[i];
	uint64_t off = b->len ? rnd(w) % b->len : 0;
	sluice_oa_t oa = 0;
	int64_t n;

	/* Its IOVA may be another's by now. */
	if (!is_fixed(d) && b->state != MAPPED &&
	    (b->state == IDLE || sluice_ticket_passed(win->view, b->ticket)))
		return;
	if (!b->iova)
		return;
	w->calls++;
	n = sluice_translate(win->view, b->iova + off, 1, SLUICE_WRITE, &oa);
	if (b->state == MAPPED) {
		win->n.hits++;
		if (n != 1 || oa != b->va + off)
			diverged("own address", n);
		return;
	}
	win->n.faults++;
	if (n != -EFAULT)
		diverged("own address after its unmap", n);
}

/* Which buffer holds that memory? */
static struct sign *owner(uint32_t d, uint64_t oa)
{
	uint64_t nr = (oa - VA_BASE) / SPACE;

	if (oa < VA_BASE || nr / (LANES * BUFS) != d)
		return NULL;
	return &world.sign[d][nr % (LANES * BUFS)];
}

/* Anybody's address, which may be gone or have another meaning by now. */
static void look_around(struct worker *w, uint32_t d)
{
	uint32_t at = (uint32_t)(rnd(w) % (LANES * BUFS));
	uint64_t seen = ld_acq(&world.sign[d][at].iova);
	uint64_t pages = seen & (PAGE - 1), iova = seen & ~(PAGE - 1);
	struct sign *who;
	sluice_oa_t oa = 0;
	int64_t n;

	if (!seen)
		return;
	iova += rnd(w) % (pages * PAGE);
	w->calls++;
	n = sluice_translate(w->win[d].view, iova, 1, SLUICE_READ, &oa);
	if (n == -EFAULT) {
		w->win[d].n.faults++;
		return;
	}
	who = owner(d, oa);
	if (n != 1 || !who || (oa ^ iova) & (PAGE - 1) ||
	    (is_fixed(d) && who != &world.sign[d][at])) {
		diverged("another's address", n);
		return;
	}
	w->win[d].n.hits++;
	if (ld_rlx(&who->dead))
		diverged("use after ticket", 0);
	w->held[w->nr_held++ % HELD] = &who->dead;
}

/* Memory that is mapped, of the one domain that keeps that direction. */
static void look_back(struct worker *w, uint32_t i)
{
	struct window *win = &w->win[0];
	struct buf *b = &win->buf[i];
	uint64_t off = b->len ? rnd(w) % b->len : 0;
	sluice_iova_t iova = 0;
	int64_t n = sluice_va_to_iova(win->view, b->va + off, 1, &iova);

	w->calls++;
	if (b->state == MAPPED ? n != 1 || iova != b->iova + off : n != -EFAULT)
		diverged("memory to IOVA", n);
	win->n.va_looks++;
	win->n.va_hits += n == 1;
}

static void bury(struct worker *w, uint32_t d)
{
	for (uint32_t i = 0; i < BUFS; i++) {
		struct buf *b = &w->win[d].buf[i];

		if (b->state != DYING ||
		    !sluice_ticket_passed(w->win[d].view, b->ticket))
			continue;
		st_rlx(&sign_of(w, d, i)->dead, 1);
		if (is_lazy(d))
			b->state = IDLE;
	}
}

static void do_poll(struct worker *w)
{
	struct sluice_completion c[16];
	uint32_t n;

	/* Up to this moment every translation that was got is good. */
	for (uint32_t i = 0; i < HELD && i < w->nr_held; i++)
		if (ld_rlx(w->held[i]))
			diverged("use after ticket, held", 0);
	w->nr_held = 0;
	w->calls++;
	n = sluice_poll(w->lane, c, 16);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t d = (uint32_t)(c[i].cookie / BUFS);
		struct buf *b = &w->win[d % DOMAINS].buf[c[i].cookie % BUFS];

		if (d >= DOMAINS || is_lazy(d) || b->state != DYING ||
		    c[i].result || c[i].iova != b->iova || c[i].len != b->len ||
		    !sluice_ticket_passed(w->win[d].view, b->ticket)) {
			diverged("completion", c[i].result);
			return;
		}
		st_rlx(&sign_of(w, d, (uint32_t)(c[i].cookie % BUFS))->dead, 1);
		b->state = IDLE;
		w->win[d].n.completions++;
	}
	bury(w, (uint32_t)(rnd(w) % DOMAINS));
}

static void go_away(struct worker *w)
{
	sluice_lane_offline(w->lane);
	for (uint64_t i = rnd(w) % 4; i > 0; i--)
		sched_yield();
	sluice_lane_online(w->lane);
	w->nr_held = 0;
	w->win[0].n.away++;
}

static void step(struct worker *w)
{
	uint64_t dice = rnd(w) % 1024;
	/* A few domains at a time: views of the others fall asleep. */
	uint32_t d = (w->focus + (uint32_t)(rnd(w) % 2)) % DOMAINS;
	uint32_t i = (uint32_t)(rnd(w) % BUFS);

	if (dice < 256)
		look_at_own(w, d, i);
	else if (dice < 512)
		look_around(w, d);
	else if (dice < 544)
		look_back(w, i);
	else if (dice >= 896)
		do_poll(w);
	else if (w->win[d].buf[i].state == IDLE)
		do_map(w, d, i);
	else if (w->win[d].buf[i].state == MAPPED)
		do_unmap(w, d, i);
	if (unlikely(dice == 1023) && rnd(w) % 16 == 0)
		go_away(w);
}

/* Everything goes, and each completion that was promised has come. */
static void leave(struct worker *w)
{
	bool busy = true;

	while (busy && !ld_rlx(&world.wrong)) {
		busy = false;
		for (uint32_t d = 0; d < DOMAINS; d++) {
			for (uint32_t i = 0; i < BUFS; i++) {
				struct buf *b = &w->win[d].buf[i];

				if (b->state == MAPPED)
					do_unmap(w, d, i);
				busy |= b->state != IDLE;
			}
			bury(w, d);
		}
		do_poll(w);
		sched_yield();
	}
	if (!ld_rlx(&world.wrong) && sluice_drain(w->lane, 60 * SECOND))
		diverged("drain", -ETIMEDOUT);
	sluice_lane_offline(w->lane);
}

void *lane_main(void *arg)
{
	struct worker *w = arg;
	int rc = sluice_lane_open(world.engine, NULL, &w->lane);

	for (uint32_t d = 0; d < DOMAINS && rc == 0; d++)
		rc = sluice_view_open(w->lane, world.domain[d],
		                      &w->win[d].view);
	if (rc)
		diverged("open", rc);
	while (w->calls < w->ops && !ld_rlx(&world.wrong)) {
		w->focus = (uint32_t)(rnd(w) % DOMAINS);
		for (uint64_t i = 0; i < 4096; i++)
			step(w);
		st_rlx(&w->done, w->calls);
	}
	if (!ld_rlx(&world.wrong))
		leave(w);
	return NULL;
}
