/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening and closing a controller: registers, memory, what it says of itself,
 * its queues. Knows in which order; what runs afterwards is io.c's and
 * recover.c's.
 */
#include "data.h"
#include "nvme_int.h"
#include "nvme_spec.h"

#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#define PAGE SLUICE_PAGE_SIZE

int nvme_failed(const struct nvme *n, int rc, const char *what)
{
	return fail(rc, "%s: %s: %s: %s", n->bdf, what, sluice_errname(rc),
	            sluice_last_error());
}

static int check_class(const struct nvme *n)
{
	uint32_t word; /* revision in the lowest byte */
	int rc = sluice_device_read(n->dev, SLUICE_REGION_CONFIG,
	                            PCI_CLASS_REVISION, &word, sizeof(word));

	if (rc)
		return nvme_failed(n, rc, "config space");
	word = le32toh(word);
	if (word >> 8 != CLASS_NVME)
		return fail(-ENODEV,
		            "%s is of class %06x, needed is %06x: 'lspci -Dn' "
		            "lists devices with their class",
		            n->bdf, word >> 8, CLASS_NVME);
	return 0;
}

static int map_registers(struct nvme *n)
{
	struct sluice_region_info bar = {0};
	int rc = check_class(n);
	void *va;

	if (rc)
		return rc;
	rc = sluice_device_region(n->dev, SLUICE_REGION_BAR(0), &bar);
	if (rc == 0)
		rc = sluice_device_map(n->dev, SLUICE_REGION_BAR(0), 0, 0, &va);
	if (rc)
		return nvme_failed(n, rc, "registers");
	n->regs.bar_size = bar.size;
	if (bar.size < BAR_MIN)
		return fail(-ENODEV, "%s: its BAR0 is too small for NVMe",
		            n->bdf);
	n->regs.bdf = n->bdf;
	n->regs.bar = va;
	n->regs.cap = regs_read(&n->regs, REG_CAP) |
	              (uint64_t)regs_read(&n->regs, REG_CAP + 4) << 32;
	n->info.version = regs_read(&n->regs, REG_VS);
	n->info.max_depth = (uint16_t)CAP_MQES(n->regs.cap);
	/* A queue has a doorbell of each kind, the admin queue too. */
	n->info.max_queues = (uint16_t)((n->regs.bar_size - REG_DOORBELL) /
	                                        (8u << CAP_DSTRD(n->regs.cap)) -
	                                1);
	if (n->info.max_queues > NR_IO_MAX)
		n->info.max_queues = NR_IO_MAX;
	if (CAP_MPSMIN(n->regs.cap) != 0 || n->info.max_depth < ADMIN_SLOTS)
		return fail(-EOPNOTSUPP,
		            "%s: this example needs 4 KiB pages and %d queue "
		            "entries; the controller lacks one of them",
		            n->bdf, ADMIN_SLOTS + 1);
	return 0;
}

static uint16_t within(uint16_t wish, uint16_t fallback, uint16_t most)
{
	uint16_t want = wish ? wish : fallback;

	return want < most ? want : most;
}

/* Everything the controller keeps access to: mapped once. How many queues it
 * grants is known only when the admin queue works, so there is room for all
 * that were wished for. */
static int alloc_memory(struct nvme *n, struct sluice_domain *domain)
{
	struct nvme_info *info = &n->info;
	struct sluice_arena_cfg cfg = {0};
	int rc;

	info->depth = within(n->cfg.depth, DEPTH, info->max_depth);
	info->nr_queues = within(n->cfg.nr_queues, 1, info->max_queues);
	cfg.size = PAGE + queue_bytes(ADMIN_SLOTS, false) +
	           info->nr_queues * queue_bytes(info->depth, true);
	/* A huge page for less than half of one would be a waste. */
	cfg.no_huge = cfg.size < 1u << 20;
	rc = sluice_arena_create(domain, &cfg, &n->arena);
	if (rc == 0)
		rc = sluice_arena_alloc(n->arena, PAGE, PAGE, &n->identify);
	if (rc)
		return fail(rc, "%s: no DMA memory for the queues: %s: %s",
		            n->bdf, sluice_errname(rc), sluice_last_error());
	return queue_init(&n->admin, &n->regs, n->arena, 0, ADMIN_SLOTS, false);
}

/* Identify's strings are padded with blanks, without a zero. */
static void copy_text(char *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	to[len] = '\0';
	while (len > 0 && to[len - 1] == ' ')
		to[--len] = '\0';
}

static int read_controller(struct nvme *n)
{
	const uint8_t *id = n->identify.va;
	struct nvme_info *info = &n->info;
	uint32_t sgls;
	int rc = admin_identify(n, CNS_CONTROLLER, 0);

	if (rc)
		return rc;
	copy_text(info->serial, id + ID_CTRL_SERIAL, 20);
	copy_text(info->model, id + ID_CTRL_MODEL, 40);
	copy_text(info->firmware, id + ID_CTRL_FIRMWARE, 8);
	info->max_transfer = DATA_MAX;
	/* MDTS: log2 of pages; 0: no limit. 2^9 pages are our own limit. */
	if (id[ID_CTRL_MDTS] != 0 && id[ID_CTRL_MDTS] < 9)
		info->max_transfer = PAGE << id[ID_CTRL_MDTS];
	memcpy(&sgls, id + ID_CTRL_SGLS, sizeof(sgls));
	info->sgl = SGLS_SUPPORTED(le32toh(sgls)) && !n->cfg.no_sgl;
	info->max_segs = info->sgl ? DATA_MAX_SEGS : info->max_transfer / PAGE;
	return 0;
}

