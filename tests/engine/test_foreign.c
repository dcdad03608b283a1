/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that others map: what sluice_va_to_iova() answers for it, what is
 * refused, and that nothing else changes. Also what an arena tells of itself
 * and the message of libraries on top.
 */
#include "tests/engine/rig.h"

#include <sys/wait.h>
#include <unistd.h>

#define VA UINT64_C(0x7f0000000000)
#define IOVA UINT64_C(0x123000000)

static const struct sluice_domain_cfg lookup = {
        .flags = SLUICE_DOMAIN_VA_LOOKUP};

static struct rig r;

static int64_t ask(uint64_t va, uint64_t len, sluice_iova_t *iova)
{
	return sluice_va_to_iova(r.view, va, len, iova);
}

static void poll_once(void)
{
	struct sluice_completion c;

	assert_int_equal(sluice_poll(r.lane, &c, 1), 0);
}

static void comes_and_goes(void **state)
{
	struct sluice_domain_info before, after;
	sluice_iova_t iova = 0;

	(void)state;
	rig_up(&r, &lookup);
	sluice_domain_get_info(r.domain, &before);
	assert_int_equal(ask(VA, 1, &iova), -EFAULT);
	assert_int_equal(sluice_foreign_add(r.domain, VA, 3 * PAGE, IOVA), 0);
	assert_int_equal(ask(VA + PAGE + 5, 7, &iova), 7);
	assert_int_equal(iova, IOVA + PAGE + 5);
	/* Known, not mapped. */
	assert_int_equal(xlate(&r, IOVA, 1), -EFAULT);
	assert_int_equal(unmap(&r, IOVA, 3 * PAGE), -ENOENT);
	assert_non_null(strstr(sluice_last_error(), "owner"));
	sluice_domain_get_info(r.domain, &after);
	assert_int_equal(after.iova_free, before.iova_free);
	assert_int_equal(ask(VA, 1, &iova), 1);
	/* A page of it, then the rest; a cached answer goes with the poll. */
	assert_int_equal(sluice_foreign_remove(r.domain, VA + PAGE, PAGE), 0);
	poll_once();
	assert_int_equal(ask(VA + PAGE, 1, &iova), -EFAULT);
	assert_int_equal(ask(VA, 1, &iova), 1);
	assert_int_equal(sluice_foreign_remove(r.domain, VA, 3 * PAGE),
	                 -ENOENT);
	assert_int_equal(sluice_foreign_remove(r.domain, VA, PAGE), 0);
	assert_int_equal(sluice_foreign_remove(r.domain, VA + 2 * PAGE, PAGE),
	                 0);
	poll_once();
	assert_int_equal(ask(VA, 1, &iova), -EFAULT);
	/* Again, elsewhere: DPDK gives pages back and takes others. */
	assert_int_equal(sluice_foreign_add(r.domain, VA, PAGE, IOVA + M2), 0);
	assert_int_equal(ask(VA, 1, &iova), 1);
	assert_int_equal(iova, IOVA + M2);
	rig_down(&r);
}

static void who_was_first(void **state)
{
	sluice_iova_t mapped, iova = 0;

	(void)state;
	rig_up(&r, &lookup);
	assert_int_equal(sluice_foreign_add(r.domain, VA, PAGE, IOVA), 0);
	assert_int_equal(map(&r, VA, PAGE, &mapped), 0);
	assert_int_equal(ask(VA, 1, &iova), 1);
	assert_int_equal(iova, IOVA);
	assert_int_equal(unmap(&r, mapped, PAGE), 1);
	assert_int_equal(ask(VA, 1, &iova), 1);
	/* The other way round: what is the domain's own stays so. */
	assert_int_equal(map(&r, VA + 8 * PAGE, PAGE, &mapped), 0);
	assert_int_equal(sluice_foreign_add(r.domain, VA + 7 * PAGE, 2 * PAGE,
	                                    IOVA + M2),
	                 -EEXIST);
	assert_int_equal(ask(VA + 7 * PAGE, 1, &iova), -EFAULT);
	assert_int_equal(sluice_foreign_remove(r.domain, VA + 8 * PAGE, PAGE),
	                 -ENOENT);
	assert_int_equal(ask(VA + 8 * PAGE, 1, &iova), 1);
	assert_int_equal(iova, mapped);
	assert_int_equal(sluice_foreign_add(r.domain, VA, PAGE, IOVA), -EEXIST);
	rig_down(&r);
}

static void large_pages(void **state)
{
	sluice_iova_t iova = 0;

	(void)state;
	rig_up(&r, &lookup);
	assert_int_equal(sluice_foreign_add(r.domain, VA, 2 * M2, 4 * M2), 0);
	assert_int_equal(ask(VA + M2 - PAGE, 2 * PAGE, &iova), PAGE);
	assert_int_equal(iova, 5 * M2 - PAGE);
	assert_int_equal(sluice_foreign_remove(r.domain, VA, PAGE), -ERANGE);
	assert_int_equal(sluice_foreign_remove(r.domain, VA + PAGE, M2 - PAGE),
	                 -ERANGE);
	assert_int_equal(sluice_foreign_remove(r.domain, VA, M2 + PAGE),
	                 -ERANGE);
	assert_int_equal(ask(VA, 1, &iova), 1);
	assert_int_equal(sluice_foreign_remove(r.domain, VA + M2, M2), 0);
	assert_int_equal(sluice_foreign_remove(r.domain, VA, M2), 0);
	poll_once();
	assert_int_equal(ask(VA, 1, &iova), -EFAULT);
	rig_down(&r);
}

