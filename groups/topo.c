/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the PCI devices of a sysfs tree. A captured tree may be anybody's: a
 * configuration space is walked with bounds, a path is believed only as far as
 * it names devices that are there.
 */
#include "groups/topo.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/parse.h"
#include "groups/sysfs.h"
#include "util/util.h"

/* PCI Express Base 6.0, 7.5.1: the header. */
#define CFG_STATUS 0x06
#define CFG_STATUS_CAPS 0x10
#define CFG_HEADER_TYPE 0x0e
#define CFG_HEADER_MULTI 0x80
#define CFG_SECONDARY 0x19
#define CFG_SUBORDINATE 0x1a
#define CFG_CAPS 0x34
#define CFG_HEADER 64
#define CFG_PLAIN 256
#define CFG_MAX 4096
#define CAP_ID_PCIE 0x10    /* 7.5.3 */
#define EXT_CAP_ID_ACS 0x0d /* 7.7.11 */

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | (uint32_t)le16(p + 2) << 16;
}

/* Offset of a capability below 256, or 0. */
static unsigned find_cap(const uint8_t *cfg, size_t len, uint8_t id)
{
	unsigned at;

	if (!(le16(cfg + CFG_STATUS) & CFG_STATUS_CAPS))
		return 0;
	at = cfg[CFG_CAPS] & ~3u;
	/* More would not fit: a loop. */
	for (int i = 0; i < 48 && at >= CFG_HEADER && at + 4 <= len; i++) {
		if (cfg[at] == id)
			return at;
		at = cfg[at + 1] & ~3u;
	}
	return 0;
}

static unsigned find_ext_cap(const uint8_t *cfg, size_t len, uint16_t id)
{
	unsigned at = CFG_PLAIN;

	for (int i = 0; i < 480 && at >= CFG_PLAIN && at + 8 <= len; i++) {
		uint32_t head = le32(cfg + at);

		if (head == 0 || head == UINT32_MAX)
			return 0;
		if ((head & 0xffff) == id)
			return at;
		at = head >> 20 & ~3u;
	}
	return 0;
}

void topo_parse_config(const uint8_t *cfg, size_t len, struct topo_dev *d)
{
	unsigned at;

	if (len < CFG_HEADER)
		return;
	if (!d->vendor && !d->device) {
		d->vendor = le16(cfg);
		d->device = le16(cfg + 2);
		d->class = le32(cfg + 8) >> 8;
	}
	d->multifunction |= (cfg[CFG_HEADER_TYPE] & CFG_HEADER_MULTI) != 0;
	switch (cfg[CFG_HEADER_TYPE] & ~CFG_HEADER_MULTI) {
	case 1:
	case 2: /* CardBus keeps its bus numbers at the same place */
		d->is_bridge = true;
		d->secondary = cfg[CFG_SECONDARY];
		d->subordinate = cfg[CFG_SUBORDINATE];
	}
	at = find_cap(cfg, len, CAP_ID_PCIE);
	if (!at)
		return;
	d->is_pcie = true;
	d->port = (enum topo_port)(le16(cfg + at + 2) >> 4 & 0xf);
	at = find_ext_cap(cfg, len, EXT_CAP_ID_ACS);
	if (!at)
		return;
	d->has_acs = true;
	d->acs_cap = le16(cfg + at + 4);
	d->acs_ctrl = le16(cfg + at + 6);
}

static int read_ids(int dir, struct topo_dev *d)
{
	uint64_t v;
	int rc = sysfs_hex(dir, "vendor", 0xffff, &v);

	if (rc == 0)
		d->vendor = (uint16_t)v;
	if (!sysfs_lacking(rc))
		rc = sysfs_hex(dir, "device", 0xffff, &v);
	if (rc == 0)
		d->device = (uint16_t)v;
	if (!sysfs_lacking(rc))
		rc = sysfs_hex(dir, "class", 0xffffff, &v);
	if (rc == 0)
		d->class = (uint32_t)v;
	return sysfs_lacking(rc) ? rc : 0;
}

