/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL's memory in a domain's answers, heaps of users, and what opening refuses.
 */
#include "tests/dpdk/rig.h"

#include <rte_malloc.h>

/* ---- EAL's memory ---- */

/* EAL never gives pages back without hugepages, so the test tells the events
 * for it; that they come is seen in the VM. */
static void memory_events(void **state)
{
	char *mem = rte_malloc(NULL, 4 * PAGE, PAGE);
	struct sluice_dpdk_info before, info;
	sluice_iova_t iova = 0;

	(void)state;
	assert_non_null(mem);
	up(SLUICE_DOMAIN_VA_LOOKUP, SLUICE_DPDK_MEMORY);
	/* There from the start: IOVA is VA here. */
	assert_int_equal(ask(mem + 5, &iova), 1);
	assert_int_equal(iova, (uintptr_t)mem + 5);
	sluice_dpdk_get_info(rig.dpdk, &before);
	assert_int_equal(before.memory_bytes, 64 * (UINT64_C(1) << 20));
	assert_int_equal(before.memory_failures, 0);
	assert_int_equal(sluice_unmap(rig.view, (uintptr_t)mem, PAGE, 0, NULL),
	                 -ENOENT);
	event(RTE_MEM_EVENT_FREE, mem + PAGE, 2 * PAGE, event_arg);
	poll_once();
	assert_int_equal(ask(mem, &iova), 1);
	assert_int_equal(ask(mem + PAGE, &iova), -EFAULT);
	assert_int_equal(ask(mem + 2 * PAGE, &iova), -EFAULT);
	assert_int_equal(ask(mem + 3 * PAGE, &iova), 1);
	sluice_dpdk_get_info(rig.dpdk, &info);
	assert_int_equal(info.memory_bytes, before.memory_bytes - 2 * PAGE);
	event(RTE_MEM_EVENT_ALLOC, mem + 2 * PAGE, PAGE, event_arg);
	assert_int_equal(ask(mem + PAGE, &iova), -EFAULT);
	assert_int_equal(ask(mem + 2 * PAGE + 7, &iova), 1);
	assert_int_equal(iova, (uintptr_t)mem + 2 * PAGE + 7);
	/* Told twice: counted, and nothing changes. */
	event(RTE_MEM_EVENT_ALLOC, mem + 2 * PAGE, PAGE, event_arg);
	sluice_dpdk_get_info(rig.dpdk, &info);
	assert_int_equal(info.memory_failures, 1);
	assert_int_equal(info.memory_bytes, before.memory_bytes - PAGE);
	/* With the end of the connection its answers end. */
	assert_int_equal(sluice_dpdk_close(rig.dpdk), 0);
	assert_null(event);
	poll_once();
	assert_int_equal(ask(mem, &iova), -EFAULT);
	assert_int_equal(sluice_dpdk_open(rig.domain, NULL, &rig.dpdk), 0);
	/* Not asked for: nothing is told. */
	assert_int_equal(ask(mem, &iova), -EFAULT);
	down();
	rte_free(mem);
}

/* An arena that DPDK knows keeps the domain's own answer. */
static void arena_keeps_its_answer(void **state)
{
	struct sluice_arena_info info;
	struct sluice_arena *arena;
	sluice_iova_t iova = 0;

	(void)state;
	up(SLUICE_DOMAIN_VA_LOOKUP, SLUICE_DPDK_MEMORY);
	arena = new_arena(4 * PAGE, 1);
	sluice_arena_get_info(arena, &info);
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, NULL), 0);
	assert_int_equal(ask(info.va, &iova), 1);
	assert_int_equal(iova, info.iova);
	/* Opened while it is external memory: not EAL's. */
	assert_int_equal(sluice_dpdk_arena_destroy(rig.dpdk, arena), 0);
	poll_once();
	assert_int_equal(ask(info.va, &iova), -EFAULT);
	down();
}

/* A heap of the user's, with IOVAs of his own. */
static void external_heap(void **state)
{
	const uint64_t size = 2 * M2;
	char *mem = aligned_alloc(M2, size);
	rte_iova_t at[2] = {0x7000000000, 0x7100000000};
	sluice_iova_t iova = 0;

	(void)state;
	assert_non_null(mem);
	assert_int_equal(rte_malloc_heap_create("mine"), 0);
	assert_int_equal(
	        rte_malloc_heap_memory_add("mine", mem, size, at, 2, M2), 0);
	up(SLUICE_DOMAIN_VA_LOOKUP, SLUICE_DPDK_MEMORY);
	assert_int_equal(ask(mem, &iova), 1);
	assert_int_equal(iova, at[0]);
	assert_int_equal(ask(mem + M2 + 9, &iova), 1);
	assert_int_equal(iova, at[1] + 9);
	event(RTE_MEM_EVENT_FREE, mem, size, event_arg);
	poll_once();
	assert_int_equal(ask(mem, &iova), -EFAULT);
	event(RTE_MEM_EVENT_ALLOC, mem, size, event_arg);
	assert_int_equal(ask(mem + M2, &iova), 1);
	assert_int_equal(iova, at[1]);
	down();
	assert_int_equal(rte_malloc_heap_memory_remove("mine", mem, size), 0);
	assert_int_equal(rte_malloc_heap_destroy("mine"), 0);
	free(mem);
}

