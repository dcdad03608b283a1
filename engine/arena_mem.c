/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/arena_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/util.h"

#define THP_LG2 21

/* libhugetlbfs complains on stderr when the pool is empty, which for us is no
 * error: ask first. */
static uint64_t free_hugepages(long page)
{
	char path[96], text[32];

	snprintf(path, sizeof(path),
	         "/sys/kernel/mm/hugepages/hugepages-%ldkB/free_hugepages",
	         page / 1024);
	if (sys_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 0;
	return strtoull(text, NULL, 10);
}

static bool try_hugetlb(uint64_t len, struct arena_mem *mem)
{
	long page = sys->huge_size();
	uint64_t want;

	if (page <= 0) {
		mem->why = "the kernel has no hugetlb pages";
		return false;
	}
	want = (len + (uint64_t)page - 1) / (uint64_t)page;
	if (free_hugepages(page) < want) {
		mem->why = "too few free hugetlb pages (raise "
		           "/proc/sys/vm/nr_hugepages)";
		return false;
	}
	if (sys->huge_get(&mem->va, want * (uint64_t)page)) {
		mem->why = "hugetlb pages were refused (limit or cgroup)";
		return false;
	}
	mem->len = want * (uint64_t)page;
	mem->kind = SLUICE_PAGES_HUGE;
	mem->why = NULL;
	return true;
}

static int try_pages(uint64_t len, bool huge, struct arena_mem *mem)
{
	unsigned lg2 = huge ? THP_LG2 : SLUICE_PAGE_LG2;

	mem->len = align_up(len, lg2);
	mem->map_len = mem->len + (huge ? bit64(lg2) : 0);
	mem->map = NULL;
	if (sys->mmap(&mem->map, mem->map_len, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
		return -ENOMEM;
	mem->va = (void *)(uintptr_t)align_up((uintptr_t)mem->map, lg2);
	mem->kind = SLUICE_PAGES_PLAIN;
	if (huge && sys->madvise(mem->va, mem->len, MADV_HUGEPAGE) == 0)
		mem->kind = SLUICE_PAGES_THP;
	/* Present before anybody pins it or a device writes to it. */
	if (sys->madvise(mem->va, mem->len, MADV_POPULATE_WRITE) == -EINVAL) {
		/* Before Linux 5.14: touch. */
		for (uint64_t i = 0; i < mem->len; i += SLUICE_PAGE_SIZE)
			((volatile char *)mem->va)[i] = 0;
	}
	return 0;
}

int arena_mem_alloc(uint64_t len, bool no_huge, struct arena_mem *ret_mem)
{
	struct arena_mem mem = {.why = "not wanted"};
	int rc;

	if (len > UINT64_MAX / 2)
		return -ENOMEM;
	if (!no_huge && try_hugetlb(len, &mem)) {
		memset(mem.va, 0, mem.len);
		rc = 0;
	} else {
		rc = try_pages(len, !no_huge && len >= bit64(THP_LG2), &mem);
	}
	if (rc)
		return rc;
	/* After a fork() one side of a copy on write would get a new page, and
	 * the device keep the old one: a child gets none at all. */
	if (sys->madvise(mem.va, mem.len, MADV_DONTFORK)) {
		arena_mem_free(&mem);
		return -ENOMEM;
	}
	*ret_mem = mem;
	return 0;
}

void arena_mem_free(struct arena_mem *mem)
{
	if (!mem->va)
		return;
	if (mem->kind == SLUICE_PAGES_HUGE)
		sys->huge_free(mem->va);
	else
		(void)sys->munmap(mem->map, mem->map_len);
	mem->va = NULL;
}
