/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller: registers, reset, descriptors. Knows the 82574 and where its
 * own descriptors lie; knows nothing of how buffers are mapped, nor of what is
 * in a frame.
 */
#include "e1000e.h"
#include "e1000e_spec.h"
#include "pci.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE SLUICE_PAGE_SIZE
#define RESET_MS 100
#define LINK_MS 10000

struct e1000e {
	int fd;
	const char *bdf;
	uint8_t *bar;
	size_t bar_size;
	uint32_t nr;
	struct sluice_arena *arena;
	struct sluice_buf rx_buf, tx_buf;
	struct rx_desc *rx;
	struct tx_desc *tx;
	uint8_t mac[MAC_LEN];
	struct e1000e_counters count;
};

static uint32_t read32(const struct e1000e *n, uint32_t reg)
{
	return *(volatile uint32_t *)(n->bar + reg);
}

/* The device may read memory as soon as it sees the write: what was stored
 * before must be there. */
static void write32(struct e1000e *n, uint32_t reg, uint32_t value)
{
	atomic_thread_fence(memory_order_seq_cst);
	*(volatile uint32_t *)(n->bar + reg) = value;
}

static void sleep_ms(unsigned ms)
{
	const struct timespec t = {.tv_nsec = ms * 1000000L};

	nanosleep(&t, NULL);
}

/* Waits until reg & mask is value. */
static bool wait_bits(const struct e1000e *n, uint32_t reg, uint32_t mask,
                      uint32_t value, unsigned ms)
{
	for (unsigned i = 0; i <= ms; i++) {
		if ((read32(n, reg) & mask) == value)
			return true;
		sleep_ms(1);
	}
	return false;
}

/* ---- bringing the controller up ---- */

