/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hybrid_copy: copies a file or block device, which the kernel drives, to an
 * NVMe disk that this process drives, or back, without copying a byte in
 * memory. One arena serves both sides: the kernel reaches it as fixed buffers
 * of an io_uring (sluice/fixed.h), the controller by IOVA. Knows the command
 * line and the report.
 */
#include "copy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
        "usage: hybrid_copy BDF to-disk FILE LBA [OPTION...]\n"
        "       hybrid_copy BDF from-disk LBA FILE --bytes N [OPTION...]\n"
        "\n"
        "FILE is a file or a block device that the kernel drives. BDF is the\n"
        "PCI address of an NVMe controller bound to vfio-pci (see nvme_rw\n"
        "--help); what is on its disk from LBA on is overwritten by to-disk.\n"
        "\n"
        "  --bytes N        how much (to-disk: all of FILE); the last block\n"
        "                   of the disk is filled up with zeroes\n"
        "  --verify         reads what was written again, from where it was\n"
        "                   written to, and compares checksums\n"
        "  --depth N        slots of the arena, in flight at a time (32)\n"
        "  --slot N         bytes of each, a multiple of 4096 (131072)\n"
        "  --cached         through the page cache, which copies once\n"
        "  --no-io-uring    pread() and pwrite(): the same result, but one\n"
        "                   at a time\n"
        "\n"
        "Exit status: 0 done, 1 failed (checksums that differ, too), 2 usage,\n"
        "3 stopped early, because somebody wants the controller back.\n";

struct args {
	const char *bdf;
	const char *path;
	bool to_disk, verify, cached, no_uring;
	uint64_t lba, bytes, depth, slot;
};

bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	return !errno && end != text && *end == '\0' && *text != '-';
}

static bool parse_option(int argc, char **argv, int *i, struct args *a)
{
	const struct {
		const char *name;
		bool *flag;
		uint64_t *number;
	} options[] = {
	        {"--verify", &a->verify, NULL},
	        {"--cached", &a->cached, NULL},
	        {"--no-io-uring", &a->no_uring, NULL},
	        {"--bytes", NULL, &a->bytes},
	        {"--depth", NULL, &a->depth},
	        {"--slot", NULL, &a->slot},
	};

	for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
		if (strcmp(argv[*i], options[k].name))
			continue;
		if (options[k].flag)
			return *options[k].flag = true;
		return ++*i < argc && parse_number(argv[*i], options[k].number);
	}
	return false;
}

static bool parse(int argc, char **argv, struct args *a)
{
	bool from;

	if (argc < 5)
		return false;
	*a = (struct args){.bdf = argv[1], .depth = 32, .slot = 131072};
	a->to_disk = !strcmp(argv[2], "to-disk");
	from = !strcmp(argv[2], "from-disk");
	a->path = argv[a->to_disk ? 3 : 4];
	if (a->to_disk == from ||
	    !parse_number(argv[a->to_disk ? 4 : 3], &a->lba))
		return false;
	for (int i = 5; i < argc; i++)
		if (!parse_option(argc, argv, &i, a))
			return false;
	return a->depth && a->depth <= 1024 && a->slot &&
	       a->slot % FILE_ALIGN == 0 && a->slot <= 1u << 30 &&
	       (a->to_disk || a->bytes);
}

/* ---- set up ---- */

static int check(const struct copy *c, const struct args *a)
{
	const struct nvme_info *disk = nvme_get_info(c->rig->nvme[0]);
	const struct file_info *file = file_get_info(c->file);
	uint64_t blocks = (c->bytes + disk->block_size - 1) / disk->block_size;

	if (a->slot > disk->max_transfer || a->slot % disk->block_size)
		return fail(-EINVAL,
		            "the controller moves at most %u bytes at a time, "
		            "in blocks of %u: choose --slot accordingly",
		            disk->max_transfer, disk->block_size);
	if (a->lba > disk->nr_blocks || blocks > disk->nr_blocks - a->lba)
		return fail(-EINVAL,
		            "the disk has %" PRIu64 " blocks, %" PRIu64
		            " from LBA %" PRIu64 " on are wanted",
		            disk->nr_blocks, blocks, a->lba);
	if ((a->to_disk || file->is_device) && c->bytes > file->size)
		return fail(-EINVAL, "%s has %" PRIu64 " bytes only", a->path,
		            file->size);
	if (c->bytes == 0 || (file->is_device && c->bytes % FILE_ALIGN))
		return fail(-EINVAL,
		            "%s: --bytes must not be 0, and for a block "
		            "device a multiple of %u",
		            a->path, FILE_ALIGN);
	return 0;
}

