/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * e1000e_echo's frames: what is answered and with what, byte by byte, and that
 * whatever is cut short or changed gets no answer and is read no further than
 * it goes (the sanitizer set-ups see that: each frame has its own memory).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "examples/e1000e_echo/net.h"

/* Who has 10.0.2.50? Tell 10.0.2.20. */
static const uint8_t arp_request[] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0,    0, 0, 2, 8, 6,  0,
        1,    8,    0,    6,    4,    0,    1,    0x52, 0x54, 0, 0, 0, 2, 10, 0,
        2,    20,   0,    0,    0,    0,    0,    0,    10,   0, 2, 50};
static const uint8_t arp_reply[] = {
        0x52, 0x54, 0, 0,  0,    2,    0x52, 0x54, 0,    0,    0,  1, 8, 6,
        0,    1,    8, 0,  6,    4,    0,    2,    0x52, 0x54, 0,  0, 0, 1,
        10,   0,    2, 50, 0x52, 0x54, 0,    0,    0,    2,    10, 0, 2, 20};
/* An echo request with the five bytes "hello", checksums by hand: the sums of
 * the words are 0x4500 + 0x0021 + 0x1234 + 0x4001 + 0x0a00 + 0x0214 + 0x0a00 +
 * 0x0232 = 0xaf9c, and 0x0800 + 0x0001 + 0x0002 + 0x6865 + 0x6c6c + 0x6f00 =
 * 0x14bd4, with its carry 0x4bd5. */
static const uint8_t echo_request[] = {
        0x52, 0x54, 0,    0, 0, 1,  0x52, 0x54, 0,   0,   0,  2,
        8,    0,    0x45, 0, 0, 33, 0x12, 0x34, 0,   0,   64, 1,
        0x50, 0x63, 10,   0, 2, 20, 10,   0,    2,   50,  8,  0,
        0xb4, 0x2a, 0,    1, 0, 2,  'h',  'e',  'l', 'l', 'o'};
/* Type 0 in place of 8: 0x800 less. */
static const uint8_t echo_reply[] = {
        0x52, 0x54, 0,    0, 0, 2,  0x52, 0x54, 0,   0,   0,  1,
        8,    0,    0x45, 0, 0, 33, 0x12, 0x34, 0,   0,   64, 1,
        0x50, 0x63, 10,   0, 2, 50, 10,   0,    2,   20,  0,  0,
        0xbc, 0x2a, 0,    1, 0, 2,  'h',  'e',  'l', 'l', 'o'};

static struct net us(void)
{
	return (struct net){.mac = {0x52, 0x54, 0, 0, 0, 1},
	                    .ip = {10, 0, 2, 50}};
}

/* The answer to the first len bytes of a frame, in ret. */
static size_t answer(struct net *net, const uint8_t *frame, size_t len,
                     uint8_t *ret, enum net_what *what)
{
	uint8_t *own = malloc(len ? len : 1);
	size_t n;

	assert_non_null(own);
	memcpy(own, frame, len);
	n = net_input(net, own, len, what);
	assert_true(n <= len);
	memcpy(ret, own, n);
	free(own);
	return n;
}

static void answers(void **state)
{
	uint8_t out[128], padded[64] = {0};
	enum net_what what;
	struct net n = us();

	(void)state;
	assert_int_equal(
	        answer(&n, arp_request, sizeof(arp_request), out, &what),
	        sizeof(arp_reply));
	assert_int_equal(what, NET_ARP_REPLY);
	assert_memory_equal(out, arp_reply, sizeof(arp_reply));
	assert_int_equal(
	        answer(&n, echo_request, sizeof(echo_request), out, &what),
	        sizeof(echo_reply));
	assert_int_equal(what, NET_ECHO_REPLY);
	assert_memory_equal(out, echo_reply, sizeof(echo_reply));
	/* What Ethernet pads is not part of the answer. */
	memcpy(padded, echo_request, sizeof(echo_request));
	assert_int_equal(answer(&n, padded, 60, out, &what),
	                 sizeof(echo_reply));
	assert_int_equal(n.count.arp_replies, 1);
	assert_int_equal(n.count.echo_replies, 2);
	assert_int_equal(n.count.bad + n.count.ignored, 0);
}

