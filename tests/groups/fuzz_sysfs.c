/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole sysfs trees of a stranger: no crash, no leak, no descriptor left open,
 * an error that was documented and has words, and the same answer whatever the
 * order in which folders list their entries.
 *
 * Input: flags, which call fails, and how; then files: kind, path, what its %D
 * and %G are, length (2), bytes. Beyond the table of paths one is spelled out:
 * the bytes before the first zero.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/group.h>
#include <sluice/require.h>
#include <sluice/share.h>

#include "fake_sysfs.h"
#include "util/util.h"

#define MAX_GROUPS 64
#define MAX_MEMBERS 64

#define WORD(s) ((s) ? (s) : "(none)")

enum {
	SYS_BELOW = 0x01, /* the tree is the folder "sys" of the root */
	ONE_BY_ONE = 0x02 /* each read gives one byte */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const paths[] = {
        "bus/pci/devices/%D",
        "bus/pci/devices/%D/config",
        "bus/pci/devices/%D/class",
        "bus/pci/devices/%D/vendor",
        "bus/pci/devices/%D/device",
        "bus/pci/devices/%D/driver",
        "bus/pci/devices/%D/iommu",
        "bus/pci/devices/%D/iommu_group",
        "bus/pci/devices/%D/subsystem",
        "bus/pci/devices/%D/physfn",
        "bus/pci/devices/%D/ari_enabled",
        "bus/pci/devices/%D/of_node",
        "bus/pci/devices/%D/dma_mask_bits",
        "devices/%D",
        "devices/%D/config",
        "devices/%D/class",
        "devices/%D/driver",
        "devices/%D/iommu",
        "devices/%D/iommu_group",
        "devices/%D/subsystem",
        "kernel/iommu_groups",
        "kernel/iommu_groups/%G",
        "kernel/iommu_groups/%G/type",
        "kernel/iommu_groups/%G/name",
        "kernel/iommu_groups/%G/reserved_regions",
        "kernel/iommu_groups/%G/devices",
        "kernel/iommu_groups/%G/devices/%D",
        "kernel/iommu_groups/%G/devices/%D/driver",
        "class/iommu",
        "class/iommu/dmar%G",
        "class/iommu/dmar%G/intel-iommu/cap",
        "class/iommu/dmar%G/intel-iommu/ecap",
        "class/iommu/ivhd%G",
        "class/iommu/smmu3.%G",
        "class/iommu/iommu-phb%G",
        "class/iommu/s390-iommu%G",
        "class/iommu/riscv-iommu%G",
        "class/iommu/virtio%G",
        "firmware/acpi/tables/DMAR",
        "firmware/acpi/tables/IVRS",
        "firmware/acpi/tables/IORT",
        "firmware/acpi/tables/VIOT",
        "firmware/fdt",
        "bus/pci/devices",
};

static const char *const devices[] = {
        "0000:00:00.0", "0000:00:01.0", "0000:00:01.1",  "0000:00:02.0",
        "0000:01:00.0", "0000:01:00.1", "0000:02:00.0",  "0000:02:01.0",
        "0000:03:00.0", "0000:03:00.1", "0000:04:00.0",  "0001:00:01.0",
        "2000:01:00.0", "2000:00:01.0", "10000:00:01.0", "x\033]0;\n y",
};

static void check(int ok)
{
	if (!ok)
		abort();
}

/* Has words, and none that a terminal obeys. */
static void check_message(void)
{
	check(*msg_last() != '\0');
	for (const char *c = msg_last(); *c; c++)
		check(isprint((unsigned char)*c));
}

/* All that a picture holds, as text. */
static struct page {
	size_t len;
	char text[1 << 20];
} first, second;

__attribute__((format(printf, 2, 3))) static void say(struct page *p,
                                                      const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(p->text + p->len, sizeof(p->text) - p->len, fmt, ap);
	va_end(ap);
	check(n >= 0 && p->len + (size_t)n < sizeof(p->text));
	p->len += (size_t)n;
}

static void say_member(struct page *p, const struct sluice_group_member *m)
{
	check(m->name && *m->name && m->bus);
	check(m->driver || (!m->is_vfio && !m->is_blocker));
	check(!m->is_vfio || !m->is_blocker);
	check(m->pci_class <= 0xffffff && m->dma_bits <= 64);
	/* Nothing hangs on itself. */
	check(!m->parent || strcmp(m->parent, m->name) != 0);
	say(p, "%s %s %s %x %x %x %u %d%d%d%d %s %s %llu\n", m->name, m->bus,
	    WORD(m->driver), m->pci_class, m->vendor, m->device, m->dma_bits,
	    m->is_pci, m->is_bridge, m->is_vfio, m->is_blocker, WORD(m->parent),
	    WORD(m->iommu), (unsigned long long)m->birth);
}

/* What a terminal and a root shell can be shown. */
static void check_explained(const struct sluice_group_info *g, struct page *p)
{
	static char text[1 << 16], cut[32];
	size_t n = sluice_group_explain_viability(g, text, sizeof(text));
	const char *line = text;

	check(n > 0 && n < sizeof(text) && strlen(text) == n);
	check(sluice_group_explain_viability(g, cut, sizeof(cut)) == n);
	check(!strncmp(cut, text, sizeof(cut) - 1));
	check(sluice_group_explain_viability(g, NULL, 0) == n);
	for (const char *c = text; *c; c++)
		check(*c == '\n' || isprint((unsigned char)*c));
	for (; line && *line; line = strchr(line, '\n'), line += line != NULL)
		if (!strncmp(line, "    ", 4))
			check(!strncmp(line + 4, "echo ", 5) ||
			      !strncmp(line + 4, "modprobe vfio-pci\n", 18));
	say(p, "%s", text);
}

static void check_required(const struct sluice_group_info *g)
{
	struct sluice_require r[MAX_MEMBERS];
	struct sluice_decision *d = NULL;
	int n = sluice_require_from_group(g, r, MAX_MEMBERS), rc;

	check(n == (int)g->nr_members);
	if (n == 0 || n > MAX_MEMBERS)
		return;
	msg_set("");
	rc = sluice_require_decide(r, (uint32_t)n, &d);
	check(rc == 0 || rc == -EBUSY || rc == -EINVAL);
	check((rc == 0) == (d != NULL));
	if (rc)
		check_message();
	sluice_decision_free(d);
}

static void say_group(struct page *p, const struct sluice_group_info *g)
{
	int viable = 1;

	check(g->id >= 0 && g->type);
	say(p, "group %d %s %s %d %llu\n", g->id, g->type, WORD(g->name),
	    g->viable, (unsigned long long)g->birth);
	for (uint32_t i = 0; i < g->nr_members; i++) {
		const struct sluice_group_member *m = &g->members[i];

		check(i == 0 || strcmp(m[-1].name, m->name) <= 0);
		say_member(p, m);
		viable &= !m->is_blocker;
	}
	check(!g->viable == !viable);
	for (uint32_t i = 0; i < g->nr_regions; i++) {
		check(g->regions[i].first <= g->regions[i].last);
		say(p, "%llx %llx %d %s\n",
		    (unsigned long long)g->regions[i].first,
		    (unsigned long long)g->regions[i].last, g->regions[i].type,
		    g->regions[i].text);
	}
	for (uint32_t i = 0; i < g->nr_reasons; i++)
		say(p, "%s %s %d %s %s %s\n", g->reasons[i].a, g->reasons[i].b,
		    g->reasons[i].rule, g->reasons[i].rule_name,
		    g->reasons[i].text, WORD(g->reasons[i].remedy));
	check_explained(g, p);
	check_required(g);
}

static void say_set(struct page *p, const struct sluice_group_set *set)
{
	p->len = 0;
	for (uint32_t i = 0; i < sluice_groups_count(set); i++) {
		const struct sluice_group_info *g = sluice_groups_get(set, i);

		check(i == 0 || sluice_groups_get(set, i - 1)->id < g->id);
		say_group(p, g);
		for (uint32_t k = 0; k < g->nr_members; k++)
			check(sluice_groups_find(set, g->members[k].name) !=
			      NULL);
	}
	for (uint32_t i = 0; i < sluice_groups_nr_ungrouped(set); i++) {
		say_member(p, sluice_groups_ungrouped(set, i));
		say(p, "%s\n", WORD(sluice_groups_ungrouped_reason(set, i)));
	}
}

/* ---- a computed picture is a partition ---- */

static const struct sluice_group_member *nth(const struct sluice_group_set *set,
                                             uint32_t n, uint32_t *ret_group)
{
	for (uint32_t i = 0; i < sluice_groups_count(set); i++) {
		const struct sluice_group_info *g = sluice_groups_get(set, i);

		*ret_group = i;
		if (n < g->nr_members)
			return &g->members[n];
		n -= g->nr_members;
	}
	*ret_group = UINT32_MAX;
	return sluice_groups_ungrouped(set, n);
}

/* The place of a name among all devices; each has one. */
static uint32_t place(const struct sluice_group_set *set, const char *name,
                      uint32_t *ret_group)
{
	const struct sluice_group_member *m;
	uint32_t at = UINT32_MAX, group;

	for (uint32_t n = 0; (m = nth(set, n, &group)); n++) {
		if (strcmp(m->name, name) != 0)
			continue;
		check(at == UINT32_MAX);
		at = n;
		*ret_group = group;
	}
	check(at != UINT32_MAX);
	return at;
}

/* Reasons connect the members of a group, as few as that takes: a tree. A
 * device that is in no group may be on the way. */
static void check_reasons(const struct sluice_group_set *set, uint32_t i)
{
	const struct sluice_group_info *g = sluice_groups_get(set, i);
	uint32_t leader[512], group, nr_on_way = 0;
	bool seen[512] = {false};

	for (uint32_t n = 0; n < NR_OF(leader); n++)
		leader[n] = n;
	for (uint32_t k = 0; k < g->nr_reasons; k++) {
		uint32_t a = place(set, g->reasons[k].a, &group), b;

		check(group == i || group == UINT32_MAX);
		nr_on_way += group != i && !seen[a];
		seen[a] = true;
		b = place(set, g->reasons[k].b, &group);
		check(group == i || group == UINT32_MAX);
		nr_on_way += group != i && !seen[b];
		seen[b] = true;
		check(leader[a] != leader[b]);
		for (uint32_t n = 0, from = leader[b]; n < NR_OF(leader); n++)
			if (leader[n] == from)
				leader[n] = leader[a];
	}
	check(g->nr_reasons + 1 == g->nr_members + nr_on_way);
}

static void check_partition(const struct sluice_group_set *set)
{
	const struct sluice_group_member *m;
	uint32_t group, at;

	for (uint32_t n = 0; (m = nth(set, n, &group)); n++)
		check(place(set, m->name, &at) == n && at == group);
	for (uint32_t i = 0; i < sluice_groups_count(set); i++) {
		check(sluice_groups_get(set, i)->id == (int)i);
		check(sluice_groups_get(set, i)->nr_members > 0);
		check_reasons(set, i);
	}
	for (uint32_t i = 0; i < sluice_groups_nr_ungrouped(set); i++)
		check(*sluice_groups_ungrouped_reason(set, i) != '\0');
}

/* ---- who may share ---- */

static void check_caps(const char *name, struct sluice_share_caps *caps)
{
	int rc;

	msg_set("");
	rc = sluice_share_caps_read(FAKE_SYSFS_ROOT, name, caps);
	if (rc == 0) {
		check(!strcmp(caps->iommu, name) && caps->iova_bits <= 64);
		return;
	}
	check(rc == -EINVAL || rc == -ENOENT || fake_sysfs_said(rc));
	check_message();
	*caps = (struct sluice_share_caps){.iommu = name, .family = "other"};
}

static void check_share(const struct sluice_group_set *set)
{
	struct sluice_share_group g[MAX_GROUPS], back[MAX_GROUPS];
	struct sluice_share_place at[MAX_GROUPS], again[MAX_GROUPS];
	uint32_t nr = sluice_groups_count(set);
	int n;

	if (nr == 0 || nr > MAX_GROUPS)
		return;
	for (uint32_t i = 0; i < nr; i++) {
		const struct sluice_group_info *k = sluice_groups_get(set, i);
		const char *iommu = k->nr_members ? k->members[0].iommu : NULL;

		g[i] = (struct sluice_share_group){.id = k->id,
		                                   .caps = {.family = "other"},
		                                   .regions = k->regions,
		                                   .nr_regions = k->nr_regions};
		if (iommu)
			check_caps(iommu, &g[i].caps);
		back[nr - 1 - i] = g[i];
	}
	n = sluice_share_partition(g, nr, at);
	check(n >= 1 && n <= (int)nr);
	check(sluice_share_partition(back, nr, again) == n);
	for (uint32_t i = 0; i < nr; i++) {
		const struct sluice_share_place *b = &again[nr - 1 - i];

		check(at[i].domain < (uint32_t)n);
		check(memchr(at[i].why, 0, sizeof(at[i].why)) != NULL);
		check(at[i].domain == b->domain && at[i].table == b->table);
		check(!strcmp(at[i].why, b->why));
	}
}

/* ---- one input ---- */

typedef int (*taking)(const char *root, struct sluice_group_set **ret_set);

/* Only what include/sluice/group.h names. */
static bool documented(int rc)
{
	static const int errs[] = {-ENOENT, -ENOTDIR, -EACCES, -EBADMSG,
	                           -E2BIG,  -EMFILE,  -ENFILE, -ENOMEM};

	for (size_t i = 0; i < NR_OF(errs); i++)
		if (rc == errs[i])
			return true;
	return fake_sysfs_said(rc);
}

static int picture(taking take, struct page *p, bool again)
{
	struct sluice_group_set *set = NULL;
	int rc;

	msg_set("");
	p->len = 0;
	rc = take(FAKE_SYSFS_ROOT, &set);
	check(fake_sysfs_nr_open() == 0);
	check((rc == 0) == (set != NULL));
	if (rc) {
		check(documented(rc));
		check_message();
		say(p, "%s", msg_last());
		return rc;
	}
	say_set(p, set);
	if (take == sluice_groups_compute)
		check_partition(set);
	if (!again)
		check_share(set);
	check(fake_sysfs_nr_open() == 0);
	sluice_group_set_free(set);
	return rc;
}

static void pictures(taking take, struct fake_sysfs_mood mood)
{
	int rc;

	fake_sysfs_mood(&mood);
	rc = picture(take, &first, false);
	mood.backwards = true;
	fake_sysfs_mood(&mood);
	check(picture(take, &second, true) == rc);
	check(first.len == second.len &&
	      !memcmp(first.text, second.text, first.len));
}

/* No group of such a tree has a node that could be opened. */
static void check_open(struct fake_sysfs_mood mood)
{
	const struct sluice_group_cfg cfg = {FAKE_SYSFS_ROOT, FAKE_SYSFS_ROOT};
	struct sluice_group *group = NULL;

	for (size_t i = 0; i < 6; i++) {
		int rc;

		fake_sysfs_mood(&mood);
		msg_set("");
		rc = sluice_group_open(devices[i], &cfg, &group);
		check(rc && !group && fake_sysfs_nr_open() == 0);
		check(documented(rc) || rc == -ENODEV || rc == -EPERM);
		check_message();
	}
}

static void spell(char *path, size_t len, const char *form, unsigned arg)
{
	size_t n = 0;

	for (; *form && n + 20 < len; form++) {
		if (form[0] == '%' && form[1] == 'D')
			n += (size_t)snprintf(path + n, len - n, "%s",
			                      devices[arg % 16]);
		else if (form[0] == '%' && form[1] == 'G')
			n += (size_t)snprintf(path + n, len - n, "%u",
			                      arg / 16);
		else
			path[n++] = *form;
		form += form[0] == '%';
	}
	path[n] = '\0';
}

/* One file: how many bytes of the input it was. */
static size_t plant(const uint8_t *data, size_t size, bool below)
{
	char path[512];
	size_t pre = below ? (size_t)sprintf(path, "sys/") : 0;
	size_t len = (size_t)data[3] | (size_t)data[4] << 8;
	const char *text = (const char *)data + 5;
	unsigned kind = data[0] % FAKE_NR_KINDS, form = data[1];
	size_t room = sizeof(path) - pre, used, n;

	if (len > size - 5)
		len = size - 5;
	used = 5 + len;
	if (form < NR_OF(paths)) {
		spell(path + pre, room, paths[form], data[2]);
	} else {
		n = strnlen(text, len);
		snprintf(path + pre, room, "%.*s", (int)n, text);
		n += n < len;
		text += n;
		len -= n;
	}
	/* No link leads nowhere at all. */
	if (kind == FAKE_LINK && (len = strnlen(text, len)) == 0)
		kind = FAKE_FILE;
	(void)fake_sysfs_put((enum fake_kind)kind, path, text, len);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int fates[] = {-EMFILE, -ENFILE, -ENOMEM, -EIO,
	                            -EACCES, -ENODEV, -ENOENT, -EINTR};
	struct fake_sysfs_mood mood = {0};
	bool below;

	if (size < 3)
		return 0;
	below = data[0] & SYS_BELOW;
	mood.chunk = data[0] & ONE_BY_ONE ? 1 : 0;
	mood.fail_at = data[1];
	mood.fail_with = fates[data[2] % NR_OF(fates)];
	fake_sysfs_new();
	(void)fake_sysfs_put(FAKE_DIR, below ? "sys/kernel" : "kernel", "", 0);
	for (size_t at = 3; at + 5 <= size;)
		at += plant(data + at, size - at, below);
	pictures(sluice_groups_read, mood);
	pictures(sluice_groups_compute, mood);
	check_open(mood);
	fake_sysfs_free();
	return 0;
}
