/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every system call and every allocation of a long scenario made to fail, at
 * each occurrence, with each errno that it can answer. A first run counts; then
 * one run per fault. Without SLUICE_LONG=1 calls that come often are sampled on
 * kernel backends: the first, the last, and some between.
 *
 * usage: test_faults FOLDER_OF_HEADERS [WORLD CALL NTH ERRNO]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/faults/docs.h"
#include "tests/faults/run.h"
#include "tests/groups/tree.h"
#include "util/util.h"

#define SECONDS_A_RUN 60
#define SAMPLE 4u

static struct tree tree;
static struct run run;
static uint32_t counts[NR_CALLS];
static uint64_t seed = 1;

static struct {
	uint32_t runs, fired, wrong;
} sum, of_call[NR_CALLS];

static void make_tree(void)
{
	tree_new(&tree);
	tree_pci(&tree, "0000:01:00.0", 1, "vfio-pci", "0x010802\n");
	tree_pci(&tree, "0000:02:00.0", 2, "vfio-pci", "0x020000\n");
	for (int i = 1; i <= 2; i++) {
		char path[64];

		snprintf(path, sizeof(path),
		         "kernel/iommu_groups/%d/reserved_regions", i);
		tree_file(&tree, path,
		          "0x00000000fee00000 0x00000000feefffff msi\n"
		          "0x0000fd0000000000 0x0000ffffffffffff reserved\n");
	}
	tree_file(&tree, "free_hugepages", "8\n");
}

static unsigned open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void check_held(struct run *r, const struct held *h)
{
	if (h->fds || h->rings || h->threads || h->blocks || h->mapped)
		wrong(r,
		      "held at the end: %lld descriptors, %lld rings, %lld "
		      "threads, %lld blocks, %lld bytes mapped",
		      (long long)h->fds, (long long)h->rings,
		      (long long)h->threads, (long long)h->blocks,
		      (long long)h->mapped);
	if (fake_vfio_open_fds())
		wrong(r, "%u VFIO descriptors left", fake_vfio_open_fds());
}

static void one(const struct world *w, const struct fault *f)
{
	unsigned fds = open_fds();
	struct held held;

	memset(&run, 0, sizeof(run));
	run.w = w;
	run.tree = tree.root;
	run.err = f->err;
	if (f->call == CALL_NONE)
		snprintf(run.about, sizeof(run.about), "no fault");
	else
		snprintf(run.about, sizeof(run.about), "%s %u %s",
		         call_info[f->call].name, f->nth,
		         sluice_errname(f->err));
	alarm(SECONDS_A_RUN);
	inject_begin(&w->vfio, tree.root, f);
	scenario(&run);
	held = inject_end();
	check_held(&run, &held);
	if (open_fds() != fds)
		wrong(&run, "%u descriptors, %u before", open_fds(), fds);
	sum.runs++;
	sum.wrong += run.wrong;
}

static void fail_at(const struct world *w, enum call call, uint32_t nth,
                    int err)
{
	struct fault f = {call, nth, err};

	one(w, &f);
	of_call[call].runs++;
	of_call[call].fired += inject_fired();
	of_call[call].wrong += run.wrong;
	sum.fired += inject_fired();
}

static uint32_t random_below(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)((seed >> 33) % n);
}

static void each_occurrence(const struct world *w, enum call call, int err,
                            bool all)
{
	uint32_t n = counts[call];

	if (all || n <= SAMPLE) {
		for (uint32_t i = 1; i <= n; i++)
			fail_at(w, call, i, err);
		return;
	}
	fail_at(w, call, 1, err);
	for (uint32_t i = 2; i < SAMPLE; i++)
		fail_at(w, call, 2 + random_below(n - 2), err);
	fail_at(w, call, n, err);
}

