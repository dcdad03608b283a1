/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of a `sluice pt` script that look at a table: walks, dirty
 * marks, what it is, what it holds, dumps and images of it.
 */
#include "tools/cmd_pt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one dirtymap: 128 MiB of bits. */
#define DIRTYMAP_PAGES_LG2 30

static void do_walk(struct ptcmd *s, char **arg)
{
	struct sluice_pt_extent e;
	uint64_t iova;
	cJSON *obj;
	int err;

	if (ptcmd_number(s, "walk", arg[0], &iova))
		return;
	err = sluice_pt_walk(s->pt, iova, &e);
	if (err) {
		ptcmd_complain_err(s, "walk", err);
		return;
	}
	obj = ptcmd_result(s, "walk");
	if (!obj) {
		printf("walk 0x%" PRIx64 " 0x%" PRIx64 " %s leaf 0x%" PRIx64
		       " 0x%" PRIx64 "\n",
		       iova, e.oa + (iova - e.iova), ptcmd_prot_name(e.prot),
		       e.iova, e.len);
		return;
	}
	ptcmd_hex(obj, "asked", iova);
	ptcmd_hex(obj, "iova", e.iova);
	ptcmd_hex(obj, "oa", e.oa);
	ptcmd_hex(obj, "len", e.len);
	cJSON_AddStringToObject(obj, "prot", ptcmd_prot_name(e.prot));
}

static int clear_asked(struct ptcmd *s, const char *cmd, const char *arg,
                       int *ret)
{
	*ret = arg != NULL;
	if (!arg || !strcmp(arg, "clear"))
		return 0;
	ptcmd_complain(s, cmd, "after LEN only 'clear' may follow");
	return -1;
}

static void do_dirty(struct ptcmd *s, char **arg)
{
	uint64_t iova;
	uint64_t len;
	int64_t bytes;
	int clear;
	cJSON *obj;

	if (ptcmd_range(s, "dirty", arg, &iova, &len) ||
	    clear_asked(s, "dirty", arg[2], &clear))
		return;
	bytes = sluice_pt_dirty(s->pt, iova, len, clear);
	if (bytes < 0) {
		ptcmd_complain_err(s, "dirty", bytes);
		return;
	}
	obj = ptcmd_result(s, "dirty");
	if (obj)
		tool_json_u64(obj, "bytes", (uint64_t)bytes);
	else
		printf("dirty %" PRId64 "\n", bytes);
}

static void show_dirty(struct ptcmd *s, uint64_t iova, uint64_t len)
{
	cJSON *obj = ptcmd_result(s, "dirtymap");

	if (!obj) {
		printf("dirtymap 0x%" PRIx64 " 0x%" PRIx64 "\n", iova, len);
		return;
	}
	ptcmd_hex(obj, "iova", iova);
	ptcmd_hex(obj, "len", len);
}

static void show_bitmap(struct ptcmd *s, const uint64_t *bitmap, uint64_t nr,
                        uint64_t iova, unsigned page_lg2)
{
	uint64_t first = 0; /* of the run of dirty pages that ends at i */

	for (uint64_t i = 0; i < nr; i++) {
		if (i % 64 == 0 && first == i && !bitmap[i / 64]) {
			i += 63;
			first = i + 1;
			continue;
		}
		if (bitmap[i / 64] >> i % 64 & 1)
			continue;
		if (first < i)
			show_dirty(s, iova + (first << page_lg2),
			           (i - first) << page_lg2);
		first = i + 1;
	}
	if (first < nr)
		show_dirty(s, iova + (first << page_lg2),
		           (nr - first) << page_lg2);
}

static void do_dirtymap(struct ptcmd *s, char **arg)
{
	struct sluice_pt_info info;
	uint64_t *bitmap;
	uint64_t iova;
	uint64_t len;
	uint64_t pages;
	int64_t bytes;
	int clear;

	if (ptcmd_range(s, "dirtymap", arg, &iova, &len) ||
	    clear_asked(s, "dirtymap", arg[2], &clear))
		return;
	sluice_pt_get_info(s->pt, &info);
	pages = len >> info.granule_lg2;
	if (pages >> DIRTYMAP_PAGES_LG2 > 1) {
		ptcmd_complain(s, "dirtymap",
		               "LEN has too many pages for one map: ask for at "
		               "most 2^30 at a time");
		return;
	}
	bitmap = calloc(pages / 64 + 1, sizeof(*bitmap));
	if (!bitmap) {
		ptcmd_complain(s, "dirtymap", "no memory for the bits");
		return;
	}
	bytes = sluice_pt_dirty_bitmap(s->pt, iova, len, clear, bitmap);
	if (bytes < 0)
		ptcmd_complain_err(s, "dirtymap", bytes);
	else
		show_bitmap(s, bitmap, pages, iova, info.granule_lg2);
	free(bitmap);
}

static int dump_text(void *ctx, const struct sluice_pt_word *w)
{
	(void)ctx;
	printf("%" PRIu32 " %" PRIu32 " 0x%" PRIx64 " 0x%016" PRIx64 "\n",
	       w->level, w->index, w->table, w->word);
	return 0;
}

static void do_dump(struct ptcmd *s, char **arg)
{
	int err;

	if (arg[0] && strcmp(arg[0], "--json")) {
		ptcmd_complain(s, "dump", "takes nothing but --json");
		return;
	}
	err = s->json || arg[0] ? ptcmd_json(s, 1)
	                        : sluice_pt_dump(s->pt, dump_text, NULL);
	if (err)
		ptcmd_complain_err(s, "dump", err);
}

