/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's cuckoo hash, page to word (output address and rights), lookups without
 * a lock beside writers. Writers take a mutex; slots of deleted keys come back
 * through DPDK's own quiescent-state queue, to which every call reports. The
 * environment layer runs without hugepages, devices and shared files, once for
 * the process, and leaves the caller's processors as they were.
 */
#include "yardstick/ways_int.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_rcu_qsbr.h>

#define MAX_THREADS 128
#define EAL_MIB "4096" /* reserved, not touched */
#define CACHE_LINE 128
#define MAX_TRIES 100000

struct cuckoo {
	struct rte_hash *hash;
	struct rte_rcu_qsbr *quiet;
	pthread_mutex_t write;
	uint64_t mapped, max;
};

static pthread_mutex_t ids_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char id_taken[MAX_THREADS];
static int eal = 1; /* as rte_eal_init() said; 1 is not asked yet */
static unsigned nr_opened;

/* One number for a thread, however many ways it is in. */
static _Thread_local unsigned inside, id;

static int start_eal(void)
{
	char cpu[32], name[] = "ways";
	char *argv[] = {name,
	                (char[]){"--no-huge"},
	                (char[]){"--no-shconf"},
	                (char[]){"--no-pci"},
	                (char[]){"--no-telemetry"},
	                (char[]){"--iova-mode=va"},
	                (char[]){"--log-level=error"},
	                (char[]){"-m"},
	                (char[]){EAL_MIB},
	                (char[]){"--lcores"},
	                cpu,
	                NULL};
	cpu_set_t mine;
	unsigned c = 0;
	int rc;

	if (sched_getaffinity(0, sizeof(mine), &mine))
		return -1;
	while (c < CPU_SETSIZE - 1 && !CPU_ISSET(c, &mine))
		c++;
	snprintf(cpu, sizeof(cpu), "0@%u", c);
	rc = rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, argv);
	/* It pins whoever calls. */
	(void)sched_setaffinity(0, sizeof(mine), &mine);
	return rc < 0 ? -1 : 0;
}

static void cuckoo_close(void *w)
{
	struct cuckoo *c = w;

	rte_hash_free(c->hash);
	free(c->quiet);
	pthread_mutex_destroy(&c->write);
	free(c);
}

static int make_quiet(struct cuckoo *c)
{
	size_t size = rte_rcu_qsbr_get_memsize(MAX_THREADS);
	void *mem = NULL;

	if (posix_memalign(&mem, CACHE_LINE, size))
		return -ENOMEM;
	c->quiet = mem;
	return rte_rcu_qsbr_init(c->quiet, MAX_THREADS);
}

static void *cuckoo_open(uint64_t max_pages)
{
	/* A quarter more, and some: deleted keys keep their slots a while. */
	struct rte_hash_parameters p = {
	        .entries = (uint32_t)(max_pages + max_pages / 4 + 4096),
	        .key_len = sizeof(uint64_t),
	        .hash_func = rte_hash_crc,
	        .socket_id = -1,
	        .extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF};
	struct rte_hash_rcu_config cfg = {.mode = RTE_HASH_QSBR_MODE_DQ};
	struct cuckoo *c;
	char name[RTE_HASH_NAMESIZE];

	if (max_pages > RTE_HASH_ENTRIES_MAX / 2)
		return NULL;
	pthread_mutex_lock(&ids_lock);
	if (eal > 0)
		eal = start_eal();
	snprintf(name, sizeof(name), "ways%u", nr_opened++);
	pthread_mutex_unlock(&ids_lock);
	c = eal ? NULL : calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	pthread_mutex_init(&c->write, NULL);
	c->max = max_pages;
	p.name = name;
	c->hash = rte_hash_create(&p);
	if (c->hash && !make_quiet(c)) {
		cfg.v = c->quiet;
		if (!rte_hash_rcu_qsbr_add(c->hash, &cfg))
			return c;
	}
	cuckoo_close(c);
	return NULL;
}

static void enter(void *w)
{
	struct cuckoo *c = w;

	if (!inside++) {
		pthread_mutex_lock(&ids_lock);
		for (id = 0; id < MAX_THREADS - 1 && id_taken[id]; id++)
			;
		id_taken[id] = 1;
		pthread_mutex_unlock(&ids_lock);
	}
	(void)rte_rcu_qsbr_thread_register(c->quiet, id);
	rte_rcu_qsbr_thread_online(c->quiet, id);
}

