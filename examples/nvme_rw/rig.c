/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Setting libsluice up around controllers, and the two calls on which each I/O
 * turns: map a buffer, take it back. Knows libsluice's life cycles; of NVMe
 * only that it is opened and closed.
 */
#include "rig.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* Far more than a kernel needs to map 2 MiB, even an emulated one. */
#define POLL_TIMEOUT_NS 10000000000u
#define POLLS_PER_CLOCK 256

int fail(int rc, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return rc;
}

/* libsluice's own messages say what to do. */
int rig_failed(int rc, const char *what)
{
	return fail(rc, "%s: %s: %s", what, sluice_errname(rc),
	            sluice_last_error());
}

/* ---- up ---- */

static int attach(struct rig *r, const char *bdf)
{
	struct sluice_device_cfg cfg = {.lane = r->lane};
	struct sluice_group *group;
	int rc = sluice_group_open(bdf, NULL, &group);

	if (rc)
		return rig_failed(rc, bdf);
	rc = sluice_domain_attach(r->domain, group);
	if (rc == 0) {
		rc = sluice_device_open(r->domain, group, bdf, &cfg,
		                        &r->device[r->nr]);
		if (rc)
			(void)sluice_domain_detach(r->domain, group);
	}
	if (rc) {
		rc = rig_failed(rc, bdf);
		(void)sluice_group_close(group);
		return rc;
	}
	r->group[r->nr++] = group;
	return 0;
}

static int open_lanes(struct rig *r, unsigned nr_threads)
{
	int rc = sluice_lane_open(r->engine, NULL, &r->lane);

	if (rc)
		return rig_failed(rc, "lane");
	r->thread_lane = calloc(nr_threads + 1, sizeof(*r->thread_lane));
	if (!r->thread_lane)
		return fail(-ENOMEM, "no memory for lanes");
	while (r->nr_threads < nr_threads) {
		struct sluice_lane **lane = &r->thread_lane[r->nr_threads];

		rc = sluice_lane_open(r->engine, NULL, lane);
		if (rc)
			return rig_failed(rc, "lane");
		r->nr_threads++;
	}
	return 0;
}

/* Lanes before devices, because these tell lanes of what happens; groups
 * before views, because without one there is nothing to map for. */
static int open_all(struct rig *r, char *const *bdf, unsigned nr,
                    const struct nvme_cfg *nvme, unsigned nr_threads, bool irq)
{
	struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        /* This format has pages that a device may only write. */
	        .format = SLUICE_PT_VTDSS,
	};
	struct nvme_cfg mine = {0};
	int rc = sluice_engine_open(NULL, &r->engine);

	if (rc)
		return rig_failed(rc, "engine");
	rc = sluice_domain_create(r->engine, &cfg, &r->domain);
	if (rc)
		return rig_failed(rc, "domain");
	rc = open_lanes(r, nr_threads);
	for (unsigned i = 0; i < nr && rc == 0; i++)
		rc = attach(r, bdf[i]);
	if (rc)
		return rc;
	rc = sluice_view_open(r->lane, r->domain, &r->view);
	if (rc)
		return rig_failed(rc, "view");
	if (nvme)
		mine = *nvme;
	mine.irq_lane = irq ? r->thread_lane : NULL;
	for (unsigned i = 0; i < nr && rc == 0; i++)
		rc = nvme_open(r->domain, r->device[i], bdf[i], &mine,
		               &r->nvme[i]);
	/* A lane whose thread does not run yet must not hold tickets back. */
	for (unsigned i = 0; i < nr_threads && rc == 0; i++)
		rc = sluice_lane_offline(r->thread_lane[i]);
	return rc;
}

int rig_open(struct rig *rig, char *const *bdf, unsigned nr,
             const struct nvme_cfg *cfg, unsigned nr_threads, bool irq)
{
	struct rig r = {0};
	int rc = open_all(&r, bdf, nr, cfg, nr_threads, irq);

	if (rc) {
		rig_close(&r);
		return rc;
	}
	*rig = r;
	return 0;
}

/* ---- down ---- */

/* A controller is stopped before its queues go, a device closed before its
 * group leaves the domain and before the lanes that were told of it. */
