/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes and removes sysfs trees. Captured trees are kept as tar archives with
 * their links in a list beside them (links.txt: "PATH -> TARGET").
 */
#include "tree.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_LEN 4096

static void full_path(const struct tree *t, const char *path,
                      char buf[PATH_LEN])
{
	int n = snprintf(buf, PATH_LEN, "%s/%s", t->root, path);

	assert_in_range(n, 1, PATH_LEN - 1);
}

static void make_parents(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		*p = '/';
	}
}

void tree_new(struct tree *t)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(t->root, sizeof(t->root), "%s/sluice-groups-XXXXXX",
	         tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(t->root));
}

void tree_dir(const struct tree *t, const char *path)
{
	char full[PATH_LEN];

	full_path(t, path, full);
	make_parents(full);
	if (mkdir(full, 0755) < 0)
		assert_int_equal(errno, EEXIST);
}

void tree_blob(const struct tree *t, const char *path, const void *data,
               size_t len)
{
	char full[PATH_LEN];
	FILE *f;

	full_path(t, path, full);
	make_parents(full);
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

void tree_file(const struct tree *t, const char *path, const char *text)
{
	tree_blob(t, path, text, strlen(text));
}

void tree_link(const struct tree *t, const char *path, const char *target)
{
	char full[PATH_LEN];

	full_path(t, path, full);
	make_parents(full);
	if (unlink(full) < 0)
		assert_int_equal(errno, ENOENT);
	assert_int_equal(symlink(target, full), 0);
}

void tree_pci(const struct tree *t, const char *bdf, int group,
              const char *driver, const char *class)
{
	char path[512], target[512], dev[256];

	snprintf(dev, sizeof(dev), "devices/pci0000:00/%s", bdf);
	tree_dir(t, dev);
	snprintf(path, sizeof(path), "%s/class", dev);
	tree_file(t, path, class);
	snprintf(path, sizeof(path), "%s/vendor", dev);
	tree_file(t, path, "0x8086\n");
	snprintf(path, sizeof(path), "%s/device", dev);
	tree_file(t, path, "0x1234\n");
	snprintf(path, sizeof(path), "%s/subsystem", dev);
	tree_link(t, path, "../../../bus/pci");
	if (driver) {
		snprintf(path, sizeof(path), "%s/driver", dev);
		snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s",
		         driver);
		tree_link(t, path, target);
	}
	snprintf(path, sizeof(path), "bus/pci/devices/%s", bdf);
	snprintf(target, sizeof(target), "../../../%s", dev);
	tree_link(t, path, target);
	if (group < 0)
		return;
	snprintf(path, sizeof(path), "%s/iommu_group", dev);
	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%d",
	         group);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "kernel/iommu_groups/%d/devices/%s", group,
	         bdf);
	snprintf(target, sizeof(target), "../../../../%s", dev);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "kernel/iommu_groups/%d/type", group);
	tree_file(t, path, "DMA\n");
}

char *tree_read(const struct tree *t, const char *path)
{
	char full[PATH_LEN], *text;
	size_t n;
	FILE *f;

	full_path(t, path, full);
	f = fopen(full, "r");
	assert_non_null(f);
	text = calloc(1, 65536);
	assert_non_null(text);
	n = fread(text, 1, 65535, f);
	assert_in_range(n, 0, 65534);
	fclose(f);
	return text;
}

static void restore_links(const struct tree *t)
{
	char *text = tree_read(t, "links.txt"), *save, *line;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *arrow = strstr(line, " -> ");

		assert_non_null(arrow);
		*arrow = '\0';
		tree_link(t, line, arrow + 4);
	}
	free(text);
}

void tree_unpack(struct tree *t, const char *data, const char *name)
{
	char cmd[PATH_LEN];
	int status;

	tree_new(t);
	snprintf(cmd, sizeof(cmd),
	         "tar -xzf '%s/%s.tar.gz' -C '%s' --strip-components=1", data,
	         name, t->root);
	status = system(cmd);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	restore_links(t);
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void tree_free(struct tree *t)
{
	assert_int_equal(nftw(t->root, remove_one, 16, FTW_DEPTH | FTW_PHYS),
	                 0);
	t->root[0] = '\0';
}
