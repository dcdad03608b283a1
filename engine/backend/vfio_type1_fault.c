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
/* While a piece is faulted in, the kernel keeps the address space from
 * changing, and each map and unmap of a container changes what is locked there:
 * they wait for one piece. */
#define PIECE (UINT64_C(512) << 10)
#define WORKERS 2u                  /* pieces of one map at a time */
#define SMALL (UINT64_C(256) << 10) /* not worth a worker */
_Static_assert(SQES > WORKERS * T1_JOBS, "room for what was not taken");

static bool ring_ready(struct t1_fault *f)
{
	struct io_uring_params params = {0};

	if (!f->tried) {
		f->tried = true;
		f->ready = sys->uring_init(SQES, &f->ring, &params) == 0;
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

/* The next piece of a job; false: there is none, or no place for it. */
static bool put(struct t1_fault *f, struct t1_job *job)
{
	const struct be_req *req = job->req;
	const struct be_seg *seg;
	struct io_uring_sqe *sqe;
	uint32_t len; /* some liburings take no more */

	while (job->seg < req->nr_seg && req->seg[job->seg].len < SMALL)
		job->seg++;
	if (job->seg == req->nr_seg)
		return false;
	sqe = io_uring_get_sqe(&f->ring);
	if (!sqe)
		return false;
	seg = &req->seg[job->seg];
	len = (uint32_t)min_u64(PIECE, seg->len - job->done);
	io_uring_prep_madvise(sqe, (void *)(uintptr_t)(seg->va + job->done),
	                      len, advice(req));
	io_uring_sqe_set_data(sqe, job);
	(void)sys->uring_submit(&f->ring, 0);
	if (io_uring_sq_ready(&f->ring)) {
		/* It goes with the next, and shall do nothing then: the memory
		 * may be another by that time. */
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data(sqe, NULL);
		job->seg = req->nr_seg;
		return false;
	}
	job->left++;
	job->done += len;
	if (job->done == seg->len) {
		job->done = 0;
		job->seg++;
	}
	return true;
}

#define SAMPLES 8u

/* Is it all there? A worker for each piece takes ten times as long as the map
 * of what is there, and to look at each page a fifth of it; so at the first,
 * the last and some between. What only seems to be there is faulted in by the
 * map itself. */
static bool resident(uint64_t va, uint64_t len)
{
	uint64_t pages = len >> SLUICE_PAGE_LG2;

	for (uint64_t i = 0; i < SAMPLES; i++) {
		uint64_t page = i * (pages - 1) / (SAMPLES - 1);
		unsigned char there;

		if (sys->mincore(
		            (void *)(uintptr_t)(va + page * SLUICE_PAGE_SIZE),
		            SLUICE_PAGE_SIZE, &there) ||
		    !(there & 1))
			return false;
	}
	return true;
}

static bool all_resident(const struct be_req *req)
{
	for (uint32_t i = 0; i < req->nr_seg; i++)
		if (req->seg[i].len >= SMALL &&
		    !resident(req->seg[i].va, req->seg[i].len))
			return false;
	return true;
}

bool fault_start(struct t1 *t1, struct be_req *req)
{
	struct t1_fault *f = &t1->fault;
	struct t1_job *job = &f->job[0];

	if (f->nr == T1_JOBS || all_resident(req) || !ring_ready(f))
		return false;
	while (job->req)
		job++;
	*job = (struct t1_job){.req = req};
	while (job->left < WORKERS && put(f, job))
		;
	if (job->left == 0) {
		job->req = NULL;
		return false;
	}
	f->nr++;
	return true;
}

/* One completion, if there is one; no job: nothing hangs on it. Never a system
 * call. */
static bool next(struct t1_fault *f, struct t1_job **ret_job)
{
	struct io_uring_cqe *cqe;
	unsigned head;

	io_uring_for_each_cqe(&f->ring, head, cqe)
	{
		*ret_job = io_uring_cqe_get_data(cqe);
		io_uring_cq_advance(&f->ring, 1);
		return true;
	}
	return false;
}

struct be_req *fault_reap(struct t1 *t1, bool wait)
{
	struct t1_fault *f = &t1->fault;
	struct t1_job *job;

	while (f->nr) {
		struct be_req *req;

		if (!next(f, &job)) {
			if (!wait)
				return NULL;
			(void)sys->uring_submit(&f->ring, 1);
			continue;
		}
		if (!job)
			continue;
		job->left--;
		if (put(f, job) || job->left)
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
		sys->uring_exit(&t1->fault.ring);
}
