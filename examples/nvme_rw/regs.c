/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads and writes of BAR0. Knows the fence that a write needs and CAP.TO;
 * knows no queue.
 */
#include "regs.h"
#include "nvme.h"
#include "nvme_spec.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#define RESET "reset it (echo 1 > /sys/bus/pci/devices/%s/reset)"

uint32_t regs_read(const struct regs *r, uint32_t reg)
{
	return le32toh(*(volatile uint32_t *)(r->bar + reg));
}

/* The controller may read memory as soon as it sees the write. */
void regs_write(const struct regs *r, uint32_t reg, uint32_t value)
{
	atomic_thread_fence(memory_order_seq_cst);
	*(volatile uint32_t *)(r->bar + reg) = htole32(value);
}

/* 3.1 allows access in halves where a 64-bit one is not sure to stay whole. */
void regs_write64(const struct regs *r, uint32_t reg, uint64_t value)
{
	regs_write(r, reg, (uint32_t)value);
	regs_write(r, reg + 4, (uint32_t)(value >> 32));
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int regs_wait(const struct regs *r, uint32_t mask, uint32_t value,
              const char *what)
{
	const struct timespec pause = {.tv_nsec = 50000};
	uint64_t end = now_ms() + 500 * ((uint64_t)CAP_TO(r->cap) + 1);

	do {
		uint32_t csts = regs_read(r, REG_CSTS);

		if (csts == REGS_GONE)
			return fail(-ENODEV,
			            "%s is gone from the bus: see dmesg",
			            r->bdf);
		if ((csts & mask) == value)
			return 0;
		if (csts & CSTS_CFS && value & CSTS_RDY)
			return fail(
			        -EIO,
			        "%s: fatal status while it should %s: " RESET,
			        r->bdf, what, r->bdf);
		nanosleep(&pause, NULL);
	} while (now_ms() < end);
	return fail(-ETIMEDOUT,
	            "%s: did not %s in the %u ms it promises: " RESET, r->bdf,
	            what, 500 * CAP_TO(r->cap), r->bdf);
}
