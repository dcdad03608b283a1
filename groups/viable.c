/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Explains viability. The text is meant to be typed, so a name that comes from
 * sysfs reaches a command line only when a shell takes it as one plain word or
 * as a quoted one; any other name is shown defused and gets no command.
 */
#include "groups/viable.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/util.h"

#define NAME_LEN 256

/* Text that is cut at the end of buf and still counted. */
struct text {
	char *buf;
	size_t len;
	size_t pos;
};

static void add(struct text *t, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *fmt, ...)
{
	size_t left = t->pos < t->len ? t->len - t->pos : 0;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(left ? t->buf + t->pos : NULL, left, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->pos += (size_t)n;
}

const char *viable_name(const char *name, char *buf, size_t len)
{
	size_t n = strnlen(name, len - 1);

	for (size_t i = 0; i < n; i++)
		buf[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
	buf[n] = '\0';
	return buf;
}

/* No slash can be in a name, but "..", a quote or a control character can. */
static bool typable(const char *name)
{
	if (!*name || *name == '.' || strlen(name) >= NAME_LEN)
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_-.:+@!, ()", *p))
			return false;
	return true;
}

/* '' around what a shell would take apart. */
static const char *quote(const char *name)
{
	return strpbrk(name, "!, ()") ? "'" : "";
}

/*
 * Only PCI functions that are no bridges have a VFIO driver that takes any
 * device; for the rest no driver at all is enough.
 */
size_t viable_commands(const struct sluice_group_member *m, const char *before,
                       const char *after, char *buf, size_t len)
{
	struct text t = {buf, len, 0};
	const char *qn = quote(m->name);

	if (!typable(m->name) || (m->driver && !typable(m->driver)))
		return 0;
	if (m->driver && typable(m->bus)) {
		const char *qd = quote(m->driver);

		add(&t, "%secho %s%s%s > %s/sys/bus/%s/drivers/%s/unbind%s%s",
		    before, qn, m->name, qn, qd, m->bus, m->driver, qd, after);
	}
	if (m->is_pci && !m->is_bridge) {
		add(&t,
		    "%secho vfio-pci > "
		    "/sys/bus/pci/devices/%s/driver_override%s",
		    before, m->name, after);
		add(&t, "%secho %s > /sys/bus/pci/drivers_probe%s", before,
		    m->name, after);
	}
	return t.pos;
}

static void add_commands(struct text *t, const struct sluice_group_member *m)
{
	size_t left = t->pos < t->len ? t->len - t->pos : 0;
	size_t n = viable_commands(m, "    ", "\n", left ? t->buf + t->pos : "",
	                           left);

	t->pos += n;
	if (n == 0)
		add(t, "  (its name is not one to put on a command line: "
		       "look at it in sysfs)\n");
}

static const char *name_of(const struct sluice_group_member *m,
                           char buf[NAME_LEN])
{
	return viable_name(m->name, buf, NAME_LEN);
}

static void explain_blockers(struct text *t,
                             const struct sluice_group_info *info, uint32_t nr)
{
	char name[NAME_LEN], driver[NAME_LEN], bus[NAME_LEN];
	bool bind = false;

	add(t,
	    "group %d is not viable: %u of its %u devices %s bound to a kernel "
	    "driver that uses DMA.\n"
	    "Make sure nothing uses them (disks, network), then as root:\n",
	    info->id, nr, info->nr_members, nr == 1 ? "is" : "are");
	for (uint32_t i = 0; i < info->nr_members; i++) {
		const struct sluice_group_member *m = &info->members[i];

		if (!m->is_blocker)
			continue;
		if (!bind && m->is_pci && !m->is_bridge) {
			add(t, "    modprobe vfio-pci\n");
			bind = true;
		}
		add(t, "%s (%s%s) is bound to %s:\n", name_of(m, name),
		    *m->bus ? viable_name(m->bus, bus, sizeof(bus))
		            : "unknown bus",
		    m->is_bridge ? " bridge" : "",
		    viable_name(m->driver, driver, sizeof(driver)));
		add_commands(t, m);
	}
}

static void explain_unbound(struct text *t,
                            const struct sluice_group_info *info)
{
	char name[NAME_LEN];
	bool any = false;

	add(t,
	    "group %d is viable, but no member is bound to a VFIO driver, "
	    "so it cannot be opened.\n",
	    info->id);
	for (uint32_t i = 0; i < info->nr_members; i++) {
		const struct sluice_group_member *m = &info->members[i];

		if (!m->is_pci || m->is_bridge)
			continue;
		if (!any)
			add(t, "Bind the device that you want to use, as root:"
			       "\n    modprobe vfio-pci\n");
		any = true;
		add(t, "%s:\n", name_of(m, name));
		add_commands(t, m);
	}
	if (!any)
		add(t, "It holds nothing that vfio-pci takes.\n");
}

size_t sluice_group_explain_viability(const struct sluice_group_info *info,
                                      char *buf, size_t len)
{
	struct text t = {buf, buf ? len : 0, 0};
	uint32_t blockers = 0, vfio = 0;

	if (t.len)
		buf[0] = '\0';
	if (!info)
		return 0;
	for (uint32_t i = 0; i < info->nr_members; i++) {
		blockers += info->members[i].is_blocker != 0;
		vfio += info->members[i].is_vfio != 0;
	}
	if (info->nr_members == 0)
		add(&t, "group %d has no devices: there is nothing to open.\n",
		    info->id);
	else if (blockers)
		explain_blockers(&t, info, blockers);
	else if (vfio == 0)
		explain_unbound(&t, info);
	else
		add(&t,
		    "group %d is viable: %u of its %u devices %s bound to a "
		    "VFIO driver, no other driver is in the way.\n",
		    info->id, vfio, info->nr_members, vfio == 1 ? "is" : "are");
	return t.pos;
}

int viable_refuse(const struct sluice_group_info *info)
{
	const struct sluice_group_member *first = NULL;
	char name[NAME_LEN], driver[NAME_LEN], more[120] = "", todo[320] = "";
	uint32_t nr = 0;

	for (uint32_t i = 0; i < info->nr_members; i++) {
		if (!info->members[i].is_blocker)
			continue;
		nr++;
		if (!first)
			first = &info->members[i];
	}
	if (!first)
		return msg_fmt(-EPERM,
		               "group %d is not viable: the kernel says that "
		               "one of its devices is in use, sysfs does not "
		               "show by whom (a driver bound or unbound just "
		               "now? iommufd?): try again, then look at "
		               "'sluice groups'",
		               info->id);
	if (viable_commands(first, "; ", "", todo, sizeof(todo)) >=
	    sizeof(todo))
		todo[0] = '\0';
	viable_name(first->driver, driver, sizeof(driver));
	viable_name(first->name, name, sizeof(name));
	if (nr > 1)
		snprintf(more, sizeof(more),
		         " and %u more are in the way (sluice groups "
		         "--explain %.40s)",
		         nr - 1, name);
	return msg_fmt(-EPERM,
	               "group %d is not viable: %.40s is bound to %.40s%s%s%s",
	               info->id, name, driver, more, *todo ? ". As root: " : "",
	               *todo ? todo + 2 : "");
}
