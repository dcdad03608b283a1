/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sysfs trees for tests: captured ones unpacked, others made file by file, all
 * in a temporary folder that goes away again. Each call fails the test when it
 * fails itself.
 */
#ifndef SLUICE_TESTS_GROUPS_TREE_H
#define SLUICE_TESTS_GROUPS_TREE_H

#include <stddef.h>

struct tree {
	char root[256];
};

void tree_new(struct tree *t);
/* A captured machine: data/NAME.tar.gz below the folder of the tests, with its
 * links; root is then that machine's folder, sysfs is root/sys. */
void tree_unpack(struct tree *t, const char *data, const char *name);
void tree_free(struct tree *t);

/* path is relative to the root; parents are made. */
void tree_dir(const struct tree *t, const char *path);
void tree_file(const struct tree *t, const char *path, const char *text);
void tree_blob(const struct tree *t, const char *path, const void *data,
               size_t len);
void tree_link(const struct tree *t, const char *path, const char *target);

/* A PCI device and its place in a group (-1: none); driver may be NULL. */
void tree_pci(const struct tree *t, const char *bdf, int group,
              const char *driver, const char *class);

/* A small file as text, freed by the caller. */
char *tree_read(const struct tree *t, const char *path);

#endif