static void refusals(void **state)
{
	const struct sluice_engine_cfg small = {.max_table_bytes = 1u << 20};
	struct sluice_domain *d = NULL;
	struct sluice_engine *e;
	int rc = 0;

	(void)state;
	rig_up(&r, &lookup);
	assert_int_equal(sluice_foreign_add(NULL, VA, PAGE, IOVA), -EINVAL);
	assert_int_equal(sluice_foreign_add(r.domain, VA + 1, PAGE, IOVA),
	                 -EINVAL);
	assert_int_equal(sluice_foreign_add(r.domain, VA, PAGE + 1, IOVA),
	                 -EINVAL);
	assert_int_equal(sluice_foreign_add(r.domain, VA, PAGE, IOVA + 1),
	                 -EINVAL);
	assert_int_equal(sluice_foreign_add(r.domain, VA, 0, IOVA), -EINVAL);
	assert_int_equal(
	        sluice_foreign_add(r.domain, UINT64_C(1) << 48, PAGE, IOVA),
	        -EINVAL);
	assert_int_equal(
	        sluice_foreign_add(r.domain, VA, PAGE, UINT64_MAX - PAGE + 1),
	        -EINVAL);
	assert_int_equal(sluice_foreign_remove(r.domain, VA, 0), -EINVAL);
	assert_int_equal(sluice_foreign_remove(r.domain, VA, PAGE), -ENOENT);
	rig_down(&r);
	rig_up(&r, NULL);
	assert_int_equal(sluice_foreign_add(r.domain, VA, PAGE, IOVA),
	                 -EOPNOTSUPP);
	assert_int_equal(sluice_foreign_remove(r.domain, VA, PAGE),
	                 -EOPNOTSUPP);
	rig_down(&r);
	/* One table serves 2 MiB: the limit comes soon, and nothing is left. */
	assert_int_equal(sluice_engine_open(&small, &e), 0);
	rc = sluice_domain_create(e, &lookup, &d);
	for (uint64_t i = 0; rc == 0 && i < 4096; i++)
		rc = sluice_foreign_add(d, VA + i * M2, PAGE, IOVA);
	assert_int_equal(rc, -ENOMEM);
	assert_non_null(strstr(sluice_last_error(), "max_table_bytes"));
	assert_int_equal(sluice_domain_destroy(d), 0);
	assert_int_equal(sluice_engine_close(e), 0);
}

static void not_in_a_child(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	rig_up(&r, &lookup);
	pid = fork();
	if (pid == 0)
		_exit(sluice_foreign_add(r.domain, VA, PAGE, IOVA) == -EPERM &&
		                      sluice_foreign_remove(r.domain, VA,
		                                            PAGE) == -EPERM
		              ? 0
		              : 1);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	rig_down(&r);
}

static void arenas_tell_where_they_are(void **state)
{
	const struct sluice_arena_cfg cfg = {.size = 5 * PAGE, .no_huge = 1};
	struct sluice_arena_info info;
	struct sluice_arena *arena;
	sluice_iova_t iova;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_arena_create(r.domain, &cfg, &arena), 0);
	sluice_arena_get_info(arena, &info);
	assert_int_equal(info.len, 5 * PAGE);
	assert_ptr_equal(info.domain, r.domain);
	assert_int_equal(info.page_kind, SLUICE_PAGES_PLAIN);
	assert_int_equal(sluice_arena_iova(arena, info.va, &iova), 0);
	assert_int_equal(iova, info.iova);
	assert_maps(&r, info.iova + info.len - 1,
	            (uintptr_t)info.va + info.len - 1);
	sluice_arena_destroy(arena);
	rig_down(&r);
}

static void message_of_others(void **state)
{
	char text[600];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(sluice_error_set(-EIO, "no %s here"), -EIO);
	assert_string_equal(sluice_last_error(), "no %s here");
	assert_int_equal(sluice_error_set(-EIO, text), -EIO);
	assert_int_equal(strlen(sluice_last_error()), 511);
	text[0] = 'y'; /* it was copied */
	assert_int_equal(sluice_last_error()[0], 'x');
	assert_int_equal(sluice_error_set(0, NULL), 0);
	assert_string_equal(sluice_last_error(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(comes_and_goes),
	        cmocka_unit_test(who_was_first),
	        cmocka_unit_test(large_pages),
	        cmocka_unit_test(refusals),
	        cmocka_unit_test(not_in_a_child),
	        cmocka_unit_test(arenas_tell_where_they_are),
	        cmocka_unit_test(message_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