static void leave(void *w)
{
	struct cuckoo *c = w;

	rte_rcu_qsbr_thread_offline(c->quiet, id);
	(void)rte_rcu_qsbr_thread_unregister(c->quiet, id);
	if (!--inside) {
		pthread_mutex_lock(&ids_lock);
		id_taken[id] = 0;
		pthread_mutex_unlock(&ids_lock);
	}
}

static int put(struct rte_hash *h, uint64_t page, uint64_t word)
{
	hash_sig_t sig = rte_hash_hash(h, &page);

	/* Adding alone would replace what is there. */
	if (rte_hash_lookup_with_hash(h, &page, sig) >= 0)
		return -EEXIST;
	return rte_hash_add_key_with_hash_data(h, &page, sig,
	                                       (void *)(uintptr_t)word)
	               ? -ENOMEM
	               : 0;
}

static int take(struct rte_hash *h, uint64_t page)
{
	return rte_hash_del_key(h, &page) < 0 ? -ENOENT : 0;
}

static int put_all(struct cuckoo *c, uint64_t first, uint64_t oa, uint64_t nr,
                   uint32_t prot)
{
	uint64_t i;
	int rc = 0;

	if (nr > c->max - c->mapped)
		return -ENOMEM;
	for (i = 0; i < nr && !rc; i++)
		rc = put(c->hash, first + i, (oa + (i << 12)) | prot);
	if (!rc) {
		c->mapped += nr;
		return 0;
	}
	for (i--; i-- > 0;)
		(void)take(c->hash, first + i);
	return rc == -EEXIST ? rc : -EAGAIN;
}

static int map(void *w, uint64_t iova, uint64_t oa, uint64_t len, uint32_t prot)
{
	struct cuckoo *c = w;
	int rc = -EAGAIN;

	/* All slots may be waiting for a reader that was preempted. */
	for (unsigned i = 0; i < MAX_TRIES && rc == -EAGAIN; i++) {
		if (i)
			sched_yield();
		pthread_mutex_lock(&c->write);
		rc = put_all(c, iova >> 12, oa, len >> 12, prot);
		pthread_mutex_unlock(&c->write);
		rte_rcu_qsbr_quiescent(c->quiet, id);
	}
	return rc == -EAGAIN ? -ENOMEM : rc;
}

static int unmap(void *w, uint64_t iova, uint64_t len)
{
	uint64_t first = iova >> 12, nr = len >> 12;
	struct cuckoo *c = w;
	int rc = 0;

	pthread_mutex_lock(&c->write);
	for (uint64_t i = 0; nr > 1 && i < nr && !rc; i++) {
		uint64_t page = first + i;

		rc = rte_hash_lookup(c->hash, &page) < 0 ? -ENOENT : 0;
	}
	for (uint64_t i = 0; i < nr && !rc; i++)
		rc = take(c->hash, first + i);
	if (!rc)
		c->mapped -= nr;
	pthread_mutex_unlock(&c->write);
	rte_rcu_qsbr_quiescent(c->quiet, id);
	return rc;
}

static int translate(void *w, uint64_t iova, uint32_t prot, uint64_t *ret_oa)
{
	uint64_t page = iova >> 12, word;
	struct cuckoo *c = w;
	void *data = NULL;
	int rc = 0;

	if (rte_hash_lookup_data(c->hash, &page, &data) < 0) {
		rc = -EFAULT;
	} else {
		word = (uint64_t)(uintptr_t)data;
		if (prot & ~(uint32_t)(word & (WAY_PAGE - 1)))
			rc = -EACCES;
		else
			*ret_oa = (word & ~(WAY_PAGE - 1)) |
			          (iova & (WAY_PAGE - 1));
	}
	rte_rcu_qsbr_quiescent(c->quiet, id);
	return rc;
}

const struct way way_rte_hash = {
        .name = "rte_hash",
        .open = cuckoo_open,
        .map = map,
        .unmap = unmap,
        .translate = translate,
        .thread_enter = enter,
        .thread_leave = leave,
        .close = cuckoo_close,
};
