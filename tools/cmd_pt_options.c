/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `sluice pt`: what may stand there, and the table that it
 * asks for. Knows no script and no file.
 */
#include "tools/cmd_pt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FORMATS                                                                \
	"x86_64 (amdv2), vtdss, amdv1, arm_lpae_s1, arm_lpae_s2,\n"            \
	"                  riscv, riscv_g, s390 or tce"

static const char help[] =
        "Usage: sluice pt --format F [OPTION]...\n"
        "       sluice pt --format F --decode WORD --level L [OPTION]...\n"
        "       sluice pt --list [--format F] [--json]\n"
        "Builds a page table from a script on stdin and prints results; says "
        "what a\n"
        "table word means; lists what the formats can be.\n"
        "\n"
        "  --format F      " FORMATS "\n"
        "  --bits N        input address bits (also --ias, --window)\n"
        "  --oas N         output address bits\n"
        "  --granule G     smallest page: 4k, 16k, 64k, 2m, ... or its log2\n"
        "  --levels N      levels of tables: tce has a choice, amdv1 grows\n"
        "  --signed        both halves of sign-extended addresses\n"
        "  --dirty         the walker keeps dirty marks\n"
        "  --noncoherent   the walker does not snoop CPU caches\n"
        "  --no-contig     no contiguous entries\n"
        "  --load FILE     a dump, as text or JSON, that fills the table "
        "first\n"
        "  --raw           FILE is memory: --base A, its address (0), and\n"
        "                  --root A, that of the root table (base); amdv1 "
        "needs --levels\n"
        "  --json          print each dump as one JSON document on one line; "
        "other\n"
        "                  results go into its \"results\"\n"
        "  --help, --version\n"
        "\n"
        "Script, one command a line, # begins a comment:\n"
        "  map IOVA OA LEN PROT           PROT is r, w or rw\n"
        "  mapsg IOVA PROT OA LEN [OA LEN ...]\n"
        "  unmap IOVA LEN                 removed IOVA OA LEN PROT\n"
        "  detach IOVA LEN                drops what is there, holes or not\n"
        "  protect IOVA LEN PROT\n"
        "  split IOVA LEN                 split LEAVES\n"
        "  promote IOVA LEN               promoted LEAVES\n"
        "  reclaim IOVA LEN               reclaimed BYTES\n"
        "  touch IOVA                     marks the leaf dirty, as a device's "
        "write\n"
        "  walk IOVA                      walk IOVA OA PROT leaf IOVA LEN\n"
        "  dirty IOVA LEN [clear]         dirty BYTES\n"
        "  dirtymap IOVA LEN [clear]      dirtymap IOVA LEN, for each run\n"
        "  info, stats                    what the table is; what it holds\n"
        "  explain LEVEL WORD             what the word would mean\n"
        "  dump [--json]                  LEVEL INDEX TABLE WORD\n"
        "  image BASE FILE                writes the tables as memory at "
        "BASE\n"
        "On the right: what is printed. Before it, 'invalidate IOVA LEN' for "
        "each\n"
        "range that walkers have to forget.\n"
        "Numbers are decimal or 0x..., with K, M or G for 2^10, 2^20, 2^30.\n"
        "In a dump, TABLE is the offset of the table from the root, and a "
        "word\n"
        "that links to a table holds the offset of that table.\n"
        "\n"
        "A line that fails is reported on stderr and the rest goes on.\n"
        "Exit code: 0 all lines worked, 1 a line or a file failed, 2 wrong "
        "usage.\n";

struct number_option {
	const char *name;
	uint64_t *at;
	int *given; /* NULL: 0 says that it was not */
	uint64_t min, max;
	const char *want;
};

/* 1: taken; 0: no option of this kind. */
static int take_flag(struct ptcmd_options *o, const char *name)
{
	static const struct {
		const char *name;
		unsigned flag;
	} flags[] = {
	        {"--signed", SLUICE_PT_SIGNED},
	        {"--dirty", SLUICE_PT_DIRTY},
	        {"--noncoherent", SLUICE_PT_NONCOHERENT},
	        {"--no-contig", SLUICE_PT_NO_CONTIG},
	};

	if (!strcmp(name, "--list"))
		return o->list = 1;
	if (!strcmp(name, "--raw"))
		return o->raw = 1;
	for (size_t i = 0; i < PTCMD_NR_OF(flags); i++) {
		if (strcmp(name, flags[i].name))
			continue;
		o->flags |= flags[i].flag;
		return 1;
	}
	return 0;
}

