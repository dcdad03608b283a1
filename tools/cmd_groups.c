/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice groups`: the IOMMU groups of this machine, as the kernel has them or
 * computed, why they are as they are, and what keeps one from being used. A
 * client of <sluice/group.h> like any other.
 */
#include "tools/groups.h"

#include <sluice/base.h>

#include <stdio.h>
#include <string.h>

struct options {
	const char *sysfs;
	const char *explain;
	const char *plan;
	const char *json;    /* file, "-" for stdout, NULL for a table */
	const char *seconds; /* of --watch; NULL: until SIGINT */
	int compute;
	int dot;
	int watch;
	int done; /* --help or --version has been answered */
};

static int help(void)
{
	fputs("Usage: sluice groups [OPTION]…\n"
	      "Shows the IOMMU groups of this machine: devices that can only "
	      "be given\naway together.\n\n"
	      "  --sysfs DIR     read a captured tree instead of /sys\n"
	      "  --explain NAME  one device (a PCI address such as "
	      "0000:01:00.0): its group,\n"
	      "                  why, what keeps it from being used, what to\n"
	      "                  type\n"
	      "  --compute       groups by the rules of PCI and the platform, "
	      "without a look\n                  at the kernel's; with the "
	      "reasons\n"
	      "  --plan LIST     the domains that these devices need, "
	      "separated "
	      "by commas, and\n                  why not fewer\n"
	      "  --dot           a picture for Graphviz: sluice groups --dot | "
	      "dot -Tsvg\n"
	      "  --watch         print what changes, a line each, until "
	      "SIGINT\n"
	      "  --for SECONDS   … or for so long\n"
	      "  --json          print JSON (schema sluice-groups/1); "
	      "--json=FILE writes a file\n"
	      "  --help          this text\n"
	      "  --version       version of the tool and of the library\n\n"
	      "Exit: 0 ok, 1 the operation failed, 2 wrong usage.\n",
	      stdout);
	return TOOL_OK;
}

/* The value of an option that needs one: behind '=' or the next word. */
static const char *value(const char *opt, int argc, char **argv, int *i)
{
	size_t n = strlen(opt);

	if (argv[*i][n] == '=')
		return argv[*i] + n + 1;
	return *i + 1 < argc ? argv[++*i] : NULL;
}

static int is_option(const char *arg, const char *opt)
{
	size_t n = strlen(opt);

	return !strncmp(arg, opt, n) && (!arg[n] || arg[n] == '=');
}

static int parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], **to = NULL;
		const char *name = "--sysfs";

		if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
			o->done = 1;
			return help();
		}
		if (!strcmp(a, "--version")) {
			o->done = 1;
			return tool_version();
		}
		if (!strcmp(a, "--compute") || !strcmp(a, "--dot") ||
		    !strcmp(a, "--watch")) {
			o->compute |= a[2] == 'c';
			o->dot |= a[2] == 'd';
			o->watch |= a[2] == 'w';
			continue;
		}
		if (!strcmp(a, "--json")) {
			o->json = "-";
			/* Other commands want "--json -". */
			if (i + 1 < argc && !strcmp(argv[i + 1], "-"))
				i++;
			continue;
		}
		if (is_option(a, "--json")) {
			name = "--json";
			to = &o->json;
		} else if (is_option(a, "--sysfs")) {
			to = &o->sysfs;
		} else if (is_option(a, "--for")) {
			name = "--for";
			to = &o->seconds;
		} else if (is_option(a, "--plan")) {
			name = "--plan";
			to = &o->plan;
		} else if (is_option(a, "--explain")) {
			name = "--explain";
			to = &o->explain;
		}
		if (!to)
			return tool_usage(GROUPS_CMD, "unknown argument \"%s\"",
			                  a);
		*to = value(name, argc, argv, &i);
		if (!*to || !**to)
			return tool_usage(GROUPS_CMD, "%s needs a value", name);
	}
	return TOOL_OK;
}

/* What would be ignored is said instead. */
static int check(const struct options *o)
{
	if (o->seconds && !o->watch)
		return tool_usage(GROUPS_CMD, "--for says how long --watch "
		                              "goes on: give both");
	if (o->watch && (o->compute || o->explain || o->dot || o->plan))
		return tool_usage(GROUPS_CMD,
		                  "--watch follows the kernel's groups: "
		                  "--compute, --explain, --dot and --plan are "
		                  "commands of their own");
	return TOOL_OK;
}

static int show(const struct options *o, const struct sluice_group_set *set,
                const struct sluice_group_set *why)
{
	const struct sluice_group_info *g = NULL;
	int rc = TOOL_OK;

	if (o->plan)
		return groups_plan(o->plan, o->sysfs, o->json, set);
	if (o->explain)
		g = sluice_groups_find(set, o->explain);
	if (o->explain && (!g || !o->json))
		return groups_explain(o->explain, set, why);
	if (o->dot)
		groups_print_dot(set, why);
	else if (o->json)
		rc = groups_write_json(o->json, set, g, why);
	else
		groups_print_table(set);
	if (!sluice_groups_count(set) && !o->dot)
		groups_say_none(set);
	return rc;
}

int cmd_groups(int argc, char **argv)
{
	struct sluice_group_set *set, *why = NULL;
	struct options o = {0};
	int rc = parse(argc, argv, &o);

	if (rc || o.done)
		return rc;
	rc = check(&o);
	if (rc)
		return rc;
	if (o.watch)
		return groups_watch(o.sysfs, o.seconds, o.json);
	if (o.compute ? sluice_groups_compute(o.sysfs, &set)
	              : sluice_groups_read(o.sysfs, &set))
		return tool_failed(GROUPS_CMD, "%s", sluice_last_error());
	/* The kernel does not tell its reasons. */
	if (!o.compute && (o.explain || o.dot) &&
	    sluice_groups_compute(o.sysfs, &why)) {
		fprintf(stderr, "sluice groups: no reasons: %s\n",
		        sluice_last_error());
		why = NULL;
	}
	rc = show(&o, set, o.compute ? set : why);
	sluice_group_set_free(why);
	sluice_group_set_free(set);
	return rc;
}
