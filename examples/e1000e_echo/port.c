/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where each page is and what it waits for. Each queue counts its descriptors
 * on for ever, and its counts follow each other around the ring: what is behind
 * one is done. Knows nothing of what is in a frame.
 */
#include "port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define N PORT_DESCRIPTORS
#define PAGE SLUICE_PAGE_SIZE
#define POISON 0xa5
#define DRAIN_NS 10000000000u
#define NOBODY UINT32_MAX

/* Cookies: what a completion is about. Those of single slots are their
 * numbers. */
#define COOKIE_TX (UINT64_C(1) << 32)
#define COOKIE_RX (UINT64_C(2) << 32)

struct rx {
	struct sluice_ring *ring;
	/* done <= taken <= posted <= mapped <= done + N: of those below mapped
	 * some wait for the kernel still. */
	uint64_t mapped, posted, taken, done;
	uint32_t page[N], len[N];
	bool ready[N];
	uint32_t broken; /* the slot that port_break() took, or NOBODY */
};

/* Frames that are mapped, sent and taken back together. */
struct burst {
	uint32_t first, nr;
	enum { MAPPING, MAPPED, SENT, TAKING, DONE } state;
};

struct tx {
	struct sluice_ring *ring;
	/* Descriptors: done <= next <= done + N - 1. */
	uint64_t next, done;
	uint32_t page[N], len[N];
	/* The oldest first: sent < handed over, all of [oldest, newest). */
	struct burst burst[N];
	uint64_t oldest, newest;
	/* Frames to send, not mapped yet. */
	uint32_t wait_page[PORT_PAGES], wait_len[PORT_PAGES];
	uint64_t wait_head, wait_tail;
};

struct port {
	struct port_cfg cfg;
	uint8_t *memory;
	struct sluice_arena *arena;
	sluice_iova_t arena_iova;
	uint32_t free[PORT_PAGES], nr_free;
	struct rx rx;
	struct tx tx;
	int broken;
};

static uint8_t *page_va(const struct port *p, uint32_t page)
{
	return p->memory + (size_t)page * PAGE;
}

static sluice_iova_t page_iova(const struct port *p, uint32_t page)
{
	return p->arena_iova + (uint64_t)page * PAGE;
}

static int refused(int rc, const char *what)
{
	return fail(rc, "%s: %s: %s", what, sluice_errname(rc),
	            sluice_last_error());
}

/* ---- receive ---- */

/* Gives every free slot a page. */
static int rx_map(struct port *p)
{
	struct rx *rx = &p->rx;

	while (rx->mapped < rx->done + N && p->nr_free) {
		uint32_t slot = (uint32_t)(rx->mapped % N);
		uint32_t page = p->free[p->nr_free - 1];
		int rc = 0;

		if (slot == rx->broken)
			return 0;
		if (!p->cfg.arena)
			rc = sluice_ring_map(rx->ring, slot,
			                     (uintptr_t)page_va(p, page), PAGE,
			                     SLUICE_WRITE, NULL);
		if (rc == -EAGAIN || rc == -EBUSY)
			return 0;
		if (rc < 0)
			return refused(rc, "map a receive slot");
		rx->ready[slot] = rc == 0;
		rx->page[slot] = page;
		rx->mapped++;
		p->nr_free--;
	}
	return 0;
}

/* Hands over what is mapped, in order; one descriptor stays empty. */
static void rx_post(struct port *p)
{
	struct rx *rx = &p->rx;
	uint64_t before = rx->posted;

	while (rx->posted < rx->mapped && rx->ready[rx->posted % N] &&
	       rx->posted + 1 < rx->taken + N) {
		uint32_t slot = (uint32_t)(rx->posted % N);

		e1000e_rx_post(p->cfg.nic, slot,
		               p->cfg.arena ? page_iova(p, rx->page[slot])
		                            : sluice_ring_iova(rx->ring, slot));
		rx->posted++;
	}
	if (rx->posted != before)
		e1000e_rx_tail(p->cfg.nic, (uint32_t)(rx->posted % N));
}

static void queue_tx(struct port *p, uint32_t page, size_t len)
{
	struct tx *tx = &p->tx;
	uint64_t at = tx->wait_tail++ % PORT_PAGES;

	tx->wait_page[at] = page;
	tx->wait_len[at] = (uint32_t)len;
}

/* nr slots are the program's alone: their frames may be looked at. */
static void rx_input(struct port *p, uint32_t nr)
{
	struct rx *rx = &p->rx;

	while (nr--) {
		uint32_t slot = (uint32_t)(rx->done++ % N);
		uint32_t page = rx->page[slot];
		size_t len = 0;

		if (rx->len[slot])
			len = p->cfg.input(p->cfg.ctx, page_va(p, page),
			                   rx->len[slot]);
		if (len)
			queue_tx(p, page, len);
		else
			p->free[p->nr_free++] = page;
	}
}

static void look_at_broken(struct port *p, uint32_t page)
{
	const uint8_t *byte = page_va(p, page);

	p->broken = 1;
	for (size_t i = 0; i < PAGE; i++)
		if (byte[i] != POISON)
			p->broken = -EIO;
}

