/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process that forks: its child is refused by every call that would reach
 * what the two share, and the parent goes on undisturbed. No descriptor of the
 * library outlives exec().
 */
#include "tests/advice.h"
#include "tests/engine/drig.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define FDS 1024

static bool heeded; /* advice on memory */

/* In a child: cmocka's checks would end in the parent's report. */
static void told(int rc, const char *what)
{
	if (rc == -EPERM && strstr(sluice_last_error(), "another process"))
		return;
	fprintf(stderr, "%s in a child: %d, \"%s\"\n", what, rc,
	        sluice_last_error());
	_exit(1);
}

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s in a child\n", what);
	_exit(1);
}

static bool is_there(const void *va)
{
	unsigned char vec;

	return mincore((void *)(uintptr_t)va, PAGE, &vec) == 0;
}

static void assert_child(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void try_device(struct drig *d)
{
	struct sluice_device *dev = d->dev, *other;
	struct sluice_region_info region;
	struct sluice_irq_info irq;
	uint32_t word;
	void *va;

	told(sluice_device_region(dev, 0, &region), "region");
	told(sluice_device_map(dev, 0, 0, PAGE, &va), "map of a region");
	told(sluice_device_unmap(dev, dev), "unmap of a region");
	told(sluice_device_read(dev, SLUICE_REGION_CONFIG, 0, &word, 4),
	     "read");
	told(sluice_device_write(dev, SLUICE_REGION_CONFIG, 4, &word, 4),
	     "write");
	told(sluice_device_bus_master(dev, 1), "bus master");
	told(sluice_device_reset(dev), "reset");
	told(sluice_device_irq(dev, 0, &irq), "irq");
	told(sluice_device_irq_enable(dev, d->k.r.lane, 2, 1, 1, 0), "enable");
	told(sluice_device_irq_disable(dev, 2), "disable");
	told(sluice_device_irq_mask(dev, 0, 0), "mask");
	told(sluice_device_irq_unmask(dev, 0, 0), "unmask");
	told(sluice_device_irq_trigger(dev, 2, 0), "trigger");
	told(sluice_device_close(dev), "close");
	told(sluice_device_open(d->k.r.domain, &d->k.group[0], NULL, NULL,
	                        &other),
	     "open");
}

static void try_engine(struct rig *r, struct sluice_group *group)
{
	const struct sluice_arena_cfg cfg = {.size = PAGE};
	struct sluice_domain *domain;
	struct sluice_arena *arena;
	struct sluice_lane *lane;
	struct sluice_view *view;

	told(sluice_lane_open(r->engine, NULL, &lane), "lane open");
	told(sluice_domain_create(r->engine, NULL, &domain), "domain create");
	told(sluice_domain_reserve(r->domain, M2, M2), "reserve");
	told(sluice_view_open(r->lane, r->domain, &view), "view open");
	told(sluice_arena_create(r->domain, &cfg, &arena), "arena");
	told(sluice_drain(r->lane, 1), "drain");
	told(sluice_ticket_wait(r->view, (struct sluice_ticket){0}, 1),
	     "ticket wait");
	told(sluice_view_close(r->view), "view close");
	told(sluice_lane_close(r->lane), "lane close");
	if (group) {
		told(sluice_domain_attach(r->domain, group), "attach");
		told(sluice_domain_detach(r->domain, group), "detach");
	}
	told(sluice_domain_destroy(r->domain), "domain destroy");
	told(sluice_engine_close(r->engine), "engine close");
}

static void child(struct drig *d, struct sluice_arena *arena,
                  const struct sluice_buf *buf, sluice_iova_t iova)
{
	struct rig *r = &d->k.r, own;
	struct sluice_completion c;
	uint32_t calls = fake_vfio_calls(0);
	sluice_iova_t other;

	try_engine(r, &d->k.group[0]);
	try_device(d);
	told(sluice_lane_event_fd(r->lane), "event fd");
	told(map(r, VA + M2, PAGE, &other), "map");
	/* Of a copy of the table: nothing of it reaches the kernel. */
	(void)unmap(r, iova, PAGE);
	sluice_arena_destroy(arena);
	for (int i = 0; i < 1000; i++)
		require(sluice_poll(r->lane, &c, 1) == 0, "a completion");
	require(!heeded || !is_there(buf->va), "memory of an arena");
	require(fake_vfio_calls(0) == calls, "a call to the kernel");
	/* An engine of its own is fine, and leaves the other one alone. */
	require(sluice_engine_open(NULL, &own.engine) == 0, "no engine");
	told(sluice_engine_close(r->engine), "engine close");
	require(sluice_engine_close(own.engine) == 0, "no close");
	_exit(0);
}

static void a_child_is_refused(void **state)
{
	const struct sluice_arena_cfg cfg = {.size = 4 * PAGE, .no_huge = 1};
	struct sluice_arena *arena;
	struct sluice_buf buf;
	sluice_iova_t iova, later;
	struct drig d;
	void *va;
	pid_t pid;

	(void)state;
	heeded = advice_heeded();
	for (enum fabric_kind kind = FABRIC_MSG_RING; kind <= FABRIC_PLAIN;
	     kind++) {
		drig_up(&d, NULL, kind);
		assert_int_equal(
		        sluice_arena_create(d.k.r.domain, &cfg, &arena), 0);
		assert_int_equal(sluice_arena_alloc(arena, PAGE, 0, &buf), 0);
		assert_int_equal(sluice_device_map(d.dev, 0, 0, PAGE, &va), 0);
		memset(buf.va, 0x5a, PAGE);
		map_and_wait(&d.k, VA, PAGE, &iova);
		assert_int_equal(sluice_device_irq_enable(d.dev, d.k.r.lane, 2,
		                                          0, 1, COOKIE),
		                 0);
		/* On its way while there are two processes. */
		assert_true(fake_vfio_fire(0, 2, 0));
		pid = fork();
		if (pid == 0) {
			require(!heeded || !is_there(va), "registers");
			child(&d, arena, &buf, iova);
		}
		assert_child(pid);
		assert_event(&d, SLUICE_OP_IRQ, COOKIE, 0, 1);
		assert_quiet(&d);
		assert_true(fake_vfio_reach(iova, NULL, NULL));
		assert_true(fake_vfio_reach(buf.iova, NULL, NULL));
		assert_int_equal(((uint8_t *)buf.va)[PAGE - 1], 0x5a);
		map_and_wait(&d.k, VA + M2, PAGE, &later);
		assert_true(unmap(&d.k.r, iova, PAGE) >= 0);
		assert_true(unmap(&d.k.r, later, PAGE) >= 0);
		assert_int_equal(sluice_drain(d.k.r.lane, PATIENCE), 0);
		assert_false(fake_vfio_reach(iova, NULL, NULL));
		sluice_arena_destroy(arena);
		drig_down(&d);
	}
	if (!heeded) {
		print_message(ADVICE_IGNORED ": a child keeps the memory\n");
		skip();
	}
}

/* Without a kernel there is nothing to share but the copy; the calls that end
 * things are refused all the same, and translations answer from the copy. */
static void a_soft_engine_too(void **state)
{
	struct rig r;
	sluice_iova_t iova;
	sluice_oa_t oa;
	pid_t pid;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(map(&r, VA, PAGE, &iova), 0);
	pid = fork();
	if (pid == 0) {
		try_engine(&r, NULL);
		require(sluice_translate(r.view, iova, 1, RW, &oa) == 1 &&
		                oa == VA,
		        "no translation");
		require(unmap(&r, iova, PAGE) >= 0, "no unmap");
		(void)sluice_poll(r.lane, NULL, 0);
		_exit(0);
	}
	assert_child(pid);
	assert_maps(&r, iova, VA);
	rig_down(&r);
}

static uint32_t list_fds(int *fd)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	uint32_t n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)) && n < FDS)
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(dir))
			fd[n++] = atoi(e->d_name);
	closedir(dir);
	return n;
}

