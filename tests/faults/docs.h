/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The errors that a public function's docstring lists, read from the headers:
 * what the test believes is what the user reads.
 */
#ifndef SLUICE_TESTS_FAULTS_DOCS_H
#define SLUICE_TESTS_FAULTS_DOCS_H

#include <stdbool.h>

/* folder: include/sluice. Exits with a message when it cannot be read. */
void docs_read(const char *folder);
/* Does the comment of function fn name -err, or the one it refers to by
 * "Errors as other()"? Exits when fn has no comment. */
bool docs_list(const char *fn, int err);

#endif