/* Takes all slots back that the controller has filled: one burst. */
static int rx_take(struct port *p)
{
	struct rx *rx = &p->rx;
	uint32_t first = (uint32_t)(rx->taken % N), nr = 0;
	int rc;

	while (rx->taken + nr < rx->posted) {
		uint32_t slot = (first + nr) % N;

		if (!e1000e_rx_done(p->cfg.nic, slot, &rx->len[slot]))
			break;
		if (slot == rx->broken) {
			look_at_broken(p, rx->page[slot]);
			break;
		}
		nr++;
	}
	if (nr == 0)
		return 0;
	if (p->cfg.arena) {
		rx->taken += nr;
		rx_input(p, nr);
		return 0;
	}
	rc = sluice_ring_unmap(rx->ring, first, nr, COOKIE_RX | nr, NULL);
	if (rc == -EAGAIN)
		return 0;
	if (rc < 0)
		return refused(rc, "take receive slots back");
	rx->taken += nr;
	return 0;
}

/* ---- transmit ---- */

static void tx_hand_over(struct port *p)
{
	struct tx *tx = &p->tx;
	uint64_t i = tx->oldest;
	struct burst *b;

	while (i < tx->newest && tx->burst[i % N].state > MAPPED)
		i++;
	for (; i < tx->newest && tx->burst[i % N].state == MAPPED; i++) {
		b = &tx->burst[i % N];
		for (uint32_t s = b->first; s < b->first + b->nr; s++)
			e1000e_tx_post(p->cfg.nic, s,
			               p->cfg.arena
			                       ? page_iova(p, tx->page[s])
			                       : sluice_ring_iova(tx->ring, s),
			               tx->len[s]);
		e1000e_tx_tail(p->cfg.nic, (b->first + b->nr) % N);
		b->state = SENT;
	}
}

static void tx_free(struct port *p, struct burst *b)
{
	struct tx *tx = &p->tx;

	for (uint32_t s = b->first; s < b->first + b->nr; s++) {
		p->free[p->nr_free++] = tx->page[s];
		p->cfg.sent(p->cfg.ctx);
	}
	b->state = DONE;
	while (tx->oldest < tx->newest &&
	       tx->burst[tx->oldest % N].state == DONE)
		tx->done += tx->burst[tx->oldest++ % N].nr;
}

/* Takes back what has left. */
static int tx_take(struct port *p)
{
	struct tx *tx = &p->tx;

	for (uint64_t i = tx->oldest; i < tx->newest; i++) {
		struct burst *b = &tx->burst[i % N];
		int rc;

		if (b->state != SENT)
			continue;
		if (!e1000e_tx_done(p->cfg.nic, b->first + b->nr - 1))
			break;
		if (p->cfg.arena) {
			tx_free(p, b);
			continue;
		}
		rc = sluice_ring_unmap(tx->ring, b->first, b->nr,
		                       COOKIE_TX | i % N, NULL);
		if (rc == -EAGAIN)
			break;
		if (rc < 0)
			return refused(rc, "take transmit slots back");
		b->state = TAKING;
	}
	return 0;
}

/* Maps all frames that wait, as far as there is room, as one burst: they will
 * be sent, and taken back, together. */
static int tx_map(struct port *p)
{
	struct tx *tx = &p->tx;
	uint32_t first = (uint32_t)(tx->next % N), nr = 0;
	struct burst *b = &tx->burst[tx->newest % N];
	uint64_t va[N];
	int rc = 0;

	while (tx->wait_head + nr < tx->wait_tail && first + nr < N &&
	       tx->next + nr + 1 < tx->done + N) {
		uint64_t at = (tx->wait_head + nr) % PORT_PAGES;

		tx->page[first + nr] = tx->wait_page[at];
		tx->len[first + nr] = tx->wait_len[at];
		va[nr++] = (uintptr_t)page_va(p, tx->wait_page[at]);
	}
	if (nr == 0)
		return 0;
	if (!p->cfg.arena)
		rc = sluice_ring_map_burst(tx->ring, first, nr, va, SLUICE_READ,
		                           COOKIE_TX | tx->newest % N);
	if (rc == -EAGAIN || rc == -EBUSY)
		return 0;
	if (rc < 0)
		return refused(rc, "map transmit slots");
	*b = (struct burst){first, nr, rc ? MAPPING : MAPPED};
	tx->newest++;
	tx->next += nr;
	tx->wait_head += nr;
	return 0;
}

/* ---- both ---- */

static int completed(struct port *p, const struct sluice_completion *c)
{
	struct burst *b = &p->tx.burst[(uint32_t)c->cookie % N];

	if (c->result)
		return fail(c->result, "%s: %s: %s",
		            c->op == SLUICE_OP_MAP ? "map" : "unmap",
		            sluice_errname(c->result),
		            sluice_completion_text(c));
	if (c->cookie & COOKIE_RX)
		rx_input(p, (uint32_t)c->cookie);
	else if (!(c->cookie & COOKIE_TX))
		p->rx.ready[c->cookie] = true;
	else if (c->op == SLUICE_OP_MAP)
		b->state = MAPPED;
	else
		tx_free(p, b);
	return 0;
}

