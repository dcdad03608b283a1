/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice pt` from outside: scripts in, text and JSON out, exit codes. The
 * JSON dump goes to the independent decoder.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>
#include <inttypes.h>

#include "judge_dump.h"
#include "run_cmd.h"

#define WINDOW_PAGES (UINT64_C(4) << 18)

static void test_usage(void **state)
{
	static const struct {
		char *f, *a, *b;
		const char *says;
	} bad[] = {
	        {"vtdss", "--granule", "16k", "pages of 2^12 bytes"},
	        {"vtdss", "--granule", "5000", "--granule 5000: write"},
	        {"vtdss", "--granule", "0", "--granule 0: write"},
	        {"arm_lpae_s1", "--granule", "13", "12, 14 or 16"},
	        {"vtdss", "--levels", "5", "has 4"},
	        {"amdv1", "--levels", "6", "do not need 6"},
	        {"tce", "--levels", "6", "1 to 5"},
	        {"vtdss", "--oas", "65", "--oas 65: write"},
	        {"vtdss", "--oas", "53", "output addresses"},
	        {"vtdss", "--signed", "--json", "signed"},
	        {"tce", "--dirty", "--json", "dirty"},
	        {"vtdss", "--base", "0", "--load FILE --raw"},
	        {"vtdss", "--raw", "--json", "--load FILE"},
	        {"vtdss", "--decode", "1", "--level L"},
	        {"vtdss", "--level", "1", "--decode WORD"},
	        {"vtdss", "--level", "16", "0 to 15"},
	};
	struct ran r;

	(void)state;
	expect("", (char *[]){"pt", NULL}, 2, "", "--format is missing");
	expect("", ARGS("--format", "lpae"), 2, "", "known are x86_64");
	expect("", ARGS("--format"), 2, "", "--format");
	expect("", ARGS("--format", "vtdss", "--bits", "40"), 2, "", "39");
	expect("", ARGS("--format", "x86_64", "--bits", "39"), 2, "", "57");
	expect("", ARGS("--format", "vtdss", "--bits", "x"), 2, "", "--bits");
	expect("", ARGS("--format", "vtdss", "extra"), 2, "", "extra");
	for (unsigned i = 0; i < NR_OF(bad); i++)
		expect("", ARGS("--format", bad[i].f, bad[i].a, bad[i].b), 2,
		       "", bad[i].says);
	expect("", ARGS("--format", "vtdss"), 0, "", NULL);
	r = run("", ARGS("--help"));
	assert_int_equal(r.code, 0);
	assert_non_null(strstr(r.out, "unmap IOVA LEN"));
	assert_non_null(strstr(r.out, "image BASE FILE"));
	assert_string_equal(r.err, "");
	done(&r);
}

static void test_results(void **state)
{
	(void)state;
	expect("# a comment\n\n"
	       "map 0x40000000 0x1000 2M rw # leaves of 4 KiB\n"
	       "map 0x80000000 0 1G rw\n"
	       "walk 0x40001234\n"
	       "walk 0x80000001\n"
	       "unmap 1073741824 4096\n"
	       "dirty 0x80000000 1G\n"
	       "touch 0x80000000\n"
	       "dirty 0x80000000 8K\n"
	       "dirty 0x80000000 1G clear\n"
	       "dirty 0x80000000 1G\n"
	       "unmap 0x40001000 2044K",
	       ARGS("--format", "vtdss"), 0,
	       "walk 0x40001234 0x2234 rw leaf 0x40001000 0x1000\n"
	       "walk 0x80000001 0x1 rw leaf 0x80000000 0x40000000\n"
	       "removed 0x40000000 0x1000 0x1000 rw\n"
	       "dirty 0\n"
	       "dirty 8192\n"
	       "dirty 1073741824\n"
	       "dirty 0\n"
	       "removed 0x40001000 0x2000 0x1ff000 rw\n",
	       NULL);
	expect("map 0 0x5000 4K w\ndump\n",
	       ARGS("--format", "vtdss", "--bits", "39"), 0,
	       "2 0 0x0 0x0000000000001003\n"
	       "1 0 0x1000 0x0000000000002003\n"
	       "0 0 0x2000 0x0000000000005002\n",
	       NULL);
}

/* Many pieces come out one by one although the tool has room for 64. */
static void test_many_extents(void **state)
{
	char script[16384];
	char want[16384];
	size_t s = 0;
	size_t w = 0;

	(void)state;
	for (unsigned i = 0; i < 150; i++) {
		s += (size_t)snprintf(script + s, sizeof(script) - s,
		                      "map 0x%x 0x%x 4K r\n", i * 4096,
		                      (i * 3) * 4096);
		w += (size_t)snprintf(want + w, sizeof(want) - w,
		                      "removed 0x%x 0x%x 0x1000 r\n", i * 4096,
		                      (i * 3) * 4096);
	}
	snprintf(script + s, sizeof(script) - s, "unmap 0 600K\n");
	expect(script, ARGS("--format", "x86_64"), 0, want, NULL);
}

static const struct {
	const char *line;
	const char *err;
} bad_lines[] = {
        {"frobnicate", "known are map mapsg unmap"},
        {"map 0x1000 0x1000 4K", "map IOVA OA LEN PROT"},
        {"map 0x1000 0x1000 4K rw 1", "map IOVA OA LEN PROT"},
        {"map 0x1000 0x1000 4K rx", "r, w or rw"},
        {"map 0x1000 0x1000 4K w", "SLUICE_READ"},
        {"map 0x1000 0x1000 0 rw", "EINVAL"},
        {"map 0x1001 0x1000 4K rw", "multiple of 4096"},
        {"map 0x1000 0x1000 4000 rw", "multiple of 4096"},
        {"map 0x1000 0xfffffffff000 1P rw", "'1P' is no number"},
        {"map -1 0 4K rw", "'-1' is no number"},
        {"map 0x 0 4K rw", "0x"},
        {"map 0x10000000000000000 0 4K rw", "64 bits"},
        {"map 0x1000000000000 0 4K rw", "address bits"},
        {"map 0x1000 0x10000000000000 4K rw", "2^52"},
        {"map 0x3000 0 1M rw", "EEXIST"},
        {"map 0 0 0x6000 rw", "EEXIST"},
        {"unmap 0x5000", "unmap IOVA LEN"},
        {"unmap 0x5000 8K", "ENOENT"},
        {"unmap 0x200000 4K", "ERANGE"},
        {"walk 0x9000", "ENOENT"},
        {"walk", "walk IOVA"},
        {"touch 0x9000", "ENOENT"},
        {"dirty 0x5000 1", "EINVAL"},
        {"dirty 0x5000 4K now", "clear"},
        {"dump all", "--json"},
        {"mapsg 0x1000 rw 0 4K 0", "the last OA has no LEN"},
        {"mapsg 0x1000 rw 0", "mapsg IOVA PROT OA LEN"},
        {"mapsg 0x1000 0 rw 4K", "r, w or rw"},
        {"mapsg 0x1000 rw 0 4K zero 4K", "'zero' is no number"},
        {"mapsg 0x3000 rw 0 4K 0 8K", "EEXIST"},
        {"protect 0x5000 4K x", "r, w or rw"},
        {"protect 0x5000 4K w", "SLUICE_READ"},
        {"protect 0x5000 8K r", "ENOENT"},
        {"protect 2M 4K r", "ERANGE"},
        {"split 0x5000 0", "EINVAL"},
        {"split 0x5000", "split IOVA LEN"},
        {"promote 0x5000 1", "EINVAL"},
        {"reclaim 0 1", "EINVAL"},
        {"detach 2M 4K", "ERANGE"},
        {"touch 2M", "EACCES"},
        {"dirtymap 0x5000 1", "EINVAL"},
        {"dirtymap 0 0x80000000000", "at most 2^30"},
        {"dirtymap 0 4K 4K", "clear"},
        {"info all", "write: info"},
        {"explain 4 0", "levels 0 to 3"},
        {"explain 0x100000000 0", "levels 0 to 3"},
        {"image 0x10 /dev/null", "EINVAL"},
        {"image 0 /", "/: cannot be written"},
};

/* Each bad line is named and changes nothing; the next ones still run. */
static void test_bad_lines(void **state)
{
	struct ran want = run("map 0x5000 0 4K rw\nmap 2M 0 2M r\ndump\n",
	                      ARGS("--format", "x86_64"));

	(void)state;
	assert_int_equal(want.code, 0);
	for (unsigned i = 0; i < NR_OF(bad_lines); i++) {
		char script[256];

		snprintf(script, sizeof(script),
		         "map 0x5000 0 4K rw\nmap 2M 0 2M r\n%s\ndump\n",
		         bad_lines[i].line);
		expect(script, ARGS("--format", "x86_64"), 1, want.out,
		       bad_lines[i].err);
		expect(script, ARGS("--format", "x86_64"), 1, want.out,
		       "line 3: ");
	}
	done(&want);
}

static uint64_t hex(const cJSON *entry, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(entry, name);
	char *end;
	uint64_t n;

	assert_true(cJSON_IsString(v));
	assert_memory_equal(v->valuestring, "0x", 2);
	n = strtoull(v->valuestring, &end, 16);
	assert_int_equal(*end, 0);
	return n;
}

static uint32_t small(const cJSON *entry, const char *name)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(entry, name);

	assert_true(cJSON_IsNumber(v));
	return (uint32_t)v->valueint;
}

static struct words words_of_json(const char *text, const char *format)
{
	cJSON *doc = cJSON_Parse(text);
	struct words ws = {0};
	const cJSON *e;

	assert_non_null(doc);
	assert_string_equal(
	        cJSON_GetStringValue(cJSON_GetObjectItem(doc, "schema")),
	        "sluice-pt/1");
	assert_string_equal(
	        cJSON_GetStringValue(cJSON_GetObjectItem(doc, "format")),
	        format);
	assert_true(cJSON_IsArray(cJSON_GetObjectItem(doc, "entries")));
	cJSON_ArrayForEach(e, cJSON_GetObjectItem(doc, "entries"))
	        words_add(&ws, (struct decode_word){
	                               .table = hex(e, "table"),
	                               .word = hex(e, "word"),
	                               .index = small(e, "index"),
	                               .level = small(e, "level"),
	                       });
	cJSON_Delete(doc);
	return ws;
}

static struct words words_of_text(const char *text)
{
	struct words ws = {0};

	while (*text) {
		struct decode_word w;
		int used = 0;

		assert_int_equal(sscanf(text,
		                        "%" SCNu32 " %" SCNu32 " %" SCNx64
		                        " %" SCNx64 "\n%n",
		                        &w.level, &w.index, &w.table, &w.word,
		                        &used),
		                 4);
		words_add(&ws, w);
		text += used;
	}
	return ws;
}

/* A random script of n lines that all work, and its record. */
static char *write_script(struct flat *f, unsigned n, uint64_t seed)
{
	static const char *const names[] = {"", "r", "w", "rw"};
	static const uint64_t grains[] = {4096, 4096, 2097152, 1073741824};
	static const char *const lens[] = {"4K", "0x1000", "2M", "1G"};
	size_t size = 100 * (size_t)n + 1;
	char *text = calloc(1, size);
	size_t at = 0;

	assert_non_null(text);
	while (n) {
		unsigned g = (unsigned)rnd_below(&seed, 4);
		uint64_t iova =
		        f->base +
		        rnd_below(&seed, f->nr * 4096 / grains[g]) * grains[g];
		uint64_t oa = rnd_below(&seed, 1000) * grains[g];
		uint32_t prot = rnd(&seed) & 1 ? SLUICE_READ : SLUICE_RW;
		struct pt_run leaf;

		if (flat_walk(f, iova, &leaf) == 0) {
			flat_unmap(f, leaf.iova, leaf.last);
			at += (size_t)snprintf(
			        text + at, size - at,
			        "unmap %" PRIu64 " 0x%" PRIx64 "\n", leaf.iova,
			        leaf.last - leaf.iova + 1);
		} else if (!flat_map(f, iova, iova + grains[g] - 1, oa, prot)) {
			at += (size_t)snprintf(text + at, size - at,
			                       "map 0x%" PRIx64 " 0x%" PRIx64
			                       " %s %s\n",
			                       iova, oa, lens[g], names[prot]);
		} else {
			continue;
		}
		n--;
	}
	return text;
}

static void judge_script(const char *format, enum sluice_pt_format id,
                         unsigned bits, unsigned n)
{
	char bits_text[8];
	const char *text;
	char *script;
	struct flat f;
	struct words ws;
	struct ran r;

	snprintf(bits_text, sizeof(bits_text), "%u", bits);
	flat_init(&f, 0, WINDOW_PAGES);
	script = write_script(&f, n, bits + n);
	strcat(script, "dump\n");
	r = run(script, ARGS("--format", (char *)format, "--bits", bits_text,
	                     "--json"));
	assert_int_equal(r.code, 0);
	ws = words_of_json(r.out, format);
	judge_words(&ws, id, bits, &f);
	free(ws.w);
	done(&r);
	/* The text form says the same; other results are lines before it. */
	r = run(script, ARGS("--bits", bits_text, "--format", (char *)format));
	assert_int_equal(r.code, 0);
	for (text = r.out;
	     !strncmp(text, "removed", 7) || !strncmp(text, "invalidate", 10);)
		text = strchr(text, '\n') + 1;
	ws = words_of_text(text);
	judge_words(&ws, id, bits, &f);
	free(ws.w);
	done(&r);
	free(script);
	flat_done(&f);
}

static void test_decoded(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 60; n += 8) {
		judge_script("x86_64", SLUICE_PT_X86_64, 48, n);
		judge_script("x86_64", SLUICE_PT_X86_64, 57, n);
		judge_script("vtdss", SLUICE_PT_VTDSS, 39, n);
		judge_script("vtdss", SLUICE_PT_VTDSS, 48, n);
		judge_script("vtdss", SLUICE_PT_VTDSS, 57, n);
	}
}

/* With --json stdout holds one document a dump, the results inside it. */
static void test_json_results(void **state)
{
	struct ran r;
	cJSON *doc;

	(void)state;
	r = run("map 0 0 8K rw\nwalk 0x1001\nunmap 0 4K\ndirty 0 8K\ndump\n",
	        ARGS("--format", "vtdss", "--json", "-"));
	assert_int_equal(r.code, 0);
	doc = cJSON_Parse(r.out);
	assert_non_null(doc);
	assert_int_equal(
	        cJSON_GetArraySize(cJSON_GetObjectItem(doc, "results")), 3);
	assert_int_equal(
	        cJSON_GetArraySize(cJSON_GetObjectItem(doc, "entries")), 4);
	cJSON_Delete(doc);
	done(&r);
	r = run("map 0 0 8K rw\nwalk 0\n", ARGS("--format", "vtdss", "--json"));
	doc = cJSON_Parse(r.out);
	assert_non_null(doc);
	assert_null(cJSON_GetObjectItem(doc, "entries"));
	cJSON_Delete(doc);
	done(&r);
	expect("dump --json\n", ARGS("--format", "vtdss"), 0,
	       "{\"schema\":\"sluice-pt/1\",\"format\":\"vtdss\","
	       "\"levels\":4,\"root_bytes\":4096,\"granule\":4096,"
	       "\"max_iova\":\"0xffffffffffff\",\"entries\":[]}\n",
	       NULL);
}

/* What changes leaves without unmapping them, and what looks at them. */
static const char changes[] = "map 0x40000000 0x40000000 4M rw\n"
                              "mapsg 0x80000000 r 0x1000 4K 0x2000 8K 0x9000 "
                              "0x1000\n"
                              "protect 0x80000000 4K rw\n"
                              "split 0x40001000 4K\n"
                              "stats\n"
                              "touch 0x40001000\n"
                              "touch 0x40002000\n"
                              "touch 0x40200000\n"
                              "dirtymap 0x40000000 4M clear\n"
                              "dirtymap 0x40000000 4M\n"
                              "promote 0x40000000 4M\n"
                              "unmap 0x80000000 16K\n"
                              "reclaim 0 4G\n"
                              "info\n"
                              "detach 0x3ff00000 1G # holes and a leaf\n"
                              "explain 1 0xc0000083\n"
                              "stats\n";

static void test_changes(void **state)
{
	(void)state;
	expect(changes, ARGS("--format", "vtdss", "--bits", "39"), 0,
	       "invalidate 0x80000000 0x1000\n"
	       "invalidate 0x40000000 0x200000\n"
	       "split 1\n"
	       "stats tables 5 bytes 20480 leaves 4K:516 2M:1\n"
	       "dirtymap 0x40001000 0x2000\n"
	       "dirtymap 0x40200000 0x200000\n"
	       "invalidate 0x40000000 0x200000\n"
	       "promoted 1\n"
	       "removed 0x80000000 0x1000 0x1000 rw\n"
	       "removed 0x80001000 0x2000 0x2000 r\n"
	       "removed 0x80003000 0x9000 0x1000 r\n"
	       "invalidate 0x0 0x100000000\n"
	       "reclaimed 8192\n"
	       "info vtdss max_iova 0x7fffffffff max_oa 0xfffffffffffff "
	       "granule 4K levels 3 root_bytes 4096 leaves 4K 2M 1G\n"
	       "explain 1 0x00000000c0000083: leaf of 0x200000 bytes at "
	       "0xc0000000, rw, clean, not accessed\n"
	       "stats tables 2 bytes 8192 leaves\n",
	       NULL);
}

/* The same as members of one document. */
static void test_changes_json(void **state)
{
	static const char *const cmds[] = {
	        "invalidate", "invalidate", "split",      "stats",
	        "dirtymap",   "dirtymap",   "invalidate", "promote",
	        "unmap",      "unmap",      "unmap",      "invalidate",
	        "reclaim",    "info",       "explain",    "stats"};
	struct ran r = run(changes,
	                   ARGS("--format", "vtdss", "--bits", "39", "--json"));
	cJSON *doc = cJSON_Parse(r.out);
	const cJSON *res = cJSON_GetObjectItem(doc, "results");
	const cJSON *leaves;

	(void)state;
	assert_int_equal(r.code, 0);
	assert_int_equal(cJSON_GetArraySize(res), NR_OF(cmds));
	for (int i = 0; i < (int)NR_OF(cmds); i++)
		assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(
		                            cJSON_GetArrayItem(res, i), "cmd")),
		                    cmds[i]);
	assert_int_equal(hex(cJSON_GetArrayItem(res, 1), "iova"), 0x40000000);
	assert_int_equal(small(cJSON_GetArrayItem(res, 1), "line"), 4);
	assert_int_equal(small(cJSON_GetArrayItem(res, 2), "leaves"), 1);
	assert_int_equal(small(cJSON_GetArrayItem(res, 3), "bytes"), 20480);
	leaves = cJSON_GetObjectItem(cJSON_GetArrayItem(res, 3), "leaves");
	assert_int_equal(small(cJSON_GetArrayItem(leaves, 0), "count"), 516);
	assert_int_equal(hex(cJSON_GetArrayItem(res, 5), "len"), 0x200000);
	assert_int_equal(small(cJSON_GetArrayItem(res, 12), "bytes"), 8192);
	assert_int_equal(small(cJSON_GetArrayItem(res, 13), "levels"), 3);
	assert_int_equal(hex(cJSON_GetArrayItem(res, 14), "oa"), 0xc0000000);
	cJSON_Delete(doc);
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_usage),
	        cmocka_unit_test(test_results),
	        cmocka_unit_test(test_many_extents),
	        cmocka_unit_test(test_bad_lines),
	        cmocka_unit_test(test_decoded),
	        cmocka_unit_test(test_json_results),
	        cmocka_unit_test(test_changes),
	        cmocka_unit_test(test_changes_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
