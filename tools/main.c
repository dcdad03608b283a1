/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice`: picks the command. Everything else is in cmd_*.c.
 */
#include "tools/tool.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
        {"bench", cmd_bench, "measure map, unmap and translate"},
        {"replay", cmd_replay, "replay and check kernel iommu traces"},
        {"groups", cmd_groups, "show IOMMU groups, and why"},
        {"doctor", cmd_doctor, "look this machine over, say what to type"},
        {"pt", cmd_pt, "build and dump a page table from a script"},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(FILE *to)
{
	fputs("Usage: sluice COMMAND [OPTION]…\n\nCommands:\n", to);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].what);
	fputs("\nsluice COMMAND --help tells about one of them.\n"
	      "  --help     this text\n"
	      "  --version  version of the tool and of the library\n"
	      "\nExit: 0 ok, 1 the operation failed, 2 wrong usage.\n",
	      to);
}

static int flushed(void)
{
	if (fflush(stdout) || ferror(stdout)) {
		fputs("sluice: standard output cannot be written\n", stderr);
		return TOOL_FAILED;
	}
	return TOOL_OK;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		help(stderr);
		return TOOL_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		help(stdout);
		return flushed();
	}
	if (!strcmp(argv[1], "--version")) {
		tool_version();
		return flushed();
	}
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		int rc;

		if (strcmp(argv[1], commands[i].name))
			continue;
		rc = commands[i].run(argc - 1, argv + 1);
		return flushed() ? TOOL_FAILED : rc;
	}
	fprintf(stderr, "sluice: unknown command \"%s\"\nTry: sluice --help\n",
	        argv[1]);
	return TOOL_USAGE;
}
