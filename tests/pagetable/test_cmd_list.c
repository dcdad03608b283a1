/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice pt --decode`, against words put together from the specifications, and
 * `sluice pt --list`, held against what the command then takes and what
 * <sluice/pagetable.h> promises. Knows no table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <inttypes.h>

#include "run_cmd.h"

#define NR_OF(a) (sizeof(a) / sizeof((a)[0]))

/* The specifications that pagetable/fmt_*.c names, by hand. */
static const struct {
	char *format, *option, *level, *word;
	const char *says;
} words[] = {
        /* Intel SDM 3A, table 4-20: P, R/W, U/S, A, D. */
        {"x86_64", NULL, "0", "0x5067",
         "leaf of 0x1000 bytes at 0x5000, rw, dirty, accessed\n"},
        {"x86_64", NULL, "0", "0x5025",
         "leaf of 0x1000 bytes at 0x5000, r, clean, accessed\n"},
        /* Table 4-18: PS. */
        {"x86_64", NULL, "1", "0x4000a7",
         "leaf of 0x200000 bytes at 0x400000, rw, clean, accessed\n"},
        {"x86_64", NULL, "3", "0x7027",
         "link to the table at 0x7000 for 0x8000000000 bytes\n"},
        {"x86_64", NULL, "0", "0x8000000000005067",
         "leaf of 0x1000 bytes at 0x5000, rw, dirty, accessed, unknown bits "
         "0x8000000000000000\n"},
        {"x86_64", NULL, "0", "0", "empty: nothing for 0x1000 bytes\n"},
        /* VT-d 9.8: R, W, A (8), D (9); 61:52 are ignored. */
        {"vtdss", NULL, "0", "0x5302",
         "leaf of 0x1000 bytes at 0x5000, w, dirty, accessed\n"},
        {"vtdss", NULL, "0", "0x0010000000005001",
         "leaf of 0x1000 bytes at 0x5000, r, clean, not accessed, software "
         "bits 0x10000000000000\n"},
        /* AMD 48882, 2.2.3: next level 7 says a size of 8 KiB with 12:0. */
        {"amdv1", NULL, "0", "0x6000000000004e01",
         "leaf of 0x2000 bytes at 0x4000, rw, clean, not accessed, 2 words "
         "together\n"},
        {"amdv1", NULL, "1", "0x6000000000200061",
         "leaf of 0x200000 bytes at 0x200000, rw, dirty, accessed\n"},
        {"amdv1", "--bits=64", "5", "0x6000000000001a01",
         "link to the table at 0x1000 for 0x200000000000000 bytes\n"},
        /* DDI 0487, D8.3.2: a page, AP[2:1] 11, SH 11, AF, nG, PXN, UXN. */
        {"arm_lpae_s1", NULL, "0", "0x60000000005fc3",
         "leaf of 0x1000 bytes at 0x5000, r, dirty marks not kept, "
         "accessed\n"},
        /* ... a contiguous one: bit 52. */
        {"arm_lpae_s1", NULL, "0", "0x70000000011fc3", "16 words together"},
        {"arm_lpae_s1", "--dirty", "0", "0x68000000005f43", "rw, dirty"},
        {"arm_lpae_s1", "--dirty", "0", "0x68000000005fc3", "rw, clean"},
        {"arm_lpae_s1", NULL, "2", "0x5003",
         "link to the table at 0x5000 for 0x40000000 bytes\n"},
        /* RISC-V 12.3.1: V, R, W, U, A, D; PPN at bit 10. */
        {"riscv", NULL, "0", "0x200000d7",
         "leaf of 0x1000 bytes at 0x80000000, rw,"},
        {"riscv_g", "--dirty", "0", "0x20000057",
         "leaf of 0x1000 bytes at 0x80000000, rw, clean, accessed\n"},
        /* ... N with PPN 3:0 of 1000: 64 KiB. */
        {"riscv", NULL, "0", "0x80000000200020d3",
         "leaf of 0x10000 bytes at 0x80000000, r,"},
        {"riscv", NULL, "1", "0x20000001",
         "link to the table at 0x80000000 for 0x200000 bytes\n"},
        /* SA22-7832, chapter 3: P (0x200), I (0x400); a frame with FC. */
        {"s390", NULL, "0", "0x5200", "leaf of 0x1000 bytes at 0x5000, r,"},
        {"s390", NULL, "0", "0x5000", "leaf of 0x1000 bytes at 0x5000, rw,"},
        {"s390", NULL, "0", "0x400", "empty: nothing for 0x1000 bytes\n"},
        {"s390", NULL, "1", "0x500400",
         "leaf of 0x100000 bytes at 0x500000, rw,"},
        {"s390", NULL, "1", "0x5800",
         "link to the table at 0x5800 for 0x100000 bytes\n"},
        /* PAPR: bit 63 reads, 62 writes. */
        {"tce", NULL, "0", "0x5003", "leaf of 0x1000 bytes at 0x5000, rw,"},
        {"tce", NULL, "0", "0x5002", "leaf of 0x1000 bytes at 0x5000, w,"},
};

static void test_decode(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NR_OF(words); i++) {
		char *wide = words[i].option && words[i].option[2] == 'b'
		                     ? "64"
		                     : NULL;
		struct ran r =
		        run("map 0 0 4K r\n",
		            ARGS("--format", words[i].format, "--decode",
		                 words[i].word, "--level", words[i].level,
		                 wide ? "--bits" : words[i].option, wide));

		if (r.code || !strstr(r.out, words[i].says))
			fail_msg("%s %s: '%s%s' not '%s'", words[i].format,
			         words[i].word, r.out, r.err, words[i].says);
		/* One line: no script was read. */
		assert_ptr_equal(strchr(r.out, '\n'), strrchr(r.out, '\n'));
		done(&r);
	}
	expect("", ARGS("--format", "vtdss", "--decode", "1", "--level", "4"),
	       2, "", "levels 0 to 3");
	expect("", ARGS("--format", "vtdss", "--decode", "x", "--level", "0"),
	       2, "", "--decode x");
	expect("",
	       ARGS("--format", "vtdss", "--decode", "1", "--level", "0",
	            "--load", "x"),
	       2, "", "--load");
}

static const cJSON *member(const cJSON *obj, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(obj, name);

	assert_non_null(v);
	return v;
}

static void test_decode_json(void **state)
{
	struct ran r = run("", ARGS("--format", "vtdss", "--json", "--decode",
	                            "0x0010000000200381", "--level", "1"));
	cJSON *doc = cJSON_Parse(r.out);
	const cJSON *e;

	(void)state;
	assert_int_equal(r.code, 0);
	assert_string_equal(member(doc, "format")->valuestring, "vtdss");
	e = cJSON_GetArrayItem(member(doc, "results"), 0);
	assert_string_equal(member(e, "kind")->valuestring, "leaf");
	assert_string_equal(member(e, "oa")->valuestring, "0x200000");
	assert_string_equal(member(e, "len")->valuestring, "0x200000");
	assert_string_equal(member(e, "prot")->valuestring, "r");
	assert_int_equal(member(e, "items")->valueint, 1);
	assert_string_equal(member(e, "software")->valuestring,
	                    "0x10000000000000");
	assert_true(cJSON_IsBool(member(e, "dirty")));
	assert_true(cJSON_IsTrue(member(e, "accessed")));
	assert_string_equal(member(e, "word")->valuestring, "0x10000000200381");
	cJSON_Delete(doc);
	done(&r);
	r = run("", ARGS("--format", "tce", "--json", "--decode", "0x5003",
	                 "--level", "0"));
	doc = cJSON_Parse(r.out);
	e = cJSON_GetArrayItem(member(doc, "results"), 0);
	assert_true(cJSON_IsNull(member(e, "dirty")));
	cJSON_Delete(doc);
	done(&r);
}

static int has(const cJSON *array, int n)
{
	const cJSON *v;

	cJSON_ArrayForEach(v, array) if (v->valueint == n) return 1;
	return 0;
}

static int has_name(const cJSON *array, const char *name)
{
	const cJSON *v;

	cJSON_ArrayForEach(v,
	                   array) if (!strcmp(v->valuestring, name)) return 1;
	return 0;
}

/* Whether the command makes this table; with levels 0: with any number. */
static int makes(const char *format, int granule, int bits, int levels,
                 char *option)
{
	char text[3][8];

	snprintf(text[0], sizeof(text[0]), "%d", granule);
	snprintf(text[1], sizeof(text[1]), "%d", bits);
	for (int n = levels ? levels : 1; n <= (levels ? levels : 6); n++) {
		struct ran r;
		int code;

		snprintf(text[2], sizeof(text[2]), "%d", n);
		r = run("", ARGS("--format", (char *)(uintptr_t)format,
		                 "--granule", text[0], "--bits", text[1],
		                 "--levels", text[2], option));
		code = r.code;
		done(&r);
		assert_true(code == 0 || code == 2);
		if (code == 0)
			return 1;
	}
	return 0;
}

/* All widths, below and above as well. */
static void check_widths(const char *format, const cJSON *choice)
{
	int granule = member(choice, "granule_lg2")->valueint;

	for (int bits = 1; bits <= 64; bits++)
		if (makes(format, granule, bits, 0, NULL) !=
		    has(member(choice, "bits"), bits))
			fail_msg("%s, granule %d: %d bits", format, granule,
			         bits);
}

static void check_flags(const char *format, const cJSON *def,
                        const cJSON *choice)
{
	static char *const flags[] = {"--signed", "--dirty", "--noncoherent"};
	int granule = member(def, "granule_lg2")->valueint;

	if (member(choice, "granule_lg2")->valueint != granule)
		return;
	assert_true(
	        has(member(choice, "levels"), member(def, "levels")->valueint));
	assert_true(has(member(choice, "bits"), member(def, "bits")->valueint));
	for (unsigned i = 0; i < NR_OF(flags); i++)
		if (makes(format, granule, member(def, "bits")->valueint,
		          member(def, "levels")->valueint, flags[i]) !=
		    has_name(member(choice, "flags"), flags[i] + 2))
			fail_msg("%s: %s", format, flags[i]);
}

/* From <sluice/pagetable.h>. */
static const struct {
	const char *name;
	int bits, granules, leaves;
	int width[3]; /* some that must be there */
} promised[] = {
        {"x86_64", 48, 1, 3, {47, 56, 57}},
        {"vtdss", 48, 1, 3, {39, 48, 57}},
        {"amdv1", 48, 1, 27, {30, 48, 64}},
        {"arm_lpae_s1", 48, 3, 6, {32, 40, 48}},
        {"arm_lpae_s2", 48, 3, 6, {32, 40, 48}},
        {"riscv", 48, 1, 6, {38, 39, 57}},
        {"riscv_g", 50, 1, 6, {41, 50, 59}},
        {"s390", 42, 1, 3, {31, 53, 64}},
        {"tce", 31, 23, 1, {13, 31, 60}},
};

static void test_list(void **state)
{
	struct ran r = run("map 0 0 4K r\n", ARGS("--list", "--json"));
	cJSON *doc = cJSON_Parse(r.out);
	const cJSON *formats = member(doc, "formats");

	(void)state;
	assert_int_equal(r.code, 0);
	assert_int_equal(cJSON_GetArraySize(formats), NR_OF(promised));
	for (unsigned i = 0; i < NR_OF(promised); i++) {
		const cJSON *f = cJSON_GetArrayItem(formats, (int)i);
		const cJSON *def = member(f, "default");
		const cJSON *granules = member(f, "granules");
		const cJSON *first = cJSON_GetArrayItem(granules, 0);
		const cJSON *c;

		assert_string_equal(member(f, "name")->valuestring,
		                    promised[i].name);
		assert_int_equal(member(def, "bits")->valueint,
		                 promised[i].bits);
		assert_int_equal(cJSON_GetArraySize(granules),
		                 promised[i].granules);
		assert_int_equal(
		        cJSON_GetArraySize(member(first, "leaves_lg2")),
		        promised[i].leaves);
		for (unsigned n = 0; n < 3; n++)
			assert_true(has(member(first, "bits"),
			                promised[i].width[n]));
		check_widths(promised[i].name, first);
		cJSON_ArrayForEach(c, granules)
		        check_flags(promised[i].name, def, c);
	}
	cJSON_Delete(doc);
	done(&r);
}

static void test_list_text(void **state)
{
	struct ran all = run("", ARGS("--list"));
	struct ran r;

	(void)state;
	assert_int_equal(all.code, 0);
	for (unsigned i = 0; i < NR_OF(promised); i++) {
		r = run("", ARGS("--list", "--format",
		                 (char *)(uintptr_t)promised[i].name));
		assert_int_equal(r.code, 0);
		/* The heading, then what the whole list says, too. */
		assert_non_null(strstr(all.out, strchr(r.out, '\n') + 1));
		done(&r);
	}
	assert_non_null(strstr(all.out, "39 48 57"));
	assert_non_null(strstr(all.out, "4K 64K 2M 32M 1G"));
	done(&all);
	expect("", ARGS("--list", "--format", "lpae"), 2, "", "known are");
	expect("", ARGS("--list", "--load", "x"), 2, "", "--list goes with");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_decode),
	        cmocka_unit_test(test_decode_json),
	        cmocka_unit_test(test_list),
	        cmocka_unit_test(test_list_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
