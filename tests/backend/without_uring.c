/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a program where io_uring cannot be had: io_uring_setup() answers ENOSYS,
 * as on a kernel without it or under a container's filter, or EPERM, as where
 * the sysctl kernel.io_uring_disabled forbids it. Knows nothing of the program.
 *
 * usage: without_uring ENOSYS|EPERM PROGRAM [ARG...]
 */
#include "tests/backend/deny.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int err, rc;

	if (argc < 3 ||
	    (strcmp(argv[1], "ENOSYS") && strcmp(argv[1], "EPERM"))) {
		fputs("usage: without_uring ENOSYS|EPERM PROGRAM [ARG...]\n",
		      stderr);
		return 2;
	}
	err = strcmp(argv[1], "EPERM") ? ENOSYS : EPERM;
	rc = deny(SYS_io_uring_setup, err);
	if (rc) {
		printf("skipped: no seccomp filters here: %s\n", strerror(-rc));
		return 77;
	}
	/* Bad arguments: a kernel that looks at them says so. */
	if (syscall(SYS_io_uring_setup, 0, NULL) != -1 || errno != err) {
		fputs("without_uring: the filter does not hold\n", stderr);
		return 1;
	}
	execv(argv[2], argv + 2);
	perror(argv[2]);
	return 1;
}
