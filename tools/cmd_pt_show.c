/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How `sluice pt` reads arguments and prints: complaints, results as text or
 * gathered for a JSON document, dumps, meanings of words. Knows no command.
 */
#include "tools/cmd_pt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ptcmd_complain(struct ptcmd *s, const char *what, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "line %lu: %s: %s\n", s->line, what, why);
	s->failed = 1;
}

void ptcmd_complain_err(struct ptcmd *s, const char *what, int64_t err)
{
	char text[640];

	snprintf(text, sizeof(text), "%s (%s)", sluice_last_error(),
	         sluice_errname((int)err));
	ptcmd_complain(s, what, text);
}

int ptcmd_number(struct ptcmd *s, const char *cmd, const char *arg,
                 uint64_t *ret)
{
	char text[256];
	int err = tool_number(arg, 0, UINT64_MAX, ret);

	if (!err)
		return 0;
	snprintf(text, sizeof(text),
	         "'%.100s' %s: write decimal or 0x..., with K, M or G", arg,
	         err == -ERANGE ? "does not fit in 64 bits" : "is no number");
	ptcmd_complain(s, cmd, text);
	return -1;
}

int ptcmd_range(struct ptcmd *s, const char *cmd, char **arg,
                uint64_t *ret_iova, uint64_t *ret_len)
{
	if (ptcmd_number(s, cmd, arg[0], ret_iova))
		return -1;
	return ptcmd_number(s, cmd, arg[1], ret_len);
}

static const char *const prots[] = {"-", "r", "w", "rw"};

int ptcmd_prot(struct ptcmd *s, const char *cmd, const char *arg, uint32_t *ret)
{
	for (uint32_t i = 1; i < PTCMD_NR_OF(prots); i++) {
		if (strcmp(arg, prots[i]))
			continue;
		*ret = i;
		return 0;
	}
	ptcmd_complain(s, cmd, "PROT must be r, w or rw");
	return -1;
}

const char *ptcmd_prot_name(uint32_t prot)
{
	_Static_assert(SLUICE_READ == 1 && SLUICE_WRITE == 2,
	               "prots[] is ordered by these");
	return prots[prot & SLUICE_RW];
}

struct ptcmd_size ptcmd_size(unsigned lg2)
{
	static const char *const units[] = {"", "K", "M", "G", "T", "P", "E"};
	struct ptcmd_size size;

	snprintf(size.text, sizeof(size.text), "%u%s", 1u << lg2 % 10,
	         units[lg2 / 10 % PTCMD_NR_OF(units)]);
	return size;
}

void ptcmd_hex(cJSON *obj, const char *name, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, v);
	cJSON_AddStringToObject(obj, name, text);
}

cJSON *ptcmd_bits_json(uint64_t set, unsigned add)
{
	cJSON *array = cJSON_CreateArray();

	for (unsigned i = 0; i < 64; i++)
		if (set >> i & 1)
			cJSON_AddItemToArray(array,
			                     cJSON_CreateNumber(i + add));
	return array;
}

cJSON *ptcmd_result(struct ptcmd *s, const char *cmd)
{
	cJSON *obj;

	if (!s->json)
		return NULL;
	if (!s->results)
		s->results = cJSON_CreateArray();
	obj = cJSON_CreateObject();
	if (s->line)
		cJSON_AddNumberToObject(obj, "line", (double)s->line);
	cJSON_AddStringToObject(obj, "cmd", cmd);
	cJSON_AddItemToArray(s->results, obj);
	return obj;
}

void ptcmd_invalidate(void *ctx, sluice_iova_t iova, uint64_t len)
{
	struct ptcmd *s = ctx;
	cJSON *obj;

	obj = ptcmd_result(s, "invalidate");
	if (!obj) {
		printf("invalidate 0x%" PRIx64 " 0x%" PRIx64 "\n", iova, len);
		return;
	}
	ptcmd_hex(obj, "iova", iova);
	ptcmd_hex(obj, "len", len);
}

/* Entries are printed one by one: a dump may have millions. */
static int dump_word(void *ctx, const struct sluice_pt_word *w)
{
	const char **comma = ctx;

	printf("%s{\"level\":%" PRIu32 ",\"index\":%" PRIu32
	       ",\"table\":\"0x%" PRIx64 "\",\"word\":\"0x%" PRIx64 "\"}",
	       *comma, w->level, w->index, w->table, w->word);
	*comma = ",";
	return 0;
}