int port_poll(struct port *p)
{
	struct sluice_completion c[N];
	uint32_t n = sluice_poll(p->cfg.lane, c, N);
	int rc = 0;

	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = completed(p, &c[i]);
	if (rc == 0)
		rc = rx_take(p);
	if (rc == 0)
		rc = tx_take(p);
	if (rc == 0)
		rc = tx_map(p);
	tx_hand_over(p);
	if (rc == 0)
		rc = rx_map(p);
	rx_post(p);
	return rc;
}

bool port_ready(const struct port *p)
{
	return p->rx.posted + 1 == p->rx.taken + N;
}

uint8_t *port_page(struct port *p)
{
	return p->nr_free ? page_va(p, p->free[--p->nr_free]) : NULL;
}

void port_send(struct port *p, uint8_t *frame, size_t len)
{
	queue_tx(p, (uint32_t)((size_t)(frame - p->memory) / PAGE), len);
}

int port_break(struct port *p, sluice_iova_t *ret_iova)
{
	struct rx *rx = &p->rx;
	uint32_t slot = (uint32_t)(rx->taken % N);
	struct sluice_ticket ticket;
	int rc;

	memset(page_va(p, rx->page[slot]), POISON, PAGE);
	rc = sluice_ring_unmap(rx->ring, slot, 1, 0, &ticket);
	if (rc >= 0)
		rc = sluice_ticket_wait(p->cfg.view, ticket, DRAIN_NS);
	if (rc)
		return refused(rc, "take a slot away");
	rx->broken = slot;
	*ret_iova = sluice_ring_iova(rx->ring, slot);
	return 0;
}

int port_broken(struct port *p)
{
	return p->broken;
}

/* ---- life ---- */

static int get_memory(struct port *p)
{
	const struct sluice_arena_cfg cfg = {.size = PORT_PAGES * PAGE,
	                                     .no_huge = 1};
	struct sluice_buf buf;
	int rc;

	if (p->cfg.arena) {
		rc = sluice_arena_create(p->cfg.domain, &cfg, &p->arena);
		if (rc == 0)
			rc = sluice_arena_alloc(p->arena, PORT_PAGES * PAGE,
			                        PAGE, &buf);
		if (rc)
			return refused(rc, "an arena for the buffers");
		p->memory = buf.va;
		p->arena_iova = buf.iova;
		return 0;
	}
	p->memory = mmap(NULL, PORT_PAGES * PAGE, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->memory == MAP_FAILED) {
		p->memory = NULL;
		return fail(-ENOMEM, "no memory for buffers");
	}
	return 0;
}

int port_open(const struct port_cfg *cfg, struct port **ret_port)
{
	const struct sluice_ring_cfg ring = {.stride = PAGE, .nr_slots = N};
	struct port *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return fail(-ENOMEM, "no memory");
	p->cfg = *cfg;
	p->rx.broken = NOBODY;
	rc = get_memory(p);
	if (rc == 0 && !cfg->arena) {
		rc = sluice_ring_create(cfg->view, &ring, &p->rx.ring);
		if (rc == 0)
			rc = sluice_ring_create(cfg->view, &ring, &p->tx.ring);
		if (rc)
			refused(rc, "a ring of slots");
	}
	if (rc) {
		(void)port_close(p);
		return rc;
	}
	for (uint32_t i = PORT_PAGES; i > 0; i--)
		p->free[p->nr_free++] = i - 1;
	*ret_port = p;
	return 0;
}

/* What is mapped goes; what is being taken back is waited for. */
static int unmap_all(struct port *p)
{
	struct rx *rx = &p->rx;
	struct tx *tx = &p->tx;
	int rc = sluice_drain(p->cfg.lane, DRAIN_NS);

	for (; rc >= 0 && rx->taken < rx->mapped; rx->taken++)
		if (rx->taken % N != rx->broken)
			rc = sluice_ring_unmap(rx->ring,
			                       (uint32_t)(rx->taken % N), 1, 0,
			                       NULL);
	for (; rc >= 0 && tx->oldest < tx->newest; tx->oldest++) {
		const struct burst *b = &tx->burst[tx->oldest % N];

		if (b->state < TAKING)
			rc = sluice_ring_unmap(tx->ring, b->first, b->nr, 0,
			                       NULL);
	}
	if (rc >= 0)
		rc = sluice_drain(p->cfg.lane, DRAIN_NS);
	return rc < 0 ? refused(rc, "take everything back") : 0;
}

int port_close(struct port *p)
{
	int rc = 0;

	if (!p)
		return 0;
	if (p->rx.ring && p->tx.ring)
		rc = unmap_all(p);
	if (rc == 0)
		rc = sluice_ring_destroy(p->rx.ring);
	if (rc == 0)
		rc = sluice_ring_destroy(p->tx.ring);
	if (p->arena)
		sluice_arena_destroy(p->arena);
	else if (p->memory)
		munmap(p->memory, PORT_PAGES * PAGE);
	free(p);
	return rc;
}
