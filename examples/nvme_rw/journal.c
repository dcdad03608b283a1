/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal's file and its rules. The stores need no fence: a process that
 * is killed leaves behind what it stored, in the order it stored it.
 */
#include "journal.h"
#include "nvme.h"
#include "pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct header {
	char magic[8];
	uint64_t nr;
	uint64_t bytes;
};

static const char magic[8] = "sluiceJ1";

static int open_file(const char *path, uint64_t size, int *ret_fd)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return fail(-errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) || (st.st_size == 0 && ftruncate(fd, (off_t)size))) {
		int rc = fail(-errno, "%s: %s", path, strerror(errno));

		close(fd);
		return rc;
	}
	if (st.st_size && (uint64_t)st.st_size != size) {
		close(fd);
		return fail(-EINVAL,
		            "%s is of another disk or --block: remove it",
		            path);
	}
	*ret_fd = fd;
	return 0;
}

int journal_open(struct journal *j, const char *path, uint64_t nr,
                 uint32_t bytes)
{
	uint64_t size = sizeof(struct header) + nr * sizeof(*j->unit);
	struct header want = {.nr = nr, .bytes = bytes};
	struct header *h;
	int fd = -1, rc;

	memcpy(want.magic, magic, sizeof(magic));
	rc = path ? open_file(path, size, &fd) : 0;
	if (rc)
		return rc;
	h = mmap(NULL, size, PROT_READ | PROT_WRITE,
	         path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
	if (fd >= 0)
		close(fd);
	if (h == MAP_FAILED)
		return fail(-errno, "no memory for the journal");
	if (h->magic[0] == '\0')
		*h = want;
	if (memcmp(h, &want, sizeof(want))) {
		munmap(h, size);
		return fail(-EINVAL,
		            "%s is of another disk or --block: remove it",
		            path);
	}
	j->sure = calloc(nr, sizeof(*j->sure));
	if (!j->sure) {
		munmap(h, size);
		return fail(-ENOMEM, "no memory for the journal");
	}
	*j = (struct journal){
	        .nr = nr,
	        .bytes = bytes,
	        .unit = (struct journal_unit *)(h + 1),
	        .sure = j->sure,
	        .map = h,
	        .map_bytes = size,
	};
	return 0;
}

void journal_close(struct journal *j)
{
	if (j->map)
		munmap(j->map, j->map_bytes);
	free(j->sure);
	*j = (struct journal){0};
}

/* Every number has a pattern of its own, on every unit. */
void journal_send(struct journal *j, uint64_t unit, void *buf)
{
	struct journal_unit *u = &j->unit[unit];
	uint32_t sent = *(volatile uint32_t *)&u->sent + 1;

	if (sent == 0)
		sent = 1;
	pattern_fill(buf, unit * j->bytes, j->bytes, sent);
	*(volatile uint32_t *)&u->sent = sent;
}

void journal_wrote(struct journal *j, uint64_t unit)
{
	struct journal_unit *u = &j->unit[unit];

	*(volatile uint32_t *)&u->written = u->sent;
	j->sure[unit] = true;
}

void journal_unsure(struct journal *j, uint64_t unit)
{
	j->sure[unit] = false;
}

bool journal_known(const struct journal *j, uint64_t unit)
{
	return j->unit[unit].written != 0;
}

bool journal_ask_first(const struct journal *j, uint64_t unit)
{
	return journal_known(j, unit) && !j->sure[unit];
}

/* After a crash the disk holds what was written last, or what was sent last; a
 * read decides which. Nothing new was sent meanwhile: a unit has one command in
 * flight at most. */
uint64_t journal_check(struct journal *j, uint64_t unit, const void *buf)
{
	struct journal_unit *u = &j->unit[unit];
	uint64_t at = unit * j->bytes;

	if (u->written == 0)
		return 0;
	if (!j->sure[unit] &&
	    pattern_check(buf, at, j->bytes, u->sent) == j->bytes)
		journal_wrote(j, unit);
	j->sure[unit] = true;
	if (pattern_check(buf, at, j->bytes, u->written) == j->bytes)
		return 0;
	return pattern_wrong(buf, at, j->bytes, u->written);
}
