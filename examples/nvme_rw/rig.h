/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program needs around a device driver on libsluice: one engine, one
 * domain that the groups of one or two controllers share, a lane with its view
 * for the thread that sets up, a lane for each thread that it starts, and a
 * buffer mapped and taken back. Set up once, in this order; taken down in the
 * opposite one.
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
	/* Of other threads, which adopt them; offline until then. */
	struct sluice_lane **thread_lane;
	unsigned nr_threads;
	struct sluice_group *group[RIG_MAX];
	struct sluice_device *device[RIG_MAX];
	struct nvme *nvme[RIG_MAX];
	unsigned nr;
	/* Somebody wants a device back, or it reported an error: do no more
	 * I/O and close it. The lane was told (rig_look()). */
	bool asked;
};

/* Opens nr controllers by PCI address, all in one domain, and a lane for each
 * of nr_threads threads, which with irq are told of the interrupts of the
 * queues. cfg is every controller's, NULL for the defaults. On failure nothing
 * is left open. */
int rig_open(struct rig *rig, char *const *bdf, unsigned nr,
             const struct nvme_cfg *cfg, unsigned nr_threads, bool irq);

/* Every thread has left its lane. */
void rig_close(struct rig *rig);

/* The nth thread takes its lane, and gives it back. */
int rig_enter(struct rig *rig, unsigned n, struct sluice_view **ret_view);
void rig_leave(struct rig *rig, unsigned n, struct sluice_view *view);

/* Polls the rig's own lane, which may be offline, for news of its devices;
 * returns rig->asked. */
bool rig_look(struct rig *rig);

/* Says what libsluice's last failed call was about; returns rc. */
int rig_failed(int rc, const char *what);

/* Maps memory (whole pages) and waits until the controllers may use it. */
int rig_map(struct rig *rig, void *va, uint64_t len, uint32_t prot,
            sluice_iova_t *ret_iova);

/* Takes it back and waits until no controller can reach it. */
int rig_unmap(struct rig *rig, sluice_iova_t iova, uint64_t len);

/* The next completion of a request; what lanes are told of devices is kept
 * (rig_look()). -ETIMEDOUT with a message. */
int rig_wait(struct rig *rig, struct sluice_completion *ret);

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
