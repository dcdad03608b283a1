/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics through rte_telemetry: /sluice/domains and /sluice/stats. Commands
 * cannot be taken back, so they are registered once and outlive every domain;
 * the library is linked so that it stays in memory.
 */
#include "dpdk_int.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <rte_telemetry.h>
#include <rte_version.h>

#include <sluice/budget.h>

#define MAX_OPEN 64
#define NR_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Guards the table. Held while a domain is asked, so that none goes meanwhile;
 * asking takes the domain's lock only. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sluice_dpdk *table[MAX_OPEN];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int registered;

static int dict_u64(struct rte_tel_data *data, const char *name, uint64_t v)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	return rte_tel_data_add_dict_uint(data, name, v);
#else
	return rte_tel_data_add_dict_u64(data, name, v);
#endif
}

struct field {
	const char *name;
	size_t at;
};

#define STAT(f)                                                                \
	{                                                                      \
#f, offsetof(struct sluice_domain_stats, f)                    \
	}
static const struct field stats[] = {
        STAT(maps),
        STAT(map_bytes),
        STAT(unmaps),
        STAT(unmap_bytes),
        STAT(map_failures),
        STAT(unmap_failures),
        STAT(misses),
        STAT(faults),
        STAT(invalidations),
        STAT(posts),
        STAT(revived),
        STAT(view_flushes),
        STAT(kernel_maps),
        STAT(kernel_unmaps),
        STAT(kernel_errors),
        STAT(table_bytes),
        STAT(exposed_entries_max),
        STAT(exposed_bytes_max),
        STAT(exposed_ns_max),
        STAT(laggard_records),
        STAT(waiting_ns),
};

#define INFO(f)                                                                \
	{                                                                      \
#f, offsetof(struct sluice_domain_info, f)                     \
	}
static const struct field infos[] = {
        INFO(first),
        INFO(last),
        INFO(granule),
        INFO(iova_total),
        INFO(iova_free),
        INFO(iova_fragments),
        INFO(iova_largest_free),
};

#define BUDGET(f)                                                              \
	{                                                                      \
#f, offsetof(struct sluice_budget, f)                          \
	}
static const struct field budgets[] = {
        BUDGET(mappings),     BUDGET(mappings_left),     BUDGET(mappings_limit),
        BUDGET(entry_limit),  BUDGET(pinned_bytes),      BUDGET(locked_bytes),
        BUDGET(locked_limit), BUDGET(locked_hard_limit), BUDGET(cgroup_bytes),
        BUDGET(cgroup_limit), BUDGET(usable_bytes),      BUDGET(refused),
};

static int add_fields(struct rte_tel_data *data, const struct field *f,
                      size_t nr, const void *from)
{
	for (size_t i = 0; i < nr; i++) {
		const uint64_t *v =
		        (const void *)((const char *)from + f[i].at);

		if (dict_u64(data, f[i].name, *v))
			return -ENOSPC;
	}
	return 0;
}

static int report(struct sluice_dpdk *d, struct rte_tel_data *data)
{
	struct sluice_domain_stats st;
	struct sluice_domain_info info;
	struct sluice_dpdk_info mine;
	struct sluice_budget budget;
	int bad;

	if (sluice_domain_get_budget(d->domain, &budget))
		return -1;
	sluice_domain_get_stats(d->domain, &st);
	sluice_domain_get_info(d->domain, &info);
	sluice_dpdk_get_info(d, &mine);
	bad = rte_tel_data_start_dict(data);
	bad |= rte_tel_data_add_dict_string(data, "backend",
	                                    sluice_backend_name(info.backend));
	bad |= rte_tel_data_add_dict_string(
	        data, "mode",
	        info.mode == SLUICE_MODE_LAZY ? "lazy" : "strict");
	bad |= dict_u64(data, "adopted", info.adopted);
	bad |= dict_u64(data, "nr_groups", info.nr_groups);
	bad |= add_fields(data, stats, NR_OF(stats), &st);
	bad |= dict_u64(data, "laggard_lane", st.laggard_lane);
	bad |= add_fields(data, infos, NR_OF(infos), &info);
	bad |= add_fields(data, budgets, NR_OF(budgets), &budget);
	bad |= dict_u64(data, "eal_memory_bytes", mine.memory_bytes);
	bad |= dict_u64(data, "eal_memory_failures", mine.memory_failures);
	bad |= dict_u64(data, "eal_conflicts", mine.conflicts);
	bad |= dict_u64(data, "eal_arenas", mine.nr_arenas);
	return bad ? -1 : 0;
}

static int on_domains(const char *cmd, const char *params,
                      struct rte_tel_data *data)
{
	(void)cmd;
	(void)params;
	rte_tel_data_start_array(data, RTE_TEL_INT_VAL);
	pthread_mutex_lock(&lock);
	for (int i = 0; i < MAX_OPEN; i++)
		if (table[i])
			rte_tel_data_add_array_int(data, i);
	pthread_mutex_unlock(&lock);
	return 0;
}

static int on_stats(const char *cmd, const char *params,
                    struct rte_tel_data *data)
{
	unsigned long id;
	char *end;
	int rc = -1;

	(void)cmd;
	if (!params || *params < '0' || *params > '9')
		return -1;
	id = strtoul(params, &end, 10);
	if (*end || id >= MAX_OPEN)
		return -1;
	pthread_mutex_lock(&lock);
	if (table[id])
		rc = report(table[id], data);
	pthread_mutex_unlock(&lock);
	return rc;
}

static void register_commands(void)
{
	registered = rte_telemetry_register_cmd(
	        "/sluice/domains", on_domains,
	        "Ids of sluice's domains. Takes no parameters");
	if (registered == 0)
		registered = rte_telemetry_register_cmd(
		        "/sluice/stats", on_stats,
		        "Counters and budget of a domain. Parameters: int id");
}

int telemetry_add(struct sluice_dpdk *d)
{
	uint32_t id = MAX_OPEN;
	bool known = false;

	pthread_once(&once, register_commands);
	if (registered)
		eal_log("sluice: no telemetry: %s\n",
		        sluice_errname(registered));
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < MAX_OPEN; i++) {
		known |= table[i] && table[i]->domain == d->domain;
		if (!table[i] && id == MAX_OPEN)
			id = i;
	}
	if (!known && id < MAX_OPEN) {
		d->id = id;
		table[id] = d;
	}
	pthread_mutex_unlock(&lock);
	if (known)
		return fail(-EEXIST, "the domain is known to EAL already");
	if (id == MAX_OPEN)
		return fail(-ENOSPC, "%d domains are open: close one",
		            MAX_OPEN);
	return 0;
}

void telemetry_remove(struct sluice_dpdk *d)
{
	pthread_mutex_lock(&lock);
	table[d->id] = NULL;
	pthread_mutex_unlock(&lock);
}