void rig_close(struct rig *r)
{
	for (unsigned i = 0; i < r->nr; i++)
		nvme_close(r->nvme[i]);
	for (unsigned i = 0; i < r->nr; i++)
		if (sluice_device_close(r->device[i]))
			rig_failed(-EBUSY, "device");
	if (r->view && sluice_drain(r->lane, POLL_TIMEOUT_NS))
		rig_failed(-ETIMEDOUT, "drain");
	if (sluice_view_close(r->view) || sluice_lane_close(r->lane))
		rig_failed(-EBUSY, "lane");
	for (unsigned i = 0; i < r->nr_threads; i++) {
		sluice_lane_adopt(r->thread_lane[i]);
		if (sluice_lane_close(r->thread_lane[i]))
			rig_failed(-EBUSY, "lane");
	}
	free(r->thread_lane);
	for (unsigned i = 0; i < r->nr; i++)
		if (sluice_domain_detach(r->domain, r->group[i]) ||
		    sluice_group_close(r->group[i]))
			rig_failed(-EBUSY, "group");
	if (sluice_domain_destroy(r->domain) || sluice_engine_close(r->engine))
		rig_failed(-EBUSY, "close");
}

/* ---- other threads ---- */

int rig_enter(struct rig *r, unsigned n, struct sluice_view **ret_view)
{
	int rc;

	sluice_lane_adopt(r->thread_lane[n]);
	sluice_lane_online(r->thread_lane[n]);
	rc = sluice_view_open(r->thread_lane[n], r->domain, ret_view);
	return rc ? rig_failed(rc, "view") : 0;
}

void rig_leave(struct rig *r, unsigned n, struct sluice_view *view)
{
	struct sluice_lane *lane = r->thread_lane[n];

	if (sluice_drain(lane, POLL_TIMEOUT_NS))
		rig_failed(-ETIMEDOUT, "drain");
	if (sluice_view_close(view) || sluice_lane_offline(lane))
		rig_failed(-EBUSY, "lane");
}

/* ---- a buffer ---- */

/* What nobody asked for: the host wants a device back, or it is broken. */
static bool is_news(struct rig *r, const struct sluice_completion *c)
{
	if (c->op != SLUICE_OP_DEVICE_REQUEST &&
	    c->op != SLUICE_OP_DEVICE_ERROR)
		return false;
	if (!r->asked)
		fail(0, c->op == SLUICE_OP_DEVICE_REQUEST
		                ? "somebody wants the device back"
		                : "the device reports an error");
	r->asked = true;
	return true;
}

bool rig_look(struct rig *r)
{
	struct sluice_completion c;

	while (sluice_poll(r->lane, &c, 1))
		(void)is_news(r, &c);
	return r->asked;
}

/* A program with many requests in flight looks at the cookie. */
int rig_wait(struct rig *r, struct sluice_completion *ret)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < POLLS_PER_CLOCK; i++)
			if (sluice_poll(r->lane, ret, 1) && !is_news(r, ret))
				return 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000000000 +
	                 (now.tv_nsec - start.tv_nsec) <
	         (long)POLL_TIMEOUT_NS);
	return fail(-ETIMEDOUT, "the kernel did not answer: see dmesg");
}

/* One request is in flight at a time here, so its completion is the next one.
 */
static int wait_completion(struct rig *r, const char *what)
{
	struct sluice_completion done;
	int rc = rig_wait(r, &done);

	if (rc == 0 && done.result)
		rc = fail(done.result, "%s: %s: %s", what,
		          sluice_errname(done.result),
		          sluice_completion_text(&done));
	return rc;
}

int rig_map(struct rig *r, void *va, uint64_t len, uint32_t prot,
            sluice_iova_t *ret_iova)
{
	struct sluice_map_req req = {
	        .va = (uintptr_t)va,
	        .len = len,
	        .prot = prot,
	};
	sluice_iova_t iova = 0;
	int rc = sluice_map(r->view, &req, &iova);

	if (rc < 0)
		return rig_failed(rc, "map");
	if (rc > 0)
		rc = wait_completion(r, "map");
	if (rc)
		return rc;
	*ret_iova = iova;
	return 0;
}

int rig_unmap(struct rig *r, sluice_iova_t iova, uint64_t len)
{
	struct sluice_ticket ticket;
	int rc = sluice_unmap(r->view, iova, len, 0, &ticket);

	if (rc < 0)
		return rig_failed(rc, "unmap");
	if (rc > 0)
		rc = wait_completion(r, "unmap");
	if (rc == 0 && !sluice_ticket_passed(r->view, ticket))
		rc = fail(-EIO, "unmap: completed before its ticket: this is "
		                "a defect of libsluice, please report it");
	return rc;
}

void *rig_alloc(uint64_t len)
{
	void *va = mmap(NULL, len, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (va != MAP_FAILED)
		return va;
	fail(0,
	     "no memory for a buffer of %llu bytes: use --blocks with a "
	     "smaller number",
	     (unsigned long long)len);
	return NULL;
}
