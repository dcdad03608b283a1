/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the type1 tests share: a backend on the fake VFIO with its first group
 * attached, a completion port, requests and the way to wait for them.
 */
#ifndef SLUICE_TESTS_BACKEND_RIG_H
#define SLUICE_TESTS_BACKEND_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/backend/backend.h"
#include "tests/backend/fake_vfio.h"

#define PAGE 4096u
#define VA_BASE 0x7f0000000000u
#define IOVA_BASE 0x100000000u
#define RIG_REQS 512
#define RIG_SEGS 64
#define PENDING INT32_MIN /* result of a request that has not completed */

/* In the tests a group is its descriptor: grp_fd() is rig.c's own. */
struct sluice_group {
	int fd;
};

struct rig {
	struct backend *be;
	struct fabric_port *port;
	struct sluice_group group[4];
	struct be_req req[RIG_REQS];
	struct be_seg seg[RIG_REQS][RIG_SEGS];
	int32_t res[RIG_REQS];
	uint32_t seen[RIG_REQS]; /* completions of each request */
	uint32_t outstanding;
};

/* cfg NULL: an ordinary kernel. attach: the first group. */
void rig_init(struct rig *rig, const struct fake_vfio_cfg *cfg, bool attach);
/* Also checks that nothing stays open. */
void rig_fini(struct rig *rig);

/* Request i: one page or nr pages at page `page` of the test's IOVAs. */
struct be_req *rig_map(struct rig *rig, uint32_t i, uint64_t page, uint64_t nr);
struct be_req *rig_unmap(struct rig *rig, uint32_t i, uint64_t page,
                         uint64_t nr);
void rig_submit(struct rig *rig, uint32_t first, uint32_t nr);
/* Until all that was submitted has completed. */
void rig_wait(struct rig *rig);
/* Until request i has. */
void rig_wait_for(struct rig *rig, uint32_t i);
/* Submits one, waits, returns its result. */
int rig_do(struct rig *rig, struct be_req *req);

/* Holds the helper inside an ioctl of a mapping that only serves for that;
 * what is submitted until rig_release lands in one batch. Uses request
 * RIG_REQS - 1. */
void rig_hold(struct rig *rig);
void rig_release(struct rig *rig);

uint64_t rig_iova(uint64_t page);
bool rig_mapped(uint64_t page);
uint32_t rig_nr(void); /* mappings in the fake */

#endif
