/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One 82574L Ethernet controller, driven from user space: polled, one receive
 * and one transmit queue of legacy descriptors. It is given a device that VFIO
 * has opened and a sluice domain that the device's group is attached to. The
 * descriptors lie in an arena of its own; buffers are named by IOVA, so whoever
 * maps them decides what the controller may touch.
 *
 * A failing call prints one line to stderr that says what to do, and returns
 * -errno.
 */
#ifndef E1000E_H
#define E1000E_H

#include <sluice/sluice.h>
#include <stdbool.h>
#include <stdint.h>

#define MAC_LEN 6
/* What a buffer must hold. */
#define FRAME_MAX 2048u

struct e1000e;

struct e1000e_counters {
	uint64_t received, sent, missed;
};

/* Resets the controller; queues have nr descriptors, a multiple of 8 (7.1.8).
 * device_fd stays the caller's and must outlive it. */
int e1000e_open(struct sluice_domain *domain, int device_fd, const char *bdf,
                uint32_t nr, struct e1000e **ret_nic);
/* Waits for the link, then turns both queues on. */
int e1000e_start(struct e1000e *nic);
/* After this the controller reaches no memory. */
void e1000e_stop(struct e1000e *nic);
/* NULL is fine. */
void e1000e_close(struct e1000e *nic);

const uint8_t *e1000e_mac(const struct e1000e *nic);
/* Since the start. */
void e1000e_get_counters(struct e1000e *nic, struct e1000e_counters *ret);

/* Writes receive descriptor i; the controller has it once the tail is beyond.
 * It owns at most nr - 1 at a time. */
void e1000e_rx_post(struct e1000e *nic, uint32_t i, sluice_iova_t iova);
void e1000e_rx_tail(struct e1000e *nic, uint32_t tail);
/* Has the controller filled it? *ret_len 0: with a frame that is none. */
bool e1000e_rx_done(const struct e1000e *nic, uint32_t i, uint32_t *ret_len);

/* The same for frames to send. */
void e1000e_tx_post(struct e1000e *nic, uint32_t i, sluice_iova_t iova,
                    uint32_t len);
void e1000e_tx_tail(struct e1000e *nic, uint32_t tail);
bool e1000e_tx_done(const struct e1000e *nic, uint32_t i);

/* Prints "e1000e_echo: …" to stderr and returns rc. */
int fail(int rc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
