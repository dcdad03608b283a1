/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The type1 tests' rig. Also the link seam of groups/: the backend asks a group
 * for its descriptor only, so these tests need no sysfs.
 */
#include "tests/backend/rig.h"

#include <sched.h>
#include <string.h>
#include <linux/vfio.h>

#define HOLD_PAGE 0x80000u

int grp_fd(const struct sluice_group *group)
{
	return group->fd;
}

uint64_t rig_iova(uint64_t page)
{
	return IOVA_BASE + page * PAGE;
}

void rig_init(struct rig *rig, const struct fake_vfio_cfg *cfg, bool attach)
{
	char path[] = "/dev/vfio/0";

	memset(rig, 0, sizeof(*rig));
	fake_vfio_reset(cfg);
	for (unsigned i = 0; i < 4; i++) {
		path[sizeof(path) - 2] = (char)('0' + i);
		rig->group[i].fd = fake_vfio_open(path, 0);
		assert_true(rig->group[i].fd >= 0);
	}
	assert_int_equal(be_type1_create(NULL, NULL, &rig->be), 0);
	assert_int_equal(
	        fabric_port_create(RIG_REQS, FABRIC_MSG_RING, &rig->port), 0);
	if (attach)
		assert_int_equal(rig->be->ops->attach(rig->be, &rig->group[0]),
		                 0);
}

void rig_fini(struct rig *rig)
{
	rig_wait(rig);
	rig->be->ops->destroy(rig->be);
	fabric_port_destroy(rig->port);
	for (unsigned i = 0; i < 4; i++)
		fake_vfio_close(rig->group[i].fd);
	assert_int_equal(fake_vfio_open_fds(), 0);
}

static struct be_req *prepare(struct rig *rig, uint32_t i, enum be_op op,
                              uint64_t page, uint64_t nr)
{
	struct be_req *req = &rig->req[i];

	*req = (struct be_req){
	        .op = op,
	        .prot = SLUICE_RW,
	        .iova = rig_iova(page),
	        .len = nr * PAGE,
	        .nr_seg = op == BE_MAP,
	        .seg = rig->seg[i],
	        .port = rig->port,
	        .id = i,
	};
	rig->seg[i][0] = (struct be_seg){VA_BASE + page * PAGE, nr * PAGE};
	return req;
}

struct be_req *rig_map(struct rig *rig, uint32_t i, uint64_t page, uint64_t nr)
{
	return prepare(rig, i, BE_MAP, page, nr);
}

struct be_req *rig_unmap(struct rig *rig, uint32_t i, uint64_t page,
                         uint64_t nr)
{
	return prepare(rig, i, BE_UNMAP, page, nr);
}

void rig_submit(struct rig *rig, uint32_t first, uint32_t nr)
{
	struct be_req *req[RIG_REQS];

	for (uint32_t i = 0; i < nr; i++) {
		req[i] = &rig->req[first + i];
		rig->res[first + i] = PENDING;
		rig->seen[first + i] = 0;
	}
	assert_int_equal(rig->be->ops->submit(rig->be, req, nr), nr);
	rig->outstanding += nr;
}

static void reap(struct rig *rig)
{
	struct fabric_cqe cqe[32];
	uint32_t n = fabric_reap(rig->port, cqe, 32);

	for (uint32_t i = 0; i < n; i++) {
		assert_true(cqe[i].id < RIG_REQS);
		rig->res[cqe[i].id] = cqe[i].res;
		assert_int_equal(++rig->seen[cqe[i].id], 1);
	}
	rig->outstanding -= n;
	if (n == 0)
		sched_yield();
}

void rig_wait(struct rig *rig)
{
	while (rig->outstanding)
		reap(rig);
	/* A second completion of any request would come now. */
	for (int i = 0; i < 3; i++)
		reap(rig);
	assert_int_equal(rig->outstanding, 0);
}

void rig_wait_for(struct rig *rig, uint32_t i)
{
	while (rig->res[i] == PENDING)
		reap(rig);
}

int rig_do(struct rig *rig, struct be_req *req)
{
	uint32_t i = (uint32_t)req->id;

	rig_submit(rig, i, 1);
	rig_wait(rig);
	return rig->res[i];
}

void rig_hold(struct rig *rig)
{
	fake_vfio_gate();
	rig_map(rig, RIG_REQS - 1, HOLD_PAGE, 1);
	rig_submit(rig, RIG_REQS - 1, 1);
	fake_vfio_gate_wait();
}

void rig_release(struct rig *rig)
{
	fake_vfio_gate_open();
	rig_wait(rig);
	assert_int_equal(rig->res[RIG_REQS - 1], 0);
	rig_unmap(rig, RIG_REQS - 1, HOLD_PAGE, 1);
	assert_int_equal(rig_do(rig, &rig->req[RIG_REQS - 1]), 0);
}

bool rig_mapped(uint64_t page)
{
	uint64_t va = 0;

	if (!fake_vfio_reach(rig_iova(page), &va, NULL))
		return false;
	assert_int_equal(va, VA_BASE + page * PAGE);
	return true;
}

uint32_t rig_nr(void)
{
	return fake_vfio_mappings(NULL, 0);
}
