/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice groups`: shows the kernel's IOMMU groups as a table or as JSON, and
 * tells what keeps a group from being used. A client of <sluice/group.h> like
 * any other; names from sysfs reach the terminal defused.
 */
#include "tools/tool.h"

#include <sluice/base.h>
#include <sluice/group.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CMD "groups"
#define NAME_LEN 256

struct options {
	const char *sysfs;
	const char *explain;
	const char *json; /* file, "-" for stdout, NULL for a table */
	int compute;
	int done; /* --help or --version has been answered */
};

/* Anything but printable ASCII becomes '?': no escape sequence reaches a
 * terminal, no broken UTF-8 a JSON reader. */
static const char *shown(const char *name, char buf[NAME_LEN])
{
	size_t i;

	for (i = 0; name[i] && i < NAME_LEN - 1; i++)
		buf[i] = (char)(name[i] >= ' ' && name[i] <= '~' ? name[i]
		                                                 : '?');
	buf[i] = '\0';
	return buf;
}

static int help(void)
{
	fputs("Usage: sluice groups [OPTION]…\n"
	      "Shows the IOMMU groups of this machine: devices that can only "
	      "be given\naway together.\n\n"
	      "  --sysfs DIR     read a captured tree instead of /sys\n"
	      "  --explain NAME  one device (a PCI address such as "
	      "0000:01:00.0): its group,\n"
	      "                  what keeps it from being used, what to type\n"
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
		if (!strcmp(a, "--compute")) {
			o->compute = 1;
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
		} else if (is_option(a, "--explain")) {
			name = "--explain";
			to = &o->explain;
		}
		if (!to)
			return tool_usage(CMD, "unknown argument \"%s\"", a);
		*to = value(name, argc, argv, &i);
		if (!*to || !**to)
			return tool_usage(CMD, "%s needs a value", name);
	}
	return TOOL_OK;
}

static void print_member(const struct sluice_group_member *m)
{
	char name[NAME_LEN], driver[NAME_LEN];

	printf("%-13s %-16s", shown(m->name, name),
	       m->driver ? shown(m->driver, driver) : "-");
	if (m->is_pci)
		printf(" %04x:%04x class %06" PRIx32, m->vendor, m->device,
		       m->pci_class);
	printf("%s\n", m->is_bridge ? " bridge" : "");
}

static void print_group(const struct sluice_group_info *g)
{
	char type[NAME_LEN];

	for (uint32_t i = 0; i < g->nr_members || i == 0; i++) {
		if (i == 0)
			printf("%5d  %-9s %-4s ", g->id, shown(g->type, type),
			       g->viable ? "yes" : "no");
		else
			printf("%22s", "");
		if (i < g->nr_members)
			print_member(&g->members[i]);
		else
			puts("(no devices)");
	}
}

static void print_table(const struct sluice_group_set *set)
{
	uint32_t n = sluice_groups_count(set);
	uint32_t loose = sluice_groups_nr_ungrouped(set);
	int blocked = 0;

	if (n)
		puts("GROUP  TYPE      OK?  DEVICE        DRIVER           "
		     "ID");
	for (uint32_t i = 0; i < n; i++) {
		const struct sluice_group_info *g = sluice_groups_get(set, i);

		print_group(g);
		blocked |= !g->viable;
	}
	if (n && loose)
		puts("\nIn no group (no IOMMU translates their DMA):");
	for (uint32_t i = 0; n && i < loose; i++) {
		printf("%22s", "");
		print_member(sluice_groups_ungrouped(set, i));
	}
	if (blocked)
		puts("\nno: a member is bound to a kernel driver; "
		     "'sluice groups --explain DEVICE' says what to type.");
}

static void say_no_groups(const struct sluice_group_set *set)
{
	fprintf(stderr,
	        "sluice groups: the kernel has no IOMMU groups (%u PCI "
	        "devices without). Likely causes:\n"
	        "  the IOMMU is off in the firmware: switch VT-d, AMD-Vi or "
	        "SMMU on\n"
	        "  the kernel does not use it: boot with intel_iommu=on "
	        "(Intel); AMD and Arm need nothing\n"
	        "  this is a virtual machine without one: add a virtual IOMMU "
	        "(QEMU: -device intel-iommu)\n"
	        "What the kernel found: dmesg | grep -i -e dmar -e amd-vi -e "
	        "iommu\n",
	        sluice_groups_nr_ungrouped(set));
}

static void add_hex(cJSON *obj, const char *key, uint64_t v, int digits)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "0x%0*" PRIx64, digits, v);
	cJSON_AddStringToObject(obj, key, buf);
}

static void add_name(cJSON *obj, const char *key, const char *name)
{
	char buf[NAME_LEN];

	if (name)
		cJSON_AddStringToObject(obj, key, shown(name, buf));
	else
		cJSON_AddNullToObject(obj, key);
}

static void add_member(cJSON *array, const struct sluice_group_member *m)
{
	cJSON *o = cJSON_CreateObject();

	add_name(o, "name", m->name);
	add_name(o, "bus", m->bus);
	add_name(o, "driver", m->driver);
	cJSON_AddBoolToObject(o, "bridge", m->is_bridge);
	cJSON_AddBoolToObject(o, "blocks", m->is_blocker);
	if (m->is_pci) {
		add_hex(o, "class", m->pci_class, 6);
		add_hex(o, "vendor", m->vendor, 4);
		add_hex(o, "device", m->device, 4);
	}
	cJSON_AddItemToArray(array, o);
}

/* Everything --explain prints, so that no reader has to ask twice. */
static void add_explanation(cJSON *o, const struct sluice_group_info *g)
{
	size_t n = sluice_group_explain_viability(g, NULL, 0) + 1;
	char *text = malloc(n);

	if (!text)
		return;
	sluice_group_explain_viability(g, text, n);
	cJSON_AddStringToObject(o, "explain", text);
	free(text);
}

static void add_reason(cJSON *array, const struct sluice_group_reason *r)
{
	cJSON *o = cJSON_CreateObject();

	add_name(o, "a", r->a);
	add_name(o, "b", r->b);
	add_name(o, "rule", r->rule_name);
	add_name(o, "text", r->text);
	add_name(o, "remedy", r->remedy);
	cJSON_AddItemToArray(array, o);
}

static void add_group(cJSON *groups, const struct sluice_group_info *g)
{
	cJSON *o = cJSON_CreateObject();
	cJSON *devices, *members, *reasons, *regions;
	char buf[NAME_LEN];

	cJSON_AddNumberToObject(o, "id", g->id);
	add_name(o, "type", g->type);
	if (g->name)
		add_name(o, "name", g->name);
	devices = cJSON_AddArrayToObject(o, "devices");
	reasons = cJSON_AddArrayToObject(o, "reasons");
	for (uint32_t i = 0; i < g->nr_reasons; i++)
		add_reason(reasons, &g->reasons[i]);
	cJSON_AddBoolToObject(o, "viable", g->viable);
	add_explanation(o, g);
	members = cJSON_AddArrayToObject(o, "members");
	regions = cJSON_AddArrayToObject(o, "reserved");
	for (uint32_t i = 0; i < g->nr_members; i++) {
		const struct sluice_group_member *m = &g->members[i];

		cJSON_AddItemToArray(devices,
		                     cJSON_CreateString(shown(m->name, buf)));
		add_member(members, m);
	}
	for (uint32_t i = 0; i < g->nr_regions; i++) {
		cJSON *r = cJSON_CreateObject();

		add_hex(r, "first", g->regions[i].first, 16);
		add_hex(r, "last", g->regions[i].last, 16);
		add_name(r, "type", g->regions[i].text);
		cJSON_AddItemToArray(regions, r);
	}
	cJSON_AddItemToArray(groups, o);
}

/* All groups, or only one. */
static int write_json(const struct options *o,
                      const struct sluice_group_set *set,
                      const struct sluice_group_info *only)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *groups, *loose;
	char buf[NAME_LEN];
	int rc;

	cJSON_AddStringToObject(root, "schema", "sluice-groups/1");
	groups = cJSON_AddArrayToObject(root, "groups");
	loose = cJSON_AddArrayToObject(root, "ungrouped");
	for (uint32_t i = 0; !only && i < sluice_groups_count(set); i++)
		add_group(groups, sluice_groups_get(set, i));
	if (only)
		add_group(groups, only);
	for (uint32_t i = 0; !only && i < sluice_groups_nr_ungrouped(set); i++)
		cJSON_AddItemToArray(
		        loose,
		        cJSON_CreateString(shown(
		                sluice_groups_ungrouped(set, i)->name, buf)));
	rc = tool_write_json(CMD, o->json, root);
	cJSON_Delete(root);
	return rc;
}

static int print_explanation(const struct sluice_group_info *g)
{
	size_t n = sluice_group_explain_viability(g, NULL, 0) + 1;
	char *text = malloc(n), word[NAME_LEN];

	if (!text)
		return tool_failed(CMD, "no memory for the explanation");
	printf("group %d, type %s, %u devices:\n", g->id, shown(g->type, word),
	       g->nr_members);
	for (uint32_t i = 0; i < g->nr_members; i++) {
		printf("  ");
		print_member(&g->members[i]);
	}
	if (g->nr_regions)
		puts("reserved addresses:");
	for (uint32_t i = 0; i < g->nr_regions; i++)
		printf("  0x%016" PRIx64 "-0x%016" PRIx64 " %s\n",
		       g->regions[i].first, g->regions[i].last,
		       shown(g->regions[i].text, word));
	sluice_group_explain_viability(g, text, n);
	printf("\n%s", text);
	free(text);
	return TOOL_OK;
}

static int explain(const struct options *o, const struct sluice_group_set *set)
{
	const struct sluice_group_info *g;
	char bdf[NAME_LEN];

	g = sluice_groups_find(set, o->explain);
	if (g)
		return o->json ? write_json(o, set, g) : print_explanation(g);
	if (!sluice_groups_count(set))
		say_no_groups(set);
	snprintf(bdf, sizeof(bdf), "0000:%s", o->explain);
	for (uint32_t i = 0; i < sluice_groups_nr_ungrouped(set); i++)
		if (!strcmp(sluice_groups_ungrouped(set, i)->name, bdf) ||
		    !strcmp(sluice_groups_ungrouped(set, i)->name, bdf + 5))
			return tool_failed(CMD,
			                   "%s is in no group: no IOMMU "
			                   "translates its DMA, so it cannot "
			                   "be given away safely",
			                   o->explain);
	return tool_failed(CMD,
	                   "no device \"%s\" here: 'sluice groups' lists them, "
	                   "PCI addresses look like 0000:01:00.0",
	                   o->explain);
}

int cmd_groups(int argc, char **argv)
{
	struct options o = {0};
	struct sluice_group_set *set;
	int rc = parse(argc, argv, &o);

	if (rc || o.done)
		return rc;
	if (o.compute ? sluice_groups_compute(o.sysfs, &set)
	              : sluice_groups_read(o.sysfs, &set))
		return tool_failed(CMD, "%s", sluice_last_error());
	if (o.explain) {
		rc = explain(&o, set);
	} else {
		if (o.json)
			rc = write_json(&o, set, NULL);
		else
			print_table(set);
		if (!sluice_groups_count(set))
			say_no_groups(set);
	}
	sluice_group_set_free(set);
	return rc;
}