/* Other members of the family have other registers. */
static int check_id(const struct e1000e *n)
{
	struct vfio_region_info cfg = {
	        .argsz = sizeof(cfg),
	        .index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint32_t id = 0;

	if (ioctl(n->fd, VFIO_DEVICE_GET_REGION_INFO, &cfg) ||
	    pread(n->fd, &id, sizeof(id), (off_t)cfg.offset) != sizeof(id))
		return fail(-EIO, "%s: cannot read its config space: see dmesg",
		            n->bdf);
	if (id != ID_82574L)
		return fail(-ENODEV,
		            "%s is %04x:%04x, needed is an 82574L, 8086:10d3: "
		            "'lspci -Dn' lists devices",
		            n->bdf, id & 0xffff, id >> 16);
	return 0;
}

static int map_registers(struct e1000e *n)
{
	void *va;
	int rc = pci_check_class(n->fd, n->bdf, CLASS_ETHERNET);

	if (rc == 0)
		rc = check_id(n);
	if (rc == 0)
		rc = pci_map_bar0(n->fd, n->bdf, BAR_MIN, &va, &n->bar_size);
	if (rc == 0)
		n->bar = va;
	return rc;
}

static int reset(struct e1000e *n)
{
	write32(n, REG_IMC, UINT32_MAX);
	write32(n, REG_CTRL, read32(n, REG_CTRL) | CTRL_RST);
	/* Registers may not be touched for a microsecond. */
	sleep_ms(1);
	if (!wait_bits(n, REG_CTRL, CTRL_RST, 0, RESET_MS))
		return fail(-EIO, "%s: does not come out of reset", n->bdf);
	write32(n, REG_IMC, UINT32_MAX);
	(void)read32(n, REG_ICR);
	return 0;
}

/* The reset has loaded the address from the EEPROM. */
static int read_mac(struct e1000e *n)
{
	uint32_t low = read32(n, REG_RAL), high = read32(n, REG_RAH);

	if (!(high & RAH_VALID))
		return fail(-EIO, "%s: its EEPROM holds no address", n->bdf);
	memcpy(n->mac, &low, 4);
	memcpy(n->mac + 4, &high, 2);
	return 0;
}

static int alloc_memory(struct e1000e *n, struct sluice_domain *domain)
{
	size_t bytes = n->nr * sizeof(*n->rx);
	struct sluice_arena_cfg cfg = {.size = 2 * (bytes + PAGE),
	                               .no_huge = 1};
	int rc = sluice_arena_create(domain, &cfg, &n->arena);

	if (rc == 0)
		rc = sluice_arena_alloc(n->arena, bytes, PAGE, &n->rx_buf);
	if (rc == 0)
		rc = sluice_arena_alloc(n->arena, bytes, PAGE, &n->tx_buf);
	if (rc)
		return fail(rc, "%s: no DMA memory for descriptors: %s: %s",
		            n->bdf, sluice_errname(rc), sluice_last_error());
	n->rx = n->rx_buf.va;
	n->tx = n->tx_buf.va;
	return 0;
}

int e1000e_open(struct sluice_domain *domain, int device_fd, const char *bdf,
                uint32_t nr, struct e1000e **ret_nic)
{
	struct e1000e *n = calloc(1, sizeof(*n));
	int rc;

	if (!n)
		return fail(-ENOMEM, "no memory");
	n->fd = device_fd;
	n->bdf = bdf;
	n->nr = nr;
	rc = map_registers(n);
	if (rc == 0)
		rc = reset(n);
	if (rc == 0)
		rc = read_mac(n);
	if (rc == 0)
		rc = alloc_memory(n, domain);
	if (rc == 0)
		rc = pci_enable_dma(n->fd, bdf);
	if (rc) {
		e1000e_close(n);
		return rc;
	}
	*ret_nic = n;
	return 0;
}

static void set_queue(struct e1000e *n, uint32_t base, uint32_t len,
                      uint32_t head, uint32_t tail, sluice_iova_t iova)
{
	write32(n, base, (uint32_t)iova);
	write32(n, base + 4, (uint32_t)(iova >> 32));
	write32(n, len, n->nr * (uint32_t)sizeof(struct rx_desc));
	write32(n, head, 0);
	write32(n, tail, 0);
}

int e1000e_start(struct e1000e *n)
{
	struct e1000e_counters past;

	write32(n, REG_CTRL, read32(n, REG_CTRL) | CTRL_SLU | CTRL_ASDE);
	if (!wait_bits(n, REG_STATUS, STATUS_LU, STATUS_LU, LINK_MS))
		return fail(-ENETDOWN, "%s: no link in %d s: is a cable in?",
		            n->bdf, LINK_MS / 1000);
	for (uint32_t i = 0; i < MTA_WORDS; i++)
		write32(n, REG_MTA + 4 * i, 0);
	write32(n, REG_RFCTL, 0);
	set_queue(n, REG_RDBAL, REG_RDLEN, REG_RDH, REG_RDT, n->rx_buf.iova);
	set_queue(n, REG_TDBAL, REG_TDLEN, REG_TDH, REG_TDT, n->tx_buf.iova);
	e1000e_get_counters(n, &past);
	n->count = (struct e1000e_counters){0};
	write32(n, REG_TCTL, TCTL_EN | TCTL_PSP | TCTL_CT | TCTL_COLD);
	write32(n, REG_RCTL, RCTL_EN | RCTL_BAM | RCTL_SECRC);
	return 0;
}

void e1000e_stop(struct e1000e *n)
{
	struct e1000e_counters last;

	e1000e_get_counters(n, &last);
	write32(n, REG_RCTL, 0);
	write32(n, REG_TCTL, 0);
	write32(n, REG_CTRL, read32(n, REG_CTRL) | CTRL_MASTER_DISABLE);
	/* A reset ends what this does not; it says so itself. */
	(void)wait_bits(n, REG_STATUS, STATUS_MASTER_ENABLED, 0, RESET_MS);
	(void)reset(n);
}

void e1000e_close(struct e1000e *n)
{
	if (!n)
		return;
	if (n->bar)
		munmap(n->bar, n->bar_size);
	sluice_arena_destroy(n->arena);
	free(n);
}

const uint8_t *e1000e_mac(const struct e1000e *n)
{
	return n->mac;
}

void e1000e_get_counters(struct e1000e *n, struct e1000e_counters *ret)
{
	n->count.received += read32(n, REG_GPRC);
	n->count.sent += read32(n, REG_GPTC);
	n->count.missed += read32(n, REG_MPC);
	*ret = n->count;
}

/* ---- descriptors ---- */

void e1000e_rx_post(struct e1000e *n, uint32_t i, sluice_iova_t iova)
{
	n->rx[i] = (struct rx_desc){.addr = iova};
}

void e1000e_rx_tail(struct e1000e *n, uint32_t tail)
{
	write32(n, REG_RDT, tail);
}

bool e1000e_rx_done(const struct e1000e *n, uint32_t i, uint32_t *ret_len)
{
	const struct rx_desc *d = &n->rx[i];
	uint8_t status = *(const volatile uint8_t *)&d->status;

	if (!(status & DESC_DD))
		return false;
	/* The rest is valid only after the status. */
	atomic_thread_fence(memory_order_acquire);
	*ret_len = status & DESC_EOP && !d->errors ? d->length : 0;
	return true;
}

void e1000e_tx_post(struct e1000e *n, uint32_t i, sluice_iova_t iova,
                    uint32_t len)
{
	n->tx[i] = (struct tx_desc){
	        .addr = iova,
	        .length = (uint16_t)len,
	        .cmd = TXD_EOP | TXD_IFCS | TXD_RS,
	};
}

void e1000e_tx_tail(struct e1000e *n, uint32_t tail)
{
	write32(n, REG_TDT, tail);
}

bool e1000e_tx_done(const struct e1000e *n, uint32_t i)
{
	return *(const volatile uint8_t *)&n->tx[i].status & DESC_DD;
}
