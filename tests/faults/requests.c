/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Maps and unmaps of the scenario, each followed to its end: a request that
 * the kernel refuses is told by its completion, and asked for once more where
 * that makes sense. What is mapped afterwards goes to the oracle.
 */
#include "tests/faults/run.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "util/util.h"

#define VA_BASE UINT64_C(0x7f0000000000)
#define PATIENCE UINT64_C(20000000000)

static uint64_t va_of(uint64_t page)
{
	return VA_BASE + page * PAGE;
}

/* A completion with an error. */
static void refused(struct run *r, const struct sluice_completion *c)
{
	r->errors++;
	if (!inject_fired())
		wrong(r, "completion: %s although no call failed",
		      sluice_errname(c->result));
	if (!*sluice_completion_text(c))
		wrong(r, "completion: no text for %s",
		      sluice_errname(c->result));
}

/* n completions of one lane, while the others poll too. */
static bool collect(struct run *r, unsigned lane, struct sluice_completion *c,
                    uint32_t n)
{
	uint64_t end = clock_ns() + PATIENCE;
	uint32_t got = 0;

	while (got < n) {
		uint32_t more = sluice_poll(r->lane[lane], c + got, n - got);

		got += more;
		if (!more)
			sched_yield();
		for (unsigned i = 0; i < LANES; i++)
			if (i != lane)
				sluice_poll(r->lane[i], NULL, 0);
		if (clock_ns() > end) {
			wrong(r, "a completion does not come");
			return false;
		}
	}
	return true;
}

static void settle(struct run *r)
{
	uint64_t end = clock_ns() + PATIENCE;
	bool idle = false;

	while (!idle) {
		idle = true;
		for (unsigned i = 0; i < LANES; i++)
			if (r->lane[i] && sluice_drain(r->lane[i], 0))
				idle = false;
		if (!idle)
			sched_yield();
		if (clock_ns() > end) {
			wrong(r, "does not drain: %s", sluice_last_error());
			return;
		}
	}
}

void run_settle(struct run *r)
{
	settle(r);
}

/* ---- map ---- */

static int map_once(struct run *r, unsigned lane, struct live *want,
                    const struct iovec *iov, uint32_t nr_iov)
{
	struct sluice_map_req req = {
	        .va = want->va[0],
	        .len = want->nr * (uint64_t)PAGE,
	        .prot = SLUICE_RW,
	        .flags = want->iova ? SLUICE_MAP_FIXED : 0,
	        .cookie = want->va[0],
	};
	uint64_t iova;
	int rc;

	do {
		quiet();
		iova = want->iova;
		rc = iov ? sluice_map_sg(r->view[lane], &req, iov, nr_iov,
		                         &iova)
		         : sluice_map(r->view[lane], &req, &iova);
	} while (again(r, iov ? "sluice_map_sg" : "sluice_map", rc));
	if (rc >= 0)
		want->iova = iova;
	return rc;
}

static void map_live(struct run *r, unsigned lane, struct live want,
                     const struct iovec *iov, uint32_t nr_iov)
{
	uint64_t fixed = want.iova;

	for (int tries = 0; tries < 2; tries++) {
		struct sluice_completion c = {0};
		int rc;

		want.iova = fixed;
		rc = map_once(r, lane, &want, iov, nr_iov);
		if (rc < 0 || (rc == 1 && !collect(r, lane, &c, 1)))
			return;
		if (c.result == 0) {
			if (rc &&
			    (c.op != SLUICE_OP_MAP || c.iova != want.iova))
				wrong(r, "a completion of something else");
			*live_new(r) = want;
			return;
		}
		refused(r, &c);
	}
	wrong(r, "a map is refused twice");
}

static struct live pages(uint64_t page, uint32_t nr, uint32_t step)
{
	struct live l = {.nr = nr};

	for (uint32_t i = 0; i < nr; i++)
		l.va[i] = va_of(page + (uint64_t)i * step);
	return l;
}

void run_map(struct run *r, unsigned lane, uint64_t page, uint32_t nr)
{
	map_live(r, lane, pages(page, nr, 1), NULL, 0);
}

void run_map_fixed(struct run *r, unsigned lane, uint64_t page, uint32_t nr)
{
	struct live l = pages(page, nr, 1);

	l.iova = r->fixed;
	if (l.iova)
		map_live(r, lane, l, NULL, 0);
}

void run_map_sg(struct run *r, unsigned lane, uint64_t page, uint32_t nr)
{
	struct iovec iov[MAX_PAGES];
	struct live l = pages(page, nr, 2);

	for (uint32_t i = 0; i < nr; i++)
		iov[i] = (struct iovec){(void *)(uintptr_t)l.va[i], PAGE};
	map_live(r, lane, l, iov, nr);
}

/* ---- unmap ---- */

