/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large maps whose memory is faulted in beforehand, on a VFIO that exists only
 * in this process: others overtake, what the memory holds stays what it was,
 * and no map fails for it.
 */
#include "tests/engine/krig.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE (UINT64_C(128) << 20)
#define BIG (UINT64_C(8) << 20)

static const struct sluice_domain_cfg cfg = {
        .backend = SLUICE_BACKEND_VFIO_TYPE1,
        .prefault_bytes = BIG,
};

static bool have_ring(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, 0)) {
		print_message("skipped: no io_uring here\n");
		return false;
	}
	io_uring_queue_exit(&ring);
	return true;
}

static void *memory(uint64_t len, int prot)
{
	void *mem = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	return mem;
}

static uint64_t resident(void *mem, uint64_t len)
{
	uint64_t nr = len / PAGE, n = 0;
	unsigned char *vec = malloc(nr);

	assert_non_null(vec);
	assert_int_equal(mincore(mem, len, vec), 0);
	for (uint64_t i = 0; i < nr; i++)
		n += vec[i] & 1;
	free(vec);
	return n;
}

static int map_as(struct krig *k, void *mem, uint64_t len, uint32_t prot,
                  sluice_iova_t *iova)
{
	struct sluice_map_req req = {
	        .va = (uintptr_t)mem, .len = len, .prot = prot};

	return sluice_map(k->r.view, &req, iova);
}

static void others_overtake(void **state)
{
	void *mem = memory(LARGE, PROT_READ | PROT_WRITE);
	sluice_iova_t holder, large, small;
	struct sluice_completion c[3];
	struct krig k;

	(void)state;
	if (!have_ring())
		skip();
	krig_up(&k, NULL, &cfg, 0);
	/* The helper stands still until both are there: this lane may be the
	 * one that does not run, for longer than all the pages take. */
	fake_vfio_gate();
	assert_int_equal(map(&k.r, VA + M2, PAGE, &holder), 1);
	fake_vfio_gate_wait();
	assert_int_equal(map_as(&k, mem, LARGE, SLUICE_RW, &large), 1);
	assert_int_equal(map(&k.r, VA, PAGE, &small), 1);
	fake_vfio_gate_open();
	wait_for(&k, c, 3);
	assert_int_equal(c[0].iova, holder);
	assert_int_equal(c[1].iova, small);
	assert_int_equal(c[2].iova, large);
	assert_int_equal(c[0].result | c[1].result | c[2].result, 0);
	assert_int_equal(resident(mem, LARGE), LARGE / PAGE);
	krig_down(&k);
	munmap(mem, LARGE);
}

static void small_ones_are_left(void **state)
{
	void *mem = memory(BIG, PROT_READ | PROT_WRITE);
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &cfg, 0);
	map_and_wait(&k, (uintptr_t)mem, BIG - PAGE, &iova);
	assert_int_equal(resident(mem, BIG), 0);
	krig_down(&k);
	/* Nor is anything done where there shall be no io_uring. */
	krig_up(&k, NULL, &cfg, 1);
	map_and_wait(&k, (uintptr_t)mem, BIG, &iova);
	assert_int_equal(resident(mem, BIG), 0);
	krig_down(&k);
	munmap(mem, BIG);
}

/* What devices only read is not written: pages of a private mapping of a file
 * stay the file's, and memory that cannot be written can be mapped. */
static void reading_changes_nothing(void **state)
{
	int fd = memfd_create("prefault", 0);
	struct sluice_completion c;
	sluice_iova_t iova;
	struct krig k;
	char *mem;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)BIG), 0);
	for (int prot = 0; prot < 2; prot++) {
		mem = mmap(NULL, BIG, prot ? PROT_READ | PROT_WRITE : PROT_READ,
		           MAP_PRIVATE, fd, 0);
		assert_ptr_not_equal(mem, MAP_FAILED);
		krig_up(&k, NULL, &cfg, 0);
		assert_int_equal(map_as(&k, mem, BIG, SLUICE_READ, &iova), 1);
		wait_for(&k, &c, 1);
		assert_int_equal(c.result, 0);
		krig_down(&k);
		/* Still the file's page, not a copy. */
		assert_int_equal(pwrite(fd, prot ? "b" : "a", 1, PAGE), 1);
		assert_int_equal(mem[PAGE], prot ? 'b' : 'a');
		munmap(mem, BIG);
	}
	close(fd);
}

/* A device may write where nobody else does; and what is there stays. */
static void writing_keeps_what_is_there(void **state)
{
	char *mem = memory(BIG, PROT_READ | PROT_WRITE);
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	mem[5 * PAGE] = 'x';
	krig_up(&k, NULL, &cfg, 0);
	map_and_wait(&k, (uintptr_t)mem, BIG, &iova);
	assert_int_equal(mem[5 * PAGE], 'x');
	assert_int_equal(mem[6 * PAGE], 0);
	krig_down(&k);
	munmap(mem, BIG);
}

