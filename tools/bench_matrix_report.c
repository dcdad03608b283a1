/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The matrix as a table for people and as JSON (sluice-matrix/1). Measures
 * nothing.
 */
#include "tools/bench_matrix.h"
#include "tools/tool.h"

#include <inttypes.h>

const char *matrix_way_name(enum matrix_way way)
{
	static const char *const names[] = {"raw",    "single", "burst",
	                                    "bounce", "lazy",   "arena"};

	return names[way];
}

double matrix_ns(const struct matrix_cell *cell, enum matrix_way way)
{
	double best = cell->ns[way][0];

	for (int i = 1; i < MATRIX_TIMES; i++)
		if (cell->ns[way][i] > 0.0 && cell->ns[way][i] < best)
			best = cell->ns[way][i];
	return best;
}

static double ratio(const struct matrix_cell *c, enum matrix_way way)
{
	double ns = matrix_ns(c, way);

	return ns > 0.0 ? matrix_ns(c, MATRIX_RAW) / ns : 0.0;
}

static void size_name(char *to, size_t room, uint64_t len)
{
	if (len < 1 << 20)
		snprintf(to, room, "%" PRIu64 "K", len >> 10);
	else
		snprintf(to, room, "%" PRIu64 "M", len >> 20);
}

static void row(FILE *to, const struct matrix_cell *c)
{
	char size[16];

	size_name(size, sizeof(size), c->len);
	fprintf(to, "%-5s %-10s %5u %5u %10.2f", size,
	        c->scattered ? "scattered"
	        : c->huge    ? "pool"
	                     : "contiguous",
	        c->depth, c->lanes, matrix_ns(c, MATRIX_RAW) / 1e3);
	for (int way = MATRIX_SINGLE; way < MATRIX_WAYS; way++) {
		double r = ratio(c, (enum matrix_way)way);

		if (r <= 0.0)
			fprintf(to, " %9s", "-");
		else
			fprintf(to, " %8.*f%c",
			        r < 10.0    ? 2
			        : r < 100.0 ? 1
			                    : 0,
			        r,
			        way == MATRIX_BOUNCE && !c->copied ? '*' : 'x');
	}
	fputc('\n', to);
}

void matrix_print(FILE *to, const struct matrix *m)
{
	const struct sluice_bounce_info *b = &m->bounce;

	fputs("buffers                      raw, us  how much faster each way "
	      "of sluice is\n",
	      to);
	fprintf(to, "%-5s %-10s %5s %5s %10s", "size", "in memory", "depth",
	        "lanes", "each");
	for (int way = MATRIX_SINGLE; way < MATRIX_WAYS; way++)
		fprintf(to, " %9s", matrix_way_name((enum matrix_way)way));
	fputc('\n', to);
	for (uint32_t i = 0; i < m->nr_cells; i++)
		row(to, &m->cell[i]);
	fprintf(to,
	        "pool: neighbours on hugetlb pages (contiguous: there were "
	        "none of those).\n"
	        "raw: one MAP_DMA and one UNMAP_DMA for each buffer. The best "
	        "of "
	        "%d turns.\n"
	        "* longer than the break-even, so mapped: ",
	        MATRIX_TIMES);
	if (b->break_even == UINT64_MAX)
		fputs("there is none up to ", to);
	else
		fprintf(to, "%" PRIu64 " KiB of at most ", b->break_even >> 10);
	fprintf(to,
	        "%" PRIu64 " KiB.\n4 KiB copied in %.2f us, mapped in "
	        "%.2f; %" PRIu64 " KiB in %.2f and %.2f.\n",
	        b->max_len >> 10, (double)b->copy_page_ns / 1e3,
	        (double)b->map_page_ns / 1e3, b->max_len >> 10,
	        (double)b->copy_max_ns / 1e3, (double)b->map_max_ns / 1e3);
}

static cJSON *way_json(const struct matrix_cell *c, enum matrix_way way)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "ns", matrix_ns(c, way));
	cJSON_AddItemToObject(
	        o, "all_ns", cJSON_CreateDoubleArray(c->ns[way], MATRIX_TIMES));
	cJSON_AddNumberToObject(o, "ratio", ratio(c, way));
	cJSON_AddNumberToObject(o, "kernel_calls", c->calls[way]);
	if (way == MATRIX_BOUNCE)
		cJSON_AddBoolToObject(o, "copied", c->copied);
	return o;
}

static cJSON *cell_json(const struct matrix_cell *c)
{
	cJSON *o = cJSON_CreateObject();

	tool_json_u64(o, "bytes", c->len);
	cJSON_AddStringToObject(o, "buffers",
	                        c->scattered ? "scattered" : "contiguous");
	cJSON_AddBoolToObject(o, "hugetlb", c->huge);
	tool_json_u64(o, "depth", c->depth);
	tool_json_u64(o, "lanes", c->lanes);
	for (int way = MATRIX_RAW; way < MATRIX_WAYS; way++)
		if (c->ns[way][0] > 0.0)
			cJSON_AddItemToObject(
			        o, matrix_way_name((enum matrix_way)way),
			        way_json(c, (enum matrix_way)way));
	return o;
}

int matrix_json(const struct matrix *m)
{
	cJSON *root = cJSON_CreateObject(), *list, *b;
	int rc;

	if (!root)
		return tool_failed(BENCH_CMD, "no memory for the JSON text");
	cJSON_AddStringToObject(root, "schema", "sluice-matrix/1");
	cJSON_AddItemToObject(root, "machine", bench_machine_json());
	list = cJSON_AddArrayToObject(root, "cells");
	for (uint32_t i = 0; i < m->nr_cells; i++)
		cJSON_AddItemToArray(list, cell_json(&m->cell[i]));
	b = cJSON_AddObjectToObject(root, "bounce");
	tool_json_u64(b, "max_len", m->bounce.max_len);
	/* Larger than any buffer that can be copied: there is none. */
	tool_json_u64(b, "break_even",
	              m->bounce.break_even > m->bounce.max_len
	                      ? m->bounce.max_len
	                      : m->bounce.break_even);
	tool_json_u64(b, "copy_page_ns", m->bounce.copy_page_ns);
	tool_json_u64(b, "copy_max_ns", m->bounce.copy_max_ns);
	tool_json_u64(b, "map_page_ns", m->bounce.map_page_ns);
	tool_json_u64(b, "map_max_ns", m->bounce.map_max_ns);
	rc = tool_write_json(BENCH_CMD, m->opts->json, root);
	cJSON_Delete(root);
	return rc;
}
