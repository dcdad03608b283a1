/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice pt --load`: a dump as text or JSON, or raw memory, into a fresh
 * table. Files are input from outside and may hold anything; whether the words
 * make a table is for the library to say.
 */
#include "tools/cmd_pt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As much as a table may take: a longer file is none, or not the right part of
 * memory. */
#define FILE_MAX ((size_t)1 << 30)

struct file {
	const char *path;
	char *buf; /* with a zero byte behind the last */
	size_t size;
};

struct list {
	struct sluice_pt_word *word;
	uint64_t nr;
	uint64_t max;
};

static int list_add(struct list *l, struct sluice_pt_word w)
{
	if (l->nr == l->max) {
		uint64_t max = l->max ? 2 * l->max : 256;
		struct sluice_pt_word *bigger =
		        realloc(l->word, max * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		l->word = bigger;
		l->max = max;
	}
	l->word[l->nr++] = w;
	return 0;
}

/* The exit code of a bad file; NULL: the library's message. */
static int bad_file(const struct file *f, const char *why)
{
	return tool_failed(PTCMD, "%s: %s", f->path,
	                   why ? why : sluice_last_error());
}

static int read_all(struct file *f, FILE *in)
{
	size_t max = 0;
	size_t n = 0;

	do {
		f->size += n;
		if (f->size + 1 >= max) {
			char *bigger;

			max = max ? 2 * max : 65536;
			bigger = realloc(f->buf, max);
			if (!bigger)
				return bad_file(f, "no memory to read it");
			f->buf = bigger;
		}
		n = fread(f->buf + f->size, 1, max - 1 - f->size, in);
	} while (n && f->size + n <= FILE_MAX);
	if (n)
		return bad_file(f, "longer than 1 GiB: cut out the part that "
		                   "holds the tables");
	f->buf[f->size] = '\0';
	return ferror(in) ? bad_file(f, strerror(errno)) : -1;
}

static int read_file(struct file *f)
{
	FILE *in = fopen(f->path, "rb");
	int rc;

	if (!in)
		return tool_failed(PTCMD, "%s: cannot be read: %s", f->path,
		                   strerror(errno));
	rc = read_all(f, in);
	fclose(in);
	return rc;
}

static int bad_line(const struct file *f, unsigned long line, const char *why)
{
	return tool_failed(PTCMD, "%s: line %lu: %s", f->path, line, why);
}

/* LEVEL INDEX TABLE WORD, or nothing. -1: goes on. */
static int take_line(const struct file *f, unsigned long nr, char *text,
                     struct list *l)
{
	static const uint64_t max[] = {UINT32_MAX, UINT32_MAX, UINT64_MAX,
	                               UINT64_MAX};
	uint64_t v[PTCMD_NR_OF(max)];
	char *save = NULL;
	size_t n = 0;

	text[strcspn(text, "#")] = '\0';
	for (char *w = strtok_r(text, " \t\r", &save); w;
	     w = strtok_r(NULL, " \t\r", &save)) {
		if (n == PTCMD_NR_OF(max) || tool_number(w, 0, max[n], &v[n]))
			return bad_line(f, nr,
			                "a dump has lines of four numbers: "
			                "LEVEL INDEX TABLE WORD");
		n++;
	}
	if (n == 0)
		return -1;
	if (n < PTCMD_NR_OF(max))
		return bad_line(f, nr, "cut off: LEVEL INDEX TABLE WORD");
	if (list_add(l, (struct sluice_pt_word){.level = (uint32_t)v[0],
	                                        .index = (uint32_t)v[1],
	                                        .table = v[2],
	                                        .word = v[3]}))
		return bad_line(f, nr, "no memory for so many words");
	return -1;
}

static int words_of_text(struct file *f, struct list *l)
{
	char *end = f->buf + f->size;
	unsigned long line = 1;

	for (char *at = f->buf; at < end; line++) {
		char *next = memchr(at, '\n', (size_t)(end - at));
		int rc;

		if (!next)
			next = end;
		*next = '\0';
		if (strlen(at) != (size_t)(next - at))
			return bad_line(f, line,
			                "a zero byte: not a text "
			                "file; memory needs --raw");
		rc = take_line(f, line, at, l);
		if (rc >= 0)
			return rc;
		at = next + 1;
	}
	return -1;
}

/* A number, or a string with one. 0 or -1. */
static int json_number(const cJSON *obj, const char *name, uint64_t max,
                       uint64_t *ret)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(obj, name);

	if (cJSON_IsString(v))
		return tool_number(v->valuestring, 0, max, ret) ? -1 : 0;
	/* What a double holds exactly. */
	if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0) ||
	    v->valuedouble > 9007199254740992.0)
		return -1;
	*ret = (uint64_t)v->valuedouble;
	return (double)*ret < v->valuedouble || *ret > max ? -1 : 0;
}

static int json_entry(const cJSON *e, struct sluice_pt_word *ret)
{
	uint64_t level;
	uint64_t index;

	if (json_number(e, "level", UINT32_MAX, &level) ||
	    json_number(e, "index", UINT32_MAX, &index) ||
	    json_number(e, "table", UINT64_MAX, &ret->table) ||
	    json_number(e, "word", UINT64_MAX, &ret->word))
		return -1;
	ret->level = (uint32_t)level;
	ret->index = (uint32_t)index;
	return 0;
}

/* Where the document says what table it is of, it must be this one. */
static int check_document(const struct file *f, const cJSON *doc,
                          const struct ptcmd *s)
{
	const char *schema = cJSON_GetStringValue(
	        cJSON_GetObjectItemCaseSensitive(doc, "schema"));
	const char *format = cJSON_GetStringValue(
	        cJSON_GetObjectItemCaseSensitive(doc, "format"));
	struct sluice_pt_info info;
	uint64_t v;

	if (!schema || strcmp(schema, "sluice-pt/1"))
		return bad_file(f, "no dump: \"schema\" is not "
		                   "\"sluice-pt/1\"");
	if (!format || sluice_pt_format_by_name(format) < 0)
		return bad_file(f, "no dump: \"format\" names none");
	sluice_pt_get_info(s->pt, &info);
	if (sluice_pt_format_by_name(format) != (int)info.format)
		return tool_failed(PTCMD,
		                   "%s: a table of another format: write "
		                   "--format %s",
		                   f->path, format);
	if (!json_number(doc, "granule", UINT64_MAX, &v) &&
	    v != UINT64_C(1) << info.granule_lg2)
		return tool_failed(PTCMD,
		                   "%s: a table of %" PRIu64 "-byte pages: "
		                   "write --granule %" PRIu64,
		                   f->path, v, v);
	if (!json_number(doc, "max_iova", UINT64_MAX, &v) && v != info.max_iova)
		return tool_failed(PTCMD,
		                   "%s: a table for addresses up to 0x%" PRIx64
		                   ", not 0x%" PRIx64
		                   ": give the --bits and --signed that made "
		                   "it",
		                   f->path, v, info.max_iova);
	if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(doc, "entries")))
		return bad_file(f, "no dump: it has no array \"entries\"");
	return -1;
}

static int words_of_document(const struct file *f, const cJSON *doc,
                             const struct ptcmd *s, struct list *l)
{
	const cJSON *e;
	int rc = check_document(f, doc, s);

	if (rc >= 0)
		return rc;
	cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(doc, "entries"))
	{
		struct sluice_pt_word w;

		if (json_entry(e, &w))
			return tool_failed(PTCMD,
			                   "%s: entry %" PRIu64
			                   ": needs \"level\", \"index\", "
			                   "\"table\" and \"word\", each a "
			                   "number or a string with one",
			                   f->path, l->nr);
		if (list_add(l, w))
			return bad_file(f, "no memory for so many words");
	}
	return -1;
}

static int words_of_json(const struct file *f, const struct ptcmd *s,
                         struct list *l)
{
	const char *rest = f->buf;
	cJSON *doc = cJSON_ParseWithOpts(f->buf, &rest, 0);
	int rc;

	if (!doc)
		return tool_failed(PTCMD,
		                   "%s: no JSON from byte %zu on: give what "
		                   "'dump --json' prints",
		                   f->path, (size_t)(rest - f->buf));
	rest += strspn(rest, " \t\r\n");
	if (rest != f->buf + f->size)
		rc = bad_file(f, "something follows the document: keep one "
		                 "dump in the file");
	else
		rc = words_of_document(f, doc, s, l);
	cJSON_Delete(doc);
	return rc;
}

static int load_words(struct file *f, struct ptcmd *s)
{
	struct list l = {0};
	int rc;

	if (f->buf[strspn(f->buf, " \t\r\n")] == '{')
		rc = words_of_json(f, s, &l);
	else
		rc = words_of_text(f, &l);
	if (rc < 0 && sluice_pt_load(s->pt, l.word, l.nr))
		rc = bad_file(f, NULL);
	free(l.word);
	return rc;
}

int ptcmd_load(const struct ptcmd_options *o, struct ptcmd *s)
{
	struct file f = {.path = o->load};
	int rc;

	if (!o->load)
		return -1;
	rc = read_file(&f);
	if (rc < 0 && !o->raw)
		rc = load_words(&f, s);
	else if (rc < 0 &&
	         sluice_pt_load_image(s->pt, o->base, f.buf, f.size,
	                              o->has_root ? o->root : o->base))
		rc = bad_file(&f, NULL);
	free(f.buf);
	return rc;
}
