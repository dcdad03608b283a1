/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices on a real kernel, by the public calls only: an NVMe controller's
 * registers, config space, reset and interrupts; what happens when the host
 * takes it away while its DMA runs; what a child after fork() is told. Knows
 * so much of NVMe (base 1.4) as it takes to have a controller identify itself
 * by DMA and say so by an interrupt. For tests/vm/device.sh.
 *
 *   vm_device COMMAND BDF [plain]      plain: without io_uring
 */
#include "tests/vm/device.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_S 20
#define PCI_CLASS 8 /* revision in the lowest byte, class above */
#define PCI_COMMAND 4
#define COMMAND_MASTER 4

void expect(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "vm_device: %s (the last error was: %s)\n", what,
	        sluice_last_error());
	exit(1);
}

static void refused(int rc, int want, const char *words, const char *what)
{
	if (rc == want && strstr(sluice_last_error(), words))
		return;
	fprintf(stderr, "vm_device: %s: %s, \"%s\"; expected %s, \"…%s…\"\n",
	        what, sluice_errname(rc), sluice_last_error(),
	        sluice_errname(want), words);
	exit(1);
}

/* ---- set up and down ---- */

void up(struct rig *r, const char *bdf, int plain)
{
	const struct sluice_engine_cfg ecfg = {.no_io_uring = plain};
	const struct sluice_domain_cfg dcfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	};
	struct sluice_device_cfg cfg = {.cookie = COOKIE_DEVICE};
	const struct sluice_arena_cfg acfg = {.size = 4 * PAGE};

	expect(!sluice_engine_open(&ecfg, &r->engine), "engine");
	expect(!sluice_domain_create(r->engine, &dcfg, &r->domain), "domain");
	expect(!sluice_group_open(bdf, NULL, &r->group), "group");
	expect(!sluice_domain_attach(r->domain, r->group), "attach");
	expect(!sluice_lane_open(r->engine, NULL, &r->lane), "lane");
	expect(!sluice_view_open(r->lane, r->domain, &r->view), "view");
	expect(!sluice_arena_create(r->domain, &acfg, &r->arena), "arena");
	expect(!sluice_arena_alloc(r->arena, 4 * PAGE, PAGE, &r->queues),
	       "arena's memory");
	cfg.lane = r->lane;
	expect(!sluice_device_open(r->domain, r->group, NULL, &cfg, &r->dev),
	       "device");
}

static void give_back(struct rig *r)
{
	refused(sluice_domain_detach(r->domain, r->group), -EBUSY,
	        "sluice_device_close()", "detach with an open device");
	expect(!sluice_device_close(r->dev), "device close");
	r->dev = NULL;
}

void down(struct rig *r)
{
	if (r->dev)
		give_back(r);
	sluice_arena_destroy(r->arena);
	expect(!sluice_drain(r->lane, UINT64_C(10000000000)), "drain");
	expect(!sluice_view_close(r->view), "view close");
	expect(!sluice_lane_close(r->lane), "lane close");
	/* The arena's mapping may go with the last group only. */
	expect(!sluice_domain_destroy(r->domain), "domain destroy");
	expect(!sluice_group_close(r->group), "group close");
	expect(!sluice_engine_close(r->engine), "engine close");
}

/* The next completion. */
struct sluice_completion next(struct rig *r, const char *what)
{
	struct sluice_completion c = {0};
	time_t end = time(NULL) + TIMEOUT_S;

	while (!sluice_poll(r->lane, &c, 1))
		expect(time(NULL) < end, what);
	return c;
}

static void nothing(struct rig *r, const char *what)
{
	struct sluice_completion c;
	struct timespec pause = {.tv_nsec = 20000000};

	nanosleep(&pause, NULL);
	for (int i = 0; i < 1000; i++)
		expect(!sluice_poll(r->lane, &c, 1), what);
}

/* ---- look: registers, config space, reset ---- */

