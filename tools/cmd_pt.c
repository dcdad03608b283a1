/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice pt`: runs a script of page-table operations from stdin on a fresh
 * table and prints what comes out. A debugging tool, and a port for tests of
 * other walkers. A client of <sluice/pagetable.h> like any other.
 */
#include "tools/tool.h"

#include <sluice/base.h>
#include <sluice/pagetable.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CMD "pt"
#define WORDS_MAX 8
#define EXTENTS 64

struct script {
	struct sluice_pt *pt;
	const char *format;
	unsigned long line;
	int failed;
	int json;
	cJSON *results; /* --json: what was printed since the last dump */
};

static const char help[] =
        "Usage: sluice pt --format F [--bits N] [--json]\n"
        "Builds a page table from a script on stdin and prints results.\n"
        "\n"
        "  --format F  x86_64 or vtdss\n"
        "  --bits N    address bits: x86_64 48 or 57, vtdss 39, 48 or 57 (48)\n"
        "  --json      print each dump as one JSON document on one line; "
        "other\n"
        "              results go into its \"results\"\n"
        "  --help, --version\n"
        "\n"
        "Script, one command a line, # begins a comment:\n"
        "  map IOVA OA LEN PROT     PROT is r, w or rw\n"
        "  unmap IOVA LEN           prints: removed IOVA OA LEN PROT\n"
        "  walk IOVA                prints: walk IOVA OA PROT leaf IOVA LEN\n"
        "  touch IOVA               marks the leaf dirty, as a device's write\n"
        "  dirty IOVA LEN [clear]   prints: dirty BYTES\n"
        "  dump [--json]            prints: LEVEL INDEX TABLE WORD\n"
        "Numbers are decimal or 0x..., with K, M or G for 2^10, 2^20, 2^30.\n"
        "In a dump, TABLE is the offset of the table from the root, and a "
        "word\n"
        "that links to a table holds the offset of that table.\n"
        "\n"
        "A line that fails is reported on stderr and the rest goes on.\n"
        "Exit code: 0 all lines worked, 1 a line failed, 2 wrong usage.\n";

static void complain(struct script *s, const char *what, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "line %lu: %s: %s\n", s->line, what, why);
	s->failed = 1;
}

/* The message of the library, with the name of the error. */
static void complain_err(struct script *s, const char *what, int64_t err)
{
	char text[640];

	snprintf(text, sizeof(text), "%s (%s)", sluice_last_error(),
	         sluice_errname((int)err));
	complain(s, what, text);
}

static int number(struct script *s, const char *cmd, const char *arg,
                  uint64_t *ret)
{
	char text[256];
	int err = tool_number(arg, 0, UINT64_MAX, ret);

	if (!err)
		return 0;
	snprintf(text, sizeof(text),
	         "'%.100s' %s: write decimal or 0x..., with K, M or G", arg,
	         err == -ERANGE ? "does not fit in 64 bits" : "is no number");
	complain(s, cmd, text);
	return -1;
}

static int prot_of(const char *arg, uint32_t *ret)
{
	if (!strcmp(arg, "r"))
		*ret = SLUICE_READ;
	else if (!strcmp(arg, "w"))
		*ret = SLUICE_WRITE;
	else if (!strcmp(arg, "rw"))
		*ret = SLUICE_RW;
	else
		return -1;
	return 0;
}

static const char *prot_name(uint32_t prot)
{
	static const char *const names[] = {"-", "r", "w", "rw"};

	return names[prot & SLUICE_RW];
}

static void add_hex(cJSON *obj, const char *name, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, v);
	cJSON_AddStringToObject(obj, name, text);
}

/* A new member of the results; NULL in text mode. */
static cJSON *result(struct script *s, const char *cmd)
{
	cJSON *obj;

	if (!s->json)
		return NULL;
	if (!s->results)
		s->results = cJSON_CreateArray();
	obj = cJSON_CreateObject();
	cJSON_AddNumberToObject(obj, "line", (double)s->line);
	cJSON_AddStringToObject(obj, "cmd", cmd);
	cJSON_AddItemToArray(s->results, obj);
	return obj;
}

static void show_extent(struct script *s, const char *cmd,
                        const struct sluice_pt_extent *e, uint64_t asked)
{
	cJSON *obj = result(s, cmd);

	if (obj) {
		if (!strcmp(cmd, "walk"))
			add_hex(obj, "asked", asked);
		add_hex(obj, "iova", e->iova);
		add_hex(obj, "oa", e->oa);
		add_hex(obj, "len", e->len);
		cJSON_AddStringToObject(obj, "prot", prot_name(e->prot));
	} else if (!strcmp(cmd, "walk")) {
		printf("walk 0x%" PRIx64 " 0x%" PRIx64 " %s leaf 0x%" PRIx64
		       " 0x%" PRIx64 "\n",
		       asked, e->oa + (asked - e->iova), prot_name(e->prot),
		       e->iova, e->len);
	} else {
		printf("removed 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " %s\n",
		       e->iova, e->oa, e->len, prot_name(e->prot));
	}
}

static void do_map(struct script *s, char **arg)
{
	uint64_t iova;
	uint64_t oa;
	uint64_t len;
	uint32_t prot;
	int err;

	if (number(s, "map", arg[0], &iova) || number(s, "map", arg[1], &oa) ||
	    number(s, "map", arg[2], &len))
		return;
	if (prot_of(arg[3], &prot)) {
		complain(s, "map", "PROT must be r, w or rw");
		return;
	}
	err = sluice_pt_map(s->pt, iova, oa, len, prot);
	if (err)
		complain_err(s, "map", err);
}

static void do_unmap(struct script *s, char **arg)
{
	struct sluice_pt_extent ext[EXTENTS];
	uint64_t iova;
	uint64_t len;

	if (number(s, "unmap", arg[0], &iova) ||
	    number(s, "unmap", arg[1], &len))
		return;
	do {
		uint32_t nr = EXTENTS;
		int64_t n = sluice_pt_unmap(s->pt, iova, len, ext, &nr);

		if (n < 0) {
			complain_err(s, "unmap", n);
			return;
		}
		for (uint32_t i = 0; i < nr; i++)
			show_extent(s, "unmap", &ext[i], 0);
		iova += (uint64_t)n;
		len -= (uint64_t)n;
	} while (len);
}

static void do_walk(struct script *s, char **arg)
{
	struct sluice_pt_extent leaf;
	uint64_t iova;
	int err;

	if (number(s, "walk", arg[0], &iova))
		return;
	err = sluice_pt_walk(s->pt, iova, &leaf);
	if (err)
		complain_err(s, "walk", err);
	else
		show_extent(s, "walk", &leaf, iova);
}

static void do_touch(struct script *s, char **arg)
{
	uint64_t iova;
	int err;

	if (number(s, "touch", arg[0], &iova))
		return;
	err = sluice_pt_set_dirty(s->pt, iova);
	if (err)
		complain_err(s, "touch", err);
}

static void do_dirty(struct script *s, char **arg)
{
	uint64_t iova;
	uint64_t len;
	int64_t bytes;
	cJSON *obj;

	if (number(s, "dirty", arg[0], &iova) ||
	    number(s, "dirty", arg[1], &len))
		return;
	if (arg[2] && strcmp(arg[2], "clear")) {
		complain(s, "dirty", "after LEN only 'clear' may follow");
		return;
	}
	bytes = sluice_pt_dirty(s->pt, iova, len, arg[2] != NULL);
	if (bytes < 0) {
		complain_err(s, "dirty", bytes);
		return;
	}
	obj = result(s, "dirty");
	if (obj)
		cJSON_AddNumberToObject(obj, "bytes", (double)bytes);
	else
		printf("dirty %" PRId64 "\n", bytes);
}

static int dump_text(void *ctx, const struct sluice_pt_word *w)
{
	(void)ctx;
	printf("%" PRIu32 " %" PRIu32 " 0x%" PRIx64 " 0x%016" PRIx64 "\n",
	       w->level, w->index, w->table, w->word);
	return 0;
}

/* Entries are printed one by one: a dump may have millions. */
static int dump_json(void *ctx, const struct sluice_pt_word *w)
{
	const char **comma = ctx;

	printf("%s{\"level\":%" PRIu32 ",\"index\":%" PRIu32
	       ",\"table\":\"0x%" PRIx64 "\",\"word\":\"0x%" PRIx64 "\"}",
	       *comma, w->level, w->index, w->table, w->word);
	*comma = ",";
	return 0;
}

/* One document: the results so far and, unless pt is NULL, a dump. */
static int print_json(struct script *s, const struct sluice_pt *pt)
{
	const char *comma = "";
	int err = 0;

	printf("{\"schema\":\"sluice-pt/1\",\"format\":\"%s\"", s->format);
	if (pt) {
		fputs(",\"entries\":[", stdout);
		err = sluice_pt_dump(pt, dump_json, &comma);
		putchar(']');
	}
	if (s->results) {
		char *text = cJSON_PrintUnformatted(s->results);

		if (text)
			printf(",\"results\":%s", text);
		else
			complain(s, "results", "no memory to print them");
		free(text);
		cJSON_Delete(s->results);
		s->results = NULL;
	}
	puts("}");
	return err;
}

static void do_dump(struct script *s, char **arg)
{
	int json = s->json;
	int err;

	if (arg[0] && strcmp(arg[0], "--json")) {
		complain(s, "dump", "takes nothing but --json");
		return;
	}
	json |= arg[0] != NULL;
	err = json ? print_json(s, s->pt)
	           : sluice_pt_dump(s->pt, dump_text, NULL);
	if (err)
		complain_err(s, "dump", err);
}

static const struct {
	const char *name;
	int min, max; /* arguments */
	void (*run)(struct script *s, char **arg);
	const char *usage;
} commands[] = {
        {"map", 4, 4, do_map, "write: map IOVA OA LEN PROT"},
        {"unmap", 2, 2, do_unmap, "write: unmap IOVA LEN"},
        {"walk", 1, 1, do_walk, "write: walk IOVA"},
        {"touch", 1, 1, do_touch, "write: touch IOVA"},
        {"dirty", 2, 3, do_dirty, "write: dirty IOVA LEN [clear]"},
        {"dump", 0, 1, do_dump, "write: dump [--json]"},
};

static void run_line(struct script *s, char *text)
{
	char *word[WORDS_MAX + 1] = {0};
	char *save = NULL;
	int nr = 0;

	text[strcspn(text, "#")] = '\0';
	for (char *w = strtok_r(text, " \t\r\n", &save); w && nr < WORDS_MAX;
	     w = strtok_r(NULL, " \t\r\n", &save))
		word[nr++] = w;
	if (nr == 0)
		return;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(word[0], commands[i].name))
			continue;
		if (nr - 1 < commands[i].min || nr - 1 > commands[i].max)
			complain(s, word[0], commands[i].usage);
		else
			commands[i].run(s, word + 1);
		return;
	}
	complain(s, word[0],
	         "unknown command: known are map, unmap, walk, touch, dirty "
	         "and dump");
}

static void run_script(struct script *s, FILE *in)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&text, &size, in)) >= 0) {
		s->line++;
		if (strlen(text) == (size_t)len)
			run_line(s, text);
		else
			complain(s, "script", "a zero byte: not a text file");
	}
	free(text);
	if (ferror(in)) {
		s->line++;
		complain(s, "script", "stdin cannot be read");
	}
	if (s->results)
		print_json(s, NULL);
}

/* -1: go on; otherwise the exit code. */
static int options(int argc, char **argv, struct script *s, uint64_t *bits)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(help, stdout);
			return TOOL_OK;
		}
		if (!strcmp(argv[i], "--version"))
			return tool_version();
		if (!strcmp(argv[i], "--json")) {
			s->json = 1;
			/* Other commands name a file; here it is stdout. */
			if (i + 1 < argc && !strcmp(argv[i + 1], "-"))
				i++;
		} else if (!strcmp(argv[i], "--format") && i + 1 < argc) {
			s->format = argv[++i];
		} else if (!strcmp(argv[i], "--bits") && i + 1 < argc) {
			if (tool_number(argv[++i], 1, 64, bits))
				return tool_usage(CMD,
				                  "--bits %s: not a number of "
				                  "address bits",
				                  argv[i]);
		} else {
			return tool_usage(CMD,
			                  "%s: unknown option, or its "
			                  "value is missing",
			                  argv[i]);
		}
	}
	if (!s->format)
		return tool_usage(CMD, "--format is missing: x86_64 or vtdss");
	return -1;
}

int cmd_pt(int argc, char **argv)
{
	struct script s = {0};
	uint64_t bits = 0;
	int format;
	int rc = options(argc, argv, &s, &bits);

	if (rc >= 0)
		return rc;
	format = sluice_pt_format_by_name(s.format);
	if (format < 0)
		return tool_usage(CMD, "%s", sluice_last_error());
	rc = sluice_pt_create((enum sluice_pt_format)format, (unsigned)bits, 0,
	                      &s.pt);
	if (rc == -EINVAL)
		return tool_usage(CMD, "%s", sluice_last_error());
	if (rc)
		return tool_failed(CMD, "%s", sluice_last_error());
	run_script(&s, stdin);
	sluice_pt_destroy(s.pt);
	if (fflush(stdout))
		return tool_failed(CMD, "writing the results failed: %s",
		                   strerror(errno));
	return s.failed ? TOOL_FAILED : TOOL_OK;
}
