/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filling and clearing write each word once and whole. As soon as a word is
 * empty somebody else may claim it (pt_claim.h), so a second zero would wipe
 * his mapping: between any two stores of a kernel this test writes into all
 * words that are done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pagetable/pt_simd.h"
#include "steps.h"

#ifdef HAVE_STEPS
#define WORDS 512u
#define MOST 200u
#define OLD UINT64_C(0x1122334455667788)
#define CLAIMED UINT64_C(0x99aabbccddeeff00)
#define FIRST UINT64_C(0x0102030405060703)
#define STEP UINT64_C(0x1000)

static au64 *word;
static unsigned from, nr; /* what the kernel is to write */
static unsigned done;     /* claimed so far */
static unsigned mixed;    /* neither the old word nor the new one */
static uint64_t first, step;

static void claim(uintptr_t at)
{
	(void)at;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t w = ld_rlx(&word[from + i]);

		if (w == OLD || w == CLAIMED)
			continue;
		mixed += w != first + i * step;
		st_rlx(&word[from + i], CLAIMED);
		done++;
	}
}

static void run(enum pt_simd simd, bool is_fill, unsigned head, unsigned n)
{
	first = is_fill ? FIRST : 0;
	step = is_fill ? STEP : 0;
	from = 8 + head;
	nr = n;
	done = mixed = 0;
	for (unsigned i = 0; i < WORDS; i++)
		st_rlx(&word[i], OLD);
	steps_begin(word);
	if (is_fill)
		pt_fill_many(simd, &word[from], n, first, step);
	else
		pt_clear_many(simd, &word[from], n);
	steps_end();
	assert_int_equal(mixed, 0);
	for (unsigned i = 0; i < WORDS; i++)
		assert_int_equal(ld_rlx(&word[i]),
		                 i - from < n ? CLAIMED : OLD);
	assert_int_equal(done, n);
}

static void each_word_once(void **state)
{
	enum pt_simd widest = pt_simd_detect();

	(void)state;
	steps_catch(claim); /* cmocka has put its own in between */
	for (int s = PT_SCALAR; s <= (int)widest; s++)
		for (unsigned head = 0; head < 8; head++)
			for (unsigned n = 1; n <= MOST; n += 1 + n / 8) {
				run((enum pt_simd)s, true, head, n);
				run((enum pt_simd)s, false, head, n);
			}
}

/* False in valgrind, where the trap flag does nothing. */
static bool have_steps(void)
{
	void *page = mmap(NULL, STEPS_PAGE, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		abort();
	word = page;
	steps_catch(claim);
	nr = 2;
	steps_begin(page);
	st_rlx(&word[0], 1);
	steps_end();
	return done == 2;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_word_once),
	};

	if (!have_steps()) {
		print_message("skipped: the trap flag does nothing here\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
	print_message("skipped: no single steps in this build\n");
	return 77;
}
#endif
