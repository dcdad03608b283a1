/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As much of a network as an echo needs: ARP (RFC 826), IPv4 without options of
 * its own or fragments (RFC 791), ICMP echo (RFC 792). Works on frames in
 * memory and keeps their counts; knows no device.
 */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_MAC_LEN 6

struct net_counters {
	uint64_t arp_replies, echo_replies;
	uint64_t ignored; /* not for us, or nothing we answer */
	uint64_t bad;     /* broken: a length or a checksum is wrong */
};

/* A peer that we ask ourselves. */
enum net_ask { ASK_NOBODY, ASK_ARP, ASK_ECHO, ASK_ANSWERED, ASK_WRONG };

struct net {
	uint8_t mac[NET_MAC_LEN];
	uint8_t ip[4];
	struct net_counters count;
	enum net_ask ask;
	uint8_t peer_ip[4];
	uint8_t peer_mac[NET_MAC_LEN];
};

enum net_what { NET_NOTHING, NET_ARP_REPLY, NET_ECHO_REPLY };

/* Looks at a frame, without CRC. When it asks for an answer, turns it into that
 * in place and returns the answer's length, else 0. *ret_what: which. */
size_t net_input(struct net *net, uint8_t *frame, size_t len,
                 enum net_what *ret_what);

/* The next frame to send to peer_ip, 0 when there is none to: a question for
 * its address in the state ASK_ARP, an echo request in ASK_ECHO. At most 1514
 * bytes. */
size_t net_question(const struct net *net, uint8_t *frame);

bool net_parse_ip(const char *text, uint8_t ip[4]);

#endif
