/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pings through the kernel's own ICMP and compares every byte that comes back;
 * the kernel has checked the checksums before that. Shares no code with the
 * side that answers.
 *
 *   vm_ping ADDRESS COUNT WINDOW
 *
 * COUNT echo requests with payloads of 0 to 1400 bytes, WINDOW of them under
 * way at a time. Prints one line; exit 1 when one is lost, changed or answered
 * twice. /proc/sys/net/ipv4/ping_group_range must allow this group.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define LARGEST 1400u
#define COUNT_MAX 65536u
#define TIMEOUT_S 20
/* RFC 792: type, code, checksum, id, sequence */
#define HEAD 8u
#define ECHO_REQUEST 8
#define ECHO_REPLY 0

static uint32_t count;
static bool waiting[COUNT_MAX];

static size_t make(uint32_t seq, uint8_t *packet)
{
	size_t len = (size_t)seq * LARGEST / (count > 1 ? count - 1 : 1);

	/* The kernel fills in checksum and id. */
	memset(packet, 0, HEAD);
	packet[0] = ECHO_REQUEST;
	packet[6] = (uint8_t)(seq >> 8);
	packet[7] = (uint8_t)seq;
	for (size_t i = 0; i < len; i++)
		packet[HEAD + i] = (uint8_t)(i * 7 + seq * 13 + (seq >> 8));
	return HEAD + len;
}

static int bad(const char *what, uint32_t seq)
{
	fprintf(stderr, "FAILED: %s: %u\n", what, seq);
	return 1;
}

static int check(const uint8_t *got, size_t len, uint32_t *ret_seq)
{
	uint8_t want[HEAD + LARGEST];
	uint32_t seq;

	if (len < HEAD || got[0] != ECHO_REPLY || got[1] != 0)
		return bad("not an echo reply of type", got[0]);
	seq = (uint32_t)got[6] << 8 | got[7];
	if (seq >= count || !waiting[seq])
		return bad("answered twice, or not asked", seq);
	if (make(seq, want) != len ||
	    memcmp(want + HEAD, got + HEAD, len - HEAD))
		return bad("the answer has changed", seq);
	*ret_seq = seq;
	return 0;
}

static int ping(int fd, const struct sockaddr_in *to, uint32_t window)
{
	uint8_t packet[65536];
	uint32_t sent = 0, got = 0, seq;

	while (got < count) {
		struct sockaddr_in from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t n;

		for (; sent < count && sent - got < window; sent++) {
			n = sendto(fd, packet, make(sent, packet), 0,
			           (const struct sockaddr *)to, sizeof(*to));
			if (n < 0) {
				perror("FAILED: sendto");
				return 1;
			}
			waiting[sent] = true;
		}
		n = recvfrom(fd, packet, sizeof(packet), 0,
		             (struct sockaddr *)&from, &from_len);
		if (n < 0)
			return bad("lost; so many have come", got);
		if (from.sin_addr.s_addr != to->sin_addr.s_addr)
			return bad("somebody else answers after", got);
		if (check(packet, (size_t)n, &seq))
			return 1;
		waiting[seq] = false;
		got++;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	struct timespec a, b;
	uint32_t window;
	int fd, rc;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	count = (uint32_t)strtoul(argv[2], NULL, 10);
	window = (uint32_t)strtoul(argv[3], NULL, 10);
	if (count == 0 || count > COUNT_MAX || window == 0)
		return 2;
	fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
	                         sizeof(timeout))) {
		perror("FAILED: an ICMP socket");
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	rc = ping(fd, &to, window);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (rc == 0)
		printf("%u pings, %u at a time: %ld ms\n", count, window,
		       (b.tv_sec - a.tv_sec) * 1000 +
		               (b.tv_nsec - a.tv_nsec) / 1000000);
	return rc;
}
