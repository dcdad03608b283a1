/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of vm_device share: a device on a real kernel with all that
 * it takes, and a few commands of NVMe. Includes the public headers only.
 */
#ifndef TESTS_VM_DEVICE_H
#define TESTS_VM_DEVICE_H

#include <sluice/sluice.h>

#define PAGE 4096u
#define COOKIE_DEVICE 0xdec1ceu
#define COOKIE_IRQ 0x1498u
#define COOKIE_MAP 0x3a9u

struct rig {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_group *group;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct sluice_arena *arena;
	struct sluice_buf queues; /* a page of commands, one of completions */
	struct sluice_device *dev;
	volatile uint32_t *regs; /* BAR0 */
	uint32_t tail, head, phase;
	int asked; /* the host has asked for the device */
};

/* Ends the program with the sentence and the library's last message. */
void expect(int ok, const char *what);
void up(struct rig *r, const char *bdf, int plain);
void down(struct rig *r);
struct sluice_completion next(struct rig *r, const char *what);

/* ---- device_nvme.c: the admin queue, polled ---- */
void nvme_start(struct rig *r);
int nvme_ready(struct rig *r);
/* One "identify controller" into the page at iova. */
void nvme_submit(struct rig *r, sluice_iova_t iova);
void nvme_reap(struct rig *r);
void nvme_identify(struct rig *r, sluice_iova_t iova);

/* ---- device_fork.c ---- */
void fork_test(struct rig *r);

#endif