static void cut_short(void **state)
{
	uint8_t out[128];
	enum net_what what;
	struct net n = us();

	(void)state;
	for (size_t len = 0; len < sizeof(arp_request); len++)
		assert_int_equal(answer(&n, arp_request, len, out, &what), 0);
	for (size_t len = 0; len < sizeof(echo_request); len++)
		assert_int_equal(answer(&n, echo_request, len, out, &what), 0);
	assert_int_equal(n.count.bad,
	                 sizeof(arp_request) + sizeof(echo_request));
}

/* One bit of an echo request: checksums cover all but the Ethernet header. */
static void changed(void **state)
{
	uint8_t frame[sizeof(echo_request)], out[128];
	enum net_what what;
	struct net n = us();

	(void)state;
	for (size_t bit = 12 * 8; bit < sizeof(frame) * 8; bit++) {
		memcpy(frame, echo_request, sizeof(frame));
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(answer(&n, frame, sizeof(frame), out, &what),
		                 0);
		assert_int_equal(what, NET_NOTHING);
	}
	for (size_t bit = 12 * 8; bit < 22 * 8; bit++) {
		memcpy(frame, arp_request, sizeof(arp_request));
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
		        answer(&n, frame, sizeof(arp_request), out, &what), 0);
	}
	assert_int_equal(n.count.echo_replies, 0);
}

static void not_for_us(void **state)
{
	uint8_t out[128];
	enum net_what what;
	struct net n = us();

	(void)state;
	n.ip[3] = 51;
	assert_int_equal(
	        answer(&n, arp_request, sizeof(arp_request), out, &what), 0);
	assert_int_equal(
	        answer(&n, echo_request, sizeof(echo_request), out, &what), 0);
	assert_int_equal(n.count.ignored, 2);
	assert_int_equal(n.count.bad, 0);
}

/* Two of them talk: the one asks, the other answers. */
static void questions(void **state)
{
	struct net asks = us(), told = us();
	uint8_t frame[2048];
	enum net_what what;
	size_t len;

	(void)state;
	told.mac[5] = 9;
	told.ip[3] = 2;
	assert_true(net_parse_ip("10.0.2.2", asks.peer_ip));
	assert_int_equal(net_question(&asks, frame), 0);
	for (int wrong = 0; wrong < 2; wrong++) {
		asks.ask = ASK_ARP;
		len = net_question(&asks, frame);
		len = net_input(&told, frame, len, &what);
		assert_int_equal(net_input(&asks, frame, len, &what), 0);
		assert_int_equal(asks.ask, ASK_ECHO);
		assert_memory_equal(asks.peer_mac, told.mac, NET_MAC_LEN);
		len = net_question(&asks, frame);
		len = net_input(&told, frame, len, &what);
		assert_int_equal(what, NET_ECHO_REPLY);
		if (wrong) {
			/* Two words change places: the checksum holds. */
			memmove(frame + 50, frame + 52, 2);
			frame[52] = 3 + 8 * 7;
			frame[53] = 3 + 9 * 7;
		}
		assert_int_equal(net_input(&asks, frame, len, &what), 0);
		assert_int_equal(asks.ask, wrong ? ASK_WRONG : ASK_ANSWERED);
	}
}

static void addresses(void **state)
{
	static const char *const bad[] = {
	        "",           "10",        "10.0.2",     "10.0.2.",
	        "10.0.2.256", "10.0.2.1.", "a.0.2.1",    "10.0..1",
	        "-1.0.2.1",   "10.0.2.1 ", "10.0.2.0001"};
	const uint8_t want[4] = {10, 0, 255, 1};
	uint8_t ip[4];

	(void)state;
	assert_true(net_parse_ip("10.0.255.1", ip));
	assert_memory_equal(ip, want, 4);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(net_parse_ip(bad[i], ip));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(answers),   cmocka_unit_test(cut_short),
	        cmocka_unit_test(changed),   cmocka_unit_test(not_for_us),
	        cmocka_unit_test(questions), cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