static int dump(const struct sluice_pt *pt)
{
	struct sluice_pt_info info;
	const char *comma = "";
	int err;

	sluice_pt_get_info(pt, &info);
	printf(",\"levels\":%u,\"root_bytes\":%" PRIu64 ",\"granule\":%" PRIu64
	       ",\"max_iova\":\"0x%" PRIx64 "\",\"entries\":[",
	       info.levels, info.root_bytes, UINT64_C(1) << info.granule_lg2,
	       info.max_iova);
	err = sluice_pt_dump(pt, dump_word, &comma);
	putchar(']');
	return err;
}

int ptcmd_json(struct ptcmd *s, int with_dump)
{
	int err = 0;

	printf("{\"schema\":\"sluice-pt/1\",\"format\":\"%s\"", s->format);
	if (with_dump)
		err = dump(s->pt);
	if (s->results) {
		char *text = cJSON_PrintUnformatted(s->results);

		if (text)
			printf(",\"results\":%s", text);
		else
			ptcmd_complain(s, "results", "no memory to print them");
		free(text);
		cJSON_Delete(s->results);
		s->results = NULL;
	}
	puts("}");
	return err;
}

static const char *const kinds[] = {
        [SLUICE_PT_EMPTY] = "empty",
        [SLUICE_PT_LINK] = "link",
        [SLUICE_PT_LEAF] = "leaf",
        [SLUICE_PT_INVALID] = "invalid",
};

static void mark_json(cJSON *obj, const char *name, int mark)
{
	if (mark < 0)
		cJSON_AddNullToObject(obj, name);
	else
		cJSON_AddBoolToObject(obj, name, mark);
}

static void meaning_json(cJSON *obj, const struct sluice_pt_meaning *m)
{
	cJSON_AddStringToObject(obj, "kind", kinds[m->kind]);
	if (m->kind == SLUICE_PT_LINK || m->kind == SLUICE_PT_LEAF)
		ptcmd_hex(obj, "oa", m->oa);
	ptcmd_hex(obj, "len", m->len);
	if (m->kind == SLUICE_PT_LEAF) {
		cJSON_AddNumberToObject(obj, "items", m->items);
		cJSON_AddStringToObject(obj, "prot", ptcmd_prot_name(m->prot));
		mark_json(obj, "dirty", m->dirty);
		mark_json(obj, "accessed", m->accessed);
	}
	ptcmd_hex(obj, "software", m->software);
	ptcmd_hex(obj, "unknown", m->unknown);
}

/* Index with mark + 1. */
static const char *const dirty_words[] = {"dirty marks not kept", "clean",
                                          "dirty"};
static const char *const accessed_words[] = {"access marks not kept",
                                             "not accessed", "accessed"};

static void meaning_text(const struct sluice_pt_meaning *m)
{
	switch (m->kind) {
	case SLUICE_PT_EMPTY:
		printf("empty: nothing for 0x%" PRIx64 " bytes", m->len);
		break;
	case SLUICE_PT_LINK:
		printf("link to the table at 0x%" PRIx64 " for 0x%" PRIx64
		       " bytes",
		       m->oa, m->len);
		break;
	case SLUICE_PT_LEAF:
		printf("leaf of 0x%" PRIx64 " bytes at 0x%" PRIx64
		       ", %s, %s, %s",
		       m->len, m->oa, ptcmd_prot_name(m->prot),
		       dirty_words[m->dirty + 1],
		       accessed_words[m->accessed + 1]);
		if (m->items > 1)
			printf(", %" PRIu32 " words together", m->items);
		break;
	case SLUICE_PT_INVALID:
		printf("invalid: not a word of this table");
		break;
	}
	if (m->software)
		printf(", software bits 0x%" PRIx64, m->software);
	if (m->unknown)
		printf(", unknown bits 0x%" PRIx64, m->unknown);
	putchar('\n');
}

int ptcmd_explain(struct ptcmd *s, uint64_t word, uint32_t level)
{
	struct sluice_pt_meaning m;
	cJSON *obj;
	int err = sluice_pt_explain(s->pt, word, level, &m);

	if (err)
		return err;
	obj = ptcmd_result(s, "explain");
	if (obj) {
		cJSON_AddNumberToObject(obj, "level", level);
		ptcmd_hex(obj, "word", word);
		meaning_json(obj, &m);
		return 0;
	}
	printf("explain %" PRIu32 " 0x%016" PRIx64 ": ", level, word);
	meaning_text(&m);
	return 0;
}
