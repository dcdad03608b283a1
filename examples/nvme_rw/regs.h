/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller's registers. Knows how they are read and written and in which
 * order memory and registers become visible; of their meaning only the status
 * that every change of state waits for.
 *
 * Thread: any; a register that two threads write needs their own lock.
 */
#ifndef REGS_H
#define REGS_H

#include <stddef.h>
#include <stdint.h>

struct regs {
	uint8_t *bar;
	size_t bar_size;
	uint64_t cap; /* CAP, which does not change */
	const char *bdf;
};

/* What a read answers when no device is there any more. */
#define REGS_GONE UINT32_MAX

uint32_t regs_read(const struct regs *regs, uint32_t reg);

/* What was stored to memory before is visible to the controller before the
 * register changes. */
void regs_write(const struct regs *regs, uint32_t reg, uint32_t value);
void regs_write64(const struct regs *regs, uint32_t reg, uint64_t value);

/* Waits until CSTS & mask equals value, for as long as CAP.TO promises. what:
 * the verb of the message. Returns 0, -ENODEV, -EIO or -ETIMEDOUT. */
int regs_wait(const struct regs *regs, uint32_t mask, uint32_t value,
              const char *what);

/* Milliseconds of a clock that only goes forward. */
uint64_t now_ms(void);

#endif
