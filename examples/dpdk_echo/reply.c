/* SPDX-License-Identifier: BSD-3-Clause */
#include "reply.h"

#include <string.h>

/* IEEE 802.3, RFC 826, RFC 791, RFC 792: where the fields lie. */
#define ETH_DST 0
#define ETH_SRC 6
#define ETH_TYPE 12
#define ETH_LEN 14
#define TYPE_ARP 0x0806
#define TYPE_IPV4 0x0800

#define ARP_LEN 28
#define ARP_KIND "\x00\x01\x08\x00\x06\x04" /* Ethernet and IPv4 */
#define ARP_OP 6
#define ARP_SENDER 8
#define ARP_SENDER_IP 14
#define ARP_TARGET 18
#define ARP_TARGET_IP 24

#define IP_MIN 20
#define IP_TOTAL 2
#define IP_FRAGMENT 6
#define IP_PROTOCOL 9
#define IP_SRC 12
#define IP_DST 16
#define PROTOCOL_ICMP 1

#define ICMP_MIN 8
#define ICMP_SUM 2
#define ECHO_REQUEST 8
#define ECHO_REPLY 0

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* To whoever sent it. */
static void turn(uint8_t *frame, const struct host *me)
{
	memcpy(frame + ETH_DST, frame + ETH_SRC, 6);
	memcpy(frame + ETH_SRC, me->mac, 6);
}

static enum reply arp(uint8_t *frame, uint32_t len, const struct host *me)
{
	uint8_t *a = frame + ETH_LEN;

	if (len < ETH_LEN + ARP_LEN || memcmp(a, ARP_KIND, 6) ||
	    get16(a + ARP_OP) != 1 || memcmp(a + ARP_TARGET_IP, &me->ip, 4))
		return REPLY_NONE;
	put16(a + ARP_OP, 2);
	memcpy(a + ARP_TARGET, a + ARP_SENDER, 10);
	memcpy(a + ARP_SENDER, me->mac, 6);
	memcpy(a + ARP_SENDER_IP, &me->ip, 4);
	turn(frame, me);
	return REPLY_ARP;
}

/* RFC 1071 over len bytes, whose own sum field included: 0 when intact. */
static uint16_t sum(const uint8_t *p, uint32_t len)
{
	uint32_t s = 0;

	for (uint32_t i = 0; i + 1 < len; i += 2)
		s += get16(p + i);
	if (len & 1)
		s += (uint32_t)p[len - 1] << 8;
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static enum reply echo(uint8_t *frame, uint32_t len, const struct host *me)
{
	uint8_t *ip = frame + ETH_LEN, *icmp;
	uint32_t head, total;

	if (len < ETH_LEN + IP_MIN || ip[0] >> 4 != 4)
		return REPLY_NONE;
	head = (ip[0] & 15u) * 4;
	total = get16(ip + IP_TOTAL);
	if (head < IP_MIN || total < head + ICMP_MIN || len - ETH_LEN < total ||
	    get16(ip + IP_FRAGMENT) & 0x3fff ||
	    ip[IP_PROTOCOL] != PROTOCOL_ICMP || memcmp(ip + IP_DST, &me->ip, 4))
		return REPLY_NONE;
	icmp = ip + head;
	if (icmp[0] != ECHO_REQUEST || icmp[1] != 0 ||
	    sum(icmp, total - head) != 0 || sum(ip, head) != 0)
		return REPLY_NONE;
	icmp[0] = ECHO_REPLY;
	put16(icmp + ICMP_SUM, 0);
	put16(icmp + ICMP_SUM, sum(icmp, total - head));
	/* Addresses change places: the header's sum stays. */
	memcpy(ip + IP_DST, ip + IP_SRC, 4);
	memcpy(ip + IP_SRC, &me->ip, 4);
	turn(frame, me);
	return REPLY_ECHO;
}

enum reply reply_to(uint8_t *frame, uint32_t len, const struct host *me)
{
	if (len < ETH_LEN)
		return REPLY_NONE;
	switch (get16(frame + ETH_TYPE)) {
	case TYPE_ARP:
		return arp(frame, len, me);
	case TYPE_IPV4:
		return echo(frame, len, me);
	default:
		return REPLY_NONE;
	}
}
