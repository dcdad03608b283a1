/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An NVMe controller's admin queue (base specification 1.4: 3.1 registers, 4.2
 * and 4.6 entries, 5.15 identify), just enough to make it do DMA. Knows
 * nothing of mappings.
 */
#include "tests/vm/device.h"

#include <string.h>
#include <time.h>

#include "util/atomics.h"

#define CC 0x14
#define CSTS 0x1c
#define AQA 0x24
#define ASQ 0x28
#define ACQ 0x30
#define SQ0_TAIL 0x1000 /* CAP.DSTRD is 0 in QEMU */
#define CQ0_HEAD 0x1004
#define DEPTH 16
#define CC_ENABLE 1u
#define CC_SIZES (6u << 16 | 4u << 20) /* 64 and 16 bytes an entry */
#define CSTS_READY 1u
#define IDENTIFY 6
#define TIMEOUT_S 20

static void put(struct rig *r, uint32_t at, uint32_t value)
{
	r->regs[at / 4] = value;
}

int nvme_ready(struct rig *r)
{
	return r->regs[CSTS / 4] & CSTS_READY;
}

static void await_ready(struct rig *r, int ready)
{
	time_t end = time(NULL) + TIMEOUT_S;

	while (nvme_ready(r) != ready)
		expect(time(NULL) < end, "the controller does not start");
}

void nvme_start(struct rig *r)
{
	void *va;

	if (!r->regs) {
		expect(!sluice_device_map(r->dev, SLUICE_REGION_BAR(0), 0, 0,
		                          &va),
		       "map of BAR0");
		r->regs = va;
	}
	put(r, CC, 0);
	await_ready(r, 0);
	memset(r->queues.va, 0, 2 * PAGE);
	r->tail = r->head = 0;
	r->phase = 1;
	put(r, AQA, (DEPTH - 1) << 16 | (DEPTH - 1));
	put(r, ASQ, (uint32_t)r->queues.iova);
	put(r, ASQ + 4, (uint32_t)(r->queues.iova >> 32));
	put(r, ACQ, (uint32_t)(r->queues.iova + PAGE));
	put(r, ACQ + 4, (uint32_t)((r->queues.iova + PAGE) >> 32));
	put(r, CC, CC_SIZES | CC_ENABLE);
	await_ready(r, 1);
}

void nvme_submit(struct rig *r, sluice_iova_t iova)
{
	uint32_t command[16] = {
	        IDENTIFY,
	        0,
	        0,
	        0,
	        0,
	        0,
	        (uint32_t)iova,
	        (uint32_t)(iova >> 32),
	        0,
	        0,
	        1 /* the controller */,
	};

	memcpy((char *)r->queues.va + r->tail * sizeof(command), command,
	       sizeof(command));
	r->tail = (r->tail + 1) % DEPTH;
	fence_sc();
	put(r, SQ0_TAIL, r->tail);
}

void nvme_reap(struct rig *r)
{
	volatile uint32_t *entry =
	        (volatile uint32_t *)((char *)r->queues.va + PAGE) +
	        r->head * 4;
	time_t end = time(NULL) + TIMEOUT_S;

	while ((entry[3] >> 16 & 1) != r->phase)
		expect(time(NULL) < end, "the controller does not answer");
	expect(entry[3] >> 17 == 0, "the controller refused the command");
	if (++r->head == DEPTH) {
		r->head = 0;
		r->phase ^= 1;
	}
	put(r, CQ0_HEAD, r->head);
}

void nvme_identify(struct rig *r, sluice_iova_t iova)
{
	nvme_submit(r, iova);
	nvme_reap(r);
}