static int hidden(const struct topo_dev *d)
{
	return msg_fmt(-EACCES,
	               "%s: this user sees only the first 64 bytes of "
	               "configuration space, which do not tell what isolates "
	               "devices: run as root, or take --sysfs of a tree that "
	               "root has copied",
	               d->name);
}

static int read_config(int dir, struct topo_dev *d)
{
	char buf[CFG_MAX + 2];
	const uint8_t *cfg = (const uint8_t *)buf;
	ssize_t n = sysfs_read(dir, "config", buf, sizeof(buf));

	if (sysfs_lacking((int)n))
		return (int)n;
	if (n < CFG_HEADER)
		return 0; /* no device without a header: nothing is known */
	topo_parse_config(cfg, (size_t)n, d);
	if (n == CFG_HEADER && le16(cfg + CFG_STATUS) & CFG_STATUS_CAPS)
		return hidden(d);
	return 0;
}

/* In a slot with alternative routing ids a function's number has 8 bits. */
static int note_function(int dir, struct topo_dev *d)
{
	char c[8];
	ssize_t n = sysfs_read(dir, "ari_enabled", c, sizeof(c));
	bool ari = n > 0 && c[0] == '1';

	/* Function 0 says so in its header; others exist only because it
	 * does. */
	d->multifunction |= (ari ? d->rid & 0xff : topo_fn(d)) != 0;
	return sysfs_lacking((int)n) ? (int)n : 0;
}

static int read_links(struct grp_mem *mem, int dir, struct topo_dev *d)
{
	const char *pf;
	char path[PATH_MAX];
	ssize_t n;
	int rc = sysfs_link_name(mem, dir, "driver", &d->driver);

	if (sysfs_lacking(rc))
		return rc;
	rc = sysfs_link_name(mem, dir, "iommu", &d->iommu);
	if (sysfs_lacking(rc))
		return rc;
	rc = sysfs_link_name(mem, dir, "physfn", &pf);
	if (sysfs_lacking(rc))
		return rc;
	/* 9.3.3: a virtual function has no function number of its own. */
	d->is_vf = rc == 0;
	if (d->is_vf)
		d->multifunction = false;
	n = sys->readlinkat(dir, "of_node", path, sizeof(path) - 1);
	if (n > 0) {
		const char *base;

		path[n] = '\0';
		base = strstr(path, "devicetree/base");
		d->of_node =
		        base ? grp_strdup(mem, base + 15, strlen(base + 15))
		             : NULL;
		if (base && !d->of_node)
			return -ENOMEM;
	}
	return 0;
}

static bool parse_name(const char *name, struct topo_dev *d)
{
	char bdf[GRP_BDF_LEN];
	unsigned dom, bus, slot, fn;

	if (!grp_bdf_parse(name, bdf) || strcmp(bdf, name) != 0)
		return false;
	if (sscanf(bdf, "%x:%x:%x.%x", &dom, &bus, &slot, &fn) != 4)
		return false;
	d->domain = dom;
	d->rid = (uint16_t)(bus << 8 | slot << 3 | fn);
	return true;
}

static int read_one(struct grp_mem *mem, int at, const char *name,
                    struct topo_dev *d, const char **ret_parent)
{
	int dir, rc;

	*d = (struct topo_dev){.name = name, .parent = TOPO_NONE};
	if (!parse_name(name, d))
		return -ENOENT;
	dir = sysfs_dir(at, name);
	if (sysfs_lacking(dir))
		return dir;
	if (dir < 0)
		return -ENOENT; /* it went away */
	rc = sysfs_link_above(mem, at, name, ret_parent);
	if (rc == 0)
		rc = read_ids(dir, d);
	if (rc == 0)
		rc = read_config(dir, d);
	if (rc == 0)
		rc = note_function(dir, d);
	if (rc == 0)
		rc = read_links(mem, dir, d);
	sys->close(dir);
	return rc;
}

static int by_rid(const void *a, const void *b)
{
	const struct topo_dev *x = a, *y = b;

	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	return (x->rid > y->rid) - (x->rid < y->rid);
}

