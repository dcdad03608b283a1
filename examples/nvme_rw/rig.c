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
#include <unistd.h>

/* Far more than a kernel needs to map 2 MiB, even an emulated one. */
#define POLL_TIMEOUT_NS 10000000000u
#define POLLS_PER_CLOCK 256

int fail(int rc, const char *fmt, ...)
{
	va_list ap;

	fputs("nvme_rw: ", stderr);
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

static int attach(struct rig *r, const char *bdf)
{
	struct sluice_group *group;
	int rc = sluice_group_open(bdf, NULL, &group);

	if (rc)
		return rig_failed(rc, bdf);
	rc = sluice_domain_attach(r->domain, group);
	if (rc == 0) {
		rc = sluice_group_device_open(group, bdf, &r->fd[r->nr]);
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

int rig_lane_open(struct rig *r, struct sluice_lane **ret_lane,
                  struct sluice_view **ret_view)
{
	struct sluice_lane *lane;
	int rc = sluice_lane_open(r->engine, NULL, &lane);

	if (rc)
		return rig_failed(rc, "lane");
	rc = sluice_view_open(lane, r->domain, ret_view);
	if (rc) {
		rc = rig_failed(rc, "view");
		(void)sluice_lane_close(lane);
		return rc;
	}
	*ret_lane = lane;
	return 0;
}

void rig_lane_close(struct sluice_lane *lane, struct sluice_view *view)
{
	if (!lane)
		return;
	if (sluice_drain(lane, POLL_TIMEOUT_NS))
		rig_failed(-ETIMEDOUT, "drain");
	if (sluice_view_close(view) || sluice_lane_close(lane))
		rig_failed(-EBUSY, "lane");
}

static int open_all(struct rig *r, char *const *bdf, unsigned nr,
                    const struct nvme_cfg *nvme)
{
	struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        /* This format has pages that a device may only write. */
	        .format = SLUICE_PT_VTDSS,
	};
	int rc = sluice_engine_open(NULL, &r->engine);

	if (rc)
		return rig_failed(rc, "engine");
	rc = sluice_domain_create(r->engine, &cfg, &r->domain);
	if (rc)
		return rig_failed(rc, "domain");
	for (unsigned i = 0; i < nr; i++) {
		rc = attach(r, bdf[i]);
		if (rc)
			return rc;
	}
	rc = rig_lane_open(r, &r->lane, &r->view);
	for (unsigned i = 0; i < nr && rc == 0; i++)
		rc = nvme_open(r->domain, r->fd[i], bdf[i], nvme, &r->nvme[i]);
	return rc;
}

int rig_open(struct rig *rig, char *const *bdf, unsigned nr,
             const struct nvme_cfg *cfg)
{
	struct rig r = {0};
	int rc = open_all(&r, bdf, nr, cfg);

	if (rc) {
		rig_close(&r);
		return rc;
	}
	*rig = r;
	return 0;
}

/* A controller is stopped before its queues go, a device closed before its
 * group leaves the domain. */
void rig_close(struct rig *r)
{
	for (unsigned i = 0; i < r->nr; i++)
		nvme_close(r->nvme[i]);
	rig_lane_close(r->lane, r->view);
	for (unsigned i = 0; i < r->nr; i++) {
		close(r->fd[i]);
		if (sluice_domain_detach(r->domain, r->group[i]) ||
		    sluice_group_close(r->group[i]))
			rig_failed(-EBUSY, "group");
	}
	if (sluice_domain_destroy(r->domain) || sluice_engine_close(r->engine))
		rig_failed(-EBUSY, "close");
}

/* One request is in flight at a time here, so its completion is the next one.
 * A program with many looks at the cookie. */
static int wait_completion(struct rig *r, const char *what)
{
	struct sluice_completion done;
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < POLLS_PER_CLOCK; i++) {
			if (!sluice_poll(r->lane, &done, 1))
				continue;
			if (done.result)
				fail(0, "%s: %s: %s", what,
				     sluice_errname(done.result),
				     sluice_completion_text(&done));
			return done.result;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000000000 +
	                 (now.tv_nsec - start.tv_nsec) <
	         (long)POLL_TIMEOUT_NS);
	return fail(-ETIMEDOUT, "%s: the kernel did not answer: see dmesg",
	            what);
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