static int is_master(struct rig *r)
{
	uint16_t command = 0;

	expect(!sluice_device_read(r->dev, SLUICE_REGION_CONFIG, PCI_COMMAND,
	                           &command, sizeof(command)),
	       "read of the command register");
	return !!(command & COMMAND_MASTER);
}

static void regions(struct rig *r)
{
	struct sluice_region_info info;
	struct sluice_device_info all;
	uint32_t class;
	void *va;

	sluice_device_get_info(r->dev, &all);
	printf("device %s: %u regions, %u kinds of interrupts, reset %s\n",
	       all.name, all.nr_regions, all.nr_irqs,
	       all.can_reset ? "yes" : "no");
	expect(all.is_pci && all.can_reset, "not what QEMU's controller is");
	for (uint32_t i = 0; i < all.nr_regions; i++) {
		expect(!sluice_device_region(r->dev, i, &info), "region");
		if (info.size)
			printf("region %u: %llu bytes, flags %u, areas %u\n", i,
			       (unsigned long long)info.size, info.flags,
			       info.nr_areas);
	}
	expect(!sluice_device_read(r->dev, SLUICE_REGION_CONFIG, PCI_CLASS,
	                           &class, sizeof(class)),
	       "read of the class");
	expect(class >> 8 == 0x010802, "not an NVMe controller");
	refused(sluice_device_map(r->dev, SLUICE_REGION_CONFIG, 0, 0, &va),
	        -EACCES, "sluice_device_read()", "config space as memory");
	refused(sluice_device_region(r->dev, 99, &info), -EINVAL, "no number",
	        "region 99");
	refused(sluice_device_read(r->dev, SLUICE_REGION_CONFIG, 1 << 20,
	                           &class, sizeof(class)),
	        -EINVAL, "bytes", "config space beyond its end");
}

static void look(struct rig *r)
{
	regions(r);
	expect(!is_master(r), "bus mastering is on from the start");
	expect(!sluice_device_bus_master(r->dev, 1), "bus master");
	expect(is_master(r), "bus mastering did not go on");
	nvme_start(r);
	expect(nvme_ready(r), "the controller is not ready");
	nvme_identify(r, r->queues.iova + 2 * PAGE);
	expect(!sluice_device_reset(r->dev), "reset");
	expect(!nvme_ready(r), "the reset left the controller running");
	expect(is_master(r), "the reset lost the config space");
	nvme_start(r);
	nvme_identify(r, r->queues.iova + 2 * PAGE);
	expect(!sluice_device_bus_master(r->dev, 0), "bus master off");
	expect(!is_master(r), "bus mastering did not go off");
	expect(!sluice_device_unmap(r->dev, (void *)(uintptr_t)r->regs),
	       "unmap of BAR0");
	refused(sluice_device_unmap(r->dev, (void *)(uintptr_t)r->regs),
	        -ENOENT, "mapped there", "unmap twice");
	printf("look: ok\n");
}

/* ---- irq: vectors to the lane ---- */

static void sleep_until_told(struct rig *r)
{
	struct pollfd p = {.events = POLLIN};

	p.fd = sluice_lane_event_fd(r->lane);
	if (p.fd == -EOPNOTSUPP)
		return;
	expect(p.fd >= 0, "event fd");
	expect(poll(&p, 1, TIMEOUT_S * 1000) == 1, "the lane was not woken");
}

static void expect_irq(struct rig *r, uint64_t vector, uint64_t times)
{
	struct sluice_completion c;

	sleep_until_told(r);
	c = next(r, "no interrupt came");
	if (c.op != SLUICE_OP_IRQ || c.iova != vector || c.len != times)
		fprintf(stderr,
		        "vm_device: operation %u, vector %llu, %llu times "
		        "instead of %u, %llu, %llu\n",
		        c.op, (unsigned long long)c.iova,
		        (unsigned long long)c.len, SLUICE_OP_IRQ,
		        (unsigned long long)vector, (unsigned long long)times);
	expect(c.op == SLUICE_OP_IRQ && c.cookie == COOKIE_IRQ &&
	               c.iova == vector && c.len == times && c.result == 0,
	       "not the interrupt's completion");
	nothing(r, "an interrupt too many");
}