/* As take_value(). */
static int take_number(struct ptcmd_options *o, const char *name,
                       const char *text)
{
	static const char bits[] = "a number of address bits, 1 to 64";
	static const char any[] = "a number, decimal or 0x...";
	const struct number_option numbers[] = {
	        {"--bits", &o->bits, NULL, 1, 64, bits},
	        {"--ias", &o->bits, NULL, 1, 64, bits},
	        {"--window", &o->bits, NULL, 1, 64, bits},
	        {"--oas", &o->oas, NULL, 1, 64, bits},
	        {"--levels", &o->levels, NULL, 1, 16, "1 to 16"},
	        {"--base", &o->base, &o->has_base, 0, UINT64_MAX, any},
	        {"--root", &o->root, &o->has_root, 0, UINT64_MAX, any},
	        {"--decode", &o->word, &o->has_word, 0, UINT64_MAX, any},
	        {"--level", &o->level, &o->has_level, 0, 15, "0 to 15"},
	};

	for (size_t i = 0; i < PTCMD_NR_OF(numbers); i++) {
		const struct number_option *n = &numbers[i];

		if (strcmp(name, n->name))
			continue;
		if (tool_number(text, n->min, n->max, n->at))
			return -tool_usage(PTCMD, "%s %s: write %s", name, text,
			                   n->want);
		if (n->given)
			*n->given = 1;
		return 1;
	}
	return 0;
}

/* 4k, 4096 and 12 are the same. */
static int take_granule(struct ptcmd_options *o, const char *text)
{
	uint64_t n;

	if (!tool_number(text, 1, UINT64_MAX, &n) && n >= 64 && !(n & (n - 1)))
		n = (uint64_t)__builtin_ctzll(n);
	else if (tool_number(text, 1, 63, &n))
		return -tool_usage(PTCMD,
		                   "--granule %s: write the size of the "
		                   "smallest page, as 4k, 64k or 2m, or its "
		                   "log2",
		                   text);
	o->granule_lg2 = n;
	return 1;
}

/* 1: taken; 0: no option of this kind; otherwise minus the exit code. */
static int take_value(struct ptcmd_options *o, const char *name,
                      const char *text)
{
	if (!strcmp(name, "--granule"))
		return take_granule(o, text);
	if (!strcmp(name, "--format"))
		o->format = text;
	else if (!strcmp(name, "--load"))
		o->load = text;
	else
		return take_number(o, name, text);
	return 1;
}

/* What goes with what. -1: fine. */
static int check(const struct ptcmd_options *o)
{
	if (o->list && (o->load || o->has_word))
		return tool_usage(PTCMD, "--list goes with --format and --json "
		                         "only");
	if (o->list)
		return -1;
	if (!o->format)
		return tool_usage(PTCMD,
		                  "--format is missing: " FORMATS
		                  ".\nWhat each can be: sluice pt --list");
	if (o->has_word && o->load)
		return tool_usage(PTCMD, "--decode and --load do not go "
		                         "together: drop one");
	if (o->has_word != o->has_level)
		return tool_usage(PTCMD,
		                  "write --decode WORD --level L; level 0 "
		                  "holds the smallest leaves");
	if (o->raw && !o->load)
		return tool_usage(PTCMD, "--raw needs --load FILE");
	if ((o->has_base || o->has_root) && !o->raw)
		return tool_usage(PTCMD, "--base and --root need --load FILE "
		                         "--raw");
	return -1;
}

int ptcmd_options(int argc, char **argv, struct ptcmd_options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		int taken;

		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			fputs(help, stdout);
			return TOOL_OK;
		}
		if (!strcmp(argv[i], "--version"))
			return tool_version();
		if (!strcmp(argv[i], "--json")) {
			o->json = 1;
			/* Other commands name a file; here it is stdout. */
			if (value && !strcmp(value, "-"))
				i++;
			continue;
		}
		if (take_flag(o, argv[i]))
			continue;
		taken = value ? take_value(o, argv[i], value) : 0;
		if (taken < 0)
			return -taken;
		if (!taken)
			return tool_usage(PTCMD,
			                  "%s: unknown option, or its value is "
			                  "missing",
			                  argv[i]);
		i++;
	}
	return check(o);
}

int ptcmd_create(const struct ptcmd_options *o, struct ptcmd *s)
{
	const struct sluice_pt_config cfg = {
	        .format = (enum sluice_pt_format)sluice_pt_format_by_name(
	                s->format),
	        .iova_bits = (unsigned)o->bits,
	        .oa_bits = (unsigned)o->oas,
	        .granule_lg2 = (unsigned)o->granule_lg2,
	        .levels = (unsigned)o->levels,
	        .flags = o->flags,
	        .invalidate = ptcmd_invalidate,
	        .ctx = s,
	};
	int err = sluice_pt_create(&cfg, &s->pt);

	if (err == -EINVAL)
		return tool_usage(PTCMD,
		                  "%s. What works: sluice pt --list --format "
		                  "%s",
		                  sluice_last_error(), s->format);
	if (err)
		return tool_failed(PTCMD, "%s", sluice_last_error());
	return -1;
}
