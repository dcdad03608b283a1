/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The budget of a domain on a real kernel, through the public API: what does
 * not fit is refused by name, what the text says to type helps, and the numbers
 * are the kernel's own. budget.sh sets the limits and calls one part at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sluice/sluice.h>

#define PAGE ((uint64_t)SLUICE_PAGE_SIZE)
#define TIMEOUT_NS 20000000000u
#define ENTRY_LIMIT "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
#define MANY 10000

static struct rig {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_group *group;
	struct sluice_lane *lane;
	struct sluice_view *view;
} rig;

static void __attribute__((format(printf, 2, 3)))
need(bool good, const char *fmt, ...)
{
	va_list ap;

	if (good)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " [%s]\n", sluice_last_error());
	exit(1);
}

static void up(const char *bdf)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        /* What is counted shall be what is asked for. */
	        .flags = SLUICE_DOMAIN_NO_REVIVE};

	need(!sluice_engine_open(NULL, &rig.engine), "engine");
	need(!sluice_domain_create(rig.engine, &cfg, &rig.domain), "domain");
	need(!sluice_group_open(bdf, NULL, &rig.group), "group");
	need(!sluice_domain_attach(rig.domain, rig.group), "attach");
	need(!sluice_lane_open(rig.engine, NULL, &rig.lane), "lane");
	need(!sluice_view_open(rig.lane, rig.domain, &rig.view), "view");
}

static void down(void)
{
	need(!sluice_drain(rig.lane, TIMEOUT_NS), "drain");
	need(!sluice_view_close(rig.view), "view");
	need(!sluice_lane_close(rig.lane), "lane");
	need(!sluice_domain_destroy(rig.domain), "domain");
	need(!sluice_group_close(rig.group), "group");
	need(!sluice_engine_close(rig.engine), "engine");
}

static struct sluice_budget budget(void)
{
	struct sluice_budget b;

	need(!sluice_domain_get_budget(rig.domain, &b), "budget");
	return b;
}

static uint64_t kernel_maps(void)
{
	struct sluice_domain_stats st;

	sluice_domain_get_stats(rig.domain, &st);
	return st.kernel_maps;
}

static char *memory(uint64_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED, "mmap of %llu pages: %s",
	     (unsigned long long)pages, strerror(errno));
	for (uint64_t i = 0; i < pages; i++)
		p[i * PAGE] = (char)i;
	return p;
}

/* The one completion that is due. */
static struct sluice_completion completion(void)
{
	struct sluice_completion c;
	long spins = 0;

	while (!sluice_poll(rig.lane, &c, 1))
		need(++spins < 2000000000, "no completion");
	return c;
}

static int map_prot(const void *va, uint64_t pages, uint32_t prot,
                    sluice_iova_t *iova)
{
	const struct sluice_map_req req = {
	        .va = (uintptr_t)va, .len = pages * PAGE, .prot = prot};
	struct sluice_completion c;
	int rc = sluice_map(rig.view, &req, iova);

	need(rc == 1, "sluice_map: %d", rc);
	c = completion();
	if (c.result)
		printf("%s: %s\n", sluice_errname(c.result),
		       sluice_completion_text(&c));
	return c.result;
}

static int map(const void *va, uint64_t pages, sluice_iova_t *iova)
{
	return map_prot(va, pages, SLUICE_RW, iova);
}

static void unmap(sluice_iova_t iova, uint64_t pages)
{
	need(sluice_unmap(rig.view, iova, pages * PAGE, 0, NULL) == 1,
	     "sluice_unmap");
	need(completion().result == 0, "an unmap failed");
}

static void translates(sluice_iova_t iova, const void *va)
{
	sluice_oa_t oa = 0;

	need(sluice_translate(rig.view, iova, PAGE, SLUICE_RW, &oa) ==
	                     (int64_t)PAGE &&
	             oa == (uintptr_t)va,
	     "0x%llx leads to 0x%llx, not to %p", (unsigned long long)iova,
	     (unsigned long long)oa, va);
}