uint32_t topo_find(const struct topo *t, uint32_t domain, uint16_t rid)
{
	const struct topo_dev key = {.domain = domain, .rid = rid}, *d;

	d = t->nr ? bsearch(&key, t->dev, t->nr, sizeof(key), by_rid) : NULL;
	return d ? (uint32_t)(d - t->dev) : TOPO_NONE;
}

uint32_t topo_find_name(const struct topo *t, const char *name)
{
	struct topo_dev key;
	char bdf[GRP_BDF_LEN];

	if (!grp_bdf_parse(name, bdf) || !parse_name(bdf, &key))
		return TOPO_NONE;
	return topo_find(t, key.domain, key.rid);
}

/* The bridge whose secondary bus it is; of several, which no hardware has, the
 * first. A bridge is not above itself or above a bus of lower number. */
static uint32_t bridge_above(const struct topo *t, const struct topo_dev *d)
{
	for (uint32_t i = 0; i < t->nr; i++) {
		const struct topo_dev *b = &t->dev[i];

		if (b->is_bridge && b->domain == d->domain &&
		    b->secondary == topo_bus(d) && topo_bus(b) < topo_bus(d))
			return i;
	}
	return TOPO_NONE;
}

void topo_settle(struct topo *t)
{
	if (t->nr)
		qsort(t->dev, t->nr, sizeof(*t->dev), by_rid);
	for (uint32_t i = 0; i < t->nr; i++)
		t->dev[i].parent = bridge_above(t, &t->dev[i]);
}

/* A virtual function may lie on a bus that no bridge has as its own: the path
 * knows where it hangs. */
static void believe_paths(struct topo *t, const char *const *parent,
                          const char *const *names, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t dev = topo_find_name(t, names[i]);
		uint32_t up;

		if (dev == TOPO_NONE || !parent[i])
			continue;
		up = topo_find_name(t, parent[i]);
		if (up != TOPO_NONE && t->dev[up].is_bridge &&
		    t->dev[up].domain == t->dev[dev].domain &&
		    topo_bus(&t->dev[up]) < topo_bus(&t->dev[dev]))
			t->dev[dev].parent = up;
	}
}

static int cannot_list(int rc)
{
	if (rc == -ENOMEM)
		return msg_lit(rc, "out of memory while reading PCI devices");
	return msg_fmt(rc, "cannot list bus/pci/devices in sysfs: %s",
	               strerror(-rc));
}

/* Sets a message. */
static int read_devices(int root, struct topo *t, const char *const *names,
                        uint32_t nr)
{
	int at = sysfs_dir(root, "bus/pci/devices");
	const char **parent;
	int rc = 0;

	if (at < 0)
		return cannot_list(at);
	t->dev = grp_alloc(&t->mem, nr, sizeof(*t->dev));
	parent = grp_alloc(&t->mem, nr, sizeof(*parent));
	if (!t->dev || !parent)
		rc = -ENOMEM;
	for (uint32_t i = 0; i < nr && rc == 0; i++) {
		rc = read_one(&t->mem, at, names[i], &t->dev[t->nr],
		              &parent[i]);
		if (rc == 0)
			t->nr++;
		else if (rc == -ENOENT)
			rc = 0;
	}
	sys->close(at);
	if (rc == -EACCES)
		return rc; /* hidden() has said so */
	if (rc)
		return cannot_list(rc);
	topo_settle(t);
	believe_paths(t, parent, names, nr);
	return 0;
}

int topo_read(int root, struct topo *ret)
{
	const char *const *names;
	struct topo t = {0};
	uint32_t nr;
	int rc = sysfs_list(&t.mem, root, "bus/pci/devices", &names, &nr);

	if (rc == -ENOENT || rc == -ENOTDIR)
		rc = 0;
	else if (rc)
		rc = cannot_list(rc);
	else if (nr)
		rc = read_devices(root, &t, names, nr);
	if (rc)
		topo_free(&t);
	else
		*ret = t;
	return rc;
}

void topo_free(struct topo *t)
{
	grp_free(&t->mem);
	*t = (struct topo){0};
}
