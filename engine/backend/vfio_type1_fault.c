/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of large maps is faulted in before the call that pins it, beside the
 * helper, which serves others meanwhile: inside the call the container is
 * locked. By io_uring's workers; where there are none, nothing is done before
 * the call. Knows addresses and advice, and no result: what cannot be faulted
 * in is the map's to refuse.
 */
#include "engine/backend/vfio_type1_int.h"

#include <sys/mman.h>

/* linux/mman.h, since 5.14. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define SQES 64u
/* Workers share a large segment in pieces of this size or more. */
#define PIECE_LG2 22
#define MAX_PIECES 16u
/* Not worth a worker. */
#define SMALL (UINT64_C(256) << 10)

static bool ring_ready(struct t1_fault *f)
{
	if (!f->tried) {
		f->tried = true;
		f->ready = io_uring_queue_init(SQES, &f->ring, 0) == 0;
	}
	return f->ready;
}

/* As the call will pin them: memory that devices may write is made writable, of
 * private memory its own; of what they only read nothing is made. */
static int advice(const struct be_req *req)
{
	return req->prot & SLUICE_WRITE ? MADV_POPULATE_WRITE
	                                : MADV_POPULATE_READ;
}

/* What is prepared for one job and not submitted yet. */
struct prepared {
	uint32_t nr;
	struct io_uring_sqe *sqe[SQES];
};

static bool put(struct t1_fault *f, struct prepared *p, struct t1_job *job,
                uint64_t va, uint64_t len)
{
	struct io_uring_sqe *sqe =
	        p->nr < SQES ? io_uring_get_sqe(&f->ring) : NULL;

	if (!sqe)
		return false;
	io_uring_prep_madvise(sqe, (void *)(uintptr_t)va, (off_t)len,
	                      advice(job->req));
	io_uring_sqe_set_data(sqe, job);
	p->sqe[p->nr++] = sqe;
	return true;
}

static void put_segment(struct t1_fault *f, struct prepared *p,
                        struct t1_job *job, const struct be_seg *seg)
{
	uint64_t piece = max_u64(seg->len / MAX_PIECES, bit64(PIECE_LG2));
	uint64_t at = 0, len;

	/* The length has 32 bits there. */
	piece = min_u64(align_up(piece, PIECE_LG2), bit64(30));
	for (; seg->len >= SMALL && at < seg->len; at += len) {
		len = min_u64(piece, seg->len - at);
		if (!put(f, p, job, seg->va + at, len))
			return;
	}
}

/* How many the kernel has taken. What it has not shall do nothing when it goes
 * with the next: the memory may be another by then. */
static uint32_t submit(struct t1_fault *f, struct prepared *p)
{
	uint32_t left;

	(void)io_uring_submit(&f->ring);
	for (left = io_uring_sq_ready(&f->ring); left && p->nr; left--) {
		struct io_uring_sqe *sqe = p->sqe[--p->nr];

		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data(sqe, NULL);
	}
	return p->nr;
}

bool fault_start(struct t1 *t1, struct be_req *req)
{
	struct t1_fault *f = &t1->fault;
	struct prepared p = {0};
	struct t1_job *job;

	if (f->nr == T1_JOBS || !ring_ready(f))
		return false;
	job = &f->job[0];
	while (job->req)
		job++;
	job->req = req;
	for (uint32_t i = 0; i < req->nr_seg; i++)
		put_segment(f, &p, job, &req->seg[i]);
	job->left = p.nr ? submit(f, &p) : 0;
	if (job->left == 0) {
		job->req = NULL;
		return false;
	}
	f->nr++;
	return true;
}

struct be_req *fault_reap(struct t1 *t1, bool wait)
{
	struct t1_fault *f = &t1->fault;
	struct io_uring_cqe *cqe;

	while (f->nr) {
		struct t1_job *job;
		struct be_req *req;

		if (wait ? io_uring_submit_and_wait(&f->ring, 1) < 0 : false)
			continue;
		if (io_uring_peek_cqe(&f->ring, &cqe))
			return NULL;
		job = io_uring_cqe_get_data(cqe);
		io_uring_cqe_seen(&f->ring, cqe);
		if (!job || --job->left)
			continue;
		req = job->req;
		job->req = NULL;
		f->nr--;
		return req;
	}
	return NULL;
}

bool fault_touches(const struct t1 *t1, const struct be_req *req)
{
	const struct t1_fault *f = &t1->fault;

	for (uint32_t i = 0; f->nr && i < T1_JOBS; i++)
		if (f->job[i].req && be_touch(f->job[i].req, req))
			return true;
	return false;
}

void fault_end(struct t1 *t1)
{
	if (t1->fault.ready)
		io_uring_queue_exit(&t1->fault.ring);
}
