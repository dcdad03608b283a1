/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A domain as the user of a group that somebody watches (<sluice/watch.h>):
 * which addresses it uses, and whom it tells of a loss. Knows no watch.
 */
#include "engine/device_int.h"

#include <errno.h>
#include <sluice/watch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct guard {
	struct guard *next; /* in the domain's list */
	struct sluice_domain *domain;
	struct sluice_group *group;
};

int guard_none(const struct sluice_domain *domain,
               const struct sluice_group *group)
{
	const struct guard *g = domain->guards;

	while (g && group && g->group != group)
		g = g->next;
	if (!g)
		return 0;
	return msg_fmt(-EBUSY,
	               "group %d is guarded: call sluice_watch_release() and "
	               "sluice_domain_unguard() first",
	               sluice_group_id(g->group));
}

static int in_use(void *ctx, uint64_t first, uint64_t last)
{
	struct guard *g = ctx;
	int rc;

	pthread_mutex_lock(&g->domain->lock);
	rc = aperture_take(g->domain, first, last);
	pthread_mutex_unlock(&g->domain->lock);
	return rc != 0;
}

/* As if the kernel had asked for the device: its lane hears it beside all else
 * that it waits for. */
static void ask_back(const struct sluice_device *dev)
{
	const struct device_irq *irq = &dev->irq[VFIO_PCI_REQ_IRQ_INDEX];
	const uint64_t one = 1;

	/* Of others the index is an interrupt like any. */
	if (!(dev->info.flags & VFIO_DEVICE_FLAGS_PCI) ||
	    dev->info.num_irqs <= VFIO_PCI_REQ_IRQ_INDEX || !irq->nr_on)
		return;
	/* It only fails when the lane has not looked 2^64 times. */
	(void)sys->write(irq->event[0]->fd, &one, sizeof(one));
}

/* The device may have been opened by less than the whole address, which is that
 * of domain 0 then, with more zeroes, and with digits of either case. The
 * kernel writes at least four digits of a domain. */
static bool is_name(const char *opened, const char *full)
{
	const char *colon = strchr(opened, ':');

	if (colon && !strchr(colon + 1, ':') && strncmp(full, "0000:", 5) == 0)
		full += 5;
	else
		while (colon && colon - opened > 4 && *opened == '0')
			opened++;
	return strcasecmp(full, opened) == 0;
}

static void lost(void *ctx, const struct sluice_watch_event *e)
{
	struct guard *g = ctx;
	bool one = e->kind == SLUICE_WATCH_MEMBER_LEFT;

	pthread_mutex_lock(&g->domain->lock);
	for (struct sluice_device *dev = g->domain->devices; dev;
	     dev = dev->next)
		if (dev->group == g->group &&
		    (!one || is_name(dev->name, e->name)))
			ask_back(dev);
	pthread_mutex_unlock(&g->domain->lock);
}

int sluice_domain_guard(struct sluice_domain *d, struct sluice_group *group,
                        struct sluice_watch_user *ret_user)
{
	struct guard *g;
	int rc = 0;

	if (!d || !group || !ret_user)
		return msg_lit(-EINVAL, "domain, group or ret_user is NULL");
	if (engine_check(d->engine))
		return -EPERM;
	g = calloc(1, sizeof(*g));
	if (!g)
		return msg_lit(-ENOMEM, "no memory to guard a group");
	g->domain = d;
	g->group = group;
	pthread_mutex_lock(&d->lock);
	if (grp_attached(group) != d)
		rc = msg_lit(-ENOENT, "the group is not attached to this "
		                      "domain: call sluice_domain_attach() "
		                      "first");
	else
		rc = guard_none(d, group);
	if (rc == 0) {
		g->next = d->guards;
		d->guards = g;
	}
	pthread_mutex_unlock(&d->lock);
	if (rc) {
		free(g);
		return rc;
	}
	*ret_user = (struct sluice_watch_user){in_use, lost, g};
	return 0;
}

int sluice_domain_unguard(struct sluice_domain *d, struct sluice_group *group)
{
	struct guard **at, *g;

	if (!d || !group)
		return msg_lit(-EINVAL, "domain or group is NULL");
	if (engine_check(d->engine))
		return -EPERM;
	pthread_mutex_lock(&d->lock);
	for (at = &d->guards; *at && (*at)->group != group; at = &(*at)->next)
		;
	g = *at;
	if (g)
		*at = g->next;
	pthread_mutex_unlock(&d->lock);
	if (!g)
		return msg_lit(-ENOENT, "the group is not guarded");
	free(g);
	return 0;
}
