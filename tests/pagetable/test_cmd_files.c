/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice pt` in all formats: what a script built comes back from a text dump,
 * a JSON dump and a memory image, and walks alike; files that are none of them;
 * words explained, against the specifications; the list of what there is, held
 * against what the command takes. Knows no table.
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

/* Options of a table, with what scripts for it need to know. */
static const struct shape {
	char *options;              /* separated by blanks */
	unsigned bits, granule_lg2; /* 64 for signed addresses */
	int w, dirty;               /* has write-only leaves; marks */
	char *grown;                /* levels when its last address is mapped */
} shapes[] = {
        {"x86_64", 48, 12, 0, 1, NULL},
        {"x86_64 --bits 57", 57, 12, 0, 1, NULL},
        {"amdv2 --bits 47", 47, 12, 0, 1, NULL},
        {"x86_64 --signed", 64, 12, 0, 1, NULL},
        {"vtdss", 48, 12, 1, 1, NULL},
        {"vtdss --ias 39 --oas 40", 39, 12, 1, 1, NULL},
        {"vtdss --bits 57 --noncoherent", 57, 12, 1, 1, NULL},
        {"amdv1 --bits 30", 30, 12, 1, 1, "3"},
        {"amdv1", 48, 12, 1, 1, "4"},
        {"amdv1 --bits 64", 64, 12, 1, 1, "6"},
        {"amdv1 --bits 64 --levels 6", 64, 12, 1, 1, "6"},
        {"amdv1 --no-contig", 48, 12, 1, 1, "4"},
        {"arm_lpae_s1", 48, 12, 0, 0, NULL},
        {"arm_lpae_s1 --dirty --bits 39", 39, 12, 0, 1, NULL},
        {"arm_lpae_s1 --granule 16k", 48, 14, 0, 0, NULL},
        {"arm_lpae_s1 --granule 64k --bits 52 --oas 52", 52, 16, 0, 0, NULL},
        {"arm_lpae_s1 --no-contig", 48, 12, 0, 0, NULL},
        {"arm_lpae_s2 --bits 40", 40, 12, 1, 0, NULL},
        {"arm_lpae_s2 --granule 14 --dirty", 48, 14, 1, 1, NULL},
        {"arm_lpae_s2 --granule 65536", 48, 16, 1, 0, NULL},
        {"riscv", 48, 12, 0, 0, NULL},
        {"riscv --bits 39 --signed --dirty", 64, 12, 0, 1, NULL},
        {"riscv --bits 57 --no-contig", 57, 12, 0, 0, NULL},
        {"riscv_g", 50, 12, 0, 0, NULL},
        {"riscv_g --bits 59 --dirty", 59, 12, 0, 1, NULL},
        {"s390 --bits 31", 31, 12, 0, 0, NULL},
        {"s390", 42, 12, 0, 0, NULL},
        {"s390 --bits 64", 64, 12, 0, 0, NULL},
        {"tce", 31, 12, 1, 0, NULL},
        {"tce --window 40 --granule 64k --levels 2", 40, 16, 1, 0, NULL},
        {"tce --window 50 --granule 2m --levels 3", 50, 21, 1, 0, NULL},
};

struct args {
	char text[128];
	char *v[24];
	int nr;
};

static void args_add(struct args *a, char *arg)
{
	assert_true(a->nr < 23);
	a->v[a->nr++] = arg;
	a->v[a->nr] = NULL;
}

static void args_of(struct args *a, const char *options)
{
	char *save = NULL;

	*a = (struct args){0};
	snprintf(a->text, sizeof(a->text), "%s", options);
	args_add(a, "pt");
	args_add(a, "--format");
	for (char *w = strtok_r(a->text, " ", &save); w;
	     w = strtok_r(NULL, " ", &save))
		args_add(a, w);
}

/* A name for a file of this process. */
static const char *file_name(void)
{
	static char path[64];

	snprintf(path, sizeof(path), P_tmpdir "/sluice-pt-%ld", (long)getpid());
	return path;
}

static void write_file(const void *buf, size_t size)
{
	FILE *f = fopen(file_name(), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(buf, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

/* The run with the file loaded before. */
static struct ran run_loaded(const struct shape *sh, const char *script,
                             char *more[])
{
	struct args a;

	args_of(&a, sh->options);
	args_add(&a, "--load");
	args_add(&a, (char *)(uintptr_t)file_name());
	for (; more && *more; more++)
		args_add(&a, *more);
	return run(script, a.v);
}

struct built {
	char script[4096];
	char walks[2048]; /* commands ... */
	char want[4096];  /* ... and what they must print */
};

static void put(char *to, size_t size, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
static void put(char *to, size_t size, const char *fmt, ...)
{
	size_t at = strlen(to);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to + at, size - at, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < size - at);
}

#define PUT(to, ...) put(to, sizeof(to), __VA_ARGS__)

/* A run of pages; its first and last page are walked, each a leaf of its own or
 * part of a larger one. */
static void add_map(struct built *b, const struct shape *sh, uint64_t iova,
                    uint64_t oa, uint64_t pages, const char *prot)
{
	const uint64_t at[] = {0, (pages << sh->granule_lg2) - 8};

	PUT(b->script, "map 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " %s\n",
	    iova, oa, pages << sh->granule_lg2, prot);
	for (unsigned i = 0; i < NR_OF(at); i++) {
		PUT(b->walks, "walk 0x%" PRIx64 "\n", iova + at[i]);
		PUT(b->want, "walk 0x%" PRIx64 " 0x%" PRIx64 " %s ",
		    iova + at[i], oa + at[i], prot);
	}
}

/* Pages, runs that make larger leaves, both ends of the addresses. */
static void build(struct built *b, const struct shape *sh)
{
	const uint64_t page = UINT64_C(1) << sh->granule_lg2;
	const uint64_t last = UINT64_MAX >> (64 - sh->bits);
	const char *prot[] = {"rw", "r", sh->w ? "w" : "rw"};

	*b = (struct built){0};
	add_map(b, sh, 0, 5 * page, 1, prot[0]);
	add_map(b, sh, 3 * page, 3 * page, 1, prot[1]);
	add_map(b, sh, 16 * page, 32 * page, 16, prot[0]);
	add_map(b, sh, last - 2 * page + 1, 8 * page, 2, prot[2]);
	/* Aligned alike: the largest leaves that fit in half the window. */
	if (sh->bits > 34)
		add_map(b, sh, UINT64_C(1) << 33, UINT64_C(1) << 33,
		        (UINT64_C(1) << 31) / page, prot[1]);
	else
		add_map(b, sh, UINT64_C(1) << 28, UINT64_C(1) << 28,
		        (UINT64_C(1) << 22) / page, prot[1]);
	if (sh->dirty)
		PUT(b->script, "touch 0\ntouch 0x%" PRIx64 "\n", 17 * page);
}

/* The walks must say the wanted address and prot; which leaf is not asked. */
static void check_walks(const char *out, const char *want)
{
	while (*want) {
		const char *end = want;

		for (unsigned blanks = 0; blanks < 4; end++)
			blanks += *end == ' ';
		if (strncmp(out, want, (size_t)(end - want)))
			fail_msg("'%s' does not begin as '%s'", out, want);
		out = strchr(out, '\n');
		assert_non_null(out);
		out++;
		want = end;
	}
}

/* The loaded table dumps as the one before, and leads to the same places. */
static void check_loaded(const struct shape *sh, const struct built *b,
                         const char *dump, char *more[])
{
	struct ran r = run_loaded(sh, "dump\n", more);

	if (r.code)
		fail_msg("%s: %s", sh->options, r.err);
	assert_string_equal(r.out, dump);
	done(&r);
	r = run_loaded(sh, b->walks, more);
	assert_int_equal(r.code, 0);
	check_walks(r.out, b->want);
	done(&r);
}

static struct ran run_shape(const struct shape *sh, const char *script)
{
	struct args a;
	struct ran r;

	args_of(&a, sh->options);
	r = run(script, a.v);
	if (r.code)
		fail_msg("%s: %s", sh->options, r.err);
	return r;
}

static void check_shape(const struct shape *sh)
{
	char script[8192];
	struct built b;
	struct ran text;
	struct ran r;

	build(&b, sh);
	snprintf(script, sizeof(script), "%sdump\n", b.script);
	text = run_shape(sh, script);
	write_file(text.out, strlen(text.out));
	check_loaded(sh, &b, text.out, NULL);
	snprintf(script, sizeof(script), "%sdump --json\n", b.script);
	r = run_shape(sh, script);
	write_file(r.out, strlen(r.out));
	check_loaded(sh, &b, text.out, NULL);
	done(&r);
	/* The root is the first table; a base that any root is aligned to. */
	snprintf(script, sizeof(script), "%simage 0x40000000 %s\n", b.script,
	         file_name());
	r = run_shape(sh, script);
	check_loaded(sh, &b, text.out,
	             (char *[]){"--raw", "--base", "1G",
	                        sh->grown ? "--levels" : NULL, sh->grown,
	                        NULL});
	done(&r);
	done(&text);
}

/* Writing lines back is for the CPU to have. */
static int possible(const struct shape *sh)
{
	struct args a;
	struct ran r;
	int no;

	args_of(&a, sh->options);
	r = run("", a.v);
	no = strstr(sh->options, "--noncoherent") && r.code == 2 &&
	     strstr(r.err, "cannot be written back from here");
	done(&r);
	return !no;
}

static void test_round_trips(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NR_OF(shapes); i++)
		if (possible(&shapes[i]))
			check_shape(&shapes[i]);
	remove(file_name());
}

/* Any damage to a dump is told, or makes another table; never both and never
 * a crash. */
static void test_damage(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (unsigned i = 0; i < 8 * NR_OF(shapes); i++) {
		const struct shape *sh = &shapes[i % NR_OF(shapes)];
		char *raw[] = {"--raw", NULL};
		char script[8192];
		struct built b;
		struct ran r;
		size_t len;

		if (!possible(sh))
			continue;
		build(&b, sh);
		snprintf(script, sizeof(script), "%sdump%s\n", b.script,
		         i & 1 ? " --json" : "");
		r = run_shape(sh, script);
		len = strlen(r.out);
		for (unsigned n = 0; n < 3; n++) {
			seed = seed * 6364136223846793005u + 1;
			r.out[(seed >> 33) % len] = (char)(seed >> 25);
		}
		write_file(r.out, seed & 1 ? len : (seed >> 33) % len);
		done(&r);
		r = run_loaded(sh, "dump\n", i % 5 ? NULL : raw);
		assert_true(r.code == 0 || r.code == 1);
		assert_int_equal(r.code == 0, r.err[0] == '\0');
		if (r.code)
			assert_string_equal(r.out, "");
		done(&r);
	}
	remove(file_name());
}

#define HEAD "{\"schema\":\"sluice-pt/1\",\"format\":\"vtdss\""
#define ENTRY(l, i, t, w)                                                      \
	HEAD ",\"entries\":[{\"level\":" l ",\"index\":" i ",\"table\":" t     \
	     ",\"word\":" w "}]}"

static const struct {
	const char *file, *says;
} bad_files[] = {
        {"x", "line 1: a dump has lines of four numbers"},
        {"\n3 0 0", "line 2: cut off"},
        {"3 0 0 0x1003 1", "four numbers"},
        {"3 0 0 -1", "four numbers"},
        {"0x100000000 0 0 0x1003", "four numbers"},
        {"3 0 0 0x10000000000000003", "four numbers"},
        {"3 512 0 0x1003", "no place of this table"},
        {"4 0 0 0x1003", "no place of this table"},
        {"3 0 0 0x1003\n3 0 0 0x1003", "twice"},
        {"3 0 0 0x1003\n2 0 0x1000 0x1003", "two links"},
        {"3 0 0 0x1003\n2 0 0x2000 0x3003", "no link"},
        {"3 0 0 0x83", "bits 0x83"},
        {"{", "no JSON from byte 1"},
        {"{\"a\":tru}", "no JSON"},
        {"{}", "\"schema\""},
        {"{\"schema\":\"sluice-pt/2\"}", "\"schema\""},
        {"{\"schema\":\"sluice-pt/1\"}", "\"format\" names none"},
        {"{\"schema\":\"sluice-pt/1\",\"format\":\"paper\"}",
         "\"format\" names none"},
        {"{\"schema\":\"sluice-pt/1\",\"format\":\"amdv2\"}",
         "write --format amdv2"},
        {HEAD "}", "no array \"entries\""},
        {HEAD ",\"entries\":{}}", "no array \"entries\""},
        {HEAD ",\"granule\":65536,\"entries\":[]}", "--granule 65536"},
        {HEAD ",\"max_iova\":\"0x7fffffffff\",\"entries\":[]}", "--bits"},
        {HEAD ",\"entries\":[]} {}", "something follows"},
        {HEAD ",\"entries\":[5]}", "entry 0: needs"},
        {ENTRY("3.5", "0", "0", "1"), "entry 0: needs"},
        {ENTRY("3", "4294967296", "0", "1"), "entry 0: needs"},
        {ENTRY("3", "-1", "0", "1"), "entry 0: needs"},
        {ENTRY("3", "0", "1e300", "1"), "entry 0: needs"},
        {ENTRY("3", "0", "null", "1"), "entry 0: needs"},
        {ENTRY("3", "0", "0", "\"0x1003z\""), "entry 0: needs"},
        {ENTRY("3", "0", "1", "\"0x1003\""), "no link"},
};

static void test_bad_files(void **state)
{
	static const struct shape vtdss = {"vtdss", 48, 12, 1, 1, NULL};
	char *raw[] = {"--raw", NULL};
	struct ran r;

	(void)state;
	for (unsigned i = 0; i < NR_OF(bad_files); i++) {
		write_file(bad_files[i].file, strlen(bad_files[i].file));
		r = run_loaded(&vtdss, "dump\n", NULL);
		if (r.code != 1 || !strstr(r.err, bad_files[i].says) ||
		    !strstr(r.err, file_name()) || r.out[0])
			fail_msg("%s: %d '%s' not '%s'", bad_files[i].file,
			         r.code, r.err, bad_files[i].says);
		done(&r);
	}
	write_file("3 0\0 0", 7);
	r = run_loaded(&vtdss, "", NULL);
	assert_int_equal(r.code, 1);
	assert_non_null(strstr(r.err, "line 1: a zero byte"));
	done(&r);
	r = run_loaded(&vtdss, "", raw);
	assert_int_equal(r.code, 1);
	assert_non_null(strstr(r.err, "does not lie in the memory"));
	done(&r);
	remove(file_name());
	r = run_loaded(&vtdss, "", NULL);
	assert_int_equal(r.code, 1);
	assert_non_null(strstr(r.err, "cannot be read"));
	done(&r);
}

/* A load and a script on top; the file may be written by hand. */
static void test_goes_on(void **state)
{
	static const struct shape vtdss = {"vtdss", 48, 12, 1, 1, NULL};
	static const char dump[] = "# by hand\n"
	                           "0 7 0x3000 0x9001 # r\n"
	                           "\n"
	                           "1 0 0x2000 0x3003\n"
	                           "2 0 0x1000 0x2003\n"
	                           "3 0 0 0x1003\n";
	struct ran r;

	(void)state;
	write_file(dump, strlen(dump));
	r = run_loaded(&vtdss,
	               "walk 0x7123\nmap 0x8000 0 4K w\ndump\nmap 0x7000 0 "
	               "4K r\n",
	               NULL);
	assert_int_equal(r.code, 1);
	assert_non_null(strstr(r.err, "line 4: map: "));
	assert_string_equal(r.out, "walk 0x7123 0x9123 r leaf 0x7000 0x1000\n"
	                           "3 0 0x0 0x0000000000001003\n"
	                           "2 0 0x1000 0x0000000000002003\n"
	                           "1 0 0x2000 0x0000000000003003\n"
	                           "0 7 0x3000 0x0000000000009001\n"
	                           "0 8 0x3000 0x0000000000000002\n");
	done(&r);
	remove(file_name());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_round_trips),
	        cmocka_unit_test(test_damage),
	        cmocka_unit_test(test_bad_files),
	        cmocka_unit_test(test_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
