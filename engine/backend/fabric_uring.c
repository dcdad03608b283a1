/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fabric over io_uring: a completion is a CQE that IORING_OP_MSG_RING
 * posts into the lane's own ring, which wakes its owner if it sleeps there. Who
 * has not asked for the ring's descriptor cannot sleep on it and needs no
 * message. Knows liburing; a message that the kernel refuses goes through the
 * plain ring of fabric.c.
 *
 * The lane's ring has neither SQPOLL nor DEFER_TASKRUN: the kernel then posts
 * a message straight into its CQ, from the sender's context.
 */
#include "engine/backend/fabric_int.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>

#define PORT_SQ 4
#define PORT_SPARE 8 /* CQEs for the port's own requests */

/* user_data of the port's own requests; the ids of posters are smaller. */
#define ID_BELL UINT64_MAX
#define ID_SELFTEST (UINT64_MAX - 1)
#define ID_QUIET (UINT64_MAX - 2) /* nobody wants to know */
#define ID_OWN (UINT64_MAX - 15)
_Static_assert(FABRIC_MORE == IORING_CQE_F_MORE, "it is handed on as it is");
#define SELFTEST_RES 0x51

/* One request goes to the kernel, or none: what it would not take is made
 * harmless, for it goes with the next. */
static int submit_one(struct fabric_port *port, struct io_uring_sqe *sqe)
{
	int rc = sys->uring_submit(&port->uring, 0);

	if (rc >= 0 && io_uring_sq_ready(&port->uring) == 0)
		return 0;
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data64(sqe, ID_QUIET);
	return rc < 0 ? rc : -EIO;
}

int uport_watch(struct fabric_port *port, int fd, uint64_t id)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&port->uring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, id);
	return submit_one(port, sqe);
}

void uport_unwatch(struct fabric_port *port, uint64_t id)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&port->uring);

	if (!sqe)
		return;
	io_uring_prep_poll_remove(sqe, id);
	io_uring_sqe_set_data64(sqe, ID_QUIET);
	/* Without it the kernel goes on to watch a descriptor that nothing
	 * signals any more, until the ring goes. */
	(void)submit_one(port, sqe);
}

/* A CQE when the plain ring's bell is rung, so that the ring's descriptor
 * wakes its owner for both. Multishot: armed once. */
static int bell_arm(struct fabric_port *port)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&port->uring);
	int rc;

	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_multishot(sqe, port->bell, POLLIN);
	io_uring_sqe_set_data64(sqe, ID_BELL);
	rc = sys->uring_submit(&port->uring, 0);
	return rc == 1 ? 0 : rc < 0 ? rc : -EIO;
}

/* A message from the ring to itself: proves that the opcode exists and that no
 * filter stands before io_uring_enter. */
static int selftest(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	unsigned head, nr = 0;
	int rc, good = 0;

	if (!sqe)
		return -EBUSY;
	io_uring_prep_msg_ring(sqe, ring->ring_fd, SELFTEST_RES, ID_SELFTEST,
	                       0);
	io_uring_sqe_set_data64(sqe, 0);
	rc = sys->uring_submit(ring, 1);
	if (rc != 1)
		return rc < 0 ? rc : -EIO;
	io_uring_for_each_cqe(ring, head, cqe)
	{
		if (cqe->user_data == ID_SELFTEST)
			good += cqe->res == SELFTEST_RES;
		else
			good += cqe->res >= 0;
		nr++;
	}
	io_uring_cq_advance(ring, nr);
	return nr == 2 && good == 2 ? 0 : -EOPNOTSUPP;
}

static int probe(struct io_uring *ring)
{
	int rc = sys->uring_knows(ring, IORING_OP_MSG_RING);

	if (rc == 1)
		return selftest(ring);
	return rc < 0 ? rc : -EOPNOTSUPP;
}

int uport_open(struct fabric_port *port, uint32_t entries)
{
	struct io_uring_params params = {
	        .flags = IORING_SETUP_CQSIZE,
	        .cq_entries = entries + PORT_SPARE,
	};
	int rc = sys->uring_init(PORT_SQ, &port->uring, &params);

	if (rc)
		return rc;
	rc = probe(&port->uring);
	if (rc == 0)
		rc = bell_arm(port);
	if (rc)
		sys->uring_exit(&port->uring);
	return rc;
}

void uport_close(struct fabric_port *port)
{
	sys->uring_exit(&port->uring);
}

static uint32_t cq_reap(struct fabric_port *port, uint32_t ready,
                        struct fabric_cqe *out, uint32_t max)
{
	struct io_uring *ring = &port->uring;
	uint32_t nr = 0, used = 0;
	struct io_uring_cqe *cqe;
	bool rearm = false;
	unsigned head;

