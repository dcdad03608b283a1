/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames: what is asked in them, and the answer. Every length and checksum is
 * looked at before what it covers.
 */
#include "net.h"

#include <string.h>

/* Ethernet, RFC 894 */
#define ETH_DST 0
#define ETH_SRC 6
#define ETH_TYPE 12
#define ETH_LEN 14
#define TYPE_IP 0x0800u
#define TYPE_ARP 0x0806u

/* RFC 826, for Ethernet and IPv4; offsets in the packet */
#define ARP_OP 6
#define ARP_SHA 8
#define ARP_SPA 14
#define ARP_THA 18
#define ARP_TPA 24
#define ARP_LEN 28
#define ARP_REQUEST 1u
#define ARP_REPLY 2u

/* RFC 791 */
#define IP_TOTAL 2
#define IP_FRAGMENT 6
#define IP_TTL 8
#define IP_PROTOCOL 9
#define IP_SUM 10
#define IP_SRC 12
#define IP_DST 16
#define IP_LEN 20
#define IP_MORE_OR_OFFSET 0x3fffu
#define PROTOCOL_ICMP 1
#define TTL 64

/* RFC 792 */
#define ICMP_TYPE 0
#define ICMP_CODE 1
#define ICMP_SUM 2
#define ICMP_ID 4
#define ICMP_SEQ 6
#define ICMP_LEN 8
#define ECHO_REPLY 0
#define ECHO_REQUEST 8

/* Of our own question. */
#define ASK_ID 0x5157u
#define ASK_BYTES 1000u

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* RFC 1071; 0 over data that holds its own right checksum. */
static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void set_sum(uint8_t *p, size_t len, size_t at)
{
	put16(p + at, 0);
	put16(p + at, checksum(p, len));
}

static void address(uint8_t *frame, const uint8_t *to, const struct net *net,
                    uint32_t type)
{
	memmove(frame + ETH_DST, to, NET_MAC_LEN);
	memcpy(frame + ETH_SRC, net->mac, NET_MAC_LEN);
	put16(frame + ETH_TYPE, type);
}

static void put_arp(const struct net *net, uint8_t *arp, uint32_t op,
                    const uint8_t *mac, const uint8_t *ip)
{
	/* Ethernet, IPv4, and the lengths of their addresses. */
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4};

	memcpy(arp, head, sizeof(head));
	put16(arp + ARP_OP, op);
	memmove(arp + ARP_THA, mac, NET_MAC_LEN);
	memmove(arp + ARP_TPA, ip, 4);
	memcpy(arp + ARP_SHA, net->mac, NET_MAC_LEN);
	memcpy(arp + ARP_SPA, net->ip, 4);
}

static size_t input_arp(struct net *net, uint8_t *frame, size_t len)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4};
	uint8_t *arp = frame + ETH_LEN;

	if (len < ETH_LEN + ARP_LEN || memcmp(arp, head, sizeof(head))) {
		net->count.bad++;
		return 0;
	}
	if (memcmp(arp + ARP_TPA, net->ip, 4) == 0 &&
	    get16(arp + ARP_OP) == ARP_REQUEST) {
		put_arp(net, arp, ARP_REPLY, arp + ARP_SHA, arp + ARP_SPA);
		address(frame, arp + ARP_THA, net, TYPE_ARP);
		net->count.arp_replies++;
		return ETH_LEN + ARP_LEN;
	}
	if (net->ask == ASK_ARP && get16(arp + ARP_OP) == ARP_REPLY &&
	    memcmp(arp + ARP_SPA, net->peer_ip, 4) == 0) {
		memcpy(net->peer_mac, arp + ARP_SHA, NET_MAC_LEN);
		net->ask = ASK_ECHO;
		return 0;
	}
	net->count.ignored++;
	return 0;
}

static uint8_t ask_byte(size_t i)
{
	return (uint8_t)(i * 7 + 3);
}

/* The peer's answer: every byte of ours must be back. */
static void check_answer(struct net *net, const uint8_t *icmp, size_t len)
{
	net->ask = len == ICMP_LEN + ASK_BYTES ? ASK_ANSWERED : ASK_WRONG;
	for (size_t i = ICMP_LEN; i < len; i++)
		if (icmp[i] != ask_byte(i - ICMP_LEN))
			net->ask = ASK_WRONG;
}