/* Where nothing can be faulted in, the kernel has the word: this one takes
 * anything. */
static void nothing_fails_for_it(void **state)
{
	void *mem = memory(BIG, PROT_NONE);
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &cfg, 0);
	map_and_wait(&k, (uintptr_t)mem, BIG, &iova);
	munmap(mem, BIG);
	map_and_wait(&k, VA, BIG, &iova);
	krig_down(&k);
}

/* More at a time than there are jobs, of several segments each. */
static void many(void **state)
{
	char *mem = memory(LARGE, PROT_READ | PROT_WRITE);
	struct sluice_map_req req = {.prot = SLUICE_RW};
	struct sluice_completion c[32];
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &cfg, 0);
	for (uint64_t i = 0; i < 12; i++) {
		struct iovec iov[4];

		for (uint64_t j = 0; j < 4; j++)
			iov[j] = (struct iovec){
			        mem + (i * 4 + 3 - j) * (BIG / 4), BIG / 4};
		assert_int_equal(sluice_map_sg(k.r.view, &req, iov, 4, &iova),
		                 1);
	}
	wait_for(&k, c, 12);
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(c[i].result, 0);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 48);
	krig_down(&k);
	/* The domain goes while memory is being faulted in. */
	krig_up(&k, NULL, &cfg, 0);
	assert_int_equal(map_as(&k, mem, LARGE, SLUICE_RW, &iova), 1);
	krig_down(&k);
	munmap(mem, LARGE);
}

/* A broken promise: somebody else maps a part of it meanwhile. The first has
 * it. */
static void touching_ones_wait(void **state)
{
	const struct sluice_domain_cfg own = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        .flags = SLUICE_DOMAIN_CALLER_IOVA,
	        .prefault_bytes = BIG,
	};
	void *mem = memory(LARGE, PROT_READ | PROT_WRITE);
	struct sluice_map_req req = {.va = (uintptr_t)mem,
	                             .len = LARGE,
	                             .prot = SLUICE_RW,
	                             .flags = SLUICE_MAP_FIXED};
	struct sluice_completion c[2];
	sluice_iova_t iova = M2;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &own, 0);
	assert_int_equal(sluice_map(k.r.view, &req, &iova), 1);
	req.len = PAGE;
	iova = M2 + LARGE - PAGE;
	assert_int_equal(sluice_map(k.r.view, &req, &iova), 1);
	wait_for(&k, c, 2);
	assert_int_equal(c[0].len, LARGE);
	assert_int_equal(c[0].result, 0);
	assert_int_equal(c[1].result, -EEXIST);
	krig_down(&k);
	munmap(mem, LARGE);
}

static unsigned rings(void)
{
	unsigned nr = 0;

	for (int fd = 0; fd < 256; fd++) {
		char path[32], name[64];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, name, sizeof(name) - 1);
		name[n > 0 ? n : 0] = '\0';
		nr += !strcmp(name, "anon_inode:[io_uring]");
	}
	return nr;
}

/* Memory that is there is mapped at once: the ring of the workers is not even
 * made. */
static void what_is_there_is_left(void **state)
{
	void *mem = memory(2 * BIG, PROT_READ | PROT_WRITE);
	sluice_iova_t iova;
	unsigned before;
	struct krig k;

	(void)state;
	if (!have_ring())
		skip();
	/* The page that is not there is not to come with its neighbours. */
	if (madvise(mem, 2 * BIG, MADV_NOHUGEPAGE))
		assert_int_equal(errno, EINVAL); /* no such pages here */
	memset(mem, 1, BIG);
	krig_up(&k, NULL, &cfg, 0);
	before = rings();
	map_and_wait(&k, (uintptr_t)mem, BIG, &iova);
	assert_int_equal(rings(), before);
	/* One page is not. */
	map_and_wait(&k, (uintptr_t)mem + PAGE, BIG, &iova);
	assert_int_equal(rings(), before + 1);
	assert_int_equal(resident(mem, 2 * BIG), BIG / PAGE + 1);
	krig_down(&k);
	munmap(mem, 2 * BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(others_overtake),
	        cmocka_unit_test(small_ones_are_left),
	        cmocka_unit_test(reading_changes_nothing),
	        cmocka_unit_test(writing_keeps_what_is_there),
	        cmocka_unit_test(nothing_fails_for_it),
	        cmocka_unit_test(many),
	        cmocka_unit_test(touching_ones_wait),
	        cmocka_unit_test(what_is_there_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
