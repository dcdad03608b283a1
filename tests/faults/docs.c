/* SPDX-License-Identifier: BSD-3-Clause */
/* Text of headers, searched as it stands. */
#include "tests/faults/docs.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/sluice.h>

static char text[1 << 18];

static void give_up(const char *what, const char *name)
{
	fprintf(stderr, "%s: %s\n", name, what);
	exit(1);
}

void docs_read(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	size_t n = 0;

	if (!dir)
		give_up("cannot open the folder of the headers", folder);
	while ((e = readdir(dir))) {
		char path[1024];
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		f = fopen(path, "r");
		if (!f)
			give_up("cannot open the header", path);
		n += fread(text + n, 1, sizeof(text) - 1 - n, f);
		fclose(f);
	}
	closedir(dir);
	if (n == sizeof(text) - 1)
		give_up("the headers do not fit", folder);
}

/* The comment of fn: from "fn() - " to the end of it. */
static const char *comment(const char *fn, const char **ret_end)
{
	char head[96];
	const char *at;

	snprintf(head, sizeof(head), "%s() - ", fn);
	at = strstr(text, head);
	*ret_end = at ? strstr(at, "*/") : NULL;
	if (!at || !*ret_end)
		give_up("no comment in the headers", fn);
	return at;
}

static bool names(const char *at, const char *end, const char *word)
{
	size_t len = strlen(word);

	for (; (at = strstr(at, word)) && at < end; at += len)
		if (!isalnum((unsigned char)at[len]))
			return true;
	return false;
}

bool docs_list(const char *fn, int err)
{
	const char *end, *at = comment(fn, &end), *other;
	char word[32], name[64];

	snprintf(word, sizeof(word), "-%s", sluice_errname(err));
	if (names(at, end, word))
		return true;
	other = strstr(at, "what the kernel answered");
	if (other && other < end)
		return true;
	other = strstr(at, "rrors as ");
	if (!other || other > end ||
	    sscanf(other, "rrors as %63[a-z_]", name) != 1)
		return false;
	return docs_list(name, err);
}