static void trigger(struct rig *r, uint32_t vector)
{
	expect(!sluice_device_irq_trigger(r->dev, SLUICE_IRQ_MSIX, vector),
	       "irq trigger");
}

static void irq(struct rig *r)
{
	struct sluice_irq_info info;
	uint64_t iova = r->queues.iova + 2 * PAGE;

	expect(!sluice_device_irq(r->dev, SLUICE_IRQ_MSIX, &info), "irq");
	printf("MSI-X: %u vectors, flags %u\n", info.nr, info.flags);
	expect(!sluice_device_bus_master(r->dev, 1), "bus master");
	expect(!sluice_device_irq_enable(r->dev, r->lane, SLUICE_IRQ_MSIX, 0, 3,
	                                 COOKIE_IRQ),
	       "irq enable");
	refused(sluice_device_irq_enable(r->dev, r->lane, SLUICE_IRQ_MSIX, 2, 1,
	                                 0),
	        -EEXIST, "enabled already", "a vector twice");
	refused(sluice_device_irq_enable(r->dev, r->lane, SLUICE_IRQ_INTX, 0, 1,
	                                 0),
	        -EBUSY, "sluice_device_irq_disable()", "INTx beside MSI-X");
	if (info.flags & SLUICE_IRQ_NORESIZE)
		refused(sluice_device_irq_enable(r->dev, r->lane,
		                                 SLUICE_IRQ_MSIX, 3, 1, 0),
		        -ENOSPC, "begin with the highest", "one more vector");
	/* By the kernel, then by the device. */
	for (uint32_t i = 0; i < 3; i++) {
		trigger(r, i);
		expect_irq(r, i, 1);
	}
	nvme_start(r);
	for (int i = 0; i < 20; i++) {
		nvme_identify(r, iova);
		expect_irq(r, 0, 1);
	}
	/* What came before a drain is not lost; two are counted. By the kernel:
	 * of two by the device a processor that is held up sees one. */
	trigger(r, 0);
	expect(!sluice_drain(r->lane, UINT64_C(1000000000)), "drain");
	trigger(r, 0);
	expect_irq(r, 0, 2);
	/* A reset leaves them enabled. */
	expect(!sluice_device_reset(r->dev), "reset");
	nvme_start(r);
	nvme_identify(r, iova);
	expect_irq(r, 0, 1);
	refused(sluice_lane_close(r->lane), -EBUSY, "interrupts",
	        "lane close with interrupts");
	expect(!sluice_device_irq_disable(r->dev, SLUICE_IRQ_MSIX),
	       "irq disable");
	nvme_identify(r, iova);
	nothing(r, "an interrupt that is disabled");
	refused(sluice_device_irq_disable(r->dev, SLUICE_IRQ_MSIX), -ENOENT,
	        "enabled", "disable twice");
	printf("irq: ok\n");
}

/* INTx: masks itself, and fires again after unmask while its reason stands. */
static void intx(struct rig *r)
{
	expect(!sluice_device_bus_master(r->dev, 1), "bus master");
	expect(!sluice_device_irq_enable(r->dev, r->lane, SLUICE_IRQ_INTX, 0, 1,
	                                 COOKIE_IRQ),
	       "INTx");
	nvme_start(r);
	nvme_submit(r, r->queues.iova + 2 * PAGE);
	expect_irq(r, 0, 1);
	/* Not acknowledged: the line is still asserted. */
	expect(!sluice_device_irq_unmask(r->dev, SLUICE_IRQ_INTX, 0), "unmask");
	expect_irq(r, 0, 1);
	nvme_reap(r);
	expect(!sluice_device_irq_unmask(r->dev, SLUICE_IRQ_INTX, 0), "unmask");
	nothing(r, "an interrupt without a reason");
	expect(!sluice_device_irq_mask(r->dev, SLUICE_IRQ_INTX, 0), "mask");
	nvme_identify(r, r->queues.iova + 2 * PAGE);
	nothing(r, "an interrupt through the mask");
	printf("intx: ok\n");
}

