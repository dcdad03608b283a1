/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What dpdk_echo answers, frame by frame: ARP and ping for itself, nothing for
 * others, and nothing that is cut, fragmented or damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "examples/dpdk_echo/reply.h"

static const uint8_t me_ip[4] = {10, 9, 0, 2}, you_ip[4] = {10, 9, 0, 1};
static const uint8_t you_mac[6] = {2, 0, 0, 0, 0, 1};
static struct host me = {.mac = {2, 0, 0, 0, 0, 2}};

static uint16_t sum(const uint8_t *p, uint32_t len)
{
	uint32_t s = 0;

	for (uint32_t i = 0; i < len; i++)
		s += (uint32_t)p[i] << (i & 1 ? 0 : 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void ethernet(uint8_t *f, uint16_t type)
{
	memset(f, 0xff, 6);
	memcpy(f + 6, you_mac, 6);
	f[12] = (uint8_t)(type >> 8);
	f[13] = (uint8_t)type;
}

static uint32_t make_arp(uint8_t *f)
{
	static const uint8_t kind[8] = {0, 1, 8, 0, 6, 4, 0, 1};

	ethernet(f, 0x0806);
	memcpy(f + 14, kind, 8);
	memcpy(f + 22, you_mac, 6);
	memcpy(f + 28, you_ip, 4);
	memset(f + 32, 0, 6);
	memcpy(f + 38, me_ip, 4);
	return 42;
}

static void sums(uint8_t *f, uint32_t payload)
{
	uint16_t s;

	f[24] = f[25] = f[36] = f[37] = 0;
	s = sum(f + 14, 20);
	f[24] = (uint8_t)(s >> 8);
	f[25] = (uint8_t)s;
	s = sum(f + 34, 8 + payload);
	f[36] = (uint8_t)(s >> 8);
	f[37] = (uint8_t)s;
}

static uint32_t make_echo(uint8_t *f, uint32_t payload)
{
	uint32_t total = 28 + payload;

	ethernet(f, 0x0800);
	memset(f + 14, 0, total);
	f[14] = 0x45;
	f[16] = (uint8_t)(total >> 8);
	f[17] = (uint8_t)total;
	f[22] = 64;
	f[23] = 1;
	memcpy(f + 26, you_ip, 4);
	memcpy(f + 30, me_ip, 4);
	f[34] = 8;
	f[39] = 77;
	for (uint32_t i = 0; i < payload; i++)
		f[42 + i] = (uint8_t)(i * 7);
	sums(f, payload);
	return 14 + total;
}

static void answers_arp(void **state)
{
	uint8_t f[64];
	uint32_t len = make_arp(f);

	(void)state;
	assert_int_equal(reply_to(f, len, &me), REPLY_ARP);
	assert_memory_equal(f, you_mac, 6);
	assert_memory_equal(f + 6, me.mac, 6);
	assert_int_equal(f[21], 2);
	assert_memory_equal(f + 22, me.mac, 6);
	assert_memory_equal(f + 28, me_ip, 4);
	assert_memory_equal(f + 32, you_mac, 6);
	assert_memory_equal(f + 38, you_ip, 4);
	/* An answer is not answered, nor what asks for others. */
	assert_int_equal(reply_to(f, len, &me), REPLY_NONE);
	make_arp(f);
	f[41]++;
	assert_int_equal(reply_to(f, len, &me), REPLY_NONE);
}

static void answers_echo(void **state)
{
	static const uint32_t sizes[] = {0, 1, 2, 55, 56, 1400, 1472};
	uint8_t f[1600], sent[1600];

	(void)state;
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t len = make_echo(f, sizes[i]);

		memcpy(sent, f, len);
		/* Ethernet pads short frames. */
		assert_int_equal(reply_to(f, len + i % 2 * 8, &me), REPLY_ECHO);
		assert_memory_equal(f, you_mac, 6);
		assert_memory_equal(f + 6, me.mac, 6);
		assert_memory_equal(f + 26, me_ip, 4);
		assert_memory_equal(f + 30, you_ip, 4);
		assert_int_equal(f[34], 0);
		assert_int_equal(sum(f + 14, 20), 0);
		assert_int_equal(sum(f + 34, 8 + sizes[i]), 0);
		assert_memory_equal(f + 38, sent + 38, 4 + sizes[i]);
	}
}

/* Each byte that is damaged, and each place to cut. */
static void damaged(void **state)
{
	uint8_t f[128], sent[128];
	uint32_t len = make_echo(sent, 56);

	(void)state;
	for (uint32_t at = 14; at < len; at++) {
		memcpy(f, sent, len);
		f[at] ^= 0x10;
		assert_int_equal(reply_to(f, len, &me), REPLY_NONE);
	}
	for (uint32_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		assert_non_null(exact);
		memcpy(exact, sent, cut);
		assert_int_equal(reply_to(exact, cut, &me), REPLY_NONE);
		free(exact);
	}
	len = make_arp(sent);
	for (uint32_t cut = 0; cut < len; cut++) {
		memcpy(f, sent, cut);
		assert_int_equal(reply_to(f, cut, &me), REPLY_NONE);
	}
	/* Sound, but a piece; and not a request. */
	len = make_echo(f, 56);
	f[20] = 0x20;
	sums(f, 56);
	assert_int_equal(reply_to(f, len, &me), REPLY_NONE);
	len = make_echo(f, 56);
	f[34] = 0;
	sums(f, 56);
	assert_int_equal(reply_to(f, len, &me), REPLY_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(answers_arp),
	        cmocka_unit_test(answers_echo),
	        cmocka_unit_test(damaged),
	};

	memcpy(&me.ip, me_ip, 4);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