static void each_fault(const struct world *w, bool all)
{
	for (unsigned call = 0; call < NR_CALLS; call++)
		for (unsigned e = 0; call_info[call].err[e]; e++)
			each_occurrence(w, (enum call)call,
			                call_info[call].err[e], all);
}

/* How often each call comes; without a fault nothing fails. */
static void record(const struct world *w)
{
	struct fault none = {.call = CALL_NONE};

	one(w, &none);
	for (unsigned i = 0; i < NR_CALLS; i++)
		counts[i] = inject_count((enum call)i);
	assert_int_equal(run.errors, 0);
	assert_int_equal(run.wrong, 0);
}

static void test_world(void **state)
{
	const struct world *w = *state;
	bool all = getenv("SLUICE_LONG") ||
	           w->domain.backend == SLUICE_BACKEND_SOFT;
	uint64_t start = clock_ns();
	uint32_t total = 0;

	memset(&sum, 0, sizeof(sum));
	record(w);
	each_fault(w, all);
	for (unsigned i = 0; i < NR_CALLS; i++)
		total += counts[i];
	print_message("%s: %u calls, %u runs, %u with the fault, %.1f s\n",
	              w->name, total, sum.runs, sum.fired,
	              (double)(clock_ns() - start) / 1e9);
	assert_int_equal(sum.wrong, 0);
}

static bool have_uring(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, 0))
		return false;
	io_uring_queue_exit(&ring);
	return true;
}

/* On a ring, which there must be. */
static bool of_uring(unsigned call)
{
	return call == CALL_URING_KNOWS || call == CALL_URING_SUBMIT ||
	       call == CALL_URING_REGISTER;
}

/* No entry of the list is there for nothing. */
static void test_all_reached(void **state)
{
	const bool uring = have_uring();

	(void)state;
	for (unsigned i = 0; i < NR_CALLS; i++) {
		print_message("%-26s %6u runs, %6u with the fault\n",
		              call_info[i].name, of_call[i].runs,
		              of_call[i].fired);
		/* Only when a caller has more in flight than was agreed; only
		 * for maps that are larger than any here. */
		if (i != CALL_URING_EVENTS && i != CALL_MINCORE &&
		    (uring || !of_uring(i)) && !of_call[i].fired)
			fail_msg("%s was never made to fail",
			         call_info[i].name);
	}
	if (!uring) {
		print_message("skipped: no io_uring here: its calls were not "
		              "made to fail\n");
		skip();
	}
}

static void stuck(int sig)
{
	static const char what[] = ": stuck or crashed\n";

	if (write(2, run.about, strlen(run.about)) < 0 ||
	    write(2, what, sizeof(what) - 1) < 0)
		_exit(3);
	signal(sig, SIG_DFL);
	raise(sig == SIGALRM ? SIGABRT : sig);
}

static int replay(char **arg)
{
	const struct world *w = &worlds[atoi(arg[0])];
	enum call call = 0;

	while (call < NR_CALLS && strcmp(call_info[call].name, arg[1]))
		call++;
	if (call < NR_CALLS)
		fail_at(w, call, (uint32_t)atoi(arg[2]), atoi(arg[3]));
	printf("%u calls failed, %u wrong\n", sum.fired, sum.wrong);
	return sum.wrong != 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_prestate(test_world,
	                                  (void *)(uintptr_t)&worlds[0]),
	        cmocka_unit_test_prestate(test_world,
	                                  (void *)(uintptr_t)&worlds[1]),
	        cmocka_unit_test_prestate(test_world,
	                                  (void *)(uintptr_t)&worlds[2]),
	        cmocka_unit_test(test_all_reached),
	};
	int rc;

	if (argc < 2)
		return 2;
	docs_read(argv[1]);
	signal(SIGALRM, stuck);
	signal(SIGABRT, stuck);
	make_tree();
	rc = argc > 5 ? replay(argv + 2)
	              : cmocka_run_group_tests(tests, NULL, NULL);
	tree_free(&tree);
	return rc;
}
