/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice doctor`: looks over this machine and says what to type so that
 * devices can be driven from user space, and fast. The checks are in
 * doctor_checks.c.
 */
#include "tools/doctor.h"
#include "tools/tool.h"

#include <stdio.h>
#include <string.h>

#define CMD "doctor"

static const char *const words[] = {
        [DOCTOR_OK] = "ok",
        [DOCTOR_NOTE] = "note",
        [DOCTOR_BROKEN] = "broken",
};

struct options {
	struct doctor_place at;
	const char *json;
	int done;
};

static int help(void)
{
	fputs("Usage: sluice doctor [OPTION]…\n"
	      "Looks over this machine: IOMMU, VFIO, groups, limits, huge "
	      "pages, "
	      "io_uring. Says\nwhat to type about what it finds; changes "
	      "nothing.\n\n"
	      "  --device BDF   look at the group of this device, too\n"
	      "  --root DIR     look at DIR/sys, DIR/proc and DIR/dev instead\n"
	      "  --json FILE    write JSON (sluice-doctor/1); - is stdout and "
	      "leaves out the text\n"
	      "  --help, --version\n\n"
	      "Exit: 0 nothing is broken, 1 something is, 2 wrong usage.\n",
	      stdout);
	return TOOL_OK;
}

static void put_root(struct options *o, const char *root)
{
	static char sys[256], proc[256], dev[256];

	snprintf(sys, sizeof(sys), "%s/sys", root);
	snprintf(proc, sizeof(proc), "%s/proc", root);
	snprintf(dev, sizeof(dev), "%s/dev", root);
	o->at.sys = sys;
	o->at.proc = proc;
	o->at.dev = dev;
}

static int parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
			o->done = 1;
			return help();
		}
		if (!strcmp(a, "--version")) {
			o->done = 1;
			return tool_version();
		}
		if (strcmp(a, "--json") != 0 && strcmp(a, "--root") != 0 &&
		    strcmp(a, "--device") != 0)
			return tool_usage(CMD, "unknown argument \"%s\"", a);
		if (++i == argc || !*argv[i])
			return tool_usage(CMD, "%s needs a value", a);
		if (!strcmp(a, "--json"))
			o->json = argv[i];
		else if (!strcmp(a, "--root"))
			put_root(o, argv[i]);
		else
			o->at.device = argv[i];
	}
	return TOOL_OK;
}

static void print(const struct doctor_finding *f)
{
	const char *line = f->fix;

	printf("%-7s %-10s %s\n", words[f->state], f->check, f->text);
	while (*line) {
		int n = (int)strcspn(line, "\n");

		printf("            %.*s\n", n, line);
		line += n + (line[n] == '\n');
	}
}

static void add(cJSON *list, const struct doctor_finding *f)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "check", f->check);
	cJSON_AddStringToObject(o, "state", words[f->state]);
	cJSON_AddStringToObject(o, "text", f->text);
	cJSON_AddStringToObject(o, "fix", f->fix);
	cJSON_AddItemToArray(list, o);
}

int cmd_doctor(int argc, char **argv)
{
	struct options o = {.at = {"/sys", "/proc", "/dev", NULL}};
	int rc = parse(argc, argv, &o);
	cJSON *root, *list;
	int broken = 0;

	if (rc || o.done)
		return rc;
	root = cJSON_CreateObject();
	cJSON_AddStringToObject(root, "schema", "sluice-doctor/1");
	list = cJSON_AddArrayToObject(root, "findings");
	for (size_t i = 0; i < doctor_nr_checks; i++) {
		struct doctor_finding f = {.check = ""};

		doctor_checks[i](&o.at, &f);
		broken += f.state == DOCTOR_BROKEN;
		add(list, &f);
		if (!o.json || strcmp(o.json, "-") != 0)
			print(&f);
	}
	if (o.json)
		rc = tool_write_json(CMD, o.json, root);
	cJSON_Delete(root);
	return rc ? rc : broken ? TOOL_FAILED : TOOL_OK;
}