	/* What the posters of these CQEs wrote is visible from here on; of
	 * CQEs that arrive after ready was read it might not be. Pairs with
	 * the faa_acqrel in fabric_post. */
	(void)ld_acq(&port->posted);
	io_uring_for_each_cqe(ring, head, cqe)
	{
		if (used == ready)
			break;
		if (unlikely(cqe->user_data >= ID_OWN)) {
			rearm |= cqe->user_data == ID_BELL &&
			         !(cqe->flags & IORING_CQE_F_MORE);
		} else {
			if (nr == max)
				break;
			out[nr++] = (struct fabric_cqe){
			        .id = cqe->user_data,
			        .res = cqe->res,
			        .flags = cqe->flags,
			};
		}
		used++;
	}
	io_uring_cq_advance(ring, used);
	if (unlikely(rearm))
		(void)bell_arm(port);
	return nr;
}

uint32_t uport_reap(struct fabric_port *port, struct fabric_cqe *out,
                    uint32_t max)
{
	uint32_t nr = 0, ready;

	/* Only when a caller broke the limit of outstanding completions. */
	if (unlikely(io_uring_cq_has_overflow(&port->uring)))
		(void)sys->uring_events(&port->uring);
	ready = io_uring_cq_ready(&port->uring);
	if (ready)
		nr = cq_reap(port, ready, out, max);
	/* After the CQ, where the bell's CQE was just taken: what stays in the
	 * plain ring must ring anew. */
	if (!port->watched)
		nr += mpsc_get(port->plain, out + nr, max - nr);
	else if (unlikely(ld_rlx(&port->rung)))
		nr += spill_reap(port, out + nr, max - nr);
	return nr;
}

int usource_open(struct fabric_source *source)
{
	struct io_uring_params params = {0};

	return sys->uring_init(SOURCE_DEPTH, &source->uring, &params);
}

static void own_cqes(struct fabric_source *source)
{
	struct io_uring_cqe *cqe;
	unsigned head, nr = 0;

	io_uring_for_each_cqe(&source->uring, head, cqe)
	{
		struct source_slot *slot = &source->slot[cqe->user_data];

		if (unlikely(cqe->res < 0))
			plain_post(source, slot->port, &slot->cqe);
		nr++;
	}
	io_uring_cq_advance(&source->uring, nr);
	source->nr_done += nr;
}

/* io_uring_enter itself fails: what never left goes through plain rings, and
 * so does everything that follows. */
static void abandon(struct fabric_source *source)
{
	uint32_t i = source->nr - io_uring_sq_ready(&source->uring);

	for (; i < source->nr; i++, source->nr_done++)
		plain_post(source, source->slot[i].port, &source->slot[i].cqe);
	/* The rest is in the kernel's hands and comes without our entering. */
	while (source->nr_done < source->nr) {
		own_cqes(source);
		sched_yield();
	}
	sys->uring_exit(&source->uring);
	source->has_uring = false;
}

void usource_flush(struct fabric_source *source)
{
	while (source->nr_done < source->nr) {
		int rc = sys->uring_submit(&source->uring,
		                           source->nr - source->nr_done);

		own_cqes(source);
		if (unlikely(rc < 0 && rc != -EINTR))
			abandon(source);
	}
	source->nr = 0;
	source->nr_done = 0;
}

void usource_post(struct fabric_source *source, struct fabric_port *port,
                  int fd, const struct fabric_cqe *cqe)
{
	struct io_uring_sqe *sqe;

	if (source->nr == SOURCE_DEPTH)
		usource_flush(source);
	sqe = source->has_uring ? io_uring_get_sqe(&source->uring) : NULL;
	if (unlikely(!sqe)) {
		plain_post(source, port, cqe);
		return;
	}
	io_uring_prep_msg_ring(sqe, fd, (uint32_t)cqe->res, cqe->id, 0);
	io_uring_sqe_set_data64(sqe, source->nr);
	source->slot[source->nr++] = (struct source_slot){port, *cqe};
}

/* The result of the request, in *ret_result; or why none was made. */
static int cmd_result(struct io_uring *ring, int fd, uint32_t cmd_op,
                      int *ret_result)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned head, nr = 0;
	int rc = sys->uring_knows(ring, IORING_OP_URING_CMD);

	if (rc != 1)
		return rc < 0 ? rc : -EOPNOTSUPP;
	sqe = io_uring_get_sqe(ring);
	if (!sqe)
		return -EBUSY;
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, 0);
	sqe->cmd_op = cmd_op;
	rc = sys->uring_submit(ring, 1);
	if (rc < 0)
		return rc;
	io_uring_for_each_cqe(ring, head, cqe)
	{
		*ret_result = cqe->res;
		nr++;
	}
	return nr == 1 ? 0 : -EIO;
}

int fabric_uring_cmd(int fd, uint32_t cmd_op)
{
	struct io_uring_params params = {0};
	struct io_uring ring;
	int rc = sys->uring_init(1, &ring, &params), result = 0;

	if (rc)
		return rc;
	rc = cmd_result(&ring, fd, cmd_op, &result);
	sys->uring_exit(&ring);
	if (rc)
		return rc;
	/* That it does not know the command is an answer, too. */
	return result >= 0 || result == -ENOTTY || result == -EINVAL ? 0
	                                                             : result;
}