/* ---- unplug: the host takes it away while DMA runs ---- */

static sluice_iova_t map_and_wait(struct rig *r, void *va)
{
	const struct sluice_map_req req = {
	        .va = (uintptr_t)va,
	        .len = PAGE,
	        .prot = SLUICE_RW,
	        .cookie = COOKIE_MAP,
	};
	struct sluice_completion c;
	sluice_iova_t iova;

	expect(sluice_map(r->view, &req, &iova) == 1, "map");
	do {
		c = next(r, "map did not complete");
		r->asked += c.op == SLUICE_OP_DEVICE_REQUEST;
	} while (c.op != SLUICE_OP_MAP);
	expect(c.result == 0 && c.cookie == COOKIE_MAP, "map failed");
	return iova;
}

static void await_gone(const char *bdf)
{
	time_t end = time(NULL) + TIMEOUT_S;
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor", bdf);
	while (access(path, F_OK) == 0)
		expect(time(NULL) < end, "the device does not go");
}

/* One mapping for each DMA, and many that stay: until it is asked for, or,
 * rude, until it is gone. */
static void busy_until_asked(struct rig *r, int rude)
{
	char *buf = mmap(NULL, 65 * PAGE, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sluice_iova_t kept[64], iova;
	struct sluice_ticket ticket;
	unsigned long rounds = 0;
	struct sluice_device_info info;
	char bdf[16];

	sluice_device_get_info(r->dev, &info);
	snprintf(bdf, sizeof(bdf), "%s", info.name);
	expect(buf != MAP_FAILED, "buffers");
	expect(!sluice_device_bus_master(r->dev, 1), "bus master");
	nvme_start(r);
	for (unsigned i = 0; i < 64; i++)
		kept[i] = map_and_wait(r, buf + (1 + i) * PAGE);
	printf("unplug: ready\n");
	fflush(stdout);
	while (!r->asked) {
		iova = map_and_wait(r, buf);
		nvme_identify(r, iova);
		expect(sluice_unmap(r->view, iova, PAGE, 0, &ticket) >= 0,
		       "unmap");
		expect(!sluice_ticket_wait(r->view, ticket,
		                           UINT64_C(10000000000)),
		       "ticket");
		rounds++;
	}
	printf("unplug: asked for after %lu transfers\n", rounds);
	/* The device still works until it is given back. */
	nvme_identify(r, kept[0]);
	refused(sluice_device_reset(r->dev), -EAGAIN, "being taken away",
	        "reset of a device that is being taken away");
	expect(!sluice_device_bus_master(r->dev, 0), "bus master off");
	if (rude) {
		give_back(r);
		await_gone(bdf);
	}
	for (unsigned i = 0; i < 64; i++)
		expect(sluice_unmap(r->view, kept[i], PAGE, 0, &ticket) >= 0,
		       "unmap");
	expect(!sluice_drain(r->lane, UINT64_C(10000000000)), "drain");
	expect(sluice_ticket_passed(r->view, ticket), "an unmap was refused");
	printf("unplug: ok\n");
}

static void unplug(struct rig *r)
{
	busy_until_asked(r, 0);
}

/* Closes the device before anything is unmapped: with its last group the
 * kernel drops the IOMMU, and what is unmapped then is gone already. */
static void rude(struct rig *r)
{
	busy_until_asked(r, 1);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct rig *r);
	} commands[] = {
	        {"look", look},     {"irq", irq},   {"intx", intx},
	        {"unplug", unplug}, {"rude", rude}, {"fork", fork_test},
	};
	struct rig r = {0};

	for (unsigned i = 0; argc >= 3 && i < 6; i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		up(&r, argv[2], argc > 3);
		commands[i].run(&r);
		down(&r);
		return 0;
	}
	fprintf(stderr, "usage: vm_device look|irq|intx|fork|unplug|rude BDF "
	                "[plain]\n");
	return 2;
}