static void explain(uint64_t mappings, uint64_t bytes, char *text, size_t len)
{
	struct sluice_budget b = budget();
	size_t n = sluice_budget_explain(&b, mappings, bytes, text, len);

	need(n < len, "a text of %zu bytes", n);
	printf("%s\n", text);
}

static void says(const char *text, const char *what)
{
	need(strstr(text, what) != NULL, "it does not say \"%s\"", what);
}

/* Types what the text says: the quoted command that begins with word. */
static void type(const char *text, const char *word)
{
	char command[256], quoted[32];
	const char *from, *end;

	snprintf(quoted, sizeof(quoted), "'%s ", word);
	from = strstr(text, quoted);
	end = from ? strchr(from + 1, '\'') : NULL;
	need(end && end - from < (long)sizeof(command), "no command '%s'",
	     word);
	snprintf(command, sizeof(command), "%.*s", (int)(end - from - 1),
	         from + 1);
	printf("$ %s\n", command);
	fflush(stdout);
	need(system(command) == 0, "the command failed");
}

/* ---- mappings ---- */

/* nr mappings, each revocable alone, fill the container; one more is refused
 * without touching them. */
static void fill(char *p, sluice_iova_t *iova, uint32_t nr)
{
	char text[1024];

	need(budget().mappings == 0 && budget().mappings_left == nr &&
	             budget().mappings_limit == nr,
	     "a new container does not take %u mappings", nr);
	for (uint32_t i = 0; i < nr; i++)
		need(map(p + 2 * i * PAGE, 1, &iova[i]) == 0, "map %u", i);
	for (uint32_t i = 0; i < 3; i++)
		need(map(p + 2 * nr * PAGE, 1, &iova[nr]) == -ENOSPC,
		     "one too many is not ENOSPC");
	need(kernel_maps() == nr && budget().refused == 3,
	     "the kernel was asked in vain");
	need(budget().mappings == nr && budget().mappings_left == 0,
	     "the kernel counts otherwise");
	for (uint32_t i = 0; i < nr; i++)
		translates(iova[i], p + 2 * i * PAGE);
	explain(1, PAGE, text, sizeof(text));
	says(text, "1 wanted, 0 left, 1 missing");
	says(text, "arena");
}

static void strict(const char *bdf)
{
	const struct sluice_arena_cfg cfg = {.size = PAGE, .no_huge = 1};
	sluice_iova_t iova[65];
	struct sluice_arena *a;
	char *p = memory(132), text[1024];

	up(bdf);
	fill(p, iova, 64);
	need(sluice_arena_create(rig.domain, &cfg, &a) == -ENOSPC,
	     "an arena in a full container");
	printf("%s\n", sluice_last_error());
	says(sluice_last_error(), "1 missing");
	unmap(iova[17], 1);
	need(budget().mappings_left == 1, "an unmap gave nothing back");
	need(map(p + 128 * PAGE, 1, &iova[17]) == 0, "no room after an unmap");
	translates(iova[17], p + 128 * PAGE);
	need(map(p + 130 * PAGE, 1, &iova[64]) == -ENOSPC, "65 of 64");
	/* A burst of which some fit. */
	unmap(iova[3], 1);
	unmap(iova[4], 1);
	for (uint32_t i = 0; i < 4; i++) {
		const struct sluice_map_req req = {.va = (uintptr_t)p +
		                                         (120 + i) * PAGE,
		                                   .len = PAGE,
		                                   .prot = SLUICE_RW};
		need(sluice_map(rig.view, &req, &iova[3]) == 1, "map");
	}
	for (uint32_t i = 0, good = 0; i < 4; i++) {
		struct sluice_completion c = completion();

		good += c.result == 0;
		need(c.result == 0 || c.result == -ENOSPC, "a third result");
		need(i < 3 || good == 2, "%u of 4 found 2 places", good);
	}
	/* A container keeps the limit that it was opened with. */
	explain(1, 0, text, sizeof(text));
	type(text, "echo");
	need(budget().entry_limit == 65, "the parameter did not change");
	need(budget().mappings_left == 0, "an open container takes more");
	explain(1, 0, text, sizeof(text));
	says(text, "dma_entry_limit is 65 by now");
	down();
	up(bdf);
	fill(p, iova, 65);
	down();
}

