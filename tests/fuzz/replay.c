/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stands in for libFuzzer's main: hands each file named on the command line,
 * and each file of a folder named there, to LLVMFuzzerTestOneInput() once. So
 * a corpus is a regression test with any compiler. Knows no format; fails when
 * there was nothing to replay.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *data;
	size_t size;
	int ok;

	if (!f || fstat(fileno(f), &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		if (f)
			fclose(f);
		return -1;
	}
	size = (size_t)st.st_size;
	/* Exactly size bytes, so that a sanitizer sees one read too many. */
	data = malloc(size ? size : 1);
	ok = data && fread(data, 1, size, f) == size;
	fclose(f);
	if (ok)
		LLVMFuzzerTestOneInput(data, size);
	else
		fprintf(stderr, "%s: cannot read\n", path);
	free(data);
	return ok ? 1 : -1;
}

/* Files replayed, or -1. */
static int replay(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0;

	if (!dir)
		return replay_file(path);
	while (n >= 0 && (e = readdir(dir))) {
		char name[4096];
		int len =
		        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);

		if (e->d_name[0] == '.')
			continue;
		if (len < 0 || (size_t)len >= sizeof(name) ||
		    replay_file(name) < 0)
			n = -1;
		else
			n++;
	}
	closedir(dir);
	return n;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int n = replay(argv[i]);

		if (n < 0)
			return 1;
		total += n;
	}
	printf("%d inputs replayed\n", total);
	return total ? 0 : 1;
}
