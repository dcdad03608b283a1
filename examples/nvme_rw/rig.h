/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program needs around a device driver on libsluice: one engine, one
 * domain that the groups of one or two controllers share, one lane with its
 * view, and a buffer mapped and taken back. Set up once, in this order; taken
 * down in the opposite one.
 */
#ifndef RIG_H
#define RIG_H

#include "nvme.h"

#define RIG_MAX 2

struct rig {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct sluice_group *group[RIG_MAX];
	int fd[RIG_MAX];
	struct nvme *nvme[RIG_MAX];
	unsigned nr;
};

/* Opens nr controllers by PCI address, all in one domain. cfg is every
 * controller's, NULL for the defaults. On failure nothing is left open. */
int rig_open(struct rig *rig, char *const *bdf, unsigned nr,
             const struct nvme_cfg *cfg);
void rig_close(struct rig *rig);

/* Another thread's lane on the domain. Both calls are that thread's. */
int rig_lane_open(struct rig *rig, struct sluice_lane **ret_lane,
                  struct sluice_view **ret_view);
void rig_lane_close(struct sluice_lane *lane, struct sluice_view *view);

/* Says what libsluice's last failed call was about; returns rc. */
int rig_failed(int rc, const char *what);

/* Maps memory (whole pages) and waits until the controllers may use it. */
int rig_map(struct rig *rig, void *va, uint64_t len, uint32_t prot,
            sluice_iova_t *ret_iova);

/* Takes it back and waits until no controller can reach it. */
int rig_unmap(struct rig *rig, sluice_iova_t iova, uint64_t len);

/* Zeroed pages, len rounded up to whole ones; NULL with a message. */
void *rig_alloc(uint64_t len);

/* The whole text is a number. */
bool parse_number(const char *text, uint64_t *ret);

/* selftest.c, trap.c: the commands that test more than they do. */
int selftest(struct rig *rig);
int fault_test(struct rig *rig);
int two_test(struct rig *rig);
int trap_test(struct rig *rig);

/* Lets a controller read a block into an IOVA where it has no right to write.
 * It may notice or not; the page at buf, all poison, must not change. */
int provoke(struct nvme *nvme, const char *what, sluice_iova_t iova,
            const uint8_t *buf);

#endif
