/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI device through its VFIO descriptor: what any driver needs before it
 * knows what device it drives. Failing calls print a line and return -errno.
 */
#ifndef PCI_H
#define PCI_H

#include <stddef.h>
#include <stdint.h>

/* Refuses a device of another class (0xBBSSPP). */
int pci_check_class(int fd, const char *bdf, uint32_t class);

/* Maps BAR0 for registers; the caller unmaps ret_size bytes. */
int pci_map_bar0(int fd, const char *bdf, size_t min_size, void **ret_va,
                 size_t *ret_size);

/* Lets the device do DMA. VFIO hands it over without that right. */
int pci_enable_dma(int fd, const char *bdf);

#endif
