/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL as an ordinary user can have it: no hugepages, no devices, nothing on
 * disk but a runtime folder of its own. One EAL a process.
 */
#ifndef TESTS_DPDK_EAL_H
#define TESTS_DPDK_EAL_H

#include <stdio.h>
#include <stdlib.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <unistd.h>

static char eal_dir[] = "/tmp/sluice-eal-XXXXXX";

/* False, with the reason printed: this machine refuses. */
static inline int eal_up(void)
{
	char prefix[48];
	char *argv[] = {"test",
	                "--no-huge",
	                "--no-pci",
	                "--no-shconf",
	                "-m",
	                "64",
	                "-l",
	                "0",
	                prefix,
	                "--vdev",
	                "net_null0",
	                "--iova-mode=va",
	                "--log-level=lib.eal:error",
	                "--log-level=lib.telemetry:error",
	                NULL};

	snprintf(prefix, sizeof(prefix), "--file-prefix=sluice-%d",
	         (int)getpid());
	if (mkdtemp(eal_dir)) {
		setenv("RUNTIME_DIRECTORY", eal_dir, 1);
		setenv("XDG_RUNTIME_DIR", eal_dir, 1);
	}
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv) >= 0)
		return 1;
	printf("SKIP: rte_eal_init: %s\n", rte_strerror(rte_errno));
	return 0;
}

static inline void eal_down(void)
{
	char command[64];

	rte_eal_cleanup();
	snprintf(command, sizeof(command), "rm -rf %s", eal_dir);
	if (system(command))
		printf("%s stays\n", eal_dir);
}

#endif