static void arena(const char *bdf)
{
	const struct sluice_arena_cfg cfg = {
	        .size = MANY * PAGE, .slot_size = PAGE, .no_huge = 1};
	static struct sluice_buf buf[MANY];
	struct sluice_arena *a;

	up(bdf);
	need(budget().mappings_left == 64, "the limit is not 64");
	need(!sluice_arena_create(rig.domain, &cfg, &a), "arena");
	for (uint32_t i = 0; i < MANY; i++) {
		need(!sluice_arena_get(rig.lane, a, &buf[i]), "buffer %u", i);
		memset(buf[i].va, (int)i, PAGE);
		translates(buf[i].iova, buf[i].va);
	}
	need(budget().mappings == 1 && budget().mappings_left == 63,
	     "an arena is more than one mapping");
	need(kernel_maps() == 1, "more than one call");
	printf("%u buffers live, one mapping\n", MANY);
	for (uint32_t i = 0; i < MANY; i++)
		sluice_arena_put(rig.lane, a, buf[i].va);
	sluice_arena_destroy(a);
	down();
}

/* ---- locked memory ---- */

/* The kernel's accounting, byte by byte. */
static void counts(void)
{
	struct sluice_budget b = budget();
	uint64_t base = b.locked_bytes;
	char *p = memory(4);
	sluice_iova_t x, y;

	need(map(p, 3, &x) == 0, "map");
	need(budget().locked_bytes == base + 3 * PAGE, "3 pages count");
	/* The same memory again counts again. */
	need(map(p, 3, &y) == 0, "map");
	need(budget().locked_bytes == base + 6 * PAGE, "twice 3 pages count");
	need(budget().pinned_bytes == 6 * PAGE, "6 pages are pinned");
	unmap(x, 3);
	need(budget().locked_bytes == base + 3 * PAGE, "3 pages went");
	/* Other ways of locking share the limit. */
	need(mlock(p + 3 * PAGE, PAGE) == 0, "mlock");
	need(budget().locked_bytes == base + 4 * PAGE, "mlock counts");
	need(budget().pinned_bytes == 3 * PAGE, "and is not the domain's");
	munlock(p + 3 * PAGE, PAGE);
	unmap(y, 3);
	need(budget().locked_bytes == base && budget().pinned_bytes == 0,
	     "nothing is locked any more");
}

/* The device's own registers: pinned, and not counted. */
static void device_memory(const char *bdf)
{
	struct vfio_region_info bar = {.argsz = sizeof(bar),
	                               .index = VFIO_PCI_BAR0_REGION_INDEX};
	struct sluice_budget before = budget(), after;
	sluice_iova_t iova;
	void *va;
	int fd;

	need(!sluice_group_device_open(rig.group, bdf, &fd), "device");
	need(!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &bar), "region info");
	va = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	          (off_t)bar.offset);
	need(va != MAP_FAILED, "mmap of a BAR");
	need(map(va, 1, &iova) == 0, "device memory was refused");
	after = budget();
	need(after.locked_bytes == before.locked_bytes, "it was counted");
	need(after.pinned_bytes == before.pinned_bytes + PAGE, "not mapped");
	unmap(iova, 1);
	munmap(va, PAGE);
	close(fd);
	printf("device memory maps although no byte can be locked\n");
}

/* No page more can be locked: refused early for what is certain, by the
 * kernel for the rest, and both say the same. */
