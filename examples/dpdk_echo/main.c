/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A DPDK application with sluice beside EAL: its port answers ARP and ping, and
 * every packet lies in an arena of a sluice domain that shares EAL's container.
 * Shows the order of things: EAL, domain, arena, pool, port, and back.
 *
 *   dpdk_echo [EAL's arguments] -- [apart] IPV4-ADDRESS
 *
 * apart: the domain stays out of the container, and EAL maps the arena for the
 * port (rte_dev_dma_map), as it does for a device that is not in it.
 * Runs until SIGINT or SIGTERM, then prints what it did. Exit: 0; 1 for an
 * error; 77 where EAL or the port is missing something.
 */
#include "reply.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_memory.h>
#include <rte_mempool.h>

#include <sluice/dpdk.h>
#include <sluice/sluice.h>

#define ARENA_BYTES (8u << 20)
#define MBUFS 2047
#define CACHE 64
#define DESCRIPTORS 256
#define BURST 32
#define MAX_RANGES 64
#define SECOND 1000000000u

static volatile sig_atomic_t stop;

struct echo {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct sluice_dpdk *dpdk;
	struct sluice_arena *arena;
	struct rte_mempool *pool;
	struct host me;
	int apart;
	uint64_t received, arps, echoes, outside;
};

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void on_log(void *ctx, enum sluice_log_level level, const char *text)
{
	(void)ctx;
	if (level <= SLUICE_LOG_WARN)
		fprintf(stderr, "dpdk_echo: sluice: %s\n", text);
}

static int failed(const char *what)
{
	fprintf(stderr, "dpdk_echo: %s: %s\n", what, sluice_last_error());
	return 1;
}

static int dpdk_failed(const char *what, int rc)
{
	fprintf(stderr, "dpdk_echo: %s: %s\n", what, rte_strerror(-rc));
	return 1;
}

/* A domain beside EAL's memory: its IOVAs are apart from EAL's. Within what any
 * VT-d reaches: the kernel is not asked when a soft domain hands them out. */
static int domain_apart(struct echo *e)
{
	struct sluice_range eals[MAX_RANGES];
	int nr = sluice_dpdk_reserved(eals, MAX_RANGES);
	const struct sluice_domain_cfg cfg = {
	        .flags = SLUICE_DOMAIN_VA_LOOKUP,
	        .first = SLUICE_PAGE_SIZE,
	        .last = (UINT64_C(1) << 39) - 1,
	        .reserved = eals,
	        .nr_reserved = (uint32_t)nr,
	};

	if (nr < 0 || nr > MAX_RANGES)
		return failed("sluice_dpdk_reserved");
	return sluice_domain_create(e->engine, &cfg, &e->domain)
	               ? failed("sluice_domain_create")
	               : 0;
}

/* A domain in EAL's container. */
static int domain_inside(struct echo *e)
{
	const struct sluice_domain_cfg cfg = {.flags = SLUICE_DOMAIN_VA_LOOKUP};

	return sluice_dpdk_domain_create(e->engine, &cfg, &e->domain)
	               ? failed("sluice_dpdk_domain_create")
	               : 0;
}

/* And a lane to ask it. */
static int domain_up(struct echo *e)
{
	const struct sluice_dpdk_cfg dcfg = {.flags = SLUICE_DPDK_MEMORY};
	const struct sluice_engine_cfg ecfg = {.log = on_log};

	if (sluice_engine_open(&ecfg, &e->engine))
		return failed("sluice_engine_open");
	if (e->apart ? domain_apart(e) : domain_inside(e))
		return 1;
	if (sluice_lane_open(e->engine, NULL, &e->lane))
		return failed("sluice_lane_open");
	if (sluice_view_open(e->lane, e->domain, &e->view))
		return failed("sluice_view_open");
	if (sluice_dpdk_open(e->domain, &dcfg, &e->dpdk))
		return failed("sluice_dpdk_open");
	return 0;
}

/* Packets' memory. */
static int pool_up(struct echo *e)
{
	const struct sluice_arena_cfg acfg = {.size = ARENA_BYTES};
	const struct sluice_dpdk_pool_cfg pcfg = {
	        .name = "echo",
	        .nr_mbufs = MBUFS,
	        .cache_size = CACHE,
	        .socket = -1,
	};
	struct rte_eth_dev_info dev;
	struct sluice_domain_stats st;
	struct sluice_arena_info info;
	int rc = rte_eth_dev_info_get(0, &dev);

	if (rc)
		return dpdk_failed("rte_eth_dev_info_get", rc);
	if (sluice_arena_create(e->domain, &acfg, &e->arena))
		return failed("sluice_arena_create");
	if (sluice_dpdk_arena_register(e->dpdk, e->arena, dev.device))
		return failed("sluice_dpdk_arena_register");
	if (sluice_dpdk_pool_create(e->dpdk, e->arena, &pcfg, &e->pool))
		return failed("sluice_dpdk_pool_create");
	sluice_arena_get_info(e->arena, &info);
	sluice_domain_get_stats(e->domain, &st);
	printf("arena %p iova 0x%llx bytes %llu, mapped by %s\n", info.va,
	       (unsigned long long)info.iova, (unsigned long long)info.len,
	       st.kernel_maps ? "sluice" : "EAL");
	return 0;
}

static int port_up(struct echo *e)
{
	const struct rte_eth_conf conf = {0};
	struct rte_ether_addr mac;
	int rc = rte_eth_dev_configure(0, 1, 1, &conf);

	if (rc == 0)
		rc = rte_eth_rx_queue_setup(0, 0, DESCRIPTORS, 0, NULL,
		                            e->pool);
	if (rc == 0)
		rc = rte_eth_tx_queue_setup(0, 0, DESCRIPTORS, 0, NULL);
	if (rc == 0)
		rc = rte_eth_macaddr_get(0, &mac);
	if (rc == 0)
		rc = rte_eth_dev_start(0);
	if (rc)
		return dpdk_failed("the port does not start", rc);
	memcpy(e->me.mac, mac.addr_bytes, sizeof(e->me.mac));
	return 0;
}

/* Memory that EAL takes from the system and gives back later: the domain's
 * answers follow. */
static int memory_check(struct echo *e)
{
	const size_t len = 48u << 20;
	struct sluice_dpdk_info before, during, after;
	struct sluice_completion c;
	sluice_iova_t iova = 0;
	char *mem;

	sluice_dpdk_get_info(e->dpdk, &before);
	mem = rte_malloc(NULL, len, 0);
	if (!mem)
		return dpdk_failed("rte_malloc", -rte_errno);
	sluice_dpdk_get_info(e->dpdk, &during);
	for (size_t at = 0; at < len; at += 4096)
		if (sluice_va_to_iova(e->view, (uintptr_t)mem + at, 1, &iova) !=
		            1 ||
		    iova != rte_mem_virt2iova(mem + at))
			return failed("no answer for memory of EAL");
	rte_free(mem);
	sluice_poll(e->lane, &c, 1);
	sluice_dpdk_get_info(e->dpdk, &after);
	printf("memory %llu, with 48 MiB more %llu, without %llu\n",
	       (unsigned long long)before.memory_bytes,
	       (unsigned long long)during.memory_bytes,
	       (unsigned long long)after.memory_bytes);
	if (during.memory_bytes > before.memory_bytes &&
	    after.memory_bytes < during.memory_bytes &&
	    sluice_va_to_iova(e->view, (uintptr_t)mem + len / 2, 1, &iova) >= 0)
		return failed("an answer for memory that EAL gave back");
	return during.memory_failures ? failed("memory without an answer") : 0;
}

/* Where the port wrote the frame is an address of the arena. */
static void look(struct echo *e, const struct rte_mbuf *m)
{
	sluice_iova_t iova;

	if (sluice_arena_iova(e->arena, m->buf_addr, &iova) ||
	    iova != m->buf_iova)
		e->outside++;
}

static void burst(struct echo *e)
{
	struct rte_mbuf *m[BURST];
	uint16_t n = rte_eth_rx_burst(0, 0, m, BURST), out = 0;

	for (uint16_t i = 0; i < n; i++) {
		enum reply what;

		look(e, m[i]);
		what = m[i]->nb_segs == 1
		               ? reply_to(rte_pktmbuf_mtod(m[i], uint8_t *),
		                          m[i]->data_len, &e->me)
		               : REPLY_NONE;
		e->arps += what == REPLY_ARP;
		e->echoes += what == REPLY_ECHO;
		if (what == REPLY_NONE)
			rte_pktmbuf_free(m[i]);
		else
			m[out++] = m[i];
	}
	e->received += n;
	n = rte_eth_tx_burst(0, 0, m, out);
	while (n < out)
		rte_pktmbuf_free(m[n++]);
}

static int forward(struct echo *e)
{
	struct sluice_completion c;

	if (memory_check(e))
		return 1;
	printf("ready\n");
	while (!stop) {
		burst(e);
		sluice_poll(e->lane, &c, 1);
	}
	printf("received %llu arp %llu echo %llu outside-arena %llu\n",
	       (unsigned long long)e->received, (unsigned long long)e->arps,
	       (unsigned long long)e->echoes, (unsigned long long)e->outside);
	return e->outside ? 1 : 0;
}

/* The port stays in the container until the domain is gone. */
static int down(struct echo *e)
{
	int rc = rte_eth_dev_stop(0);

	if (rc)
		return dpdk_failed("the port does not stop", rc);
	/* Its queues hold mbufs. */
	rc = rte_eth_dev_configure(0, 0, 0, &(struct rte_eth_conf){0});
	if (rc)
		return dpdk_failed("the port's queues stay", rc);
	rte_mempool_free(e->pool);
	if (sluice_dpdk_arena_destroy(e->dpdk, e->arena) ||
	    sluice_dpdk_close(e->dpdk) || sluice_drain(e->lane, SECOND) ||
	    sluice_view_close(e->view) || sluice_lane_close(e->lane) ||
	    sluice_domain_destroy(e->domain) || sluice_engine_close(e->engine))
		return failed("taking down");
	return 0;
}

int main(int argc, char **argv)
{
	static struct echo e;
	int n = rte_eal_init(argc, argv), rc;

	if (n < 0) {
		fprintf(stderr, "dpdk_echo: SKIP: rte_eal_init: %s\n",
		        rte_strerror(rte_errno));
		return 77;
	}
	e.apart = argc - n == 3 && strcmp(argv[n + 1], "apart") == 0;
	if (argc - n != 2 + e.apart ||
	    inet_pton(AF_INET, argv[argc - 1], &e.me.ip) != 1) {
		fprintf(stderr, "usage: dpdk_echo [EAL's arguments] -- [apart] "
		                "IPV4-ADDRESS\n");
		return 2;
	}
	if (rte_eth_dev_count_avail() == 0) {
		fprintf(stderr, "dpdk_echo: SKIP: no port: bind one to "
		                "vfio-pci, and install its driver "
		                "(librte-net-e1000-23 for e1000)\n");
		return 77;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	rc = domain_up(&e) || pool_up(&e) || port_up(&e) || forward(&e) ||
	     down(&e);
	if (rc)
		return 1;
	rte_eth_dev_close(0);
	rte_eal_cleanup();
	printf("down\n");
	return 0;
}
