/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Turns a received frame into its answer, in place. Knows Ethernet, ARP, IPv4
 * and ICMP echo; nothing of ports, pools or IOVAs.
 */
#ifndef DPDK_ECHO_REPLY_H
#define DPDK_ECHO_REPLY_H

#include <stdbool.h>
#include <stdint.h>

struct host {
	uint8_t mac[6];
	uint32_t ip; /* network byte order */
};

enum reply { REPLY_NONE, REPLY_ARP, REPLY_ECHO };

/* len: bytes of the frame in memory. */
enum reply reply_to(uint8_t *frame, uint32_t len, const struct host *me);

#endif
