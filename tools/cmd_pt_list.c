/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice pt --list`: what the formats can be. Nothing of it is written down
 * here: tables are created with each width, granule, number of levels and
 * flag, and asked what they are.
 */
#include "tools/cmd_pt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BITS_MAX 64u
#define LEVELS_MAX 8u
/* A row of the table for each granule up to so many. */
#define ROWS_MAX 4u

/* What a format can be with one granule. In bits, bit n - 1 stands for n
 * address bits; in levels, bit n for n levels. */
struct choice {
	unsigned granule_lg2;
	unsigned first_bits, first_levels; /* the narrowest that works */
	unsigned last_levels;              /* of the last that did */
	unsigned oa_min, oa_max;
	uint64_t bits, levels, leaf_sizes;
	unsigned flags;
};

struct found {
	const char *name;
	struct sluice_pt_info usual; /* nothing but the format given */
	struct choice choice[BITS_MAX];
	unsigned nr;
};

static const struct {
	unsigned flag;
	const char *name;
} flags[] = {
        {SLUICE_PT_SIGNED, "signed"},
        {SLUICE_PT_DIRTY, "dirty"},
        {SLUICE_PT_NONCOHERENT, "noncoherent"},
        {SLUICE_PT_NO_CONTIG, "no-contig"},
};

static uint64_t bit(unsigned n)
{
	return UINT64_C(1) << n;
}

/* Number of address bits of a last address. */
static unsigned bits_of(uint64_t last)
{
	return last ? BITS_MAX - (unsigned)__builtin_clzll(last) : 0;
}

/* What a table of this configuration is, and after it has grown to its full
 * height. False: there is none. */
static int probe(const struct sluice_pt_config *cfg,
                 struct sluice_pt_info *ret_info, unsigned *ret_levels)
{
	struct sluice_pt_info tall;
	struct sluice_pt *pt;

	if (sluice_pt_create(cfg, &pt))
		return 0;
	sluice_pt_get_info(pt, ret_info);
	tall = *ret_info;
	if (!sluice_pt_map(pt,
	                   ret_info->max_iova & ~(bit(tall.granule_lg2) - 1), 0,
	                   bit(tall.granule_lg2), SLUICE_RW))
		sluice_pt_get_info(pt, &tall);
	*ret_levels = tall.levels;
	sluice_pt_destroy(pt);
	return 1;
}

static int works(const struct sluice_pt_config *cfg)
{
	struct sluice_pt *pt;

	if (sluice_pt_create(cfg, &pt))
		return 0;
	sluice_pt_destroy(pt);
	return 1;
}

/* Takes a width in. Many levels first: their tables are the smaller ones.
 * False: this granule is none of the format. */
static int try_bits(enum sluice_pt_format format, struct choice *c,
                    unsigned bits)
{
	for (unsigned levels = LEVELS_MAX + 1; levels--;) {
		const struct sluice_pt_config cfg = {
		        .format = format,
		        .iova_bits = bits,
		        .granule_lg2 = c->granule_lg2,
		        .levels = levels,
		};
		struct sluice_pt_info info;
		unsigned most;

		if (!probe(&cfg, &info, &most))
			continue;
		/* Formats with one granule do not look at it. */
		if (info.granule_lg2 != c->granule_lg2)
			return 0;
		if (!c->bits) {
			c->first_bits = bits;
			c->first_levels = levels;
		}
		c->last_levels = levels;
		c->bits |= bit(bits - 1);
		c->leaf_sizes |= info.leaf_sizes;
		for (unsigned n = info.levels; n <= most; n++)
			c->levels |= bit(n);
		break;
	}
	return 1;
}

static struct sluice_pt_config config(enum sluice_pt_format format,
                                      const struct choice *c, unsigned bits)
{
	return (struct sluice_pt_config){
	        .format = format,
	        .iova_bits = bits,
	        .granule_lg2 = c->granule_lg2,
	        .levels = bits == c->first_bits ? c->first_levels
	                                        : c->last_levels,
	};
}

/* Every format takes this flag: does it change anything? */
static int has_contig(enum sluice_pt_format format, const struct choice *c)
{
	struct sluice_pt_config cfg = config(format, c, bits_of(c->bits));
	struct sluice_pt_info with;
	struct sluice_pt_info without;
	unsigned most;

	if (!probe(&cfg, &with, &most))
		return 0;
	cfg.flags = SLUICE_PT_NO_CONTIG;
	return probe(&cfg, &without, &most) &&
	       with.leaf_sizes != without.leaf_sizes;
}

static int flag_works(enum sluice_pt_format format, const struct choice *c,
                      unsigned flag)
{
	if (flag == SLUICE_PT_NO_CONTIG)
		return has_contig(format, c);
	for (unsigned bits = 1; bits <= BITS_MAX; bits++) {
		struct sluice_pt_config cfg = config(format, c, bits);

		cfg.flags = flag;
		if (c->bits & bit(bits - 1) && works(&cfg))
			return 1;
	}
	return 0;
}

static void try_rest(enum sluice_pt_format format, struct choice *c)
{
	struct sluice_pt_config cfg = config(format, c, c->first_bits);

	cfg.oa_bits = 1;
	while (cfg.oa_bits < BITS_MAX && !works(&cfg))
		cfg.oa_bits++;
	c->oa_min = cfg.oa_bits;
	cfg.oa_bits = BITS_MAX;
	while (cfg.oa_bits > c->oa_min && !works(&cfg))
		cfg.oa_bits--;
	c->oa_max = cfg.oa_bits;
	for (size_t i = 0; i < PTCMD_NR_OF(flags); i++)
		if (flag_works(format, c, flags[i].flag))
			c->flags |= flags[i].flag;
}

static int find(enum sluice_pt_format format, struct found *f)
{
	const struct sluice_pt_config usual = {.format = format};
	unsigned most;

	f->name = sluice_pt_format_name(format);
	f->nr = 0;
	if (!probe(&usual, &f->usual, &most))
		return tool_failed(PTCMD, "%s: %s", f->name,
		                   sluice_last_error());
	for (unsigned lg2 = 1; lg2 < BITS_MAX; lg2++) {
		struct choice *c = &f->choice[f->nr];
		unsigned bits = 1;

		*c = (struct choice){.granule_lg2 = lg2};
		while (bits <= BITS_MAX && try_bits(format, c, bits))
			bits++;
		if (!c->bits)
			continue;
		try_rest(format, c);
		f->nr++;
	}
	return TOOL_OK;
}

struct text {
	char s[160];
};

static void text_add(struct text *t, const char *part)
{
	size_t at = strlen(t->s);

	snprintf(t->s + at, sizeof(t->s) - at, "%s%s", at ? " " : "", part);
}

/* "32-48 52": the set bits, each number plus add; runs of more than keep as
 * first-last. */
static struct text ranges(uint64_t set, unsigned add, unsigned keep, int sizes)
{
	struct text t = {0};

	for (unsigned i = 0; i < BITS_MAX; i++) {
		unsigned last = i;
		char from[16];
		char both[40];

		if (!(set & bit(i)))
			continue;
		while (last + 1 < BITS_MAX && set & bit(last + 1))
			last++;
		if (last - i < keep)
			last = i;
		snprintf(from, sizeof(from), "%u", i + add);
		snprintf(both, sizeof(both), "%s%s%u", from,
		         last > i ? "-" : "", last + add);
		if (sizes)
			snprintf(both, sizeof(both), "%s%s%s",
			         ptcmd_size(i).text, last > i ? "-" : "",
			         last > i ? ptcmd_size(last).text : "");
		text_add(&t, last > i || sizes ? both : from);
		i = last;
	}
	return t;
}

static void print_row(const struct found *f, const struct choice *c,
                      uint64_t granules)
{
	struct text names = {0};
	char oas[32];

	for (size_t i = 0; i < PTCMD_NR_OF(flags); i++)
		if (c->flags & flags[i].flag)
			text_add(&names, flags[i].name);
	snprintf(oas, sizeof(oas), "%u-%u", c->oa_min, c->oa_max);
	printf("%-12s %-8s %-17s %-7s %-7s %-23s %s\n", f->name,
	       ranges(granules, 0, 3, 1).s, ranges(c->bits, 1, 2, 0).s, oas,
	       ranges(c->levels, 0, 1, 0).s, ranges(c->leaf_sizes, 0, 3, 1).s,
	       names.s);
}

/* Many granules go into one row. */
static void print_text(const struct found *f)
{
	struct choice all = f->choice[0];
	uint64_t granules = 0;

	for (unsigned i = 0; i < f->nr; i++) {
		const struct choice *c = &f->choice[i];

		if (f->nr <= ROWS_MAX)
			print_row(f, c, bit(c->granule_lg2));
		granules |= bit(c->granule_lg2);
		all.bits |= c->bits;
		if (c->oa_min < all.oa_min)
			all.oa_min = c->oa_min;
		if (c->oa_max > all.oa_max)
			all.oa_max = c->oa_max;
		all.levels |= c->levels;
		all.leaf_sizes |= c->leaf_sizes;
		all.flags |= c->flags;
	}
	if (f->nr > ROWS_MAX)
		print_row(f, &all, granules);
	printf("  default: granule %s, bits %u, oa bits %u, levels %u, "
	       "root_bytes %" PRIu64 "\n",
	       ptcmd_size(f->usual.granule_lg2).text,
	       bits_of(f->usual.max_iova), bits_of(f->usual.max_oa),
	       f->usual.levels, f->usual.root_bytes);
}

static cJSON *choice_json(const struct choice *c)
{
	cJSON *obj = cJSON_CreateObject();
	cJSON *names = cJSON_CreateArray();

	cJSON_AddNumberToObject(obj, "granule_lg2", c->granule_lg2);
	cJSON_AddItemToObject(obj, "bits", ptcmd_bits_json(c->bits, 1));
	cJSON_AddNumberToObject(obj, "oa_bits_min", c->oa_min);
	cJSON_AddNumberToObject(obj, "oa_bits_max", c->oa_max);
	cJSON_AddItemToObject(obj, "levels", ptcmd_bits_json(c->levels, 0));
	cJSON_AddItemToObject(obj, "leaves_lg2",
	                      ptcmd_bits_json(c->leaf_sizes, 0));
	for (size_t i = 0; i < PTCMD_NR_OF(flags); i++)
		if (c->flags & flags[i].flag)
			cJSON_AddItemToArray(names,
			                     cJSON_CreateString(flags[i].name));
	cJSON_AddItemToObject(obj, "flags", names);
	return obj;
}

static cJSON *found_json(const struct found *f)
{
	cJSON *obj = cJSON_CreateObject();
	cJSON *usual = cJSON_AddObjectToObject(obj, "default");
	cJSON *choices = cJSON_AddArrayToObject(obj, "granules");

	cJSON_AddStringToObject(obj, "name", f->name);
	tool_json_u64(usual, "granule_lg2", f->usual.granule_lg2);
	tool_json_u64(usual, "bits", bits_of(f->usual.max_iova));
	tool_json_u64(usual, "oa_bits", bits_of(f->usual.max_oa));
	tool_json_u64(usual, "levels", f->usual.levels);
	tool_json_u64(usual, "root_bytes", f->usual.root_bytes);
	cJSON_AddItemToObject(usual, "leaves_lg2",
	                      ptcmd_bits_json(f->usual.leaf_sizes, 0));
	for (unsigned i = 0; i < f->nr; i++)
		cJSON_AddItemToArray(choices, choice_json(&f->choice[i]));
	return obj;
}

int ptcmd_list(int format, int json)
{
	cJSON *doc = json ? cJSON_CreateObject() : NULL;
	cJSON *list = NULL;
	int rc = TOOL_OK;

	if (json) {
		cJSON_AddStringToObject(doc, "schema", "sluice-pt-list/1");
		list = cJSON_AddArrayToObject(doc, "formats");
	} else {
		printf("%-12s %-8s %-17s %-7s %-7s %-23s %s\n", "FORMAT",
		       "GRANULE", "BITS", "OA BITS", "LEVELS", "LEAVES",
		       "FLAGS");
	}
	for (int i = 0; i < SLUICE_PT_NR_FORMATS && rc == TOOL_OK; i++) {
		struct found f;

		if (format >= 0 && i != format)
			continue;
		rc = find((enum sluice_pt_format)i, &f);
		if (rc == TOOL_OK && json)
			cJSON_AddItemToArray(list, found_json(&f));
		else if (rc == TOOL_OK)
			print_text(&f);
	}
	if (json && rc == TOOL_OK)
		rc = tool_write_json(PTCMD, "-", doc);
	cJSON_Delete(doc);
	return rc;
}
