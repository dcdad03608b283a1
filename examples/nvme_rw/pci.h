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
/* Takes it away again; a device that is gone has none to take. */
void pci_disable_dma(int fd, const char *bdf);

/* Resets the function; it forgets all but its config space. */
int pci_reset(int fd, const char *bdf);

/* MSI-X vectors 0 to nr - 1 make these eventfds readable, -1: nothing. At most
 * PCI_MAX_VECTORS. nr 0: no interrupts any more. */
#define PCI_MAX_VECTORS 128
int pci_set_msix(int fd, const char *bdf, const int *event_fd, uint32_t nr);

#endif
