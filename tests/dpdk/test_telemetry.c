/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics through rte_telemetry's socket, spoken to as dpdk-telemetry.py
 * does: a greeting, then a command and its answer in JSON, one packet each.
 */
#include "tests/dpdk/rig.h"

#include <sys/socket.h>
#include <sys/un.h>

static int sock = -1;
static char answer[16384];

static void hear(void)
{
	ssize_t n = recv(sock, answer, sizeof(answer) - 1, 0);

	assert_true(n > 0);
	answer[n] = '\0';
}

static void tell(const char *command)
{
	size_t len = strlen(command);

	assert_int_equal(send(sock, command, len, 0), (ssize_t)len);
	hear();
}

static void call(void)
{
	const struct timeval limit = {.tv_sec = 20};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dpdk_telemetry.v2",
	         rte_eal_get_runtime_dir());
	sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_true(sock >= 0);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(sock, (const struct sockaddr *)&addr, sizeof(addr)))
		fail_msg("%s: %s", addr.sun_path, strerror(errno));
	hear();
	assert_non_null(strstr(answer, "\"max_output_len\""));
}

static void contains(const char *what)
{
	if (!strstr(answer, what))
		fail_msg("no %s in %s", what, answer);
}

static void has(const char *name, uint64_t value)
{
	char text[80];
	const char *at;

	snprintf(text, sizeof(text), "\"%s\":%llu", name,
	         (unsigned long long)value);
	at = strstr(answer, text);
	if (!at || (at[strlen(text)] != ',' && at[strlen(text)] != '}'))
		fail_msg("no %s in %s", text, answer);
}

/* Something of each kind to count. */
static void work(void)
{
	struct sluice_map_req req = {
	        .va = 0x7f0000000000, .len = 3 * PAGE, .prot = SLUICE_RW};
	struct sluice_completion c;
	sluice_iova_t iova;
	sluice_oa_t oa;

	for (int i = 0; i < 5; i++)
		assert_int_equal(sluice_map(rig.view, &req, &iova), 0);
	assert_int_equal(sluice_translate(rig.view, iova, 1, SLUICE_READ, &oa),
	                 1);
	assert_int_equal(sluice_unmap(rig.view, iova, 3 * PAGE, 0, NULL), 1);
	assert_true(sluice_translate(rig.view, iova, 1, SLUICE_READ, &oa) < 0);
	assert_int_equal(sluice_unmap(rig.view, iova, PAGE, 0, NULL), -ENOENT);
	while (sluice_poll(rig.lane, &c, 1) == 0)
		;
}

static void counters(void **state)
{
	struct sluice_domain_stats st;
	struct sluice_domain_info info;
	struct sluice_arena *arena;
	struct sluice_budget b;
	char text[64];

	(void)state;
	up(SLUICE_DOMAIN_VA_LOOKUP, SLUICE_DPDK_MEMORY);
	arena = new_arena(16 * PAGE, 1);
	assert_int_equal(sluice_dpdk_arena_register(rig.dpdk, arena, NULL), 0);
	work();
	call();
	tell("/");
	contains("/sluice/domains");
	contains("/sluice/stats");
	tell("/sluice/domains");
	snprintf(text, sizeof(text), "[%u]", sluice_dpdk_id(rig.dpdk));
	contains(text);
	snprintf(text, sizeof(text), "/sluice/stats,%u",
	         sluice_dpdk_id(rig.dpdk));
	tell(text);
	sluice_domain_get_stats(rig.domain, &st);
	sluice_domain_get_info(rig.domain, &info);
	assert_int_equal(sluice_domain_get_budget(rig.domain, &b), 0);
	assert_int_equal(st.maps, 5);
	assert_int_equal(st.unmaps, 1);
	contains("\"backend\":\"soft\"");
	contains("\"mode\":\"strict\"");
#define HAS(from, field) has(#field, from.field)
	HAS(st, maps), HAS(st, map_bytes);
	HAS(st, unmaps), HAS(st, unmap_bytes);
	HAS(st, map_failures), HAS(st, unmap_failures);
	HAS(st, misses), HAS(st, faults), HAS(st, invalidations);
	HAS(st, posts), HAS(st, revived), HAS(st, view_flushes);
	HAS(st, kernel_maps), HAS(st, kernel_unmaps), HAS(st, kernel_errors);
	HAS(st, table_bytes);
	HAS(st, exposed_entries_max), HAS(st, exposed_bytes_max);
	HAS(st, exposed_ns_max), HAS(st, waiting_ns);
	HAS(st, laggard_lane), HAS(st, laggard_records);
	HAS(info, first), HAS(info, last), HAS(info, granule);
	HAS(info, iova_total), HAS(info, iova_free);
	HAS(info, iova_fragments), HAS(info, iova_largest_free);
	HAS(info, nr_groups), HAS(info, adopted);
	/* locked_bytes and cgroup_bytes move by themselves. */
	HAS(b, mappings), HAS(b, mappings_left), HAS(b, mappings_limit);
	HAS(b, entry_limit), HAS(b, pinned_bytes), HAS(b, locked_limit);
	HAS(b, locked_hard_limit), HAS(b, cgroup_limit);
	HAS(b, usable_bytes), HAS(b, refused);
	contains("\"locked_bytes\":");
	contains("\"cgroup_bytes\":");
#undef HAS
	has("eal_memory_bytes", UINT64_C(64) << 20);
	has("eal_memory_failures", 0);
	has("eal_conflicts", 0);
	has("eal_arenas", 1);
	close(sock);
	assert_int_equal(sluice_dpdk_arena_destroy(rig.dpdk, arena), 0);
	down();
}

static void refusals(void **state)
{
	static const char *const bad[] = {
	        "/sluice/stats",
	        "/sluice/stats,",
	        "/sluice/stats,x",
	        "/sluice/stats,0x",
	        "/sluice/stats,-1",
	        "/sluice/stats,64",
	        "/sluice/stats,63",
	        "/sluice/stats,0 ",
	        "/sluice/stats,99999999999999999999",
	};

	(void)state;
	up(0, 0);
	call();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tell(bad[i]);
		contains("null");
		assert_null(strstr(answer, "maps"));
	}
	tell("/sluice/stats,0");
	has("maps", 0);
	down();
	/* Closed: no longer listed, nor asked. */
	tell("/sluice/domains");
	contains("[]");
	tell("/sluice/stats,0");
	contains("null");
	close(sock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(counters),
	        cmocka_unit_test(refusals),
	};
	int rc;

	if (!eal_up())
		return 77;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	eal_down();
	return rc;
}