static int set_up(struct copy *c, const struct args *a)
{
	const struct sluice_arena_cfg arena = {
	        .size = a->depth * a->slot,
	        .slot_size = a->slot,
	};
	const struct file_cfg file = {
	        .path = a->path,
	        .write = !a->to_disk,
	        .cached = a->cached,
	        .no_uring = a->no_uring,
	        .depth = (uint32_t)a->depth,
	};
	int rc = sluice_arena_create(c->rig->domain, &arena, &c->arena);

	if (rc)
		return rig_failed(rc, "arena");
	rc = file_open(&file, c->arena, &c->file);
	if (rc)
		return rc;
	c->lba = a->lba;
	c->bytes = a->bytes ? a->bytes : file_get_info(c->file)->size;
	c->depth = (uint32_t)a->depth;
	c->slot_size = (uint32_t)a->slot;
	rc = check(c, a);
	return rc ? rc : copy_open(c);
}

static void take_down(struct copy *c)
{
	copy_close(c);
	file_close(c->file);
	sluice_arena_destroy(c->arena);
}

/* ---- run ---- */

static uint64_t map_calls(const struct copy *c)
{
	struct sluice_domain_stats stats;

	sluice_domain_get_stats(c->rig->domain, &stats);
	return stats.kernel_maps + stats.kernel_unmaps;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const struct copy *c, const uint32_t *crc,
                   const uint32_t *again)
{
	printf("crc32 source %08x target %08x\n", copy_crc(c, crc),
	       copy_crc(c, again));
	for (uint32_t i = 0; i < c->nr_chunks; i++)
		if (crc[i] != again[i])
			return fail(-EIO,
			            "the target differs from the source in "
			            "bytes %" PRIu64 " to %" PRIu64,
			            (uint64_t)i * c->slot_size,
			            (uint64_t)(i + 1) * c->slot_size - 1);
	return 0;
}

/* The counts show it: slots are used again and again, nothing is mapped for
 * them, and both sides are told of the same memory. */
static void report(const struct copy *c, double time, uint64_t maps)
{
	const struct file_info *f = file_get_info(c->file);
	struct sluice_domain_info info;

	sluice_domain_get_info(c->rig->domain, &info);
	printf("copied %" PRIu64 " bytes in %.2f s, %.1f MB/s\n", c->bytes,
	       time, (double)c->bytes / 1e6 / time);
	printf("slots %u of %u bytes used %" PRIu64 " times map-calls %" PRIu64
	       "\n",
	       c->depth, c->slot_size, c->uses, maps);
	printf("file requests %" PRIu64 " enters %" PRIu64 " preads %" PRIu64
	       " %s %s\n",
	       f->requests, f->enters, f->preads,
	       f->direct ? "direct" : "cached",
	       f->uring ? "io_uring" : "no-io_uring");
	printf("disk commands %" PRIu64 " container uring-cmd %u\n",
	       c->commands, info.uring_cmd);
}

static int run(struct copy *c, const struct args *a, uint32_t *crc,
               uint32_t *again)
{
	enum copy_side from = a->to_disk ? COPY_FILE : COPY_DISK;
	enum copy_side to = a->to_disk ? COPY_DISK : COPY_FILE;
	uint64_t maps = map_calls(c);
	double start = seconds();
	int rc = copy_run(c, from, to, a->verify ? crc : NULL);

	if (rc == 0)
		rc = a->to_disk ? nvme_flush(c->rig->nvme[0])
		                : file_finish(c->file, c->bytes);
	if (rc)
		return rc;
	report(c, seconds() - start, map_calls(c) - maps);
	if (!a->verify)
		return 0;
	rc = copy_run(c, to, COPY_NOWHERE, again);
	return rc ? rc : compare(c, crc, again);
}

static int copy_main(struct rig *rig, const struct args *a)
{
	struct copy c = {.rig = rig};
	uint32_t *crc = NULL;
	int rc = set_up(&c, a);

	if (rc == 0) {
		crc = calloc(2 * (size_t)c.nr_chunks, sizeof(*crc));
		rc = crc ? run(&c, a, crc, crc + c.nr_chunks)
		         : fail(-ENOMEM, "no memory for checksums");
	}
	free(crc);
	take_down(&c);
	return rc;
}

int main(int argc, char **argv)
{
	struct nvme_cfg cfg = {0};
	struct args args;
	struct rig rig;
	int rc;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (!parse(argc, argv, &args)) {
		fputs(usage, stderr);
		return 2;
	}
	cfg.depth = (uint16_t)args.depth;
	if (rig_open(&rig, &argv[1], 1, &cfg, 0, false))
		return 1;
	rc = copy_main(&rig, &args);
	rig_close(&rig);
	return rc == -ESHUTDOWN ? 3 : rc ? 1 : 0;
}
