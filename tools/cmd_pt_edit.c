/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of a `sluice pt` script that change a table. Knows no file and
 * no dump.
 */
#include "tools/cmd_pt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define EXTENTS 64

static void do_map(struct ptcmd *s, char **arg)
{
	uint64_t iova;
	uint64_t oa;
	uint64_t len;
	uint32_t prot;
	int err;

	if (ptcmd_number(s, "map", arg[0], &iova) ||
	    ptcmd_range(s, "map", arg + 1, &oa, &len) ||
	    ptcmd_prot(s, "map", arg[3], &prot))
		return;
	err = sluice_pt_map(s->pt, iova, oa, len, prot);
	if (err)
		ptcmd_complain_err(s, "map", err);
}

static void do_mapsg(struct ptcmd *s, char **arg)
{
	struct sluice_pt_seg *seg;
	uint64_t iova;
	uint32_t prot;
	uint32_t nr = 0;
	int err;

	if (ptcmd_number(s, "mapsg", arg[0], &iova) ||
	    ptcmd_prot(s, "mapsg", arg[1], &prot))
		return;
	for (arg += 2; arg[nr]; nr++)
		;
	if (nr % 2) {
		ptcmd_complain(s, "mapsg", "the last OA has no LEN");
		return;
	}
	nr /= 2;
	seg = calloc(nr, sizeof(*seg));
	if (!seg) {
		ptcmd_complain(s, "mapsg", "no memory for the pieces");
		return;
	}
	for (uint32_t i = 0; i < nr; i++)
		if (ptcmd_range(s, "mapsg", arg + (size_t)i * 2, &seg[i].oa,
		                &seg[i].len))
			goto out;
	err = sluice_pt_map_sg(s->pt, iova, seg, nr, prot);
	if (err)
		ptcmd_complain_err(s, "mapsg", err);
out:
	free(seg);
}

static void show_removed(struct ptcmd *s, const struct sluice_pt_extent *e)
{
	cJSON *obj = ptcmd_result(s, "unmap");

	if (!obj) {
		printf("removed 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " %s\n",
		       e->iova, e->oa, e->len, ptcmd_prot_name(e->prot));
		return;
	}
	ptcmd_hex(obj, "iova", e->iova);
	ptcmd_hex(obj, "oa", e->oa);
	ptcmd_hex(obj, "len", e->len);
	cJSON_AddStringToObject(obj, "prot", ptcmd_prot_name(e->prot));
}

static void do_unmap(struct ptcmd *s, char **arg)
{
	struct sluice_pt_extent ext[EXTENTS];
	uint64_t iova;
	uint64_t len;

	if (ptcmd_range(s, "unmap", arg, &iova, &len))
		return;
	do {
		uint32_t nr = EXTENTS;
		int64_t n = sluice_pt_unmap(s->pt, iova, len, ext, &nr);

		if (n < 0) {
			ptcmd_complain_err(s, "unmap", n);
			return;
		}
		for (uint32_t i = 0; i < nr; i++)
			show_removed(s, &ext[i]);
		iova += (uint64_t)n;
		len -= (uint64_t)n;
	} while (len);
}

static void do_touch(struct ptcmd *s, char **arg)
{
	uint64_t iova;
	int err;

	if (ptcmd_number(s, "touch", arg[0], &iova))
		return;
	err = sluice_pt_set_dirty(s->pt, iova);
	if (err)
		ptcmd_complain_err(s, "touch", err);
}

static void do_protect(struct ptcmd *s, char **arg)
{
	uint64_t iova;
	uint64_t len;
	uint32_t prot;
	int err;

	if (ptcmd_range(s, "protect", arg, &iova, &len) ||
	    ptcmd_prot(s, "protect", arg[2], &prot))
		return;
	err = sluice_pt_protect(s->pt, iova, len, prot);
	if (err)
		ptcmd_complain_err(s, "protect", err);
}

/* What came of a call that counts something. */
static void show_count(struct ptcmd *s, const char *cmd, const char *text,
                       const char *name, int64_t n)
{
	cJSON *obj;

	if (n < 0) {
		ptcmd_complain_err(s, cmd, n);
		return;
	}
	obj = ptcmd_result(s, cmd);
	if (obj)
		tool_json_u64(obj, name, (uint64_t)n);
	else
		printf("%s %" PRId64 "\n", text, n);
}

static void do_split(struct ptcmd *s, char **arg)
{
	uint64_t iova;
	uint64_t len;

	if (!ptcmd_range(s, "split", arg, &iova, &len))
		show_count(s, "split", "split", "leaves",
		           sluice_pt_split(s->pt, iova, len));
}

static void do_promote(struct ptcmd *s, char **arg)
{
	uint64_t iova;
	uint64_t len;

	if (!ptcmd_range(s, "promote", arg, &iova, &len))
		show_count(s, "promote", "promoted", "leaves",
		           sluice_pt_promote(s->pt, iova, len));
}

static void do_reclaim(struct ptcmd *s, char **arg)
{
	uint64_t iova;
	uint64_t len;

	if (!ptcmd_range(s, "reclaim", arg, &iova, &len))
		show_count(s, "reclaim", "reclaimed", "bytes",
		           sluice_pt_reclaim(s->pt, iova, len));
}

static void do_detach(struct ptcmd *s, char **arg)
{
	uint64_t iova;
	uint64_t len;
	int err;

	if (ptcmd_range(s, "detach", arg, &iova, &len))
		return;
	err = sluice_pt_detach(s->pt, iova, len);
	if (err)
		ptcmd_complain_err(s, "detach", err);
}

const struct ptcmd_command ptcmd_edits[] = {
        {"map", 4, 4, do_map, "IOVA OA LEN PROT"},
        {"mapsg", 4, INT32_MAX, do_mapsg, "IOVA PROT OA LEN [OA LEN ...]"},
        {"unmap", 2, 2, do_unmap, "IOVA LEN"},
        {"detach", 2, 2, do_detach, "IOVA LEN"},
        {"protect", 3, 3, do_protect, "IOVA LEN PROT"},
        {"split", 2, 2, do_split, "IOVA LEN"},
        {"promote", 2, 2, do_promote, "IOVA LEN"},
        {"reclaim", 2, 2, do_reclaim, "IOVA LEN"},
        {"touch", 1, 1, do_touch, "IOVA"},
        {0},
};
