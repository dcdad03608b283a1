/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme_rw: reads and writes an NVMe disk from user space. Each transfer maps
 * its piece of the buffer for just that direction, lets the controller move
 * it, and takes it back: between transfers the controller reaches nothing of
 * the caller's. Knows the command line and this loop.
 */
#include "pattern.h"
#include "rig.h"
#include "stress.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const char usage[] =
        "usage: nvme_rw BDF identify\n"
        "       nvme_rw BDF write LBA FILE|-\n"
        "       nvme_rw BDF write LBA --pattern SEED --blocks N\n"
        "       nvme_rw BDF read LBA FILE|- --blocks N\n"
        "       nvme_rw BDF read LBA --verify SEED --blocks N\n"
        "       nvme_rw BDF flush\n"
        "       nvme_rw BDF selftest       overwrites the disk's start\n"
        "       nvme_rw BDF fault-test     shows that unmap stops a DMA\n"
        "       nvme_rw BDF trap-test      shows that its neighbour goes on\n"
        "       nvme_rw two BDF1 BDF2      one mapping, two controllers;\n"
        "                                  overwrites both disks' start\n"
        "       nvme_rw BDF stress --seconds N | --ios N [OPTION…]\n"
        "\n"
        "stress transfers at random, many at a time; overwrites the disk:\n"
        "  --queues Q --depth D   threads, and transfers in flight of each\n"
        "  --bytes N              of each transfer (4096)\n"
        "  --per-io-map HOW       strict: a mapping for each (default);\n"
        "                         burst: for D together; arena: none\n"
        "  --verify               fills and compares every byte\n"
        "  --irq                  sleeps until an interrupt comes\n"
        "  --prp                  no SGLs\n"
        "  --timeout MS           of a command (10000)\n"
        "  --reset KIND --reset-ms N  reset by controller, function or\n"
        "                         both in turns, every N milliseconds\n"
        "  --lose N               forgets every Nth completion: recovery\n"
        "  --journal FILE         keeps what the disk must hold, across\n"
        "                         runs and kills\n"
        "  --check                instead of --ios: reads all of that\n"
        "\n"
        "BDF is the PCI address of an NVMe controller bound to vfio-pci,\n"
        "0000:01:00.0. Bind it with\n"
        "    echo vfio-pci > /sys/bus/pci/devices/BDF/driver_override\n"
        "    echo BDF > /sys/bus/pci/devices/BDF/driver/unbind\n"
        "    echo BDF > /sys/bus/pci/drivers_probe\n"
        "Exit status: 0 done, 1 failed, 2 usage, 3 stopped early, because\n"
        "somebody wants the device back (hot-unplug): all was put away.\n";

struct args {
	char *word[4]; /* BDF COMMAND LBA FILE */
	int nr;
	bool has_seed;
	uint64_t seed;
	uint64_t blocks;
	uint64_t lba;
};

bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	return !errno && end != text && *end == '\0' && *text != '-';
}

static bool parse(int argc, char **argv, struct args *a)
{
	for (int i = 1; i < argc; i++) {
		bool seed = !strcmp(argv[i], "--pattern") ||
		            !strcmp(argv[i], "--verify");

		if (seed || !strcmp(argv[i], "--blocks")) {
			if (++i == argc ||
			    !parse_number(argv[i],
			                  seed ? &a->seed : &a->blocks))
				return false;
			a->has_seed |= seed;
		} else if (a->nr == 4 || !strncmp(argv[i], "--", 2)) {
			return false;
		} else {
			a->word[a->nr++] = argv[i];
		}
	}
	return a->nr >= 2;
}

/* Moves len bytes (whole blocks) between buf and the disk. buf has whole
 * pages. */
static int transfer(struct rig *r, bool write, uint64_t lba, uint8_t *buf,
                    uint64_t len)
{
	const struct nvme_info *info = nvme_get_info(r->nvme[0]);

	for (uint64_t done = 0; done < len;) {
		uint64_t n = len - done;
		uint64_t pages;
		uint64_t at = lba + done / info->block_size;
		uint32_t blocks;
		sluice_iova_t iova;
		int rc, undo;

		if (n > info->max_transfer)
			n = info->max_transfer;
		blocks = (uint32_t)(n / info->block_size);
		pages = (n + SLUICE_PAGE_SIZE - 1) &
		        -(uint64_t)SLUICE_PAGE_SIZE;
		/* A device that writes a disk reads memory. */
		rc = rig_map(r, buf + done, pages,
		             write ? SLUICE_READ : SLUICE_WRITE, &iova);
		if (rc)
			return rc;
		rc = write ? nvme_write(r->nvme[0], at, blocks, iova)
		           : nvme_read(r->nvme[0], at, blocks, iova);
		undo = rig_unmap(r, iova, pages);
		if (rc || undo)
			return rc ? rc : undo;
		done += n;
	}
	return 0;
}

/* Fills buf from the file; *ret_len: how much there was, padded with zeroes to
 * whole blocks. */
static int load(const char *path, uint8_t *buf, uint64_t max, uint32_t block,
                uint64_t *ret_len)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
	uint64_t n;
	int more, bad;

	if (!f)
		return fail(-errno, "%s: %s", path, strerror(errno));
	n = fread(buf, 1, max, f);
	more = n == max && fgetc(f) != EOF;
	bad = ferror(f);
	if (f != stdin)
		fclose(f);
	if (bad || more || n == 0)
		return fail(-EINVAL, "%s: %s", path,
		            bad    ? "cannot be read"
		            : more ? "larger than the rest of the disk"
		                   : "is empty: nothing to write");
	*ret_len = (n + block - 1) / block * block;
	return 0;
}

