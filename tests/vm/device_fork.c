/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A child of a process that does DMA: it is told so by each call, and its
 * parent's device, memory and interrupts go on as if it were not there.
 */
#include "tests/vm/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void told(int rc, const char *what)
{
	if (rc == -EPERM && strstr(sluice_last_error(), "another process"))
		return;
	fprintf(stderr, "vm_device: %s in a child: %s, \"%s\"\n", what,
	        sluice_errname(rc), sluice_last_error());
	_exit(1);
}

static int is_mapped(const void *va)
{
	unsigned char vec;

	return mincore((void *)(uintptr_t)va, PAGE, &vec) == 0;
}

static void child(struct rig *r, void *buf)
{
	const struct sluice_arena_cfg acfg = {.size = PAGE};
	const struct sluice_map_req req = {
	        .va = (uintptr_t)buf, .len = PAGE, .prot = SLUICE_RW};
	struct sluice_completion c;
	struct sluice_device *dev;
	struct sluice_engine *engine;
	struct sluice_arena *arena;
	sluice_iova_t iova;
	uint32_t word;
	int fd;

	told(sluice_map(r->view, &req, &iova), "map");
	told(sluice_drain(r->lane, 1), "drain");
	told(sluice_arena_create(r->domain, &acfg, &arena), "arena");
	sluice_arena_destroy(r->arena);
	told(sluice_device_read(r->dev, SLUICE_REGION_CONFIG, 0, &word, 4),
	     "config read");
	told(sluice_device_bus_master(r->dev, 0), "bus master");
	told(sluice_device_reset(r->dev), "reset");
	told(sluice_device_irq_disable(r->dev, SLUICE_IRQ_MSIX), "irq");
	told(sluice_device_close(r->dev), "device close");
	told(sluice_device_open(r->domain, r->group, NULL, NULL, &dev), "open");
	told(sluice_group_device_open(r->group, NULL, &fd), "device fd");
	told(sluice_domain_detach(r->domain, r->group), "detach");
	told(sluice_view_close(r->view), "view close");
	told(sluice_lane_close(r->lane), "lane close");
	told(sluice_domain_destroy(r->domain), "domain destroy");
	told(sluice_engine_close(r->engine), "engine close");
	if (sluice_poll(r->lane, &c, 1) || is_mapped(r->queues.va) ||
	    is_mapped((void *)(uintptr_t)r->regs)) {
		fprintf(stderr, "vm_device: a child has DMA memory, registers "
		                "or completions\n");
		_exit(1);
	}
	/* One of its own is fine. */
	if (sluice_engine_open(NULL, &engine) || sluice_engine_close(engine))
		_exit(1);
	_exit(0);
}

/* Nothing of VFIO, no eventfd and no io_uring is there after exec(). */
static void exec_child(void)
{
	execlp("sh", "sh", "-c",
	       "n=0; for fd in /proc/$$/fd/*; do case $(readlink $fd) in "
	       "*vfio* | *eventfd* | *eventpoll* | *uring*) n=$((n + 1)) ;; "
	       "esac; done; exit $n",
	       (char *)NULL);
	_exit(99);
}

static void await(pid_t pid, const char *what)
{
	int status;

	expect(pid > 0 && waitpid(pid, &status, 0) == pid &&
	               WIFEXITED(status) && WEXITSTATUS(status) == 0,
	       what);
}

void fork_test(struct rig *r)
{
	struct sluice_completion c;
	void *buf = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	expect(buf != MAP_FAILED, "a buffer");
	expect(!sluice_device_bus_master(r->dev, 1), "bus master");
	expect(!sluice_device_irq_enable(r->dev, r->lane, SLUICE_IRQ_MSIX, 0, 1,
	                                 COOKIE_IRQ),
	       "irq enable");
	nvme_start(r);
	/* An interrupt is on its way while the child tries to take it. */
	nvme_submit(r, r->queues.iova + 2 * PAGE);
	pid = fork();
	if (pid == 0)
		child(r, buf);
	await(pid, "a child did what it should not");
	pid = fork();
	if (pid == 0)
		exec_child();
	await(pid, "descriptors are there after exec");
	nvme_reap(r);
	c = next(r, "no interrupt after a fork");
	expect(c.op == SLUICE_OP_IRQ, "not an interrupt");
	for (int i = 0; i < 20; i++) {
		nvme_identify(r, r->queues.iova + 2 * PAGE);
		c = next(r, "no interrupt after a fork");
		expect(c.op == SLUICE_OP_IRQ, "not an interrupt");
	}
	munmap(buf, PAGE);
	printf("fork: ok\n");
}