static struct live *find(struct run *r, uint64_t page)
{
	for (uint32_t i = 0; i < MAX_LIVE; i++)
		if (r->live[i].nr && r->live[i].va[0] == va_of(page))
			return &r->live[i];
	return NULL;
}

/* Until a lazy unmap's ticket tells: 0, or -EIO when the kernel refused. */
static int await_ticket(struct run *r, unsigned lane,
                        struct sluice_ticket ticket)
{
	uint64_t end = clock_ns() + PATIENCE;
	int rc;

	while ((rc = sluice_ticket_wait(r->view[lane], ticket, 0)) ==
	       -ETIMEDOUT) {
		for (unsigned i = 0; i < LANES; i++)
			sluice_poll(r->lane[i], NULL, 0);
		sched_yield();
		if (clock_ns() > end) {
			wrong(r, "a ticket does not pass");
			return 0;
		}
	}
	return rc;
}

/* Takes it out of the oracle; what follows is told by the return value. */
static int unmap_start(struct run *r, unsigned lane, struct live *l,
                       struct live *ret_gone, struct sluice_ticket *ret_ticket)
{
	int rc;

	do {
		quiet();
		rc = sluice_unmap(r->view[lane], l->iova,
		                  (uint64_t)l->nr * PAGE, l->va[0], ret_ticket);
	} while (again(r, "sluice_unmap", rc));
	if (rc < 0)
		return rc;
	*ret_gone = *l;
	l->nr = 0;
	return rc;
}

static void unmap_end(struct run *r, const struct live *gone,
                      const struct sluice_completion *c)
{
	if (c->result == 0)
		return;
	refused(r, c);
	maybe_add(r, gone->iova, (uint64_t)gone->nr * PAGE);
}

void run_unmap(struct run *r, unsigned lane, uint64_t page)
{
	struct sluice_completion c = {.op = SLUICE_OP_UNMAP};
	struct live *l = find(r, page), gone;
	struct sluice_ticket ticket;
	int rc;

	if (!l)
		return;
	rc = unmap_start(r, lane, l, &gone, &ticket);
	if (rc < 0 || (rc == 1 && !collect(r, lane, &c, 1)))
		return;
	if (rc == 0)
		c.result = await_ticket(r, lane, ticket);
	unmap_end(r, &gone, &c);
}

void run_unmap_row(struct run *r, unsigned lane, uint64_t page, uint32_t nr)
{
	struct sluice_completion c[MAX_PAGES] = {0};
	struct live gone[MAX_PAGES];
	struct sluice_ticket ticket[MAX_PAGES];
	uint32_t n = 0, due = 0;

	for (uint32_t i = 0; i < nr; i++) {
		struct live *l = find(r, page + i);
		int rc = l ? unmap_start(r, lane, l, &gone[n], &ticket[n]) : -1;

		if (rc >= 0)
			n++;
		if (rc > 0)
			due++;
	}
	if (due && !collect(r, lane, c, due))
		return;
	for (uint32_t i = 0; i < n; i++) {
		c[i].op = SLUICE_OP_UNMAP;
		if (!due)
			c[i].result = await_ticket(r, lane, ticket[i]);
		else if (c[i].iova != gone[i].iova)
			wrong(r, "completions of unmaps are out of order");
		unmap_end(r, &gone[i], &c[i]);
	}
}

/* The unmap may be brought back before the kernel hears of it: then the map is
 * done, and the unmap completes all the same. */
void run_remap(struct run *r, unsigned lane, uint64_t page)
{
	struct sluice_completion c[2] = {{0}, {0}};
	struct live *l = find(r, page), gone, want;
	struct sluice_ticket ticket;
	bool mapped;
	int rc_unmap, rc_map;

	if (!l)
		return;
	rc_unmap = unmap_start(r, lane, l, &gone, &ticket);
	if (rc_unmap < 0)
		return;
	want = gone;
	want.iova = 0;
	rc_map = map_once(r, lane, &want, NULL, 0);
	mapped = rc_map == 0;
	if (!collect(r, lane, c, (uint32_t)(rc_unmap + (rc_map == 1))))
		return;
	if (rc_unmap == 0)
		settle(r);
	for (int i = 0; i < 2; i++) {
		if (c[i].op == SLUICE_OP_UNMAP)
			unmap_end(r, &gone, &c[i]);
		if (c[i].op != SLUICE_OP_MAP)
			continue;
		mapped = c[i].result == 0;
		if (!mapped)
			refused(r, &c[i]);
	}
	/* Lazy: nothing tells what the kernel said. */
	if (rc_unmap == 0 && inject_fired())
		maybe_add(r, gone.iova, (uint64_t)gone.nr * PAGE);
	if (mapped)
		*live_new(r) = want;
	else
		run_map(r, lane, page, gone.nr);
}
