/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define BATCH 32

enum slot_state {
	SLOT_FREE,
	SLOT_EMPTY, /* it has a chunk */
	SLOT_COMES, /* the source fills it */
	SLOT_FULL,
	SLOT_GOES, /* the target takes it */
};

struct slot {
	struct sluice_buf buf;
	enum slot_state state;
	uint32_t chunk;
};

/* One copy_run(). */
struct run {
	struct copy *c;
	enum copy_side from, to;
	uint32_t *crc;
	uint32_t next; /* chunk */
	uint32_t left; /* chunks that have not arrived */
	int rc;        /* the first error: then nothing more is begun */
	bool lost;     /* the file's requests are not told about any more */
};

int copy_open(struct copy *c)
{
	struct sluice_buf buf;

	c->nr_chunks = (uint32_t)((c->bytes + c->slot_size - 1) / c->slot_size);
	c->slot = calloc(c->depth, sizeof(*c->slot));
	if (!c->slot)
		return fail(-ENOMEM, "no memory for slots");
	for (uint32_t i = 0; i < c->depth; i++) {
		int rc = sluice_arena_get(c->rig->lane, c->arena, &buf);

		if (rc)
			return rig_failed(rc, "slot");
		c->slot[i].buf = buf;
	}
	return 0;
}

void copy_close(struct copy *c)
{
	for (uint32_t i = 0; c->slot && i < c->depth; i++)
		if (c->slot[i].buf.va)
			sluice_arena_put(c->rig->lane, c->arena,
			                 c->slot[i].buf.va);
	free(c->slot);
	c->slot = NULL;
}

static uint32_t chunk_len(const struct copy *c, uint32_t chunk)
{
	uint64_t left = c->bytes - (uint64_t)chunk * c->slot_size;

	return left < c->slot_size ? (uint32_t)left : c->slot_size;
}

/* ---- a slot's way ---- */

static void failed(struct run *r, int rc)
{
	if (r->rc == 0)
		r->rc = rc;
}

static bool ask_disk(struct run *r, struct slot *s, enum nvme_op op)
{
	struct copy *c = r->c;
	struct nvme *nvme = c->rig->nvme[0];
	uint32_t block = nvme_get_info(nvme)->block_size;
	uint32_t blocks = (chunk_len(c, s->chunk) + block - 1) / block;
	struct nvme_seg seg = {s->buf.iova, blocks * block};
	struct nvme_io io = {
	        .op = op,
	        .lba = c->lba + (uint64_t)s->chunk * (c->slot_size / block),
	        .nr_blocks = blocks,
	        .seg = &seg,
	        .nr_seg = 1,
	        .cookie = (uint64_t)(s - c->slot),
	};
	int rc = nvme_submit(nvme_get_queue(nvme, 0), &io);

	if (rc && rc != -EAGAIN)
		failed(r, fail(rc, "the disk refuses a command: %s",
		               sluice_errname(rc)));
	c->commands += rc == 0;
	return rc == 0;
}

static bool ask(struct run *r, struct slot *s, enum copy_side side, bool write)
{
	struct copy *c = r->c;

	if (side == COPY_DISK)
		return ask_disk(r, s, write ? NVME_WRITE : NVME_READ);
	file_start(c->file, write, (uint32_t)(s - c->slot), s->buf.va,
	           chunk_len(c, s->chunk), (uint64_t)s->chunk * c->slot_size);
	return true;
}

/* The slot is full: its bytes are looked at in their place, and what follows
 * the last one is made zero, because targets take whole blocks. */
static void arrived(struct run *r, struct slot *s)
{
	struct copy *c = r->c;
	uint32_t len = chunk_len(c, s->chunk);

	memset((uint8_t *)s->buf.va + len, 0, c->slot_size - len);
	if (r->crc)
		r->crc[s->chunk] =
		        (uint32_t)crc32(crc32(0, NULL, 0), s->buf.va, len);
	c->uses++;
	s->state = SLOT_FULL;
}

static void ended(struct run *r, struct slot *s, int result)
{
	/* Given up by a reset of the controller: again. */
	if (result == -ECANCELED) {
		s->state = s->state == SLOT_COMES ? SLOT_EMPTY : SLOT_FULL;
		return;
	}
	if (result) {
		failed(r, fail(result, "chunk %u: %s", s->chunk,
		               sluice_errname(result)));
		s->state = SLOT_FREE;
	} else if (s->state == SLOT_COMES) {
		arrived(r, s);
	} else {
		r->left--;
		s->state = SLOT_FREE;
	}
}

static bool step(struct run *r, struct slot *s)
{
	if (s->state == SLOT_FREE && r->next < r->c->nr_chunks) {
		s->chunk = r->next++;
		s->state = SLOT_EMPTY;
	}
	if (s->state == SLOT_EMPTY) {
		if (!ask(r, s, r->from, false))
			return false;
		s->state = SLOT_COMES;
		return true;
	}
	if (s->state != SLOT_FULL)
		return false;
	if (r->to == COPY_NOWHERE) {
		r->left--;
		s->state = SLOT_FREE;
		return true;
	}
	if (!ask(r, s, r->to, true))
		return false;
	s->state = SLOT_GOES;
	return true;
}

/* ---- the loop ---- */

/* Sleeps for the file only when the disk has nothing to do. */
static bool collect(struct run *r, bool idle)
{
	struct copy *c = r->c;
	struct nvme_queue *queue = nvme_get_queue(c->rig->nvme[0], 0);
	struct nvme_done d[BATCH];
	struct file_done f[BATCH];
	bool wait = idle && !nvme_in_flight(queue);
	int nr = file_poll(c->file, wait, f, BATCH);
	uint32_t moved;

	for (int i = 0; i < nr; i++)
		ended(r, &c->slot[f[i].tag], f[i].result);
	if (nr < 0) {
		failed(r, fail(nr, "io_uring: %s", sluice_errname(nr)));
		r->lost = true;
	}
	moved = nvme_poll(queue, d, BATCH);
	for (uint32_t i = 0; i < moved; i++)
		ended(r, &c->slot[d[i].cookie], d[i].result);
	return nr > 0 || moved;
}

static bool in_flight(const struct run *r)
{
	const struct copy *c = r->c;

	return (file_in_flight(c->file) && !r->lost) ||
	       nvme_in_flight(nvme_get_queue(c->rig->nvme[0], 0));
}

int copy_run(struct copy *c, enum copy_side from, enum copy_side to,
             uint32_t *crc)
{
	struct run r = {.c = c,
	                .from = from,
	                .to = to,
	                .crc = crc,
	                .left = c->nr_chunks};
	bool idle = false;

	while (r.rc ? in_flight(&r) : r.left != 0) {
		bool moved = collect(&r, idle);

		/* The lane's heartbeat, and news of the device. */
		if (rig_look(c->rig))
			failed(&r, -ESHUTDOWN);
		for (uint32_t i = 0; i < c->depth && r.rc == 0; i++)
			moved |= step(&r, &c->slot[i]);
		idle = !moved;
		if (idle)
			sched_yield();
	}
	for (uint32_t i = 0; i < c->depth; i++)
		c->slot[i].state = SLOT_FREE;
	return r.rc;
}

uint32_t copy_crc(const struct copy *c, const uint32_t *crc)
{
	uLong all = crc32(0, NULL, 0);

	for (uint32_t i = 0; i < c->nr_chunks; i++)
		all = crc32_combine(all, crc[i], (z_off_t)chunk_len(c, i));
	return (uint32_t)all;
}