static void full(char *p, sluice_iova_t *iova)
{
	uint64_t refused = budget().refused, maps = kernel_maps();
	char *untouched = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(map(p, 1, iova) == -ENOMEM, "one page too many");
	need(budget().refused == refused + 1 && kernel_maps() == maps,
	     "the kernel was asked in vain");
	need(map_prot(p, 1, SLUICE_READ, iova) == -ENOMEM,
	     "the kernel takes what was refused");
	need(budget().refused == refused + 1 && kernel_maps() == maps + 1,
	     "reading devices are the kernel's to judge");
	/* Kernels before 6.2 pin the zero page and count nothing. */
	need(untouched != MAP_FAILED, "mmap");
	if (map_prot(untouched, 1, SLUICE_READ, iova) == 0) {
		printf("memory never written maps for a reader\n");
		unmap(*iova, 1);
	}
	need(kernel_maps() == maps + 2, "it was not asked");
	munmap(untouched, PAGE);
}

static void memlock(const char *bdf, uint64_t limit, bool root)
{
	const struct sluice_arena_cfg cfg = {.size = 1u << 20, .no_huge = 1};
	struct sluice_arena *a = NULL;
	sluice_iova_t all, one;
	char text[1024];
	uint64_t pages;
	char *p;

	up(bdf);
	need(budget().locked_limit == limit, "the limit is %llu",
	     (unsigned long long)budget().locked_limit);
	counts();
	pages = (limit - budget().locked_bytes) / PAGE;
	p = memory(pages + 1);
	need(map(p, pages, &all) == 0, "what is left does not fit");
	full(p + pages * PAGE, &one);
	device_memory(bdf);
	explain(1, PAGE, text, sizeof(text));
	says(text, "4096 bytes missing");
	need(!strstr(text, "root") == !root, "who may type it?");
	type(text, "prlimit");
	need(map(p + pages * PAGE, 1, &one) == 0,
	     "what the text said did not help");
	need(map(p, 1, &one) == -ENOMEM, "it helped too much");
	/* The control path names the same. */
	need(sluice_arena_create(rig.domain, &cfg, &a) == -ENOMEM, "arena");
	snprintf(text, sizeof(text), "%s", sluice_last_error());
	printf("%s\n", text);
	says(text, "1048576 bytes missing");
	type(text, "prlimit");
	need(!sluice_arena_create(rig.domain, &cfg, &a), "arena");
	translates(all, p);
	sluice_arena_destroy(a);
	down();
}

/* CAP_IPC_LOCK lifts the limit; huge pages count like any others. */
static void unlimited(const char *bdf)
{
	const struct sluice_arena_cfg cfg = {.size = 4u << 20};
	struct sluice_arena *a;
	uint64_t before;

	up(bdf);
	need(budget().locked_limit == UINT64_MAX, "root has a limit");
	before = budget().locked_bytes;
	need(!sluice_arena_create(rig.domain, &cfg, &a), "arena");
	need(sluice_arena_page_kind(a) == SLUICE_PAGES_HUGE, "no hugetlb");
	need(budget().locked_bytes == before + (4u << 20),
	     "huge pages do not count");
	sluice_arena_destroy(a);
	down();
}

static void cgroup(const char *bdf, uint64_t limit)
{
	struct sluice_budget b;
	char text[1024];

	up(bdf);
	b = budget();
	need(b.cgroup_limit == limit && b.cgroup[0], "no cgroup limit");
	need(b.cgroup_bytes > 0 && b.cgroup_bytes < limit, "nothing charged");
	explain(1, limit, text, sizeof(text));
	says(text, "/memory.max");
	type(text, "echo");
	need(budget().cgroup_limit > limit, "the command did not help");
	down();
}

int main(int argc, char **argv)
{
	const char *part = argc > 2 ? argv[2] : "";
	uint64_t limit = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(part, "strict"))
		strict(argv[1]);
	else if (!strcmp(part, "arena"))
		arena(argv[1]);
	else if (!strcmp(part, "memlock-soft") && limit)
		memlock(argv[1], limit, false);
	else if (!strcmp(part, "memlock-hard") && limit)
		memlock(argv[1], limit, true);
	else if (!strcmp(part, "unlimited"))
		unlimited(argv[1]);
	else if (!strcmp(part, "cgroup") && limit)
		cgroup(argv[1], limit);
	else
		return 2;
	printf("%s: ok\n", part);
	return 0;
}