/* ---- opening ---- */

static void refusals(void **state)
{
	const struct sluice_dpdk_cfg bad = {.flags = 0x80};
	const struct sluice_dpdk_cfg memory = {.flags = SLUICE_DPDK_MEMORY};
	struct sluice_domain *d[65];
	struct sluice_dpdk *open[64], *one = NULL;
	struct sluice_range r;

	(void)state;
	up(0, 0);
	assert_int_equal(sluice_dpdk_open(NULL, NULL, &one), -EINVAL);
	assert_int_equal(sluice_dpdk_open(rig.domain, NULL, NULL), -EINVAL);
	assert_int_equal(sluice_dpdk_open(rig.domain, &bad, &one), -EINVAL);
	assert_int_equal(sluice_dpdk_open(rig.domain, NULL, &one), -EEXIST);
	assert_int_equal(sluice_dpdk_close(NULL), 0);
	/* How many, without room to say which. */
	assert_true(sluice_dpdk_reserved(NULL, 0) > 0);
	assert_int_equal(sluice_dpdk_reserved(&r, 1),
	                 sluice_dpdk_reserved(NULL, 0));
	for (int i = 0; i < 64; i++) {
		assert_int_equal(sluice_domain_create(rig.engine, NULL, &d[i]),
		                 0);
		assert_int_equal(sluice_dpdk_open(d[i], NULL, &open[i]),
		                 i < 63 ? 0 : -ENOSPC);
	}
	assert_int_equal(sluice_dpdk_close(open[7]), 0);
	assert_int_equal(sluice_dpdk_open(d[7], &memory, &one), -EINVAL);
	says("SLUICE_DOMAIN_VA_LOOKUP");
	event_error = ENOMEM;
	assert_int_equal(sluice_dpdk_open(d[7], NULL, &one), -ENOMEM);
	event_error = ENOTSUP; /* legacy memory: no events, but all the rest */
	assert_int_equal(sluice_dpdk_open(d[7], NULL, &open[7]), 0);
	event_error = 0;
	assert_int_equal(sluice_dpdk_id(open[7]), 8);
	for (int i = 0; i < 64; i++) {
		if (i < 63)
			assert_int_equal(sluice_dpdk_close(open[i]), 0);
		assert_int_equal(sluice_domain_destroy(d[i]), 0);
	}
	/* No container: EAL found no VFIO, or has no port in it. */
	assert_int_equal(sluice_dpdk_domain_create(rig.engine, NULL, &d[0]),
	                 -ENODEV);
	down();
}

/* With physical addresses EAL may come to use any RAM. */
static void iova_is_pa(void **state)
{
	FILE *f = fopen("/proc/iomem", "re");
	struct sluice_range r[2];
	unsigned long long first, last = 0;
	char line[128];
	int told = 0;

	(void)state;
	iova_mode = RTE_IOVA_PA;
	if (!f) {
		assert_int_equal(sluice_dpdk_reserved(r, 2), -ENOENT);
		iova_mode = RTE_IOVA_VA;
		return;
	}
	while (fgets(line, sizeof(line), f))
		told |= sscanf(line, "%llx-%llx", &first, &last) == 2 && last;
	fclose(f);
	if (told) {
		assert_int_equal(sluice_dpdk_reserved(r, 2), 1);
		assert_int_equal(r[0].first, 0);
		assert_true(r[0].last >=
		            (uint64_t)sysconf(_SC_PHYS_PAGES) * PAGE);
		assert_int_equal((r[0].last + 1) % PAGE, 0);
	} else {
		assert_int_equal(sluice_dpdk_reserved(r, 2), -EPERM);
		says("root");
	}
	iova_mode = RTE_IOVA_VA;
}

static void before_eal(void)
{
	struct sluice_dpdk *d = NULL;
	struct sluice_domain *dom = NULL;
	struct sluice_range r;

	if (sluice_dpdk_reserved(&r, 1) != -EOPNOTSUPP ||
	    sluice_dpdk_open((void *)&r, NULL, &d) != -EOPNOTSUPP ||
	    sluice_dpdk_domain_create((void *)&r, NULL, &dom) != -EOPNOTSUPP ||
	    !strstr(sluice_last_error(), "rte_eal_init")) {
		printf("FAILED: a call before rte_eal_init() was accepted\n");
		exit(1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(memory_events),
	        cmocka_unit_test(arena_keeps_its_answer),
	        cmocka_unit_test(external_heap),
	        cmocka_unit_test(iova_is_pa),
	        cmocka_unit_test(refusals),
	};
	int rc;

	before_eal();
	if (!eal_up())
		return 77;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	eal_down();
	return rc;
}