static int store(const char *path, const uint8_t *buf, uint64_t len)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "wb") : stdout;
	bool ok;

	if (!f)
		return fail(-errno, "%s: %s", path, strerror(errno));
	ok = fwrite(buf, 1, len, f) == len;
	ok = (f == stdout ? fflush(f) : fclose(f)) == 0 && ok;
	return ok ? 0 : fail(-EIO, "%s: cannot be written (disk full?)", path);
}

static int do_write(struct rig *r, const struct args *a, uint8_t *buf,
                    uint64_t len)
{
	uint32_t block = nvme_get_info(r->nvme[0])->block_size;
	int rc = 0;

	if (a->has_seed)
		pattern_fill(buf, a->lba * block, len, a->seed);
	else
		rc = load(a->word[3], buf, len, block, &len);
	if (rc == 0)
		rc = transfer(r, true, a->lba, buf, len);
	if (rc == 0)
		rc = nvme_flush(r->nvme[0]);
	if (rc == 0)
		fprintf(stderr, "wrote %" PRIu64 " blocks\n", len / block);
	return rc;
}

static int do_read(struct rig *r, const struct args *a, uint8_t *buf,
                   uint64_t len)
{
	uint32_t block = nvme_get_info(r->nvme[0])->block_size;
	uint64_t at;
	int rc = transfer(r, false, a->lba, buf, len);

	if (rc)
		return rc;
	if (!a->has_seed)
		return store(a->word[3], buf, len);
	at = pattern_check(buf, a->lba * block, len, a->seed);
	if (at != len)
		return fail(-EIO,
		            "byte %" PRIu64 " of the disk is not of the "
		            "pattern of seed %" PRIu64,
		            a->lba * block + at, a->seed);
	fprintf(stderr, "verified %" PRIu64 " blocks\n", len / block);
	return 0;
}

static int read_or_write(struct rig *r, const struct args *a)
{
	const struct nvme_info *info = nvme_get_info(r->nvme[0]);
	bool write = !strcmp(a->word[1], "write");
	uint64_t blocks = a->blocks, len, room;
	uint8_t *buf;
	int rc;

	if (a->lba >= info->nr_blocks || blocks > info->nr_blocks - a->lba)
		return fail(-EINVAL,
		            "the disk has %" PRIu64 " blocks: choose LBA and "
		            "--blocks below that",
		            info->nr_blocks);
	/* A file may fill the rest of the disk; pages are touched as used. */
	if (blocks == 0)
		blocks = info->nr_blocks - a->lba;
	len = blocks * info->block_size;
	room = (len + SLUICE_PAGE_SIZE - 1) & -(uint64_t)SLUICE_PAGE_SIZE;
	buf = rig_alloc(room);
	if (!buf)
		return -ENOMEM;
	rc = write ? do_write(r, a, buf, len) : do_read(r, a, buf, len);
	munmap(buf, room);
	return rc;
}

static int identify(struct rig *r)
{
	const struct nvme_info *i = nvme_get_info(r->nvme[0]);

	printf("model      %s\nserial     %s\nfirmware   %s\n"
	       "nvme       %u.%u\nblocks     %" PRIu64 "\nblock-size %u\n"
	       "max-transfer %u\nqueues     %u\ndepth      %u\n"
	       "data       %s\n",
	       i->model, i->serial, i->firmware, i->version >> 16,
	       i->version >> 8 & 0xff, i->nr_blocks, i->block_size,
	       i->max_transfer, i->max_queues, i->max_depth,
	       i->sgl ? "SGLs" : "PRPs");
	return 0;
}

static int flush(struct rig *r)
{
	return nvme_flush(r->nvme[0]);
}

static const struct {
	const char *name;
	int (*run)(struct rig *rig);
} simple[] = {
        {"identify", identify},   {"flush", flush},
        {"selftest", selftest},   {"fault-test", fault_test},
        {"trap-test", trap_test},
};

/* Which shape of command this is; NULL with two or read_or_write for those. */
static bool check_args(struct args *a, int (**ret_simple)(struct rig *),
                       bool *ret_two)
{
	*ret_two = !strcmp(a->word[0], "two");
	if (*ret_two)
		return a->nr == 3 && !a->has_seed && !a->blocks;
	for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++) {
		if (!strcmp(a->word[1], simple[i].name)) {
			*ret_simple = simple[i].run;
			return a->nr == 2 && !a->has_seed && !a->blocks;
		}
	}
	if (a->nr < 3 || !parse_number(a->word[2], &a->lba) ||
	    a->has_seed == (a->nr == 4))
		return false;
	if (!strcmp(a->word[1], "read"))
		return a->blocks != 0;
	return !strcmp(a->word[1], "write") && a->has_seed == (a->blocks != 0);
}

int main(int argc, char **argv)
{
	int (*run)(struct rig *) = NULL;
	/* One command at a time; a test needs a second queue. */
	const struct nvme_cfg cfg = {.nr_queues = 2, .depth = 2};
	struct args args = {0};
	struct rig rig;
	bool two;
	int rc;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc > 2 && !strcmp(argv[2], "stress")) {
		rc = stress_main(argc - 1, argv + 1);
		if (rc == 2)
			fputs(usage, stderr);
		return rc;
	}
	if (!parse(argc, argv, &args) || !check_args(&args, &run, &two)) {
		fputs(usage, stderr);
		return 2;
	}
	if (rig_open(&rig, args.word + two, 1u + two, &cfg, 0, false))
		return 1;
	if (two)
		rc = two_test(&rig);
	else
		rc = run ? run(&rig) : read_or_write(&rig, &args);
	rig_close(&rig);
	return rc ? 1 : 0;
}