static size_t input_icmp(struct net *net, uint8_t *frame, uint8_t *icmp,
                         size_t len)
{
	uint8_t *ip = frame + ETH_LEN;

	if (len < ICMP_LEN || checksum(icmp, len)) {
		net->count.bad++;
		return 0;
	}
	if (icmp[ICMP_TYPE] == ECHO_REPLY && net->ask == ASK_ECHO &&
	    get16(icmp + ICMP_ID) == ASK_ID &&
	    memcmp(ip + IP_SRC, net->peer_ip, 4) == 0) {
		check_answer(net, icmp, len);
		return 0;
	}
	if (icmp[ICMP_TYPE] != ECHO_REQUEST || icmp[ICMP_CODE]) {
		net->count.ignored++;
		return 0;
	}
	icmp[ICMP_TYPE] = ECHO_REPLY;
	set_sum(icmp, len, ICMP_SUM);
	memcpy(ip + IP_DST, ip + IP_SRC, 4);
	memcpy(ip + IP_SRC, net->ip, 4);
	ip[IP_TTL] = TTL;
	set_sum(ip, (size_t)(icmp - ip), IP_SUM);
	address(frame, frame + ETH_SRC, net, TYPE_IP);
	net->count.echo_replies++;
	return (size_t)(icmp - frame) + len;
}

static size_t input_ip(struct net *net, uint8_t *frame, size_t len)
{
	uint8_t *ip = frame + ETH_LEN;
	size_t head, total;

	if (len < ETH_LEN + IP_LEN) {
		net->count.bad++;
		return 0;
	}
	head = (ip[0] & 0xfu) * 4u;
	total = get16(ip + IP_TOTAL);
	if (ip[0] >> 4 != 4 || head < IP_LEN || total < head ||
	    total > len - ETH_LEN || checksum(ip, head)) {
		net->count.bad++;
		return 0;
	}
	if (memcmp(ip + IP_DST, net->ip, 4) ||
	    get16(ip + IP_FRAGMENT) & IP_MORE_OR_OFFSET ||
	    ip[IP_PROTOCOL] != PROTOCOL_ICMP) {
		net->count.ignored++;
		return 0;
	}
	return input_icmp(net, frame, ip + head, total - head);
}

size_t net_input(struct net *net, uint8_t *frame, size_t len,
                 enum net_what *ret_what)
{
	size_t out;

	*ret_what = NET_NOTHING;
	if (len < ETH_LEN) {
		net->count.bad++;
		return 0;
	}
	switch (get16(frame + ETH_TYPE)) {
	case TYPE_ARP:
		out = input_arp(net, frame, len);
		*ret_what = out ? NET_ARP_REPLY : NET_NOTHING;
		return out;
	case TYPE_IP:
		out = input_ip(net, frame, len);
		*ret_what = out ? NET_ECHO_REPLY : NET_NOTHING;
		return out;
	default:
		net->count.ignored++;
		return 0;
	}
}

static size_t echo_request(const struct net *net, uint8_t *frame)
{
	uint8_t *ip = frame + ETH_LEN, *icmp = ip + IP_LEN;
	size_t len = ICMP_LEN + ASK_BYTES;

	memset(ip, 0, IP_LEN + ICMP_LEN);
	address(frame, net->peer_mac, net, TYPE_IP);
	ip[0] = 4 << 4 | IP_LEN / 4;
	put16(ip + IP_TOTAL, (uint32_t)(IP_LEN + len));
	ip[IP_TTL] = TTL;
	ip[IP_PROTOCOL] = PROTOCOL_ICMP;
	memcpy(ip + IP_SRC, net->ip, 4);
	memcpy(ip + IP_DST, net->peer_ip, 4);
	set_sum(ip, IP_LEN, IP_SUM);
	icmp[ICMP_TYPE] = ECHO_REQUEST;
	put16(icmp + ICMP_ID, ASK_ID);
	put16(icmp + ICMP_SEQ, 1);
	for (size_t i = 0; i < ASK_BYTES; i++)
		icmp[ICMP_LEN + i] = ask_byte(i);
	set_sum(icmp, len, ICMP_SUM);
	return ETH_LEN + IP_LEN + len;
}

size_t net_question(const struct net *net, uint8_t *frame)
{
	static const uint8_t all[NET_MAC_LEN] = {255, 255, 255, 255, 255, 255};
	static const uint8_t unknown[NET_MAC_LEN];

	if (net->ask == ASK_ECHO)
		return echo_request(net, frame);
	if (net->ask != ASK_ARP)
		return 0;
	address(frame, all, net, TYPE_ARP);
	put_arp(net, frame + ETH_LEN, ARP_REQUEST, unknown, net->peer_ip);
	return ETH_LEN + ARP_LEN;
}

bool net_parse_ip(const char *text, uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned v = 0, digits = 0;

		for (; *text >= '0' && *text <= '9' && digits < 3; digits++)
			v = v * 10 + (unsigned)(*text++ - '0');
		if (digits == 0 || v > 255 || *text != (i < 3 ? '.' : '\0'))
			return false;
		ip[i] = (uint8_t)v;
		text += i < 3;
	}
	return true;
}
