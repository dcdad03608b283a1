/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One transfer: choose what, map the buffer for just that direction, let the
 * controller move it, take it back, and look at the data only then: from the
 * unmap's completion on, no device can reach it. Nothing here waits.
 */
#include "pattern.h"
#include "stress.h"

#include <errno.h>
#include <string.h>

/* A worker with this many has a problem that more transfers do not solve. */
#define MAX_ERRORS 20

void slot_error(struct worker *w, struct slot *s, int result)
{
	if (s && s->result == 0)
		s->result = result;
	w->errors++;
	if (result == -ENODEV || w->errors >= MAX_ERRORS)
		atomic_store_explicit(&w->st->stop, true, memory_order_relaxed);
}

static uint64_t next_random(struct worker *w)
{
	/* xorshift64 */
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng;
}

/* Each slot has units of its own, so no two commands meet on one. */
static uint64_t first_unit(const struct worker *w, const struct slot *s)
{
	return w->nr * w->depth + (uint64_t)(s - w->slot);
}

static uint64_t stride(const struct worker *w)
{
	return (uint64_t)w->st->cfg.nvme.nr_queues * w->depth;
}

static bool choose_known(struct worker *w, struct slot *s)
{
	struct journal *j = &w->st->journal;

	for (;;) {
		s->unit = first_unit(w, s) + s->next++ * stride(w);
		if (s->unit >= j->nr)
			return false;
		if (journal_known(j, s->unit))
			break;
	}
	s->write = false;
	return true;
}

static void choose_any(struct worker *w, struct slot *s)
{
	struct journal *j = &w->st->journal;
	uint64_t first = first_unit(w, s);
	uint64_t nr = (j->nr - first + stride(w) - 1) / stride(w);

	s->unit = first + next_random(w) % nr * stride(w);
	s->write = !journal_known(j, s->unit) ||
	           (!journal_ask_first(j, s->unit) && next_random(w) & 1);
}

/* The buffer as it must be before the controller gets it. */
static void prepare(struct worker *w, struct slot *s)
{
	if (!w->st->cfg.verify)
		return;
	if (s->write)
		journal_send(&w->st->journal, s->unit, s->va);
	else
		memset(s->va, POISON, w->st->cfg.bytes);
}

static bool choose(struct worker *w, struct slot *s)
{
	struct stress *st = w->st;
	bool over = atomic_load_explicit(&st->stop, memory_order_relaxed) ||
	            w->budget == 0;

	if (over || (st->cfg.check && !choose_known(w, s))) {
		s->state = SLOT_RETIRED;
		return true;
	}
	if (st->arena) {
		struct sluice_buf buf;

		if (sluice_arena_get(w->lane, st->arena, &buf))
			return false; /* others have them: later */
		s->va = buf.va;
		s->iova = buf.iova;
	}
	if (!st->cfg.check)
		choose_any(w, s);
	w->budget--;
	s->result = 0;
	prepare(w, s);
	s->state = st->arena ? SLOT_MAPPED : SLOT_CHOSEN;
	return true;
}

/* A write reads memory. */
static bool map(struct worker *w, struct slot *s)
{
	struct sluice_map_req req = {
	        .va = (uintptr_t)s->va,
	        .len = w->room,
	        .prot = s->write ? SLUICE_READ : SLUICE_WRITE,
	        .cookie = (uint64_t)(s - w->slot),
	};
	int rc = sluice_map(w->view, &req, &s->iova);

	if (rc == -EAGAIN)
		return false;
	if (rc <= 0)
		slot_mapped(w, s, s->iova, rc);
	else
		s->state = SLOT_MAPPING;
	return true;
}

static void finish(struct worker *w, struct slot *s)
{
	struct stress *st = w->st;
	struct journal *j = &st->journal;

	if (st->cfg.verify && s->write && s->result)
		journal_unsure(j, s->unit);
	else if (st->cfg.verify && s->write)
		journal_wrote(j, s->unit);
	else if (st->cfg.verify && s->result == 0)
		w->wrong += journal_check(j, s->unit, s->va);
	if (st->arena)
		sluice_arena_put(w->lane, st->arena, s->va);
	w->ios++;
	s->state = SLOT_IDLE;
}

/* By its completion the controller has answered; whether it can still reach
 * the buffer only the unmap's completion tells. */
static bool unmap(struct worker *w, struct slot *s)
{
	int rc;

	if (w->st->arena) {
		finish(w, s);
		return true;
	}
	rc = sluice_unmap(w->view, s->iova, w->room, (uint64_t)(s - w->slot),
	                  NULL);
	if (rc == -EAGAIN)
		return false;
	if (rc <= 0)
		slot_unmapped(w, s, rc);
	else
		s->state = SLOT_UNMAPPING;
	return true;
}

static bool submit(struct worker *w, struct slot *s)
{
	uint32_t block = nvme_get_info(w->st->rig->nvme[0])->block_size;
	uint32_t bytes = w->st->cfg.bytes;
	struct nvme_seg seg = {s->iova, bytes};
	struct nvme_io io = {
	        .op = s->write ? NVME_WRITE : NVME_READ,
	        .lba = s->unit * (bytes / block),
	        .nr_blocks = bytes / block,
	        .seg = &seg,
	        .nr_seg = 1,
	        .cookie = (uint64_t)(s - w->slot),
	};
	int rc = nvme_submit(w->queue, &io);

	if (rc == -EAGAIN)
		return false;
	s->state = rc ? SLOT_MOVED : SLOT_MOVING;
	if (rc)
		slot_error(w, s, rc);
	return true;
}

bool slot_step(struct worker *w, struct slot *s)
{
	/* A burst is mapped and unmapped as a whole (worker.c). */
	bool alone = w->st->cfg.map != STRESS_BURST;

	switch (s->state) {
	case SLOT_IDLE:
		return choose(w, s);
	case SLOT_CHOSEN:
		return alone && map(w, s);
	case SLOT_MAPPED:
		return submit(w, s);
	case SLOT_MOVED:
		return alone && unmap(w, s);
	default:
		return false;
	}
}

void slot_mapped(struct worker *w, struct slot *s, sluice_iova_t iova,
                 int result)
{
	s->iova = iova;
	s->state = SLOT_MAPPED;
	if (result == 0)
		return;
	slot_error(w, s, result);
	if (s->write && w->st->cfg.verify)
		journal_unsure(&w->st->journal, s->unit);
	w->ios++;
	s->state = SLOT_IDLE;
}

/* What a reset gave up is sent again: the mapping is still there. */
void slot_moved(struct worker *w, struct slot *s, const struct nvme_done *done)
{
	if (done->result == -ECANCELED) {
		w->retries++;
		s->state = SLOT_MAPPED;
		return;
	}
	if (done->result)
		slot_error(w, s, done->result);
	s->state = SLOT_MOVED;
}

void slot_unmapped(struct worker *w, struct slot *s, int result)
{
	if (result)
		slot_error(w, s, result);
	finish(w, s);
}