static int read_namespace(struct nvme *n)
{
	const uint8_t *id = n->identify.va;
	struct nvme_info *info = &n->info;
	uint32_t lbaf;
	int rc = admin_identify(n, CNS_NAMESPACE, NSID);

	if (rc)
		return rc;
	memcpy(&info->nr_blocks, id + ID_NS_SIZE, sizeof(info->nr_blocks));
	memcpy(&lbaf, id + ID_NS_LBAF + 4 * (id[ID_NS_FLBAS] & 0xf),
	       sizeof(lbaf));
	info->nr_blocks = le64toh(info->nr_blocks);
	lbaf = le32toh(lbaf) >> 16 & 0xff;
	if (info->nr_blocks == 0 || lbaf < 9 || lbaf > SLUICE_PAGE_LG2)
		return fail(-EOPNOTSUPP,
		            "%s: namespace %d is not there or its blocks are "
		            "not of 512 to 4096 bytes: format it",
		            n->bdf, NSID);
	info->block_size = 1u << lbaf;
	return 0;
}

/* A vector for each I/O queue; vector 0 is the admin queue's, which is polled.
 * Before the queues are created: a controller may look then. The highest comes
 * first: with MSI-X the first call settles how many there are. */
static int set_interrupts(struct nvme *n)
{
	for (uint32_t i = n->info.nr_queues; i > 0; i--) {
		int rc =
		        sluice_device_irq_enable(n->dev, n->cfg.irq_lane[i - 1],
		                                 SLUICE_IRQ_MSIX, i, 1, 0);

		if (rc)
			return nvme_failed(n, rc, "interrupts");
	}
	return 0;
}

static int create_queues(struct nvme *n)
{
	uint32_t nr = n->info.nr_queues;
	int rc = admin_nr_queues(n, &nr);

	if (rc)
		return rc;
	/* It grants what it has, which may be more than was asked for. */
	n->info.max_queues = (uint16_t)(nr < NR_IO_MAX ? nr : NR_IO_MAX);
	n->info.nr_queues = within(n->info.nr_queues, 1, n->info.max_queues);
	if (n->cfg.irq_lane)
		rc = set_interrupts(n);
	for (uint16_t i = 0; i < n->info.nr_queues && rc == 0; i++) {
		struct nvme_queue *q = &n->io[i];

		q->nvme = n;
		q->to_lose = n->cfg.lose_every;
		rc = queue_init(&q->ring, &n->regs, n->arena, (uint16_t)(i + 1),
		                n->info.depth, true);
		if (rc == 0)
			rc = admin_create_queue(n, q);
	}
	return rc;
}

static int bring_up(struct nvme *n, struct sluice_domain *domain)
{
	int rc = map_registers(n);

	if (rc == 0)
		rc = alloc_memory(n, domain);
	/* What the last user left running must not meet our memory. */
	if (rc == 0)
		rc = controller_stop(n);
	if (rc == 0) {
		rc = sluice_device_bus_master(n->dev, 1);
		if (rc)
			nvme_failed(n, rc, "bus mastering");
	}
	if (rc == 0)
		rc = controller_start(n);
	if (rc == 0)
		rc = read_controller(n);
	if (rc == 0)
		rc = read_namespace(n);
	if (rc == 0)
		rc = create_queues(n);
	return rc;
}

int nvme_open(struct sluice_domain *domain, struct sluice_device *dev,
              const char *bdf, const struct nvme_cfg *cfg,
              struct nvme **ret_nvme)
{
	struct nvme *n = calloc(1, sizeof(*n));
	int rc;

	if (!n)
		return fail(-ENOMEM, "no memory");
	n->dev = dev;
	n->bdf = bdf;
	if (cfg)
		n->cfg = *cfg;
	if (n->cfg.timeout_ms == 0)
		n->cfg.timeout_ms = TIMEOUT_MS;
	pthread_mutex_init(&n->lock, NULL);
	rc = bring_up(n, domain);
	if (rc) {
		nvme_close(n);
		return rc;
	}
	*ret_nvme = n;
	return 0;
}

/* 7.6.2: a normal shutdown, then off, so that no queue is used any more when
 * the arena goes. */
static void shut_down(struct nvme *n)
{
	uint32_t csts = regs_read(&n->regs, REG_CSTS);

	if (csts == REGS_GONE || !(csts & CSTS_RDY))
		return;
	regs_write(&n->regs, REG_CC,
	           regs_read(&n->regs, REG_CC) | CC_SHN_NORMAL);
	(void)regs_wait(&n->regs, CSTS_SHST_MASK, CSTS_SHST_DONE, "shut down");
	(void)controller_stop(n);
}

void nvme_close(struct nvme *n)
{
	if (!n)
		return;
	if (n->regs.bar)
		shut_down(n);
	if (n->cfg.irq_lane)
		(void)sluice_device_irq_disable(n->dev, SLUICE_IRQ_MSIX);
	for (unsigned i = 0; i < NR_IO_MAX; i++)
		queue_fini(&n->io[i].ring);
	queue_fini(&n->admin);
	sluice_arena_destroy(n->arena);
	if (n->regs.bar)
		(void)sluice_device_unmap(n->dev, n->regs.bar);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

const struct nvme_info *nvme_get_info(const struct nvme *n)
{
	return &n->info;
}

struct nvme_queue *nvme_get_queue(struct nvme *n, unsigned nr)
{
	return &n->io[nr];
}