static void do_info(struct ptcmd *s, char **arg)
{
	struct sluice_pt_info info;
	cJSON *obj = ptcmd_result(s, "info");

	(void)arg;
	sluice_pt_get_info(s->pt, &info);
	if (obj) {
		cJSON_AddStringToObject(obj, "format", s->format);
		ptcmd_hex(obj, "max_iova", info.max_iova);
		ptcmd_hex(obj, "max_oa", info.max_oa);
		tool_json_u64(obj, "granule_lg2", info.granule_lg2);
		tool_json_u64(obj, "levels", info.levels);
		tool_json_u64(obj, "root_bytes", info.root_bytes);
		cJSON_AddItemToObject(obj, "leaves_lg2",
		                      ptcmd_bits_json(info.leaf_sizes, 0));
		return;
	}
	printf("info %s max_iova 0x%" PRIx64 " max_oa 0x%" PRIx64
	       " granule %s levels %u root_bytes %" PRIu64 " leaves",
	       s->format, info.max_iova, info.max_oa,
	       ptcmd_size(info.granule_lg2).text, info.levels, info.root_bytes);
	for (unsigned i = 0; i < 64; i++)
		if (info.leaf_sizes >> i & 1)
			printf(" %s", ptcmd_size(i).text);
	putchar('\n');
}

static void stats_json(cJSON *obj, const struct sluice_pt_stats *st)
{
	cJSON *leaves = cJSON_CreateArray();

	tool_json_u64(obj, "tables", st->tables);
	tool_json_u64(obj, "bytes", st->table_bytes);
	tool_json_u64(obj, "shared_bytes", st->shared_bytes);
	cJSON_AddItemToObject(obj, "leaves", leaves);
	for (unsigned i = 0; i < 64; i++) {
		cJSON *size;

		if (!st->leaves[i])
			continue;
		size = cJSON_CreateObject();
		cJSON_AddNumberToObject(size, "lg2", i);
		tool_json_u64(size, "count", st->leaves[i]);
		cJSON_AddItemToArray(leaves, size);
	}
}

static void do_stats(struct ptcmd *s, char **arg)
{
	struct sluice_pt_stats st;
	cJSON *obj = ptcmd_result(s, "stats");

	(void)arg;
	sluice_pt_get_stats(s->pt, &st);
	if (obj) {
		stats_json(obj, &st);
		return;
	}
	printf("stats tables %" PRIu64 " bytes %" PRIu64 " leaves", st.tables,
	       st.table_bytes);
	for (unsigned i = 0; i < 64; i++)
		if (st.leaves[i])
			printf(" %s:%" PRIu64, ptcmd_size(i).text,
			       st.leaves[i]);
	putchar('\n');
}

static int write_file(const char *path, const void *buf, size_t size)
{
	FILE *f = fopen(path, "wb");
	int bad;

	if (!f)
		return -1;
	bad = fwrite(buf, 1, size, f) != size;
	bad |= fclose(f) != 0;
	return bad ? -1 : 0;
}

static void show_image(struct ptcmd *s, uint64_t base, const char *path,
                       const void *buf, int64_t size)
{
	char why[256];
	cJSON *obj;

	if (write_file(path, buf, (size_t)size)) {
		snprintf(why, sizeof(why), "%.150s: cannot be written: %s",
		         path, strerror(errno));
		ptcmd_complain(s, "image", why);
		return;
	}
	obj = ptcmd_result(s, "image");
	if (!obj) {
		printf("image 0x%" PRIx64 " %" PRId64 "\n", base, size);
		return;
	}
	ptcmd_hex(obj, "base", base);
	tool_json_u64(obj, "bytes", (uint64_t)size);
}

static void do_image(struct ptcmd *s, char **arg)
{
	uint64_t base;
	int64_t size;
	void *buf;

	if (ptcmd_number(s, "image", arg[0], &base))
		return;
	size = sluice_pt_image(s->pt, base, NULL, 0);
	if (size < 0) {
		ptcmd_complain_err(s, "image", size);
		return;
	}
	buf = malloc((size_t)size);
	if (!buf) {
		ptcmd_complain(s, "image", "no memory for it");
		return;
	}
	size = sluice_pt_image(s->pt, base, buf, (uint64_t)size);
	if (size < 0)
		ptcmd_complain_err(s, "image", size);
	else
		show_image(s, base, arg[1], buf, size);
	free(buf);
}

static void do_explain(struct ptcmd *s, char **arg)
{
	uint64_t level;
	uint64_t word;
	int err;

	if (ptcmd_number(s, "explain", arg[0], &level) ||
	    ptcmd_number(s, "explain", arg[1], &word))
		return;
	/* A level that fits in no 32 bits is none either. */
	err = ptcmd_explain(s, word,
	                    level > UINT32_MAX ? UINT32_MAX : (uint32_t)level);
	if (err)
		ptcmd_complain_err(s, "explain", err);
}

const struct ptcmd_command ptcmd_looks[] = {
        {"walk", 1, 1, do_walk, "IOVA"},
        {"dirty", 2, 3, do_dirty, "IOVA LEN [clear]"},
        {"dirtymap", 2, 3, do_dirtymap, "IOVA LEN [clear]"},
        {"info", 0, 0, do_info, ""},
        {"stats", 0, 0, do_stats, ""},
        {"explain", 2, 2, do_explain, "LEVEL WORD"},
        {"dump", 0, 1, do_dump, "[--json]"},
        {"image", 2, 2, do_image, "BASE FILE"},
        {0},
};
