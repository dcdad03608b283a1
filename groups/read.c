/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups from sysfs: kernel/iommu_groups/ID with its type, name,
 * reserved_regions and devices. The kernel's answer is taken as it stands;
 * nothing is computed here but viability.
 */
#include "groups/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/parse.h"
#include "groups/sysfs.h"
#include "util/util.h"

#define MAX_WORD_FILE 128
/* The kernel fills one page, of 64 KiB at most. */
#define MAX_REGIONS_FILE (64 * 1024 + 1)

int grp_root_open(const char *root)
{
	struct stat st;
	int fd, below;

	if (!root)
		root = "/sys";
	fd = sysfs_dir(AT_FDCWD, root);
	if (fd < 0)
		return msg_fmt(fd, "cannot open the sysfs root %s: %s", root,
		               strerror(-fd));
	below = sys->fstatat(fd, "kernel", &st, 0);
	if (below == 0)
		return fd;
	if (!sysfs_lacking(below))
		below = sysfs_dir(fd, "sys");
	if (below < 0 && !sysfs_lacking(below))
		return fd;
	(void)sys->close(fd);
	return below < 0 ? msg_fmt(below,
	                           "cannot look into the sysfs root %s: %s",
	                           root, strerror(-below))
	                 : below;
}

/* First line of a small file, NULL in *ret where there is none. */
static int read_word(struct grp_mem *mem, int dir, const char *path,
                     const char **ret)
{
	char buf[MAX_WORD_FILE];
	ssize_t n = sysfs_read(dir, path, buf, sizeof(buf));

	*ret = NULL;
	if (sysfs_lacking((int)n))
		return (int)n;
	if (n <= 0 || buf[0] == '\n')
		return 0;
	*ret = grp_strdup(mem, buf, strcspn(buf, "\n"));
	return *ret ? 0 : -ENOMEM;
}

static int parse_regions(struct grp_mem *mem, const char *text, size_t len,
                         struct sluice_group_info *info)
{
	struct sluice_group_region *r;
	const char *end = text + len, *p;
	uint32_t lines = 1;

	for (p = text; p < end; p++)
		lines += *p == '\n';
	r = grp_alloc(mem, lines, sizeof(*r));
	if (!r)
		return -ENOMEM;
	info->regions = r;
	for (p = text; p < end; p++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p), word_len;
		const char *word;

		if (n && !grp_resv_parse(p, n, r, &word, &word_len))
			return -EBADMSG;
		if (n) {
			r->text = grp_strdup(mem, word, word_len);
			if (!r->text)
				return -ENOMEM;
			r++;
			info->nr_regions++;
		}
		p += n;
	}
	return 0;
}

static int read_regions(struct grp_mem *mem, int dir,
                        struct sluice_group_info *info)
{
	char *buf = malloc(MAX_REGIONS_FILE);
	ssize_t n;
	int rc;

	if (!buf)
		return -ENOMEM;
	n = sysfs_read(dir, "reserved_regions", buf, MAX_REGIONS_FILE);
	if (n == -ENOENT)
		rc = 0; /* Linux before 4.11 */
	else if (n == -EFBIG || n == -EINVAL)
		rc = -EBADMSG;
	else
		rc = n < 0 ? (int)n : parse_regions(mem, buf, (size_t)n, info);
	free(buf);
	/* The file was open, or about to be, when the group went. */
	if (rc == -ENODEV)
		return -ENOENT;
	if (rc == -EBADMSG)
		return msg_fmt(rc,
		               "group %d: reserved_regions is malformed, so it "
		               "is not known which addresses are usable; is "
		               "this a sysfs tree?",
		               info->id);
	if (rc && rc != -ENOMEM)
		return msg_fmt(rc, "group %d: cannot read reserved_regions: %s",
		               info->id, strerror(-rc));
	return rc;
}

static int by_member_name(const void *a, const void *b)
{
	const struct sluice_group_member *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int read_members(struct grp_mem *mem, int dir,
                        struct sluice_group_info *info)
{
	struct sluice_group_member *m;
	const char *const *names;
	uint32_t nr;
	int rc = sysfs_list(mem, dir, "devices", &names, &nr);
	int devices;

	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	if (rc)
		return rc;
	devices = sysfs_dir(dir, "devices");
	if (devices < 0)
		return devices == -ENOENT ? 0 : devices;
	m = grp_alloc(mem, nr, sizeof(*m));
	rc = m ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < nr && rc == 0; i++)
		rc = grp_read_member(mem, devices, names[i], names[i], &m[i]);
	(void)sys->close(devices);
	if (rc)
		return rc;
	if (nr)
		qsort(m, nr, sizeof(*m), by_member_name);
	info->members = m;
	info->nr_members = nr;
	return 0;
}

static int read_parts(struct grp_mem *mem, int dir,
                      struct sluice_group_info *info)
{
	int rc = read_word(mem, dir, "type", &info->type);

	if (rc == 0)
		rc = read_word(mem, dir, "name", &info->name);
	if (rc == 0)
		rc = read_members(mem, dir, info);
	if (rc == -ENOMEM)
		return msg_lit(rc, "out of memory while reading groups");
	if (rc)
		return msg_fmt(rc, "group %d: cannot list its devices: %s",
		               info->id, strerror(-rc));
	rc = read_regions(mem, dir, info);
	if (rc == -ENOMEM)
		return msg_lit(rc, "out of memory while reading groups");
	return rc;
}

int grp_read_one(struct grp_mem *mem, int root, int id,
                 struct sluice_group_info *ret)
{
	struct sluice_group_info info = {.id = id, .viable = 1};
	char path[64];
	int dir, rc;

	snprintf(path, sizeof(path), "kernel/iommu_groups/%d", id);
	dir = sysfs_dir(root, path);
	if (dir == -ENOTDIR)
		return -ENOENT;
	if (dir == -ENOENT)
		return dir;
	if (dir < 0)
		return msg_fmt(dir, "cannot open group %d in sysfs: %s", id,
		               strerror(-dir));
	info.birth = sysfs_birth(dir);
	rc = read_parts(mem, dir, &info);
	(void)sys->close(dir);
	if (rc)
		return rc;
	if (!info.type)
		info.type = "unknown";
	for (uint32_t i = 0; i < info.nr_members; i++)
		if (info.members[i].is_blocker)
			info.viable = 0;
	*ret = info;
	return 0;
}

const struct sluice_group_member *grp_member(
        const struct sluice_group_info *info, const char *name)
{
	char bdf[GRP_BDF_LEN];
	int is_bdf = grp_bdf_parse(name, bdf);

	for (uint32_t i = 0; i < info->nr_members; i++) {
		const struct sluice_group_member *m = &info->members[i];

		if (strcmp(m->name, name) == 0 ||
		    (is_bdf && m->is_pci && strcmp(m->name, bdf) == 0))
			return m;
	}
	return NULL;
}
