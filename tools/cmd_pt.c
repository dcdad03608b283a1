/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice pt`: runs a script of page-table operations from stdin on a table
 * and prints what comes out. A debugging tool, and a port for tests of other
 * walkers. A client of <sluice/pagetable.h> like any other.
 */
#include "tools/cmd_pt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words of a line, with room for a NULL behind the last. */
struct words {
	char **w;
	int nr;
	int max;
};

static int words_add(struct words *ws, char *w)
{
	if (ws->nr == ws->max) {
		int max = ws->max ? 2 * ws->max : 16;
		char **bigger = realloc(ws->w, (size_t)max * sizeof(*ws->w));

		if (!bigger)
			return -1;
		ws->w = bigger;
		ws->max = max;
	}
	ws->w[ws->nr++] = w;
	return 0;
}

static const struct ptcmd_command *find(const struct ptcmd_command *c,
                                        const char *name)
{
	while (c->name && strcmp(c->name, name))
		c++;
	return c->name ? c : NULL;
}

static void unknown(struct ptcmd *s, const char *name)
{
	const struct ptcmd_command *const lists[] = {ptcmd_edits, ptcmd_looks};
	char text[256] = "unknown command: known are";

	for (size_t i = 0; i < PTCMD_NR_OF(lists); i++) {
		for (const struct ptcmd_command *c = lists[i]; c->name; c++) {
			size_t at = strlen(text);

			snprintf(text + at, sizeof(text) - at, " %s", c->name);
		}
	}
	ptcmd_complain(s, name, text);
}

static void run_words(struct ptcmd *s, const struct words *ws)
{
	const struct ptcmd_command *c = find(ptcmd_edits, ws->w[0]);
	char text[64];

	if (!c)
		c = find(ptcmd_looks, ws->w[0]);
	if (!c) {
		unknown(s, ws->w[0]);
	} else if (ws->nr - 2 < c->min || ws->nr - 2 > c->max) {
		snprintf(text, sizeof(text), "write: %s %s", c->name, c->usage);
		ptcmd_complain(s, ws->w[0], text);
	} else {
		c->run(s, ws->w + 1);
	}
}

static void run_line(struct ptcmd *s, char *text, struct words *ws)
{
	char *save = NULL;
	int bad = 0;

	text[strcspn(text, "#")] = '\0';
	ws->nr = 0;
	for (char *w = strtok_r(text, " \t\r\n", &save); w && !bad;
	     w = strtok_r(NULL, " \t\r\n", &save))
		bad = words_add(ws, w);
	if (!bad && ws->nr == 0)
		return;
	bad = bad || words_add(ws, NULL);
	if (bad)
		ptcmd_complain(s, "script", "no memory for the line");
	else
		run_words(s, ws);
}

static void run_script(struct ptcmd *s, FILE *in)
{
	struct words ws = {0};
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&text, &size, in)) >= 0) {
		s->line++;
		if (strlen(text) == (size_t)len)
			run_line(s, text, &ws);
		else
			ptcmd_complain(s, "script",
			               "a zero byte: not a text file");
	}
	free(text);
	free(ws.w);
	if (ferror(in)) {
		s->line++;
		ptcmd_complain(s, "script", "stdin cannot be read");
	}
}

/* --decode: the exit code. */
static int decode(const struct ptcmd_options *o, struct ptcmd *s)
{
	if (ptcmd_explain(s, o->word, (uint32_t)o->level))
		return tool_usage(PTCMD, "--level %" PRIu64 ": %s", o->level,
		                  sluice_last_error());
	return TOOL_OK;
}

static int run(struct ptcmd_options *o, struct ptcmd *s)
{
	int rc;

	/* A level that only wide addresses have is one of the format too. */
	if (o->has_word && o->level >= 3 && o->level < 6 && !o->levels &&
	    sluice_pt_format_by_name(s->format) == SLUICE_PT_AMDV1)
		o->levels = o->level + 1;
	rc = ptcmd_create(o, s);

	if (rc >= 0)
		return rc;
	if (o->has_word)
		return decode(o, s);
	rc = ptcmd_load(o, s);
	if (rc >= 0)
		return rc;
	run_script(s, stdin);
	return TOOL_OK;
}

int cmd_pt(int argc, char **argv)
{
	struct ptcmd_options o = {0};
	struct ptcmd s = {0};
	int format = -1;
	int rc = ptcmd_options(argc, argv, &o);

	if (rc >= 0)
		return rc;
	if (o.format) {
		format = sluice_pt_format_by_name(o.format);
		if (format < 0)
			return tool_usage(PTCMD, "%s", sluice_last_error());
	}
	if (o.list) {
		rc = ptcmd_list(format, o.json);
	} else {
		s.format = sluice_pt_format_name((enum sluice_pt_format)format);
		s.json = o.json;
		rc = run(&o, &s);
		if (s.results)
			ptcmd_json(&s, 0);
		sluice_pt_destroy(s.pt);
	}
	if (fflush(stdout))
		return tool_failed(PTCMD, "writing the results failed: %s",
		                   strerror(errno));
	return s.failed ? TOOL_FAILED : rc;
}