static bool listed(const int *fd, uint32_t n, int which)
{
	for (uint32_t i = 0; i < n; i++)
		if (fd[i] == which)
			return true;
	return false;
}

static void nothing_outlives_exec(void **state)
{
	int before[FDS], with[FDS];
	uint32_t nr_before, nr_with, own;
	struct drig d;

	(void)state;
	for (enum fabric_kind kind = FABRIC_MSG_RING; kind <= FABRIC_PLAIN;
	     kind++) {
		nr_before = list_fds(before);
		drig_up(&d, NULL, kind);
		assert_int_equal(sluice_device_irq_enable(d.dev, d.k.r.lane, 2,
		                                          0, 4, COOKIE),
		                 0);
		nr_with = list_fds(with);
		own = 0;
		for (uint32_t i = 0; i < nr_with; i++) {
			int flags = fcntl(with[i], F_GETFD);

			if (listed(before, nr_before, with[i]))
				continue;
			own++;
			assert_true(flags & FD_CLOEXEC);
		}
		/* An eventfd for each vector, and the fake kernel's own. */
		assert_true(own >= 12);
		drig_down(&d);
		assert_int_equal(list_fds(with), nr_before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_child_is_refused),
	        cmocka_unit_test(a_soft_engine_too),
	        cmocka_unit_test(nothing_outlives_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
